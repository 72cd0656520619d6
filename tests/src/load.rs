//! The load of a fleet: many simulated agents in this process, each with its own certificate, connection and chain, over real
//! mutual TLS on loopback. What they send is made by the agent's own code for records, frames and channels; only looking
//! and spooling are left out.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use plumb_agent::deliver::channel::channel;
use plumb_agent::deliver::identity::Identity;
use plumb_agent::deliver::identity::enroll::{EnrollOptions, enroll};
use plumb_agent::deliver::tls::{connect, ingest_config};
use plumb_agent::deliver::trusted_time::TrustedTime;
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{Hello, Item, ToAgent, ToCollector};
use plumb_proto::generated::ingest as pb;
use plumb_proto::generated::ingest::ingest_client::IngestClient;
use plumb_proto::model::{
    Begin, ColumnDecl, ColumnType, Fact, Outcome, Payload, Report, Role, Slice, TableDecl, Tell, Value,
};
use plumb_proto::record::{Epoch, Hash, Moment, Sealer, genesis};
use plumb_proto::secret::Secret;
use plumb_proto::time::{Clock, SystemClock, Timestamp};
use plumb_proto::wire::encode;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;

use crate::lab::Lab;
use crate::trace::{Trace, Walk};

/// Samples in a record.
const TICKS: usize = 6;
/// From record to record.
const RECORD: Duration = Duration::from_secs(60);
/// Every so many records a fact has changed.
const CHANGE: u64 = 10;
/// Watchers that tell the samples of a host.
const WATCHERS: usize = 6;

/// What the agents have seen of the collector so far.
#[derive(Default)]
pub struct Seen {
    /// From sending a record to its ack.
    pub acks: Vec<Duration>,
    /// Records sent.
    pub sent: u64,
    /// Streams that ended although nobody asked them to, and why the last did.
    pub broken: (u64, String),
}

/// Enrols `count` hosts; identities that lie in `folder` from an earlier run are used again.
///
/// # Panics
/// The collector refuses one.
pub fn identities(lab: &Lab, folder: &Path, count: usize) -> Vec<Identity> {
    let token = lab.token(&["--uses", &count.to_string(), "--ttl", "2h"]);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let enrol = |number: usize| {
        let dir = folder.join(number.to_string());
        let options = EnrollOptions {
            collector: format!("https://127.0.0.1:{}", lab.enroll_port()),
            token: Secret::new(token.as_str()),
            dir: dir.clone(),
            hostname: format!("web{number:05}"),
        };
        for _ in 0..200 {
            match enroll(&options, clock.clone()) {
                Ok(_) => return loaded(&dir),
                // the issuer gives a few certificates a second, no more
                Err(error) if format!("{error:#}").contains("too many") => {
                    std::thread::sleep(Duration::from_millis(100))
                }
                Err(error) => panic!("enrol {number}: {error:#}"),
            }
        }
        panic!("host {number} is not enrolled in time")
    };
    (0..count).map(enrol).collect()
}

fn loaded(dir: &Path) -> Identity {
    Identity::load(dir).expect("an identity").0.expect("an identity that is in use")
}

/// Lets all of them report at full rate for `span`, spread over the minute as agents are.
///
/// # Panics
/// Nothing can be sent at all.
#[must_use]
pub fn run(port: u16, identities: Vec<Identity>, span: Duration, mut each_minute: impl FnMut(u64)) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let trace: &'static Trace = Box::leak(Box::new(Trace::load(1)));
    let seen = Rc::new(RefCell::new(Seen::default()));
    let sealer = Rc::new(RefCell::new(Sealer::new().expect("zstd")));
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let end = Instant::now() + span;
        let all = identities.len();
        for (number, identity) in identities.into_iter().enumerate() {
            let agent = Agent::new(trace, number, all, sealer.clone());
            let seen = seen.clone();
            tokio::task::spawn_local(async move {
                let ended = agent.report(port, &identity, &seen).await;
                let mut seen = seen.borrow_mut();
                seen.broken.0 += 1;
                seen.broken.1 = ended.err().map_or_else(|| "it was closed".to_owned(), |error| format!("{error:#}"));
            });
        }
        for minute in 1.. {
            let next = Instant::now() + RECORD;
            if next > end {
                sleep_until(end).await;
                break;
            }
            sleep_until(next).await;
            each_minute(minute);
        }
    });
    std::mem::take(&mut *seen.borrow_mut())
}

/// One simulated agent.
struct Agent {
    number: usize,
    phase: Duration,
    walk: Walk<'static>,
    sealer: Rc<RefCell<Sealer>>,
    dictionary: Dictionary,
    epoch: Epoch,
    prev: Hash,
    next: u64,
}

impl Agent {
    fn new(trace: &'static Trace, number: usize, of: usize, sealer: Rc<RefCell<Sealer>>) -> Self {
        let mut epoch = Epoch([0; 16]);
        let started = SystemClock::default().now().millis().to_be_bytes();
        epoch.0[..8].copy_from_slice(&started);
        epoch.0[8..].copy_from_slice(&(number as u64).to_be_bytes());
        let phase = RECORD * u32::try_from(number).expect("small") / u32::try_from(of.max(1)).expect("small");
        let begin = SystemClock::default().now() - RECORD + phase;
        let walk = Walk::new(trace, number as u64 + 1, begin, WATCHERS);
        Self { number, phase, walk, sealer, dictionary: Dictionary::default(), epoch, prev: genesis(epoch), next: 1 }
    }

