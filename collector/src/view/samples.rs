//! The newest value of each series.

use std::collections::BTreeMap;

use plumb_proto::limits;
use plumb_proto::model::{Block, MetricType};
use plumb_proto::time::Timestamp;

use super::{HostView, Sampled, Touched};

impl HostView {
    /// Takes up samples; `shift_ms` is added to their times (the host's clock is corrected by it).
    pub fn take_block(&mut self, block: &Block, shift_ms: i64, touched: &mut Touched) {
        let shift = |time: &Timestamp| Timestamp::from_millis(time.millis().saturating_add(shift_ms));
        let Some(at) = block.times.last().map(shift) else { return };
        for (series, kind, values) in &block.columns {
            let known = self.series.entry(series.name.clone()).or_default();
            let before = known.get(series);
            let grew = (*kind == MetricType::Counter)
                .then(|| grown(before.and_then(|each| each.value), values))
                .flatten()
                .and_then(|position| block.times.get(position))
                .map(shift);
            let risen = grew.or_else(|| before.and_then(|each| each.risen));
            let value = values.last().copied().flatten();
            known.insert(series.clone(), Sampled { kind: *kind, at, value, risen });
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

/// Where in `values` a counter last grew; `before` is its value ahead of them. One that starts anew (a reboot) has grown
/// if it is above zero.
fn grown(before: Option<f64>, values: &[Option<f64>]) -> Option<usize> {
    let mut last = before;
    let mut place = None;
    for (position, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        if last.is_some_and(|last| value > last || (value < last && value > 0.0)) {
            place = Some(position);
        }
        last = Some(value);
    }
    place
}
