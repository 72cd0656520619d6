//! Drops what is older than it is kept, by the time of receipt: some rows at a time, oldest first.

use std::collections::BTreeMap;

use anyhow::Result;
use plumb_proto::model::MetricType;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::samples::{ROLLUP, UNREADABLE, parse_kind};
use super::sql::word;
use crate::history::rollup::{self, Rolled};
use crate::store::Keep;
use crate::stores::dense::{Chunk, Packing};

/// Rows that are dropped of each kind in one step.
const ROWS: i64 = 1_000;
/// Days of samples that become rollups in one step: about 10 ms each.
const ROLLED: usize = 4;
/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// One step; answers whether there is more.
///
/// # Errors
/// The database's.
pub fn step(conn: &Connection, now: Timestamp, keep: &Keep) -> Result<bool> {
    let mut more = false;
    for _ in 0..ROLLED {
        more = roll(conn, now - keep.samples)?;
        if !more {
            break;
        }
    }
    let full = |dropped: usize| i64::try_from(dropped).is_ok_and(|dropped| dropped >= ROWS);
    let before = |span: std::time::Duration| params_of(now - span);
    let mut drop_chunks = conn.prepare_cached(
        "DELETE FROM chunks WHERE (host, watcher, span, receipt, position, start_ms) IN
         (SELECT host, watcher, span, receipt, position, start_ms FROM chunks INDEXED BY chunks_to_drop
          WHERE span >= 2 AND span = ?1 AND received_ms < ?2 LIMIT ?3)",
    )?;
    for span in [ROLLUP, UNREADABLE] {
        more |= full(drop_chunks.execute(params![span, before(keep.rollups), ROWS])?);
    }
    more |= full(
        conn.prepare_cached(
            "DELETE FROM events WHERE no IN (SELECT no FROM events ORDER BY no LIMIT ?1) AND received_ms < ?2",
        )?
        .execute(params![ROWS, before(keep.events)])?,
    );
    more |= full(facts(conn, now, now - keep.facts)?);
    more |= full(drifts(conn, now - keep.drifts)?);
    Ok(more)
}

fn params_of(at: Timestamp) -> i64 {
    at.millis()
}

/// Facts as they were have no time of receipt, but they are numbered as they come: how far the numbers had come is marked
/// once a day.
fn facts(conn: &Connection, now: Timestamp, before: Timestamp) -> Result<usize> {
    let (today, day) = (now.millis().div_euclid(DAY_MS), before.millis().div_euclid(DAY_MS));
    conn.prepare_cached(
        "INSERT INTO marks (day, fact_history) VALUES (?1, (SELECT coalesce(max(no), 0) FROM fact_history))
         ON CONFLICT (day) DO UPDATE SET fact_history = excluded.fact_history",
    )?
    .execute([today])?;
    let mut statement = conn.prepare_cached("SELECT max(fact_history) FROM marks WHERE day < ?1")?;
    let through: Option<i64> = statement.query_row([day], |row| row.get(0))?;
    let Some(through) = through else { return Ok(0) };
    let dropped = conn
        .prepare_cached(
            "DELETE FROM fact_history WHERE no IN (SELECT no FROM fact_history WHERE no <= ?1
             AND no < (SELECT max(no) FROM fact_history) ORDER BY no LIMIT ?2)",
        )?
        .execute([through, ROWS])?;
    if dropped == 0 {
        conn.prepare_cached("DELETE FROM marks WHERE day < ?1 AND day < (SELECT max(day) FROM marks WHERE day < ?1)")?
            .execute([day])?;
    }
    Ok(dropped)
}

/// Drifts that are over. The newest one stays, because numbers are counted on from it, and so does the one that has the
/// newest alert: receivers know by its number how far they have come, and one that is given anew would be passed over.
pub const OVER: &str = "SELECT id FROM drifts INDEXED BY drifts_over WHERE live = 0 AND closed_ms < ?1
    AND id < (SELECT max(id) FROM drifts) AND id IS NOT (SELECT drift FROM alerts ORDER BY no DESC LIMIT 1)
    AND NOT EXISTS (SELECT 1 FROM message_alerts a JOIN messages m ON m.no = a.message
                    WHERE a.drift = drifts.id AND m.state = 'waiting') LIMIT ?2";
