//! An agent's network half, with an observe half that tells what the test wants.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use plumb_agent::deliver;
use plumb_agent::deliver::identity::Identity;
use plumb_agent::deliver::identity::enroll::{EnrollOptions, Enrolled, enroll};
use plumb_agent::link::{ObserveEnd, link};
use plumb_agent::state::frames::{LinkState, Position, ToDeliver, ToObserve};
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::Item;
use plumb_proto::model::{Event, Outcome, Payload, Report, Severity};
use plumb_proto::record::{Class, Epoch, Hash, Moment, Record, Sealer, genesis};
use plumb_proto::secret::Secret;
use plumb_proto::time::{Clock, ManualClock, Timestamp};
use plumb_proto::wire;
use tokio::sync::watch;

use crate::collector::Collector;

/// What the observe half of a test has and has heard.
pub struct Spool {
    pub epoch: Epoch,
    pub items: Vec<Item>,
    /// Replaces the numbers of the Hello, where a test wants to lie.
    pub position: Option<Position>,
    /// What the Hello says of the ack, and what was acknowledged since.
    pub acked: (u64, Hash),
    pub states: Vec<LinkState>,
    pub forks: u32,
    pub want: u32,
    next: u64,
    prev: Hash,
    sealer: Sealer,
    dictionary: Dictionary,
}

impl Spool {
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            items: Vec::new(),
            position: None,
            acked: (0, Hash::default()),
            states: Vec::new(),
            forks: 0,
            want: 0,
            next: 1,
            prev: genesis(epoch),
            sealer: Sealer::new().unwrap(),
            dictionary: Dictionary::default(),
        }
    }

    /// Seals a record that tells one event, and keeps it.
    pub fn event(&mut self, text: &str, at: Timestamp) {
        let event = Event {
            at,
            kind: "line".into(),
            severity: Severity::Info,
            text: text.into(),
            fields: std::collections::BTreeMap::new(),
            count: 1,
        };
        let report = Report {
            watcher: "test".into(),
            look: self.next,
            at,
            outcome: Outcome::Done,
            slices: Vec::new(),
            events: vec![event],
            problems: Vec::new(),
        };
        let payload = Payload { reports: vec![report], ..Payload::default() };
        let (raw, class) = wire::encode(&payload, &mut self.dictionary).unwrap();
        self.raw(class, &raw);
    }

    /// Seals a record of any bytes, and keeps it.
    pub fn raw(&mut self, class: Class, raw: &[u8]) -> Record {
        let at = Moment { boot_id: [1; 16], t_boot_ns: self.next, wall: Timestamp::from_secs(0) };
        let record = self.sealer.seal((self.epoch, self.next, self.prev), at, class, raw).unwrap();
        self.push(record.clone());
        record
    }

    /// Keeps a record as it is, right or wrong.
    pub fn push(&mut self, record: Record) {
        self.prev = record.hash();
        self.next = record.header.seq + 1;
        self.items.push(Item::Record(record));
    }

    fn position(&self) -> Position {
        self.position.clone().unwrap_or(Position {
            epoch: self.epoch,
            first_seq: 1,
            prev_of_first: genesis(self.epoch),
            next_seq: self.next,
            acked_seq: self.acked.0,
            acked_hash: self.acked.1,
            dict_digest: self.dictionary.digest(),
        })
    }

    fn answer(&mut self, frame: ToObserve) -> Option<ToDeliver> {
        match frame {
            ToObserve::Position => return Some(ToDeliver::Position(self.position())),
            ToObserve::Fetch { from, records, .. } => {
                let items = self.items.iter().skip_while(|item| item.range().1 < from).take(records);
                return Some(ToDeliver::Items(items.cloned().collect()));
            }
            ToObserve::Acked(ack) => self.acked = (ack.through, ack.head_hash),
            ToObserve::Want(want) => self.want |= want,
            ToObserve::Fork => self.forks += 1,
            ToObserve::Link(state) => self.states.push(state),
        }
        None
    }
}

/// A host: identity and spool stay, the running halves come and go.
pub struct Host {
    pub dir: PathBuf,
    pub enrolled: Enrolled,
    pub spool: Arc<Mutex<Spool>>,
    pub clock: Arc<ManualClock>,
    running: Option<(watch::Sender<bool>, JoinHandle<()>, JoinHandle<()>)>,
}

pub fn options(collector: &Collector, dir: &Path, token: &Secret) -> EnrollOptions {
    EnrollOptions {
        collector: format!("https://{}", collector.enroll),
        token: Secret::new(token.expose()),
        dir: dir.join("identity"),
        hostname: "web1".into(),
    }
}

impl Host {
    pub fn enroll(collector: &Collector, dir: &Path) -> Self {
        let token = collector.token(1);
        let clock = collector.clock.clone();
        let enrolled = enroll(&options(collector, dir, &token), clock.clone()).unwrap();
        let spool = Arc::new(Mutex::new(Spool::new(Epoch([3; 16]))));
        Self { dir: dir.join("identity"), enrolled, spool, clock, running: None }
    }

    /// A copy of the machine: the same identity, a spool of its own.
    pub fn copy(&self, dir: PathBuf) -> Self {
        let spool = Arc::new(Mutex::new(Spool::new(Epoch([4; 16]))));
        Self { dir, enrolled: self.enrolled.clone(), spool, clock: self.clock.clone(), running: None }
    }

    pub fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap()
    }

    pub fn event(&self, text: &str) {
        self.spool().event(text, self.clock.now());
    }

    pub fn identity(&self) -> Identity {
        Identity::load(&self.dir).unwrap().0.unwrap()
    }

    pub fn last_state(&self) -> Option<LinkState> {
        self.spool().states.last().cloned()
    }

    /// Why it does not deliver, if it says so.
    pub fn trouble(&self) -> String {
        match self.last_state() {
            Some(LinkState::Connecting(why)) => why,
            _ => String::new(),
        }
    }

    pub fn run(&mut self) {
        let (observe, end) = link().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (spool, mut gone) = (self.spool.clone(), stop.subscribe());
        let (dir, clock) = (self.dir.clone(), self.clock.clone());
        let deliver = std::thread::spawn(move || deliver::run(end, dir, clock, stopped).unwrap());
        let observe = std::thread::spawn(move || {
            let mut observe: ObserveEnd = observe;
            let mut told = 0;
            while !*gone.borrow_and_update() {
                let mut spool = spool.lock().unwrap();
                while let Some(frame) = observe.try_recv() {
                    if let Some(answer) = spool.answer(frame) {
                        observe.send(answer);
                    }
                }
                if spool.next != told {
                    told = spool.next;
                    observe.send(ToDeliver::Available(told));
                }
                drop(spool);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        self.running = Some((stop, deliver, observe));
    }

    pub fn stop(&mut self) {
        if let Some((stop, deliver, observe)) = self.running.take() {
            stop.send_replace(true);
            let ended = [deliver.join(), observe.join()];
            assert!(ended.iter().all(Result::is_ok) || std::thread::panicking());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}
