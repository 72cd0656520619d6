use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plumb_proto::frame::Tombstone;
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
    state.append(&Batch { parts: &[part], cursors: &[], look: 1 }, AT, passed)
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
    state.append(&Batch { parts: &[report("one"), report("two")], cursors: &cursors, look: 3 }, AT, MINUTE).unwrap();
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

#[test]
fn the_replay_tail_goes_after_a_day() {
    let folder = Folder::new();
    let mut state = open(&folder);
    let hour = Duration::from_hours(1);
    for passed in 0..30 {
        append(&mut state, report("x"), passed * hour).unwrap();
    }
    let last = records(&state).pop().unwrap();
    state.acked(&ack(&state, 30, last.hash())).unwrap();
    append(&mut state, report("y"), 30 * hour).unwrap();
    assert_eq!(state.position().unwrap().first_seq, 7, "those of the hours 0 to 5 are older than a day");
    verify(&state);
    drop(state);
    assert_eq!(records(&open(&folder)).len(), 25);
}

#[test]
fn a_full_spool_drops_the_oldest_samples_leaves_counted_gaps_and_keeps_every_event() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    for number in 0..200 {
        append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap();
        append(&mut state, report(&format!("event {number}")), MINUTE).unwrap();
        assert!(state.identity.total.bytes <= 8 << 20);
    }
    assert_eq!(texts(&state), (0..200).map(|number| format!("event {number}")).collect::<Vec<_>>());
    verify(&state);
    let gaps: Vec<Tombstone> = all(&state)
        .into_iter()
        .filter_map(|item| if let Item::Tombstone(gap) = item { Some(gap) } else { None })
        .collect();
    assert!(gaps.iter().all(|gap| gap.records == 1 && gap.reason == DropReason::SpoolFull && gap.bytes > 90_000));
    assert_eq!(gaps.first().map(|gap| (gap.first, gap.last)), Some((3, 3)), "record 1 declares, so it stays");
    drop(state);
    verify(&open(&folder));
}

#[test]
fn dropped_neighbours_become_one_gap() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    append(&mut state, report("between"), MINUTE).unwrap();
    for _ in 0..120 {
        append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap();
    }
    let gaps = all(&state).into_iter().filter_map(|item| match item {
        Item::Tombstone(gap) => Some((gap.first, gap.last - gap.first + 1 == gap.records)),
        Item::Record(_) => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [(3, true)]);
    verify(&state);
}

#[test]
fn a_spool_full_of_events_refuses_more_and_takes_them_after_an_ack() {
    let folder = Folder::new();
    let mut state = open(&folder);
    let mut seed = 1u64;
    let mut noise = || -> Part {
        let mut part = report("");
        part.payload.reports[0].events = (0..50)
            .map(|_| {
                let text: String = (0..2000)
                    .map(|_| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        char::from(b' ' + u8::try_from((seed >> 33) % 95).unwrap())
                    })
                    .collect();
                Event { text: text.into(), ..report("").payload.reports[0].events[0].clone() }
            })
            .collect();
        part
    };
    let mut written = 0;
    let full = loop {
        match append(&mut state, noise(), MINUTE) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert_eq!(state.is_tight(), state.waiting().bytes >= 7 << 20);
    };
    assert!(matches!(full, StateError::SpoolFull), "{full}");
    assert!(written > 80 && state.is_tight());
    verify(&state);
    let third = records(&state)[2].hash();
    state.acked(&ack(&state, 3, third)).unwrap();
    append(&mut state, noise(), MINUTE).unwrap();
    verify(&state);
}

#[test]
fn on_a_nearly_full_disk_the_spool_shrinks_to_what_the_floor_leaves() {
    let folder = Folder::new();
    let free = Arc::new(AtomicU64::new(50 << 30));
    let told = free.clone();
    let ask: Ask = Arc::new(move |_: &Path| Ok(Room { free: told.load(Ordering::Relaxed), total: 100 << 30 }));
    let mut state = State::open(Options { bound: 64 << 20, ask, ..options(&folder) }, Duration::ZERO).unwrap();
    let mut seed = 1;
    (0..150).for_each(|_| append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap());
    let size = || std::fs::metadata(folder.path().join("state.db")).unwrap().len();
    assert!(state.identity.total.bytes > 14 << 20);
    free.store(100 << 20, Ordering::Relaxed);
    (0..60).for_each(|_| append(&mut state, report("x"), MINUTE).unwrap());
    assert!(state.identity.total.bytes <= disk::LEAST);
    state.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(size() < 10 << 20, "pages go back to the disk: {}", size());
    assert!(all(&state).iter().any(|item| matches!(item, Item::Tombstone(gap) if gap.reason == DropReason::DiskFull)));
    verify(&state);
}

