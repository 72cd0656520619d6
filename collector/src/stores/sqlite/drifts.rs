//! Drifts as they stand and as they ended.

use std::time::Duration;

use anyhow::Result;
use plumb_proto::limits;
use plumb_proto::record::{Hash, HostId};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::sql::{int, millis, severity_from, severity_to, time, uint, word};
use super::{codec, hosts};
use crate::drift::{Drift, DriftState, Identity, Kind, KnownDrift};
use crate::store::DriftFilter;

macro_rules! select_drifts {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, h.id, d.identity, d.kind, d.severity, d.subject, d.rule, d.title, d.expected, d.actual, d.cause, ",
            "d.hint, d.hold_ms, d.calm_ms, d.state, d.since_ms, d.opened_ms, d.closed_ms, d.calmed_ms, d.unknown, ",
            "d.transition, d.alerted_ms, d.silenced, d.note, d.began_ms FROM drifts d JOIN hosts h ON h.no = d.host ",
            $rest
        )
    };
}

fn known_drift(row: &Row<'_>) -> Result<KnownDrift> {
    let drift = Drift {
        host: HostId(row.get(1)?),
        identity: Identity(Hash(row.get(2)?)),
        kind: word(row.get_ref(3)?.as_str()?, Kind::parse)?,
        severity: severity_from(row.get(4)?)?,
        subject: codec::subject_from(row.get_ref(5)?.as_blob()?)?,
        rule: row.get(6)?,
        title: row.get(7)?,
        expected: row.get(8)?,
        actual: row.get(9)?,
        cause: row.get(10)?,
        hint: row.get(11)?,
        hold: Duration::from_millis(uint(row.get(12)?)?),
        calm: Duration::from_millis(uint(row.get(13)?)?),
        since: time(row.get(24)?),
    };
    Ok(KnownDrift {
        id: uint(row.get(0)?)?,
        drift,
        state: word(row.get_ref(14)?.as_str()?, DriftState::parse)?,
        since: Timestamp::from_millis(row.get(15)?),
        opened: time(row.get(16)?),
        closed: time(row.get(17)?),
        calm_since: time(row.get(18)?),
        unknown: row.get(19)?,
        transition: row.get(20)?,
        alerted: time(row.get(21)?),
        silenced: row.get(22)?,
        note: row.get(23)?,
    })
}

/// Drifts of a host that are not over, oldest first.
pub fn live(conn: &Connection, host: &HostId) -> Result<Vec<KnownDrift>> {
    let mut statement = conn.prepare_cached(select_drifts!("WHERE d.host = ?1 AND d.live = 1 ORDER BY d.id"))?;
    statement.query_and_then([hosts::number(conn, host)?], known_drift)?.collect()
}

/// The number behind the last one.
pub fn next(conn: &Connection) -> Result<u64> {
    let mut statement = conn.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM drifts")?;
    uint(statement.query_row([], |row| row.get(0))?)
}

/// Inserts or updates.
pub fn save(conn: &Connection, known: &KnownDrift) -> Result<()> {
    let drift = &known.drift;
    let mut statement = conn.prepare_cached(
        "INSERT INTO drifts (id, host, identity, kind, severity, subject, rule, title, expected, actual, cause, hint,
         hold_ms, calm_ms, state, live, since_ms, opened_ms, closed_ms, calmed_ms, unknown, transition, alerted_ms,
         silenced, note, began_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
         ?24, ?25, ?26)
         ON CONFLICT (id) DO UPDATE SET severity = ?5, title = ?8, expected = ?9, actual = ?10, cause = ?11, hint = ?12,
         hold_ms = ?13, calm_ms = ?14, state = ?15, live = ?16, since_ms = ?17, opened_ms = ?18, closed_ms = ?19,
         calmed_ms = ?20, unknown = ?21, transition = ?22, alerted_ms = ?23, silenced = ?24, note = ?25, began_ms = ?26",
    )?;
    statement.execute(params![
        int(known.id)?,
        hosts::number(conn, &drift.host)?,
        drift.identity.0.0,
        drift.kind.as_str(),
        severity_to(drift.severity),
        codec::subject_to(&drift.subject),
        drift.rule,
        drift.title,
        drift.expected,
        drift.actual,
        drift.cause,
        drift.hint,
        duration(drift.hold),
        duration(drift.calm),
        known.state.as_str(),
        known.state.is_live(),
        known.since.millis(),
        millis(known.opened),
        millis(known.closed),
        millis(known.calm_since),
        known.unknown,
        known.transition,
        millis(known.alerted),
        known.silenced,
        known.note,
        millis(drift.since)
    ])?;
    Ok(())
}

