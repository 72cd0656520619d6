//! All logs of the host, from one look to the next.
//!
//! What is kept: `log:PATH` for each log, `logs` for the list of them, `sites`, `failures`, and `turn`, a number that
//! tells whether what is in memory is what was kept: if not, for whatever reason, memory gives way.

mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plumb_proto::model::{Severity, Value};
use plumb_proto::time::Timestamp;

use super::count::{NONE, Sites};
use super::cursor::{Begin, Saved};
use super::discover::Found;
use super::extract::Extractor;
use super::follow::{Log, Reading};
use super::glob::Seen;
use super::source::Source;
use crate::failures::{self, Origin, Tally};
use crate::watcher::Look;

/// Bytes that are read in one slice of time.
const SLICE: u64 = 4 << 20;
/// Bytes that could be read in the time that asking for one file takes.
const ASKED: u64 = 2 << 10;
/// Slices of one look; a log that grows faster than it is read waits for the next one.
const MAX_SLICES: u32 = 128;
/// Places of logs that may come, and configurations, that wake the watcher.
const WAKING: usize = 256;
/// So often it is asked whether there are other logs, if anything has changed where they are named.
const DISCOVER: Duration = Duration::from_secs(60);
/// So often that is done in any case.
const DISCOVER_ANYWAY: Duration = Duration::from_secs(3_600);
/// Looks that file events bring forward only look into those folders; all logs are looked at this often.
const ALL: Duration = Duration::from_secs(9);
/// A log that nobody names any more is forgotten after so many seconds.
const FORGET: i64 = 86_400;

/// See the module.
#[derive(Default)]
pub(super) struct State {
    turn: Option<u64>,
    resumed: bool,
    /// There was a look before, in this process or an earlier one: what appears now is new.
    begun: bool,
    logs: BTreeMap<String, Followed>,
    /// Logs whose cursors are to be forgotten.
    forgotten: Vec<String>,
    sites: Sites,
    tally: Tally,
    sites_dirty: bool,
    list_dirty: bool,
    seen: Seen,
    problems: Vec<(PathBuf, String)>,
    beyond: Option<(usize, String)>,
    discovered: Option<Timestamp>,
    asked: Option<Timestamp>,
    /// What is still to be looked at in this look.
    todo: Option<Vec<String>>,
    slices: u32,
    looked_at_all: Option<Timestamp>,
    told: Option<Timestamp>,
    buffer: Vec<u8>,
}

struct Followed {
    log: Log,
    source: Option<Source>,
    /// Nobody names it any more: what is in it is read, and then no more.
    ends: bool,
    /// Why it cannot be read, and what would help.
    problem: Option<(String, &'static str)>,
    /// Where its site was counted last.
    site: usize,
    /// Size and time of the last writing as they were told, and when.
    told: Option<(i64, Timestamp, Timestamp)>,
}

impl State {
    /// Takes up what was kept, unless it is in memory. A failure is over after `quiet`.
    pub(super) fn resume(&mut self, look: &Look<'_>, quiet: Duration) {
        let turn = look.cursor("turn").and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        if self.resumed && turn == self.turn {
            return;
        }
        let begun = self.begun || turn.is_some();
        let read = |name: &str| look.cursor(name).unwrap_or_default();
        let list: BTreeSet<String> = serde_json::from_slice(&read("logs")).unwrap_or_default();
        let sites = Sites::decode(&read("sites"));
        let tally = Tally::from_bytes(&read("failures")).with_quiet(quiet);
        let logs = list.into_iter().map(|path| {
            let log = match Saved::decode(&read(&format!("log:{path}"))) {
                Some(saved) => Log::resumed(&path, saved),
                None => Log::astray(&path),
            };
            (path, Followed::new(log))
        });
        let logs = logs.collect();
        *self = Self { turn, resumed: true, begun, logs, sites, tally, ..Self::default() };
    }

    /// Whether logs are to be looked for.
    pub(super) fn is_stale(&mut self, look: &Look<'_>) -> bool {
        if self.todo.is_some() {
            return false; // in the middle of a look
        }
        let passed = |since: Option<Timestamp>, span: Duration| {
            since.is_none_or(|since| look.now.since(since) >= span || since > look.now)
        };
        if passed(self.discovered, DISCOVER_ANYWAY) {
            return true;
        }
        // A folder or a configuration that was just written to may hold a log that is new.
        if look.trigger.is_empty() && !passed(self.asked, DISCOVER) {
            return false;
        }
        self.asked = Some(look.now);
        self.seen.has_changed(look.host)
    }

