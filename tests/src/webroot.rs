//! Web roots of any size, made from a seed, and an agent that does nothing but file integrity on one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plumb_agent::host::{Host, sys};
use plumb_agent::link::{DeliverEnd, link};
use plumb_agent::observe::{Assigned, Observer, Options};
use plumb_agent::sandbox::Locked;
use plumb_agent::state::{self, disk};
use plumb_agent::watchers::ALL;
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::Item;
use plumb_proto::model::{Payload, Value};
use plumb_proto::time::{Clock, SystemClock};
use plumb_proto::wire;

/// Names a file into which [`Scanner::finish`] writes what it cost.
pub const COST: &str = "PLUMB_INTEGRITY_COST";

/// Numbers from a seed (splitmix64): the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count / 8 + 1).flat_map(|_| self.next().to_le_bytes()).take(usize::try_from(count).unwrap()).collect()
    }
}

/// Makes sites of some 2,600 files each, as a content management system has them: folders of code, styles and pictures,
/// of 22 kB on average.
///
/// # Panics
/// A file cannot be written.
pub fn make(web: &Path, files: u64, seed: u64) {
    let mut numbers = Numbers(seed);
    for number in 0..files {
        let (site, part) = (number / 2_600, number % 2_600);
        let (folder, name, size) = match part % 36 {
            0 => (format!("wp-content/uploads/2025/{:02}", part / 36 % 12 + 1), "jpg", 20_000 + numbers.below(150_000)),
            1..12 => {
                (format!("wp-content/plugins/plugin{}/src/{}", part / 90, part / 12 % 4), "php", numbers.below(30_000))
            }
            12..24 => (format!("wp-includes/part{}", part / 36 % 30), "php", numbers.below(40_000)),
            24..32 => (format!("wp-content/themes/theme{}/assets", part / 400), "css", numbers.below(20_000)),
            _ => (format!("wp-includes/js/lib{}", part / 60), "js", numbers.below(60_000)),
        };
        let folder = web.join(format!("site{site:03}.example")).join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{part}.{name}")), numbers.bytes(size)).unwrap();
    }
}

/// Edits of some files, which can be undone.
pub struct Edits(Vec<(PathBuf, Vec<u8>)>);

impl Edits {
    /// What was edited.
    #[must_use]
    pub fn paths(&self) -> BTreeSet<PathBuf> {
        self.0.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Everything is as it was, but for times.
    ///
    /// # Panics
    /// A file cannot be written.
    pub fn undo(self) {
        self.0.into_iter().for_each(|(path, content)| fs::write(path, content).unwrap());
    }
}

/// Appends a line to `count` files of a web root.
///
/// # Panics
/// A file cannot be read or written, or there are too few.
#[must_use]
pub fn edit(web: &Path, count: usize, seed: u64) -> Edits {
    let mut all = Vec::new();
    let mut folders = vec![web.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.path().extension().is_some_and(|end| end == "php") {
                all.push(entry.path());
            }
        }
    }
    all.sort();
    let mut numbers = Numbers(seed);
    let mut edits = Vec::new();
    for _ in 0..count {
        let place = usize::try_from(numbers.below(all.len() as u64)).unwrap();
        let path = all.swap_remove(place);
        let before = fs::read(&path).unwrap();
        fs::write(&path, [&before[..], b"\n<?php /* drift */ ?>\n"].concat()).unwrap();
        edits.push((path, before));
    }
    Edits(edits)
}

/// An agent with the watcher `integrity` only, on one tree, with the whole processor.
pub struct Scanner {
    observer: Observer,
    clock: Arc<dyn Clock>,
    _deliver: DeliverEnd,
}

impl Scanner {
    /// Begins, or goes on with what is in the state folder.
    ///
    /// # Panics
    /// The state folder cannot be used.
    #[must_use]
    pub fn open(web: &Path, state: &Path) -> Self {
        let web = web.canonicalize().expect("a web root");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let spec = *ALL.iter().find(|spec| spec.name == "integrity").expect("the watcher");
        let mut settings: toml::Table = spec.sample.parse().expect("TOML");
        let one = toml::Value::Array(vec![toml::Value::String(web.to_str().expect("UTF-8").to_owned())]);
        settings.insert("roots".to_owned(), one);
        settings.insert("configuration".to_owned(), toml::Value::Array(Vec::new()));
        settings.insert("discover".to_owned(), toml::Value::Boolean(false));
        settings.insert("packages".to_owned(), toml::Value::Boolean(false));
        let (end, deliver) = link().expect("a link");
        let options = Options {
            host: Host::new("/", clock.clone()),
            watchers: vec![Assigned { spec, every: spec.every, watcher: spec.make(settings).expect("settings") }],
            state: state::Options { folder: state.to_owned(), bound: 256 << 20, ask: Arc::new(disk::ask_system) },
            record_every: Duration::from_mins(1),
            cpu_share: 1.0,
            clock: clock.clone(),
            meter: sys::thread_cpu_time,
            link: end,
            locked: Locked::nothing(),
        };
        let observer = Observer::open(options).expect("a state");
        Self { observer, clock, _deliver: deliver }
    }

