//! Waits for a condition; on timeout shows the last value.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Asks `probe` until `done` accepts its answer, every 20 ms, for at most `limit`.
///
/// # Panics
/// The time is over: with `what` was waited for and the last answer.
pub fn eventually<T: Debug>(what: &str, limit: Duration, mut probe: impl FnMut() -> T, done: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let answer = probe();
        if done(&answer) {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}; last: {answer:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
