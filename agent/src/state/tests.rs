mod damaged;
mod forked;
mod full;
mod kept;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plumb_proto::frame::{Ack, Item, Tombstone};
use plumb_proto::model::{Block, Event, MetricType, Outcome, Report, Series, Severity};
use plumb_proto::record::{Epoch, Hash, Record, genesis};
use plumb_proto::time::Timestamp;

use super::disk::Room;
use super::testing::{Folder, roomy};
use super::*;

const AT: Moment = Moment { boot_id: [1; 16], t_boot_ns: 5, wall: Timestamp::from_secs(9) };
const MINUTE: Duration = Duration::from_mins(1);

fn options(folder: &Folder) -> Options {
    Options { folder: folder.path().to_owned(), bound: 8 << 20, ask: roomy() }
}

fn open(folder: &Folder) -> State {
    State::open(options(folder), Duration::ZERO).unwrap()
}

fn report(text: &str) -> Part {
    let event = Event {
        at: Timestamp::from_secs(1),
        kind: "line".to_owned(),
        severity: Severity::Info,
        text: text.into(),
        fields: BTreeMap::new(),
        count: 1,
    };
    let report = Report {
        watcher: "test".to_owned(),
        look: 1,
        at: Timestamp::from_secs(1),
        outcome: Outcome::Done,
        slices: Vec::new(),
        events: vec![event],
        problems: Vec::new(),
    };
    Part { payload: Payload { reports: vec![report], ..Payload::default() }, repeats: false }
}

/// Samples that do not compress: about `bytes` of them.
fn samples(bytes: usize, seed: &mut u64) -> Part {
    let mut next = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(f64::from_bits(*seed >> 2))
    };
    let ticks = bytes / 8 / 5;
    let mut column = |name: &str| {
        let series = Series { name: name.to_owned(), labels: BTreeMap::new() };
        (series, MetricType::Gauge, (0..ticks).map(|_| next()).collect())
    };
    let block = Block {
        watcher: "test".to_owned(),
        times: (0..i64::try_from(ticks).unwrap()).map(Timestamp::from_secs).collect(),
        columns: ["a", "b", "c", "d", "e"].into_iter().map(&mut column).collect(),
    };
    Part { payload: Payload { blocks: vec![block], ..Payload::default() }, repeats: false }
}

fn append(state: &mut State, part: Part, passed: Duration) -> Result<(), StateError> {
    state.append(&Batch { parts: &[part], cursors: &[], kept: &[], look: 1 }, AT, passed)
}

fn ack(state: &State, through: u64, hash: Hash) -> Ack {
    let epoch = state.position().unwrap().epoch;
    Ack { epoch, through, head_hash: hash, window_records: 1, window_bytes: 1, time: Timestamp::from_secs(1) }
}

fn records(state: &State) -> Vec<Record> {
    let only = |item| match item {
        Item::Record(record) => record,
        Item::Tombstone(gap) => panic!("a gap: {gap:?}"),
    };
    all(state).into_iter().map(only).collect()
}

/// Everything there is, fetched in small steps.
fn all(state: &State) -> Vec<Item> {
    let (mut items, mut from) = (Vec::new(), 1);
    loop {
        let step = state.fetch(from, 7, 100_000).unwrap();
        let Some(last) = step.last() else { return items };
        from = last.range().1 + 1;
        items.extend(step);
    }
}

/// Checks that the items follow each other without a hole, from the first hash to the head.
fn verify(state: &State) {
    let position = state.position().unwrap();
    let (mut next, mut head) = (position.first_seq, position.prev_of_first);
    for item in all(state) {
        assert_eq!(item.range().0, next);
        next = item.range().1 + 1;
        head = match item {
            Item::Record(record) => {
                assert_eq!(record.prev, head);
                record.hash()
            }
            Item::Tombstone(gap) => gap.last_hash,
        };
    }
    assert_eq!((next, head), (position.next_seq, state.identity.last_hash));
}

