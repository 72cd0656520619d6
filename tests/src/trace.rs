//! Seeded variants of the trace of a real host (`tests/data`), as long as one likes: each host walks through pieces of it in
//! an order and a strength of its own, so that nothing repeats to the bit.

use std::collections::BTreeMap;

use plumb_proto::model::{Block, MetricType, Series};
use plumb_proto::time::Timestamp;

use crate::random::Random;

/// Ticks that are taken from the trace in one piece.
const PIECE: usize = 30;
/// The agent samples this often.
pub const TICK_MS: i64 = 10_000;

/// The trace itself.
pub struct Trace {
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    series: Series,
    kind: MetricType,
    /// Decimals that it is told with.
    scale: f64,
    /// The greatest number that divides all values: memory moves in pages.
    unit: f64,
    values: Vec<f64>,
}

impl Trace {
    /// Every `stride`-th row: the trace was taken once a second. 1: each second stands for ten.
    ///
    /// # Panics
    /// The trace is damaged.
    #[must_use]
    pub fn load(stride: usize) -> Self {
        let packed = include_bytes!("../data/host_trace.csv.zst");
        let text = String::from_utf8(zstd::decode_all(packed.as_slice()).expect("zstd")).expect("text");
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().expect("names").split(',').collect();
        let rows: Vec<Vec<f64>> = lines
            .step_by(stride)
            .map(|line| line.split(',').map(|cell| cell.parse().expect("a number")).collect())
            .collect();
        let column = |(place, name): (usize, &&str)| {
            let values: Vec<f64> = rows.iter().map(|row| row[place]).collect();
            let scale = if values.iter().all(|value| value.fract() == 0.0) { 1.0 } else { 100.0 };
            let unit = values.iter().fold(0u64, |unit, value| divisor(unit, (value * scale).round() as u64)).max(1);
            Column {
                series: Series { name: name[2..].to_lowercase(), labels: BTreeMap::new() },
                kind: if name.starts_with("C:") { MetricType::Counter } else { MetricType::Gauge },
                scale,
                unit: unit as f64,
                values,
            }
        };
        Self { columns: names.iter().enumerate().map(column).collect(), rows: rows.len() }
    }

    /// Series of a host.
    #[must_use]
    pub fn series(&self) -> usize {
        self.columns.len()
    }
}

fn divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { divisor(other, one % other) }
}

/// One host's walk.
pub struct Walk<'a> {
    trace: &'a Trace,
    random: Random,
    strength: f64,
    at: usize,
    left: usize,
    /// Where each series stands; a counter's sum, a gauge's offset from the trace.
    stand: Vec<f64>,
    tick: i64,
    begin: i64,
    watchers: usize,
}

impl<'a> Walk<'a> {
    /// Begins at a moment. The series are told by so many watchers.
    #[must_use]
    pub fn new(trace: &'a Trace, seed: u64, begin: Timestamp, watchers: usize) -> Self {
        let mut random = Random::new(seed);
        let own = 0.5 + random.share() * 4.0;
        let stand = trace.columns.iter().map(|column| match column.kind {
            MetricType::Counter => column.values[0] * own,
            MetricType::Gauge => 0.0,
        });
        // agents do not tick on the second
        let begin = begin.millis() + (random.share() * 10_000.0) as i64;
        let stand = stand.collect();
        Self { trace, random, strength: 1.0, at: 0, left: 0, stand, tick: 0, begin, watchers }
    }

    /// The next ticks of all series, a block for each watcher.
    pub fn blocks(&mut self, ticks: usize) -> Vec<Block> {
        let mut values: Vec<Vec<Option<f64>>> = vec![Vec::with_capacity(ticks); self.trace.columns.len()];
        for _ in 0..ticks {
            self.step();
            for (place, column) in self.trace.columns.iter().enumerate() {
                let value = match column.kind {
                    MetricType::Counter => self.stand[place],
                    MetricType::Gauge => (column.values[self.at] + self.stand[place]).max(0.0),
                };
                let unit = column.unit / column.scale;
                let whole = (value / unit).round() * column.unit;
                values[place].push(Some(whole.round() / column.scale));
            }
        }
        let first = self.tick - ticks as i64;
        let times: Vec<Timestamp> =
            (first..self.tick).map(|tick| Timestamp::from_millis(self.begin + tick * TICK_MS)).collect();
        let each = self.trace.columns.len().div_ceil(self.watchers);
        let columns = self.trace.columns.iter().zip(values);
        let columns: Vec<_> = columns.map(|(column, values)| (column.series.clone(), column.kind, values)).collect();
        let block = |(number, columns): (usize, &[_])| Block {
            watcher: format!("watcher{number}"),
            times: times.clone(),
            columns: columns.to_vec(),
        };
        columns.chunks(each).enumerate().map(block).collect()
    }

    fn step(&mut self) {
        if self.left == 0 {
            self.left = PIECE.min(self.trace.rows - 1);
            let before = self.at;
            self.at = 1 + self.random.bits() as usize % (self.trace.rows - self.left);
            self.strength = 0.3 + self.random.share() * 1.2;
            // a gauge goes on from where it was, and finds back to the trace in time
            for (column, stand) in self.trace.columns.iter().zip(&mut self.stand) {
                if column.kind == MetricType::Gauge {
                    *stand = (*stand + column.values[before] - column.values[self.at]) * 0.5;
                }
            }
        } else {
            self.at += 1;
        }
        self.left -= 1;
        self.tick += 1;
        for (column, stand) in self.trace.columns.iter().zip(&mut self.stand) {
            if column.kind == MetricType::Counter {
                let grown = column.values[self.at] - column.values[self.at - 1];
                let noise = 0.8 + self.random.share() * 0.4;
                *stand += (grown * self.strength * noise * column.scale).round() / column.scale;
            }
        }
    }
}
