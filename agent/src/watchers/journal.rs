//! The systemd journal: on many hosts the only place where services and the kernel say what went wrong. Read on from
//! where it was left, natively; only the system's journal, what users' own sessions write says nothing of the host.
//!
//! The cursor holds the place, the counts and the tally of failures together: each entry counts once, whatever is killed
//! when. At the very first look the place is the end: what happened before is nobody's news.

mod files;
mod kept;
mod origin;
mod read;

use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::model::{Severity, Value};
use plumb_proto::time::Timestamp;

use crate::failures::Unread;
use crate::host::Host;
use crate::host::grant::Right;
use crate::host::journal::{Entry, Header, State};
use crate::tables::{LOG_FAILURE, LOG_SOURCE};
use crate::watcher::{Look, Progress, Spec, Watcher, seconds};
use files::{Files, Found};
use kept::{Kept, Place};
use read::{Open, Used, read_file};

/// The watcher `journal`.
pub const SPEC: Spec = Spec::new::<Journal>(
    "journal",
    seconds(10),
    &[&LOG_FAILURE, &LOG_SOURCE],
    "
# A known failure is over when the journal has not told of it for so many seconds.
quiet_seconds = 900
",
)
.with_cursor();

const CURSOR: &str = "journal";
/// The key of its row, and its label.
const SOURCE: &str = "journal";
/// Files gone through in one slice.
const FILES: usize = 16;
/// When nothing was written for so long, it is asked whether another file is written now.
const STILL: Duration = Duration::from_secs(60);
/// Size and last entry are told anew so often: they move all the time.
const ROW_PACE: Duration = Duration::from_secs(900);
/// Words of syslog(3), by number.
const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    quiet_seconds: u64,
    #[serde(skip)]
    kept: Kept,
    /// The cursor that `kept` is the meaning of.
    #[serde(skip)]
    saved: Option<Vec<u8>>,
    #[serde(skip)]
    open: Option<Open>,
    #[serde(skip)]
    folders: Vec<PathBuf>,
    /// What cannot be read, as of the last time that files were listed: what it tells is unknown.
    #[serde(skip)]
    bad: Vec<(PathBuf, String)>,
    /// Where something could not be read in a file that was left since.
    #[serde(skip)]
    left: Vec<(PathBuf, String)>,
    /// The number of entries in the open file, and since when it is that.
    #[serde(skip)]
    still: Option<(u64, Timestamp)>,
    #[serde(skip)]
    entry: Entry,
    /// When the row was made, and what it says.
    #[serde(skip)]
    row: Option<(Timestamp, u64, Timestamp)>,
}

impl Watcher for Journal {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        self.recall(look);
        if self.open.is_none() {
            let files = self.list(look);
            if files.found.is_empty() && self.bad.is_empty() {
                return Ok(Progress::Absent);
            }
            self.settle(look, files);
        } else {
            self.look_aside(look);
        }
        let more = self.read_on(look);
        if more {
            self.keep(look);
            return Ok(Progress::More);
        }
        self.tell(look);
        Ok(Progress::Done)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        self.folders.clone()
    }
}

impl Journal {
    /// Goes by what was committed: where this look's memory is ahead of it, a record was lost.
    fn recall(&mut self, look: &Look<'_>) {
        let stored = look.cursor(CURSOR);
        if stored.is_some() && stored == self.saved {
            return;
        }
        let quiet = Duration::from_secs(self.quiet_seconds);
        self.kept = stored.as_deref().map(Kept::read).unwrap_or_default();
        self.kept.tally = std::mem::take(&mut self.kept.tally).with_quiet(quiet);
        self.saved = stored;
        self.open = None;
    }

    fn keep(&mut self, look: &mut Look<'_>) {
        let bytes = self.kept.write();
        if self.saved.as_ref() != Some(&bytes) {
            look.set_cursor(CURSOR, bytes.clone());
            self.saved = Some(bytes);
        }
    }

    fn list(&mut self, look: &Look<'_>) -> Files {
        let files = Files::list(look.host);
        self.folders.clone_from(&files.folders);
        self.bad.clone_from(&files.bad);
        self.left.clear();
        self.still = None;
        files
    }

    /// Where nothing more is written to the open file, journald may have gone over to another one without a trace in
    /// this: from disk to memory and back, or to another machine id.
    fn look_aside(&mut self, look: &mut Look<'_>) {
        let Some(open) = &self.open else { return };
        let Header { entries, file_id, .. } = *open.reader.header();
        if open.reader.place() < entries && open.broken.is_none() {
            return; // there is still something to read
        }
        let (_, since) = *self.still.get_or_insert((entries, look.now));
        if self.still.is_some_and(|(before, _)| before != entries) || since > look.now {
            self.still = Some((entries, look.now));
        }
        let is_still = self.still.is_some_and(|(_, since)| look.now.since(since) >= STILL);
        if !is_still {
            return;
        }
        self.still = Some((entries, look.now));
        let is_live = Files::list_live(look.host).live().is_some_and(|live| live.header.file_id == file_id);
        if is_live && self.bad.is_empty() {
            return;
        }
        let files = self.list(look);
        if let Some(place) = self.kept.place.clone().filter(|_| !is_live) {
            self.turn_to(look, &files, place);
        }
    }

    /// Leaves the open file, which is read to its end, for the one that follows, if there is one.
    fn turn_to(&mut self, look: &mut Look<'_>, files: &Files, mut place: Place) {
        let Some(open) = &self.open else { return };
        if let Some(why) = open.broken.as_ref().or(open.unreadable.as_ref()) {
            self.left.push((open.reader.file().path().to_owned(), why.clone()));
        }
        place.leave(open.reader.header());
        self.go_on(look, files, &place, false);
    }

