//! One log, followed through rotations: which files its lines are in, how far each was read, and what was missed.
//!
//! A file is told from others by device, inode, its first bytes, and the bytes before the place that was reached, so a
//! file that was emptied, written anew, or that got the inode of another is seen for what it is. The file at the log's
//! path is kept open. When it is renamed or deleted it is read to its end through that, for ten more minutes, since its
//! writer may go on; after a restart it is looked for in its folder. Where lines may have been lost that is told.

mod begin;
mod left;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::time::Timestamp;

use super::cursor::{Begin, Counts, HEAD, Place, Print, Saved};
use super::lines::{self, At};
use super::rotated;
use crate::host::{ErrorKind, Host, HostError, HostFile, Identity, Kind};

/// For so long a file is read on that has been renamed or deleted.
const KEPT: Duration = Duration::from_secs(600);
/// Files of one log that wait to be read to their end.
const MAX_OLD: usize = 16;

/// A log that is met later is read from its beginning if it has no more bytes.
const YOUNG: u64 = 1 << 20;

/// Lines may have been lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// How many bytes, if that is known.
    pub(super) bytes: Option<u64>,
    /// What happened.
    pub(super) why: &'static str,
}

/// A log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    /// Who owns the configuration that names it, unless that is the system.
    pub(super) named_by: Option<u32>,
    pub(super) counts: Counts,
    pub(super) unnamed: Option<i64>,
    /// What came to be since it was last kept.
    pub(super) dirty: bool,
    /// Files of its folder that were asked for since that was last paid.
    pub(super) asked: u64,
    /// Where the file at its path really lies, as last seen.
    real: PathBuf,
    /// What was missed, until it is told.
    pub(super) gaps: Vec<Gap>,
    current: Option<Open>,
    old: Vec<Old>,
    saved: Saved,
    /// The path as it was last looked at.
    seen: Option<Identity>,
    size: u64,
    unread: bool,
}

/// A file with the place that was reached; open, unless it was not looked for yet.
#[derive(Debug)]
struct Open {
    place: Place,
    file: Option<HostFile>,
}

#[derive(Debug)]
struct Old {
    open: Open,
    /// Since when it has not been at the log's path; none: since before the last restart.
    since: Option<Timestamp>,
    /// A copy: nobody writes to it.
    still: bool,
}

/// Its writer may still go on with a file that was left then.
fn is_recent(since: Timestamp, now: Timestamp) -> bool {
    now.since(since) < KEPT && since <= now
}

/// What reading needs.
pub(super) struct Reading<'a> {
    pub(super) now: Timestamp,
    pub(super) buffer: &'a mut Vec<u8>,
    /// Bytes that may still be read.
    pub(super) budget: &'a mut u64,
}

impl Log {
    /// One that is taken up where its cursor says.
    pub(super) fn resumed(path: &str, saved: Saved) -> Self {
        let closed = |place: &Place| Open { place: place.clone(), file: None };
        Self {
            path: PathBuf::from(path),
            named_by: None,
            counts: saved.counts.clone(),
            unnamed: saved.unnamed,
            dirty: false,
            asked: 0,
            real: PathBuf::from(path),
            gaps: Vec::new(),
            current: saved.current.as_ref().map(closed),
            old: saved.old.iter().map(|place| Old { open: closed(place), since: None, still: false }).collect(),
            saved,
            seen: None,
            size: 0,
            unread: true,
        }
    }

    /// One that is met for the first time. What cannot be opened now begins there when it can be.
    pub(super) fn met(path: &str, begin: Begin) -> Self {
        Self { dirty: true, ..Self::resumed(path, Saved { begin, ..Saved::default() }) }
    }

    /// One whose cursor cannot be read: it goes on where the file ends now.
    pub(super) fn astray(path: &str) -> Self {
        let mut log = Self::met(path, Begin::End);
        log.miss_bytes(None, "was left at a place that is not known any more");
        log
    }

