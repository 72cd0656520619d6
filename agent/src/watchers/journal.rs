//! The systemd journal: on many hosts the only place where services and the kernel say what went wrong. Read on from
//! where it was left, natively; only the system's journal, what users' own sessions write says nothing of the host.
//!
//! The cursor holds the place, the counts and the tally of failures together: each entry counts once, whatever is killed
//! when. At the very first look the place is the end: what happened before is nobody's news.

mod files;
mod kept;
mod origin;

use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::model::{Severity, Value};
use plumb_proto::time::Timestamp;

use crate::failures;
use crate::host::journal::{Entry, Journal as Reader, State, Step};
use crate::tables::{LOG_FAILURE, LOG_SOURCE};
use crate::watcher::{Look, Progress, Spec, Watcher, seconds};
use files::{Files, Found};
use kept::{Kept, Place};

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
/// Entries read in one slice of time.
const SLICE: usize = 1_000;
/// Entries passed over in one slice: those read before, and those that cannot be read.
const SKIPPED: usize = 20_000;
/// Files gone through in one slice.
const FILES: usize = 16;
/// Lines of one message that are searched.
const LINES: usize = 64;
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
    /// Files that cannot be read, as of the last time that they were listed.
    #[serde(skip)]
    bad: Vec<(PathBuf, String)>,
    #[serde(skip)]
    entry: Entry,
    /// When the row was made, and what it says.
    #[serde(skip)]
    row: Option<(Timestamp, u64, Timestamp)>,
}

