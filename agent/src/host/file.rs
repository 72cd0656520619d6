//! A regular file of the host, opened by the door and read with a bound.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::sys::stat::FileStat;

use super::Meta;
use super::error::{ErrorKind, HostError};
use super::open::Opened;

/// A regular file of the host, open for reading. Bound what you take of it.
#[derive(Debug)]
pub struct HostFile {
    file: File,
    stat: FileStat,
    path: PathBuf,
}

impl HostFile {
    pub(super) fn new(opened: Opened) -> Self {
        Self { file: File::from(opened.fd), stat: opened.stat, path: opened.path }
    }

    /// What it was when it was opened.
    #[must_use]
    pub fn meta(&self) -> Meta {
        Meta::from(&self.stat)
    }

    /// What it is now: another answer than [`HostFile::meta`] means that it changed meanwhile.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn meta_now(&self) -> Result<Meta, HostError> {
        let stat = nix::sys::stat::fstat(&self.file).map_err(|errno| ErrorKind::from_errno(errno).at(&self.path))?;
        Ok(Meta::from(&stat))
    }

    /// Where it really lies below the root, all links replaced.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its open descriptor, for a library that reads by itself.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Fills `buffer` with all of it. Files of /proc say that they are empty, so the end is found by reading.
    ///
    /// # Errors
    /// It holds more than `limit` bytes, or cannot be read.
    pub fn read_into(&mut self, limit: usize, buffer: &mut Vec<u8>) -> Result<(), HostError> {
        buffer.clear();
        let ceiling = u64::try_from(limit).unwrap_or(u64::MAX);
        if u64::try_from(self.stat.st_size).unwrap_or(0) > ceiling {
            return Err(ErrorKind::TooBig(ceiling).at(&self.path));
        }
        let read = self.file.by_ref().take(ceiling.saturating_add(1)).read_to_end(buffer);
        read.map_err(|error| ErrorKind::from_io(&error).at(&self.path))?;
        if buffer.len() > limit {
            return Err(ErrorKind::TooBig(ceiling).at(&self.path));
        }
        Ok(())
    }
}

impl Read for HostFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for HostFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
