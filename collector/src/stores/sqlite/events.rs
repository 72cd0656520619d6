//! Events, in order of receipt.

use anyhow::Result;
use plumb_proto::limits;
use plumb_proto::model::Event;
use plumb_proto::record::{Epoch, HostId};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::sql::{int, millis, severity_from, severity_to, uint};
use super::{codec, hosts};
use crate::store::EventFilter;
use crate::store::rows::EventRow;

/// The watcher that the collector's own events name.
const COLLECTOR: &str = "collector";

/// Critical events that are looked at.
const CRITICAL: i64 = 64;

/// Where an event was told: number of the epoch here, of the record, and position in it.
pub type Place = (i64, i64, u32);

/// Keeps one event that `watcher` told; `at` is corrected by the host's skew.
pub fn write(
    conn: &Connection,
    host: i64,
    (epoch, seq, position): Place,
    watcher: &str,
    (at, received): (Timestamp, Timestamp),
    event: &Event,
) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO events (host, epoch, seq, position, watcher, at_ms, received_ms, kind, severity, text, fields, count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    statement.execute(params![
        host,
        epoch,
        seq,
        position,
        watcher,
        at.millis(),
        received.millis(),
        event.kind,
        severity_to(event.severity),
        event.text.as_bytes(),
        codec::fields_to(&event.fields),
        int(event.count.min(i64::MAX.cast_unsigned()))?
    ])?;
    Ok(())
}

/// Keeps one event that the collector tells of a host: epoch 0, numbered on.
pub fn write_own(conn: &Connection, host: &HostId, event: &Event) -> Result<()> {
    let host = hosts::number(conn, host)?;
    let mut statement =
        conn.prepare_cached("SELECT coalesce(max(seq), 0) + 1 FROM events WHERE host = ?1 AND epoch = 0")?;
    let seq = statement.query_row([host], |row| row.get(0))?;
    write(conn, host, (0, seq, 0), COLLECTOR, (event.at, event.at), event)
}

macro_rules! select_events {
    ($order:literal) => {
        concat!(
            "SELECT v.no, coalesce(e.epoch, zeroblob(16)), v.seq, v.position, v.watcher, v.at_ms, v.kind, v.severity, ",
            "v.text, v.fields, v.count FROM events v LEFT JOIN epochs e ON e.no = v.epoch ",
            "WHERE v.host = ?1 AND (?2 IS NULL OR v.kind = ?2) AND (?3 IS NULL OR v.at_ms >= ?3) AND v.no > ?4 ",
            "ORDER BY v.no ",
            $order,
            " LIMIT ?5"
        )
    };
}

/// Events of a host, oldest first: the newest ones that fit, or with `after` the next ones, so that following skips none.
pub fn read(conn: &Connection, host: &HostId, filter: &EventFilter) -> Result<Vec<(u64, EventRow)>> {
    let limit = i64::try_from(filter.limit.min(limits::QUERY_ROWS))?;
    let no = hosts::number(conn, host)?;
    let sql = if filter.after.is_some() { select_events!("ASC") } else { select_events!("DESC") };
    let mut statement = conn.prepare_cached(sql)?;
    let after = int(filter.after.unwrap_or(0))?;
    let rows = statement
        .query_and_then(params![no, filter.kind, millis(filter.since), after, limit], |row| event_row(host, row))?;
    let mut events = rows.collect::<Result<Vec<_>>>()?;
    if filter.after.is_none() {
        events.reverse();
    }
    Ok(events)
}

/// Critical events about plumb itself that came since then, oldest first: the newest [`CRITICAL`] of them.
pub fn critical(conn: &Connection, host: &HostId, since: Timestamp) -> Result<Vec<Event>> {
    let mut statement = conn.prepare_cached(
        "SELECT no, zeroblob(16), seq, position, watcher, at_ms, kind, severity, text, fields, count FROM events
         INDEXED BY events_critical WHERE host = ?1 AND severity = 3 AND received_ms >= ?2 AND watcher IN ('collector', 'agent')
         ORDER BY received_ms DESC, no DESC LIMIT ?3",
    )?;
    let no = hosts::number(conn, host)?;
    let rows = statement.query_and_then(params![no, since.millis(), CRITICAL], |row| event_row(host, row))?;
    let mut events = rows.map(|row| row.map(|(_, row)| row.event)).collect::<Result<Vec<_>>>()?;
    events.reverse();
    Ok(events)
}

fn event_row(host: &HostId, row: &Row<'_>) -> Result<(u64, EventRow)> {
    let text: Vec<u8> = row.get(8)?;
    let event = Event {
        at: Timestamp::from_millis(row.get(5)?),
        kind: row.get(6)?,
        severity: severity_from(row.get(7)?)?,
        text: text.into(),
        fields: codec::fields_from(row.get_ref(9)?.as_blob()?)?,
        count: uint(row.get(10)?)?,
    };
    let id = (Epoch(row.get(1)?), uint(row.get(2)?)?, row.get(3)?);
    Ok((uint(row.get(0)?)?, EventRow { host: *host, id, watcher: row.get(4)?, event }))
}
