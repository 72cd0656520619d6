//! Users who are connected to the query port, and what the store says of them. Certificates only say who somebody is; what
//! they may do stands in the store and is read anew every second, so that a revocation works at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plumb_proto::record::Hash;
use plumb_proto::time::Clock;
use tokio::sync::watch;

use super::{Closed, close};
use crate::enroll::ca::UserCertificate;
use crate::store::Questions;
use crate::store::users::UserRow;

/// Connections of one user.
const CONNECTIONS: usize = 16;
/// Nobody is known any more when the store could not be read so many times, a second apart.
const FAILURES: u32 = 4;
/// Between two readings for the sake of one who is not known, beside those of every second.
const AGAIN: Duration = Duration::from_secs(1);

/// Who is connected as a user. Share it in an `Arc`.
pub struct Users {
    clock: Arc<dyn Clock>,
    reader: Mutex<Box<dyn Questions>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<String, UserRow>,
    failures: u32,
    /// When the store was last read for the holder of a key who was not known.
    asked: HashMap<Hash, Duration>,
    last: u64,
    connections: HashMap<u64, Entry>,
}

struct Entry {
    certificate: Arc<UserCertificate>,
    close: watch::Sender<Option<Closed>>,
}

/// The connection of a user: who it is, by its certificate.
#[derive(Clone)]
pub struct UserPeer {
    /// What its certificate says.
    pub certificate: Arc<UserCertificate>,
    /// Becomes `Some` when it is to be closed.
    pub closed: watch::Receiver<Option<Closed>>,
}

/// Takes a connection off the list when it is gone.
pub struct AdmittedUser {
    users: Arc<Users>,
    id: u64,
}

