//! Whether the watchdog is fed: on progress of the writer and of the tick, and on nothing else. A store that answers with
//! an error makes progress; one that does not answer, or a tick that does not come round, makes none. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts the tick's bits of work. All clones count together.
#[derive(Clone, Default)]
pub(super) struct Beat(Arc<AtomicU64>);

impl Beat {
    pub(super) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far the parts have come since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Answers of the writer.
    pub(super) answers: u64,
    /// Bits of work of the tick.
    pub(super) beats: u64,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Both have come further since it was last fed.
    Feed,
    /// They have not yet.
    Wait,
    /// They have not for half of the time, and who it is.
    Stuck(String),
}

/// Feeds are judged against the one before.
pub(super) struct Watchdog {
    limit: Duration,
    fed: Duration,
    seen: Progress,
}

impl Watchdog {
    /// `limit`: without a feed for this long the service is ended. `now`: monotonic time.
    pub(super) fn new(limit: Duration, now: Duration) -> Self {
        Self { limit, fed: now, seen: Progress::default() }
    }

    /// How often to look: so that a feed is never later than half of the time when both go on.
    pub(super) fn every(&self) -> Duration {
        self.limit / 4
    }

    pub(super) fn judge(&mut self, now: Duration, progress: Progress) -> Judged {
        let (answers, beats) = (progress.answers > self.seen.answers, progress.beats > self.seen.beats);
        if answers && beats {
            (self.fed, self.seen) = (now, progress);
            return Judged::Feed;
        }
        let since = now.saturating_sub(self.fed);
        if since < self.limit / 2 {
            return Judged::Wait;
        }
        let who = if answers { "the tick does not go on" } else { "the writer does not answer" };
        Judged::Stuck(format!("{who} (for {} s)", since.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// What is judged of progress that is seen at these seconds, one after the other.
    fn judged(seen: &[(u64, u64, u64)]) -> Vec<Judged> {
        let mut watchdog = Watchdog::new(LIMIT, Duration::from_secs(100));
        let judge = |(second, answers, beats): &(u64, u64, u64)| {
            watchdog.judge(Duration::from_secs(100 + second), Progress { answers: *answers, beats: *beats })
        };
        seen.iter().map(judge).collect()
    }

    fn stuck(text: &str) -> Judged {
        Judged::Stuck(text.to_owned())
    }

    #[test]
    fn it_is_fed_when_both_have_gone_on() {
        assert_eq!(judged(&[(7, 1, 7), (14, 2, 14)]), [Judged::Feed, Judged::Feed]);
    }

    #[test]
    fn a_writer_that_hangs_is_not_fed_however_the_tick_goes() {
        let seen = [(7, 1, 7), (14, 1, 8), (21, 1, 8), (22, 1, 9), (40, 1, 9)];
        let waits = [Judged::Feed, Judged::Wait, Judged::Wait, stuck("the writer does not answer (for 15 s)")];
        assert_eq!(judged(&seen)[..4], waits);
        assert_eq!(judged(&seen)[4], stuck("the writer does not answer (for 33 s)"));
    }

    #[test]
    fn a_tick_that_stands_still_is_not_fed_however_the_writer_answers() {
        let seen = [(7, 1, 7), (14, 2, 7), (22, 3, 7), (23, 4, 8)];
        let stuck = stuck("the tick does not go on (for 15 s)");
        assert_eq!(judged(&seen), [Judged::Feed, Judged::Wait, stuck, Judged::Feed]);
    }

    #[test]
    fn looks_are_frequent_enough_to_feed_at_half_of_the_time() {
        // an answer that comes just after a look is seen by the next
        assert!(Watchdog::new(LIMIT, Duration::ZERO).every() * 2 <= LIMIT / 2);
    }
}
