//! What listens: sockets by address and port, each with the program behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::told::Told;
use super::{LISTENER, RESTLESS, SOURCE};
use crate::host::grant::Right;
use crate::host::sockets::{Exposure, Socket};
use crate::host::users::Users;
use crate::host::{Host, HostError};
use crate::watcher::Look;

/// A listener is told once it has stood for so long; those that are there at the first look, or were told before, at once.
const STANDING: Duration = Duration::from_secs(60);
/// Listeners that are told.
const MAX_LISTENERS: usize = 500;
/// From one search for who answers at the sockets of systemd to the next: it goes through what all processes have open.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// Looks in which a program is looked for behind a socket before it counts as the kernel's own.
const TRIES: u8 = 3;
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Servers whose port lies in the range that the kernel takes at random: MySQL X, group replication, WireGuard.
const FIXED: [u16; 3] = [33_060, 33_061, 51_820];
const HIDDEN: &str = "what some processes have open cannot be seen";

/// systemd: it keeps a socket that it has handed on, and starts who answers there when somebody asks.
const FIRST_PROCESS: u32 = 1;

/// Programs that take another port at each start, by their beginnings: whoever wants them asks the port mapper.
const MAPPED: &[u8] = b"rpc.";

/// Who is behind a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Process {
    /// Not looked for yet, or not found so many times.
    Open(u8),
    Named {
        pid: u32,
        name: Untrusted,
    },
    /// Nobody who can be seen, and not everybody can.
    Hidden,
}

#[derive(Debug)]
struct Listener {
    since: Duration,
    /// It was there at the first look.
    first: bool,
    /// It was told some time, or one of its name was.
    told: bool,
    /// The kernel takes such a port by chance.
    random: bool,
    inode: u64,
    uid: u32,
    exposure: Exposure,
    process: Process,
    /// When its process was looked for last.
    asked: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    known: BTreeMap<String, Listener>,
    told: Told,
    users: Users,
    looked: bool,
    problem: Option<HostError>,
}

impl Listeners {
    /// Looks at what listens. `woken`: when something was started or stopped last.
    pub(super) fn look(&mut self, look: &mut Look<'_>, ignored: &[String], woken: Option<Duration>, now: Duration) {
        let host = look.host;
        let sockets = match host.listening() {
            Ok(sockets) => sockets,
            Err(error) => {
                self.problem = Some(error);
                return;
            }
        };
        self.problem = None;
        self.told.read(look);
        let first = !std::mem::replace(&mut self.looked, true);
        let range = ephemeral(host);
        let mut before = std::mem::take(&mut self.known);
        for socket in sockets.iter().filter(|socket| is_told(socket, range, ignored)) {
            let name = socket.name();
            // Several sockets may share one port: the first one stands for all.
            if self.known.contains_key(&name) || self.known.len() >= MAX_LISTENERS {
                continue;
            }
            let fresh = Listener {
                since: now,
                first,
                told: self.told.contains(&name),
                random: is_random(socket, range),
                inode: socket.inode,
                uid: socket.uid,
                exposure: socket.exposure(),
                process: Process::Open(0),
                asked: now,
            };
            let listener = match before.remove(&name) {
                Some(mut known) if known.inode == socket.inode => {
                    // What was just started may have been given it a moment after it was asked for.
                    let restless = woken.is_some_and(|woken| known.asked < woken + RESTLESS);
                    if known.process.may_have_gone(host, restless && now >= known.asked + ASK_EVERY) {
                        known.process = Process::Open(0);
                    }
                    known
                }
                // Another socket at the same place, as after a restart.
                Some(known) => Listener { since: known.since, first: known.first, told: known.told, ..fresh },
                None => fresh,
            };
            self.known.insert(name, listener);
        }
        // That it has no names is no reason not to tell the rest: then numbers are told.
        let _ = self.users.refresh(host);
        self.find_processes(host, now);
        for listener in self.known.values_mut() {
            listener.told |= listener.is_told(now);
        }
        let told = self.known.iter().filter(|(_, listener)| listener.is_told(now)).map(|(name, _)| name);
        self.told.update(look, told, &|name| self.known.contains_key(name), now);
    }

    /// True while one is missed that may come back: then a look is due.
    pub(super) fn misses(&self) -> bool {
        self.told.misses()
    }

    /// True while one is missed since a moment ago: then the next look is due soon.
    pub(super) fn misses_lately(&self, now: Duration) -> bool {
        self.told.misses_lately(now)
    }

