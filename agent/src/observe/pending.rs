//! The record that is being filled. It is closed when it is big, soon after a change or an event, or when it is old.

use std::time::Duration;

use plumb_proto::limits;
use plumb_proto::model::{Block, MetricType, Payload, Report, Series, TableDecl};
use plumb_proto::time::Timestamp;

use super::split::{Weight, split};
use crate::kept::{Kept, Row};
use crate::state::{Batch, Part};

/// Repeated elements that close a record.
const ELEMENTS: usize = 6_000;
/// Bytes that a sample takes at worst.
const SAMPLE: usize = 8;
/// Bytes of kept rows that close a record: they are written in its transaction, and wait in memory until then.
const KEPT: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Pending {
    /// Full records: they are written together with the open one.
    full: Vec<Part>,
    open: Option<Part>,
    weight: Weight,
    /// Series stay when a record is closed, without values: the next one has nearly always the same.
    blocks: Vec<Block>,
    cursors: Vec<(&'static str, String, Vec<u8>)>,
    kept: Vec<(&'static str, Kept)>,
    look: u64,
    since: Option<Duration>,
    urgent: Option<Duration>,
}

impl Pending {
    /// Declares tables ahead of everything else.
    pub fn declare(&mut self, mut tables: Vec<TableDecl>) {
        let waits =
            |table: &TableDecl| self.full.iter().chain(&self.open).any(|part| part.payload.tables.contains(table));
        tables.retain(|table| !waits(table));
        let bytes: usize = tables.iter().map(table_size).sum();
        self.weight += Weight { bytes, elements: tables.iter().map(|table| table.columns.len() + 1).sum() };
        let first = match self.full.first_mut() {
            Some(first) => first,
            None => self.open.get_or_insert_with(empty),
        };
        first.payload.tables.extend(tables);
    }

    /// Adds a report. One that `repeats` what its watcher told last replaces that one within the record.
    pub fn report(&mut self, report: Report, repeats: bool, now: Duration) {
        self.look = self.look.max(report.look);
        self.since.get_or_insert(now);
        if !repeats {
            self.urgent.get_or_insert(now);
        }
        for piece in split(report) {
            let weight = Weight::of(&piece);
            let over = self.weight.bytes + weight.bytes > limits::RECORD_CLOSE;
            if self.weight != Weight::default() && (over || self.weight.elements + weight.elements > ELEMENTS) {
                self.full.extend(self.open.take());
                self.weight = Weight::default();
            }
            let part = self.open.get_or_insert_with(empty);
            let last = part.payload.reports.iter_mut().rev().find(|each| each.watcher == piece.watcher);
            match last.filter(|last| repeats && is_quiet(last) && last.problems == piece.problems) {
                Some(last) if last.outcome == piece.outcome => *last = piece,
                _ => {
                    part.repeats &= repeats;
                    part.payload.reports.push(piece);
                    self.weight += weight;
                }
            }
        }
    }

    /// Adds one tick of a watcher's samples. `has_room` says whether a series that is new here may be added.
    pub fn samples(
        &mut self,
        watcher: &'static str,
        at: Timestamp,
        samples: Vec<(Series, MetricType, f64)>,
        now: Duration,
        has_room: &mut dyn FnMut(&Series) -> bool,
    ) {
        if samples.is_empty() {
            return;
        }
        self.since.get_or_insert(now);
        // Wall time may have been set back: times within a block only grow.
        let fits = |block: &Block| block.watcher == watcher && block.times.last().is_none_or(|last| *last < at);
        let place = self.blocks.iter().rposition(fits).unwrap_or_else(|| {
            self.blocks.push(Block { watcher: watcher.to_owned(), ..Block::default() });
            self.blocks.len() - 1
        });
        let Some(block) = self.blocks.get_mut(place) else { return };
        let before = block.times.len();
        block.times.push(at);
        self.weight.bytes += 2 + samples.len() * SAMPLE;
        for (expected, (series, kind, value)) in samples.into_iter().enumerate() {
            // A watcher tells its samples in the same order each time, so the place is nearly always right.
            let known = match block.columns.get(expected) {
                Some((known, ..)) if *known == series => Some(expected),
                _ => block.columns.iter().position(|(known, ..)| *known == series),
            };
            let column = known.unwrap_or_else(|| {
                self.weight += Weight { bytes: series_size(&series), elements: 1 };
                block.columns.push((series, kind, vec![None; before]));
                block.columns.len() - 1
            });
            let Some((series, _, values)) = block.columns.get_mut(column) else { continue };
            if known.is_none() && !has_room(series) {
                block.columns.pop();
                continue;
            }
            values.truncate(before);
            values.push(Some(value).filter(|value| value.is_finite()));
        }
        for (_, _, values) in &mut block.columns {
            values.resize(before + 1, None);
        }
    }

    /// What was just added should not wait.
    pub fn hurry(&mut self, now: Duration) {
        self.urgent.get_or_insert(now);
    }

    /// Moves cursors on.
    pub fn cursors(&mut self, watcher: &'static str, cursors: Vec<(String, Vec<u8>)>) {
        for (name, place) in cursors {
            self.cursors.retain(|(of, each, _)| *of != watcher || *each != name);
            self.cursors.push((watcher, name, place));
        }
    }

    /// Where a cursor stands that is not written yet.
    #[must_use]
    pub fn cursor(&self, watcher: &str, name: &str) -> Option<Vec<u8>> {
        self.cursors.iter().find(|(of, each, _)| *of == watcher && each == name).map(|(_, _, place)| place.clone())
    }

    /// Keeps rows of a watcher; they are written with what else is in it, or by themselves.
    pub fn kept(&mut self, watcher: &'static str, kept: Kept, now: Duration) {
        if kept.is_empty() {
            return;
        }
        self.since.get_or_insert(now);
        match self.kept.iter_mut().find(|(of, _)| *of == watcher) {
            Some((_, rows)) => rows.extend(kept),
            None => self.kept.push((watcher, kept)),
        }
    }

    /// What is not written yet of what a watcher keeps under a key: nothing, that it was dropped, or a value.
    #[must_use]
    pub fn kept_under(&self, watcher: &str, key: &[u8]) -> Option<Option<&[u8]>> {
        self.kept.iter().find(|(of, _)| *of == watcher)?.1.get(key)
    }

    /// The next row after a key, here or `below`.
    pub fn kept_after(&self, watcher: &str, key: &[u8], below: &mut dyn FnMut(&[u8]) -> Option<Row>) -> Option<Row> {
        match self.kept.iter().find(|(of, _)| *of == watcher) {
            Some((_, rows)) => rows.after(key, below),
            None => below(key),
        }
    }

    /// Series that are in it, written or not.
    #[must_use]
    pub fn series(&self) -> usize {
        self.blocks.iter().map(|block| block.columns.len()).sum()
    }

    /// How many events are in it.
    #[must_use]
    pub fn events(&self) -> usize {
        let parts = self.full.iter().chain(&self.open);
        parts.flat_map(|part| &part.payload.reports).map(|report| report.events.len()).sum()
    }

    /// Nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// True when it is too big to take more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let ticks = self.blocks.iter().map(|block| block.times.len()).max().unwrap_or(0);
        let Weight { bytes, elements } = self.weight;
        !self.full.is_empty()
            || self.kept.iter().map(|(_, rows)| rows.bytes()).sum::<usize>() >= KEPT
            || bytes >= limits::RECORD_CLOSE
            || elements >= ELEMENTS
            || ticks >= limits::BLOCK_TIMES / 2
    }

    /// When something came into it that should not wait: a change, an event, a sample near a limit.
    #[must_use]
    pub fn urgent(&self) -> Option<Duration> {
        self.urgent
    }

    /// When the first thing came into it.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        self.since
    }

    /// All of it, ready to be written. It stays until [`Pending::written`].
    pub fn batch(&mut self) -> Batch<'_> {
        let part = self.open.take().unwrap_or_else(empty);
        self.full.push(part);
        let alone = self.full.len() == 1 && self.kept.is_empty();
        if let Some(last) = self.full.last_mut() {
            last.payload.blocks.extend(self.blocks.extract_if(.., |block| !block.times.is_empty()));
            if last.payload == Payload::default() && !alone {
                self.full.pop(); // only rows are kept, or it is left over from a try that failed
            }
        }
        Batch { parts: &self.full, cursors: &self.cursors, kept: &self.kept, look: self.look }
    }

    /// It was written: begins the next one.
    pub fn written(&mut self) {
        let blocks = self.full.drain(..).flat_map(|part| part.payload.blocks);
        for mut block in blocks {
            block.times.clear();
            block.columns.retain_mut(|(_, _, values)| {
                let used = values.iter().any(Option::is_some);
                values.clear();
                used
            });
            if !self.blocks.iter().any(|other| other.watcher == block.watcher) {
                self.blocks.push(block);
            }
        }
        self.cursors.clear();
        self.kept.clear();
        (self.weight, self.since, self.urgent) = (Weight::default(), None, None);
    }
}

fn empty() -> Part {
    Part { payload: Payload::default(), repeats: true }
}

/// Neither rows nor events: only that somebody looked, and what could not be seen.
fn is_quiet(report: &Report) -> bool {
    report.slices.is_empty() && report.events.is_empty()
}

fn table_size(table: &TableDecl) -> usize {
    let columns: usize = table.columns.iter().map(|column| column.name.len() + column.doc.len() + 12).sum();
    table.name.len() + table.doc.len() + columns + 12
}

fn series_size(series: &Series) -> usize {
    let labels: usize = series.labels.iter().map(|(label, value)| label.len() + value.len() + 8).sum();
    series.name.len() + labels + 16
}
