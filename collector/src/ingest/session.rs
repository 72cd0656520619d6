//! One stream of one host, from its greeting to its end.

use std::sync::Arc;
use std::time::Duration;

use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{Ack, Hello, Item, PROTOCOL, Renewed, Retry, RetryCode, ToAgent, ToCollector, Welcome};
use plumb_proto::generated::ingest as pb;
use plumb_proto::limits;
use plumb_proto::record::HostId;
use tokio::sync::{Semaphore, mpsc, watch};
use tonic::{Status, Streaming};

use super::batch::{Batch, From, Outcome};
use super::greeting::{Arrival, Greeted};
use super::stream::{Step, Stop, Stream};
use super::{Parts, Peer};
use crate::access::{Closed, OneStream};
use crate::enroll::RenewRefusal;
use crate::store::Tx;
use crate::store::rows::HostState;
use crate::worker::Weight;

/// A batch that opens to less than this is opened where it stands.
const SMALL: usize = 32 << 10;
/// An agent that takes no ack for this long is hung up on.
const SEND_TIME: Duration = Duration::from_secs(30);
/// A host that sends too much rests so long at a time, at most: short of the time after which it would give up on its ack.
const REST: Duration = Duration::from_secs(20);
/// What remains of the window while much waits for the writer: an eighth.
const LOADED: u32 = 8;

/// A stream that has begun.
pub(super) struct Session {
    parts: Parts,
    opening: Arc<Semaphore>,
    peer: Peer,
    host: HostId,
    out: mpsc::Sender<Result<pb::ToAgent, Status>>,
}

/// What a greeting led to.
struct Begun {
    stream: Stream,
    dictionary: Dictionary,
    skew_ms: i64,
    /// See [`From::backlog`].
    backlog: u64,
    one: OneStream,
}

/// The stream is over: with a last word, or without.
type End = Option<ToAgent>;

impl Session {
    pub(super) fn new(
        parts: Parts,
        opening: Arc<Semaphore>,
        peer: Peer,
        out: mpsc::Sender<Result<pb::ToAgent, Status>>,
    ) -> Self {
        Self { parts, opening, host: peer.certificate.host, peer, out }
    }

    pub(super) async fn run(self, mut frames: Streaming<pb::ToCollector>) {
        let end = match self.greeting(&mut frames).await {
            Ok(begun) => self.listen(begun, &mut frames).await,
            Err(end) => end,
        };
        if let Some(word) = end {
            self.send(word).await;
        }
    }

    /// A frame for the agent; `false` if it does not take it.
    async fn send(&self, frame: ToAgent) -> bool {
        matches!(tokio::time::timeout(SEND_TIME, self.out.send(Ok(frame.into()))).await, Ok(Ok(())))
    }

    fn retry(code: RetryCode, after: Duration) -> End {
        let after_ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        Some(ToAgent::Retry(Retry { code, after_ms, resend_from: 0 }))
    }

    fn refused(&self, state: HostState) -> End {
        tracing::info!("host {} is {}: its records are not taken", self.host, state.as_str());
        match state {
            HostState::Suspended => Self::retry(RetryCode::Busy, Duration::from_secs(60)),
            HostState::Active | HostState::Revoked | HostState::Retired => {
                Self::retry(RetryCode::Revoked, Duration::ZERO)
            }
        }
    }

    fn failed(&self, what: &str, error: &anyhow::Error) -> End {
        tracing::error!("host {}: {what}: {error:#}", self.host);
        Self::retry(RetryCode::Busy, Duration::from_secs(5))
    }

    async fn greeting(&self, frames: &mut Streaming<pb::ToCollector>) -> Result<Begun, End> {
        let first = tokio::time::timeout(limits::HANDSHAKE_TIME, frames.message()).await;
        let hello = match first.map(|frame| frame.map(|frame| frame.map(ToCollector::try_from))) {
            Ok(Ok(Some(Ok(ToCollector::Hello(hello))))) if sound(&hello) => hello,
            Ok(Ok(Some(Err(error)))) => return Err(self.malformed(&error.to_string())),
            Ok(Ok(Some(Ok(_)))) => return Err(self.malformed("it does not greet")),
            Ok(Ok(None) | Err(_)) | Err(_) => return Err(None),
        };
        if !(hello.protocols.0..=hello.protocols.1).contains(&PROTOCOL) {
            tracing::warn!("host {} speaks protocols {:?}, here {PROTOCOL} is spoken", self.host, hello.protocols);
            return Err(Self::retry(RetryCode::Busy, Duration::from_secs(3600)));
        }
        let one = self.parts.connections.begin_stream(&self.peer);
        let now = self.parts.clock.now();
        let skew_ms = hello.clock.millis().saturating_sub(now.millis());
        let (acked_seq, backlog) = (hello.acked_seq, hello.next_seq);
        match self.greet(hello, skew_ms, one.closed.clone()).await {
            Ok(Greeted::Welcome { stream, dictionary, want }) => {
                let (window_records, window_bytes) = self.window();
                let resend_from = stream.head().0;
                let welcome =
                    Welcome { protocol: PROTOCOL, resend_from, window_records, window_bytes, want, time: now };
                let mut sent = self.send(ToAgent::Welcome(welcome)).await;
                if resend_from > acked_seq.saturating_add(1) {
                    sent = sent && self.send(self.ack(&stream)).await; // the ack of an earlier stream was lost
                }
                if sent { Ok(Begun { stream, dictionary, skew_ms, backlog, one }) } else { Err(None) }
            }
            Ok(Greeted::Fork(why)) => {
                tracing::warn!("host {}: {why}: it is told to begin a new one", self.host);
                Err(Self::retry(RetryCode::Fork, Duration::from_secs(1)))
            }
            Ok(Greeted::Refused(state)) => Err(self.refused(state)),
            Ok(Greeted::Conflict) => {
                tracing::warn!("host {}: an old certificate is used beside a newer one", self.host);
                Err(Self::retry(RetryCode::Revoked, Duration::ZERO))
            }
            Err(error) => Err(self.failed("greeting", &error)),
        }
    }