    fn find_processes(&mut self, host: &Host, now: Duration) {
        let open = |listener: &&mut Listener| {
            listener.is_due(now) && matches!(listener.process, Process::Open(tries) if tries < TRIES)
        };
        let wanted: BTreeSet<u64> = self.known.values_mut().filter(open).map(|listener| listener.inode).collect();
        if wanted.is_empty() {
            return;
        }
        let owners = host.socket_owners(&wanted);
        for listener in self.known.values_mut().filter(|listener| wanted.contains(&listener.inode)) {
            let Process::Open(tries) = listener.process else { continue };
            listener.asked = now;
            let exe = owners.pids.get(&listener.inode).map(|pid| (*pid, host.exe(*pid)));
            listener.process = match exe {
                Some((pid, Ok(exe))) => {
                    let name = exe.path.file_name().map_or_else(Untrusted::default, |name| name.as_bytes().into());
                    Process::Named { pid, name }
                }
                Some((pid, Err(_))) => {
                    host.comm(pid).map_or(Process::Open(tries + 1), |name| Process::Named { pid, name: name.into() })
                }
                None if owners.denied => Process::Hidden,
                None => Process::Open(tries + 1),
            };
        }
    }

    pub(super) fn tell(&self, look: &mut Look<'_>, now: Duration) {
        for (key, listener) in self.known.iter().filter(|(_, listener)| listener.is_told(now)) {
            let key = key.as_str();
            let name = self.users.name(listener.uid).cloned();
            let user = name.unwrap_or_else(|| listener.uid.to_string().into());
            let fields = [("user", Value::Text(user)), ("exposure", listener.exposure.as_str().into())];
            look.fact(&LISTENER, key, SOURCE, &fields);
            match &listener.process {
                Process::Named { name, .. } => {
                    look.fact(&LISTENER, key, SOURCE, &[("process", Value::Text(name.clone()))])
                }
                Process::Open(tries) if *tries >= TRIES => {
                    look.fact(&LISTENER, key, SOURCE, &[("process", "kernel".into())]);
                }
                Process::Open(_) => {
                    look.unknown(&LISTENER, key, "process", "no process has it open that can be found", "")
                }
                Process::Hidden => look.unknown(&LISTENER, key, "process", HIDDEN, Right::Processes.hint(look.host)),
            }
        }
        self.told.tell(look);
        if let Some(error) = &self.problem {
            look.problem(&LISTENER, "", error.path.clone(), error, error.hint());
        }
    }
}

impl Process {
    /// Whether the socket, which is still the same, may have passed to another: its process has ended, or systemd alone
    /// had it and has started something since.
    fn may_have_gone(&self, host: &Host, restless: bool) -> bool {
        match self {
            Self::Named { pid: FIRST_PROCESS, .. } => restless,
            Self::Named { pid, .. } => host.comm(*pid).is_err_and(|error| error.is_absent()),
            Self::Open(_) | Self::Hidden => false,
        }
    }
}

impl Listener {
    fn is_due(&self, now: Duration) -> bool {
        self.first || self.told || now >= self.since + STANDING
    }

    /// Whether it is told. Of a port that was taken by chance that depends on who took it: NFS and its like get another one
    /// at each boot.
    fn is_told(&self, now: Duration) -> bool {
        self.is_due(now)
            && match &self.process {
                _ if !self.random => true,
                Process::Named { name, .. } => !name.as_bytes().starts_with(MAPPED),
                Process::Open(tries) => *tries < TRIES && self.told,
                Process::Hidden => true,
            }
    }
}

/// Ports that the kernel takes at random for clients, first and last.
fn ephemeral(host: &Host) -> (u16, u16) {
    let text = host.read_text(EPHEMERAL, 64).unwrap_or_default();
    let mut ports = text.split_ascii_whitespace().map(str::parse);
    match (ports.next(), ports.next()) {
        (Some(Ok(first)), Some(Ok(last))) => (first, last),
        _ => (32_768, 60_999), // the kernel's own
    }
}

/// Whether the kernel takes such a port by chance, for whoever asks for any.
fn is_random(socket: &Socket, (first, last): (u16, u16)) -> bool {
    (first..=last).contains(&socket.port) && !FIXED.contains(&socket.port)
}

/// Whether somebody wanted to be reached there. In the range of random ports that is certain of TCP only, and not of what
/// talks to itself.
fn is_told(socket: &Socket, range: (u16, u16), ignored: &[String]) -> bool {
    let by_chance = is_random(socket, range) && (socket.protocol == "udp" || socket.exposure() == Exposure::Loopback);
    let is_ignored = |each: &String| {
        each.split_once('/')
            .is_some_and(|(protocol, port)| protocol == socket.protocol && port == socket.port.to_string())
    };
    socket.port != 0 && !by_chance && !ignored.iter().any(is_ignored)
}
