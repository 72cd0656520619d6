//! An engine under test, and a host that reports to it through the real encoding.

use anyhow::{Result, bail};
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{DropReason, Tombstone};
use plumb_proto::model::{
    Block, ColumnDecl, ColumnType, Event, Fact, MetricType, Outcome, Payload, Report, Role, Series, Severity, Slice,
    TableDecl, Tell, Value,
};
use plumb_proto::record::{Epoch, Hash, HostId, Moment, Record, Sealer, genesis};
use plumb_proto::time::Timestamp;
use plumb_proto::wire;

use crate::store::rows::{HostRow, HostState};
use crate::store::{Incoming, Questions, Store, Tx};
use crate::stores::sqlite::testing::Folder;
use crate::view::{HostView, Touched};

/// A store that can be closed and opened again.
pub struct Bench {
    address: String,
    store: Option<Box<dyn Store>>,
    _folder: Folder,
}

/// Runs a test once per engine.
pub fn each_engine(test: impl Fn(&mut Bench)) {
    let folder = Folder::empty();
    let address = format!("sqlite:{}", folder.file("plumb.db").display());
    test(&mut Bench { store: Some(crate::stores::open(&address).unwrap()), address, _folder: folder });
}

impl Bench {
    /// As after a restart: nothing is in memory.
    pub fn reopen(&mut self) {
        self.store = None;
        self.store = Some(crate::stores::open(&self.address).unwrap());
    }

    /// One transaction.
    pub fn commit<T>(&mut self, work: impl FnMut(&mut dyn Tx) -> Result<T>) -> Result<T> {
        commit(self.store.as_mut().unwrap().as_mut(), work)
    }

    /// One that must go well.
    pub fn tx<T>(&mut self, work: impl FnMut(&mut dyn Tx) -> Result<T>) -> T {
        self.commit(work).unwrap()
    }

    /// A reader of its own.
    pub fn ask(&mut self) -> Box<dyn Questions> {
        self.store.as_ref().unwrap().questions().unwrap()
    }

    /// The view as it is cached.
    pub fn view(&mut self, host: &HostId) -> HostView {
        self.tx(|tx| Ok((*tx.view(host)?).clone()))
    }

    /// The view as it is in the database.
    pub fn kept_view(&mut self, host: &HostId) -> HostView {
        self.ask().view(host).unwrap()
    }

    /// Enrols a host whose id is made of `digit`.
    pub fn enrol(&mut self, digit: u8, name: &str) -> Sender {
        let host = host_row(digit, name);
        self.tx(|tx| tx.save_host(&host));
        Sender::new(host.id, Epoch([digit; 16]))
    }
}

/// One transaction, with an answer.
pub fn commit<T>(store: &mut dyn Store, mut work: impl FnMut(&mut dyn Tx) -> Result<T>) -> Result<T> {
    let mut answer = None;
    store.commit(&mut |tx| {
        answer = Some(work(tx)?);
        Ok(())
    })?;
    Ok(answer.unwrap())
}

/// When everything here happens.
pub const NOON: Timestamp = Timestamp::from_secs(1_795_262_400);

/// Seconds after noon.
pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(NOON.millis() + secs * 1000)
}

pub fn host_row(digit: u8, name: &str) -> HostRow {
    HostRow {
        id: HostId([digit; 16]),
        name: name.to_owned(),
        state: HostState::Active,
        groups: [("client".to_owned(), "acme".to_owned())].into(),
        enrolled: NOON,
        last_seen: None,
        skew_ms: 0,
        build: "0.1.0".to_owned(),
        generation: 1,
    }
}

/// The agent's side of one epoch.
pub struct Sender {
    pub host: HostId,
    pub epoch: Epoch,
    pub next: u64,
    pub prev: Hash,
    pub skew_ms: i64,
    pub received: Timestamp,
    pub dictionary: Dictionary,
    pub sealer: Sealer,
}

impl Sender {
    pub fn new(host: HostId, epoch: Epoch) -> Self {
        let (dictionary, sealer) = (Dictionary::default(), Sealer::new().unwrap());
        Self { host, epoch, next: 1, prev: genesis(epoch), skew_ms: 0, received: NOON, dictionary, sealer }
    }

    /// The next record.
    pub fn seal(&mut self, payload: &Payload) -> Record {
        let (raw, class) = wire::encode(payload, &mut self.dictionary).unwrap();
        let moment = Moment { boot_id: [1; 16], t_boot_ns: 1, wall: self.received };
        let record = self.sealer.seal((self.epoch, self.next, self.prev), moment, class, &raw).unwrap();
        (self.next, self.prev) = (self.next + 1, record.hash());
        record
    }

