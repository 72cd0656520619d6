mod asked;
mod faults;
mod kept;
mod life;
mod reload;
mod urgent;

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
        if look.host.stat("/near").is_ok() {
            look.urgent();
        }
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
fn a_long_look_goes_on_in_slices_and_its_events_come_once() {
    let mut scene = Scene::new();
    let lines: Vec<String> = (0..50_000).map(|number| format!("line {number}")).collect();
    scene.write("lines", &(lines.join("\n") + "\n"));
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.events("line"), lines);
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
    let mut options = Options { meter, ..options(root.path(), state.path(), &clock, end, &roomy()) };
    let second = Spec::new::<Probe>("second", SPEC.every, TABLES, "");
    let watcher = second.make(toml::Table::new()).unwrap();
    options.watchers.push(Assigned { spec: second, every: second.every, watcher });
    let mut observer = Observer::open(options).unwrap();
    USED.store(100, Ordering::Relaxed);
    let next = observer.step(); // the first of two looks that are due
    assert!(next <= Duration::from_millis(900) && next > Duration::ZERO);
    let looked = |observer: &Observer| observer.watchers[..2].iter().filter(|each| each.looked.is_some()).count();
    assert_eq!(looked(&observer), 1);
    clock.advance(Duration::from_millis(899));
    observer.step();
    assert_eq!(looked(&observer), 1);
    clock.advance(Duration::from_millis(1));
    observer.step();
    assert_eq!(looked(&observer), 2);
}
