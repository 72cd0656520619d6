//! A file that is being hashed, a piece at a time.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use md5::{Digest as _, Md5};

use super::effort::Effort;
use crate::host::{ErrorKind, Host, HostError, HostFile, Links, Meta};

/// Bytes up to which a file is hashed whole; of a bigger one only its ends and its size count.
const WHOLE: u64 = 256 << 20;
/// Bytes of each end.
const END: u64 = 16 << 20;
/// Bytes of the buffer, and of one read.
pub(super) const BUFFER: usize = 64 << 10;
/// Bytes of one step.
const STEP: usize = 1 << 20;

/// What a file holds, in 16 bytes.
pub(super) type Digest = [u8; 16];

/// What came of it.
pub(super) enum Outcome {
    More,
    /// Its digest, and what it said of itself meanwhile.
    Hashed(Digest, Meta),
    /// It changed while it was read.
    Unstable(Meta),
}

enum Hasher {
    Blake3(Box<blake3::Hasher>),
    Md5(Box<Md5>),
}

/// See the module.
pub(super) struct Reading {
    file: HostFile,
    before: Meta,
    hasher: Hasher,
    read: u64,
    jumped: bool,
    again: bool,
}

impl Reading {
    /// Opens a file to hash it as the index does.
    pub(super) fn blake3(host: &Host, path: &Path) -> Result<Self, HostError> {
        Self::open(host, path, Hasher::Blake3(Box::default()))
    }

    /// Opens a file to hash it as dpkg does, whole.
    pub(super) fn md5(host: &Host, path: &Path) -> Result<Self, HostError> {
        Self::open(host, path, Hasher::Md5(Box::default()))
    }

    fn open(host: &Host, path: &Path, hasher: Hasher) -> Result<Self, HostError> {
        let file = host.open_by(path, Links::Never)?;
        let before = file.meta();
        Ok(Self { file, before, hasher, read: 0, jumped: false, again: false })
    }

    /// Reads on.
    pub(super) fn step(&mut self, buffer: &mut [u8], effort: &mut Effort) -> Result<Outcome, HostError> {
        let mut stepped = 0;
        while stepped < STEP {
            let read = match self.file.read(buffer) {
                Ok(0) => return self.end(),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ErrorKind::from_io(&error).at(self.file.path())),
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            match &mut self.hasher {
                Hasher::Blake3(hasher) => drop(hasher.update(bytes)),
                Hasher::Md5(hasher) => hasher.update(bytes),
            }
            stepped += read;
            self.read += u64::try_from(read).unwrap_or(0);
            effort.read(read);
            self.jump()?;
            // A file that grows faster than it is read would never end.
            if self.read > self.before.size.saturating_add(WHOLE) {
                return self.end();
            }
        }
        Ok(Outcome::More)
    }

    /// Leaves out the middle of a big file.
    fn jump(&mut self) -> Result<(), HostError> {
        let Hasher::Blake3(hasher) = &mut self.hasher else { return Ok(()) };
        if self.jumped || self.before.size <= WHOLE || self.read < END {
            return Ok(());
        }
        self.jumped = true;
        hasher.update(&self.before.size.to_le_bytes());
        let to = SeekFrom::Start(self.before.size - END);
        self.file.seek(to).map_err(|error| ErrorKind::from_io(&error).at(self.file.path()))?;
        Ok(())
    }

    fn end(&mut self) -> Result<Outcome, HostError> {
        let now = self.file.meta_now()?;
        if now.identity == self.before.identity {
            return Ok(Outcome::Hashed(self.digest(), now));
        }
        if std::mem::replace(&mut self.again, true) {
            return Ok(Outcome::Unstable(now));
        }
        self.file.rewind().map_err(|error| ErrorKind::from_io(&error).at(self.file.path()))?;
        (self.before, self.read, self.jumped) = (now, 0, false);
        match &mut self.hasher {
            Hasher::Blake3(hasher) => drop(hasher.reset()),
            Hasher::Md5(hasher) => **hasher = Md5::default(),
        }
        Ok(Outcome::More)
    }

    fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        match &self.hasher {
            Hasher::Blake3(hasher) => hasher.finalize_xof().fill(&mut digest),
            Hasher::Md5(hasher) => digest.copy_from_slice(&hasher.clone().finalize()),
        }
        digest
    }
}

/// The digest of a few bytes, such as the text of a link.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    let mut digest = Digest::default();
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut digest);
    digest
}

/// As people see it.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
