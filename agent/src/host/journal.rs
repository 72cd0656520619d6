//! One file of the systemd journal, read in the order in which it was written: the format of
//! <https://systemd.io/JOURNAL_FILE_FORMAT>, the part of it that reading on needs.
//!
//! Read, never mapped: a file that is truncated under a mapping kills the process, and journald truncates. The two
//! crates that read journals (`sdjournal`, `systemd-journal-sdk`) open their files themselves, around the one door to
//! the host, and bring queries, indexes and followers that nobody needs here. Given up: hash tables and field indexes,
//! so no entry is found by its content; and fields compressed with XZ or LZ4, which old journals have: they are counted
//! as unreadable.
//!
//! Whatever stands in the file, reading has an end: offsets lie inside the file, arrays of entries only lead forward,
//! an object is read up to a limit.

mod data;
mod header;
mod window;

use super::HostFile;
use data::{Cache, Field};
pub use data::{Entry, FIELD};
pub use header::{Header, State};
use window::Window;

/// Why a journal file cannot be read, or not further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// It does not begin as a journal does.
    #[error("not a file of the journal")]
    NotAJournal,
    /// It needs something of its reader that came after this one was written.
    #[error("written by a newer systemd (incompatible flags {0:#x})")]
    Unsupported(u32),
    /// Something in it is not as the format has it.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// Reading failed.
    #[error("{0}")]
    Io(&'static str),
}

/// What a step forward met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An entry, which was filled in.
    Entry,
    /// An entry that cannot be read; the next one may be.
    Unreadable(JournalError),
    /// There are no more for now.
    End,
}

/// Types of objects.
const DATA: u8 = 1;
const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;
/// Bytes of an object's own header: type, flags, size.
const OBJECT: u64 = 16;
/// Where the items of an array of entries begin.
const ARRAY_ITEMS: u64 = 24;
/// Where the items of an entry begin.
const ENTRY_ITEMS: u64 = 64;
/// Items of an entry that are looked at; journald itself writes some thirty.
const MAX_ITEMS: u64 = 1_024;
/// Arrays of entries one after the other; each is bigger than the one before.
const MAX_ARRAYS: usize = 100_000;

/// An array of entries: where it lies, how many it holds, the number of its first entry in the file.
#[derive(Clone, Copy)]
struct Array {
    offset: u64,
    items: u64,
    first: u64,
}

/// A file of the journal, open, and the place up to which it was read.
pub struct Journal {
    window: Window,
    header: Header,
    array: Option<Array>,
    next: u64,
    cache: Cache,
}

impl Journal {
    /// Takes an open file and reads its header. The place is the beginning.
    ///
    /// # Errors
    /// It is no journal, or one that this reader does not know.
    pub fn open(file: HostFile) -> Result<Self, JournalError> {
        let mut window = Window::new(file);
        let header = Header::read(&mut window)?;
        Ok(Self { window, header, array: None, next: 0, cache: Cache::default() })
    }