    /// The collector's side, within a transaction.
    pub fn take(&self, tx: &mut dyn Tx, record: &Record) -> Result<Option<Touched>> {
        let mut dictionary = tx.dictionary(&self.host, &record.header.epoch)?;
        let mark = dictionary.mark();
        let payload = wire::decode(&record.open()?, &mut dictionary).map_err(|error| error.to_string());
        tx.append(&Incoming {
            host: &self.host,
            record,
            payload: payload.as_ref().map_err(String::as_str),
            declared: dictionary.declared_since(mark).as_deref(),
            received: self.received,
            skew_ms: self.skew_ms,
        })
    }

    /// Sends the next record in a transaction of its own.
    pub fn send(&mut self, bench: &mut Bench, payload: &Payload) -> Touched {
        let record = self.seal(payload);
        bench.tx(|tx| self.take(tx, &record)).expect("it is new")
    }

    /// Sends one that cannot be opened.
    pub fn send_garbage(&mut self, bench: &mut Bench, size: usize) {
        let noise: Vec<u8> = (0..size).map(|i| (i * i * 31 % 251) as u8).collect();
        let mut record = self.seal(&Payload::default());
        record.header.payload_len = u32::try_from(size).unwrap();
        record.payload = noise;
        self.prev = record.hash();
        let touched = bench.tx(|tx| {
            tx.append(&Incoming {
                host: &self.host,
                record: &record,
                payload: Err("payload does not decompress to what its header says"),
                declared: None,
                received: self.received,
                skew_ms: 0,
            })
        });
        assert_eq!(touched, Some(Touched::default()));
    }

    /// Drops `count` records instead of sending them.
    pub fn drop_run(&mut self, count: u64) -> Tombstone {
        let first = self.next;
        (0..count).for_each(|_| drop(self.seal(&Payload::default())));
        let last_hash = self.prev;
        Tombstone { first, last: self.next - 1, last_hash, records: count, bytes: 99, reason: DropReason::SpoolFull }
    }
}

/// The table that the host of these tests fills.
pub fn php() -> TableDecl {
    let column = |name: &str, kind, role| ColumnDecl { name: name.to_owned(), kind, role, doc: format!("{name}.") };
    TableDecl {
        name: "php".to_owned(),
        doc: "PHPs, by sapi and branch.".to_owned(),
        columns: vec![
            column("version", ColumnType::Version, Role::State),
            column("binary", ColumnType::Text, Role::State),
            column("requests", ColumnType::Int, Role::Moving),
        ],
    }
}

pub fn fact(key: &str, version: &str) -> Fact {
    Fact {
        key: key.into(),
        source: "/usr/sbin".into(),
        fields: [("version".to_owned(), Value::Version(version.into()))].into(),
        unknown: [("binary".to_owned(), "permission denied".to_owned())].into(),
    }
}

pub fn slice(tell: Tell, facts: Vec<Fact>) -> Slice {
    Slice { table: "php".to_owned(), tell, facts, gone: Vec::new() }
}

pub fn report(look: u64, outcome: Outcome, slices: Vec<Slice>) -> Report {
    let at = at(i64::try_from(look).unwrap() * 60);
    Report { watcher: "php".to_owned(), look, at, outcome, slices, events: Vec::new(), problems: Vec::new() }
}

pub fn event(kind: &str, text: &str) -> Event {
    let fields = [("pid".to_owned(), Value::Int(7))].into();
    let text = text.as_bytes().into();
    Event { at: at(5), kind: kind.to_owned(), severity: Severity::Warning, text, fields, count: 1 }
}

/// Samples of two series, a counter and a gauge that could not be read once.
pub fn block(start: i64, counter: &[f64]) -> Block {
    let series = |name: &str| Series { name: name.to_owned(), labels: [("mount".to_owned(), "/".into())].into() };
    let times = (0i64..).zip(counter).map(|(tick, _)| at(start + tick * 10)).collect();
    let gauge = counter.iter().enumerate().map(|(tick, _)| (tick != 1).then_some(0.5)).collect();
    Block {
        watcher: "disk".to_owned(),
        times,
        columns: vec![
            (series("disk_errors_total"), MetricType::Counter, counter.iter().copied().map(Some).collect()),
            (series("disk_used_ratio"), MetricType::Gauge, gauge),
        ],
    }
}

/// A payload with one report.
pub fn say(report: Report) -> Payload {
    Payload { tables: vec![php()], reports: vec![report], ..Payload::default() }
}

/// A complete look at these rows.
pub fn full(look: u64, facts: Vec<Fact>) -> Payload {
    say(report(look, Outcome::Done, vec![slice(Tell::FullOnly, facts)]))
}

/// A look that confirms everything.
pub fn bare(look: u64) -> Payload {
    Payload { reports: vec![report(look, Outcome::Done, Vec::new())], ..Payload::default() }
}

/// Fails a transaction after its work was done.
pub fn fail<T>() -> Result<T> {
    bail!("as if the disk were full")
}
