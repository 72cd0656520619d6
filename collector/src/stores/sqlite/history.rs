//! Reads the course of a metric over chunks of every span.

use std::collections::BTreeMap;

use anyhow::Result;
use plumb_proto::model::{MetricType, Series};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::samples::{PARTS, RECORD, ROLLUP, parse_kind};
use super::sql::word;
use super::{codec, packer};
use crate::history::course::{self, Course};
use crate::history::{Asked, History, LINES, Line};
use crate::stores::dense::Chunk;

/// Answers what is asked of a host, by its number.
///
/// # Errors
/// The database's; a chunk that cannot be read.
pub fn read(conn: &Connection, host: i64, asked: &Asked) -> Result<History> {
    let mut chosen = chosen(conn, host, asked)?;
    let left_out = chosen.len().saturating_sub(LINES);
    let known = if chosen.is_empty() { names(conn, host)? } else { Vec::new() };
    let mut courses: BTreeMap<u32, Course> = BTreeMap::new();
    chosen.truncate(LINES);
    for (id, _, kind) in &chosen {
        courses.insert(*id, Course::new(asked, *kind));
    }
    let parts: Vec<i64> = courses.keys().map(|id| i64::from(id / PARTS)).collect();
    let mut keys = conn.prepare_cached(
        "SELECT watcher, span, receipt, position, start_ms FROM chunks
         WHERE host = ?1 AND span <= 3 AND start_ms <= ?2 AND end_ms >= ?3 ORDER BY start_ms, receipt, position",
    )?;
    type Key = (String, i64, i64, i64, i64);
    let found = keys.query_map(params![host, asked.until.millis(), asked.since.millis()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let found = found.collect::<rusqlite::Result<Vec<Key>>>()?;
    let mut block = conn.prepare_cached(
        "SELECT block FROM chunks WHERE host = ?1 AND watcher = ?2 AND span = ?3 AND receipt = ?4 AND position = ?5
         AND start_ms = ?6",
    )?;
    let wanted = |(_, span, _, position, _): &&Key| *span == RECORD || parts.contains(position);
    for (watcher, span, receipt, position, start) in found.iter().filter(wanted) {
        let bytes: Vec<u8> =
            block.query_row(params![host, watcher, span, receipt, position, start], |row| row.get(0))?;
        take(&mut courses, *span, &bytes)?;
    }
    let by = match asked.step {
        Some(_) => 1,
        None => courses.values().map(Course::coarser).max().unwrap_or(1),
    };
    let line = |(id, series, kind): (u32, Series, MetricType)| {
        let points = courses.get(&id).map(|course| course.points(by)).unwrap_or_default();
        Line { series, kind, points }
    };
    let lines = chosen.into_iter().map(line).collect();
    Ok(History { step: course::step_of(asked, by), lines, left_out, known })
}

fn take(courses: &mut BTreeMap<u32, Course>, span: i64, bytes: &[u8]) -> Result<()> {
    if span == RECORD {
        let (times, columns) = codec::block_from(&packer::unpack(bytes)?)?;
        let times: Vec<i64> = times.into_iter().map(Timestamp::millis).collect();
        for (id, values) in columns {
            if let Some(course) = courses.get_mut(&id) {
                course.samples(&times, &values);
            }
        }
        return Ok(());
    }
    let chunk = Chunk::open(bytes)?;
    let mut times = None;
    for (id, course) in courses {
        let columns = match span {
            ROLLUP => course::rolled(*id, |column| chunk.column(column))?,
            _ => chunk.column(*id)?.into_iter().collect(),
        };
        let Some(first) = columns.first() else { continue };
        let times = match &mut times {
            Some(times) => times,
            none => none.insert(chunk.times()?),
        };
        match span {
            ROLLUP => course.rollups(times, &columns),
            _ => course.samples(times, first),
        }
    }
    Ok(())
}

/// Series of this name with these labels, by labels.
fn chosen(conn: &Connection, host: i64, asked: &Asked) -> Result<Vec<(u32, Series, MetricType)>> {
    let mut statement = conn.prepare_cached("SELECT id, kind, labels FROM series WHERE host = ?1 AND name = ?2")?;
    let mut rows = statement.query(params![host, asked.metric])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let series = codec::series_from(asked.metric.clone(), row.get_ref(2)?.as_blob()?)?;
        let has = |(name, value): (&String, &String)| {
            series.labels.get(name).is_some_and(|own| own.as_bytes() == value.as_bytes())
        };
        if asked.labels.iter().all(has) {
            let kind = word(row.get_ref(1)?.as_str()?, parse_kind)?;
            found.push((row.get(0)?, series, kind));
        }
    }
    found.sort_by(|(_, one, _), (_, other, _)| one.labels.cmp(&other.labels));
    Ok(found)
}

fn names(conn: &Connection, host: i64) -> Result<Vec<String>> {
    let mut statement = conn.prepare_cached("SELECT DISTINCT name FROM series WHERE host = ?1 ORDER BY name")?;
    Ok(statement.query_map([host], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}
