//! What is due next: pure. Times are monotonic, so nothing here minds a clock that jumps.

use std::time::Duration;

/// Least time between two looks that a file event brings forward: a file that is written all the time costs one look a
/// second, not one for each write.
const EVENT_GAP: Duration = Duration::from_secs(1);

/// When each watcher looks, by its number.
#[derive(Debug, Default)]
pub struct Schedule {
    slots: Vec<Slot>,
}

#[derive(Clone, Debug)]
struct Slot {
    every: Duration,
    phase: Duration,
    due: Duration,
    looked: Option<Duration>,
}

impl Schedule {
    /// Adds the next watcher. Its first look is due at once; later ones keep a rhythm that is shifted by a hash of host
    /// and watcher, so that a fleet that was started together does not look and report together.
    pub fn add(&mut self, host: &str, watcher: &str, every: Duration, now: Duration) {
        self.slots.push(Slot { every, phase: phase(host, watcher, every), due: now, looked: None });
    }

    /// Adds the next watcher with the rhythm that it had as this number of another schedule.
    pub fn carry(&mut self, from: &Self, watcher: usize) {
        self.slots.extend(from.slots.get(watcher).cloned());
    }

    /// The watcher that has been due longest.
    #[must_use]
    pub fn due(&self, now: Duration) -> Option<usize> {
        let due = self.slots.iter().enumerate().filter(|(_, slot)| slot.due <= now);
        due.min_by_key(|(_, slot)| slot.due).map(|(number, _)| number)
    }

    /// When the next watcher is due; `None` if there is none.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.slots.iter().map(|slot| slot.due).min()
    }

    /// It has looked, and looks again in its rhythm.
    pub fn looked(&mut self, watcher: usize, now: Duration) {
        if let Some(slot) = self.slots.get_mut(watcher) {
            (slot.looked, slot.due) = (Some(now), next(now, slot.every, slot.phase));
        }
    }

    /// It wants to go on with its look right away.
    pub fn go_on(&mut self, watcher: usize, now: Duration) {
        if let Some(slot) = self.slots.get_mut(watcher) {
            slot.due = now;
        }
    }

    /// It does not look before then.
    pub fn put_off(&mut self, watcher: usize, until: Duration) {
        if let Some(slot) = self.slots.get_mut(watcher) {
            slot.due = until;
        }
    }

    /// Something changed: it looks at `at`, unless it is due earlier or has just looked.
    pub fn bring_forward(&mut self, watcher: usize, at: Duration) {
        if let Some(slot) = self.slots.get_mut(watcher) {
            let earliest = slot.looked.map_or(at, |looked| at.max(looked + EVENT_GAP));
            slot.due = slot.due.min(earliest);
        }
    }
}

/// The next moment after `now` in a rhythm.
fn next(now: Duration, every: Duration, phase: Duration) -> Duration {
    let (now, every, phase) = (now.as_millis(), every.as_millis().max(1), phase.as_millis());
    let ticks = (now + every - phase % every) / every;
    let at = ticks * every + phase % every;
    Duration::from_millis(u64::try_from(if at > now { at } else { at + every }).unwrap_or(u64::MAX))
}

/// By FNV-1a (draft-eastlake-fnv): the same in every version of the agent, which the standard hasher does not promise.
fn phase(host: &str, watcher: &str, every: Duration) -> Duration {
    let bytes = host.bytes().chain([0]).chain(watcher.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis((hash ^ (hash >> 32)) % every)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_first_look_is_due_at_once_and_the_next_in_rhythm() {
        let mut schedule = Schedule::default();
        schedule.add("web1", "disk", TEN, seconds(3.0));
        assert_eq!(schedule.due(seconds(3.0)), Some(0));
        schedule.looked(0, seconds(3.2));
        let second = schedule.next().unwrap();
        assert!(second > seconds(3.2) && second <= seconds(13.2));
        schedule.looked(0, second + seconds(0.3)); // late, but the rhythm stays
        assert_eq!(schedule.next().unwrap(), second + TEN);
        assert_eq!(schedule.due(second), None);
    }

    #[test]
    fn a_rhythm_has_no_moment_twice_and_skips_what_was_missed() {
        for phase in [0.0, 0.001, 4.0, 9.999] {
            let phase = seconds(phase);
            let mut at = Duration::ZERO;
            for _ in 0..5 {
                let following = next(at, TEN, phase);
                assert!(following > at && following <= at + TEN);
                assert_eq!((following - phase).as_millis() % TEN.as_millis(), 0);
                at = following;
            }
            assert!(next(seconds(1000.5), TEN, phase) > seconds(1000.5));
        }
    }

    #[test]
    fn hosts_and_watchers_are_spread_over_the_whole_interval() {
        let phases: Vec<u128> =
            (0..1000).map(|host| phase(&format!("web{host}"), "disk", TEN).as_millis() / 1000).collect();
        for second in 0..10 {
            let share = phases.iter().filter(|phase| **phase == second).count();
            assert!((60..=140).contains(&share), "{share} of 1000 hosts in second {second}");
        }
        assert_ne!(phase("web1", "disk", TEN), phase("web1", "php", TEN));
    }

    #[test]
    fn a_file_event_brings_a_look_forward_but_not_many() {
        let mut schedule = Schedule::default();
        schedule.add("web1", "php", 60 * TEN, Duration::ZERO);
        schedule.looked(0, seconds(1.0));
        schedule.bring_forward(0, seconds(1.1));
        assert_eq!(schedule.next(), Some(seconds(2.0)), "it has just looked");
        schedule.looked(0, seconds(2.0));
        schedule.bring_forward(0, seconds(9.0));
        schedule.bring_forward(0, seconds(9.1));
        assert_eq!(schedule.next(), Some(seconds(9.0)));
    }

    #[test]
    fn who_has_been_due_longest_goes_first() {
        let mut schedule = Schedule::default();
        schedule.add("web1", "a", TEN, seconds(5.0));
        schedule.add("web1", "b", TEN, seconds(4.0));
        assert_eq!(schedule.due(seconds(6.0)), Some(1));
        schedule.put_off(1, seconds(86_400.0));
        assert_eq!(schedule.due(seconds(6.0)), Some(0));
        schedule.go_on(1, seconds(2.0));
        assert_eq!(schedule.due(seconds(6.0)), Some(1));
    }
}
