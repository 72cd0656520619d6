//! The course of a metric: from samples and rollups, in whatever pieces they come, to as many points as somebody can look
//! at. Pure. What was not sampled stays a gap; nothing is drawn between.

pub mod course;
pub mod rollup;

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::model::{MetricType, Series};
use plumb_proto::time::Timestamp;

/// Points of one series, at most.
pub const POINTS: usize = 10_000;
/// Points of one series, about, if nobody asks for a step.
const USUAL: u64 = 200;
/// Series in one answer.
pub const LINES: usize = 64;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Name of the metric.
    pub metric: String,
    /// Series with all these labels only.
    pub labels: BTreeMap<String, String>,
    /// From.
    pub since: Timestamp,
    /// Until.
    pub until: Timestamp,
    /// Between two points; `None`: as it looks best.
    pub step: Option<Duration>,
    /// Counters as they stand, not how fast they grow.
    pub raw: bool,
}

/// What the samples of one step were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Their mean; of a counter how much it grew in a second.
    pub mean: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

/// The course of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Which.
    pub series: Series,
    /// Counter or gauge.
    pub kind: MetricType,
    /// One for each step from the first that has a sample to the last; `None`: a gap.
    pub points: Vec<(Timestamp, Option<Span>)>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Between two points.
    pub step: Duration,
    /// By labels; at most [`LINES`].
    pub lines: Vec<Line>,
    /// How many series more there are.
    pub left_out: usize,
    /// If there is no series of this name: the names that there are.
    pub known: Vec<String>,
}

/// Steps that people read easily, in seconds.
const STEPS: [u64; 22] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 28_800,
    43_200, 86_400,
];

/// The step for a span of time that gives about 200 points.
#[must_use]
pub fn usual_step(span: Duration) -> Duration {
    let least = span.as_secs().div_ceil(USUAL);
    let step = STEPS.iter().copied().find(|step| *step >= least);
    Duration::from_secs(step.unwrap_or_else(|| least.div_ceil(86_400) * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_step_is_round_and_gives_at_most_two_hundred_points() {
        let hours = |hours: u64| usual_step(Duration::from_secs(hours * 3_600)).as_secs();
        assert_eq!(
            [hours(1), hours(24), hours(72), hours(30 * 24), hours(400 * 24)],
            [20, 600, 1_800, 14_400, 172_800]
        );
        for span in [1, 60, 3_601, 86_401, 999_999] {
            assert!(span / usual_step(Duration::from_secs(span)).as_secs() <= 200);
        }
    }
}
