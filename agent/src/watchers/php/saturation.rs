//! Whether a pool is full, judged from look to look: pure. What is seen once may be a moment between a visitor's arrival and
//! a worker's waking, so it must be seen twice; and what is full is so until it has been well for some looks, so that a pool
//! at its limit is told once and not every few seconds.

use std::time::Duration;

/// A queue that is still there after so long is one.
const WAITS: Duration = Duration::from_secs(1);
/// All workers serve somebody for so long, without anybody who waits.
const BUSY: Duration = Duration::from_secs(5);
/// A pool that was full is well again after so long.
const WELL: Duration = Duration::from_secs(5);
/// While it is full, its numbers are told anew so often.
const MINUTE: Duration = Duration::from_secs(60);

/// What is seen of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its workers.
    pub(super) workers: u32,
    /// How many it may have.
    pub(super) limit: u32,
    /// Visitors who wait.
    pub(super) queue: u32,
    /// Visitors who are served, if that can be told.
    pub(super) served: Option<u32>,
}

/// What is known of a pool from look to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Saturation {
    /// Since when it looks otherwise than it is told.
    otherwise: Option<Duration>,
    /// Its numbers as they are told, while it is full.
    told: Option<(Seen, Duration)>,
}

impl Saturation {
    /// Takes in what is seen; with `at_once` nobody will look again. `true`: it has become full, is so no more, or
    /// visitors begin to wait.
    pub(super) fn see(&mut self, seen: Seen, now: Duration, at_once: bool) -> bool {
        let at_limit = seen.workers >= seen.limit;
        let full = at_limit && (seen.queue > 0 || seen.served.is_some_and(|served| served >= seen.limit));
        if full == self.told.is_some() {
            let Some((told, at)) = &mut self.told else {
                self.otherwise = None;
                return false;
            };
            // That visitors begin to wait is worth more than a number that is out of date.
            let waits = told.queue == 0 && seen.queue > 0;
            let since = waits.then(|| *self.otherwise.get_or_insert(now));
            let turns = since.is_some_and(|since| now >= since + WAITS);
            if turns || now >= *at + MINUTE {
                (*told, *at) = (seen, now);
            }
            if turns || !waits {
                self.otherwise = None;
            }
            return turns;
        }
        let since = *self.otherwise.get_or_insert(now);
        let needed = match full {
            true if seen.queue > 0 => WAITS,
            true => BUSY,
            false => WELL,
        };
        if !at_once && now < since + needed {
            return false;
        }
        self.otherwise = None;
        self.told = full.then_some((seen, now));
        true
    }

    /// Its numbers, if it is full.
    pub(super) fn told(&self) -> Option<Seen> {
        self.told.map(|(seen, _)| seen)
    }

    /// When to look again to be sure, if it looks full and is not told so.
    pub(super) fn again(&self) -> Option<Duration> {
        (self.otherwise.is_some() && self.told.is_none()).then_some(WAITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at (second, workers, queue, served), of a pool of five.
    fn story(looks: &[(u64, u32, u32, Option<u32>)]) -> Vec<String> {
        let mut state = Saturation::default();
        let mut told = Vec::new();
        for (second, workers, queue, served) in looks {
            let seen = Seen { workers: *workers, limit: 5, queue: *queue, served: *served };
            let turned = state.see(seen, Duration::from_secs(*second), false);
            let numbers = state.told().map_or_else(|| "well".to_owned(), |seen| format!("{} wait", seen.queue));
            told.push(format!("{}{numbers}", if turned { "turns: " } else { "" }));
        }
        told
    }

    #[test]
    fn a_full_pool_with_a_queue_is_told_when_it_is_seen_twice_and_its_numbers_once_a_minute() {
        let looks = [(0, 5, 0, Some(4)), (5, 5, 3, Some(5)), (6, 5, 4, Some(5)), (11, 5, 9, None), (67, 5, 7, None)];
        assert_eq!(story(&looks), ["well", "well", "turns: 4 wait", "4 wait", "7 wait"]);
    }

    #[test]
    fn a_queue_of_a_moment_is_none_and_one_without_all_workers_is_none_either() {
        let looks = [(0, 5, 1, None), (1, 5, 0, None), (5, 5, 1, None), (6, 4, 3, None), (10, 4, 3, None)];
        assert_eq!(story(&looks), ["well"; 5]);
    }

    #[test]
    fn a_pool_whose_workers_all_serve_somebody_is_full_after_two_looks() {
        let looks =
            [(0, 5, 0, Some(5)), (4, 5, 0, Some(5)), (5, 5, 0, Some(5)), (10, 5, 0, Some(3)), (15, 5, 0, Some(3))];
        assert_eq!(story(&looks), ["well", "well", "turns: 0 wait", "0 wait", "turns: well"]);
        assert_eq!(story(&[(0, 5, 0, None), (60, 5, 0, None)]), ["well", "well"], "workers may be idle");
    }

    #[test]
    fn that_visitors_begin_to_wait_at_a_busy_pool_is_told_when_it_is_seen_twice() {
        let busy = [(0, 5, 0, Some(5)), (5, 5, 0, Some(5))];
        let looks = [(10, 5, 2, Some(5)), (15, 5, 0, Some(5)), (20, 5, 1, Some(5)), (25, 5, 3, Some(5))];
        let told = story(&[&busy[..], &looks].concat());
        assert_eq!(told[1..], ["turns: 0 wait", "0 wait", "0 wait", "0 wait", "turns: 3 wait"]);
    }

    #[test]
    fn a_full_pool_is_well_after_some_looks_without_a_queue() {
        let full = [(0, 5, 2, None), (1, 5, 2, None)];
        let looks = [(6, 5, 0, None), (7, 5, 1, None), (8, 3, 0, None), (12, 3, 0, None), (13, 3, 0, None)];
        let told = story(&[&full[..], &looks].concat());
        assert_eq!(told[1..], ["turns: 2 wait", "2 wait", "2 wait", "2 wait", "2 wait", "turns: well"]);
    }

    #[test]
    fn who_looks_only_once_is_told_at_once() {
        let mut state = Saturation::default();
        let seen = Seen { workers: 5, limit: 5, queue: 1, served: None };
        assert!(state.see(seen, Duration::ZERO, true));
        assert_eq!(state.told(), Some(seen));
    }
}
