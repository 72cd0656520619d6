//! The newest value of each series.

use std::collections::BTreeMap;

use plumb_proto::limits;
use plumb_proto::model::{Block, MetricType};
use plumb_proto::time::Timestamp;

use super::{HostView, Sampled, Touched};

/// Time over which a rate is averaged: what is older counts for less and less.
const AVERAGE_SECONDS: f64 = 300.0;

impl HostView {
    /// Takes up samples of `times`: those of the block by the collector's clock.
    pub fn take_block(&mut self, block: &Block, times: &[Timestamp], touched: &mut Touched) {
        let Some(at) = times.last().copied() else { return };
        for (series, kind, values) in &block.columns {
            let known = self.series.entry(series.name.clone()).or_default();
            let mut motion = Motion::of(known.get(series));
            if *kind == MetricType::Counter {
                for (time, value) in times.iter().zip(values) {
                    motion.step(*time, *value);
                }
            }
            let value = values.last().copied().flatten();
            let Motion { risen, rate, .. } = motion;
            known.insert(series.clone(), Sampled { kind: *kind, at, value, risen, rate });
            touched.series.insert(series.clone());
        }
        self.forget_oldest_series();
    }

    /// Each epoch may announce [`limits::SERIES`]: what epochs long past had announced makes room.
    fn forget_oldest_series(&mut self) {
        let mut times: Vec<_> = self.series.values().flat_map(|of_name| of_name.values().map(|each| each.at)).collect();
        if times.len() <= limits::SERIES * 2 {
            return;
        }
        times.sort_unstable();
        let keep_from = times[times.len() - limits::SERIES];
        for of_name in self.series.values_mut() {
            of_name.retain(|_, sampled| sampled.at >= keep_from);
        }
        self.series.retain(|_, of_name: &mut BTreeMap<_, _>| !of_name.is_empty());
    }
}

/// How a counter moves.
struct Motion {
    last: Option<(Timestamp, f64)>,
    risen: Option<Timestamp>,
    rate: Option<f64>,
}

impl Motion {
    fn of(before: Option<&Sampled>) -> Self {
        let last = before.and_then(|each| Some((each.at, each.value?)));
        Self { last, risen: before.and_then(|each| each.risen), rate: before.and_then(|each| each.rate) }
    }

    /// A counter that starts anew (a reboot) has grown by what it shows.
    fn step(&mut self, at: Timestamp, value: Option<f64>) {
        let Some(value) = value else { return };
        if let Some((since, before)) = self.last {
            let grown = if value < before { value } else { value - before };
            if grown > 0.0 {
                self.risen = Some(at);
            }
            let seconds = at.since(since).as_secs_f64();
            if seconds > 0.0 {
                let weight = 1.0 - (-seconds / AVERAGE_SECONDS).exp();
                let fresh = grown / seconds;
                self.rate = Some(self.rate.map_or(fresh, |rate| rate + weight * (fresh - rate)));
            }
        }
        self.last = Some((at, value));
    }
}