#[test]
fn a_damaged_state_is_set_aside_and_the_new_one_says_what_it_followed() {
    let folder = Folder::new();
    let mut state = open(&folder);
    append(&mut state, report("x"), MINUTE).unwrap();
    let old = state.position().unwrap();
    drop(state);
    let db = Connection::open(folder.path().join("state.db")).unwrap();
    db.execute_batch("UPDATE records SET hash = zeroblob(32)").unwrap();
    drop(db);
    let state = open(&folder);
    let begin = state.begins().unwrap();
    assert_eq!((begin.old_epoch, begin.old_seq), (old.epoch.0, 1));
    assert!(begin.reason.contains("not the one that was written"), "{}", begin.reason);
    assert_ne!(state.position().unwrap().epoch, old.epoch);
    assert!(folder.path().join("state.db.damaged").exists());
}

#[test]
fn garbage_in_place_of_a_state_is_set_aside() {
    for garbage in [b"not a database, but long enough to have a header of one hundred bytes or so".repeat(3), {
        let mut page = b"SQLite format 3\0".to_vec();
        page.resize(8192, 0x55);
        page
    }] {
        let folder = Folder::new();
        std::fs::write(folder.path().join("state.db"), &garbage).unwrap();
        let mut state = open(&folder);
        assert_eq!(state.begins().unwrap().old_epoch, [0; 16]);
        append(&mut state, report("x"), MINUTE).unwrap();
        assert_eq!(std::fs::read(folder.path().join("state.db.damaged")).unwrap(), garbage);
    }
}

#[test]
fn a_newer_state_is_set_aside_with_a_clear_word() {
    let folder = Folder::new();
    drop(open(&folder));
    Connection::open(folder.path().join("state.db")).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let reason = open(&folder).begins().unwrap().reason.clone();
    assert_eq!(reason, "state.db was written by a newer plumb-agent (format 2, this one knows 1)");
}

#[test]
fn another_database_is_not_taken_for_a_state() {
    let folder = Folder::new();
    Connection::open(folder.path().join("state.db")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    assert_eq!(open(&folder).begins().unwrap().reason, "state.db is not a state of plumb-agent");
}

#[test]
fn a_second_agent_on_the_same_folder_is_refused() {
    let folder = Folder::new();
    let state = open(&folder);
    let second = database::open(folder.path(), Duration::from_millis(20));
    assert!(matches!(second, Err(StateError::InUse)));
    verify(&state);
}

#[test]
fn a_fork_begins_a_new_epoch_and_takes_everything_unacknowledged_along() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    append(&mut state, report("acknowledged"), MINUTE).unwrap();
    append(&mut state, report("waits"), MINUTE).unwrap();
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    let before = state.position().unwrap();
    let second = records(&state)[1].hash();
    state.acked(&ack(&state, 2, second)).unwrap();
    assert!(state.fork(AT, MINUTE).unwrap());
    let after = state.position().unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert_eq!((after.first_seq, after.next_seq, after.acked_seq), (1, 4, 0));
    assert_eq!(after.dict_digest, before.dict_digest);
    verify(&state);
    assert_eq!(texts(&state), ["waits"]);
    let begin = wire::decode(&records(&state)[0].open().unwrap(), &mut Dictionary::default()).unwrap().begin.unwrap();
    assert_eq!((begin.old_epoch, begin.old_seq), (before.epoch.0, 4));
    assert!(!state.fork(AT, 2 * MINUTE).unwrap(), "not twice within an hour");
    drop(state);
    let mut state = open(&folder);
    verify(&state);
    assert!(state.fork(AT, Duration::from_hours(1)).unwrap());
    verify(&state);
}

#[test]
fn a_fork_carries_gaps_along() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    for _ in 0..100 {
        append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap();
    }
    append(&mut state, report("last"), MINUTE).unwrap();
    let gaps = |state: &State| -> Vec<u64> {
        all(state)
            .into_iter()
            .filter_map(|item| if let Item::Tombstone(gap) = item { Some(gap.records) } else { None })
            .collect()
    };
    let before = gaps(&state);
    assert_eq!(before.len(), 1);
    assert!(state.fork(AT, MINUTE).unwrap());
    assert_eq!(gaps(&state), before);
    verify(&state);
    append(&mut state, report("after"), MINUTE).unwrap();
    assert_eq!(texts(&state), ["last", "after"]);
}
