//! Which process has a socket open: the links in /proc/PID/fd, which only root and CAP_SYS_PTRACE may read of others; where
//! Landlock keeps this thread apart from them, by way of [`super::Peek`].

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{ErrorKind, Host};

/// What a search for sockets came to.
#[derive(Debug, Default)]
pub struct Owners {
    /// A process that has the socket of that inode open: the one with the smallest number, but process 1 only if nobody else
    /// has it.
    pub pids: BTreeMap<u64, u32>,
    /// True when some process could not be looked into.
    pub denied: bool,
}

impl Host {
    /// Looks for the processes that have sockets open. It visits all processes until everything is found, so ask for
    /// sockets that are new only.
    #[must_use]
    pub fn socket_owners(&self, inodes: &BTreeSet<u64>) -> Owners {
        let mut owners = Owners::default();
        let Ok(pids) = self.pids() else { return Owners { denied: true, ..owners } };
        for pid in pids {
            if owners.pids.len() == inodes.len() && !owners.pids.values().any(|pid| *pid == 1) {
                break;
            }
            let folder = PathBuf::from(format!("/proc/{pid}/fd"));
            let mut names = Vec::new();
            let listed = self.entries(&folder, &mut |name, _| names.extend(name.to_str().map(str::to_owned)));
            // A process that has ended hides nothing; one with more descriptors than are looked at may.
            owners.denied |= listed.is_err_and(|error| !error.is_absent());
            let texts = self.link_texts(&folder, names);
            match texts {
                Ok(texts) => {
                    // The folder can be listed by who may not read what is in it.
                    owners.denied |= texts.iter().any(|text| matches!(text, Err(ErrorKind::Denied)));
                    let found = texts.into_iter().flatten().filter_map(|text| inode(text.as_os_str().as_bytes()));
                    for inode in found.filter(|inode| inodes.contains(inode)) {
                        // Process 1 keeps a socket that it has handed on; whoever got it answers there.
                        let owner = owners.pids.entry(inode).or_insert(pid);
                        if *owner == 1 {
                            *owner = pid;
                        }
                    }
                }
                Err(error) => owners.denied |= error.kind == ErrorKind::Denied,
            }
        }
        owners
    }
}

/// Of `socket:[12345]` (proc_pid_fd(5)).
fn inode(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_sockets_have_an_inode() {
        assert_eq!(inode(b"socket:[812]"), Some(812));
        assert_eq!(inode(b"pipe:[812]"), None);
        assert_eq!(inode(b"/srv/socket:[812]"), None);
        assert_eq!(inode(b"socket:[x]"), None);
    }

    #[test]
    fn the_socket_of_a_process_of_this_machine_is_found() {
        use std::os::unix::fs::MetadataExt;
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&socket);
        let inode = std::fs::metadata(format!("/proc/self/fd/{descriptor}")).unwrap().ino();
        let clock = plumb_proto::time::ManualClock::at(plumb_proto::time::Timestamp::from_secs(0));
        let host = Host::new("/", std::sync::Arc::new(clock));
        assert_eq!(host.socket_owners(&BTreeSet::from([inode])).pids, BTreeMap::from([(inode, std::process::id())]));
    }
}
