use std::fs;
use std::path::Path;
use std::sync::Mutex;

use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{Ack, Item, WANT_DICTIONARY, WANT_STATE};
use plumb_proto::model::{ColumnType, Outcome, Payload, Report, Tell, Value};
use plumb_proto::record::{Class, Epoch, Hash};
use plumb_proto::time::ManualClock;
use plumb_proto::wire;

use super::*;
use crate::link::{DeliverEnd, link};
use crate::state::disk::{Ask, Room};
use crate::state::frames::ToObserve;
use crate::state::testing::{Folder, roomy};
use crate::watcher::{Column, Look, Progress, Table};

static THING: Table = Table {
    name: "thing",
    doc: "A file in /thing",
    columns: &[Column::state("n", ColumnType::Int, "The number in it")],
};
const TABLES: &[&Table] = &[&THING];

/// Tells each file of /thing as a row, each line of /lines as an event by cursor, and how many things there are.
#[derive(serde::Deserialize)]
struct Probe {}

impl Watcher for Probe {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        if look.host.stat("/broken").is_ok() {
            anyhow::bail!("it is broken");
        }
        for entry in look.host.list("/thing").unwrap_or_default() {
            let path = Path::new("/thing").join(&entry.name);
            let name = entry.name.to_string_lossy().into_owned();
            match look.host.read_text(&path, 100)?.trim().parse::<i64>() {
                Ok(number) => look.fact(&THING, name.as_str(), "/thing", &[("n", Value::Int(number))]),
                Err(error) => look.problem(&THING, name.as_str(), name.as_str(), error, "write a number"),
            }
        }
        let read = look.cursor("read").map_or(0, |place| usize::from_be_bytes(place.try_into().unwrap()));
        let text = look.host.read("/lines", 32 << 20).unwrap_or_default();
        let fresh = &text[read..text.len().min(read + 64_000)];
        let whole = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in fresh[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            look.event(look.now, "line", Severity::Info, line);
        }
        look.set_cursor("read", (read + whole).to_be_bytes().to_vec());
        look.gauge("things", &[], 7.0);
        Ok(if fresh.len() == 64_000 { Progress::More } else { Progress::Done })
    }

    fn wake_on(&self) -> Vec<std::path::PathBuf> {
        vec!["/thing".into()]
    }
}

const SPEC: Spec = Spec::new::<Probe>("probe", Duration::from_secs(10), TABLES, "").with_cursor();

/// A host, an agent that observes it, and the other end of its link.
struct Scene {
    root: Folder,
    state: Folder,
    clock: Arc<ManualClock>,
    observer: Observer,
    deliver: DeliverEnd,
    ask: Ask,
}

impl Scene {
    fn new() -> Self {
        Self::with(roomy())
    }

