//! Asks mounts how full they are without ever waiting for a dead one.
//!
//! A thread that hangs in the kernel cannot be stopped, so there are at most [`MAX_STUCK`] of them, and none is added
//! for a mount that has one. What the thread would have said late is taken at the next question.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use plumb_proto::time::Clock;

use super::{Mount, Space};

/// How a mount is asked.
pub type Statvfs = dyn Fn(&Path) -> io::Result<Space> + Send + Sync;

/// Time that all questions of one look have together.
const PATIENCE: Duration = Duration::from_secs(2);
/// Threads that may hang at one time.
const MAX_STUCK: usize = 8;
/// The question needs next to no stack; the standard library asks for 2 MiB.
const STACK: usize = 64 << 10;

/// Why it is not known how full a mount is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// It has not answered for so many seconds.
    #[error("the mount has not answered for {0} s")]
    Stuck(u64),
    /// It was not asked.
    #[error("not asked: {MAX_STUCK} other mounts do not answer")]
    NotAsked,
    /// The agent sees another file system in its place.
    #[error("the agent sees another file system there: its service hides this one from it")]
    Hidden,
    /// It answered that it will not tell.
    #[error("{0}")]
    Refused(String),
}

type Answer = io::Result<Space>;

struct Pending {
    answer: Receiver<Answer>,
    since: Duration,
}

/// The questions that wait for an answer.
pub(in crate::host) struct Probes {
    statvfs: Arc<Statvfs>,
    pending: Mutex<BTreeMap<PathBuf, Pending>>,
}

impl Probes {
    pub(in crate::host) fn new(statvfs: Arc<Statvfs>) -> Self {
        Self { statvfs, pending: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn ask(&self, mounts: &[&Mount], clock: &dyn Clock) -> Vec<Result<Space, SpaceError>> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = BTreeMap::new();
        let mut fresh = Vec::new();
        for mount in mounts.iter().filter(|mount| mount.may_hang() && !pending.contains_key(&mount.path)).copied() {
            fresh.push(mount);
        }
        for mount in fresh {
            if pending.len() >= MAX_STUCK {
                refused.insert(mount.path.clone(), SpaceError::NotAsked);
                continue;
            }
            match self.start(&mount.path) {
                Ok(answer) => {
                    pending.insert(mount.path.clone(), Pending { answer, since: clock.monotonic() });
                }
                Err(error) => {
                    refused.insert(mount.path.clone(), SpaceError::Refused(format!("no thread to ask on: {error}")));
                }
            }
        }
        let deadline = Instant::now() + PATIENCE;
        let told = mounts.iter().map(|mount| {
            if let Some(error) = refused.remove(&mount.path) {
                return Err(error);
            }
            let Some(question) = pending.get(&mount.path) else {
                return (self.statvfs)(&mount.path).map_err(|error| SpaceError::Refused(words(&error)));
            };
            let waited = clock.monotonic().saturating_sub(question.since);
            match wait(question, deadline, waited) {
                Some(answer) => {
                    pending.remove(&mount.path);
                    answer.map_err(|error| SpaceError::Refused(words(&error)))
                }
                None => Err(SpaceError::Stuck(clock.monotonic().saturating_sub(question.since).as_secs())),
            }
        });
        told.collect()
    }

    fn start(&self, mount: &Path) -> io::Result<Receiver<Answer>> {
        let (tell, answer) = sync_channel(1);
        let (statvfs, mount) = (Arc::clone(&self.statvfs), mount.to_owned());
        thread::Builder::new().name("statvfs".to_owned()).stack_size(STACK).spawn(move || {
            // Nobody listens any more when the agent stops meanwhile: then the answer is not wanted.
            let _ = tell.send(statvfs(&mount));
        })?;
        Ok(answer)
    }
}

/// Waits for a new question until the deadline; one that was waited for before is only looked at.
fn wait(question: &Pending, deadline: Instant, waited: Duration) -> Option<Answer> {
    let gone = || io::Error::other("the thread that asked has ended");
    if waited >= PATIENCE {
        return match question.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(gone())),
        };
    }
    match question.answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(answer) => Some(answer),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Err(gone())),
    }
}

/// The system's words, without the number that the standard library adds.
fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::host::mounts::parse;

    const SPACE: Space = Space { block_size: 1, blocks: 4, free: 3, available: 2, inodes: 2, inodes_free: 1 };

    fn mounts(count: usize) -> Vec<Mount> {
        let line = |at: usize| format!("{at} 0 0:{at} / /nfs{at} rw - nfs server:/{at} rw\n");
        parse((0..count).map(line).collect::<String>().as_bytes()).unwrap()
    }

    #[test]
    fn a_dead_mount_costs_one_thread_and_stops_nothing() {
        let (asked, counter) = (Arc::new(AtomicUsize::new(0)), ManualClock::at(Timestamp::from_secs(0)));
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let (count, door) = (Arc::clone(&asked), Arc::clone(&gate));
        let probes = Probes::new(Arc::new(move |path: &Path| {
            count.fetch_add(1, Ordering::SeqCst);
            if path != Path::new("/nfs1") {
                drop(door.lock());
            }
            Ok(SPACE)
        }));
        let all = mounts(12);
        let all: Vec<&Mount> = all.iter().collect();
        let first = probes.ask(&all, &counter);
        let stuck = first.iter().filter(|told| matches!(told, Err(SpaceError::Stuck(_)))).count();
        let not_asked = first.iter().filter(|told| **told == Err(SpaceError::NotAsked)).count();
        assert_eq!((stuck, not_asked, first[1].clone()), (7, 4, Ok(SPACE)));

        counter.advance(Duration::from_secs(10));
        let again = probes.ask(&all[..1], &counter);
        assert_eq!((again, asked.load(Ordering::SeqCst)), (vec![Err(SpaceError::Stuck(10))], 8));

        drop(held);
        let mut after = probes.ask(&all[..1], &counter);
        for _ in 0..200 {
            if after[0].is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
            after = probes.ask(&all[..1], &counter);
        }
        assert_eq!(after, [Ok(SPACE)]);
    }

    #[test]
    fn a_mount_that_refuses_says_why() {
        let probes = Probes::new(Arc::new(|_: &Path| Err(io::Error::from_raw_os_error(libc::EACCES))));
        let (all, clock) = (mounts(1), ManualClock::at(Timestamp::from_secs(0)));
        assert_eq!(probes.ask(&[&all[0]], &clock), [Err(SpaceError::Refused("Permission denied".into()))]);
    }
}