/// Deletes a drift that came to nothing before anybody was told.
pub fn forget(conn: &Connection, id: u64) -> Result<()> {
    conn.prepare_cached("DELETE FROM drifts WHERE id = ?1 AND transition = 0")?.execute([int(id)?])?;
    Ok(())
}

fn duration(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Drifts that a filter means, worst first, then oldest. Pending ones are shown only where their number is asked for.
pub fn read(conn: &Connection, filter: &DriftFilter) -> Result<Vec<KnownDrift>> {
    let mut found = if filter.ids.is_empty() { of_hosts(conn, filter)? } else { by_ids(conn, filter)? };
    found.sort_by_key(|each| (std::cmp::Reverse(each.drift.severity), each.since, each.id));
    found.truncate(limits::QUERY_ROWS);
    Ok(found)
}

fn of_hosts(conn: &Connection, filter: &DriftFilter) -> Result<Vec<KnownDrift>> {
    let mut found = Vec::new();
    for (no, _) in hosts::chosen(conn, filter.host.as_ref(), &filter.groups)? {
        let left = i64::try_from(limits::QUERY_ROWS.saturating_sub(found.len()))?;
        let (kind, least) = (filter.kind.map(Kind::as_str), filter.severity.map(severity_to));
        let mut statement = conn.prepare_cached(if filter.all { ALL } else { OPEN })?;
        for drift in statement.query_and_then(params![no, kind, least, left], known_drift)? {
            found.push(drift?);
        }
    }
    Ok(found)
}

const OPEN: &str = select_drifts!(
    "WHERE d.host = ?1 AND d.live = 1 AND d.state = 'open' AND (?2 IS NULL OR d.kind = ?2)
     AND (?3 IS NULL OR d.severity >= ?3) ORDER BY d.severity DESC, d.since_ms LIMIT ?4"
);
const ALL: &str = select_drifts!(
    "WHERE d.host = ?1 AND d.state <> 'pending' AND (?2 IS NULL OR d.kind = ?2)
     AND (?3 IS NULL OR d.severity >= ?3) ORDER BY d.live DESC, d.severity DESC, d.since_ms DESC LIMIT ?4"
);

fn by_ids(conn: &Connection, filter: &DriftFilter) -> Result<Vec<KnownDrift>> {
    let mut statement = conn.prepare_cached(select_drifts!("WHERE d.id = ?1"))?;
    let mut found = Vec::new();
    for id in filter.ids.iter().take(limits::QUERY_ROWS) {
        let Ok(id) = int(*id) else { continue };
        if let Some(drift) = statement.query_and_then([id], known_drift)?.next() {
            found.push(drift?);
        }
    }
    let severity = |each: &KnownDrift| filter.severity.is_none_or(|least| each.drift.severity >= least);
    let kind = |each: &KnownDrift| filter.kind.is_none_or(|kind| each.drift.kind == kind);
    found.retain(|each| severity(each) && kind(each));
    if filter.host.is_some() || !filter.groups.is_empty() {
        let chosen = hosts::chosen(conn, filter.host.as_ref(), &filter.groups)?;
        found.retain(|each| chosen.iter().any(|(_, host)| host.id == each.drift.host));
    }
    Ok(found)
}
