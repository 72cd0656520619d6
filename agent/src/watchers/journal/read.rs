//! Entries of one file: counted, and searched for failures.

use std::path::PathBuf;

use super::kept::Kept;
use super::{moment, origin};
use crate::failures;
use crate::host::journal::{Entry, Journal as Reader, Step};

/// Entries read in one slice of time.
const SLICE: usize = 1_000;
/// Entries passed over in one slice: those read before, and those that cannot be read.
const SKIPPED: usize = 20_000;
/// Lines of one message that are searched.
const LINES: usize = 64;

/// The file that is being read.
pub(super) struct Open {
    pub(super) reader: Reader,
    /// Where it would lie if it were still the one that is written.
    pub(super) live_path: PathBuf,
    /// Why it could not be read on when that was tried last.
    pub(super) broken: Option<String>,
    /// Why something in it could not be read: the first reason.
    pub(super) unreadable: Option<String>,
}

/// What was used up of a slice.
#[derive(Default)]
pub(super) struct Used {
    read: usize,
    skipped: usize,
}

impl Used {
    /// True: enough for this slice.
    pub(super) fn is_up(&self) -> bool {
        self.read >= SLICE || self.skipped >= SKIPPED
    }
}

/// Reads a file on, up to its end or to the end of the slice.
pub(super) fn read_file(open: &mut Open, kept: &mut Kept, entry: &mut Entry, used: &mut Used) -> Result<(), String> {
    let seqnum_id = open.reader.header().seqnum_id;
    while !used.is_up() {
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
                used.skipped += 1;
                kept.unreadable += 1;
                open.unreadable.get_or_insert_with(|| error.to_string());
            }
            Step::Entry if !is_new(entry.seqnum, entry.realtime) => used.skipped += 1,
            Step::Entry => {
                used.read += 1;
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
