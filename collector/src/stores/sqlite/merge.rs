//! Chunks of records become chunks of hours, those become chunks of days: what is alike lies together, and shrinks. One
//! step is one watcher's hour, or a day of 64 of its series; nothing but the chunks themselves says what is still to be
//! done, so whatever was interrupted goes on by itself. What comes late is merged into what is there.

use std::collections::BTreeMap;

use anyhow::Result;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::samples::{DAY, HOUR, PARTS, RECORD, UNREADABLE};
use super::{codec, packer};
use crate::stores::dense::{Chunk, Packing, TIMES};

/// An hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// A day, in milliseconds.
const DAY_MS: i64 = 24 * HOUR_MS;
/// So long after the end of an hour, and after its receipt, a record's samples are merged: most of what is late has come.
const HOUR_WAIT_MS: i64 = 15 * 60_000;
/// So long after its end a day is merged: its last hour has been.
const DAY_WAIT_MS: i64 = 30 * 60_000;
/// Samples in memory at once; what is more waits for the next step.
const SAMPLES: usize = 1 << 21;

/// A chunk that is to be merged.
struct Source {
    receipt: i64,
    position: i64,
    start: i64,
    received: i64,
    block: Vec<u8>,
}

/// Columns side by side.
#[derive(Default)]
struct Gathered {
    times: Vec<i64>,
    columns: BTreeMap<u32, Vec<Option<f64>>>,
    received: i64,
}

impl Gathered {
    fn samples(&self) -> usize {
        self.times.len() * self.columns.len().max(1)
    }

    fn add(&mut self, times: &[i64], columns: impl IntoIterator<Item = (u32, Vec<Option<f64>>)>, received: i64) {
        let at = self.times.len();
        self.times.extend_from_slice(times);
        for (id, values) in columns {
            let column = self.columns.entry(id).or_default();
            column.resize(at, None);
            column.extend(values);
        }
        self.received = self.received.max(received);
    }

    /// Fills up columns that ended early, and sorts by time; what has the same time stays in order of receipt.
    fn settle(&mut self) {
        let count = self.times.len();
        self.columns.values_mut().for_each(|column| column.resize(count, None));
        if !self.times.is_sorted() {
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_key(|at| self.times[*at]);
            self.times = order.iter().map(|at| self.times[*at]).collect();
            for column in self.columns.values_mut() {
                *column = order.iter().map(|at| column[*at]).collect();
            }
        }
    }
}

/// Which chunk is written.
struct Target<'a> {
    host: i64,
    watcher: &'a str,
    span: i64,
    part: i64,
    /// Of the span: its begin and its end.
    period: (i64, i64),
}

fn floor(millis: i64, unit: i64) -> i64 {
    millis.div_euclid(unit).saturating_mul(unit)
}

/// Merges one watcher's hour; answers how many samples it moved, 0 if there is nothing to do.
///
/// # Errors
/// The database's.
pub fn hour(conn: &Connection, now: Timestamp) -> Result<usize> {
    let received = now.millis().saturating_sub(HOUR_WAIT_MS);
    let mut oldest = conn.prepare_cached(
        "SELECT host, watcher, start_ms FROM chunks INDEXED BY chunks_to_merge
         WHERE span < 2 AND span = 0 AND start_ms < ?1 AND received_ms <= ?2 ORDER BY start_ms LIMIT 1",
    )?;
    let found = oldest.query_row(params![floor(received, HOUR_MS), received], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    });
    let Some((host, watcher, start)) = found.optional()? else { return Ok(0) };
    let begin = floor(start, HOUR_MS);
    let period = (begin, begin.saturating_add(HOUR_MS));
    let mut all = Gathered::default();
    let mut statement = conn.prepare_cached(
        "SELECT receipt, position, start_ms, received_ms, block FROM chunks
         WHERE host = ?1 AND watcher = ?2 AND span = 0 AND start_ms >= ?3 AND start_ms < ?4 AND received_ms <= ?5
         ORDER BY receipt, position",
    )?;
    let mut rows = statement.query(params![host, watcher, period.0, period.1, received])?;
    let mut taken = Vec::new();
    while let Some(row) = rows.next()?
        && all.samples() < SAMPLES
    {
        let source = source(row)?;
        match packer::unpack(&source.block).and_then(|raw| codec::block_from(&raw)) {
            Ok((times, columns)) => {
                let times: Vec<i64> = times.into_iter().map(Timestamp::millis).collect();
                all.add(&times, columns, source.received);
                taken.push((source, true));
            }
            Err(error) => {
                tracing::error!("samples of watcher {watcher} cannot be merged and stay as they are: {error:#}");
                taken.push((source, false));
            }
        }
    }
    let moved = all.samples();
    remove(conn, (host, &watcher, RECORD), &taken)?;
    let (times, received) = (all.times, all.received);
    let mut parts: BTreeMap<i64, Vec<Column>> = BTreeMap::new();
    for (id, mut values) in all.columns {
        values.resize(times.len(), None);
        parts.entry(i64::from(id / PARTS)).or_default().push((id, values));
    }
    for (part, columns) in parts {
        let target = Target { host, watcher: &watcher, span: HOUR, part, period };
        let (mut gathered, piece) = existing(conn, &target)?;
        gathered.add(&times, columns, received);
        write(conn, &target, gathered, piece)?;
    }
    Ok(moved.max(1))
}

