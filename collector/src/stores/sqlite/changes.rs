//! Changes of a host, found in what is kept anyway: rows as they were and stand, and events about files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use plumb_proto::limits;
use plumb_proto::model::{Fact, Role};
use plumb_proto::record::HostId;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::{codec, events, hosts};
use crate::change_set::{Change, FILE_EVENTS, How};
use crate::store::EventFilter;

/// Rows that a watcher tells within this time of its first are how the host was found, not changes of it.
const FIRST_MS: i64 = 60_000;

/// All changes since a moment, in no order.
pub fn read(conn: &Connection, host: &HostId, since: Timestamp) -> Result<Vec<Change>> {
    let mut changes = rows(conn, hosts::number(conn, host)?, since)?;
    for (kind, _) in FILE_EVENTS {
        let left = limits::QUERY_ROWS.saturating_sub(changes.len());
        let filter = EventFilter { kind: Some(kind.to_owned()), since: Some(since), limit: left, ..Default::default() };
        let found = events::read(conn, host, &filter)?;
        changes.extend(found.iter().filter_map(|(_, row)| Change::of_event(&row.event)));
    }
    Ok(changes)
}

/// A row for as long as it stood so.
struct Version {
    fact: Fact,
    since: i64,
    until: Option<i64>,
}

fn rows(conn: &Connection, host: i64, since: Timestamp) -> Result<Vec<Change>> {
    let columns = state_columns(conn, host)?;
    let mut statement = conn.prepare_cached(
        "SELECT tbl, key, fact, since_ms, until_ms FROM fact_history WHERE host = ?1 AND until_ms >= ?2
         UNION ALL SELECT tbl, key, fact, since_ms, NULL FROM facts WHERE host = ?1 AND since_ms >= ?2
         ORDER BY 1, 2, 4 LIMIT ?3",
    )?;
    let limit = i64::try_from(limits::QUERY_ROWS)?;
    let mut found = statement.query(params![host, since.millis(), limit])?;
    let mut changes = Vec::new();
    // Looks through all that is kept of the host: only where a row has come at all.
    let mut begun: Option<BTreeMap<String, i64>> = None;
    let mut before: Option<(String, Version)> = None;
    while let Some(row) = found.next()? {
        let table: String = row.get(0)?;
        let fact = codec::fact_from(row.get(1)?, row.get_ref(2)?.as_blob()?)?;
        let version = Version { fact, since: row.get(3)?, until: row.get(4)? };
        let Some(columns) = columns.get(&table) else { continue };
        let same = before.take().and_then(|(of, last)| {
            if of == table && last.fact.key == version.fact.key {
                return Some(last);
            }
            changes.extend(gone(&of, &last));
            None
        });
        match same {
            Some(last) if last.until == Some(version.since) => {
                differing(&table, columns, &last, &version, &mut changes)
            }
            other => {
                changes.extend(other.and_then(|last| gone(&table, &last)));
                if version.since >= since.millis() {
                    let begun = match &mut begun {
                        Some(begun) => begun,
                        none => none.insert(first_told(conn, host)?),
                    };
                    if begun.get(&table).is_some_and(|first| version.since.saturating_sub(*first) > FIRST_MS) {
                        changes.push(whole(&table, &version, version.since, How::Added));
                    }
                }
            }
        }
        before = Some((table, version));
    }
    changes.extend(before.and_then(|(table, last)| gone(&table, &last)));
    Ok(changes)
}

/// The columns that count, of the tables that have any.
fn state_columns(conn: &Connection, host: i64) -> Result<HashMap<String, BTreeSet<String>>> {
    let mut statement =
        conn.prepare_cached("SELECT d.decl FROM host_tables t JOIN declarations d ON d.no = t.decl WHERE t.host = ?1")?;
    let tables = statement.query_and_then([host], |row| codec::decl_from(row.get_ref(0)?.as_blob()?))?;
    let mut all = HashMap::new();
    for table in tables {
        let table = table?;
        let counts = table.columns.into_iter().filter(|column| column.role == Role::State).map(|column| column.name);
        let counts: BTreeSet<String> = counts.collect();
        if !counts.is_empty() {
            all.insert(table.name, counts);
        }
    }
    Ok(all)
}

/// When the first row of each table was told.
fn first_told(conn: &Connection, host: i64) -> Result<BTreeMap<String, i64>> {
    let mut statement = conn.prepare_cached(
        "SELECT tbl, min(since_ms) FROM (SELECT tbl, since_ms FROM facts WHERE host = ?1
         UNION ALL SELECT tbl, since_ms FROM fact_history WHERE host = ?1) GROUP BY tbl",
    )?;
    let rows = statement.query_map([host], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn whole(table: &str, version: &Version, at: i64, how: How) -> Change {
    Change {
        at: Timestamp::from_millis(at),
        table: table.to_owned(),
        key: version.fact.key.clone(),
        field: None,
        how,
        was: None,
        is: None,
        tree: None,
        count: 1,
    }
}

/// A row that ended, with nothing that follows it.
fn gone(table: &str, last: &Version) -> Option<Change> {
    last.until.map(|until| whole(table, last, until, How::Removed))
}

/// What is unknown in either is no change.
fn differing(table: &str, columns: &BTreeSet<String>, was: &Version, is: &Version, changes: &mut Vec<Change>) {
    for column in columns {
        let unknown =
            |version: &Version| version.fact.unknown.contains_key(column) || version.fact.unknown.contains_key("");
        let (before, after) = (was.fact.fields.get(column), is.fact.fields.get(column));
        if before == after || unknown(was) || unknown(is) {
            continue;
        }
        let (field, before, after) = (Some(column.clone()), before.cloned(), after.cloned());
        changes.push(Change { field, was: before, is: after, ..whole(table, is, is.since, How::Changed) });
    }
}
