//! How long to wait before the next try: full jitter, that is anything between nothing and a ceiling that doubles.
//! Ten thousand agents that lost their collector at the same moment come back spread over the whole span.

use std::time::Duration;

use plumb_proto::frame::{Retry, RetryCode};

/// Ceiling of the first wait.
const BASE: Duration = Duration::from_secs(1);
/// No ceiling is higher.
const CAP: Duration = Duration::from_secs(60);
/// A host that is not welcome asks again this often: somebody may have changed their mind.
const UNWELCOME: Duration = Duration::from_secs(15 * 60);
/// What a collector asks for is honoured up to here.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Counts tries. Pure: chance is handed in.
#[derive(Debug, Default, Clone, Copy)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The last try worked: the next failure waits briefly again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Time until the next try. `chance` is uniform in 0..=`u32::MAX`; `asked` is what the collector said, if it did.
    pub fn failed(&mut self, chance: u32, asked: Option<&Retry>) -> Duration {
        let ceiling = CAP.min(BASE.saturating_mul(1 << self.failures.min(6)));
        self.failures = self.failures.saturating_add(1);
        let jitter = part(ceiling, chance);
        match asked {
            Some(retry) if retry.code == RetryCode::Revoked => UNWELCOME + part(UNWELCOME, chance),
            Some(retry) => LONGEST.min(Duration::from_millis(retry.after_ms.into())) + jitter,
            None => jitter,
        }
    }
}

/// `chance` of `u32::MAX` parts of a span.
#[must_use]
pub fn part(span: Duration, chance: u32) -> Duration {
    let millis = span.as_millis() * u128::from(chance) / u128::from(u32::MAX);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings(count: usize) -> Vec<u64> {
        let mut backoff = Backoff::default();
        (0..count).map(|_| backoff.failed(u32::MAX, None).as_secs()).collect()
    }

    #[test]
    fn the_ceiling_doubles_from_a_second_to_a_minute() {
        assert_eq!(ceilings(9), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_wait_is_anything_below_the_ceiling() {
        let wait = |chance| Backoff { failures: 3 }.failed(chance, None);
        assert_eq!((wait(0), wait(u32::MAX / 2)), (Duration::ZERO, Duration::from_millis(3999)));
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff { failures: 40 };
        backoff.succeeded();
        assert_eq!(backoff.failed(u32::MAX, None), Duration::from_secs(1));
    }

    #[test]
    fn what_the_collector_asks_for_is_honoured_but_not_for_ever() {
        let asked = |after_ms| Retry { code: RetryCode::Busy, after_ms, resend_from: 0 };
        assert_eq!(Backoff::default().failed(0, Some(&asked(5000))), Duration::from_secs(5));
        assert_eq!(Backoff::default().failed(0, Some(&asked(u32::MAX))), Duration::from_secs(3600));
    }

    #[test]
    fn a_revoked_host_asks_again_seldom() {
        let retry = Retry { code: RetryCode::Revoked, after_ms: 0, resend_from: 0 };
        assert_eq!(Backoff::default().failed(0, Some(&retry)), Duration::from_secs(900));
    }
}
