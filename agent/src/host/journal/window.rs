//! The part of a journal file that was read last. What belongs to an entry is written just before it, so most of what
//! is asked for is there already.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::JournalError;
use crate::host::HostFile;

/// Bytes read at once.
const WINDOW: usize = 16 << 10;
/// Of these, how many lie before what was asked for.
const BEFORE: u64 = 4 << 10;

pub(super) struct Window {
    file: HostFile,
    size: u64,
    begin: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn new(file: HostFile) -> Self {
        Self { size: file.meta().size, file, begin: 0, bytes: Vec::new() }
    }

    pub(super) fn file(&self) -> &HostFile {
        &self.file
    }

    /// Size of the file as of [`Window::forget`].
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Lets go of what was read: the file is being written.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.size = self.file.seek(SeekFrom::End(0)).unwrap_or(0);
    }

    pub(super) fn u32(&mut self, at: u64) -> Result<u32, JournalError> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, at: u64) -> Result<u64, JournalError> {
        self.array(at).map(u64::from_le_bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, at: u64) -> Result<[u8; N], JournalError> {
        self.bytes(at, N)?.try_into().map_err(|_| JournalError::Damaged("it ends too early"))
    }

    /// `length` bytes, at most [`WINDOW`] - [`BEFORE`] of them.
    pub(super) fn bytes(&mut self, at: u64, length: usize) -> Result<&[u8], JournalError> {
        let inside = |begin: u64, held: usize| {
            let skip = usize::try_from(at.checked_sub(begin)?).ok()?;
            let end = skip.checked_add(length)?;
            (end <= held).then_some(skip..end)
        };
        if inside(self.begin, self.bytes.len()).is_none() {
            self.fill(at.saturating_sub(BEFORE))?;
        }
        let range = inside(self.begin, self.bytes.len());
        range.and_then(|range| self.bytes.get(range)).ok_or(JournalError::Damaged("it ends too early"))
    }

    fn fill(&mut self, begin: u64) -> Result<(), JournalError> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::InvalidInput => JournalError::Damaged("an offset lies beyond all files"),
            _ => JournalError::Io("reading failed"),
        };
        self.bytes.clear();
        self.begin = begin;
        self.file.seek(SeekFrom::Start(begin)).map_err(failed)?;
        let limit = u64::try_from(WINDOW).unwrap_or(u64::MAX);
        self.file.by_ref().take(limit).read_to_end(&mut self.bytes).map(drop).map_err(failed)
    }
}
