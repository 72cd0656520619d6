//! What can stand between the agent and a file.

use std::path::Path;

use nix::errno::Errno;
use plumb_proto::untrusted::Untrusted;

use super::grant::{Right, Rights};

/// A path that was tried, and what stood in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {kind}")]
pub struct HostError {
    /// The path as it was asked for, below the host's root.
    pub path: Untrusted,
    /// What stood in the way.
    pub kind: ErrorKind,
}

/// What stands in the way of reading something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// It is not there. Absent is not broken.
    #[error("not found")]
    NotFound,
    /// The agent may not.
    #[error("permission denied")]
    Denied,
    /// The kernel hides what belongs to others there (proc(5), hidepid).
    #[error("it is mounted with hidepid, which hides the processes of others")]
    Hidden,
    /// It holds more than the caller is ready to take.
    #[error("bigger than {0} bytes")]
    TooBig(u64),
    /// A folder holds more entries, or a walk meets more, than is ever looked at.
    #[error("more than {0} entries")]
    TooMany(usize),
    /// A folder, device, FIFO or socket where a file was expected.
    #[error("not a regular file")]
    NotRegular,
    /// A link on the way belongs to somebody whose links are not followed there.
    #[error("a link of uid {link} on the way to a file of uid {target} is not followed")]
    ForeignLink {
        /// Who made the link.
        link: u32,
        /// Whose file it leads to; the same as `link` when it was not followed at all.
        target: u32,
    },
    /// A link where none is followed.
    #[error("a link, which is not followed")]
    Link,
    /// More links one after the other than the kernel itself would follow.
    #[error("too many links")]
    TooManyLinks,
    /// It lies in the agent's own state folder, which is never observed.
    #[error("the agent's own state is not observed")]
    OwnState,
    /// It lies on a file system that may hang, so it is not touched.
    #[error("on a network or user-space file system, which is not touched because it may hang")]
    MayHang,
    /// The root that was given cannot be opened, so nothing can be said of the host.
    #[error("the root folder cannot be opened: {0}")]
    NoRoot(&'static str),
    /// It is not text in UTF-8.
    #[error("not UTF-8 text")]
    NotText,
    /// Anything else, in the words of the system.
    #[error("{0}")]
    Io(&'static str),
}

impl ErrorKind {
    /// The choice that an error number stands for.
    #[must_use]
    pub fn from_errno(errno: Errno) -> Self {
        match errno {
            // A process that ends while it is read of answers ESRCH.
            Errno::ENOENT | Errno::ENOTDIR | Errno::ESRCH => Self::NotFound,
            Errno::EACCES | Errno::EPERM => Self::Denied,
            Errno::ELOOP => Self::Link,
            Errno::ENXIO | Errno::EISDIR => Self::NotRegular,
            other => Self::Io(other.desc()),
        }
    }

    /// The choice that an error of the standard library stands for.
    #[must_use]
    pub fn from_io(error: &std::io::Error) -> Self {
        error.raw_os_error().map_or(Self::Io("reading failed"), |number| Self::from_errno(Errno::from_raw(number)))
    }

    /// With the path it is about.
    #[must_use]
    pub fn at(self, path: &Path) -> HostError {
        HostError { path: path.as_os_str().as_encoded_bytes().into(), kind: self }
    }
}

impl HostError {
    /// True when it is simply not there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    /// True when a server's socket did not let anybody connect: nobody was asked.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        matches!(self.kind, ErrorKind::NotFound | ErrorKind::Denied)
            || self.kind == ErrorKind::from_errno(Errno::ECONNREFUSED)
    }

    /// True when the kernel has it but it is switched off, as /proc/pressure with psi=0 (EOPNOTSUPP).
    #[must_use]
    pub fn is_switched_off(&self) -> bool {
        self.kind == ErrorKind::from_errno(Errno::EOPNOTSUPP)
    }

    /// What the operator can do about it; empty when nothing general can be said.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.kind {
            ErrorKind::Denied => {
                // What /proc shows of a process is guarded by another right than files are (ptrace(2)).
                let process = self.path.as_bytes().strip_prefix(b"/proc/").and_then(|rest| rest.first());
                let right = if process.is_some_and(u8::is_ascii_digit) { Right::Processes } else { Right::Files };
                right.hint_with(Rights::own())
            }
            ErrorKind::Hidden => Right::Processes.hint_with(Rights::own()),
            ErrorKind::NoRoot(_) => "give an existing folder with --root",
            _ => "",
        }
    }
}
