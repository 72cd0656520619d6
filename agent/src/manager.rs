//! What the service manager is told (sd_notify(3)): that the agent is ready, how it is, and that it gets on with its work.
//!
//! The words come from the crate, the socket is ours: it never waits, since a manager that hangs must not hang the agent,
//! and it knows the way by name only, so a manager that was started anew is found again. What cannot be sent is lost: each
//! word is said again, or is worth nothing later. Where nobody listens (a terminal, another init) nothing is sent.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use plumb_proto::untrusted::Untrusted;
use sd_notify::NotifyState;

/// The watchdog is fed so often, at most: short beside the time it gives, so that nearly all of it is there for one look.
const FEED: Duration = Duration::from_secs(2);
/// Characters of a status line: it stands on one line of `systemctl status`.
const LINE: usize = 200;

/// See the module.
#[derive(Debug, Default)]
pub struct Manager {
    way: Option<(UnixDatagram, SocketAddr)>,
    /// After this time without a sign of life the manager ends the agent.
    watchdog: Option<Duration>,
    fed: Option<Duration>,
    said: String,
}

impl Manager {
    /// Nobody listens.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Whoever started this process, as `NOTIFY_SOCKET` and `WATCHDOG_USEC` name it.
    #[must_use]
    pub fn of_this_process() -> Self {
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(name) => Self::at(&name, sd_notify::watchdog_enabled()).unwrap_or_else(|error| {
                tracing::warn!("the service manager cannot be told anything: {error}");
                Self::nobody()
            }),
            None => Self::nobody(),
        }
    }

    /// The one that listens at a socket; a name that begins with `@` is abstract (unix(7)).
    ///
    /// # Errors
    /// It is no name of a socket, or there is no file descriptor left.
    pub fn at(name: &OsStr, watchdog: Option<Duration>) -> std::io::Result<Self> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { way: Some((socket, address)), watchdog, fed: None, said: String::new() })
    }

    /// It observes; whatever waited for that may start.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// It is about to end on request.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// It reads its configuration again, until it is [`Manager::ready`].
    pub fn reloading(&self) {
        // systemd takes no word of a reload without the time at which it began.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.send(&[NotifyState::Reloading, now]);
        }
    }

    /// How it is, in a few words; the same is not sent twice.
    pub fn status(&mut self, line: &str) {
        let line: String = Untrusted::from(line).to_string().chars().take(LINE).collect();
        if self.said != line {
            self.send(&[NotifyState::Status(&line)]);
            self.said = line;
        }
    }

    /// It has done something, at the monotonic time `now`.
    pub fn alive(&mut self, now: Duration) {
        let Some(watchdog) = self.watchdog else { return };
        if self.fed.is_none_or(|fed| now >= fed + FEED.min(watchdog / 3)) {
            self.fed = Some(now);
            self.send(&[NotifyState::Watchdog]);
        }
    }

    /// When a sign of life is due, in monotonic time.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        Some(self.fed? + self.watchdog? / 3)
    }

    fn send(&self, words: &[NotifyState<'_>]) {
        let Some((socket, address)) = &self.way else { return };
        let text: String = words.iter().map(|word| format!("{word}\n")).collect();
        if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
            tracing::debug!("the service manager is not told: {error}");
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::state::testing::Folder;

    /// A manager that a test listens to.
    pub(crate) struct Ear(UnixDatagram, #[allow(dead_code)] Folder);

    impl Ear {
        pub(crate) fn new(watchdog: Option<Duration>) -> (Self, Manager) {
            let folder = Folder::new();
            let path = folder.path().join("notify");
            let ear = UnixDatagram::bind(&path).unwrap();
            ear.set_nonblocking(true).unwrap();
            (Self(ear, folder), Manager::at(path.as_os_str(), watchdog).unwrap())
        }

        /// What was said since it was asked last, a word on each line; words of one datagram stand together.
        pub(crate) fn heard(&self) -> Vec<String> {
            let mut buffer = [0; 4096];
            let mut heard = Vec::new();
            while let Ok(length) = self.0.recv(&mut buffer) {
                heard.push(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned());
            }
            heard
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Ear;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_manager_hears_each_word_and_a_status_only_when_it_changes() {
        let (ear, mut manager) = Ear::new(None);
        manager.ready();
        manager.status("connected");
        manager.status("connected");
        manager.status("why\nREADY=0");
        manager.stopping();
        assert_eq!(ear.heard(), ["READY=1", "STATUS=connected", "STATUS=why\\nREADY=0", "STOPPING=1"]);
        manager.reloading();
        assert!(ear.heard()[0].starts_with("RELOADING=1\nMONOTONIC_USEC="));
    }

    #[test]
    fn a_watchdog_is_fed_every_two_seconds_or_a_third_of_its_time_at_most() {
        let (ear, mut manager) = Ear::new(Some(30 * SECOND));
        (0..12).for_each(|second| manager.alive(second * SECOND));
        assert_eq!((ear.heard().len(), manager.due()), (6, Some(20 * SECOND)));
        let (ear, mut manager) = Ear::new(Some(3 * SECOND));
        (0..6).for_each(|second| manager.alive(second * SECOND));
        assert_eq!(ear.heard(), ["WATCHDOG=1"; 6]);
    }

    #[test]
    fn without_a_watchdog_or_a_manager_nothing_is_sent() {
        let (ear, mut manager) = Ear::new(None);
        manager.alive(SECOND);
        assert_eq!((ear.heard().len(), manager.due()), (0, None));
        let mut nobody = Manager::nobody();
        nobody.ready();
        nobody.alive(SECOND);
    }

    #[test]
    fn a_manager_that_does_not_read_keeps_nobody_waiting() {
        let (ear, manager) = Ear::new(None);
        // unix(7): a full queue of datagrams makes a sender wait, unless it asked not to.
        (0..100_000).for_each(|_| manager.ready());
        assert!(ear.heard().len() < 100_000);
        drop(ear);
        manager.stopping();
    }
}