    async fn greet(
        &self,
        hello: Hello,
        skew_ms: i64,
        replaced: watch::Receiver<Option<Closed>>,
    ) -> anyhow::Result<Greeted> {
        let (host, connections) = (self.host, &self.parts.connections);
        let (fork, conflict) = (("fork", hello.epoch), ("conflict", hello.epoch));
        let arrival = Arrival {
            host,
            generation: self.peer.certificate.generation,
            hello,
            skew_ms,
            now: self.parts.clock.now(),
            new_fork: connections.is_news(&host, &fork),
            new_conflict: connections.is_news(&host, &conflict),
        };
        let work = move |tx: &mut dyn Tx| {
            anyhow::ensure!(replaced.borrow().is_none(), "a newer connection has taken over");
            arrival.look_up(tx)
        };
        let greeted = self.parts.writer.call(Weight { records: 1, bytes: 0 }, work).await?;
        match greeted {
            Greeted::Fork(_) => connections.said(&host, &fork),
            Greeted::Conflict => connections.said(&host, &conflict),
            Greeted::Welcome { .. } | Greeted::Refused(_) => {}
        }
        Ok(greeted)
    }

    async fn listen(&self, mut begun: Begun, frames: &mut Streaming<pb::ToCollector>) -> End {
        let (mut cut, mut replaced) = (self.peer.closed.clone(), begun.one.closed.clone());
        loop {
            let frame = tokio::select! {
                frame = frames.message() => frame,
                why = closed(&mut cut) => return self.closed(why),
                why = closed(&mut replaced) => return self.closed(why),
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(status) => {
                    tracing::debug!("host {}: {status}", self.host);
                    return None;
                }
            };
            let end = match ToCollector::try_from(frame) {
                Ok(ToCollector::Batch(items)) => {
                    let (steps, stop) = begun.stream.take(&items);
                    self.batch(Taken { items, steps, stop }, &mut begun).await
                }
                Ok(ToCollector::Renew(csr)) => self.renew(csr).await,
                Ok(ToCollector::Bye) => return None,
                Ok(ToCollector::Hello(_)) => return self.malformed("it greets twice"),
                Err(error) => return self.malformed(&error.to_string()),
            };
            if let Err(end) = end {
                return end;
            }
        }
    }