    /// Its cursor.
    pub(super) fn save(&mut self) -> Vec<u8> {
        self.saved.current = self.current.as_ref().map(|open| open.place.clone());
        self.saved.old = self.old.iter().map(|old| old.open.place.clone()).collect();
        self.saved.counts = self.counts.clone();
        self.saved.unnamed = self.unnamed;
        self.dirty = false;
        self.saved.encode()
    }

    /// The size and the time of the last change of the file at its path, as last seen.
    pub(super) fn seen(&self) -> Option<(u64, Timestamp)> {
        self.seen.map(|identity| (self.size, identity.modified()))
    }

    /// Looks at the path: takes up a new file, notices what became of the one before.
    ///
    /// # Errors
    /// There is something that cannot be read.
    pub(super) fn notice(&mut self, host: &Host, now: Timestamp) -> Result<(), HostError> {
        let meta = match host.stat(&self.path) {
            Ok(meta) if meta.kind == Kind::File => Some(meta),
            Ok(_) => return Err(ErrorKind::NotRegular.at(&self.path)),
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(error),
        };
        let identity = meta.map(|meta| meta.identity);
        if identity == self.seen && self.seen.is_some() {
            return Ok(());
        }
        let Some(meta) = meta else {
            if let Some(before) = self.current.take() {
                self.leave(host, before, now, "was removed");
            }
            self.seen = None;
            self.dirty |= self.saved.begin != Begin::Start;
            self.saved.begin = Begin::Start;
            return Ok(());
        };
        let held = self.current.as_mut().and_then(|open| open.file.take());
        let mut file = match held {
            Some(file) if file.meta().identity.inode() == meta.identity.inode() => file,
            held => {
                let opened = begin::open(host, &self.path, self.named_by);
                if let (Some(open), Some(held)) = (&mut self.current, held) {
                    open.file = Some(held);
                }
                opened?
            }
        };
        let (device, inode) = file.meta().identity.inode();
        let modified = meta.identity.modified().millis();
        self.moved(host, &mut file);
        match self.current.take() {
            Some(mut open) if (open.place.device, open.place.inode) == (device, inode) => {
                if rotated::continues(&mut file, &open.place) {
                    if open.place.head.len() == 0 {
                        // It was empty: what was written may have been copied away and emptied since.
                        let around = self.around(host, (0, 0));
                        self.take_between(host, around, open.place.modified, (device, inode), now);
                    }
                    open.place.modified = modified;
                    self.current = Some(Open { file: Some(file), ..open });
                } else {
                    self.emptied(host, open.place, (device, inode), now);
                    self.current = Some(begin::at_start(file));
                }
            }
            Some(open) => {
                self.leave(host, open, now, "was replaced");
                self.current = Some(begin::at_start(file));
            }
            None => {
                let known = !self.saved.finished.is_empty() || !self.old.is_empty();
                let copied = self
                    .old
                    .iter_mut()
                    .position(|old| rotated::begins(&mut file, old.open.place.head) && old.open.place.head.len() > 0);
                match copied {
                    // It was moved away and back.
                    Some(at) if self.old[at].open.place.inode == inode => {
                        let back = self.old.remove(at).open;
                        self.current = Some(Open { file: Some(file), ..back });
                    }
                    _ => {
                        if known {
                            let around = self.around(host, (0, 0));
                            self.take_between(host, around, self.saved.left, (device, inode), now);
                        } else {
                            self.remember_rotated(host);
                        }
                        self.current = Some(begin::at_start(file));
                    }
                }
            }
        }
        if let Some(Open { file: Some(file), .. }) = &self.current {
            file.path().clone_into(&mut self.real);
        }
        self.begin();
        (self.seen, self.size) = (identity, meta.size);
        (self.dirty, self.unread) = (true, true);
        Ok(())
    }

