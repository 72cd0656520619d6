//! What the past of a series says: how often a backup comes, and how big it is. A file that is overwritten each night
//! leaves no past in its folder, so what was seen is kept in a cursor.

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Observations of one series that are kept.
const KEPT: usize = 32;
/// Series whose past is kept.
const SERIES: usize = 256;
/// Of these newest gaps the rhythm is made.
const GAPS: usize = 14;
/// Backups that lie closer together (seconds) are one: a job that was run again, files copied without their times.
const SAME: i64 = 600;
/// The past of a series that is gone is kept so long, seconds: a disk may be away for a while.
const FORGOTTEN: i64 = 40 * 86_400;
/// A bit more than the rhythm is always allowed, seconds.
const GRACE: i64 = 3_600;

/// When a backup was written (seconds since 1970), and its bytes.
pub(super) type Seen = (i64, u64);

/// How often a backup comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// Usual seconds from one to the next.
    pub(super) interval: i64,
    /// The newest is late when it is older than so many seconds.
    pub(super) late_after: i64,
}

impl Rhythm {
    /// As somebody has declared it.
    pub(super) fn declared(interval: i64) -> Self {
        Self { interval, late_after: interval.saturating_mul(3) / 2 + GRACE }
    }
}

/// What was seen, by series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct History(BTreeMap<String, Vec<Seen>>);

impl History {
    /// As it was kept; what cannot be read is forgotten.
    pub(super) fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// To be kept.
    pub(super) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What is known of a series, oldest first.
    pub(super) fn of(&self, series: &str) -> &[Seen] {
        self.0.get(series).map_or(&[], Vec::as_slice)
    }

    /// Adds what lies there now.
    pub(super) fn learn(&mut self, series: &str, seen: &[Seen]) {
        if seen.is_empty() || (self.0.len() >= SERIES && !self.0.contains_key(series)) {
            return;
        }
        let known = self.0.entry(series.to_owned()).or_default();
        known.extend_from_slice(seen);
        merge(known);
    }

    /// Forgets series that have long been gone. One that is still `there` is not forgotten however old its newest is: it
    /// is late.
    pub(super) fn forget(&mut self, now: Timestamp, there: &BTreeSet<String>) {
        let oldest = now.millis() / 1000 - FORGOTTEN;
        self.0.retain(|name, seen| there.contains(name) || seen.last().is_some_and(|(at, _)| *at > oldest));
    }
}

/// Sorts, drops what is seen twice, keeps the newest.
pub(super) fn merge(seen: &mut Vec<Seen>) {
    seen.sort_unstable();
    let mut kept: Vec<Seen> = Vec::with_capacity(seen.len().min(KEPT));
    for each in seen.iter() {
        match kept.last_mut() {
            Some(last) if each.0.saturating_sub(last.0) < SAME => *last = *each,
            _ => kept.push(*each),
        }
    }
    kept.drain(..kept.len().saturating_sub(KEPT));
    *seen = kept;
}

/// The rhythm, once three backups were seen and most gaps are alike.
pub(super) fn rhythm(seen: &[Seen]) -> Option<Rhythm> {
    let gaps = seen.windows(2).filter_map(|pair| Some(pair.get(1)?.0 - pair.first()?.0));
    let mut gaps: Vec<i64> = gaps.collect();
    gaps.drain(..gaps.len().saturating_sub(GAPS));
    if gaps.len() < 2 {
        return None;
    }
    gaps.sort_unstable();
    let interval = *gaps.get(gaps.len() / 2)?;
    let alike = gaps.iter().filter(|gap| (**gap - interval).abs() <= interval / 2).count();
    if alike * 3 < gaps.len() * 2 {
        return None;
    }
    // A gap that came more than once is part of the rhythm: backups on working days only.
    let usual = if gaps.len() >= 6 { gaps.iter().rev().nth(1).copied().unwrap_or(0) } else { 0 };
    let late_after = (interval.saturating_mul(3) / 2).max(usual.saturating_mul(11) / 10) + GRACE;
    // To the minute: the row stays the same when a job takes some seconds more.
    Some(Rhythm { interval: (interval + 30) / 60 * 60, late_after: (late_after + 30) / 60 * 60 })
}

