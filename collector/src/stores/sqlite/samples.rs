//! Samples: chunks of columns, and the numbers that their series have on a host.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use plumb_proto::limits;
use plumb_proto::model::{Block, MetricType, Series};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::codec;
use super::packer::{self, Packer};
use super::sql::{time, word};
use crate::stores::dense::Chunk;
use crate::view::{HostView, Sampled, Touched};

/// A chunk of one record.
pub const RECORD: i64 = 0;
/// A chunk of an hour, merged of those of records.
pub const HOUR: i64 = 1;
/// A chunk of a day, merged of those of hours.
pub const DAY: i64 = 2;
/// Rollups of a day whose samples are no longer kept.
pub const ROLLUP: i64 = 3;
/// A chunk that cannot be read; it stays as it was.
pub const UNREADABLE: i64 = 9;
/// Series in one merged chunk, at most: those whose number divided by this is its position.
pub const PARTS: u32 = 64;
/// Samples of a series that are replayed from a merged chunk, if there is none of a record.
const REPLAYED_TICKS: usize = 120;
/// A counter that keeps growing has the moment written down once it has moved on by so much: after a restart it is at
/// most this old. One that grows seldom is exact.
const RISEN_EVERY_MS: i64 = 15 * 60 * 1000;

/// Chunks of a watcher that are replayed into a view that is loaded: at a record a minute, four times as long as rates are
/// averaged over.
const REPLAYED: i64 = 20;

/// A series as it is numbered on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its number.
    id: u32,
    /// When it had last grown, as written down.
    risen: Option<Timestamp>,
}

/// All series of a host.
pub type SeriesIds = HashMap<Series, Numbered>;

/// The word of a metric's type.
fn kind_to(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
    }
}

pub fn parse_kind(word: &str) -> Option<MetricType> {
    [MetricType::Counter, MetricType::Gauge].into_iter().find(|each| kind_to(*each) == word)
}

