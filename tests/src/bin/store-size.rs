//! What a sample costs on the disk, all included: `store-size [--hosts 20] [--days 3] [--stride 1] [--watchers 6]
//! [--facts-every 10] [--keep FILE]` sends variants of the trace of a real host through the real records into a real store,
//! in virtual time: a record a minute with six ticks of sixty series, and a changed fact every ten minutes; the store is
//! tidied as a running collector does it. Prints bytes a sample, whole and by table, before and after merging, what it cost
//! in CPU, and how long questions take. Sizes depend on the machine in nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plumb_collector::history::Asked;
use plumb_collector::store::rows::{HostRow, HostState};
use plumb_collector::store::{Incoming, Keep, Store};
use plumb_collector::stores;
use plumb_proto::dictionary::Dictionary;
use plumb_proto::model::{ColumnDecl, ColumnType, Fact, Outcome, Payload, Report, Role, Slice, TableDecl, Tell, Value};
use plumb_proto::record::{Epoch, Hash, HostId, Moment, Record, Sealer, genesis};
use plumb_proto::time::Timestamp;
use plumb_proto::wire;
use plumb_tests::random::Random;
use plumb_tests::trace::{Trace, Walk};

/// Midnight.
const BEGIN: Timestamp = Timestamp::from_secs(1_795_219_200);
const KEEP: Keep =
    Keep { samples: days(30), rollups: days(400), events: days(400), facts: days(400), drifts: days(400) };

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

struct Host<'a> {
    id: HostId,
    epoch: Epoch,
    next: u64,
    prev: Hash,
    sent: Dictionary,
    received: Dictionary,
    sealer: Sealer,
    walk: Walk<'a>,
    random: Random,
}

fn option(name: &str) -> Option<String> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name).and_then(|_| arguments.next())
}

fn number(name: &str, usual: usize) -> usize {
    option(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// User and system time of this thread, in seconds: all of the work is done on it.
fn cpu() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).expect("getrusage");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn main() {
    let (hosts, days, stride) = (number("--hosts", 20), number("--days", 3), number("--stride", 1));
    let (watchers, facts_every) = (number("--watchers", 6), number("--facts-every", 10));
    let trace = Trace::load(stride);
    let folder = option("--keep")
        .map_or_else(|| std::env::temp_dir().join(format!("plumb-store-size-{}", std::process::id())), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("collector.db");
    let mut store = stores::open(&format!("sqlite:{}", path.display())).expect("a store");
    let mut fleet: Vec<Host<'_>> =
        (0..hosts).map(|number| enrol(store.as_mut(), &trace, number as u64, watchers)).collect();
    let (mut ingest, mut tidy, mut longest) = (0.0, 0.0, Duration::ZERO);
    let minutes = days as i64 * 1_440;
    for minute in 1..=minutes {
        let now = Timestamp::from_millis(BEGIN.millis() + minute * 60_000);
        let records: Vec<Record> = fleet.iter_mut().map(|host| host.record(minute, now, facts_every)).collect();
        let begun = cpu();
        for (group, records) in fleet.chunks_mut(256).zip(records.chunks(256)) {
            store
                .commit(&mut |tx| {
                    group.iter_mut().zip(records).try_for_each(|(host, record)| host.receive(tx, record, now))
                })
                .expect("records are taken");
        }
        ingest += cpu() - begun;
        if minute == 180 {
            println!("-- after 3 h, as it is while running");
            print_sizes(&path, hosts * trace.series() * 180 * 6);
        }
        if minute == minutes {
            println!("-- after {days} days, the last hours not merged");
            print_sizes(&path, hosts * trace.series() * minutes as usize * 6);
        }
        let begun = cpu();
        while let (true, took) = sweep(store.as_mut(), now) {
            longest = longest.max(took);
        }
        tidy += cpu() - begun;
    }
    let samples = hosts * trace.series() * minutes as usize * 6;
    let end = Timestamp::from_millis(BEGIN.millis() + (minutes + 31) * 60_000);
    let begun = cpu();
    while sweep(store.as_mut(), end).0 {}
    tidy += cpu() - begun;
    println!("-- after {days} days and half an hour of silence: all merged");
    print_sizes(&path, samples);
    let host_days = (hosts * days) as f64;
    println!(
        "CPU per host and day: ingest {:.3} s, merging and packing {:.3} s; longest step {longest:?}",
        ingest / host_days,
        tidy / host_days
    );
    questions(store.as_mut(), &fleet[0], end);
    let begun = Instant::now();
    let (links, faults) = store.questions().expect("a reader").verify().expect("verify");
    println!("verify: {links} links in {:?}, faults: {faults:?}", begun.elapsed());
    drop(store);
    if option("--keep").is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
}

fn sweep(store: &mut dyn Store, now: Timestamp) -> (bool, Duration) {
    let (begun, mut more) = (Instant::now(), false);
    store
        .commit(&mut |tx| {
            more = tx.tidy(now, &KEEP)?;
            Ok(())
        })
        .expect("tidied");
    (more, begun.elapsed())
}

fn questions(store: &mut dyn Store, host: &Host<'_>, now: Timestamp) {
    let mut questions = store.questions().expect("a reader");
    for hours in [1, 24, 72] {
        let since = now - Duration::from_secs(hours * 3_600);
        let asked =
            Asked { metric: "ctxt".to_owned(), labels: BTreeMap::new(), since, until: now, step: None, raw: false };
        let begun = Instant::now();
        let history = questions.history(&host.id, &asked).expect("a history");
        let points = history.lines.first().map_or(0, |line| line.points.len());
        println!("history of {hours} h: {points} points in {:?}", begun.elapsed());
    }
}

fn enrol<'a>(store: &mut dyn Store, trace: &'a Trace, number: u64, watchers: usize) -> Host<'a> {
    let mut random = Random::new(number + 1);
    let mut sixteen =
        || [random.bits().to_be_bytes(), random.bits().to_be_bytes()].concat().try_into().expect("16 bytes");
    let (id, epoch) = (HostId(sixteen()), Epoch(sixteen()));
    let row = HostRow {
        id,
        name: format!("web-{number}"),
        state: HostState::Active,
        groups: BTreeMap::new(),
        enrolled: BEGIN,
        last_seen: None,
        skew_ms: 0,
        build: "0.1.0".to_owned(),
        generation: 1,
    };
    store.commit(&mut |tx| tx.save_host(&row)).expect("a host");
    Host {
        id,
        epoch,
        next: 1,
        prev: genesis(epoch),
        sent: Dictionary::default(),
        received: Dictionary::default(),
        sealer: Sealer::new().expect("zstd"),
        walk: Walk::new(trace, number + 1, BEGIN, watchers),
        random,
    }
}

