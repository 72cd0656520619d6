//! Gathers the samples of one series, step by step. They come in pieces ordered by time; a piece that goes back in time
//! (a clock did) adds to what is there, and makes no rate.

use std::time::Duration;

use plumb_proto::model::MetricType;
use plumb_proto::time::Timestamp;

use super::rollup::{self, STEP_MS};
use super::{Asked, Span, usual_step};

/// Two samples of a counter that are farther apart than so many times their usual distance make no rate: what was between
/// is not known.
const APART: i64 = 3;

#[derive(Clone, Copy, Default)]
struct Gathered {
    weight: f64,
    sum: f64,
    least: f64,
    greatest: f64,
}

impl Gathered {
    fn add(&mut self, other: Self) {
        if self.weight == 0.0 {
            *self = other;
        } else if other.weight > 0.0 {
            self.weight += other.weight;
            self.sum += other.sum;
            self.least = self.least.min(other.least);
            self.greatest = self.greatest.max(other.greatest);
        }
    }

    fn one(value: f64, weight: f64) -> Self {
        Self { weight, sum: value * weight, least: value, greatest: value }
    }

    fn span(self) -> Option<Span> {
        let mean = self.sum / self.weight;
        (self.weight > 0.0).then_some(Span { mean, least: self.least, greatest: self.greatest })
    }
}

/// The course of one series while it is gathered.
pub struct Course {
    begin: i64,
    until: i64,
    step: i64,
    rate: bool,
    buckets: Vec<Gathered>,
    last: Option<(i64, f64)>,
    /// The usual distance of its samples, the greatest of all pieces.
    spacing: i64,
}

/// The distance that most neighbours have.
fn usual_distance(times: &[i64]) -> i64 {
    let mut distances: Vec<i64> = times.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
    let middle = distances.len() / 2;
    if distances.is_empty() { 0 } else { *distances.select_nth_unstable(middle).1 }
}

/// The step that is asked for, or the usual one; in milliseconds.
#[must_use]
pub fn step(asked: &Asked) -> i64 {
    let step = asked.step.unwrap_or_else(|| usual_step(asked.until.since(asked.since)));
    i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1)
}

impl Course {
    /// Of a series of this type.
    #[must_use]
    pub fn new(asked: &Asked, kind: MetricType) -> Self {
        let step = step(asked);
        let (since, until) = (asked.since.millis(), asked.until.millis());
        let begin = since.div_euclid(step).saturating_mul(step);
        let count = until.saturating_sub(begin).div_euclid(step).saturating_add(1);
        let count = usize::try_from(count).unwrap_or(0).min(super::POINTS + 1);
        let rate = kind == MetricType::Counter && !asked.raw;
        Self { begin, until, step, rate, buckets: vec![Gathered::default(); count], last: None, spacing: 0 }
    }

    /// Takes samples up.
    pub fn samples(&mut self, times: &[i64], values: &[Option<f64>]) {
        let usual = usual_distance(times);
        self.spacing = self.spacing.max(usual);
        // a piece of one sample says nothing of distances
        let apart = if usual > 0 { usual } else { self.spacing.max(60_000) }.saturating_mul(APART);
        for (at, value) in times.iter().zip(values) {
            if let Some(value) = value {
                self.sample(*at, *value, apart);
            }
        }
    }

    fn sample(&mut self, at: i64, value: f64, apart: i64) {
        if !self.rate {
            return self.add(at, Gathered::one(value, 1.0));
        }
        let before = self.last.filter(|(then, _)| at > *then);
        if self.last.is_none() || before.is_some() {
            self.last = Some((at, value));
        }
        let Some((then, was)) = before.filter(|(then, _)| at.saturating_sub(*then) <= apart) else { return };
        // a counter that starts anew has grown by what it shows
        let grown = if value < was { value } else { value - was };
        #[allow(clippy::cast_precision_loss)] // milliseconds of minutes
        let seconds = at.saturating_sub(then) as f64 / 1000.0;
        self.add(at, Gathered::one(grown / seconds, seconds));
    }

    /// Takes rollups up: times, and the columns that the series has of them.
    pub fn rollups(&mut self, times: &[i64], columns: &[Vec<Option<f64>>]) {
        if let [last] = columns {
            // a counter's last value is that of the end
            let ends: Vec<i64> = times.iter().map(|at| at.saturating_add(STEP_MS)).collect();
            return self.samples(&ends, last);
        }
        let [least, greatest, sum, count] = columns else { return };
        self.spacing = self.spacing.max(usual_distance(times));
        for (place, at) in times.iter().enumerate() {
            let of = |column: &Vec<Option<f64>>| column.get(place).copied().flatten();
            if let (Some(least), Some(greatest), Some(sum), Some(weight)) =
                (of(least), of(greatest), of(sum), of(count))
            {
                self.add(*at, Gathered { weight, sum, least, greatest });
            }
        }
    }

    fn add(&mut self, at: i64, what: Gathered) {
        let place = usize::try_from(at.saturating_sub(self.begin).div_euclid(self.step));
        if let Some(bucket) = place.ok().filter(|_| at <= self.until).and_then(|place| self.buckets.get_mut(place)) {
            bucket.add(what);
        }
    }

    /// How many steps must be one so that a series that is sampled seldom has no gaps that are none; 1 for most.
    #[must_use]
    pub fn coarser(&self) -> usize {
        usize::try_from(self.spacing.saturating_add(self.step - 1) / self.step).unwrap_or(1).max(1)
    }