/// Writes one block as a chunk, numbering series that are new. `view` has taken it up already.
pub fn write(
    conn: &Connection,
    (host, receipt, position, received): (i64, i64, usize, Timestamp),
    (view, ids): (&HostView, &mut SeriesIds),
    (block, times): (&Block, &[Timestamp]),
    packer: &mut Packer,
) -> Result<()> {
    let (Some(start), Some(end)) = (times.iter().min(), times.iter().max()) else { return Ok(()) };
    let mut columns = Vec::with_capacity(block.columns.len());
    for (series, kind, values) in &block.columns {
        let numbered = match ids.get(series) {
            Some(numbered) => *numbered,
            None => number(conn, host, ids, series, *kind)?,
        };
        columns.push((numbered.id, values.as_slice()));
        let risen = view.series.get(&series.name).and_then(|of_name| of_name.get(series)).and_then(|each| each.risen);
        if let Some(risen) = risen.filter(|risen| has_moved(numbered.risen, *risen)) {
            conn.prepare_cached("UPDATE series SET risen_ms = ?3 WHERE host = ?1 AND id = ?2")?.execute(params![
                host,
                numbered.id,
                risen.millis()
            ])?;
            ids.insert(series.clone(), Numbered { risen: Some(risen), ..numbered });
        }
    }
    let packed = packer.pack(&codec::block_to(times, &columns))?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO chunks (host, watcher, span, start_ms, receipt, position, end_ms, block, received_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let (start, end) = (start.millis(), end.millis());
    let position = i64::try_from(position)?;
    let received = received.millis();
    statement.execute(params![host, block.watcher, RECORD, start, receipt, position, end, packed, received])?;
    Ok(())
}

fn has_moved(written: Option<Timestamp>, risen: Timestamp) -> bool {
    written.is_none_or(|written| risen.millis().saturating_sub(written.millis()).saturating_abs() >= RISEN_EVERY_MS)
}

fn number(conn: &Connection, host: i64, ids: &mut SeriesIds, series: &Series, kind: MetricType) -> Result<Numbered> {
    let numbered = Numbered { id: u32::try_from(ids.len())?, risen: None };
    conn.prepare_cached("INSERT INTO series (host, id, name, kind, labels) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![host, numbered.id, series.name, kind_to(kind), codec::labels_to(series)])?;
    ids.insert(series.clone(), numbered);
    Ok(numbered)
}

/// Loads the series of a host, and replays into `view` the newest chunks of each of its watchers.
pub fn load(conn: &Connection, host: i64, view: &mut HostView) -> Result<SeriesIds> {
    let mut ids = SeriesIds::new();
    let mut by_id = HashMap::new();
    for (series, kind, numbered) in known(conn, host)? {
        by_id.insert(numbered.id, (series.clone(), kind));
        ids.insert(series, numbered);
    }
    for watcher in watchers(conn, host)? {
        for block in newest(conn, host, &watcher, &by_id)? {
            view.take_block(&block, &block.times, &mut Touched::default());
        }
    }
    for (series, sampled) in view.series.values_mut().flatten() {
        let written = ids.get(series).and_then(|numbered| numbered.risen);
        sampled.risen = sampled.risen.max(written);
    }
    Ok(ids)
}

fn known(conn: &Connection, host: i64) -> Result<Vec<(Series, MetricType, Numbered)>> {
    let mut statement = conn.prepare_cached("SELECT id, name, kind, labels, risen_ms FROM series WHERE host = ?1")?;
    let rows = statement.query_and_then([host], |row| {
        let kind = word(row.get_ref(2)?.as_str()?, parse_kind)?;
        let series = codec::series_from(row.get(1)?, row.get_ref(3)?.as_blob()?)?;
        Ok((series, kind, Numbered { id: row.get(0)?, risen: time(row.get(4)?) }))
    })?;
    rows.collect()
}

/// The watchers that a host has samples of, from one to the next: a host has many chunks of each.
pub const WATCHERS: &str = "WITH RECURSIVE found (name) AS (SELECT min(watcher) FROM chunks WHERE host = ?1 UNION ALL
    SELECT (SELECT min(watcher) FROM chunks WHERE host = ?1 AND watcher > found.name) FROM found WHERE name IS NOT NULL)
    SELECT name FROM found WHERE name IS NOT NULL";

/// See [`WATCHERS`].
pub fn watchers(conn: &Connection, host: i64) -> Result<Vec<String>> {
    let mut statement = conn.prepare_cached(WATCHERS)?;
    let watchers = statement.query_map([host], |row| row.get(0))?;
    Ok(watchers.collect::<rusqlite::Result<_>>()?)
}

/// As [`load`], without how series moved: of each only its newest value is unpacked.
pub fn load_newest(conn: &Connection, host: i64, view: &mut HostView) -> Result<()> {
    let known = known(conn, host)?;
    if known.len() > limits::SERIES * 2 {
        return load(conn, host, view).map(drop); // some of these are forgotten, by their age
    }
    let mut newest: HashMap<u32, Sampled> = HashMap::with_capacity(known.len());
    let kinds: HashMap<u32, MetricType> = known.iter().map(|(_, kind, numbered)| (numbered.id, *kind)).collect();
    let mut statement = conn.prepare_cached(NEWEST)?;
    for watcher in watchers(conn, host)? {
        let mut seen = HashSet::new();
        let mut rows = statement.query(params![host, watcher, RECORD, REPLAYED])?;
        while let Some(row) = rows.next()? {
            let packed = packer::unpack(row.get_ref(0)?.as_blob()?)?;
            let (times, columns) = codec::block_part_from(&packed, |id| !seen.contains(&id))?;
            let Some(at) = times.last().copied() else { continue };
            for (id, values) in columns {
                let kind = *kinds.get(&id).with_context(|| format!("series {id} has no name"))?;
                let value = values.last().copied().flatten();
                newest.insert(id, Sampled { kind, at, value, risen: None, rate: None });
                seen.insert(id);
            }
        }
    }
    for (series, _, numbered) in known {
        if let Some(sampled) = newest.remove(&numbered.id) {
            view.series.entry(series.name.clone()).or_default().insert(series, sampled);
        }
    }
    Ok(())
}

/// The newest chunks of a watcher.
const NEWEST: &str = "SELECT block FROM chunks WHERE host = ?1 AND watcher = ?2 AND span = ?3
    ORDER BY receipt DESC, position DESC LIMIT ?4";

/// The newest chunks of a watcher, oldest first.
fn newest(
    conn: &Connection,
    host: i64,
    watcher: &str,
    by_id: &HashMap<u32, (Series, MetricType)>,
) -> Result<Vec<Block>> {
    let mut statement = conn.prepare_cached(NEWEST)?;
    let mut blocks = Vec::new();
    let mut rows = statement.query(params![host, watcher, RECORD, REPLAYED])?;
    while let Some(row) = rows.next()? {
        let (times, columns) = codec::block_from(&packer::unpack(row.get_ref(0)?.as_blob()?)?)?;
        let columns = columns.into_iter().map(|(id, values)| {
            let (series, kind) = by_id.get(&id).with_context(|| format!("series {id} has no name"))?;
            Ok((series.clone(), *kind, values))
        });
        blocks.push(Block { watcher: watcher.to_owned(), times, columns: columns.collect::<Result<_>>()? });
    }
    if blocks.is_empty() {
        return newest_merged(conn, host, watcher, by_id);
    }
    blocks.reverse();
    Ok(blocks)
}

/// The end of the newest merged chunks of a watcher that has said nothing for longer.
fn newest_merged(
    conn: &Connection,
    host: i64,
    watcher: &str,
    by_id: &HashMap<u32, (Series, MetricType)>,
) -> Result<Vec<Block>> {
    let mut statement = conn.prepare_cached(
        "SELECT block FROM chunks c WHERE host = ?1 AND watcher = ?2 AND span IN (1, 2) AND end_ms =
         (SELECT max(end_ms) FROM chunks WHERE host = ?1 AND watcher = ?2 AND span = c.span AND position = c.position)
         ORDER BY span DESC",
    )?;
    let mut rows = statement.query(params![host, watcher])?;
    let mut blocks = Vec::new();
    while let Some(row) = rows.next()? {
        let chunk = Chunk::open(row.get_ref(0)?.as_blob()?)?;
        let times = chunk.times()?;
        let from = times.len().saturating_sub(REPLAYED_TICKS);
        let times = times[from..].iter().copied().map(Timestamp::from_millis).collect();
        let mut columns = Vec::new();
        for id in chunk.ids() {
            let (series, kind) = by_id.get(&id).with_context(|| format!("series {id} has no name"))?;
            let values = chunk.column(id)?.unwrap_or_default();
            columns.push((series.clone(), *kind, values.get(from..).unwrap_or_default().to_vec()));
        }
        blocks.push(Block { watcher: watcher.to_owned(), times, columns });
    }
    Ok(blocks)
}
