//! The system bus, asked about units of systemd: a narrow part of D-Bus, written here because the crates that speak all
//! of it bring a runtime and some dozens of crates along (D-Bus specification; org.freedesktop.systemd1(5)).
//!
//! The agent only ever reads: `ListUnits`, and properties of single units. Where the bus is missing, systemd's own
//! socket speaks the same protocol to root. All of one exchange has to end within [`DEADLINE`].

pub mod message;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use plumb_proto::time::Clock;
use plumb_proto::untrusted::Untrusted;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Host;
use message::{Call, FIXED, Reader};

/// For everything from the connection to the last answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Messages that are no answer (signals) and are passed over while one is waited for.
const PASSED_OVER: usize = 64;
/// Bytes of one line of the authentication.
const LINE: usize = 512;
/// Units that are taken of one list.
const UNITS: usize = 20_000;

/// Where the bus listens (D-Bus specification, "Well-known Message Bus Instances").
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
/// Where systemd itself listens, for root only.
const PRIVATE: &str = "/run/systemd/private";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const SYSTEMD_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Why the bus gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// A host in a folder has no bus.
    #[error("comes over the system bus, which is not asked under --root")]
    Staged,
    /// There is no bus, and the other way is closed to this user.
    #[error("{SYSTEM_BUS}: not found; install dbus: systemd's own socket answers root only")]
    Missing,
    /// The socket cannot be connected to.
    #[error("{path}: {source}")]
    Connect {
        /// Which socket.
        path: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It was closed, or took too long.
    #[error("the system bus does not answer: {0}")]
    Broken(#[from] io::Error),
    /// The peer does not let this user in.
    #[error("the system bus refuses this user")]
    Refused,
    /// More than is ever taken.
    #[error("the system bus answers more than is taken")]
    TooBig,
    /// Not as the specification has it.
    #[error("the system bus answers what is no D-Bus message: {0}")]
    Malformed(&'static str),
    /// The call was answered with an error.
    #[error("the system bus answers {0}")]
    Answered(Untrusted),
}

/// One unit, as `ListUnits` tells it; the texts are the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Its name: `nginx.service`.
    pub name: &'a [u8],
    /// Whether its file was loaded: `loaded`, `not-found`, `masked`, ...
    pub load: &'a [u8],
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, ...
    pub active: &'a [u8],
    /// The state in the words of its type: `running`, `exited`, `dead`, `auto-restart`, ...
    pub sub: &'a [u8],
    /// Its object on the bus.
    pub path: &'a [u8],
    /// What is queued for it: `start`, `restart`, ...; empty when nothing is.
    pub job: &'a [u8],
}

/// A connection to the bus, or to systemd itself.
pub struct Bus {
    wire: Wire,
    serial: u32,
    direct: bool,
}

impl Host {
    /// Connects to the system bus of this machine.
    ///
    /// # Errors
    /// See [`BusError`]; a host in a folder has none.
    pub fn bus(&self) -> Result<Bus, BusError> {
        if !self.is_live() {
            return Err(BusError::Staged);
        }
        match Bus::connect(SYSTEM_BUS, false, &self.clock) {
            Ok(bus) => Ok(bus),
            // What was wrong with the bus is told, not that the other way is for root only.
            Err(error) => Bus::connect(PRIVATE, true, &self.clock).map_err(|_| without(error)),
        }
    }
}

/// What is said of a bus that cannot be asked, where systemd cannot be asked either.
fn without(error: BusError) -> BusError {
    match error {
        BusError::Connect { source, .. } if source.kind() == io::ErrorKind::NotFound => BusError::Missing,
        other => other,
    }
}

impl Bus {
    fn connect(path: &'static str, direct: bool, clock: &Arc<dyn Clock>) -> Result<Self, BusError> {
        let stream = open(path).map_err(|source| BusError::Connect { path, source })?;
        Self::over(stream, direct, clock)
    }

    /// Says who we are, and to a bus also hello.
    fn over(stream: UnixStream, direct: bool, clock: &Arc<dyn Clock>) -> Result<Self, BusError> {
        let wire = Wire { stream, clock: Arc::clone(clock), until: clock.monotonic() + DEADLINE };
        let mut bus = Self { wire, serial: 0, direct };
        // EXTERNAL: the kernel tells the peer who we are; the uid is repeated in hexadecimal digits of its text.
        let uid = nix::unistd::geteuid().to_string();
        let uid: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        bus.wire.send(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes())?;
        if !bus.wire.line()?.starts_with(b"OK ") {
            return Err(BusError::Refused);
        }
        bus.wire.send(b"BEGIN\r\n")?;
        if !direct {
            let name = "org.freedesktop.DBus";
            let call = Call {
                destination: name,
                path: "/org/freedesktop/DBus",
                interface: name,
                member: "Hello",
                arguments: &[],
            };
            bus.call(&call, b"s", |_| Ok(()))?;
        }
        Ok(bus)
    }

    /// All units that are loaded.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn units(&mut self, visit: &mut dyn FnMut(Unit<'_>)) -> Result<(), BusError> {
        let call =
            Call { destination: SYSTEMD, path: SYSTEMD_PATH, interface: MANAGER, member: "ListUnits", arguments: &[] };
        self.call(&call, b"a(ssssssouso)", |body| units(body, visit))
    }

    /// A whole number (`u`) that a unit has: of its object `path`, `property` of `interface` such as
    /// `org.freedesktop.systemd1.Service`.
    ///
    /// # Errors
    /// See [`BusError`]; it has another type.
    pub fn number(&mut self, path: &str, interface: &str, property: &str) -> Result<u32, BusError> {
        self.property(path, &[interface, property], b"u", |value| value.number())
    }

    /// A text (`s`) that a unit has.
    ///
    /// # Errors
    /// See [`BusError`]; it has another type.
    pub fn text(&mut self, path: &str, interface: &str, property: &str) -> Result<Untrusted, BusError> {
        self.property(path, &[interface, property], b"s", |value| value.text().map(Untrusted::from))
    }

    fn property<T>(
        &mut self,
        path: &str,
        arguments: &[&str],
        kind: &[u8],
        take: impl for<'b> FnOnce(&mut Reader<'b>) -> Result<T, BusError>,
    ) -> Result<T, BusError> {
        let interface = "org.freedesktop.DBus.Properties";
        let call = Call { destination: SYSTEMD, path, interface, member: "Get", arguments };
        self.call(&call, b"v", |body| {
            let mut value = Reader::new(body);
            if value.signature()? != kind {
                return Err(BusError::Malformed("a property of another type"));
            }
            take(&mut value)
        })
    }

    /// Calls, and hands the body of the answer, which must be of type `signature`, to `take`.
    fn call<T>(
        &mut self,
        call: &Call<'_>,
        signature: &[u8],
        take: impl FnOnce(&[u8]) -> Result<T, BusError>,
    ) -> Result<T, BusError> {
        self.serial += 1;
        self.wire.send(&call.encode(self.serial, self.direct))?;
        let mut bytes = Vec::new();
        for _ in 0..PASSED_OVER {
            self.wire.message(&mut bytes)?;
            let reply = message::decode(&bytes)?;
            if reply.serial != self.serial {
                continue;
            }
            let body = reply.outcome.map_err(|name| BusError::Answered(name.into()))?;
            if reply.signature != signature {
                return Err(BusError::Malformed("an answer of another type"));
            }
            return take(body);
        }
        Err(BusError::TooBig)
    }
}