impl Host<'_> {
    fn record(&mut self, minute: i64, now: Timestamp, facts_every: usize) -> Record {
        let mut payload = Payload { blocks: self.walk.blocks(6), ..Payload::default() };
        let watchers: Vec<String> = payload.blocks.iter().map(|block| block.watcher.clone()).collect();
        for watcher in watchers {
            payload.reports.push(Report {
                watcher,
                look: minute as u64,
                at: now,
                outcome: Outcome::Done,
                slices: Vec::new(),
                events: Vec::new(),
                problems: Vec::new(),
            });
        }
        if facts_every > 0 && minute as usize % facts_every == 1 {
            payload.tables = vec![table()];
            let text = format!("8.2.{minute}");
            let fact = Fact {
                key: "fpm/8.2".into(),
                source: "/usr/sbin/php-fpm8.2".into(),
                fields: [("version".to_owned(), Value::Version(text.as_str().into()))].into(),
                unknown: BTreeMap::new(),
            };
            let slice = Slice { table: "php".to_owned(), tell: Tell::FullOnly, facts: vec![fact], gone: Vec::new() };
            payload.reports[0].slices = vec![slice];
        }
        let (raw, class) = wire::encode(&payload, &mut self.sent).expect("encodes");
        // clocks have nanoseconds, and an agent wakes up when the kernel lets it
        let late = self.random.bits() as i64 % 3_000_000;
        let boot = (minute * 60_000_000_000 + 86_400_000_000_000 + late).unsigned_abs();
        let boot_id = self.epoch.0;
        let moment = Moment { boot_id, t_boot_ns: boot, wall: now };
        let record = self.sealer.seal((self.epoch, self.next, self.prev), moment, class, &raw).expect("seals");
        (self.next, self.prev) = (self.next + 1, record.hash());
        record
    }

    fn receive(
        &mut self,
        tx: &mut dyn plumb_collector::store::Tx,
        record: &Record,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let mark = self.received.mark();
        let payload = wire::decode(&record.open()?, &mut self.received);
        let payload = payload.map_err(|error| error.to_string());
        let received = Timestamp::from_millis(now.millis() + (self.random.bits() % 900) as i64);
        let declared = self.received.declared_since(mark);
        let incoming = Incoming {
            host: &self.id,
            record,
            payload: payload.as_ref().map_err(String::as_str),
            declared: declared.as_deref(),
            received,
            skew_ms: 0,
        };
        assert!(tx.append(&incoming)?.is_some(), "a record is new");
        Ok(())
    }
}

fn table() -> TableDecl {
    let version = ColumnDecl {
        name: "version".to_owned(),
        kind: ColumnType::Version,
        role: Role::State,
        doc: "Version.".to_owned(),
    };
    TableDecl { name: "php".to_owned(), doc: "PHPs.".to_owned(), columns: vec![version] }
}

/// The file with its log taken over, and each table: what a copy without it is smaller.
fn print_sizes(path: &Path, samples: usize) {
    let copy = path.with_extension("copy");
    let conn = rusqlite::Connection::open(path).expect("the store");
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
    let bytes = std::fs::metadata(path).expect("the file").len() as usize;
    let one = |bytes: usize| bytes as f64 / samples as f64;
    println!("whole database: {bytes} B, {:.3} B a sample of {samples}", one(bytes));
    let free: i64 = conn.query_row("PRAGMA freelist_count", [], |row| row.get(0)).expect("a number");
    println!("  {:<18} {:.3}", "(free pages)", one(free as usize * 4096));
    let pack = |without: Option<&str>| {
        let _ = std::fs::remove_file(&copy);
        let vacuum = |conn: &rusqlite::Connection| conn.execute("VACUUM INTO ?1", [copy.to_str().expect("a path")]);
        vacuum(&conn).expect("a copy");
        if let Some(table) = without {
            let copied = rusqlite::Connection::open(&copy).expect("the copy");
            copied.execute_batch(&format!("PRAGMA foreign_keys = OFF; DROP TABLE {table}; VACUUM")).expect("smaller");
        }
        std::fs::metadata(&copy).expect("the copy").len() as usize
    };
    let whole = pack(None);
    println!("  {:<18} {:.3}", "(when vacuumed)", one(whole));
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").expect("tables");
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).expect("names").map(|name| name.expect("a name")).collect();
    let mut sizes: Vec<(usize, String)> = tables
        .into_iter()
        .filter(|name| !name.starts_with("sqlite_"))
        .map(|name| (whole - pack(Some(&name)).min(whole), name))
        .collect();
    sizes.sort();
    for (bytes, name) in sizes.iter().rev().filter(|(bytes, _)| one(*bytes) >= 0.0005) {
        println!("  {name:<18} {:.3}", one(*bytes));
    }
    let _ = std::fs::remove_file(&copy);
}