    async fn report(mut self, port: u16, identity: &Identity, seen: &RefCell<Seen>) -> anyhow::Result<()> {
        // connections come one after the other, as they do when a fleet is not restarted at once
        tokio::time::sleep(self.phase / 6).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let time = Arc::new(TrustedTime::new(clock.clone()));
        let config = ingest_config(&identity.root, identity.chain.clone(), identity.key()?, time)?;
        let tls = connect("127.0.0.1", port, "127.0.0.1", config).await?;
        let (channel, _broken) = channel(tls).await?;
        let (out, frames) = mpsc::channel::<pb::ToCollector>(16);
        out.send(ToCollector::Hello(self.hello(clock.now())).into()).await?;
        let answer = IngestClient::new(channel).report(ReceiverStream::new(frames)).await?;
        let mut answers = answer.into_inner();
        let mut flying: Vec<(u64, Instant)> = Vec::new();
        let mut due = Instant::now() + self.phase;
        loop {
            tokio::select! {
                frame = answers.message() => {
                    let Some(frame) = frame? else { return Ok(()) };
                    if let ToAgent::Ack(ack) = ToAgent::try_from(frame)? {
                        let mut seen = seen.borrow_mut();
                        seen.acks.extend(flying.extract_if(.., |(seq, _)| *seq <= ack.through).map(|(_, at)| at.elapsed()));
                    }
                }
                () = sleep_until(due) => {
                    due += RECORD;
                    let seq = self.next;
                    let item = Item::Record(self.record(clock.now())?);
                    flying.push((seq, Instant::now()));
                    out.send(ToCollector::Batch(vec![item]).into()).await?;
                    seen.borrow_mut().sent += 1;
                }
            }
        }
    }

    fn hello(&self, clock: Timestamp) -> Hello {
        Hello {
            protocols: (1, 1),
            features: 0,
            build: plumb_proto::VERSION.to_owned(),
            epoch: self.epoch,
            first_seq: 1,
            prev_of_first: genesis(self.epoch),
            next_seq: 1,
            acked_seq: 0,
            acked_hash: Hash::default(),
            dict_digest: Hash::default(),
            clock,
        }
    }

    /// The next minute: six ticks of every series, a look that found nothing new, now and then a fact that changed.
    fn record(&mut self, now: Timestamp) -> anyhow::Result<plumb_proto::record::Record> {
        let (seq, first) = (self.next, self.next == 1);
        let changed = first || seq % CHANGE == (self.number as u64) % CHANGE;
        let slices = changed.then(|| Slice {
            table: "mount".to_owned(),
            tell: if first { Tell::FullOnly } else { Tell::Delta },
            facts: vec![self.mount(seq)],
            gone: Vec::new(),
        });
        let report = Report {
            watcher: "disk".to_owned(),
            look: seq,
            at: now,
            outcome: Outcome::Done,
            slices: slices.into_iter().collect(),
            events: Vec::new(),
            problems: Vec::new(),
        };
        let begin = first.then(|| Begin {
            old_epoch: [0; 16],
            old_seq: 0,
            old_hash: [0; 32],
            reason: plumb_agent::state::FIRST_START.to_owned(),
        });
        let payload = Payload {
            begin,
            tables: if first { vec![mount_table()] } else { Vec::new() },
            reports: vec![report],
            blocks: self.walk.blocks(TICKS),
        };
        let (raw, class) = encode(&payload, &mut self.dictionary)?;
        let moment = Moment { boot_id: [1; 16], t_boot_ns: seq * 60_000_000_000, wall: now };
        let record = self.sealer.borrow_mut().seal((self.epoch, seq, self.prev), moment, class, &raw)?;
        self.prev = record.hash();
        self.next += 1;
        Ok(record)
    }

    fn mount(&self, seq: u64) -> Fact {
        let size = 20_480_000_000 + i64::try_from(seq).expect("small");
        let fields =
            [("device", Value::from("/dev/vda1")), ("fstype", Value::from("ext4")), ("size_bytes", size.into())];
        Fact {
            key: "/".into(),
            source: "/proc/self/mountinfo".into(),
            fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Fact::default()
        }
    }
}

/// A part of the table `mount` as an agent declares it.
fn mount_table() -> TableDecl {
    let column =
        |name: &str, kind, role| ColumnDecl { name: name.to_owned(), kind, role, doc: "Of a mount.".to_owned() };
    TableDecl {
        name: "mount".to_owned(),
        doc: "File systems that are mounted. Key: where.".to_owned(),
        columns: vec![
            column("device", ColumnType::Text, Role::State),
            column("fstype", ColumnType::Text, Role::State),
            column("size_bytes", ColumnType::Int, Role::Moving),
        ],
    }
}
