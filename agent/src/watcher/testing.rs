//! A host made for tests: files in a folder of its own, a clock that stands still, and a watcher that looks at it.
//! [`Stage::look`] says what it saw, a line for each thing.
#![allow(clippy::expect_used, clippy::panic)] // only tests use it

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use plumb_proto::time::{ManualClock, Timestamp};

use super::{Look, Progress, Spec, Stored, Told, Watcher};
use crate::host::Host;
use crate::host::mounts::Statvfs;
use crate::kept::{Kept, Row};

/// When staged hosts live: 2026-11-21T10:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_255_200);

/// Makes an empty host for a watcher.
#[must_use]
pub fn stage(spec: &Spec) -> Stage {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("plumb-stage-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let root = std::env::temp_dir().join(name);
    fs::create_dir_all(&root).expect("a folder for the stage");
    let mut stage = stage_at(spec, &root);
    stage.remove = true;
    stage
}

/// A host that lies in a folder already; it is left as it is.
#[must_use]
pub fn stage_at(spec: &Spec, root: &Path) -> Stage {
    Stage {
        spec: *spec,
        root: root.to_owned(),
        remove: false,
        clock: Arc::new(ManualClock::at(NOW)),
        settings: String::new(),
        statvfs: None,
        host: OnceCell::new(),
        watcher: RefCell::new(None),
        cursors: RefCell::new(BTreeMap::new()),
        kept: RefCell::new(Kept::default()),
        trigger: RefCell::default(),
    }
}

/// A staged host with one watcher, which lives from look to look.
pub struct Stage {
    spec: Spec,
    root: PathBuf,
    remove: bool,
    clock: Arc<ManualClock>,
    settings: String,
    statvfs: Option<Arc<Statvfs>>,
    host: OnceCell<Host>,
    watcher: RefCell<Option<Box<dyn Watcher>>>,
    cursors: RefCell<BTreeMap<String, Vec<u8>>>,
    kept: RefCell<Kept>,
    trigger: RefCell<Vec<PathBuf>>,
}

/// What a stage holds for its watcher.
struct Held<'a> {
    cursors: std::cell::Ref<'a, BTreeMap<String, Vec<u8>>>,
    kept: std::cell::Ref<'a, Kept>,
}

impl Stored for Held<'_> {
    fn cursor(&self, name: &str) -> Option<Vec<u8>> {
        self.cursors.get(name).cloned()
    }

    fn kept(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.get(key)?.map(<[u8]>::to_vec)
    }

    fn kept_after(&self, key: &[u8]) -> Option<Row> {
        self.kept.after(key, &mut |_| None)
    }

    fn keeps(&self) -> bool {
        true
    }
}