    /// Does so many steps, then dies: nothing is written any more.
    pub fn die_after(mut self, steps: usize) {
        (0..steps).for_each(|_| self.step(Duration::from_millis(20)));
    }

    /// Does one step and waits for the next, at most so long.
    fn step(&mut self, longest: Duration) {
        let next = self.observer.step();
        let wait = next.saturating_sub(self.clock.monotonic()).min(longest);
        std::thread::sleep(wait);
    }

    /// True when the watcher has finished a look in this process.
    fn is_done(&self) -> bool {
        let status = self.observer.status();
        status.watchers.iter().any(|watched| watched.name == "integrity" && watched.outcome.as_deref() == Some("done"))
    }

    /// One look, to its end; writes it, and what it cost.
    ///
    /// # Panics
    /// It takes more than an hour.
    pub fn finish(&mut self) {
        let start = Instant::now();
        while !self.is_done() {
            self.step(Duration::from_millis(20));
            assert!(start.elapsed() < Duration::from_hours(1), "the scan does not end");
        }
        self.observer.end();
        if let Some(file) = std::env::var_os(COST) {
            let status = fs::read_to_string("/proc/self/status").expect("/proc");
            let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).expect("usage");
            let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
            let peak = field(&status, "VmHWM:");
            let text = format!("{} {}", seconds(usage.user_time()) + seconds(usage.system_time()), peak / 1024.0);
            fs::write(file, text).expect("a file of ours");
        }
    }

    /// Goes on until all of these are told as changed; those that were not in time.
    #[must_use]
    pub fn until_told(&mut self, paths: &BTreeSet<PathBuf>, limit: Duration) -> Vec<PathBuf> {
        let start = Instant::now();
        loop {
            let told: BTreeSet<PathBuf> = self.events().iter().filter_map(|event| changed(event)).collect();
            let missing: Vec<PathBuf> = paths.difference(&told).cloned().collect();
            if missing.is_empty() || start.elapsed() > limit {
                return missing;
            }
            let until = Instant::now() + Duration::from_secs(1);
            while Instant::now() < until {
                self.step(Duration::from_millis(20));
            }
        }
    }

    /// Every payload in the spool.
    fn payloads(&self) -> Vec<Payload> {
        let (mut dictionary, mut from, mut found) = (Dictionary::default(), 1, Vec::new());
        let Some(state) = self.observer.state() else { return found };
        loop {
            let step = state.fetch(from, 64, 1 << 20).expect("records");
            let Some(last) = step.last() else { return found };
            from = last.range().1 + 1;
            for item in &step {
                let Item::Record(record) = item else { continue };
                found.push(wire::decode(&record.open().expect("a record"), &mut dictionary).expect("a payload"));
            }
        }
    }

    /// Events of files, as `kind path`.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let reports = self.payloads().into_iter().flat_map(|payload| payload.reports);
        let events = reports.filter(|report| report.watcher == "integrity").flat_map(|report| report.events);
        events.map(|event| format!("{} {}", event.kind, event.text)).collect()
    }

    /// Files in the tree, as was told last.
    #[must_use]
    pub fn files(&self) -> i64 {
        let reports = self.payloads().into_iter().flat_map(|payload| payload.reports);
        let facts = reports.flat_map(|report| report.slices).filter(|slice| slice.table == "tree");
        let last = facts.flat_map(|slice| slice.facts).last();
        match last.and_then(|fact| fact.fields.get("files").cloned()) {
            Some(Value::Int(files)) => files,
            _ => 0,
        }
    }
}

/// The path of an event that says that a file's content changed.
fn changed(event: &str) -> Option<PathBuf> {
    let path = event.strip_prefix("file_changed ")?.split(": ").next()?;
    Some(PathBuf::from(path))
}

/// Memory of this process that is its own, in KiB.
///
/// # Panics
/// There is no /proc.
#[must_use]
pub fn rss_anon() -> f64 {
    field(&fs::read_to_string("/proc/self/status").expect("/proc"), "RssAnon:")
}

fn field(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0)
}

/// Processor seconds and peak MiB that a scan wrote down.
///
/// # Panics
/// It wrote none.
#[must_use]
pub fn cost(file: &Path) -> (f64, f64) {
    let text = fs::read_to_string(file).expect("what a scan cost");
    let (cpu, peak) = text.split_once(' ').expect("two numbers");
    (cpu.parse().expect("seconds"), peak.parse().expect("MiB"))
}