    /// Opens the file where reading was left, or the one after it; at the very first look, the end.
    fn settle(&mut self, look: &mut Look<'_>, files: Files) {
        let Some(place) = self.kept.place.clone() else {
            if let Some(live) = files.live() {
                let place = files.end_of(live, look.now);
                self.kept.place = Some(place.clone());
                self.enter(look, live, &place, place.number);
            }
            return;
        };
        let left = files.found.iter().find(|each| each.header.file_id == place.file_id);
        match left.filter(|each| each.header.entries >= place.number) {
            Some(found) => self.enter(look, found, &place, place.number),
            None => self.go_on(look, &files, &place, true),
        }
    }

    /// Goes on with the file that follows. `lost`: the one before is gone, read to its end or not.
    fn go_on(&mut self, look: &mut Look<'_>, files: &Files, place: &Place, lost: bool) {
        let Some(next) = files.after(place) else {
            if lost && let Some(live) = files.live() {
                self.enter(look, live, place, 0);
            }
            return;
        };
        if let Some(missing) = files.gap(next, place, lost) {
            let (since, until) = (moment(place.realtime), moment(next.header.head_realtime));
            let text = format!(
                "The journal was deleted before it was read: what was written from {since} to {until} is not known"
            );
            let event = look.event(until.min(look.now), "log_gap", Severity::Warning, text);
            event.fields.insert("source".to_owned(), Value::from(SOURCE));
            event.fields.extend(missing.map(|missing| ("entries".to_owned(), Value::from(missing))));
        }
        self.enter(look, next, place, 0);
    }

    fn enter(&mut self, look: &Look<'_>, found: &Found, place: &Place, number: u64) {
        match found.open(look.host) {
            Ok(mut reader) => {
                reader.go_to(number);
                let file_id = reader.header().file_id;
                self.kept.place = Some(Place { file_id, number, ..place.clone() });
                self.open = Some(Open { reader, live_path: found.live_path(), broken: None, unreadable: None });
            }
            // It was renamed or deleted since it was listed: the next look lists anew.
            Err(error) => self.bad.push((found.path.clone(), error)),
        }
    }

    /// Reads what is new. True: there is more.
    fn read_on(&mut self, look: &mut Look<'_>) -> bool {
        let mut used = Used::default();
        for _ in 0..FILES {
            let Some(open) = &mut self.open else { return false };
            let read = match open.reader.refresh() {
                Ok(_) => read_file(open, &mut self.kept, &mut self.entry, &mut used),
                Err(error) => Err(error.to_string()),
            };
            open.broken = read.err();
            if used.is_up() {
                return true;
            }
            let live = look.host.stat(&open.live_path);
            let inode = open.reader.file().meta().identity.inode();
            if live.is_ok_and(|live| live.identity.inode() == inode) && open.reader.header().state != State::Archived {
                return false;
            }
            let Some(place) = self.kept.place.clone() else { return false };
            let files = self.list(look);
            let before = place.file_id;
            self.turn_to(look, &files, place);
            if self.kept.place.as_ref().is_some_and(|place| place.file_id == before) {
                return false; // the one that follows is still empty
            }
        }
        true
    }

    fn tell(&mut self, look: &mut Look<'_>) {
        let broken = self.open.as_ref().and_then(|open| Some((open.reader.file().path(), open.broken.as_ref()?)));
        let unread = self.bad.first().map(|(path, why)| (path.as_path(), why)).or(broken);
        let unread = unread.map(|(path, why)| Unread {
            path: path.as_os_str().as_encoded_bytes(),
            why,
            hint: hint(why, look.host),
        });
        self.kept.tally.tell(look, &|_| unread);
        self.keep(look);
        look.counter("log_lines_total", &[("log_source", SOURCE)], whole(self.kept.lines));
        for (word, count) in PRIORITIES.iter().zip(self.kept.priorities).filter(|(_, count)| *count > 0) {
            look.counter("journal_entries_total", &[("priority", word)], whole(count));
        }
        if self.kept.unreadable > 0 {
            look.counter("journal_unreadable_total", &[], whole(self.kept.unreadable));
        }
        if let Some(open) = &self.open {
            let written = moment(open.reader.header().tail_realtime);
            let fresh = self.row.filter(|(made, _, _)| look.now.since(*made) < ROW_PACE);
            let (_, size, written) = *self.row.insert(fresh.unwrap_or((look.now, open.reader.size(), written)));
            let fields = [
                ("format", Value::from("journal")),
                ("size_bytes", Value::from(i64::try_from(size).unwrap_or(i64::MAX))),
                ("written", Value::from(written)),
            ];
            look.fact(&LOG_SOURCE, SOURCE, &open.live_path.to_string_lossy(), &fields);
            if let Some(why) = open.broken.as_ref().or(open.unreadable.as_ref()) {
                let path = open.reader.file().path().as_os_str().as_encoded_bytes();
                look.problem(&LOG_SOURCE, SOURCE, path, why, "");
            }
        }
        for (path, why) in self.bad.iter().chain(&self.left) {
            look.problem(&LOG_SOURCE, SOURCE, path.as_os_str().as_encoded_bytes(), why, hint(why, look.host));
        }
    }
}

/// What would let something be read.
fn hint(why: &str, host: &Host) -> &'static str {
    if why.ends_with("permission denied") { Right::Files.hint(host) } else { "" }
}

/// From the microseconds of the journal.
fn moment(microseconds: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(microseconds / 1_000).unwrap_or(i64::MAX))
}

/// A count as a sample has it; exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn whole(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
