//! How many wait at UNIX sockets, asked of the kernel (sock_diag(7)): /proc/net/unix does not tell it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::{ErrorKind, Host, HostError};
use super::{LISTEN, SOCKETS, diag};

/// Bytes of `struct unix_diag_req` and of `struct unix_diag_msg` (linux/unix_diag.h).
const REQUEST: usize = 24;
const ANSWER: usize = 16;
/// What is asked for: UDIAG_SHOW_NAME and UDIAG_SHOW_RQLEN.
const SHOW: u32 = 0x01 | 0x10;
/// How answers are marked: UNIX_DIAG_NAME and UNIX_DIAG_RQLEN.
const NAME: u16 = 0;
const QUEUE: u16 = 4;
/// Where the state stands in an answer, and what it is of a connection (the kernel's include/net/tcp_states.h).
const STATE: usize = 2;
const ESTABLISHED: u8 = 1;

/// Who has connected to a UNIX socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visitors {
    /// Connections that wait until the program takes them.
    pub waiting: u32,
    /// Connections that it has taken and not closed, if that was asked for.
    pub taken: u32,
}

impl Host {
    /// The listening UNIX sockets of the agent's network namespace whose path is `wanted` (`rqueue` of a listening socket,
    /// net/unix/diag.c of the kernel); with `taken`, also the connections of each, which bear its path.
    ///
    /// # Errors
    /// The kernel has no such interface (it was built without CONFIG_UNIX_DIAG). Under a staged root nobody is asked.
    pub fn visitors(
        &self,
        wanted: &dyn Fn(&Path) -> bool,
        taken: bool,
    ) -> Result<BTreeMap<PathBuf, Visitors>, HostError> {
        let here = Path::new("UNIX sockets");
        if !self.is_live() {
            return Err(ErrorKind::Io("asked of the kernel, which is not done under --root").at(here));
        }
        let states = (1_u32 << LISTEN) | if taken { 1 << ESTABLISHED } else { 0 };
        let mut request = vec![libc::AF_UNIX.to_ne_bytes()[0], 0, 0, 0];
        request.extend(states.to_ne_bytes());
        request.extend([0; 4]); // no certain one
        request.extend(SHOW.to_ne_bytes());
        request.resize(REQUEST, 0);
        let mut listening: BTreeMap<PathBuf, u32> = BTreeMap::new();
        let mut connections: BTreeMap<PathBuf, u32> = BTreeMap::new();
        let asked = diag::ask(&request, &mut |message| {
            if let Some((path, queue)) = socket(message)?
                && wanted(&path)
            {
                match message.get(STATE) {
                    // One path may come twice: with a socket that is not there any more, but is still listened on.
                    Some(&LISTEN) => *listening.entry(path).or_default() += queue,
                    _ => *connections.entry(path).or_default() += 1,
                }
            }
            Some(listening.len() < SOCKETS)
        });
        asked.map_err(|error| ErrorKind::from_io(&error).at(here))?;
        // The kernel does not tell of connections that nobody has taken yet: these have no inode.
        let visitors = |(path, waiting): (PathBuf, u32)| {
            let taken = connections.get(&path).copied().unwrap_or_default();
            (path, Visitors { waiting, taken })
        };
        Ok(listening.into_iter().map(visitors).collect())
    }
}

/// Path and queue of one answer; `Some(None)`: it has no path, or no queue. `None`: it makes no sense.
fn socket(message: &[u8]) -> Option<Option<(PathBuf, u32)>> {
    let mut rest = message.get(ANSWER..)?;
    let (mut path, mut queue) = (None, None);
    while rest.len() >= 4 {
        // struct nlattr: length with itself, kind
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        match kind {
            // Names in the abstract space begin with NUL (unix(7)).
            NAME if value.first().is_some_and(|byte| *byte != 0) => {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                path = Some(PathBuf::from(OsStr::from_bytes(&value[..end])));
            }
            QUEUE => queue = Some(u32::from_ne_bytes(value.get(..4)?.try_into().ok()?)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(path.zip(queue))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Arc;

    use plumb_proto::time::SystemClock;
    use proptest::prelude::*;

    use super::*;
    use crate::state::testing::Folder;

    #[test]
    fn the_kernel_tells_how_many_wait_at_a_socket_of_this_machine() {
        let folder = Folder::new();
        let path = folder.path().join("server.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let _other = UnixListener::bind(folder.path().join("other.sock")).unwrap();
        let host = Host::new("/", Arc::new(SystemClock::new()));
        let visitors = |taken| {
            let found = host.visitors(&|each| each == path, taken).unwrap();
            found.into_iter().map(|(path, each)| (path, each.waiting, each.taken)).collect::<Vec<_>>()
        };
        assert_eq!(visitors(true), [(path.clone(), 0, 0)]);
        let _connections: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        assert_eq!(visitors(true), [(path.clone(), 3, 0)]);
        let _taken = listener.accept().unwrap();
        assert_eq!(visitors(true), [(path.clone(), 2, 1)]);
        assert_eq!(visitors(false), [(path.clone(), 2, 0)]);
    }

    #[test]
    fn below_a_root_nobody_is_asked() {
        let folder = Folder::new();
        let host = Host::new(folder.path(), Arc::new(SystemClock::new()));
        let error = host.visitors(&|_| true, false).unwrap_err();
        assert_eq!(error.to_string(), "UNIX sockets: asked of the kernel, which is not done under --root");
    }

    proptest! {
        #[test]
        fn an_answer_of_any_bytes_is_survived(bytes: Vec<u8>) {
            let _ = socket(&bytes);
            let _ = socket(&[&[0; ANSWER][..], &bytes].concat());
        }
    }
}
