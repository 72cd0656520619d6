//! A token bucket: so much at once, then so much in a time.

use std::time::Duration;

/// Counts in monotonic time, which the caller brings.
pub(super) struct Bucket {
    every: Duration,
    burst: u32,
    /// The moment from which on the bucket is full.
    full_at: Duration,
}

impl Bucket {
    /// One in `every`, after `burst` at once. Zero: no limit.
    pub(super) fn new(every: Duration, burst: u32) -> Self {
        Self { every, burst: burst.max(1), full_at: Duration::ZERO }
    }

    /// How long until one may be taken; zero: now.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        let room = self.every.saturating_mul(self.burst - 1);
        self.full_at.saturating_sub(now).saturating_sub(room)
    }

    /// Takes one.
    pub(super) fn take(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now).saturating_add(self.every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_one_at_a_time() {
        let second = Duration::from_secs;
        let mut bucket = Bucket::new(second(10), 2);
        for (now, wait) in
            [(100, 0), (100, 0), (100, 10), (110, 0), (115, 5), (120, 0), (1000, 0), (1000, 0), (1000, 10)]
        {
            assert_eq!(bucket.wait(second(now)), second(wait), "at {now}");
            if wait == 0 {
                bucket.take(second(now));
            }
        }
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut bucket = Bucket::new(Duration::ZERO, 1);
        for _ in 0..1000 {
            assert_eq!(bucket.wait(Duration::ZERO), Duration::ZERO);
            bucket.take(Duration::ZERO);
        }
    }
}
