//! One stream, run: frames between the socket, the pure state machine and observe, with the deadlines that keep a dead line
//! from going unnoticed.

use std::time::Duration;

use plumb_proto::frame::{Hello, Renewed, Retry, ToAgent, ToCollector};
use plumb_proto::generated::ingest as pb;
use plumb_proto::generated::ingest::ingest_client::IngestClient;
use plumb_proto::limits;
use plumb_proto::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::channel::{Broken, chain};
use super::identity::Identity;
use super::identity::renew::Pending;
use super::stream::{Action, Close, Stream};
use super::{Deliver, OBSERVE_TIME, stopped};
use crate::state::frames::{LinkState, Position, ToDeliver, ToObserve};

/// Frames that wait for the socket: no more batches than records may be in flight, and a few words beside.
const OUTGOING: usize = limits::WINDOW_RECORDS as usize + 8;
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_secs(5);
/// A connection that held this long counts as one that worked.
const HELD: Duration = Duration::from_secs(60);
/// A renewal without an answer is asked for again after this long.
const RENEW_AGAIN: Duration = Duration::from_secs(60 * 60);
/// Time for a goodbye to leave.
const GOODBYE: Duration = Duration::from_millis(500);

/// How a stream ended.
pub(super) enum End {
    /// It is time to stop.
    Stop,
    /// What can be sent has changed: greet again.
    Again,
    /// There is a new certificate to be tried.
    Renewed,
    /// The collector says so.
    Asked(Retry),
    /// It broke, and why.
    Broken(String),
}

/// A connection on which nothing was said yet.
pub(super) struct Session {
    client: IngestClient<Channel>,
    broken: Broken,
}

/// What a running stream remembers.
struct Running {
    stream: Stream,
    out: mpsc::Sender<pb::ToCollector>,
    broken: Broken,
    begun: Instant,
    welcomed: Option<Instant>,
    acked: bool,
    /// The oldest record in flight, and since when it is that one.
    waiting: (Option<u64>, Instant),
    /// When observe was asked for records.
    fetching: Option<(Instant, ToObserve)>,
    renewal: Option<(Instant, Pending)>,
}

impl Session {
    pub(super) fn new(channel: Channel, broken: Broken) -> Self {
        let client = IngestClient::new(channel)
            .max_decoding_message_size(limits::CERTIFICATE_CHAIN + limits::SMALL_MESSAGE)
            .max_encoding_message_size(limits::MESSAGE + limits::SMALL_MESSAGE);
        Self { client, broken }
    }

    /// Runs it. The second answer: whether it did any good.
    pub(super) async fn run(mut self, deliver: &mut Deliver, identity: &Identity, position: Position) -> (End, bool) {
        let (out, frames) = mpsc::channel(OUTGOING);
        let stream = Stream::new(position);
        let hello: Hello = stream.hello(plumb_proto::VERSION, deliver.clock.now());
        let begun = Instant::now();
        let broken = self.broken.clone();
        let waiting = (None, begun);
        let mut running = Running {
            stream,
            out,
            broken,
            begun,
            welcomed: None,
            acked: false,
            waiting,
            fetching: None,
            renewal: None,
        };
        let mut end = running.send(ToCollector::Hello(hello));
        if end.is_none() {
            let asked = tokio::time::timeout(limits::ACK_TIME, self.client.report(ReceiverStream::new(frames)));
            end = Some(match asked.await {
                Ok(Ok(answer)) => running.listen(deliver, identity, answer.into_inner()).await,
                Ok(Err(status)) => running.failed(&status),
                Err(_) => running.late("the collector does not answer"),
            });
        }
        let worked = running.acked || running.welcomed.is_some_and(|at| at.elapsed() > HELD);
        (end.unwrap_or(End::Again), worked)
    }
}

impl Running {
    async fn listen(
        &mut self,
        deliver: &mut Deliver,
        identity: &Identity,
        mut frames: tonic::Streaming<pb::ToAgent>,
    ) -> End {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = deliver.stop.clone();
        loop {
            let ended = tokio::select! {
                frame = frames.message() => match frame {
                    Ok(Some(frame)) => self.frame(deliver, identity, frame).await,
                    Ok(None) => Some(self.late("the collector has closed the stream")),
                    Err(status) => Some(self.failed(&status)),
                },
                frame = deliver.link.recv() => match frame {
                    Some(frame) => {
                        if matches!(frame, ToDeliver::Items(_)) {
                            self.fetching = None;
                        }
                        let actions = self.stream.hand(frame);
                        self.act(deliver, actions).await
                    }
                    None => Some(End::Stop),
                },
                _ = tick.tick() => self.tick(deliver, identity).await,
                () = stopped(&mut stop) => Some(End::Stop),
            };
            if let Some(end) = ended {
                if matches!(end, End::Stop) && self.send(ToCollector::Bye).is_none() {
                    tokio::time::sleep(GOODBYE).await;
                }
                return end;
            }
            self.note_progress();
        }
    }

