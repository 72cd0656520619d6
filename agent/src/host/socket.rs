//! What a server says by itself when somebody connects to its UNIX socket. Of the running machine only.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{ErrorKind, Host, HostError, Kind};

/// Bytes that are taken of it.
const LIMIT: usize = 4 << 10;
/// Time that a server has, from connecting to the last byte.
const PATIENCE: Duration = Duration::from_secs(1);

impl Host {
    /// Connects to a UNIX socket, takes what the server says first (at most 4 KiB, in at most a second), and closes.
    /// Nothing is sent. It ends when `enough` says so of what has come. Servers count such visits: make one only when
    /// nothing else tells.
    ///
    /// # Errors
    /// There is no server, it has no room for more, the agent may not, or it said nothing in time. Under a staged root
    /// there are no servers.
    pub fn greeting(&self, path: impl AsRef<Path>, enough: &dyn Fn(&[u8]) -> bool) -> Result<Vec<u8>, HostError> {
        let path = path.as_ref();
        if !self.is_live() {
            return Err(ErrorKind::Io("a server's socket, which is not asked under --root").at(path));
        }
        let real = self.resolve(path)?;
        if self.stat(&real)?.kind != Kind::Other {
            return Err(ErrorKind::Io("not a socket").at(path));
        }
        self.take_greeting(&real, enough).map_err(|error| match error.raw_os_error() {
            // A full backlog would make a blocking connect wait without end (unix(7)).
            Some(libc::EAGAIN) => ErrorKind::Io("the server said nothing in time").at(path),
            Some(number) => ErrorKind::from_errno(Errno::from_raw(number)).at(path),
            None => ErrorKind::Io("the server said nothing in time").at(path),
        })
    }

    fn take_greeting(&self, path: &Path, enough: &dyn Fn(&[u8]) -> bool) -> std::io::Result<Vec<u8>> {
        let end = self.clock().monotonic() + PATIENCE;
        let mut socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_nonblocking(false)?;
        let mut said = Vec::new();
        let mut buffer = [0; 512];
        while !enough(&said) && said.len() < LIMIT {
            let left = end.saturating_sub(self.clock().monotonic());
            if left.is_zero() {
                return Err(std::io::ErrorKind::WouldBlock.into());
            }
            socket.set_read_timeout(Some(left))?;
            match socket.read(&mut buffer)? {
                0 => break,
                read => said.extend_from_slice(&buffer[..read]),
            }
        }
        said.truncate(LIMIT);
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;
    use std::time::Instant;

    use plumb_proto::time::SystemClock;

    use super::*;
    use crate::state::testing::Folder;

    fn listening() -> (Folder, std::path::PathBuf, UnixListener) {
        let folder = Folder::new();
        let path = folder.path().join("server.sock");
        let listener = UnixListener::bind(&path).unwrap();
        (folder, path, listener)
    }

    fn ask(path: &Path) -> Result<Vec<u8>, ErrorKind> {
        let host = Host::new("/", Arc::new(SystemClock::new()));
        host.greeting(path, &|said| said.len() >= 5).map_err(|error| error.kind)
    }

    #[test]
    fn what_a_server_says_first_is_taken_until_it_is_enough() {
        let (_folder, path, listener) = listening();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(b"he").unwrap();
            socket.write_all(b"llo").unwrap();
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).unwrap();
            rest
        });
        assert_eq!(ask(&path).unwrap(), b"hello");
        assert_eq!(server.join().unwrap(), b"", "nothing is sent");
    }

    #[test]
    fn a_server_that_is_silent_or_speaks_without_end_costs_a_second_at_most() {
        let (_folder, path, listener) = listening();
        let begun = Instant::now();
        let silent = ErrorKind::Io("the server said nothing in time");
        assert_eq!(ask(&path), Err(silent.clone()));
        assert!(!silent.at(&path).is_unanswered());
        assert!(begun.elapsed() < Duration::from_millis(1_500));
        drop(listener);
        assert!(ask(&path).is_err_and(|kind| kind.at(&path).is_unanswered()), "nobody listens");
    }

    #[test]
    fn below_a_root_and_at_files_there_is_no_server() {
        let (folder, path, _listener) = listening();
        let host = Host::new(folder.path(), Arc::new(SystemClock::new()));
        assert!(host.greeting("/server.sock", &|_| true).is_err());
        std::fs::write(path.with_extension("txt"), "x").unwrap();
        assert_eq!(ask(&path.with_extension("txt")), Err(ErrorKind::Io("not a socket")));
    }
}
