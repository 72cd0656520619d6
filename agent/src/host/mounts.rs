//! Mounts of the host, from mountinfo (proc_pid_mountinfo(5)), and how full they are.
//!
//! The table of process 1 is read, not our own: a service manager gives the agent a view in which everything is
//! read-only. Where only our own can be read, it tells what is mounted, but not how ([`OWN_TABLE`]). statvfs(2) on a dead network or user-space mount never returns, so such mounts are asked on a throw-away
//! thread ([`probe`]).

mod probe;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use plumb_proto::untrusted::Untrusted;

pub use super::sys::Space;
use super::{Host, HostError};
pub(super) use probe::Probes;
pub use probe::{SpaceError, Statvfs};

/// Bytes of a table of mounts; a busy container host has some thousand of 200 bytes.
const MOUNTINFO: usize = 2 << 20;
/// Mounts as all processes see them.
const TABLE: &str = "/proc/1/mountinfo";
/// Mounts as this process sees them. Their options may be those of a view that was made for it alone.
pub const OWN_TABLE: &str = "/proc/self/mountinfo";
/// Types whose server may be gone; so may that of each `fuse*`.
const MAY_HANG: [&str; 18] = [
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "smb3",
    "smbfs",
];

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number of its device.
    pub device_id: Untrusted,
    /// The folder of the file system that is mounted: `/` unless this is a bind mount or a subvolume.
    pub inner: PathBuf,
    /// Where it is mounted.
    pub path: PathBuf,
    /// Options of the mount, as the kernel tells them.
    pub options: Vec<Untrusted>,
    /// Type of the file system, with its subtype: `ext4`, `fuse.sshfs`.
    pub fstype: Untrusted,
    /// What is mounted: a block device, an export, a name.
    pub device: Untrusted,
    /// Options of the file system itself.
    pub super_options: Vec<Untrusted>,
}

impl Mount {
    /// True when nothing can be written to it: the mount or the file system itself is read-only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.options.iter().chain(&self.super_options).any(|option| option.as_bytes() == b"ro")
    }

    /// True when a question to it may never be answered, since the answer comes from a server or a process.
    #[must_use]
    pub fn may_hang(&self) -> bool {
        let fstype = self.fstype.as_bytes();
        let fuse = fstype.starts_with(b"fuse") && fstype != b"fusectl";
        fuse || MAY_HANG.iter().any(|each| each.as_bytes() == fstype)
    }
}

impl Mount {
    /// True when files say to be on the device that the table names; btrfs, overlayfs and others have more of them.
    fn tells_its_device(&self) -> bool {
        matches!(self.fstype.as_bytes(), b"ext2" | b"ext3" | b"ext4" | b"f2fs" | b"tmpfs" | b"vfat" | b"xfs")
    }
}

/// A line that is no mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a mount: {text}")]
pub struct BadLine {
    line: usize,
    text: Untrusted,
}

/// Why the mounts of a host are not known.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// The table cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The table is not as proc_pid_mountinfo(5) says.
    #[error("{0}: {1}")]
    Bad(&'static str, BadLine),
}

impl Host {
    /// All mounts in mount order, pseudo file systems too.
    ///
    /// # Errors
    /// The table of mounts is not there, cannot be read or is malformed.
    pub fn mounts(&self) -> Result<Vec<Mount>, MountsError> {
        let mut text = Vec::new();
        let table = self.read_mountinfo(&mut text)?;
        let mounts = parse(&text).map_err(|bad| MountsError::Bad(table, bad))?;
        self.root.avoid(mounts.iter().filter(|mount| mount.may_hang()).map(|mount| mount.path.clone()));
        Ok(mounts)
    }

