//! What time it is, where the host's clock may be anything: certificates are checked against the system's time only as far
//! as that does not contradict what is known better.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plumb_proto::time::{Clock, Timestamp};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// No build is older. A clock that says less is wrong.
const BUILT: &str = match option_env!("SOURCE_DATE_EPOCH") {
    Some(secs) => secs,
    None => "1793491200", // 2026-11-01
};
/// How far the system clock may be off before another time is used.
const TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);
/// The time that certificates are checked at: the system's, as long as it does not contradict what is known better.
pub struct TrustedTime {
    clock: Arc<dyn Clock>,
    built: Timestamp,
    known: Mutex<Known>,
}

#[derive(Clone, Copy)]
struct Known {
    /// A moment that has certainly passed.
    floor: Timestamp,
    /// What the collector's clock said, and our monotonic time then.
    learned: Option<(Timestamp, Duration)>,
}

impl TrustedTime {
    /// Knows nothing better yet than when it was built.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let built = Timestamp::from_secs(BUILT.parse().unwrap_or(0));
        Self { clock, built, known: Mutex::new(Known { floor: built, learned: None }) }
    }

    /// The collector, authenticated, says what time it is.
    pub fn learn(&self, time: Timestamp) {
        let learned = Some((time.max(self.built), self.clock.monotonic()));
        self.with(|known| known.learned = learned);
    }

    /// Something that the collector signed at this moment.
    pub fn passed(&self, time: Timestamp) {
        self.with(|known| known.floor = known.floor.max(time));
    }

    /// A certificate did not fit the time that was learned: monotonic time may have stood still in a suspend.
    pub fn doubt(&self) {
        self.with(|known| known.learned = None);
    }

    /// The moment to check certificates at.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let system = self.clock.now();
        let known = self.with(|known| *known);
        let expected = known.learned.map(|(time, at)| time + self.clock.monotonic().saturating_sub(at));
        match expected {
            Some(expected) if system.since(expected) > TOLERANCE => expected,
            _ => {
                let floor = expected.unwrap_or(known.floor).max(known.floor);
                if floor.since(system) > TOLERANCE { floor } else { system }
            }
        }
    }

    /// How far the system clock is from [`TrustedTime::now`], in milliseconds; 0 if it is believed.
    #[must_use]
    pub fn disagreement_ms(&self) -> i64 {
        self.clock.now().millis().saturating_sub(self.now().millis())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for TrustedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedTime({})", self.now())
    }
}

impl TimeProvider for TrustedTime {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = u64::try_from(self.now().millis() / 1000).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::time::ManualClock;

    const DAY: Duration = Duration::from_secs(86_400);
    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn time() -> (Arc<ManualClock>, TrustedTime) {
        let clock = Arc::new(ManualClock::at(START));
        (clock.clone(), TrustedTime::new(clock))
    }

    #[test]
    fn the_system_clock_is_believed_where_nothing_contradicts_it() {
        let (clock, time) = time();
        clock.advance(DAY * 4000);
        assert_eq!(time.now(), START + DAY * 4000);
    }

    #[test]
    fn a_clock_before_the_build_is_wrong() {
        let (clock, time) = time();
        clock.jump_to(Timestamp::from_secs(0));
        assert_eq!(time.now(), Timestamp::from_secs(BUILT.parse().unwrap()));
        assert!(time.disagreement_ms() < -1_000_000_000);
    }

    #[test]
    fn a_clock_that_jumps_is_overruled_by_what_the_collector_said() {
        let (clock, time) = time();
        time.learn(START);
        clock.advance(DAY);
        clock.jump_to(START + DAY * 400);
        assert_eq!(time.now(), START + DAY);
        clock.jump_to(START - DAY * 40);
        assert_eq!(time.now(), START + DAY);
    }

    #[test]
    fn after_a_suspend_the_system_clock_is_believed_again_once_a_certificate_does_not_fit() {
        let (clock, time) = time();
        time.learn(START);
        clock.jump_to(START + DAY * 30);
        time.doubt();
        assert_eq!(time.now(), START + DAY * 30);
    }

    #[test]
    fn an_hour_off_is_nothing() {
        let (clock, time) = time();
        time.learn(START);
        clock.jump_to(START + Duration::from_secs(3600));
        assert_eq!(time.now(), START + Duration::from_secs(3600));
    }
}