    fn with(ask: Ask) -> Self {
        let (root, state) = (Folder::new(), Folder::new());
        fs::create_dir(root.path().join("thing")).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_255_200)));
        let (observer, deliver) = open(&root, &state, &clock, &ask);
        let mut scene = Self { root, state, clock, observer, deliver, ask };
        scene.write("thing/a", "1\n");
        scene
    }

    fn write(&mut self, path: &str, text: &str) {
        fs::write(self.root.path().join(path), text).unwrap();
    }

    fn remove(&mut self, path: &str) {
        fs::remove_file(self.root.path().join(path)).unwrap();
    }

    /// The process dies, and another one starts.
    fn crash(&mut self) {
        let (root, state) = (self.root.path().to_owned(), self.state.path().to_owned());
        let (spare, _keep) = link().unwrap();
        let placeholder = Folder::new();
        let options = options(&root, placeholder.path(), &self.clock, spare, &self.ask);
        drop(std::mem::replace(&mut self.observer, Observer::open(options).unwrap()));
        let (end, deliver) = link().unwrap();
        self.observer = Observer::open(super::tests::options(&root, &state, &self.clock, end, &self.ask)).unwrap();
        self.deliver = deliver;
    }

    /// Lets time pass, with everything that is due in it.
    fn pass(&mut self, span: Duration) {
        let end = self.clock.monotonic() + span;
        loop {
            let now = self.clock.monotonic();
            let next = self.observer.step();
            if next > end {
                self.clock.advance(end - now);
                return;
            }
            self.clock.advance(next.saturating_sub(now));
        }
    }

    fn say(&mut self, frame: ToObserve) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(self.deliver.send(frame)));
        self.observer.step();
    }

    fn items(&self) -> Vec<Item> {
        let state = self.observer.state.as_ref().unwrap();
        let (mut items, mut from) = (Vec::new(), 1);
        loop {
            let step = state.fetch(from, 64, 1 << 20).unwrap();
            let Some(last) = step.last() else { return items };
            from = last.range().1 + 1;
            items.extend(step);
        }
    }

    /// All records so far, decoded as a collector would.
    fn records(&self) -> Vec<(Class, Payload)> {
        let mut dictionary = Dictionary::default();
        let mut records = Vec::new();
        for item in self.items() {
            let Item::Record(record) = item else { continue };
            let payload = wire::decode(&record.open().unwrap(), &mut dictionary).unwrap();
            records.push((record.header.class, payload));
        }
        records
    }

    fn probe_reports(&self) -> Vec<Report> {
        let reports = self.records().into_iter().flat_map(|(_, payload)| payload.reports);
        reports.filter(|report| report.watcher == "probe").collect()
    }

    fn last(&self) -> Report {
        self.probe_reports().pop().unwrap()
    }

    fn events(&self, kind: &str) -> Vec<String> {
        let reports = self.records().into_iter().flat_map(|(_, payload)| payload.reports);
        let events = reports.flat_map(|report| report.events).filter(|event| event.kind == kind);
        events.map(|event| event.text.to_string()).collect()
    }

    fn ack_all(&mut self) {
        let head = self.items().pop().unwrap();
        let state = self.observer.state.as_ref().unwrap();
        let head_hash = match &head {
            Item::Record(record) => record.hash(),
            Item::Tombstone(gap) => gap.last_hash,
        };
        let epoch = state.position().unwrap().epoch;
        let through = head.range().1;
        let time = self.clock.now();
        self.say(ToObserve::Acked(Ack { epoch, through, head_hash, window_records: 1, window_bytes: 1, time }));
    }
}

fn options(root: &Path, state: &Path, clock: &Arc<ManualClock>, end: ObserveEnd, ask: &Ask) -> Options {
    Options {
        host: Host::new(root, clock.clone()),
        watchers: vec![Assigned { spec: SPEC, every: SPEC.every, watcher: SPEC.make(toml::Table::new()).unwrap() }],
        state: state::Options { folder: state.to_owned(), bound: 8 << 20, ask: ask.clone() },
        record_every: Duration::from_mins(1),
        cpu_share: 0.1,
        clock: clock.clone(),
        meter: || Duration::ZERO,
        link: end,
        locked: Locked::nothing(),
    }
}

fn open(root: &Folder, state: &Folder, clock: &Arc<ManualClock>, ask: &Ask) -> (Observer, DeliverEnd) {
    let (end, deliver) = link().unwrap();
    (Observer::open(options(root.path(), state.path(), clock, end, ask)).unwrap(), deliver)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_record_declares_everything_and_tells_it_whole_within_a_second() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    let records = scene.records();
    assert_eq!(records.len(), 1);
    let (class, payload) = &records[0];
    assert_eq!(*class, Class::Declarations);
    assert_eq!(payload.begin.as_ref().unwrap().reason, "first start");
    assert_eq!(payload.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["thing", "agent"]);
    let report = scene.last();
    assert_eq!(
        (report.outcome, report.slices[0].tell, report.slices[0].facts.len()),
        (Outcome::Done, Tell::FullOnly, 1)
    );
    assert_eq!(payload.blocks[0].columns.len(), 1);
    assert_eq!(scene.events("agent_started"), ["plumb-agent 0.1.0 started"]);
}

#[test]
fn an_idle_minute_is_one_record_of_samples_with_one_confirmation() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(300));
    let records = scene.records();
    assert!((5..=6).contains(&records.len()), "{}", records.len());
    for (class, payload) in &records[1..] {
        assert_eq!(*class, Class::Samples);
        let bare: Vec<&Report> = payload.reports.iter().filter(|report| report.watcher == "probe").collect();
        assert_eq!(bare.len(), 1, "the last of six");
        assert!(bare[0].is_bare());
        let block = &payload.blocks[0];
        assert!((6..=7).contains(&block.times.len()), "{}", block.times.len());
        assert_eq!(bare[0].at, *block.times.last().unwrap());
    }
}