impl Users {
    /// Nobody is connected yet. `reader` is a door to the store for this alone.
    #[must_use]
    pub fn new(reader: Box<dyn Questions>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let users = Self { clock, reader: Mutex::new(reader), state: Mutex::default() };
        users.refresh();
        Arc::new(users)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads who may do what.
    fn refresh(&self) {
        let read = self.reader.lock().unwrap_or_else(PoisonError::into_inner).users();
        let mut state = self.state();
        match read {
            Ok(users) => {
                state.known = users.into_iter().map(|user| (user.name.clone(), user)).collect();
                state.failures = 0;
            }
            Err(error) => {
                tracing::error!("who may use the query port cannot be read: {error:#}");
                state.failures += 1;
                if state.failures >= FAILURES {
                    state.known.clear(); // what may be out of date lets nobody in
                }
            }
        }
    }

    /// What the store says of the holder of a certificate.
    ///
    /// # Errors
    /// They may not ask, with why, for them to read.
    pub fn look_up(&self, certificate: &UserCertificate) -> Result<UserRow, String> {
        self.look(certificate).or_else(|why| {
            let now = self.clock.monotonic();
            // whoever is not known may ask without end: the store is not read for each of their calls
            let mut state = self.state();
            state.asked.retain(|_, asked| now.saturating_sub(*asked) < AGAIN);
            if state.asked.contains_key(&certificate.key_hash) {
                return Err(why);
            }
            state.asked.insert(certificate.key_hash, now);
            drop(state);
            self.refresh(); // made, or made again, a moment ago
            self.look(certificate)
        })
    }

    fn look(&self, certificate: &UserCertificate) -> Result<UserRow, String> {
        const ANEW: &str = "An administrator makes a new one on the collector: `plumb-collector user create";
        let name = &certificate.name;
        if self.clock.now() >= certificate.not_after {
            return Err(format!("the certificate of {name} ran out at {}. {ANEW} {name} ...`", certificate.not_after));
        }
        let state = self.state();
        match state.known.get(name) {
            None => Err(format!("the collector knows no user \"{name}\", so there is no role. {ANEW} {name} ...`")),
            Some(user) if user.revoked.is_some() => {
                Err(format!("the certificate of {name} was revoked. {ANEW} {name} ...`"))
            }
            Some(user) if user.key_hash != certificate.key_hash => {
                Err(format!("this certificate of {name} was replaced by a newer one: use that one"))
            }
            Some(user) => Ok(user.clone()),
        }
    }

    /// A user has shown a certificate. One connection too many replaces the oldest.
    pub fn admit(self: &Arc<Self>, certificate: UserCertificate) -> (UserPeer, AdmittedUser) {
        let (sender, closed) = watch::channel(None);
        let certificate = Arc::new(certificate);
        let mut state = self.state();
        let of_user = |entry: &Entry| entry.certificate.name == certificate.name;
        let mut ids: Vec<u64> =
            state.connections.iter().filter(|(_, entry)| of_user(entry)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        for id in &ids[..(ids.len() + 1).saturating_sub(CONNECTIONS)] {
            close(&state.connections[id].close, Closed::Replaced);
        }
        state.last += 1;
        let id = state.last;
        state.connections.insert(id, Entry { certificate: certificate.clone(), close: sender });
        (UserPeer { certificate, closed }, AdmittedUser { users: self.clone(), id })
    }

    /// Reads the store, and hangs up on everybody who may not ask any more. To be called every second.
    pub fn sweep(&self) {
        self.refresh();
        let connected: Vec<_> = {
            let state = self.state();
            state.connections.iter().map(|(id, entry)| (*id, entry.certificate.clone())).collect()
        };
        for (id, certificate) in connected {
            if self.look(&certificate).is_err()
                && let Some(entry) = self.state().connections.get(&id)
            {
                close(&entry.close, Closed::Refused);
            }
        }
    }

    /// Hangs up on everybody.
    pub fn stop(&self) {
        for entry in self.state().connections.values() {
            entry.close.send_replace(Some(Closed::Stopping));
        }
    }
}

impl Drop for AdmittedUser {
    fn drop(&mut self) {
        self.users.state().connections.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::store::Store;
    use crate::store::users::Role;
    use crate::stores::sqlite::testing::Folder;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn certificate() -> UserCertificate {
        let not_after = NOW + Duration::from_secs(100);
        UserCertificate { name: "alice".to_owned(), not_after, key_hash: Hash([1; 32]) }
    }

    fn user() -> UserRow {
        UserRow {
            name: "alice".to_owned(),
            role: Role::Viewer,
            groups: Default::default(),
            key_hash: Hash([1; 32]),
            created: NOW,
            not_after: NOW + Duration::from_secs(100),
            revoked: None,
        }
    }

    struct Scene {
        clock: Arc<ManualClock>,
        store: Box<dyn Store>,
        users: Arc<Users>,
        _folder: Folder,
    }

    impl Scene {
        fn new() -> Self {
            let folder = Folder::empty();
            let store = crate::stores::open(&format!("sqlite:{}", folder.file("db").display())).unwrap();
            let clock = Arc::new(ManualClock::at(NOW));
            let users = Users::new(store.questions().unwrap(), clock.clone());
            Self { clock, store, users, _folder: folder }
        }

        fn save(&mut self, user: UserRow) {
            self.store.commit(&mut |tx| tx.save_user(&user)).unwrap();
        }

        fn refusal(&self) -> String {
            self.users.look_up(&certificate()).unwrap_err()
        }
    }

    #[test]
    fn a_user_made_a_moment_ago_is_known_and_one_that_was_not_made_has_no_role() {
        let mut scene = Scene::new();
        assert!(scene.refusal().starts_with("the collector knows no user \"alice\", so there is no role."));
        scene.save(user());
        scene.clock.advance(AGAIN);
        assert_eq!(scene.users.look_up(&certificate()).unwrap(), user());
    }

    #[test]
    fn the_store_is_read_for_somebody_who_is_not_known_once_a_second() {
        let mut scene = Scene::new();
        scene.refusal();
        scene.save(user());
        scene.refusal();
        scene.users.sweep();
        assert_eq!(scene.users.look_up(&certificate()).unwrap(), user());
    }

    #[test]
    fn a_revoked_user_is_hung_up_on_by_the_next_sweep() {
        let mut scene = Scene::new();
        scene.save(user());
        let (peer, _admitted) = scene.users.admit(certificate());
        scene.users.sweep();
        assert_eq!(*peer.closed.borrow(), None);
        scene.save(UserRow { revoked: Some(NOW), ..user() });
        scene.users.sweep();
        assert_eq!(*peer.closed.borrow(), Some(Closed::Refused));
        assert!(scene.refusal().starts_with("the certificate of alice was revoked."), "{}", scene.refusal());
    }

    #[test]
    fn a_certificate_ends_and_is_replaced_by_a_newer_one() {
        let mut scene = Scene::new();
        scene.save(UserRow { key_hash: Hash([2; 32]), ..user() });
        assert!(scene.refusal().starts_with("this certificate of alice was replaced"), "{}", scene.refusal());
        scene.save(user());
        scene.clock.advance(AGAIN);
        assert!(scene.users.look_up(&certificate()).is_ok());
        scene.clock.advance(Duration::from_secs(99));
        assert!(scene.refusal().starts_with("the certificate of alice ran out at 2027-"), "{}", scene.refusal());
    }

    #[test]
    fn a_connection_too_many_replaces_the_oldest() {
        let scene = Scene::new();
        let all: Vec<_> = (0..=CONNECTIONS).map(|_| scene.users.admit(certificate())).collect();
        let closed: Vec<_> = all.iter().map(|(peer, _)| *peer.closed.borrow()).collect();
        assert_eq!((closed[0], closed[1]), (Some(Closed::Replaced), None));
        drop(all);
        assert!(scene.users.state().connections.is_empty());
    }
}