    /// The header as it was last read.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &HostFile {
        self.window.file()
    }

    /// Bytes of the file, as of when the header was read.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.window.size()
    }

    /// Reads the header anew: what was written since can be read then.
    ///
    /// # Errors
    /// It became another file under our hands.
    pub fn refresh(&mut self) -> Result<&Header, JournalError> {
        self.window.forget();
        let header = Header::read(&mut self.window)?;
        if header.file_id != self.header.file_id {
            return Err(JournalError::Damaged("it became another file while it was read"));
        }
        self.header = header;
        Ok(&self.header)
    }

    /// Number of the entry that is read next, counted from zero.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.next
    }

    /// Goes to an entry by its number.
    pub fn go_to(&mut self, number: u64) {
        if self.array.is_some_and(|array| number < array.first) {
            self.array = None;
        }
        self.next = number;
    }

    /// Reads the next entry that was there when the header was read. `wanted` is asked with its sequence number and
    /// its time in microseconds; of others the fields are not read.
    ///
    /// # Errors
    /// It cannot be read any further.
    pub fn step(&mut self, entry: &mut Entry, wanted: impl Fn(u64, u64) -> bool) -> Result<Step, JournalError> {
        if self.next >= self.header.entries {
            return Ok(Step::End);
        }
        let array = self.array_of(self.next)?;
        let width = self.item_width();
        let at = array.offset + ARRAY_ITEMS + (self.next - array.first) * width;
        let offset = self.offset_at(at)?;
        self.next += 1;
        match self.entry(offset, entry, wanted) {
            Ok(()) => Ok(Step::Entry),
            Err(error) => Ok(Step::Unreadable(error)),
        }
    }

    fn item_width(&self) -> u64 {
        if self.header.compact { 4 } else { 8 }
    }

    fn offset_at(&mut self, at: u64) -> Result<u64, JournalError> {
        if self.header.compact { Ok(u64::from(self.window.u32(at)?)) } else { self.window.u64(at) }
    }

    /// The array that holds the entry of this number.
    fn array_of(&mut self, number: u64) -> Result<Array, JournalError> {
        let mut array = match self.array {
            Some(array) => array,
            None => self.array_at(self.header.first_array, 0)?,
        };
        for _ in 0..MAX_ARRAYS {
            if number - array.first < array.items {
                self.array = Some(array);
                return Ok(array);
            }
            let next = self.window.u64(array.offset + OBJECT)?;
            if next <= array.offset {
                return Err(JournalError::Damaged("an array of entries leads nowhere"));
            }
            array = self.array_at(next, array.first + array.items)?;
        }
        Err(JournalError::Damaged("too many arrays of entries"))
    }

    fn array_at(&mut self, offset: u64, first: u64) -> Result<Array, JournalError> {
        let (kind, _, size) = self.object(offset)?;
        let items = size.saturating_sub(ARRAY_ITEMS) / self.item_width();
        if kind != ENTRY_ARRAY || items == 0 {
            return Err(JournalError::Damaged("no array of entries where one should be"));
        }
        Ok(Array { offset, items, first })
    }

    /// Type, flags and size of the object at an offset, all inside the file.
    fn object(&mut self, offset: u64) -> Result<(u8, u8, u64), JournalError> {
        if offset < self.header.size || !offset.is_multiple_of(8) {
            return Err(JournalError::Damaged("an offset leads to no object"));
        }
        let [kind, flags] = self.window.array::<2>(offset)?;
        let size = self.window.u64(offset + 8)?;
        let end = offset.checked_add(size).filter(|end| *end <= self.window.size());
        if size < OBJECT || end.is_none() {
            return Err(JournalError::Damaged("an object is bigger than the file"));
        }
        Ok((kind, flags, size))
    }

    fn entry(&mut self, offset: u64, entry: &mut Entry, wanted: impl Fn(u64, u64) -> bool) -> Result<(), JournalError> {
        let (kind, _, size) = self.object(offset)?;
        if kind != ENTRY || size < ENTRY_ITEMS {
            return Err(JournalError::Damaged("no entry where one should be"));
        }
        entry.clear();
        entry.seqnum = self.window.u64(offset + 16)?;
        entry.realtime = self.window.u64(offset + 24)?;
        if !wanted(entry.seqnum, entry.realtime) {
            return Ok(());
        }
        // Beside the offset, the old layout keeps the object's hash.
        let width = if self.header.compact { 4 } else { 16 };
        let items = ((size - ENTRY_ITEMS) / width).min(MAX_ITEMS);
        for item in 0..items {
            let data = self.offset_at(offset + ENTRY_ITEMS + item * width)?;
            if let Some(field) = self.cache.get(data) {
                field.put(entry);
                continue;
            }
            match self.field(data) {
                Ok(field) => {
                    field.put(entry);
                    self.cache.keep(data, field);
                }
                Err(_) => entry.unreadable += 1,
            }
        }
        Ok(())
    }

    fn field(&mut self, offset: u64) -> Result<Field, JournalError> {
        let (kind, flags, size) = self.object(offset)?;
        let payload = if self.header.compact { 72 } else { 64 };
        if kind != DATA || size < payload {
            return Err(JournalError::Damaged("no field where one should be"));
        }
        data::read(&mut self.window, offset + payload, size - payload, flags)
    }
}

#[cfg(test)]
mod tests;