fn texts(state: &State) -> Vec<String> {
    let mut dictionary = Dictionary::default();
    let mut texts = Vec::new();
    for item in all(state) {
        let Item::Record(record) = item else { continue };
        let payload = wire::decode(&record.open().unwrap(), &mut dictionary).unwrap();
        for report in payload.reports {
            texts.extend(report.events.iter().map(|event| event.text.to_string()));
        }
    }
    texts
}

#[test]
fn what_was_committed_is_there_after_a_crash_and_what_was_not_is_not() {
    let folder = Folder::new();
    let mut state = open(&folder);
    let cursors = [("logs", "/var/log/x".to_owned(), vec![7])];
    state
        .append(&Batch { parts: &[report("one"), report("two")], cursors: &cursors, kept: &[], look: 3 }, AT, MINUTE)
        .unwrap();
    let before = state.position().unwrap();
    state.db.execute_batch("BEGIN; DELETE FROM records; DELETE FROM cursors; PRAGMA cache_spill = 1").unwrap();
    let crashed = Folder::new(); // what the disk holds at this moment
    for file in ["state.db", "state.db-wal"] {
        std::fs::copy(folder.path().join(file), crashed.path().join(file)).unwrap();
    }
    let state = open(&crashed);
    assert_eq!(state.position().unwrap(), before);
    assert_eq!(texts(&state), ["one", "two"]);
    assert_eq!(state.cursor("logs", "/var/log/x").unwrap(), Some(vec![7]));
    assert_eq!((state.look(), state.age(MINUTE)), (3, 2 * MINUTE));
    verify(&state);
}

#[test]
fn the_first_record_says_that_this_is_the_first_start() {
    let folder = Folder::new();
    let mut state = open(&folder);
    assert_eq!(state.begins().unwrap().reason, "first start");
    append(&mut state, report("hello"), MINUTE).unwrap();
    assert!(state.begins().is_none());
    let record = &records(&state)[0];
    assert_eq!((record.header.class, record.prev), (Class::Declarations, genesis(record.header.epoch)));
    let payload = wire::decode(&record.open().unwrap(), &mut Dictionary::default()).unwrap();
    assert_eq!(payload.begin.unwrap().reason, "first start");
}

#[test]
fn declarations_survive_a_restart_and_can_be_told_again() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    drop(state);
    let mut state = open(&folder);
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    let classes: Vec<Class> = records(&state).iter().map(|record| record.header.class).collect();
    assert_eq!(classes, [Class::Declarations, Class::Samples]);
    state.append_declarations(AT, MINUTE).unwrap();
    let told = records(&state).pop().unwrap();
    let mut dictionary = Dictionary::default();
    wire::decode(&told.open().unwrap(), &mut dictionary).unwrap();
    assert_eq!((told.header.class, dictionary.digest()), (Class::Declarations, state.position().unwrap().dict_digest));
    verify(&state);
}

#[test]
fn an_ack_is_believed_only_if_it_names_a_record_of_this_chain() {
    let folder = Folder::new();
    let mut state = open(&folder);
    (0..3).for_each(|_| append(&mut state, report("x"), MINUTE).unwrap());
    let second = records(&state)[1].hash();
    let wrong = Ack { epoch: Epoch([9; 16]), ..ack(&state, 2, second) };
    for foreign in [wrong, ack(&state, 2, Hash([3; 32])), ack(&state, 4, Hash::default()), ack(&state, 3, second)] {
        assert_eq!(state.acked(&foreign).unwrap(), Acked::Foreign);
    }
    assert_eq!(state.acked_seq(), 0);
    assert_eq!(state.acked(&ack(&state, 2, second)).unwrap(), Acked::News);
    assert_eq!(state.acked(&ack(&state, 2, second)).unwrap(), Acked::Known);
    assert_eq!((state.acked_seq(), state.waiting().records), (2, 1));
    assert_eq!(records(&state).len(), 3, "the replay tail stays");
    state.flush(MINUTE).unwrap();
    drop(state);
    assert_eq!(open(&folder).acked_seq(), 2);
}
