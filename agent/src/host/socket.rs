//! What a server says on its UNIX socket: by itself, when somebody connects, or in a talk. Of the running machine only.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{ErrorKind, Host, HostError, Kind};

/// Bytes that are taken of it.
const LIMIT: usize = 4 << 10;
/// Time that a server has, from connecting to the last byte.
const PATIENCE: Duration = Duration::from_secs(1);

/// A talk with a server: all of it has one end in time, and one in bytes.
pub struct Talk<'a> {
    host: &'a Host,
    socket: Socket,
    path: PathBuf,
    end: Duration,
    /// Bytes that may still come.
    left: usize,
    /// What has come and was not taken yet.
    heard: Vec<u8>,
}

impl Host {
    /// Connects to a UNIX socket, takes what the server says first (at most 4 KiB, in at most a second), and closes.
    /// Nothing is sent. It ends when `enough` says so of what has come. Servers count such visits: make one only when
    /// nothing else tells.
    ///
    /// # Errors
    /// There is no server, it has no room for more, the agent may not, or it said nothing in time. Under a staged root
    /// there are no servers.
    pub fn greeting(&self, path: impl AsRef<Path>, enough: &dyn Fn(&[u8]) -> bool) -> Result<Vec<u8>, HostError> {
        self.answer(path, &[], PATIENCE, enough)
    }

    /// As [`Host::greeting`], of a server that answers a question: it has `patience` for all of it.
    ///
    /// # Errors
    /// As [`Host::greeting`].
    pub fn answer(
        &self,
        path: impl AsRef<Path>,
        question: &[u8],
        patience: Duration,
        enough: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, HostError> {
        let mut talk = self.talk(path.as_ref(), patience, LIMIT)?;
        talk.say(question)?;
        let mut more = true;
        while more && !enough(&talk.heard) && talk.left > 0 {
            more = talk.hear_more()?;
        }
        Ok(talk.heard)
    }

    /// Begins a talk on a UNIX socket, which takes `patience` at most, and `limit` bytes of the server's.
    ///
    /// # Errors
    /// As [`Host::greeting`].
    pub fn talk(&self, path: &Path, patience: Duration, limit: usize) -> Result<Talk<'_>, HostError> {
        if !self.is_live() {
            return Err(ErrorKind::Io("a server's socket, which is not asked under --root").at(path));
        }
        let real = self.resolve(path)?;
        if self.stat(&real)?.kind != Kind::Other {
            return Err(ErrorKind::Io("not a socket").at(path));
        }
        let end = self.clock().monotonic() + patience;
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&SockAddr::unix(&real)?)?;
            socket.set_nonblocking(false)?;
            Ok(socket)
        };
        let socket = connect().map_err(|error| failed(&error, path))?;
        Ok(Talk { host: self, socket, path: path.to_owned(), end, left: limit, heard: Vec::new() })
    }
}

impl Talk<'_> {
    /// Sends all of it.
    ///
    /// # Errors
    /// The server has gone, or takes nothing in time.
    pub fn say(&mut self, mut bytes: &[u8]) -> Result<(), HostError> {
        while !bytes.is_empty() {
            let left = self.time_left()?;
            let sent = self.socket.set_write_timeout(Some(left)).and_then(|()| self.socket.write(bytes));
            match sent {
                Ok(0) => return Err(self.gone()),
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(error) => return Err(failed(&error, &self.path)),
            }
        }
        Ok(())
    }

    /// The next message: `length` says how long it is with all around it, once enough of it has come to tell.
    ///
    /// # Errors
    /// The server has gone, says nothing in time, or more than it may.
    pub fn hear(&mut self, length: &dyn Fn(&[u8]) -> Option<usize>) -> Result<Vec<u8>, HostError> {
        loop {
            let wanted = length(&self.heard);
            if let Some(wanted) = wanted.filter(|wanted| *wanted <= self.heard.len()) {
                let rest = self.heard.split_off(wanted);
                return Ok(std::mem::replace(&mut self.heard, rest));
            }
            if wanted.is_some_and(|wanted| wanted - self.heard.len() > self.left) || self.left == 0 {
                return Err(ErrorKind::Io("the server said more than it was asked for").at(&self.path));
            }
            if !self.hear_more()? {
                return Err(self.gone());
            }
        }
    }

    /// Takes what has come; `false`: the server has closed.
    fn hear_more(&mut self) -> Result<bool, HostError> {
        let mut buffer = [0; 512];
        let room = buffer.len().min(self.left);
        let left = self.time_left()?;
        let read = self.socket.set_read_timeout(Some(left)).and_then(|()| self.socket.read(&mut buffer[..room]));
        let read = read.map_err(|error| failed(&error, &self.path))?;
        self.heard.extend_from_slice(&buffer[..read]);
        self.left -= read;
        Ok(read > 0)
    }

    fn time_left(&self) -> Result<Duration, HostError> {
        let left = self.end.saturating_sub(self.host.clock().monotonic());
        if left.is_zero() { Err(ErrorKind::Io(SILENT).at(&self.path)) } else { Ok(left) }
    }

    fn gone(&self) -> HostError {
        ErrorKind::Io("the server has closed the connection").at(&self.path)
    }
}

const SILENT: &str = "the server said nothing in time";

fn failed(error: &std::io::Error, path: &Path) -> HostError {
    match error.raw_os_error() {
        // A full backlog would make a blocking connect wait without end (unix(7)).
        Some(libc::EAGAIN) | None => ErrorKind::Io(SILENT).at(path),
        Some(number) => ErrorKind::from_errno(Errno::from_raw(number)).at(path),
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

    fn talking(path: &Path, limit: usize) -> Result<Vec<u8>, ErrorKind> {
        let host = Host::new("/", Arc::new(SystemClock::new()));
        let talk = || {
            let mut talk = host.talk(path, Duration::from_millis(500), limit)?;
            talk.say(b"hello?")?;
            let line = |said: &[u8]| said.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let first = talk.hear(&line)?;
            Ok([first, talk.hear(&line)?].concat())
        };
        talk().map_err(|error: HostError| error.kind)
    }

    #[test]
    fn a_talk_takes_one_message_after_the_other() {
        let (_folder, path, listener) = listening();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut asked = [0; 6];
            socket.read_exact(&mut asked).unwrap();
            socket.write_all(b"one\ntwo\nthree").unwrap();
            asked
        });
        assert_eq!(talking(&path, 100).unwrap(), b"one\ntwo\n");
        assert_eq!(&server.join().unwrap(), b"hello?");
    }

    #[test]
    fn a_server_that_trickles_or_speaks_without_end_is_left() {
        let (_folder, path, listener) = listening();
        let server = std::thread::spawn(move || {
            for (pause, word) in [(50, &b"a"[..]), (0, &[b'a'; 300])] {
                let (mut socket, _) = listener.accept().unwrap();
                while socket.write_all(word).is_ok() {
                    std::thread::sleep(Duration::from_millis(pause));
                }
            }
        });
        let begun = Instant::now();
        assert_eq!(talking(&path, 1_000), Err(ErrorKind::Io(SILENT)));
        assert!(begun.elapsed() < Duration::from_millis(900));
        assert_eq!(talking(&path, 1_000), Err(ErrorKind::Io("the server said more than it was asked for")));
        server.join().unwrap();
    }
}