    /// The points, `by` steps in one, from the first with a sample to the last.
    #[must_use]
    pub fn points(&self, by: usize) -> Vec<(Timestamp, Option<Span>)> {
        let mut points = Vec::new();
        for (number, group) in self.buckets.chunks(by.max(1)).enumerate() {
            let mut all = Gathered::default();
            group.iter().for_each(|each| all.add(*each));
            let steps = i64::try_from(number * by.max(1)).unwrap_or(i64::MAX);
            let at = self.begin.saturating_add(self.step.saturating_mul(steps));
            points.push((Timestamp::from_millis(at), all.span()));
        }
        let last = points.iter().rposition(|(_, span)| span.is_some()).map_or(0, |last| last + 1);
        points.truncate(last);
        let first = points.iter().position(|(_, span)| span.is_some()).unwrap_or(0);
        points.drain(..first);
        points
    }
}

/// The step of points, `by` steps in one.
#[must_use]
pub fn step_of(asked: &Asked, by: usize) -> Duration {
    let millis = step(asked).saturating_mul(i64::try_from(by).unwrap_or(i64::MAX));
    Duration::from_millis(millis.unsigned_abs())
}

/// The columns of a series in a chunk of rollups, if it is there.
///
/// # Errors
/// What `column` says.
pub fn rolled<E>(
    id: u32,
    mut column: impl FnMut(u32) -> Result<Option<Vec<Option<f64>>>, E>,
) -> Result<Vec<Vec<Option<f64>>>, E> {
    let numbers = (0..rollup::COLUMNS).filter_map(|number| id.checked_mul(rollup::COLUMNS)?.checked_add(number));
    let columns = numbers.map(&mut column).collect::<Result<Vec<_>, E>>()?;
    Ok(columns.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(step: u64) -> Asked {
        let (since, until) = (Timestamp::from_millis(0), Timestamp::from_millis(600_000));
        let step = Some(Duration::from_secs(step));
        Asked { metric: "m".to_owned(), labels: [].into(), since, until, step, raw: false }
    }

    fn means(course: &Course, by: usize) -> Vec<Option<f64>> {
        course.points(by).into_iter().map(|(_, span)| span.map(|span| span.mean)).collect()
    }

    #[test]
    fn a_gauge_has_the_mean_the_least_and_the_greatest_of_each_step() {
        let mut course = Course::new(&asked(60), MetricType::Gauge);
        course.samples(&[0, 30_000, 60_000], &[Some(1.0), Some(3.0), Some(9.0)]);
        let first = course.points(1)[0].1.unwrap();
        assert_eq!(first, Span { mean: 2.0, least: 1.0, greatest: 3.0 });
        assert_eq!(means(&course, 1), [Some(2.0), Some(9.0)]);
    }

    #[test]
    fn what_was_not_sampled_is_a_gap_and_no_rate_is_made_across_it() {
        let mut course = Course::new(&asked(60), MetricType::Counter);
        let times: Vec<i64> = (0..13).chain(24..31).map(|tick| tick * 10_000).collect();
        let values: Vec<_> = times.iter().map(|at| Some(*at as f64 / 500.0)).collect();
        course.samples(&times, &values);
        assert_eq!(means(&course, 1), [Some(2.0), Some(2.0), Some(2.0), None, Some(2.0), Some(2.0)]);
    }

    #[test]
    fn a_counter_that_starts_anew_has_grown_by_what_it_shows() {
        let mut course = Course::new(&asked(60), MetricType::Counter);
        course.samples(&[10_000, 20_000, 30_000], &[Some(500.0), Some(40.0), Some(80.0)]);
        assert_eq!(means(&course, 1), [Some(4.0)]);
    }

    #[test]
    fn a_series_that_is_sampled_seldom_makes_the_step_coarser() {
        let mut course = Course::new(&asked(20), MetricType::Gauge);
        course.samples(&[0, 300_000, 600_000], &[Some(1.0); 3]);
        assert_eq!(course.coarser(), 15);
        assert_eq!(means(&course, 15), [Some(1.0); 3]);
    }

    #[test]
    fn any_moments_may_be_asked_for_and_have_been_sampled() {
        let (since, until) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        let mut course = Course::new(&Asked { since, until, ..asked(60) }, MetricType::Counter);
        course.samples(&[i64::MIN, 0, i64::MAX], &[Some(1.0), Some(2.0), Some(3.0)]);
        course.rollups(&[i64::MIN, i64::MAX], &[vec![Some(100.0), Some(700.0)]]);
        assert_eq!(means(&course, 1), [None; 0]);
    }

    #[test]
    fn rollups_count_for_as_much_as_they_were_made_of() {
        let mut course = Course::new(&asked(600), MetricType::Gauge);
        let (least, greatest) = (vec![Some(1.0), Some(0.0)], vec![Some(1.0), Some(8.0)]);
        course.rollups(&[0, 300_000], &[least, greatest, vec![Some(30.0), Some(40.0)], vec![Some(30.0), Some(10.0)]]);
        assert_eq!(course.points(1)[0].1, Some(Span { mean: 1.75, least: 0.0, greatest: 8.0 }));
        let mut counter = Course::new(&asked(600), MetricType::Counter);
        counter.rollups(&[0, 300_000], &[vec![Some(100.0), Some(700.0)]]);
        assert_eq!(means(&counter, 1), [Some(2.0)]);
    }
}