#[test]
fn a_file_event_brings_the_change_into_a_record_within_a_second() {
    let mut scene = Scene::new();
    scene.pass(3 * SECOND);
    let before = scene.records().len();
    scene.write("thing/b", "2\n");
    scene.pass(SECOND);
    assert_eq!(scene.records().len(), before + 1);
    let report = scene.last();
    assert_eq!(report.slices[0].facts[0].key, "b".into());
    assert_eq!(report.slices[0].tell, Tell::Delta);
    scene.remove("thing/b");
    scene.pass(SECOND);
    assert_eq!(scene.last().slices[0].gone, ["b".into()]);
}

#[test]
fn a_watcher_that_breaks_says_so_once_and_is_told_whole_when_it_is_back() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    scene.write("broken", "");
    scene.pass(Duration::from_secs(120));
    let failed: Vec<Report> = scene.probe_reports().into_iter().filter(|r| r.outcome == Outcome::Failed).collect();
    assert_eq!((failed[0].problems[0].table.as_str(), failed[0].problems[0].error.as_str()), ("thing", "it is broken"));
    let classes: Vec<Class> = scene.records().iter().map(|(class, _)| *class).collect();
    assert_eq!(classes[..2], [Class::Declarations, Class::Facts]);
    assert!(classes[2..].iter().all(|class| *class == Class::Samples), "repetitions may be dropped: {classes:?}");
    scene.remove("broken");
    scene.pass(10 * SECOND);
    scene.pass(SECOND);
    assert_eq!((scene.last().outcome, scene.last().slices[0].tell), (Outcome::Done, Tell::FullOnly));
}

#[test]
fn a_standing_problem_is_told_with_each_confirmation_and_its_end_with_all_rows() {
    let mut scene = Scene::new();
    scene.write("thing/b", "2\n");
    scene.pass(SECOND);
    scene.write("thing/b", "not a number\n");
    scene.pass(2 * SECOND);
    let told = scene.last();
    assert_eq!((told.slices.len(), told.problems[0].key_prefix.to_string()), (0, "b".to_owned()), "b is not gone");
    scene.pass(Duration::from_secs(65));
    assert_eq!(scene.last().problems.len(), 1);
    assert_eq!(scene.records().last().unwrap().0, Class::Samples);
    scene.remove("thing/b");
    scene.pass(2 * SECOND);
    let whole = scene.last();
    assert_eq!((whole.slices[0].tell, whole.slices[0].facts.len(), whole.problems.len()), (Tell::FullOnly, 1, 0));
}

#[test]
fn after_a_restart_everything_is_told_whole_and_no_line_twice() {
    let mut scene = Scene::new();
    scene.write("lines", "one\ntwo\n");
    scene.pass(SECOND);
    scene.write("lines", "one\ntwo\nthree\nfou");
    scene.crash();
    scene.pass(SECOND);
    assert_eq!(scene.events("line"), ["one", "two", "three"]);
    assert_eq!(scene.last().slices[0].tell, Tell::FullOnly);
    assert_eq!(scene.events("agent_started").len(), 2);
    let looks: Vec<u64> = scene.probe_reports().iter().map(|report| report.look).collect();
    assert!(looks.is_sorted() && looks[0] < looks[1], "{looks:?}");
}

#[test]
fn what_was_seen_but_not_written_is_seen_again_after_a_crash() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    scene.write("lines", "one\n");
    while scene.observer.pending.events() == 0 {
        scene.clock.advance(SECOND);
        scene.observer.hear(scene.clock.monotonic());
        if let Some(due) = scene.observer.schedule.due(scene.clock.monotonic()) {
            scene.observer.look(due, scene.clock.monotonic());
        }
    }
    scene.crash(); // before the record was closed
    scene.pass(SECOND);
    assert_eq!(scene.events("line"), ["one"]);
}

#[test]
fn a_long_look_goes_on_in_slices_and_its_events_come_once() {
    let mut scene = Scene::new();
    let lines: Vec<String> = (0..50_000).map(|number| format!("line {number}")).collect();
    scene.write("lines", &(lines.join("\n") + "\n"));
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.events("line"), lines);
}

/// Lines with their number in front that do not compress away.
fn noise(count: usize, length: usize) -> Vec<String> {
    let mut seed = 1u64;
    let line = |number: usize| {
        let mut line = format!("{number} ");
        while line.len() < length {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            line.extend((0..6).map(|at| char::from(b'A' + u8::try_from((seed >> (16 + at * 8)) % 26).unwrap())));
        }
        line
    };
    (0..count).map(line).collect()
}

