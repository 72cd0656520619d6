//! How the collector stands, beside its store: whether its settings are those of its files, whether its locks hold, whether
//! its parts go on. `/healthz`, `/metrics` and systemd's status line tell it.
//!
//! What is wrong with a file is told by the log alone: who may read the health page may not read the files.

use std::sync::{Mutex, MutexGuard, PoisonError};

use plumb_proto::time::Timestamp;
use plumb_sandbox::{Lock, Locked};

use crate::cli::printer::words::count;

/// One for the whole collector.
pub struct Condition(Mutex<State>);

struct State {
    /// When settings were last taken over.
    settled: Timestamp,
    /// Mistakes of the last reload, if nothing of it was taken over.
    mistakes: usize,
    locked: Option<Locked>,
    /// Why the store takes nothing, or which part stands still.
    stuck: Option<String>,
}

impl Condition {
    /// After a start: the settings are those of the files.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(State { settled: now, mistakes: 0, locked: None, stuck: None }))
    }

    /// What came of locking the process up.
    pub fn locked(&self, locked: Locked) {
        self.state().locked = Some(locked);
    }

    /// What came of locking the process up, if that was tried.
    #[must_use]
    pub fn locks(&self) -> Option<Locked> {
        self.state().locked.clone()
    }

    /// New settings are in force.
    pub fn settled(&self, now: Timestamp) {
        let mut state = self.state();
        (state.settled, state.mistakes) = (now, 0);
    }

    /// New settings were refused: the old ones stay.
    pub fn refused(&self, mistakes: usize) {
        self.state().mistakes = mistakes.max(1);
    }

    /// Whether the last reload was taken over, and when one, or the start, last was.
    #[must_use]
    pub fn last_reload(&self) -> (bool, Timestamp) {
        let state = self.state();
        (state.mistakes == 0, state.settled)
    }

    /// Says what stands still, or that nothing does.
    pub fn stuck(&self, why: Option<String>) {
        self.state().stuck = why;
    }

    /// What people should look at though the collector works, a line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let state = self.state();
        let mut warnings = Vec::new();
        if state.mistakes > 0 {
            let mistakes = count(state.mistakes, "mistake", "mistakes");
            warnings.push(format!("the last reload found {mistakes}, see the log: the earlier settings are in force"));
        }
        let locks =
            state.locked.iter().flat_map(|locked| [("seccomp", &locked.seccomp), ("landlock", &locked.landlock)]);
        // One that holds in part is as good as this kernel has it: the log and the metric tell that.
        let open = locks.filter(|(_, lock)| matches!(lock, Lock::Off(_)));
        warnings.extend(open.map(|(name, lock)| format!("the sandbox is not whole: {name} {lock}")));
        warnings
    }

    /// One line for `systemctl status`: what is wrong, or who is connected.
    #[must_use]
    pub fn line(&self, connected: usize) -> String {
        if let Some(why) = &self.state().stuck {
            return why.clone();
        }
        let connected = format!("{} connected", count(connected, "host", "hosts"));
        let warnings = self.warnings();
        if warnings.is_empty() { connected } else { format!("{connected}; {}", warnings.join("; ")) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    #[test]
    fn a_refused_reload_is_told_until_one_is_taken_over() {
        let condition = Condition::new(at(10));
        assert_eq!((condition.last_reload(), condition.line(2)), ((true, at(10)), "2 hosts connected".to_owned()));
        condition.refused(3);
        assert_eq!(condition.last_reload(), (false, at(10)));
        let told = "the last reload found 3 mistakes, see the log: the earlier settings are in force";
        assert_eq!(condition.line(1), format!("1 host connected; {told}"));
        condition.settled(at(20));
        assert_eq!((condition.last_reload(), condition.line(0)), ((true, at(20)), "0 hosts connected".to_owned()));
    }

    #[test]
    fn a_lock_that_does_not_hold_is_told_and_one_that_does_is_not() {
        let condition = Condition::new(at(0));
        condition.locked(Locked { seccomp: Lock::On, landlock: Lock::Off("this kernel has none".to_owned()) });
        assert_eq!(condition.warnings(), ["the sandbox is not whole: landlock off: this kernel has none"]);
        for lock in [Lock::On, Lock::Partly("this kernel knows no more".to_owned())] {
            condition.locked(Locked { seccomp: Lock::On, landlock: lock });
            assert!(condition.warnings().is_empty());
        }
    }

    #[test]
    fn what_stands_still_is_told_before_all_else() {
        let condition = Condition::new(at(0));
        condition.refused(1);
        condition.stuck(Some("the writer has not answered for 15 s".to_owned()));
        assert_eq!(condition.line(7), "the writer has not answered for 15 s");
        condition.stuck(None);
        assert!(condition.line(7).starts_with("7 hosts connected; "));
    }
}