/// What a drift leaves behind.
pub const OF_A_DRIFT: [&str; 3] = [
    "DELETE FROM message_alerts WHERE drift = ?1",
    "DELETE FROM alerts WHERE drift = ?1",
    "DELETE FROM drifts WHERE id = ?1",
];
/// Messages that nothing refers to any more.
pub const MESSAGES: &str = "DELETE FROM messages WHERE no IN (SELECT no FROM messages INDEXED BY messages_over
    WHERE state <> 'waiting' AND created_ms < ?1
    AND NOT EXISTS (SELECT 1 FROM message_alerts WHERE message = messages.no) LIMIT ?2)";

/// Drifts that are over, with their alerts, and messages.
fn drifts(conn: &Connection, before: Timestamp) -> Result<usize> {
    let mut statement = conn.prepare_cached(OVER)?;
    let ids = statement.query_map([before.millis(), ROWS], |row| row.get(0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
    for id in &ids {
        for sql in OF_A_DRIFT {
            conn.prepare_cached(sql)?.execute([id])?;
        }
    }
    conn.prepare_cached(MESSAGES)?.execute([before.millis(), ROWS])?;
    Ok(ids.len())
}

/// Makes rollups of one day's chunk that is older than samples are kept; answers whether there was one.
fn roll(conn: &Connection, before: Timestamp) -> Result<bool> {
    let mut oldest = conn.prepare_cached(
        "SELECT host, watcher, receipt, position, start_ms, block FROM chunks INDEXED BY chunks_to_drop
         WHERE span >= 2 AND span = 2 AND received_ms < ?1 ORDER BY received_ms LIMIT 1",
    )?;
    let found = oldest.query_row([before.millis()], |row| {
        let key: (i64, String, i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((key, row.get::<_, Vec<u8>>(5)?))
    });
    let Some(((host, watcher, receipt, position, start), block)) = found.optional()? else { return Ok(false) };
    let key = params![host, watcher, receipt, position, start];
    match rolled(conn, host, &block) {
        Ok(rolled) => conn
            .prepare_cached(
                "UPDATE OR REPLACE chunks SET span = 3, block = ?6 WHERE host = ?1 AND watcher = ?2 AND span = 2
                 AND receipt = ?3 AND position = ?4 AND start_ms = ?5",
            )?
            .execute(params![host, watcher, receipt, position, start, rolled])?,
        Err(error) => {
            tracing::error!("a day of watcher {watcher} cannot be read and stays as it is: {error:#}");
            conn.prepare_cached(
                "UPDATE OR REPLACE chunks SET span = 9 WHERE host = ?1 AND watcher = ?2 AND span = 2 AND receipt = ?3
                 AND position = ?4 AND start_ms = ?5",
            )?
            .execute(key)?
        }
    };
    Ok(true)
}

fn rolled(conn: &Connection, host: i64, block: &[u8]) -> Result<Vec<u8>> {
    let mut kinds = conn.prepare_cached("SELECT kind FROM series WHERE host = ?1 AND id = ?2")?;
    let chunk = Chunk::open(block)?;
    let times = chunk.times()?;
    let mut columns = BTreeMap::new();
    for id in chunk.ids() {
        let kind = kinds.query_row(params![host, id], |row| row.get::<_, String>(0)).optional()?;
        let kind = kind.map_or(Ok(MetricType::Gauge), |kind| word(&kind, parse_kind))?;
        let values = chunk.column(id)?.unwrap_or_default();
        columns.insert(id, rollup::of(&times, &values, kind));
    }
    let mut packing = Packing::new(&rollup::times(&times));
    for (id, Rolled { columns }) in columns {
        for (number, values) in (0u32..).zip(columns) {
            packing.push(id * rollup::COLUMNS + number, &values);
        }
    }
    Ok(packing.finish())
}