    /// Takes up the logs that were found.
    pub(super) fn take_up(&mut self, look: &Look<'_>, found: Found) {
        let Found { sources, problems, beyond, seen, .. } = found;
        let now = look.now.millis() / 1_000;
        for (path, followed) in &mut self.logs {
            // One that is being rotated may be missing from its place for a moment.
            followed.ends = !sources.contains_key(path) && look.host.stat(path).is_ok();
            let named = sources.contains_key(path) || (followed.source.is_some() && !followed.ends);
            let unnamed = if named { None } else { Some(followed.log.unnamed.unwrap_or(now)) };
            followed.log.dirty |= followed.log.unnamed != unnamed;
            followed.log.unnamed = unnamed;
        }
        let is_old = |followed: &Followed| {
            followed.log.unnamed.is_some_and(|since| !(0..FORGET).contains(&now.saturating_sub(since)))
        };
        let forgotten = self.logs.extract_if(.., |_, followed| is_old(followed)).map(|(path, _)| path);
        self.forgotten.extend(forgotten);
        self.list_dirty |= !self.forgotten.is_empty();
        for (path, source) in sources {
            let followed = self.logs.entry(path.clone()).or_insert_with(|| {
                self.list_dirty = true;
                let mut log = Log::met(&path, if self.begun { Begin::Young } else { Begin::End });
                log.named_by = source.named_by;
                Followed::new(log)
            });
            followed.log.named_by = source.named_by;
            followed.source = Some(source);
        }
        (self.problems, self.beyond, self.seen) = (problems, beyond, seen);
        (self.discovered, self.asked) = (Some(look.now), Some(look.now));
        self.begun = true;
    }

    /// No log was ever there.
    pub(super) fn is_empty(&self) -> bool {
        self.logs.is_empty() && !self.list_dirty
    }

    /// Reads for a slice of time; `true` if there is more.
    pub(super) fn read(&mut self, look: &mut Look<'_>) -> bool {
        let mut todo = self.todo.take().unwrap_or_else(|| {
            self.slices = 0;
            self.choose(look)
        });
        self.slices += 1;
        let mut budget = SLICE;
        while let Some(path) = todo.pop() {
            let more = self.read_log(look, &path, &mut budget);
            let asked = self.logs.get_mut(&path).map_or(0, |followed| std::mem::take(&mut followed.log.asked));
            budget = budget.saturating_sub(asked * ASKED);
            if more && self.slices < MAX_SLICES {
                todo.push(path);
            }
            if budget == 0 && !todo.is_empty() && self.slices < MAX_SLICES {
                self.todo = Some(todo);
                return true;
            }
        }
        false
    }

    /// The logs to look at, last first.
    fn choose(&mut self, look: &Look<'_>) -> Vec<String> {
        let recent = self.looked_at_all.is_some_and(|at| look.now.since(at) < ALL && at <= look.now);
        let all = look.trigger.is_empty() || !recent;
        if all {
            self.looked_at_all = Some(look.now);
        }
        let wanted =
            |path: &str| all || Path::new(path).parent().is_some_and(|at| look.trigger.iter().any(|t| t == at));
        self.logs.keys().rev().filter(|path| wanted(path)).cloned().collect()
    }

    fn read_log(&mut self, look: &mut Look<'_>, path: &str, budget: &mut u64) -> bool {
        let Some(followed) = self.logs.get_mut(path) else { return false };
        let Followed { log, source: named, ends, problem, site, .. } = followed;
        let noticed = log.notice(look.host, look.now);
        let Some(source) = named else {
            // Nobody says what is in it, but that it went away unread is told nevertheless.
            log.expire(look.now);
            tell_gaps(look, path, log);
            *problem = noticed.err().map(|error| (error.kind.to_string(), error.hint()));
            return false;
        };
        let mut reading = Reading { now: look.now, buffer: &mut self.buffer, budget };
        let (mut lines, mut cut, mut unknown) = (0, 0, 0);
        let read = match source.what.origin() {
            Some(origin) => {
                let told = |line: &[u8]| note(&mut self.tally, origin, path, source, line, look.now);
                let mut told = told;
                log.read(look.host, &mut reading, &mut |line, long| {
                    lines += 1;
                    cut += u64::from(long);
                    told(line);
                })
            }
            None => {
                let (sites, own) = (&mut self.sites, source.site.as_deref().map(str::as_bytes));
                // Whoever may write to a log may write any name into it: only the server's own logs are believed.
                let shared = own.is_none() && source.named_by.is_none();
                let named = own.unwrap_or(NONE.as_bytes());
                let mut format = 0;
                let dirty = &mut self.sites_dirty;
                log.read(look.host, &mut reading, &mut |line, long| {
                    lines += 1;
                    cut += u64::from(long);
                    match extract(&source.formats, &mut format, line) {
                        Some(hit) => {
                            *dirty = true;
                            *site = sites.place(hit.site.filter(|_| shared).unwrap_or(named), *site);
                            sites.add(*site, &hit, look.now);
                        }
                        None => unknown += 1,
                    }
                })
            }
        };
        log.counts.lines += lines;
        log.counts.cut += cut;
        // Without a format nothing is said of any line.
        log.counts.unknown += if source.formats.is_empty() { 0 } else { unknown };
        log.dirty |= lines > 0;
        tell_gaps(look, path, log);
        let (more, error) = match (read, noticed) {
            (Err(error), _) => (false, Some(error)),
            (Ok(more), noticed) => (more, noticed.err()),
        };
        *problem = error.map(|error| (error.kind.to_string(), error.hint()));
        if *ends && !more {
            *named = None;
        }
        more
    }

