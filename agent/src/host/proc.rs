//! Processes, read when asked. All of it is optional: a process may end, change or hide at any moment.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::{Host, HostError, Kind};

/// Bytes of a command line that are looked at.
const CMDLINE: usize = 4 << 10;
/// What the kernel puts behind the path of a program that was removed or replaced while it runs (proc_pid_exe(5)).
const DELETED: &[u8] = b" (deleted)";

/// The program that a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exe {
    /// Its path, as the process's own mount namespace has it.
    pub path: PathBuf,
    /// True when another file, or none, is at that path now.
    pub replaced: bool,
}

impl Host {
    /// Numbers of all processes, ascending; none on a host in a folder that has no /proc.
    ///
    /// # Errors
    /// /proc cannot be listed, or holds too many entries.
    pub fn pids(&self) -> Result<Vec<u32>, HostError> {
        let mut pids = Vec::new();
        let listed = self.entries("/proc", &mut |name, kind| {
            let number = name.to_str().filter(|_| kind == Kind::Folder).and_then(|name| name.parse::<u32>().ok());
            pids.extend(number);
        });
        match listed {
            Ok(()) => {}
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
        pids.sort_unstable();
        Ok(pids)
    }

    /// What a process runs. Kernel threads have nothing: not found.
    ///
    /// # Errors
    /// It has ended, or the agent may not see (CAP_SYS_PTRACE would let it).
    pub fn exe(&self, pid: u32) -> Result<Exe, HostError> {
        let mut path = self.read_link(format!("/proc/{pid}/exe"))?.into_os_string().into_vec();
        let replaced = path.ends_with(DELETED);
        if replaced {
            path.truncate(path.len() - DELETED.len());
        }
        Ok(Exe { path: PathBuf::from(std::ffi::OsString::from_vec(path)), replaced })
    }

    /// The name of a process's program, at most 15 bytes of it; everybody may see it.
    ///
    /// # Errors
    /// It has ended.
    pub fn comm(&self, pid: u32) -> Result<Vec<u8>, HostError> {
        let mut name = self.read(format!("/proc/{pid}/comm"), CMDLINE)?;
        if name.last() == Some(&b'\n') {
            name.pop();
        }
        Ok(name)
    }

    /// True when a process sees the mounts that process 1 sees. When that cannot be told, it is taken to be so:
    /// a container that can hide it from us can be seen by us only as root.
    #[must_use]
    pub fn shares_mounts(&self, pid: u32) -> bool {
        let space = |pid: &str| self.read_link(format!("/proc/{pid}/ns/mnt"));
        match (space("1"), space(&pid.to_string())) {
            (Ok(first), Ok(own)) => first.as_os_str().as_bytes() == own.as_os_str().as_bytes(),
            _ => true,
        }
    }
}
