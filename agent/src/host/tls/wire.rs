//! A connection with an end: to its time, and to what is taken of the other side.

use std::io::{self, ErrorKind as Io, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use plumb_proto::time::Clock;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{ErrorKind, SILENT, TOO_MUCH};

/// See the module.
pub(super) struct Wire<'a> {
    socket: Socket,
    clock: &'a dyn Clock,
    /// When it ends, in monotonic time.
    end: Duration,
    /// Bytes that may still be taken, of how many.
    left: usize,
    limit: usize,
    fault: Option<ErrorKind>,
}

impl<'a> Wire<'a> {
    pub(super) fn connect(
        to: SocketAddr,
        clock: &'a dyn Clock,
        patience: Duration,
        limit: usize,
    ) -> Result<Self, ErrorKind> {
        let end = clock.monotonic() + patience;
        let connect = || {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
            socket.connect_timeout(&SockAddr::from(to), patience)?;
            Ok(socket)
        };
        let socket = connect().map_err(|error: io::Error| match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => ErrorKind::Io("nobody listens there"),
            Some(number) => ErrorKind::from_errno(Errno::from_raw(number)),
            None => SILENT,
        })?;
        Ok(Self { socket, clock, end, left: limit, limit, fault: None })
    }

    /// Why it has ended, if it is not the other side that ended it.
    pub(super) fn fault(&self) -> Option<ErrorKind> {
        self.fault.clone()
    }

    /// Bytes that came.
    pub(super) fn taken(&self) -> usize {
        self.limit - self.left
    }

    /// Says that nothing more comes, and gives the other side some time to hang up first: what it still sends would
    /// otherwise be answered by a reset, which is an error to it.
    pub(super) fn leave(mut self, patience: Duration) {
        self.end = self.clock.monotonic() + patience;
        if self.socket.shutdown(Shutdown::Write).is_ok() {
            let mut rest = [0; 512];
            while self.read(&mut rest).is_ok_and(|read| read > 0) {}
        }
    }

    fn remaining(&mut self) -> io::Result<Duration> {
        let left = self.end.saturating_sub(self.clock.monotonic());
        if left.is_zero() {
            self.fault = Some(SILENT);
            return Err(Io::TimedOut.into());
        }
        Ok(left)
    }

    fn note<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        if done.as_ref().is_err_and(|error| matches!(error.kind(), Io::WouldBlock | Io::TimedOut)) {
            self.fault = Some(SILENT);
            return Err(Io::TimedOut.into());
        }
        done
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.remaining()?;
        if self.left == 0 {
            self.fault = Some(TOO_MUCH);
            return Err(Io::InvalidData.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        let room = buffer.len().min(self.left);
        let read = self.socket.read(&mut buffer[..room]);
        let read = self.note(read)?;
        self.left -= read;
        Ok(read)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let left = self.remaining()?;
        self.socket.set_write_timeout(Some(left))?;
        let written = self.socket.write(buffer);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