    async fn frame(&mut self, deliver: &mut Deliver, identity: &Identity, frame: pb::ToAgent) -> Option<End> {
        let frame = match ToAgent::try_from(frame) {
            Ok(frame) => frame,
            Err(error) => return Some(End::Broken(format!("the collector says what nobody can read: {error}"))),
        };
        match &frame {
            ToAgent::Welcome(welcome) => {
                self.welcome(deliver, identity, welcome.time).await;
            }
            ToAgent::Ack(ack) => deliver.time.learn(ack.time),
            ToAgent::Renewed(renewed) => return self.renewed(deliver, identity, renewed),
            ToAgent::Retry(_) => {}
        }
        let actions = self.stream.receive(frame);
        self.act(deliver, actions).await
    }

    async fn welcome(&mut self, deliver: &mut Deliver, identity: &Identity, time: Timestamp) {
        deliver.time.learn(time);
        self.welcomed = Some(Instant::now());
        if let Err(error) = identity.switch(&deliver.dir) {
            tracing::error!("{error:#}");
        }
        let since = deliver.clock.now();
        let skew_ms = time.millis().saturating_sub(since.millis());
        tracing::info!("delivering to {}", identity.about.ingest);
        deliver.link.send(ToObserve::Link(LinkState::Connected { since, skew_ms })).await;
    }

    async fn act(&mut self, deliver: &mut Deliver, actions: Vec<Action>) -> Option<End> {
        for action in actions {
            match action {
                Action::Send(frame) => {
                    if let Some(end) = self.send(frame) {
                        return Some(end);
                    }
                }
                Action::Tell(frame) => {
                    match &frame {
                        ToObserve::Acked(_) => self.acked = true,
                        ToObserve::Fetch { .. } => self.fetching = Some((Instant::now(), frame.clone())),
                        _ => {}
                    }
                    if !deliver.link.send(frame).await {
                        return Some(End::Stop);
                    }
                }
                Action::Close(Close::Asked(retry)) => return Some(End::Asked(retry)),
                Action::Close(Close::GreetAgain) => return Some(End::Again),
                Action::Close(Close::Violation(what)) => {
                    return Some(End::Broken(format!("the collector breaks the protocol: it {what}")));
                }
            }
        }
        None
    }

    /// Never waits: a socket that takes nothing must not keep deadlines from being seen.
    fn send(&self, frame: ToCollector) -> Option<End> {
        self.out.try_send(frame.into()).err().map(|_| self.late("the connection takes no more"))
    }

    fn note_progress(&mut self) {
        let waits_for = self.stream.waits_for();
        if self.waiting.0 != waits_for {
            self.waiting = (waits_for, Instant::now());
        }
    }

    async fn tick(&mut self, deliver: &mut Deliver, identity: &Identity) -> Option<End> {
        if !self.stream.is_welcomed() && self.begun.elapsed() > limits::ACK_TIME {
            return Some(self.late("the collector does not answer our greeting"));
        }
        if self.waiting.0.is_some() && self.waiting.1.elapsed() > limits::ACK_TIME {
            return Some(self.late("the collector acknowledges nothing"));
        }
        if let Some((at, frame)) = self.fetching.clone().filter(|(at, _)| at.elapsed() > OBSERVE_TIME) {
            tracing::debug!("observe was asked {:?} ago, and is asked again", at.elapsed());
            self.fetching = Some((Instant::now(), frame.clone()));
            if !deliver.link.send(frame).await {
                return Some(End::Stop);
            }
        }
        let due = self.welcomed.is_some() && deliver.time.now() >= identity.renew_at();
        if due && self.renewal.as_ref().is_none_or(|(at, _)| at.elapsed() > RENEW_AGAIN) {
            match Pending::new() {
                Ok(pending) => {
                    let asked = self.send(ToCollector::Renew(pending.csr.clone()));
                    self.renewal = Some((Instant::now(), pending));
                    return asked;
                }
                Err(error) => tracing::error!("no key for a new certificate: {error:#}"),
            }
        }
        None
    }

    /// The new certificate is tried at once: by greeting again with it.
    fn renewed(&mut self, deliver: &Deliver, identity: &Identity, renewed: &Renewed) -> Option<End> {
        let Some((_, pending)) = self.renewal.take() else {
            return Some(End::Broken("the collector sends a certificate that nobody asked for".into()));
        };
        match pending.keep(&deliver.dir, identity, renewed) {
            Ok(()) => Some(End::Renewed),
            Err(error) => {
                tracing::error!("the renewed certificate is not used: {error:#}");
                self.renewal = Some((Instant::now(), pending)); // asked for again, but not at once
                None
            }
        }
    }

    fn failed(&self, status: &tonic::Status) -> End {
        let words = self.broken.words().unwrap_or_else(|| match std::error::Error::source(status) {
            Some(cause) => chain(cause),
            None => format!("the collector ends the stream: {:?}", status.code()),
        });
        End::Broken(words)
    }

    fn late(&self, what: &str) -> End {
        End::Broken(self.broken.words().unwrap_or_else(|| what.to_owned()))
    }
}
