//! How much a host may send: so much at once, and so much a second in the long run. Pure.

use std::time::Duration;

/// Bytes a second, before compression, that a host may send in the long run.
const RATE: i64 = 64 << 10;
/// What it may send at once after a rest.
const BURST: i64 = 4 << 20;

/// What a host has left to send.
pub(super) struct Budget {
    left: i64,
    /// Monotonic time of the last look.
    at: Duration,
}

impl Budget {
    /// Of a host that has sent nothing for a while.
    pub(super) fn full(passed: Duration) -> Self {
        Self { left: BURST, at: passed }
    }

    /// Charges what was sent. Answers how long the host must rest until nothing is owed.
    pub(super) fn charge(&mut self, bytes: usize, passed: Duration) -> Duration {
        self.refill(passed);
        self.left = self.left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        let owed = self.left.min(0).unsigned_abs();
        Duration::from_millis(owed.saturating_mul(1000) / RATE.unsigned_abs())
    }

    /// True if it need not be remembered.
    pub(super) fn is_full(&mut self, passed: Duration) -> bool {
        self.refill(passed);
        self.left >= BURST
    }

    fn refill(&mut self, passed: Duration) {
        let millis = i64::try_from(passed.saturating_sub(self.at).as_millis()).unwrap_or(i64::MAX);
        self.left = self.left.saturating_add(millis.saturating_mul(RATE) / 1000).min(BURST);
        self.at = passed;
    }
}
