//! Who is connected, and how they are hung up on: at revocation, at the end of their certificate, when a newer connection of
//! the same host takes over, when they say nothing.

mod budget;
pub mod users;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plumb_proto::limits;
use plumb_proto::record::HostId;
use plumb_proto::time::{Clock, Timestamp};
use tokio::sync::watch;

use crate::enroll::ca::HostCertificate;
use budget::Budget;

/// The same event of a host is told again after this long.
const SAY_AGAIN: Duration = Duration::from_secs(60 * 60);
/// Things that are remembered as said.
const SAID: usize = 65_536;

/// Why somebody is hung up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The host may not report any more, or not now.
    Refused,
    /// Its certificate has run out.
    Expired,
    /// A newer connection of the same host has taken over.
    Replaced,
    /// It said nothing in time.
    Silent,
    /// The collector stops.
    Stopping,
}

/// All connections of hosts. Share it in an `Arc`.
pub struct Connections {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    connections: HashMap<u64, Entry>,
    /// The one stream of each host.
    streams: HashMap<HostId, (u64, watch::Sender<Option<Closed>>)>,
    budgets: HashMap<HostId, Budget>,
    /// What was said of a host lately, and when.
    said: HashMap<(HostId, u64), Duration>,
}

struct Entry {
    host: HostId,
    not_after: Timestamp,
    /// Monotonic time of the handshake, until something was said.
    silent_since: Option<Duration>,
    close: watch::Sender<Option<Closed>>,
}

/// The connection of a host: who it is, by its certificate.
#[derive(Clone)]
pub struct Peer {
    /// What its certificate says.
    pub certificate: Arc<HostCertificate>,
    /// From where.
    pub address: SocketAddr,
    /// Becomes `Some` when it is to be closed.
    pub closed: watch::Receiver<Option<Closed>>,
    id: u64,
}

/// Takes a connection off the list when it is gone.
pub struct Admitted {
    connections: Arc<Connections>,
    id: u64,
}

/// A host's one stream; it ends when a newer one begins.
pub struct OneStream {
    connections: Arc<Connections>,
    host: HostId,
    id: u64,
    /// Becomes `Some` when the stream is to end.
    pub closed: watch::Receiver<Option<Closed>>,
}

impl Connections {
    /// Nobody is connected yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has shown its certificate. A third connection of a host replaces its first.
    pub fn admit(self: &Arc<Self>, certificate: HostCertificate, address: SocketAddr) -> (Peer, Admitted) {
        let (close, closed) = watch::channel(None);
        let mut state = self.state();
        let host = certificate.host;
        let mut of_host: Vec<u64> =
            state.connections.iter().filter(|(_, entry)| entry.host == host).map(|(id, _)| *id).collect();
        of_host.sort_unstable();
        let surplus = (of_host.len() + 1).saturating_sub(limits::CONNECTIONS_PER_HOST);
        for id in &of_host[..surplus] {
            state.connections[id].close.send_replace(Some(Closed::Replaced));
        }
        state.last += 1;
        let id = state.last;
        let silent_since = Some(self.clock.monotonic());
        state.connections.insert(id, Entry { host, not_after: certificate.not_after, silent_since, close });
        let peer = Peer { certificate: Arc::new(certificate), address, closed, id };
        (peer, Admitted { connections: self.clone(), id })
    }

    /// A stream begins; the one that the host had before ends. Nothing of the old one is committed behind this call.
    pub fn begin_stream(self: &Arc<Self>, peer: &Peer) -> OneStream {
        let (close, closed) = watch::channel(None);
        let mut state = self.state();
        state.last += 1;
        let id = state.last;
        if let Some(entry) = state.connections.get_mut(&peer.id) {
            entry.silent_since = None;
        }
        let host = peer.certificate.host;
        if let Some((_, old)) = state.streams.insert(host, (id, close)) {
            old.send_replace(Some(Closed::Replaced));
        }
        OneStream { connections: self.clone(), host, id, closed }
    }

    /// Hangs up on a host: it was revoked, suspended or retired. What its state is now is told when it comes back.
    pub fn refuse(&self, host: &HostId) {
        let state = self.state();
        for entry in state.connections.values().filter(|entry| entry.host == *host) {
            entry.close.send_replace(Some(Closed::Refused));
        }
    }

    /// Hangs up on everybody.
    pub fn stop(&self) {
        for entry in self.state().connections.values() {
            entry.close.send_replace(Some(Closed::Stopping));
        }
    }

    /// Hangs up on those whose certificate has run out and those that have said nothing. To be called every second.
    pub fn sweep(&self) {
        let (now, passed) = (self.clock.now(), self.clock.monotonic());
        let mut state = self.state();
        for entry in state.connections.values() {
            let silent = entry.silent_since.is_some_and(|since| passed.saturating_sub(since) > limits::HANDSHAKE_TIME);
            if now >= entry.not_after {
                close(&entry.close, Closed::Expired);
            } else if silent {
                close(&entry.close, Closed::Silent);
            }
        }
        state.said.retain(|_, at| passed.saturating_sub(*at) < SAY_AGAIN);
        state.budgets.retain(|_, budget| !budget.is_full(passed));
    }

