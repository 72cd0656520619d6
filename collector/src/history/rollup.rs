//! What is left of samples that are no longer kept: five minutes at a time.

use plumb_proto::model::MetricType;

/// The span of a rollup, in milliseconds.
pub const STEP_MS: i64 = 300_000;
/// Columns that a series may have in a chunk of rollups. A gauge: least, greatest, sum, count. A counter: its last value.
pub const COLUMNS: u32 = 4;

/// Columns of one series, one value for each of [`times`].
#[derive(Debug, PartialEq)]
pub struct Rolled {
    /// Four of a gauge, one of a counter.
    pub columns: Vec<Vec<Option<f64>>>,
}

fn begin(at: i64) -> i64 {
    at.div_euclid(STEP_MS).saturating_mul(STEP_MS)
}

/// When the rollups of samples at these times begin; times ascend.
#[must_use]
pub fn times(times: &[i64]) -> Vec<i64> {
    let mut begins: Vec<i64> = times.iter().map(|at| begin(*at)).collect();
    begins.dedup();
    begins
}

/// Rolls up one series.
#[must_use]
pub fn of(times: &[i64], values: &[Option<f64>], kind: MetricType) -> Rolled {
    let mut columns = vec![Vec::new(); if kind == MetricType::Counter { 1 } else { COLUMNS as usize }];
    let samples: Vec<(i64, Option<f64>)> = times.iter().copied().zip(values.iter().copied()).collect();
    for group in samples.chunk_by(|one, other| begin(one.0) == begin(other.0)) {
        let present = || group.iter().filter_map(|(_, value)| *value);
        let count = present().count();
        if kind == MetricType::Counter {
            columns[0].push(present().next_back());
        } else if count == 0 {
            columns.iter_mut().for_each(|column| column.push(None));
        } else {
            #[allow(clippy::cast_precision_loss)] // samples of five minutes
            let told = [
                present().fold(f64::INFINITY, f64::min),
                present().fold(f64::NEG_INFINITY, f64::max),
                present().sum(),
                count as f64,
            ];
            columns.iter_mut().zip(told).for_each(|(column, value)| column.push(Some(value)));
        }
    }
    Rolled { columns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_keeps_least_greatest_sum_and_count_and_a_counter_its_last_value() {
        let at = [0, 10_000, 299_999, 300_000, 910_000];
        let values = [Some(2.0), None, Some(4.0), Some(7.0), None];
        assert_eq!(times(&at), [0, 300_000, 900_000]);
        let gauge = of(&at, &values, MetricType::Gauge).columns;
        assert_eq!(gauge[0], [Some(2.0), Some(7.0), None]);
        assert_eq!(gauge[1], [Some(4.0), Some(7.0), None]);
        assert_eq!(gauge[2], [Some(6.0), Some(7.0), None]);
        assert_eq!(gauge[3], [Some(2.0), Some(1.0), None]);
        assert_eq!(of(&at, &values, MetricType::Counter).columns, [[Some(4.0), Some(7.0), None]]);
    }
}
