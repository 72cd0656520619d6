//! What is waited for between two steps: frames, file events, mounts, and the bells of watchers.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Observer;
use super::look::Running;
use super::wake::{self, Wake};

/// File events that come within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(150);

impl Observer {
    /// Brings looks forward whose files have changed.
    pub(super) fn hear(&mut self, now: Duration) {
        if now < self.deaf {
            return;
        }
        self.hear_bells(now);
        let Some(wake) = &mut self.wake else { return };
        let changed = wake.take(&self.host);
        if !changed.is_empty() {
            self.deaf = now + DEBOUNCE;
            self.bring_forward(changed, now);
        }
    }

    fn bring_forward(&mut self, changed: wake::Changed, now: Duration) {
        for (watcher, path) in changed {
            self.schedule.bring_forward(watcher, now + DEBOUNCE);
            if let Some(running) = self.watchers.get_mut(watcher) {
                running.trigger(path);
            }
        }
    }

    /// Brings looks forward whose bells ring. A bell rings until its watcher looks, so it is heard once.
    fn hear_bells(&mut self, now: Duration) {
        let mut heard = Vec::new();
        for (place, running) in self.watchers.iter().enumerate() {
            let Some(descriptor) = running.bell() else { continue };
            let mut asked = [bell(descriptor)];
            if poll(&mut asked, PollTimeout::ZERO).is_ok_and(|rings| rings > 0) {
                heard.push(place);
            }
        }
        for place in heard {
            self.schedule.bring_forward(place, now + DEBOUNCE);
            if let Some(running) = self.watchers.get_mut(place) {
                running.heard();
            }
        }
    }

    /// Waits until `until`, a frame, a file event or a change of mounts; `true` if it is to stop.
    pub(super) fn wait(&mut self, until: Duration, stop: BorrowedFd<'_>) -> bool {
        let now = self.clock.monotonic();
        // Rounded up, so that it is really due afterwards.
        let millis = until.saturating_sub(now).as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX);
        let listens = now >= self.deaf;
        let mut asked = vec![PollFd::new(stop, PollFlags::POLLIN), PollFd::new(self.link.bell(), PollFlags::POLLIN)];
        if let Some(wake) = self.wake.as_ref().filter(|_| listens) {
            asked.push(PollFd::new(wake.events(), PollFlags::POLLIN));
            asked.extend(wake.mounts().map(|mounts| PollFd::new(mounts, PollFlags::POLLPRI)));
        }
        let rest = asked.len();
        asked.extend(self.watchers.iter().filter_map(Running::bell).filter(|_| listens).map(bell));
        match poll(&mut asked, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return false,
            Ok(_) => {}
            Err(error) => {
                // It cannot wait, so it must not spin either.
                tracing::error!("poll: {error}");
                std::thread::sleep(Duration::from_secs(1));
                return false;
            }
        }
        let rings = |place: usize| asked.get(place).and_then(PollFd::any).unwrap_or(false);
        // Bells are heard in the next step.
        let (stops, mounts) = (rings(0), rest > 3 && rings(3));
        if mounts && let Some(changed) = self.wake.as_ref().map(Wake::mounts_changed) {
            self.bring_forward(changed, self.clock.monotonic());
        }
        stops
    }
}

fn bell(descriptor: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(descriptor, PollFlags::POLLIN)
}
