//! Reads all that is known of one host.

use anyhow::Result;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, Row as SqlRow, params};

use super::samples::{self, SeriesIds};
use super::sql::{time, word};
use super::{codec, facts};
use crate::store::rows::HostRow;
use crate::view::{HostView, Row, WatcherView};

/// Rows as they stand, of hosts of any number. A row that is not stale was confirmed by its owner's last complete look.
macro_rules! select_facts {
    () => {
        "SELECT f.tbl, f.key, f.owner, f.fact, f.since_ms, f.stale, f.look, CASE WHEN f.stale IS NULL THEN
         max(f.confirmed_ms, coalesce((SELECT w.complete_ms FROM watchers w WHERE w.host = f.host AND w.name = f.owner), f.confirmed_ms))
         ELSE f.confirmed_ms END FROM facts f "
    };
}

/// The view of a host, and the numbers of its series.
pub fn view(conn: &Connection, no: i64, host: HostRow) -> Result<(HostView, SeriesIds)> {
    let mut view = HostView::new(host);
    let mut statement = conn.prepare_cached(
        "SELECT t.name, d.decl FROM host_tables t JOIN declarations d ON d.no = t.decl WHERE t.host = ?1",
    )?;
    let mut rows = statement.query([no])?;
    while let Some(row) = rows.next()? {
        let decl = codec::decl_from(row.get_ref(1)?.as_blob()?)?;
        view.tables.entry(row.get(0)?).or_default().decl = Some(decl);
    }
    all_facts(conn, no, &mut view)?;
    let mut statement = conn.prepare_cached("SELECT tbl, key, fields FROM baselines WHERE host = ?1")?;
    let mut rows = statement.query([no])?;
    while let Some(row) = rows.next()? {
        let approved = codec::approved_from(row.get_ref(2)?.as_blob()?)?;
        let key: Vec<u8> = row.get(1)?;
        view.tables.entry(row.get(0)?).or_default().baseline.insert(key.into(), approved);
    }
    let mut statement = conn.prepare_cached("SELECT tbl, owners FROM baseline_owners WHERE host = ?1")?;
    let mut rows = statement.query([no])?;
    while let Some(row) = rows.next()? {
        view.tables.entry(row.get(0)?).or_default().baselined = codec::owners_from(row.get_ref(1)?.as_blob()?)?;
    }
    watchers(conn, no, &mut view)?;
    let ids = samples::load(conn, no, &mut view)?;
    Ok((view, ids))
}

/// What a line about a host is made of.
pub fn outline(conn: &Connection, no: i64, host: HostRow) -> Result<HostView> {
    let mut view = HostView::new(host);
    all_facts(conn, no, &mut view)?;
    watchers(conn, no, &mut view)?;
    samples::load_newest(conn, no, &mut view)?;
    Ok(view)
}

fn all_facts(conn: &Connection, no: i64, view: &mut HostView) -> Result<()> {
    let mut statement = conn.prepare_cached(concat!(select_facts!(), "WHERE f.host = ?1"))?;
    for row in statement.query_and_then([no], fact_row)? {
        let row = row?;
        view.tables.entry(row.table.clone()).or_default().rows.insert(row.fact.key.clone(), row);
    }
    Ok(())
}

fn watchers(conn: &Connection, no: i64, view: &mut HostView) -> Result<()> {
    let mut statement =
        conn.prepare_cached("SELECT name, look, at_ms, outcome, details, complete_ms FROM watchers WHERE host = ?1")?;
    let mut rows = statement.query([no])?;
    while let Some(row) = rows.next()? {
        let (problems, told) = codec::details_from(row.get_ref(4)?.as_blob()?)?;
        let look = WatcherView {
            look: row.get::<_, i64>(1)?.cast_unsigned(),
            at: Timestamp::from_millis(row.get(2)?),
            outcome: word(row.get_ref(3)?.as_str()?, facts::parse_outcome)?,
            problems,
            complete: time(row.get(5)?),
            told,
        };
        view.watchers.insert(row.get(0)?, look);
    }
    Ok(())
}

fn fact_row(row: &SqlRow<'_>) -> Result<Row> {
    Ok(Row {
        table: row.get(0)?,
        owner: row.get(2)?,
        fact: codec::fact_from(row.get(1)?, row.get_ref(3)?.as_blob()?)?,
        since: Timestamp::from_millis(row.get(4)?),
        confirmed: Timestamp::from_millis(row.get(7)?),
        stale: row.get(5)?,
        look: row.get::<_, i64>(6)?.cast_unsigned(),
    })
}

/// Rows of one table of one host, by key; at most `limit`.
pub fn table(conn: &Connection, host: i64, table: &str, limit: usize) -> Result<Vec<Row>> {
    let mut statement =
        conn.prepare_cached(concat!(select_facts!(), "WHERE f.host = ?1 AND f.tbl = ?2 ORDER BY f.key LIMIT ?3"))?;
    statement.query_and_then(params![host, table, i64::try_from(limit)?], fact_row)?.collect()
}