    /// Keeps what has changed, in the transaction that keeps what was told.
    pub(super) fn keep(&mut self, look: &mut Look<'_>) {
        let mut changed = false;
        for (path, followed) in self.logs.iter_mut().filter(|(_, followed)| followed.log.dirty) {
            look.set_cursor(&format!("log:{path}"), followed.log.save());
            changed = true;
        }
        for path in std::mem::take(&mut self.forgotten).iter().filter(|path| !self.logs.contains_key(*path)) {
            look.set_cursor(&format!("log:{path}"), Vec::new());
        }
        if std::mem::take(&mut self.list_dirty) {
            let list: Vec<&String> = self.logs.keys().collect();
            look.set_cursor("logs", serde_json::to_vec(&list).unwrap_or_default());
            changed = true;
        }
        if std::mem::take(&mut self.sites_dirty) {
            look.set_cursor("sites", self.sites.encode());
            changed = true;
        }
        if self.tally.has_changed() {
            look.set_cursor("failures", self.tally.to_bytes());
            changed = true;
        }
        if changed {
            let turn = self.turn.map_or(0, |turn| turn.wrapping_add(1));
            look.set_cursor("turn", turn.to_le_bytes().to_vec());
            self.turn = Some(turn);
        }
    }

    /// The folders of all logs, and where others may come or be named.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let mut folders: BTreeSet<&Path> = self.logs.keys().filter_map(|path| Path::new(path).parent()).collect();
        // Folders of data are written to all the time.
        let quiet = |path: &&Path| path.starts_with("/var/log") || path.starts_with("/etc");
        folders.extend(self.seen.paths().filter(quiet).take(WAKING));
        folders.into_iter().map(Path::to_owned).collect()
    }
}

impl Followed {
    fn new(log: Log) -> Self {
        Self { log, source: None, ends: false, problem: None, site: 0, told: None }
    }
}

/// Tells where lines may have been lost.
fn tell_gaps(look: &mut Look<'_>, path: &str, log: &mut Log) {
    for gap in std::mem::take(&mut log.gaps) {
        log.dirty = true;
        let bytes =
            gap.bytes.map_or("lines may not have been read".to_owned(), |bytes| format!("{bytes} bytes were not read"));
        let event = look.event(look.now, "log_gap", Severity::Info, format!("{path} {}: {bytes}", gap.why));
        event.fields.insert("source".to_owned(), Value::from(path));
        if let Some(bytes) = gap.bytes {
            event.fields.insert("bytes".to_owned(), Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX)));
        }
    }
}

/// What a line of requests says, by the format that fitted last, or else by any.
fn extract<'a>(formats: &[Arc<Extractor>], last: &mut usize, line: &'a [u8]) -> Option<super::extract::Hit<'a>> {
    if let Some(hit) = formats.get(*last).and_then(|format| format.extract(line)) {
        return Some(hit);
    }
    let (at, hit) = formats.iter().enumerate().find_map(|(at, format)| Some((at, format.extract(line)?)))?;
    *last = at;
    Some(hit)
}

/// Notes a line if it tells of a known failure.
fn note(tally: &mut Tally, origin: Origin, path: &str, source: &Source, line: &[u8], now: Timestamp) {
    if let Some(known) = failures::find(origin, line) {
        tally.note(known, path, source.site.as_deref(), line, now);
    }
}
