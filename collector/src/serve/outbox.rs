//! The outbox by way of the writer: what a courier reads is committed, or in the transaction before its own.

use anyhow::Result;

use crate::notify::Outbox;
use crate::store::rows::{Alert, Message};
use crate::worker::Writer;

pub(super) struct ThroughWriter(pub(super) Writer);

impl Outbox for ThroughWriter {
    fn alerts(&self, receiver: &str, limit: usize) -> Result<Vec<Alert>> {
        let receiver = receiver.to_owned();
        self.0.call_blocking(move |tx| tx.outbox(&receiver, limit))
    }

    fn pass_over(&self, receiver: &str, alerts: &[(u64, u32)]) -> Result<()> {
        let (receiver, alerts) = (receiver.to_owned(), alerts.to_vec());
        self.0.call_blocking(move |tx| tx.pass_over(&receiver, &alerts))
    }

    fn waiting(&self, receiver: &str) -> Result<Vec<Message>> {
        let receiver = receiver.to_owned();
        self.0.call_blocking(move |tx| tx.waiting(&receiver))
    }

    fn alerts_of(&self, message: &Message) -> Result<Vec<Alert>> {
        let message = message.clone();
        self.0.call_blocking(move |tx| tx.alerts_of(&message))
    }

    fn save(&self, message: &Message) -> Result<()> {
        let message = message.clone();
        self.0.call_blocking(move |tx| tx.save_message(&message))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use plumb_proto::record::Epoch;
    use plumb_proto::time::{Clock, SystemClock};
    use plumb_proto::wire;

    use super::*;
    use crate::config::Config;
    use crate::drift::detectors::changed::Changed;
    use crate::drift::detectors::silent::Silent;
    use crate::notify::{Bell, Notifier, Told};
    use crate::pipeline::Pipeline;
    use crate::store::{Incoming, Tx};
    use crate::stores::contract::bench::{Sender, fact, full, host_row};
    use crate::stores::sqlite::testing::Folder;

    /// Answers 204 to each request and hands on its body.
    fn webhook() -> (String, std::sync::mpsc::Receiver<serde_json::Value>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (told, bodies) = std::sync::mpsc::sync_channel(16);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
                let body = loop {
                    let count = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..count]);
                    let text = String::from_utf8_lossy(&request);
                    let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                    if let Some(body) = body {
                        break body;
                    }
                };
                stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
                if told.send(body).is_err() {
                    return;
                }
            }
        });
        (url, bodies)
    }

    #[test]
    fn a_drift_is_told_at_once_and_its_end_too() {
        let folder = Folder::empty();
        let (writer, _) = Writer::start(crate::stores::open(folder.file("db").to_str().unwrap()).unwrap()).unwrap();
        let (url, bodies) = webhook();
        let text = format!(
            "[notify]\ngroup_wait = \"0s\"\n[[receiver]]\nname = \"ops\"\ntype = \"webhook\"\nrate = \"0s\"\nurl = {url:?}\n"
        );
        let config = Config::parse(Path::new("told.toml"), &text).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let repeat = Duration::from_secs(86_400);
        let pipeline = Pipeline::new(vec![Box::new(Changed)], Silent::default(), repeat, clock.clone());
        let pipeline = Arc::new(pipeline.waking(move || ring.ring()));
        writer.call_blocking(|tx| tx.begin_receiver("ops")).unwrap();
        let outbox: Arc<dyn Outbox> = Arc::new(ThroughWriter(writer.clone()));
        let notifier = Notifier::start(open(config), &outbox, &clock, bell).unwrap();

        let host = host_row(1, "web-1");
        let mut sender = Sender::new(host.id, Epoch([1; 16]));
        sender.received = clock.now();
        writer.call_blocking(move |tx| tx.save_host(&host)).unwrap();
        let mut look = 0;
        let mut send = |version: &str| {
            look += 1;
            let record = sender.seal(&full(look, vec![fact("fpm/8.2", version)]));
            let (host, received, pipeline) = (sender.host, sender.received, pipeline.clone());
            let take = move |tx: &mut dyn Tx| {
                let mut dictionary = tx.dictionary(&host, &record.header.epoch)?;
                let mark = dictionary.mark();
                let payload = wire::decode(&record.open()?, &mut dictionary).map_err(|error| error.to_string());
                let declared = dictionary.declared_since(mark);
                let (payload, declared) = (payload.as_ref().map_err(String::as_str), declared.as_deref());
                let incoming = Incoming { host: &host, record: &record, payload, declared, received, skew_ms: 0 };
                pipeline.take(tx, &incoming, true)
            };
            assert!(writer.call_blocking(take).unwrap());
        };
        send("8.2.29");
        std::thread::sleep(Duration::from_millis(100)); // the courier has nothing to do and rests
        send("8.2.30");
        let begun = Instant::now();
        let opened = bodies.recv_timeout(Duration::from_secs(5)).unwrap();
        // far below any look-out by time: it was woken
        assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
        assert_eq!((&opened["alerts"][0]["kind"], &opened["alerts"][0]["host"]), (&"opened".into(), &"web-1".into()));
        assert_eq!(opened["alerts"][0]["drift"]["actual"], "8.2.30");
        send("8.2.29");
        let over = bodies.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!((&over["alerts"][0]["kind"], &over["alerts"][0]["transition"]), (&"resolved".into(), &2.into()));
        notifier.stop();
        assert!(writer.call_blocking(|tx| tx.outbox("ops", 10)).unwrap().is_empty());
        assert!(writer.call_blocking(|tx| tx.waiting("ops")).unwrap().is_empty());
    }

    fn open(config: Config) -> Told {
        Told::open(config.receivers, config.routes, config.pace).unwrap()
    }

    #[test]
    fn what_waits_for_a_receiver_goes_out_by_its_new_settings_under_the_same_key() {
        let folder = Folder::empty();
        let (writer, _) = Writer::start(crate::stores::open(folder.file("db").to_str().unwrap()).unwrap()).unwrap();
        let told = |url: &str| {
            let receiver = format!("[[receiver]]\nname = \"ops\"\ntype = \"webhook\"\nrate = \"0s\"\nurl = {url:?}\n");
            let text = format!("[notify]\ngroup_wait = \"0s\"\n{receiver}");
            Config::parse(Path::new("told.toml"), &text).unwrap()
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let host = host_row(1, "web-1");
        writer.call_blocking(|tx| tx.begin_receiver("ops")).unwrap();
        writer.call_blocking(move |tx| tx.save_host(&host)).unwrap();
        let outbox: Arc<dyn Outbox> = Arc::new(ThroughWriter(writer.clone()));
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = open(told(&format!("http://{nobody}/hook")));
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let notifier = Notifier::start(nobody, &outbox, &clock, bell).unwrap();

        // silent since long ago, so there is something to tell
        let manual = Arc::new(plumb_proto::time::ManualClock::at(clock.now()));
        let repeat = Duration::from_secs(86_400);
        let pipeline = Pipeline::new(Vec::new(), Silent::default(), repeat, manual.clone()).waking(move || ring.ring());
        manual.advance(Duration::from_secs(3600));
        let (id, now) = (host_row(1, "web-1").id, clock.now());
        writer.call_blocking(move |tx| pipeline.tick(tx, &id, now, false)).unwrap();
        let waiting = || writer.call_blocking(|tx| tx.waiting("ops")).unwrap();
        let begun = Instant::now();
        while waiting().first().is_none_or(|message| message.tries == 0) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", waiting());
            std::thread::sleep(Duration::from_millis(10));
        }
        let key = waiting()[0].key;

        let (url, bodies) = webhook();
        notifier.replace(open(told(&url))).unwrap();
        let body = bodies.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!((&body["key"], &body["alerts"][0]["host"]), (&key.to_string().into(), &"web-1".into()));
        assert_eq!(notifier.receivers(), ["ops"]);
        notifier.replace(open(Config { receivers: Vec::new(), ..told(&url) })).unwrap();
        assert!(notifier.receivers().is_empty());
        notifier.stop();
        assert!(waiting().is_empty());
        assert!(bodies.try_recv().is_err(), "it was told once");
    }
}