    /// The table of mounts as it is, into a buffer that is used again: same bytes, same mounts. Says which file it
    /// was.
    ///
    /// # Errors
    /// The table is not there or cannot be read.
    pub fn read_mountinfo(&self, buffer: &mut Vec<u8>) -> Result<&'static str, HostError> {
        match self.read_into(TABLE, MOUNTINFO, buffer) {
            Ok(()) => Ok(TABLE),
            // Other people's processes may be hidden (proc(5), hidepid).
            Err(_) => self.read_into(OWN_TABLE, MOUNTINFO, buffer).map(|()| OWN_TABLE),
        }
    }

    /// How full each of these mounts is, in their order. Those that may hang are asked all at once on threads of
    /// their own, for two seconds in all; one that is stuck is not asked again until it has answered.
    pub fn space(&self, mounts: &[&Mount]) -> Vec<Result<Space, SpaceError>> {
        let mut answers = self.probes.ask(mounts, self.clock());
        if self.is_live() {
            for (mount, answer) in mounts.iter().zip(&mut answers) {
                if answer.is_ok() && mount.tells_its_device() && self.is_hidden(mount) {
                    *answer = Err(SpaceError::Hidden);
                }
            }
        }
        answers
    }

    /// True when another file system lies there in our own view, as with ProtectHome= of a service manager.
    fn is_hidden(&self, mount: &Mount) -> bool {
        self.stat(&mount.path).is_ok_and(|meta| {
            let (device, _) = meta.identity.inode();
            let id = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
            id.as_bytes() != mount.device_id.as_bytes()
        })
    }
}

/// Mounts by line. Every line must be one: a table half understood would make mounts vanish.
///
/// # Errors
/// The first line that is none.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>, BadLine> {
    let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(at, line)| parse_line(line).ok_or_else(|| BadLine { line: at + 1, text: line.into() })).collect()
}

/// `36 35 98:0 /inner /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let (_id, _parent) = (words.next()?, words.next()?);
    let device_id = words.next().filter(|id| id.contains(&b':'))?;
    let (inner, path) = (unescape(words.next()?), unescape(words.next()?));
    let options = list(words.next()?);
    words.by_ref().find(|word| *word == b"-")?; // optional fields end here
    let (fstype, device) = (unescape(words.next()?), unescape(words.next()?));
    let super_options = list(words.next().unwrap_or_default());
    Some(Mount {
        device_id: device_id.into(),
        inner: into_path(inner),
        path: into_path(path),
        options,
        fstype: fstype.into(),
        device: device.into(),
        super_options,
    })
}

fn list(word: &[u8]) -> Vec<Untrusted> {
    word.split(|byte| *byte == b',').filter(|each| !each.is_empty()).map(|each| unescape(each).into()).collect()
}

fn into_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

/// Space, tab, newline, backslash and `#` are written as three octal digits after a backslash.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, others)) = rest.split_first() {
        match others {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if *first == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_its_escapes_and_optional_fields() {
        let text = b"36 35 98:0 /a\\040b /mnt\\0112 rw,noatime master:1 shared:2 - fuse.sshfs u@h:/\\134x rw,errors=continue\n";
        let mounts = parse(text).unwrap();
        assert_eq!(mounts.len(), 1);
        let mount = &mounts[0];
        assert_eq!((mount.inner.to_str(), mount.path.to_str()), (Some("/a b"), Some("/mnt\t2")));
        assert_eq!((mount.fstype.to_string(), mount.device.to_string()), ("fuse.sshfs".into(), r"u@h:/\\x".into()));
        assert_eq!(mount.super_options, ["rw".into(), "errors=continue".into()]);
        assert!(mount.may_hang() && !mount.is_read_only());
    }

    #[test]
    fn a_file_system_that_turned_read_only_is_so_even_if_the_mount_is_not() {
        let mounts = parse(b"1 0 8:1 / / rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro\n").unwrap();
        assert!(mounts[0].is_read_only());
    }

    #[test]
    fn a_line_that_is_no_mount_is_named() {
        let error = parse(b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n1 0 8:1 / / rw ext4\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not a mount: 1 0 8:1 / / rw ext4");
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        assert_eq!(unescape(br"\04\999\"), br"\04\999\");
    }
}