/// The median size of those before the newest, once there are three and most are alike: full and incremental backups
/// under one name have no usual size.
pub(super) fn typical_size(seen: &[Seen], newest: i64) -> Option<u64> {
    let mut sizes: Vec<u64> = seen.iter().filter(|(at, _)| at + SAME <= newest).map(|(_, size)| *size).collect();
    sizes.drain(..sizes.len().saturating_sub(GAPS));
    if sizes.len() < 3 {
        return None;
    }
    sizes.sort_unstable();
    let median = *sizes.get(sizes.len() / 2)?;
    let alike = sizes.iter().filter(|size| size.saturating_mul(2) >= median).count();
    (alike * 4 >= sizes.len() * 3).then_some(median)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const HOUR: i64 = 3_600;

    fn days(days: &[i64]) -> Vec<Seen> {
        days.iter().map(|day| (day * DAY, 1000)).collect()
    }

    #[test]
    fn three_backups_make_a_rhythm() {
        assert_eq!(rhythm(&days(&[1, 2])), None);
        assert_eq!(rhythm(&days(&[1, 2, 3])), Some(Rhythm { interval: DAY, late_after: 37 * HOUR }));
        assert_eq!(Rhythm::declared(DAY), Rhythm { interval: DAY, late_after: 37 * HOUR });
    }

    #[test]
    fn backups_by_hand_have_no_rhythm() {
        assert_eq!(rhythm(&days(&[1, 2, 40])), None);
        assert_eq!(rhythm(&days(&[1, 3, 20, 21, 80])), None);
    }

    #[test]
    fn working_days_are_a_rhythm_of_their_own() {
        let seen = days(&[1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 16]);
        let rhythm = rhythm(&seen).unwrap();
        assert_eq!(rhythm.interval, DAY);
        assert!(rhythm.late_after > 3 * DAY, "{rhythm:?}");
    }

    #[test]
    fn one_missing_day_does_not_change_the_rhythm() {
        assert_eq!(rhythm(&days(&[1, 2, 3, 4, 6, 7, 8, 9])).unwrap().late_after, 37 * HOUR);
    }

    #[test]
    fn what_was_copied_at_once_is_one_observation() {
        let mut seen = vec![(100, 1), (101, 2), (102, 3), (100 + DAY, 4)];
        merge(&mut seen);
        assert_eq!(seen, [(102, 3), (100 + DAY, 4)]);
    }

    #[test]
    fn the_past_is_bounded_and_survives_being_kept() {
        let mut history = History::default();
        for day in 0..100 {
            history.learn("a", &[(day * DAY, 7)]);
        }
        assert_eq!((history.of("a").len(), history.of("b").len()), (KEPT, 0));
        assert_eq!(History::read(&history.write()), history);
        assert_eq!(History::read(b"\xffgarbage"), History::default());
        history.forget(Timestamp::from_secs(99 * DAY + FORGOTTEN), &BTreeSet::from(["a".to_owned()]));
        assert_eq!(history.of("a").len(), KEPT);
        history.forget(Timestamp::from_secs(99 * DAY + FORGOTTEN), &BTreeSet::new());
        assert_eq!(history, History::default());
    }

    #[test]
    fn a_usual_size_is_the_median_of_what_came_before() {
        let seen = [(DAY, 100), (2 * DAY, 110), (3 * DAY, 90), (4 * DAY, 5)];
        assert_eq!(typical_size(&seen, 4 * DAY), Some(100));
        assert_eq!(typical_size(&seen[..3], 3 * DAY), None);
        let mixed = [(DAY, 1000), (2 * DAY, 10), (3 * DAY, 1000), (4 * DAY, 9), (5 * DAY, 12)];
        assert_eq!(typical_size(&mixed, 6 * DAY), Some(12));
    }
}