    /// How many hosts have a stream.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.state().streams.len()
    }

    /// Whether something of a host was not said within the last hour: an agent that tries again and again is one event.
    pub fn is_news(&self, host: &HostId, what: &impl Hash) -> bool {
        self.state().is_news(&(*host, digest(what)), self.clock.monotonic())
    }

    /// It was said, if it was news.
    pub fn said(&self, host: &HostId, what: &impl Hash) {
        let (key, passed) = ((*host, digest(what)), self.clock.monotonic());
        let mut state = self.state();
        if state.is_news(&key, passed) && state.said.len() < SAID {
            state.said.insert(key, passed);
        }
    }

    /// Charges what a host has sent, by its size before compression. Answers how long it must rest now.
    pub fn charge(&self, host: &HostId, bytes: usize) -> Duration {
        let passed = self.clock.monotonic();
        self.state().budgets.entry(*host).or_insert_with(|| Budget::full(passed)).charge(bytes, passed)
    }
}

impl State {
    fn is_news(&self, key: &(HostId, u64), passed: Duration) -> bool {
        self.said.get(key).is_none_or(|at| passed.saturating_sub(*at) >= SAY_AGAIN)
    }
}

fn digest(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn close(sender: &watch::Sender<Option<Closed>>, why: Closed) {
    if sender.borrow().is_none() {
        sender.send_replace(Some(why));
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.connections.state().connections.remove(&self.id);
    }
}

impl Drop for OneStream {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        if state.streams.get(&self.host).is_some_and(|(id, _)| *id == self.id) {
            state.streams.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::time::ManualClock;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn connections() -> (Arc<ManualClock>, Arc<Connections>) {
        let clock = Arc::new(ManualClock::at(NOW));
        (clock.clone(), Connections::new(clock))
    }

    fn certificate(host: u8) -> HostCertificate {
        let not_after = NOW + Duration::from_secs(100);
        HostCertificate { host: HostId([host; 16]), generation: 1, not_after, key: Vec::new() }
    }

    fn admit(connections: &Arc<Connections>, host: u8) -> (Peer, Admitted) {
        connections.admit(certificate(host), ([127, 0, 0, 1], 1).into())
    }

    fn why(peer: &Peer) -> Option<Closed> {
        *peer.closed.borrow()
    }

    #[test]
    fn a_third_connection_replaces_the_first_of_the_same_host_only() {
        let (_, connections) = connections();
        let (other, _a) = admit(&connections, 2);
        let (first, _b) = admit(&connections, 1);
        let (second, _c) = admit(&connections, 1);
        let (third, _d) = admit(&connections, 1);
        assert_eq!([why(&other), why(&first), why(&second), why(&third)], [None, Some(Closed::Replaced), None, None]);
    }

    #[test]
    fn a_connection_that_is_gone_leaves_room() {
        let (_, connections) = connections();
        let (first, _a) = admit(&connections, 1);
        drop(admit(&connections, 1));
        let (_second, _b) = admit(&connections, 1);
        assert_eq!(why(&first), None);
    }

    #[test]
    fn a_newer_stream_ends_the_older_one() {
        let (_, connections) = connections();
        let (peer, _a) = admit(&connections, 1);
        let first = connections.begin_stream(&peer);
        let second = connections.begin_stream(&peer);
        assert_eq!((*first.closed.borrow(), *second.closed.borrow()), (Some(Closed::Replaced), None));
        drop(first);
        assert_eq!(connections.streams(), 1);
    }

    #[test]
    fn a_refused_host_is_hung_up_on() {
        let (_, connections) = connections();
        let ((one, _a), (two, _b)) = (admit(&connections, 1), admit(&connections, 2));
        connections.refuse(&HostId([1; 16]));
        assert_eq!((why(&one), why(&two)), (Some(Closed::Refused), None));
    }

    #[test]
    fn a_certificate_that_ends_ends_its_connection() {
        let (clock, connections) = connections();
        let (peer, _a) = admit(&connections, 1);
        let _stream = connections.begin_stream(&peer);
        clock.advance(Duration::from_secs(99));
        connections.sweep();
        assert_eq!(why(&peer), None);
        clock.advance(Duration::from_secs(1));
        connections.sweep();
        assert_eq!(why(&peer), Some(Closed::Expired));
    }

    #[test]
    fn a_connection_that_says_nothing_is_closed() {
        let (clock, connections) = connections();
        let (silent, _a) = admit(&connections, 1);
        let (speaking, _b) = admit(&connections, 2);
        let _stream = connections.begin_stream(&speaking);
        clock.advance(limits::HANDSHAKE_TIME + Duration::from_secs(1));
        connections.sweep();
        assert_eq!((why(&silent), why(&speaking)), (Some(Closed::Silent), None));
    }

    #[test]
    fn what_was_said_is_news_again_after_an_hour() {
        let (clock, connections) = connections();
        let host = HostId([1; 16]);
        connections.said(&host, &"fork");
        assert!(!connections.is_news(&host, &"fork"));
        assert!(connections.is_news(&host, &"conflict") && connections.is_news(&HostId([2; 16]), &"fork"));
        clock.advance(SAY_AGAIN / 2);
        connections.said(&host, &"fork"); // tried again, and not said
        clock.advance(SAY_AGAIN / 2);
        assert!(connections.is_news(&host, &"fork"));
        connections.sweep();
        assert!(connections.state().said.is_empty());
    }

    #[test]
    fn a_host_that_sends_too_much_must_rest() {
        let (clock, connections) = connections();
        let host = HostId([1; 16]);
        assert_eq!(connections.charge(&host, 4 << 20), Duration::ZERO);
        assert_eq!(connections.charge(&host, 128 << 10), Duration::from_secs(2));
        clock.advance(Duration::from_secs(2));
        assert_eq!(connections.charge(&host, 0), Duration::ZERO);
        clock.advance(Duration::from_secs(600));
        connections.sweep();
        assert!(connections.state().budgets.is_empty());
    }
}