impl Stage {
    /// Puts a file there, with the folders on the way; an older one is replaced.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// As [`Stage::file`], between two looks.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.place(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folders of the stage");
        fs::write(path, content).expect("a file of the stage");
    }

    /// Adds to a file, which need not be there yet, between two looks.
    pub fn append(&self, path: &str, content: impl AsRef<[u8]>) {
        let mut options = fs::OpenOptions::new();
        let file = options.append(true).create(true).open(self.place(path));
        file.and_then(|mut file| file.write_all(content.as_ref())).expect("a file of the stage");
    }

    /// What the watcher wants to be woken by.
    #[must_use]
    pub fn wakes(&self) -> Vec<PathBuf> {
        self.watcher.borrow().as_ref().map_or_else(Vec::new, |watcher| watcher.wake_on())
    }

    /// Takes a file away, between two looks.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.place(path)).expect("a file of the stage");
    }

    /// Sets when a file was last written, between two looks or before the first.
    pub fn touch(&self, path: &str, at: Timestamp) {
        let file = fs::File::options().write(true).open(self.place(path)).expect("a file of the stage");
        let since = std::time::Duration::from_millis(u64::try_from(at.millis()).expect("after 1970"));
        file.set_modified(std::time::UNIX_EPOCH + since).expect("a time of the stage");
    }

    /// Puts a link there.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        let path = self.place(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folders of the stage");
        symlink(target, path).expect("a link of the stage");
        self
    }

    /// Puts a folder there.
    #[must_use]
    pub fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.place(path)).expect("a folder of the stage");
        self
    }

    /// Sets the permission bits of a file.
    #[must_use]
    pub fn mode(self, path: &str, mode: u32) -> Self {
        fs::set_permissions(self.place(path), fs::Permissions::from_mode(mode)).expect("bits of the stage");
        self
    }

    /// Configures the watcher, in TOML, over its sample.
    #[must_use]
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self
    }

    /// Answers statvfs.
    #[must_use]
    pub fn statvfs(mut self, statvfs: Arc<Statvfs>) -> Self {
        self.statvfs = Some(statvfs);
        self
    }

    /// The clock of the host.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Starts the agent anew: the watcher forgets, cursors stay.
    pub fn restart(&self) {
        *self.watcher.borrow_mut() = None;
    }

    /// The cursors as they were committed.
    #[must_use]
    pub fn cursors(&self) -> BTreeMap<String, Vec<u8>> {
        self.cursors.borrow().clone()
    }

    /// Goes back to such cursors, as if what came after had never been committed.
    pub fn set_cursors(&self, cursors: BTreeMap<String, Vec<u8>>) {
        *self.cursors.borrow_mut() = cursors;
    }

    /// What the watcher keeps, as it was committed.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.kept.borrow().clone()
    }

    /// Goes back to such rows, as if what came after had never been committed.
    pub fn set_kept(&self, kept: Kept) {
        *self.kept.borrow_mut() = kept;
    }

    /// Looks for one slice: whether there is more, and what was seen.
    pub fn slice(&self) -> (bool, String) {
        let mut slot = self.watcher.borrow_mut();
        let watcher = slot.get_or_insert_with(|| self.make());
        let (progress, told) = self.poll(watcher.as_mut());
        (matches!(progress, Ok(Progress::More)), print(&told))
    }

    /// The host itself.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.host.get_or_init(|| {
            let clock: Arc<ManualClock> = Arc::clone(&self.clock);
            let host = Host::new(&self.root, clock);
            match &self.statvfs {
                Some(statvfs) => host.with_statvfs(Arc::clone(statvfs)),
                None => host,
            }
        })
    }

    /// Looks until it is done, and says what was seen: `absent`, `failed: ...`, or a line each (see [`print`]).
    pub fn look(&self) -> String {
        self.slices().1
    }

    /// As [`Stage::look`], brought forward by what changed at a path.
    pub fn look_because(&self, path: &str) -> String {
        self.trigger.replace(vec![PathBuf::from(path)]);
        let told = self.look();
        self.trigger.take();
        told
    }

    /// As [`Stage::look`]; also says in how many slices of time.
    pub fn slices(&self) -> (usize, String) {
        let mut text = String::new();
        let mut slot = self.watcher.borrow_mut();
        let watcher = slot.get_or_insert_with(|| self.make());
        for slice in 1..1_000 {
            let (progress, told) = self.poll(watcher.as_mut());
            text.push_str(&print(&told));
            match progress {
                Ok(Progress::More) => continue,
                Ok(Progress::Done) => {}
                Ok(Progress::Absent) => text.push_str("absent"),
                Err(error) => {
                    let _ = write!(text, "failed: {error:#}");
                }
            }
            return (slice, text);
        }
        panic!("the look of {} does not end", self.spec.name)
    }

    fn poll(&self, watcher: &mut dyn Watcher) -> (anyhow::Result<Progress>, Told) {
        let held = Held { cursors: self.cursors.borrow(), kept: self.kept.borrow() };
        let host = self.host();
        let trigger = self.trigger.borrow();
        let mut look = Look::new(host, host.clock().now(), &trigger, &held);
        let progress = watcher.poll(&mut look);
        let mut told = look.into_told();
        drop(held);
        self.cursors.borrow_mut().extend(told.cursors.iter().cloned());
        self.cursors.borrow_mut().retain(|_, place| !place.is_empty());
        self.kept.borrow_mut().extend(std::mem::take(&mut told.kept));
        (progress, told)
    }

    fn make(&self) -> Box<dyn Watcher> {
        let mut settings: toml::Table = self.spec.sample.parse().expect("the sample is TOML");
        let over: toml::Table = self.settings.parse().expect("the settings are TOML");
        settings.extend(over);
        self.spec.make(settings).expect("the settings fit")
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.remove {
            // What is left in the folder for temporary files harms nobody.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// What was told, a line each, facts first:
///
/// ```text
/// fact TABLE KEY COLUMN=VALUE COLUMN=?(WHY UNKNOWN) from SOURCE
/// sample NAME{LABEL="VALUE"} NUMBER
/// urgent
/// event KIND SEVERITY TEXT xCOUNT
/// problem TABLE KEY_PREFIX* PATH: ERROR
/// ```
#[must_use]
pub fn print(told: &Told) -> String {
    let mut text = String::new();
    for (table, fact) in &told.facts {
        let mut words = format!("fact {} {}", table.name, fact.key);
        for column in table.columns.iter().map(|column| column.name).chain([""]) {
            if let Some(value) = fact.fields.get(column) {
                let _ = write!(words, " {column}={value}");
            }
            if let Some(reason) = fact.unknown.get(column) {
                let _ = write!(words, " {column}=?({reason})");
            }
        }
        let _ = writeln!(text, "{words} from {}", fact.source);
    }
    for (series, _, value) in &told.samples {
        let _ = writeln!(text, "sample {series} {value}");
    }
    if told.urgent {
        text.push_str("urgent\n");
    }
    for event in &told.events {
        let _ = writeln!(text, "event {} {} {} x{}", event.kind, event.severity.as_str(), event.text, event.count);
    }
    for problem in &told.problems {
        let _ = writeln!(text, "problem {} {}* {}: {}", problem.table, problem.key_prefix, problem.path, problem.error);
    }
    text
}
