//! Seeded variants of what a real host's numbers do: the trace of `data/host_trace.csv.zst` (fifteen minutes of a machine at
//! work, 60 series), bent for each host and each tick, so that no two stretches are the same. Data that repeats itself exactly
//! would flatter any compressor.

use std::collections::BTreeMap;

use plumb_proto::model::{MetricType, Series};

use crate::random::Random;

/// The trace itself: what is read once and shared by all variants.
pub struct Trace {
    series: Vec<(Series, MetricType)>,
    rows: Vec<Vec<f64>>,
    /// The smallest step of each series, as a power of ten.
    decimals: Vec<i32>,
}

impl Trace {
    /// Reads it.
    ///
    /// # Panics
    /// The file in the tree is not as it should be.
    #[must_use]
    pub fn read() -> Self {
        let packed = include_bytes!("../data/host_trace.csv.zst");
        let text = String::from_utf8(zstd::decode_all(packed.as_slice()).expect("zstd")).expect("text");
        let mut lines = text.lines();
        let name = |cell: &str| {
            let kind = if cell.starts_with("C:") { MetricType::Counter } else { MetricType::Gauge };
            (Series { name: cell[2..].to_lowercase(), labels: BTreeMap::new() }, kind)
        };
        let series: Vec<_> = lines.next().expect("names").split(',').map(name).collect();
        let (mut decimals, mut rows) = (vec![0; series.len()], Vec::new());
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            for (place, cell) in cells.iter().enumerate() {
                let behind = cell.split_once('.').map_or(0, |(_, behind)| i32::try_from(behind.len()).expect("short"));
                decimals[place] = decimals[place].max(behind);
            }
            rows.push(cells.iter().map(|cell| cell.parse().expect("a number")).collect());
        }
        Self { series, rows, decimals }
    }

    /// Names and types of the series.
    #[must_use]
    pub fn series(&self) -> &[(Series, MetricType)] {
        &self.series
    }

    /// The host with this number: it begins somewhere in the trace and moves in its own measure.
    #[must_use]
    pub fn variant(&self, seed: u64) -> Variant<'_> {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x7065_6e64_756c_756d);
        // neighbouring seeds are alike at first
        for _ in 0..8 {
            random.below(2);
        }
        let row = usize::try_from(random.below(self.rows.len() as u64)).expect("small");
        let factors = self.series.iter().map(|_| 0.5 + part(&mut random)).collect();
        Variant { trace: self, row, values: self.rows[row].clone(), factors, random }
    }
}

/// The numbers of one host, tick by tick.
pub struct Variant<'a> {
    trace: &'a Trace,
    row: usize,
    values: Vec<f64>,
    factors: Vec<f64>,
    random: Random,
}

impl Variant<'_> {
    /// The next value of each series, in the order of [`Trace::series`]. What stands still in the trace stands still; what
    /// moves, moves as far as there, within a fifth, times the host's own measure.
    pub fn tick(&mut self) -> &[f64] {
        let trace = self.trace;
        let next = (self.row + 1) % trace.rows.len();
        let begins_anew = next == 0;
        for (place, (_, kind)) in trace.series.iter().enumerate() {
            let (was, is) = (trace.rows[self.row][place], trace.rows[next][place]);
            let step = if begins_anew && *kind == MetricType::Counter { 0.0 } else { is - was };
            if step != 0.0 {
                let bent = step * self.factors[place] * (0.8 + 0.4 * part(&mut self.random));
                let unit = 10_f64.powi(trace.decimals[place]);
                let value = ((self.values[place] + bent) * unit).round() / unit;
                self.values[place] = if begins_anew { is } else { value.max(0.0) };
            }
        }
        self.row = next;
        &self.values
    }
}

/// Between 0 and 1.
#[allow(clippy::cast_precision_loss)]
fn part(random: &mut Random) -> f64 {
    random.below(1 << 20) as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_falls_and_two_hosts_differ_and_a_seed_repeats() {
        let trace = Trace::read();
        let (mut one, mut same, mut other) = (trace.variant(1), trace.variant(1), trace.variant(2));
        let mut before = one.tick().to_vec();
        assert_eq!(before, same.tick());
        assert_ne!(before, other.tick());
        for _ in 0..2_000 {
            let now = one.tick().to_vec();
            for (place, (series, kind)) in trace.series().iter().enumerate() {
                assert!(*kind == MetricType::Gauge || now[place] >= before[place], "{series} fell");
            }
            before = now;
        }
    }
}
