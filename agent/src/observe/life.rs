//! Signs of life for the service manager. They are given at both ends of a step and of a commit, and nowhere else, so that
//! each has the manager's whole time for itself. A look that hangs gives none, and the manager's watchdog ends an agent that
//! would say nothing any more. What was committed is there at the next start.

use std::time::Duration;

use super::Observer;
use crate::manager::Manager;

/// Deliver gives a sign of life every ten seconds; without one for so long it hangs, and the agent is mute.
const MUTE: Duration = Duration::from_mins(1);

/// Steps come at least this often. When more time has passed the machine stood still, or one look took long, and deliver has
/// had no chance to give a sign of life, or nobody has taken it up.
const PAUSE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) manager: Manager,
    /// Signs of life of deliver, and when there was a new one.
    beats: (u64, Duration),
    /// When it was looked for last.
    judged: Duration,
    mute: bool,
}

impl Observer {
    /// Tells this manager how the agent is.
    #[must_use]
    pub fn reporting_to(mut self, manager: Manager) -> Self {
        self.life = Life { manager, beats: (0, self.clock.monotonic()), judged: self.clock.monotonic(), mute: false };
        self
    }

    /// Something was done, or is about to be.
    pub(super) fn live(&mut self) {
        let now = self.clock.monotonic();
        let beats = self.link.beats();
        let paused = now.saturating_sub(std::mem::replace(&mut self.life.judged, now)) > PAUSE;
        if paused || beats != self.life.beats.0 {
            self.life.beats = (beats, now);
        }
        let mute = now.saturating_sub(self.life.beats.1) >= MUTE;
        if mute && !self.life.mute && self.life.manager.due().is_some() {
            tracing::error!("deliver hangs: the service manager is no longer told that the agent is alive");
        }
        self.life.mute = mute;
        if !mute {
            self.life.manager.alive(now);
        }
    }

    /// When a sign of life is due.
    pub(super) fn due_alive(&self) -> Option<Duration> {
        self.life.manager.due().filter(|_| !self.life.mute)
    }
}