    async fn batch(&self, Taken { items, steps, stop }: Taken, begun: &mut Begun) -> Result<(), End> {
        let Begun { stream, dictionary, skew_ms, backlog, one } = begun;
        let said_nothing_new = steps.is_empty() && stop == Some(Stop::StillMissing);
        if said_nothing_new || items.is_empty() {
            return Ok(());
        }
        let epoch = stream.epoch();
        let raw: usize = items.iter().map(raw_size).sum();
        let batch = if raw <= SMALL {
            Batch::open(epoch, items, (&steps, stop), dictionary)
        } else {
            // big ones are opened on other threads, a few at a time, each in bounded memory
            let permit = self.opening.clone().acquire_owned().await;
            let mut words = std::mem::take(dictionary);
            let opened = tokio::task::spawn_blocking(move || {
                let batch = Batch::open(epoch, items, (&steps, stop), &mut words);
                drop(permit);
                (batch, words)
            });
            let (batch, words) = opened.await.map_err(|error| self.failed("open a batch", &error.into()))?;
            *dictionary = words;
            batch
        };
        let raw = batch.raw;
        if !batch.is_empty() {
            let received = self.parts.clock.now();
            let from = From { host: self.host, skew_ms: *skew_ms, received, backlog: *backlog };
            let (pipeline, replaced, weight) = (self.parts.pipeline.clone(), one.closed.clone(), batch.weight);
            let write = move |tx: &mut dyn Tx| {
                if replaced.borrow().is_some() {
                    return Ok(Outcome::Replaced);
                }
                batch.write(tx, pipeline.as_ref(), &from)
            };
            match self.parts.writer.call(weight, write).await {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Fork) => return Err(Self::retry(RetryCode::Fork, Duration::from_secs(1))),
                Ok(Outcome::Refused(state)) => return Err(self.refused(state)),
                Ok(Outcome::Replaced) => return Err(self.closed(Closed::Replaced)),
                Err(error) => return Err(self.failed("a batch is not committed", &error)),
            }
        }
        if !self.send(self.ack(stream)).await {
            return Err(None);
        }
        if let Some(Stop::Missing(from)) = stop {
            let gap = Retry { code: RetryCode::Gap, after_ms: 0, resend_from: from };
            if !self.send(ToAgent::Retry(gap)).await {
                return Err(None);
            }
        }
        self.rest(raw).await
    }

    /// Lets a host that sends too much wait before the next batch is read.
    async fn rest(&self, raw: usize) -> Result<(), End> {
        let rest = self.parts.connections.charge(&self.host, raw);
        if rest.is_zero() {
            return Ok(());
        }
        tracing::debug!("host {} sends more than its share and waits {rest:?}", self.host);
        let mut cut = self.peer.closed.clone();
        tokio::select! {
            () = tokio::time::sleep(rest.min(REST)) => Ok(()),
            why = closed(&mut cut) => Err(self.closed(why)),
        }
    }

    async fn renew(&self, csr: Vec<u8>) -> Result<(), End> {
        let (issuer, now) = (self.parts.issuer.clone(), self.parts.clock.now());
        let renewed = issuer.renew(&self.parts.writer, self.peer.certificate.as_ref(), csr, now).await;
        match renewed {
            Ok(Ok(issued)) => {
                let renewed =
                    Renewed { chain: issued.chain, not_before: issued.not_before, not_after: issued.not_after };
                if self.send(ToAgent::Renewed(renewed)).await { Ok(()) } else { Err(None) }
            }
            Ok(Err(RenewRefusal::State(state))) => Err(self.refused(state)),
            Ok(Err(RenewRefusal::Conflict)) => Err(Self::retry(RetryCode::Revoked, Duration::ZERO)),
            Ok(Err(RenewRefusal::Busy)) => Ok(()), // the agent asks again within the hour, and has a week
            Ok(Err(refusal @ (RenewRefusal::Unknown | RenewRefusal::Request(_)))) => {
                tracing::warn!("host {}: no new certificate: {refusal:?}", self.host);
                Err(None)
            }
            Err(error) => Err(self.failed("renewal", &error)),
        }
    }

    fn closed(&self, why: Closed) -> End {
        tracing::info!("host {}: the stream ends: {why:?}", self.host);
        match why {
            Closed::Replaced => Self::retry(RetryCode::Busy, Duration::from_secs(30)),
            Closed::Refused | Closed::Stopping => Self::retry(RetryCode::Busy, Duration::from_secs(1)),
            Closed::Expired | Closed::Silent => None,
        }
    }

    fn malformed(&self, why: &str) -> End {
        tracing::warn!("host {}: a frame is refused: {why}", self.host);
        Self::retry(RetryCode::Limit, Duration::from_secs(60))
    }

    fn window(&self) -> (u32, u32) {
        let part = if self.parts.writer.is_loaded() { LOADED } else { 1 };
        (limits::WINDOW_RECORDS / part, limits::WINDOW_BYTES / part)
    }

    fn ack(&self, stream: &Stream) -> ToAgent {
        let ((next, head_hash), (window_records, window_bytes)) = (stream.head(), self.window());
        let through = next.saturating_sub(1);
        let time = self.parts.clock.now();
        ToAgent::Ack(Ack { epoch: stream.epoch(), through, head_hash, window_records, window_bytes, time })
    }
}

/// A batch as the state machine has sorted it.
struct Taken {
    items: Vec<Item>,
    steps: Vec<Step>,
    stop: Option<Stop>,
}

fn raw_size(item: &Item) -> usize {
    match item {
        Item::Record(record) => record.header.raw_len as usize,
        Item::Tombstone(_) => 0,
    }
}

/// Numbers that no agent would say.
fn sound(hello: &Hello) -> bool {
    (1..=hello.next_seq).contains(&hello.first_seq) && hello.acked_seq < hello.next_seq
}

async fn closed(receiver: &mut watch::Receiver<Option<Closed>>) -> Closed {
    match receiver.wait_for(Option::is_some).await {
        Ok(why) => why.unwrap_or(Closed::Stopping),
        Err(_) => Closed::Stopping,
    }
}