/// As [`hour`], one day of 64 series.
///
/// # Errors
/// The database's.
pub fn day(conn: &Connection, now: Timestamp) -> Result<usize> {
    let mut oldest = conn.prepare_cached(
        "SELECT host, watcher, position, start_ms FROM chunks INDEXED BY chunks_to_merge
         WHERE span < 2 AND span = 1 AND start_ms < ?1 ORDER BY start_ms LIMIT 1",
    )?;
    let found = oldest.query_row([floor(now.millis().saturating_sub(DAY_WAIT_MS), DAY_MS)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
    });
    let Some((host, watcher, part, start)) = found.optional()? else { return Ok(0) };
    let begin = floor(start, DAY_MS);
    let target = Target { host, watcher: &watcher, span: DAY, part, period: (begin, begin.saturating_add(DAY_MS)) };
    let (mut all, piece) = existing(conn, &target)?;
    let mut statement = conn.prepare_cached(
        "SELECT receipt, position, start_ms, received_ms, block FROM chunks
         WHERE host = ?1 AND watcher = ?2 AND span = 1 AND position = ?3 AND start_ms >= ?4 AND start_ms < ?5
         ORDER BY start_ms, receipt",
    )?;
    let mut rows = statement.query(params![host, watcher, part, target.period.0, target.period.1])?;
    let mut taken = Vec::new();
    while let Some(row) = rows.next()?
        && (all.samples() < SAMPLES || taken.is_empty())
    {
        let source = source(row)?;
        match open(&source.block) {
            Ok((times, columns)) => {
                all.add(&times, columns, source.received);
                taken.push((source, true));
            }
            Err(error) => {
                tracing::error!("an hour of watcher {watcher} cannot be merged and stays as it is: {error:#}");
                taken.push((source, false));
            }
        }
    }
    let moved = all.samples();
    remove(conn, (host, &watcher, HOUR), &taken)?;
    write(conn, &target, all, piece)?;
    Ok(moved.max(1))
}

fn source(row: &rusqlite::Row<'_>) -> Result<Source> {
    Ok(Source {
        receipt: row.get(0)?,
        position: row.get(1)?,
        start: row.get(2)?,
        received: row.get(3)?,
        block: row.get(4)?,
    })
}

/// Times and all columns of a merged chunk.
type Opened = (Vec<i64>, Vec<Column>);

/// Number of a series, and its values.
type Column = (u32, Vec<Option<f64>>);

fn open(block: &[u8]) -> Result<Opened> {
    let chunk = Chunk::open(block)?;
    let ids: Vec<u32> = chunk.ids().collect();
    let columns = ids.into_iter().map(|id| Ok((id, chunk.column(id)?.unwrap_or_default())));
    let columns = columns.collect::<Result<_>>()?;
    Ok((chunk.times()?, columns))
}

/// What the target has already, taken out of it, and the number of the piece that is to be written. A piece that is full,
/// or cannot be read, stays, and another one begins.
fn existing(conn: &Connection, target: &Target<'_>) -> Result<(Gathered, i64)> {
    let mut statement = conn.prepare_cached(
        "SELECT receipt, position, start_ms, received_ms, block FROM chunks
         WHERE host = ?1 AND watcher = ?2 AND span = ?3 AND position = ?4 AND start_ms >= ?5 AND start_ms < ?6
         ORDER BY receipt DESC LIMIT 1",
    )?;
    let Target { host, watcher, span, part, period } = *target;
    let mut rows = statement.query(params![host, watcher, span, part, period.0, period.1])?;
    let Some(row) = rows.next()? else { return Ok((Gathered::default(), 0)) };
    let old = source(row)?;
    let small = Chunk::open(&old.block).is_ok_and(|chunk| chunk.count() * chunk.ids().count().max(1) < SAMPLES / 2);
    match open(&old.block) {
        Ok((times, columns)) if small => {
            let mut gathered = Gathered::default();
            gathered.add(&times, columns, old.received);
            let piece = old.receipt;
            remove(conn, (host, watcher, span), &[(old, true)])?;
            Ok((gathered, piece))
        }
        _ => Ok((Gathered::default(), old.receipt + 1)),
    }
}

fn remove(conn: &Connection, (host, watcher, span): (i64, &str, i64), taken: &[(Source, bool)]) -> Result<()> {
    let mut gone = conn.prepare_cached(
        "DELETE FROM chunks WHERE host = ?1 AND watcher = ?2 AND span = ?3 AND receipt = ?4 AND position = ?5 AND start_ms = ?6",
    )?;
    let mut aside = conn.prepare_cached(
        "UPDATE OR REPLACE chunks SET span = ?7 WHERE host = ?1 AND watcher = ?2 AND span = ?3 AND receipt = ?4
         AND position = ?5 AND start_ms = ?6",
    )?;
    for (each, merged) in taken {
        let Source { receipt, position, start, .. } = each;
        match merged {
            true => gone.execute(params![host, watcher, span, receipt, position, start])?,
            false => aside.execute(params![host, watcher, span, receipt, position, start, UNREADABLE])?,
        };
    }
    Ok(())
}

fn write(conn: &Connection, target: &Target<'_>, mut gathered: Gathered, first: i64) -> Result<()> {
    gathered.settle();
    let mut statement = conn.prepare_cached(
        "INSERT INTO chunks (host, watcher, span, receipt, position, start_ms, end_ms, received_ms, block)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let Target { host, watcher, span, part, .. } = *target;
    for (piece, at) in (first..).zip((0..gathered.times.len()).step_by(TIMES)) {
        let end = (at + TIMES).min(gathered.times.len());
        let times = &gathered.times[at..end];
        let mut packing = Packing::new(times);
        for (id, values) in &gathered.columns {
            packing.push(*id, &values[at..end]);
        }
        let (start, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
        let block = packing.finish();
        statement.execute(params![host, watcher, span, piece, part, start, last, gathered.received, block])?;
    }
    Ok(())
}