#[test]
fn a_full_spool_makes_a_cursor_wait_and_nothing_is_lost_or_doubled() {
    let mut scene = Scene::new();
    let lines = noise(12_000, 1200);
    scene.write("lines", &(lines.join("\n") + "\n"));
    scene.pass(Duration::from_secs(900));
    let spool = scene.observer.status().spool;
    assert!(spool.bytes >= 7 << 20 && spool.bytes <= 8 << 20 && spool.waits.is_none(), "{spool:?}");
    let (mut dictionary, mut told, mut next) = (Dictionary::default(), Vec::new(), 1);
    for round in 0..10 {
        for item in scene.items() {
            let Item::Record(record) = item else { continue };
            if record.header.seq < next {
                continue;
            }
            next = record.header.seq + 1;
            let payload = wire::decode(&record.open().unwrap(), &mut dictionary).unwrap();
            let events = payload.reports.iter().flat_map(|report| &report.events);
            told.extend(events.filter(|event| event.kind == "line").map(|event| event.text.to_string()));
        }
        assert!(round > 0 || (4_000..11_000).contains(&told.len()), "{}", told.len());
        scene.ack_all();
        scene.pass(Duration::from_secs(60));
    }
    assert_eq!(told, lines);
}

#[test]
fn the_collectors_wants_are_met_but_not_more_than_once_a_minute() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(70));
    let full = |scene: &Scene| {
        let slices = scene.probe_reports().into_iter().flat_map(|report| report.slices);
        slices.filter(|slice| slice.tell == Tell::FullOnly).count()
    };
    let declared = |scene: &Scene| scene.records().iter().filter(|(class, _)| *class == Class::Declarations).count();
    assert_eq!((full(&scene), declared(&scene)), (1, 1));
    scene.say(ToObserve::Want(WANT_STATE | WANT_DICTIONARY));
    scene.pass(SECOND);
    assert_eq!((full(&scene), declared(&scene)), (2, 2));
    for _ in 0..5 {
        scene.say(ToObserve::Want(WANT_STATE));
        scene.pass(5 * SECOND);
    }
    assert_eq!(full(&scene), 2);
    scene.pass(Duration::from_secs(40));
    assert_eq!((full(&scene), declared(&scene)), (3, 2));
}

#[test]
fn deliver_gets_committed_records_and_a_hint_when_there_are_more() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    scene.say(ToObserve::Position);
    scene.say(ToObserve::Fetch { from: 1, records: 10, bytes: 100_000 });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut frames = Vec::new();
    for _ in 0..3 {
        frames.push(runtime.block_on(scene.deliver.recv()).unwrap());
    }
    assert_eq!(frames[0], ToDeliver::Available(2));
    assert!(matches!(&frames[1], ToDeliver::Position(position) if position.next_seq == 2 && position.first_seq == 1));
    assert!(matches!(&frames[2], ToDeliver::Items(items) if items.len() == 1));
}

#[test]
fn an_ack_with_a_foreign_hash_changes_nothing_and_is_counted() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    let time = scene.clock.now();
    let (epoch, head_hash) = (Epoch([5; 16]), Hash([6; 32]));
    scene.say(ToObserve::Acked(Ack { epoch, through: 1, head_hash, window_records: 1, window_bytes: 1, time }));
    let spool = scene.observer.status().spool;
    assert_eq!((spool.acknowledged, spool.refused_acks), (0, 1));
    scene.ack_all();
    assert_eq!(scene.observer.status().spool.acknowledged, 1);
}

#[test]
fn a_fork_begins_a_new_epoch_and_tells_everything_whole() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    let epoch = |scene: &Scene| scene.observer.state.as_ref().unwrap().position().unwrap().epoch;
    let before = epoch(&scene);
    scene.say(ToObserve::Fork);
    scene.pass(SECOND);
    assert_ne!(epoch(&scene), before);
    assert_eq!(scene.events("epoch_forked").len(), 1);
    assert_eq!(scene.last().slices[0].tell, Tell::FullOnly);
    let after = epoch(&scene);
    scene.say(ToObserve::Fork);
    assert_eq!(epoch(&scene), after, "once an hour");
}

