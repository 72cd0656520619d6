//! Which process has a socket open: the links in /proc/PID/fd, which only root and CAP_SYS_PTRACE may read of others,
//! and nobody whom Landlock keeps apart from them (landlock(7), "Ptrace restrictions").

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::readlinkat;

use super::open::{Links, Want};
use super::{ErrorKind, Host};

/// Descriptors of one process that are looked at.
const DESCRIPTORS: usize = 65_536;

/// What a search for sockets came to.
#[derive(Debug, Default)]
pub struct Owners {
    /// A process that has the socket of that inode open: the one with the smallest number.
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
            if owners.pids.len() == inodes.len() {
                break;
            }
            match self.root.at(format!("/proc/{pid}/fd").as_ref(), Links::Never, Want::Folder) {
                Ok(opened) => {
                    let Ok(mut folder) = Dir::from_fd(opened.fd) else { continue };
                    let Ok(here) = nix::unistd::dup(&folder) else { continue };
                    for entry in folder.iter().take(DESCRIPTORS).flatten() {
                        let link = readlinkat(&here, entry.file_name());
                        // The folder can be listed by who may not read what is in it.
                        if matches!(link, Err(Errno::EACCES | Errno::EPERM)) {
                            owners.denied = true;
                            break;
                        }
                        let inode = link.ok().and_then(|link| inode(link.as_bytes()));
                        if let Some(inode) = inode.filter(|inode| inodes.contains(inode)) {
                            owners.pids.entry(inode).or_insert(pid);
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
