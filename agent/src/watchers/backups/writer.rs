//! Whether a process still has a file open for writing: a dump that waits for a lock for minutes is not a truncated one.

use std::path::{Path, PathBuf};

use crate::host::{Host, Kind};

/// Bytes of /proc/PID/fdinfo/N that are read.
const FDINFO: usize = 4_096;

/// True if a process that the agent may look into (CAP_SYS_PTRACE for those of others) has it open for writing. Asked
/// only before something is called truncated.
pub(super) fn is_at_work(host: &Host, path: &Path) -> bool {
    host.pids().unwrap_or_default().into_iter().any(|pid| {
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        let mut links = Vec::new();
        let listed = host.entries(&folder, &mut |name, kind| {
            if kind == Kind::Link {
                links.push(name.to_owned());
            }
        });
        listed.is_ok()
            && links.iter().any(|link| {
                let leads = host.read_link(folder.join(link)).is_ok_and(|target| target == path);
                leads && may_write(host, &Path::new(&format!("/proc/{pid}/fdinfo")).join(link))
            })
    })
}

/// `flags:` is octal as of open(2); the last two bits are 0 for reading only (proc_pid_fdinfo(5)).
fn may_write(host: &Host, fdinfo: &Path) -> bool {
    let text = host.read_text(fdinfo, FDINFO).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 3 != 0)
}