/// The file that is being read.
struct Open {
    reader: Reader,
    /// Where it would lie if it were still the one that is written.
    live_path: PathBuf,
    /// Why something in it could not be read: the first reason.
    unreadable: Option<String>,
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
        self.kept = stored.as_deref().map(Kept::from_bytes).unwrap_or_default();
        self.kept.tally = std::mem::take(&mut self.kept.tally).with_quiet(quiet);
        self.saved = stored;
        self.open = None;
    }

    fn keep(&mut self, look: &mut Look<'_>) {
        let bytes = self.kept.to_bytes();
        if self.saved.as_ref() != Some(&bytes) {
            look.set_cursor(CURSOR, bytes.clone());
            self.saved = Some(bytes);
        }
    }

    fn list(&mut self, look: &Look<'_>) -> Files {
        let files = Files::list(look.host);
        self.folders.clone_from(&files.folders);
        self.bad = files.bad.iter().map(|(path, why)| (path.clone(), why.clone())).collect();
        files
    }

    /// Opens the file where reading was left, or the one after it; at the very first look, the end.
    fn settle(&mut self, look: &mut Look<'_>, files: Files) {
        let Some(place) = self.kept.place.clone() else {
            if let Some(live) = files.live() {
                let place = files.end_of(live, look.now);
                let number = place.number;
                self.kept.place = Some(place);
                self.enter(look, live, number);
            }
            return;
        };
        let left = files.found.iter().find(|each| each.header.file_id == place.file_id);
        match left.filter(|each| each.header.entries >= place.number) {
            Some(found) => self.enter(look, found, place.number),
            None => self.go_on(look, &files, &place, true),
        }
    }

    /// Goes on with the file that follows. `lost`: the one before is gone, read to its end or not.
    fn go_on(&mut self, look: &mut Look<'_>, files: &Files, place: &Place, lost: bool) {
        let Some(next) = files.after(place) else {
            if lost && let Some(live) = files.live() {
                self.enter(look, live, 0);
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
        self.enter(look, next, 0);
    }

    fn enter(&mut self, look: &Look<'_>, found: &Found, number: u64) {
        match found.open(look.host) {
            Ok(mut reader) => {
                reader.go_to(number);
                if let Some(place) = &mut self.kept.place {
                    (place.file_id, place.number) = (reader.header().file_id, number);
                }
                self.open = Some(Open { reader, live_path: found.live_path(), unreadable: None });
            }
            // It was renamed or deleted since it was listed: the next look lists anew.
            Err(error) => self.bad.push((found.path.clone(), error)),
        }
    }

    /// Reads what is new. True: there is more.
    fn read_on(&mut self, look: &mut Look<'_>) -> bool {
        let (mut read, mut skipped) = (0, 0);
        for _ in 0..FILES {
            let Some(open) = &mut self.open else { return false };
            let broken = match open.reader.refresh() {
                Ok(_) => read_file(open, &mut self.kept, &mut self.entry, (&mut read, &mut skipped)),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = &broken {
                open.unreadable.get_or_insert_with(|| why.clone());
            }
            if read >= SLICE || skipped >= SKIPPED {
                return true;
            }
            let live = look.host.stat(&open.live_path);
            let inode = open.reader.file().meta().identity.inode();
            if live.is_ok_and(|live| live.identity.inode() == inode) && open.reader.header().state != State::Archived {
                return false;
            }
            let Some(place) = self.kept.place.clone() else { return false };
            let files = self.list(look);
            self.complain();
            let before = place.file_id;
            self.go_on(look, &files, &place, false);
            if self.kept.place.as_ref().is_some_and(|place| place.file_id == before) {
                return false; // the one that follows is still empty
            }
        }
        true
    }

    /// Remembers what could not be read of a file that is left.
    fn complain(&mut self) {
        if let Some(open) = &self.open
            && let Some(why) = &open.unreadable
        {
            self.bad.push((open.reader.file().path().to_owned(), why.clone()));
        }
    }

    fn tell(&mut self, look: &mut Look<'_>) {
        self.kept.tally.tell(look);
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
            if let Some(why) = &open.unreadable {
                let path = open.reader.file().path().as_os_str().as_encoded_bytes();
                look.problem(&LOG_SOURCE, SOURCE, path, why, "");
            }
        }
        for (path, why) in &self.bad {
            let hint = if why.ends_with("permission denied") {
                "run the agent as root or add it to the group systemd-journal"
            } else {
                ""
            };
            look.problem(&LOG_SOURCE, SOURCE, path.as_os_str().as_encoded_bytes(), why, hint);
        }
    }
}

/// Reads a file on, up to its end or to the end of the slice.
fn read_file(
    open: &mut Open,
    kept: &mut Kept,
    entry: &mut Entry,
    (read, skipped): (&mut usize, &mut usize),
) -> Result<(), String> {
    let seqnum_id = open.reader.header().seqnum_id;
    while *read < SLICE && *skipped < SKIPPED {
        let before = kept.place.clone().unwrap_or_default();
        // What was copied from one journal to another is known by its time.
        let is_new = |seqnum: u64, realtime: u64| match before.seqnum_id == seqnum_id {
            true => seqnum > before.seqnum,
            false => realtime > before.realtime,
        };
        let step = open.reader.step(entry, is_new).map_err(|error| error.to_string())?;
        let Some(place) = &mut kept.place else { return Ok(()) };
        place.number = open.reader.place();
        match step {
            Step::End => return Ok(()),
            Step::Unreadable(error) => {
                *skipped += 1;
                kept.unreadable += 1;
                open.unreadable.get_or_insert_with(|| error.to_string());
            }
            Step::Entry if !is_new(entry.seqnum, entry.realtime) => *skipped += 1,
            Step::Entry => {
                *read += 1;
                (place.seqnum_id, place.seqnum, place.realtime) = (seqnum_id, entry.seqnum, entry.realtime);
                if entry.unreadable > 0 {
                    kept.unreadable += u64::from(entry.unreadable);
                    open.unreadable
                        .get_or_insert_with(|| "fields are damaged, or compressed with XZ or LZ4".to_owned());
                }
                take(kept, entry);
            }
        }
    }
    Ok(())
}

/// Counts an entry, and notes what it tells of.
fn take(kept: &mut Kept, entry: &Entry) {
    kept.lines += 1;
    if let Some(count) = entry.priority.and_then(|priority| kept.priorities.get_mut(usize::from(priority))) {
        *count += 1;
    }
    let Some(origin) = origin::of(entry) else { return };
    for line in entry.message.split(|byte| *byte == b'\n').take(LINES) {
        if let Some(known) = failures::find(origin, line) {
            kept.tally.note(known, &origin::source(entry), None, line, moment(entry.realtime));
            return; // one entry, one failure
        }
    }
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