#[test]
fn a_full_disk_is_recorded_with_the_reserve_then_waited_out_without_loss() {
    let free = Arc::new(Mutex::new(Room { free: 50 << 30, total: 100 << 30 }));
    let told = free.clone();
    let mut scene = Scene::with(Arc::new(move |_: &Path| Ok(*told.lock().unwrap())));
    scene.pass(SECOND);
    assert!(scene.observer.status().spool.reserve);
    *free.lock().unwrap() = Room { free: 0, total: 100 << 30 };
    let disk = scene.observer.state.as_ref().unwrap().fill_disk();
    let lines = noise(20, 3000);
    scene.write("lines", &(lines[..10].join("\n") + "\n"));
    scene.pass(Duration::from_secs(20));
    let status = scene.observer.status();
    assert_eq!(status.spool.waits.as_deref(), Some("the disk of the state folder is full"));
    assert!(!status.spool.reserve, "it was given back");
    scene.write("lines", &(lines.join("\n") + "\n"));
    scene.pass(Duration::from_secs(300));
    *free.lock().unwrap() = Room { free: 50 << 30, total: 100 << 30 };
    scene.observer.state.as_ref().unwrap().free_disk(disk);
    scene.pass(Duration::from_secs(90));
    assert_eq!(scene.events("line"), lines);
    assert_eq!(scene.events("disk_full").len(), 1);
    assert!(scene.events("observation_paused")[0].contains("disk of the state folder is full"));
    assert!(scene.observer.status().spool.reserve && scene.observer.status().spool.waits.is_none());
}

#[test]
fn a_state_that_turns_out_damaged_is_replaced_while_running() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    let before = scene.observer.state.as_ref().unwrap().position().unwrap();
    scene.observer.state.as_ref().unwrap().damage();
    scene.write("lines", "after\n");
    scene.say(ToObserve::Fetch { from: 1, records: 10, bytes: 100_000 });
    scene.pass(20 * SECOND);
    let records = scene.records();
    let begin = records[0].1.begin.as_ref().unwrap();
    assert_eq!((begin.old_epoch, begin.old_seq), (before.epoch.0, 1));
    assert!(scene.events("state_replaced")[0].contains("its hash differs"));
    assert_eq!(scene.events("line"), ["after"]);
    assert_eq!(records[0].1.tables.len(), 2);
    assert!(scene.state.path().join("state.db.damaged").exists());
}

#[test]
fn a_watcher_that_kills_the_agent_is_left_alone_and_says_why() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    for _ in 0..3 {
        scene.observer.breadcrumb.enter("probe");
        scene.crash();
    }
    scene.pass(SECOND);
    let report = scene.last();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.problems[0].error.starts_with("left alone for a day"));
    assert_eq!(scene.observer.status().watchers[0].problems.len(), 1);
    scene.pass(Duration::from_hours(25));
    assert_eq!(scene.last().outcome, Outcome::Done);
}

#[test]
fn the_status_file_is_there_from_the_start_and_says_when_the_agent_has_stopped() {
    let mut scene = Scene::new();
    scene.pass(11 * SECOND);
    let read = |scene: &Scene| crate::status::Status::read(scene.state.path()).unwrap().unwrap().0;
    let status = read(&scene);
    assert_eq!((status.connection.state.as_str(), status.spool.written, status.stopped), ("not_enrolled", 1, false));
    let outcomes: Vec<_> = status.watchers.iter().map(|w| (w.name.as_str(), w.outcome.as_deref(), w.facts)).collect();
    assert_eq!(outcomes, [("probe", Some("done"), 1), ("agent", Some("done"), 1)]);
    scene.observer.end();
    assert!(read(&scene).stopped);
    assert_eq!(scene.events("agent_stopped").len(), 1);
    assert_eq!(scene.observer.pending.events(), 0);
}

#[test]
fn work_is_paid_for_with_rest() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static USED: AtomicU64 = AtomicU64::new(0);
    let (root, state) = (Folder::new(), Folder::new());
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
    let (end, _deliver) = link().unwrap();
    let meter = || Duration::from_millis(USED.load(Ordering::Relaxed));
    let options = Options { meter, ..options(root.path(), state.path(), &clock, end, &roomy()) };
    let mut observer = Observer::open(options).unwrap();
    USED.store(100, Ordering::Relaxed);
    let next = observer.step(); // the first of two looks that are due
    assert!(next <= Duration::from_millis(900) && next > Duration::ZERO);
    let looked = |observer: &Observer| observer.watchers.iter().filter(|running| running.looked.is_some()).count();
    assert_eq!(looked(&observer), 1);
    clock.advance(Duration::from_millis(899));
    observer.step();
    assert_eq!(looked(&observer), 1);
    clock.advance(Duration::from_millis(1));
    observer.step();
    assert_eq!(looked(&observer), 2);
}
