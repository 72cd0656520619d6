//! Files that are gone through from beginning to end, in slices.

use std::io;

use super::gzip::Gzip;
use super::tar::Tar;
use super::zstd::Zstd;
use super::{Proof, Source};

/// Places of a file that are visited in one slice: on a disk that turns, each may take some milliseconds.
const VISITS: usize = 200;

/// A file on the way through.
pub(in super::super) enum Walk {
    Gzip(Box<Gzip>),
    Tar(Tar),
    Zstd(Zstd),
}

impl Walk {
    /// Whether all of it is read and unpacked, not only visited here and there.
    pub(in super::super) fn unpacks(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    /// Goes on for a slice, in which some `bytes` of a compressed file are unpacked; the file has `size`. `None`: there is
    /// more.
    ///
    /// # Errors
    /// Reading failed.
    pub(in super::super) fn go_on(
        &mut self,
        file: &mut dyn Source,
        size: u64,
        bytes: u64,
    ) -> io::Result<Option<Proof>> {
        match self {
            Self::Gzip(gzip) => gzip.go_on(file, size, bytes),
            Self::Tar(tar) => Ok(tar.go_on(file, size, VISITS)?.map(Proof::of)),
            Self::Zstd(zstd) => Ok(zstd.go_on(file, size, VISITS)?.map(Proof::of)),
        }
    }
}