/// The body of the answer to `ListUnits`.
fn units(body: &[u8], visit: &mut dyn FnMut(Unit<'_>)) -> Result<(), BusError> {
    let mut count = 0;
    Reader::new(body).structures(&mut |each| {
        count += 1;
        if count > UNITS {
            return Err(BusError::TooBig);
        }
        let (name, _description, load) = (each.text()?, each.text()?, each.text()?);
        let (active, sub, _following) = (each.text()?, each.text()?, each.text()?);
        let (path, _job_id, job, _job_path) = (each.text()?, each.number()?, each.text()?, each.text()?);
        visit(Unit { name, load, active, sub, path, job });
        Ok(())
    })
}

/// Connects without waiting: a peer whose queue is full answers EAGAIN at once.
fn open(path: &str) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
}

/// Bytes to and from the peer, until the deadline.
struct Wire {
    stream: UnixStream,
    clock: Arc<dyn Clock>,
    until: Duration,
}

impl Wire {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_sub(self.clock.monotonic());
        if left < Duration::from_millis(1) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Fills all of `buffer`.
    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), BusError> {
        while !buffer.is_empty() {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A line of the authentication, without its end; the peer sends nothing behind it before it is answered.
    fn line(&mut self) -> Result<Vec<u8>, BusError> {
        let mut line = Vec::new();
        while line.len() < LINE {
            let mut byte = [0];
            self.fill(&mut byte)?;
            line.extend(byte);
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return Ok(line);
            }
        }
        Err(BusError::TooBig)
    }

    /// A whole message.
    fn message(&mut self, bytes: &mut Vec<u8>) -> Result<(), BusError> {
        let mut start = [0; FIXED];
        self.fill(&mut start)?;
        let size = message::size(&start)?;
        bytes.clear();
        bytes.extend(start);
        bytes.resize(size, 0);
        let rest = bytes.get_mut(FIXED..).ok_or(BusError::Malformed("shorter than its own header"))?;
        self.fill(rest)
    }
}

#[cfg(test)]
mod tests;