    /// Knows a file again that has another device or inode since the last start: disks get other numbers when they are
    /// mounted, and logs are moved to other disks.
    fn moved(&mut self, host: &Host, file: &mut HostFile) {
        let (device, inode) = file.meta().identity.inode();
        let Some(Open { place, file: None }) = &self.current else { return };
        let was = (place.device, place.inode);
        let is_it = was != (device, inode)
            && (place.head.len() > 0 || was.1 == inode)
            && rotated::continues(file, place)
            && !self.around(host, (0, 0)).plain.iter().any(|copy| copy.meta.identity.inode() == was);
        if let Some(open) = self.current.as_mut().filter(|_| is_it) {
            (open.place.device, open.place.inode) = (device, inode);
        }
    }

    /// Goes to where a log begins that is opened for the first time.
    fn begin(&mut self) {
        let Some(Open { place, file: Some(file) }) = &mut self.current else { return };
        let ahead = rotated::size(file).saturating_sub(place.offset);
        match std::mem::take(&mut self.saved.begin) {
            Begin::Start => {}
            Begin::Young if ahead <= YOUNG => {}
            Begin::Young => {
                begin::to_end(place, file);
                self.miss_bytes(Some(ahead), "was met when it was long already");
            }
            Begin::End => begin::to_end(place, file),
        }
    }

    /// Notes that lines may have been lost.
    fn miss_bytes(&mut self, bytes: Option<u64>, why: &'static str) {
        self.counts.gaps += 1;
        self.gaps.push(Gap { bytes, why });
    }

    /// Hands out the lines that there are; `true` if there may be more.
    ///
    /// # Errors
    /// A file cannot be read; what was read before counts.
    pub(super) fn read(
        &mut self,
        host: &Host,
        reading: &mut Reading<'_>,
        line: &mut impl FnMut(&[u8], bool),
    ) -> Result<bool, HostError> {
        self.find_old(host, reading.now);
        let mut at = 0;
        while let Some(old) = self.old.get_mut(at) {
            match read_file(&mut old.open, reading, line) {
                Ok(changed) => self.dirty |= changed,
                // It must not keep those that follow from being read.
                Err(_) => {
                    self.let_go(at, "could not be read to its end");
                    continue;
                }
            }
            if !old.open.place.at_end {
                return Ok(true);
            }
            let since = *old.since.get_or_insert(reading.now);
            if !old.still && is_recent(since, reading.now) {
                at += 1;
                continue;
            }
            let mut old = self.old.remove(at);
            if let Some(file) = &mut old.open.file {
                let place = At { offset: old.open.place.offset, skipping: old.open.place.skipping, ended: true };
                if lines::last_line(file, &place, reading.buffer, line).is_err() {
                    self.miss_bytes(None, "could not be read to its end");
                }
            }
            self.saved.finish(old.open.place.head);
            self.dirty = true;
        }
        if !self.unread {
            return Ok(false);
        }
        if let Some(open) = &mut self.current {
            self.dirty |= read_file(open, reading, line).map_err(|error| failed(&error, &self.path))?;
            self.unread = !open.place.at_end;
        }
        Ok(self.unread && self.current.is_some())
    }
}

/// Reads one file on; `true` if its place has changed.
fn read_file(open: &mut Open, reading: &mut Reading<'_>, line: &mut impl FnMut(&[u8], bool)) -> io::Result<bool> {
    let Open { place, file: Some(file) } = open else { return Ok(false) };
    let mut at = At { offset: place.offset, skipping: place.skipping, ended: false };
    let read = lines::read_on(file, &mut at, reading.buffer, reading.budget, line);
    let before = (place.offset, place.skipping, place.at_end, place.head);
    (place.offset, place.skipping, place.at_end) = (at.offset, at.skipping, at.ended);
    if before.0 != at.offset {
        if place.head.len() < HEAD {
            place.head = rotated::head(file);
        }
        place.tail = rotated::tail(file, at.offset);
    }
    read?;
    Ok(before != (place.offset, place.skipping, place.at_end, place.head))
}

fn failed(error: &io::Error, path: &Path) -> HostError {
    ErrorKind::from_io(error).at(path)
}

impl Place {
    /// The beginning of a file.
    fn start(device: u64, inode: u64, head: Print, modified: i64) -> Self {
        Self { device, inode, head, modified, ..Self::default() }
    }
}
