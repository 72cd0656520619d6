//! What things of the host say about themselves without being read.

use std::ffi::OsString;

use nix::sys::stat::{FileStat, SFlag};
use plumb_proto::time::Timestamp;

use super::open::kind_of;

/// What kind of thing lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, FIFO or socket.
    Other,
}

impl Kind {
    pub(super) fn of(stat: &FileStat) -> Self {
        match kind_of(stat) {
            SFlag::S_IFREG => Self::File,
            SFlag::S_IFDIR => Self::Folder,
            SFlag::S_IFLNK => Self::Link,
            _ => Self::Other,
        }
    }
}

/// What a file says about itself without being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Bytes in it; zero for files of /proc.
    pub size: u64,
    /// Bytes that it takes on the disk (stat(2), st_blocks): fewer than are in it where it has holes.
    pub allocated: u64,
    /// Same value: same file with the same content, as far as can be told without reading it.
    pub identity: Identity,
}

/// Tells one state of a file from another: device, inode, size, and both times, since mtime alone can be set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// Device and inode: the same for all names of one file.
    #[must_use]
    pub fn inode(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// When the content was last written (`st_mtime`), as the file system says: whoever owns the file can set it.
    #[must_use]
    pub fn modified(&self) -> Timestamp {
        Timestamp::from_millis(self.modified.0.saturating_mul(1000).saturating_add(self.modified.1 / 1_000_000))
    }

    /// When its content was last changed, as it says, in nanoseconds since the epoch.
    #[must_use]
    pub fn modified_ns(&self) -> i64 {
        nanoseconds(self.modified)
    }

    /// When anything of it was last changed, in nanoseconds since the epoch; nobody can set this back.
    #[must_use]
    pub fn changed_ns(&self) -> i64 {
        nanoseconds(self.changed)
    }
}

fn nanoseconds((seconds, rest): (i64, i64)) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

impl From<&FileStat> for Meta {
    fn from(stat: &FileStat) -> Self {
        let identity = Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        let (uid, gid, mode) = (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777);
        Self { kind: Kind::of(stat), uid, gid, mode, size, allocated, identity }
    }
}

impl Meta {
    /// A regular file that somebody may run.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.kind == Kind::File && self.mode & 0o111 != 0
    }
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, as the host's bytes.
    pub name: OsString,
    /// What it is; links are not followed.
    pub kind: Kind,
}
