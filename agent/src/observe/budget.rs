//! CPU share: what was used is paid for with rest. Measured in the thread's own processor time, so a look that waits for
//! a disk costs nothing, and one that computes pays for it however busy the host is.

use std::time::Duration;

/// Longest rest, whatever was used.
const LONGEST: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug)]
pub struct Budget {
    share: f64,
    meter: fn() -> Duration,
    paid: Duration,
    rested: Duration,
}

impl Budget {
    /// Allows `share` of one processor (0.1: a tenth). `meter` tells the time that the thread has used so far.
    #[must_use]
    pub fn new(share: f64, meter: fn() -> Duration) -> Self {
        Self { share: share.clamp(0.001, 1.0), meter, paid: meter(), rested: Duration::ZERO }
    }

    /// Allows another share from now on.
    pub fn allow(&mut self, share: f64) {
        self.share = share.clamp(0.001, 1.0);
    }

    /// Pays for what was used since the last time: no look before that rest is over.
    pub fn pay(&mut self, now: Duration) {
        let used = self.unpaid();
        self.paid += used;
        self.rested = now + used.mul_f64(1.0 / self.share - 1.0).min(LONGEST);
    }

    /// What was used since the last payment.
    #[must_use]
    pub fn unpaid(&self) -> Duration {
        (self.meter)().saturating_sub(self.paid)
    }

    /// When the rest is over.
    #[must_use]
    pub fn rested(&self) -> Duration {
        self.rested
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local!(static USED: Cell<u64> = const { Cell::new(0) });

    fn meter() -> Duration {
        Duration::from_millis(USED.get())
    }

    #[test]
    fn fifty_milliseconds_at_a_tenth_are_paid_with_450_of_rest() {
        let mut budget = Budget::new(0.1, meter);
        USED.set(50);
        assert_eq!(budget.unpaid(), Duration::from_millis(50));
        budget.pay(Duration::from_secs(7));
        assert_eq!((budget.rested(), budget.unpaid()), (Duration::from_millis(7450), Duration::ZERO));
        budget.pay(Duration::from_secs(8));
        assert_eq!(budget.rested(), Duration::from_secs(8), "nothing was used since");
    }

    #[test]
    fn a_look_that_ran_wild_is_followed_by_a_minute_at_most() {
        let mut budget = Budget::new(0.01, meter);
        USED.set(1_000_000);
        budget.pay(Duration::ZERO);
        assert_eq!(budget.rested(), LONGEST);
    }
}
