//! A host without an agent: says on the stream whatever a test wants.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use plumb_agent::deliver::channel::channel;
use plumb_agent::deliver::identity::Identity;
use plumb_agent::deliver::tls::{connect, ingest_config};
use plumb_agent::deliver::trusted_time::TrustedTime;
use plumb_proto::frame::{Hello, Item, ToAgent, ToCollector};
use plumb_proto::generated::ingest as pb;
use plumb_proto::generated::ingest::ingest_client::IngestClient;
use plumb_proto::record::{Epoch, Hash, genesis};
use plumb_proto::time::Clock;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::agent::Host;
use crate::collector::Collector;

pub struct Raw {
    runtime: Runtime,
    out: mpsc::Sender<pb::ToCollector>,
    frames: tonic::Streaming<pb::ToAgent>,
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Connects as the holder of `identity`, trusting the root of `collector_identity`.
pub fn raw_with(collector: &Collector, root: &Identity, identity: &Identity) -> anyhow::Result<Raw> {
    let runtime = runtime();
    let time = Arc::new(TrustedTime::new(collector.clock.clone()));
    let config = ingest_config(&root.root, identity.chain.clone(), identity.key()?, time)?;
    let (out, frames) = mpsc::channel(64);
    let frames = runtime.block_on(async {
        let tls = connect("127.0.0.1", collector.ingest.port(), "localhost", config).await?;
        let (channel, broken) = channel(tls).await?;
        let mut client = IngestClient::new(channel).max_encoding_message_size(64 << 20);
        let answer = client.report(ReceiverStream::new(frames)).await;
        let answer = answer.map_err(|status| anyhow::anyhow!("{}", broken.words().unwrap_or(status.to_string())))?;
        anyhow::Ok(answer.into_inner())
    })?;
    Ok(Raw { runtime, out, frames })
}

impl Raw {
    pub fn connect(collector: &Collector, host: &Host) -> Self {
        let identity = host.identity();
        raw_with(collector, &identity, &identity).unwrap()
    }

    pub fn say(&mut self, frame: impl Into<pb::ToCollector>) {
        // a stream that was ended meanwhile shows in what is heard next
        let _ = self.runtime.block_on(self.out.send(frame.into()));
    }

    pub fn batch(&mut self, items: &[Item]) {
        self.say(ToCollector::Batch(items.to_vec()));
    }

    /// The next frame; `None` when the stream has ended, well or badly.
    pub fn hear(&mut self) -> Option<ToAgent> {
        let frame = self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), self.frames.message()).await.expect("an answer or an end")
        });
        frame.ok().flatten().map(|frame| ToAgent::try_from(frame).unwrap())
    }

    /// Greets and is welcomed; the number to go on from.
    pub fn greet(&mut self, hello: Hello) -> u64 {
        self.say(ToCollector::Hello(hello));
        match self.hear() {
            Some(ToAgent::Welcome(welcome)) => welcome.resend_from,
            other => panic!("{other:?} is no welcome"),
        }
    }
}

pub fn hello(collector: &Collector, epoch: Epoch, next_seq: u64) -> Hello {
    Hello {
        protocols: (1, 1),
        features: 0,
        build: "raw".into(),
        epoch,
        first_seq: 1,
        prev_of_first: genesis(epoch),
        next_seq,
        acked_seq: 0,
        acked_hash: Hash::default(),
        dict_digest: Hash::default(),
        clock: collector.clock.now(),
    }
}

/// Sends bytes to a port, and returns what comes back until it closes.
pub fn bytes(address: SocketAddr, send: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    tcp.write_all(send).unwrap();
    let mut answer = Vec::new();
    // a reset is an end too
    let _ = tcp.read_to_end(&mut answer);
    answer
}
