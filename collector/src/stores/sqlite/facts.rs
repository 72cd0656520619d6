//! Writes down what a report changed in the view of its host: rows with from and to, baselines, declarations, looks.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use plumb_proto::model::Outcome;
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use rusqlite::{Connection, params};

use super::codec;
use super::sql::millis;
use crate::view::{Change, HostView, Row};

/// Writes changes of `view`, which stands as it is after all of them. Rows that open or close are written in order; the
/// rest is written once, as it stands.
pub fn write(conn: &Connection, host: i64, view: &HostView, changes: &[Change]) -> Result<()> {
    let mut after = BTreeSet::new();
    for change in changes {
        match change {
            Change::Opened(row) => open(conn, host, row)?,
            Change::Closed { table, key, at } => close(conn, host, table, key, *at)?,
            Change::Touched { table, key } => drop(after.insert(After::Row(table, key))),
            Change::Baseline { table, key } => drop(after.insert(After::Baseline(table, key))),
            Change::Baselined { table } => drop(after.insert(After::Owners(table))),
            Change::Declared { table } => drop(after.insert(After::Declaration(table))),
            Change::Looked { watcher } => drop(after.insert(After::Look(watcher))),
        }
    }
    for each in after {
        match each {
            After::Row(table, key) => touch(conn, host, view, table, key)?,
            After::Baseline(table, key) => baseline(conn, host, view, table, key)?,
            After::Owners(table) => owners(conn, host, view, table)?,
            After::Declaration(table) => declare(conn, host, view, table)?,
            After::Look(watcher) => look(conn, host, view, watcher)?,
        }
    }
    Ok(())
}

/// What is written as it stands at the end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum After<'a> {
    Row(&'a str, &'a Untrusted),
    Baseline(&'a str, &'a Untrusted),
    Owners(&'a str),
    Declaration(&'a str),
    Look(&'a str),
}

/// Moves a row that stands to the history. A clock that went back makes no row that ends before it began.
fn close(conn: &Connection, host: i64, table: &str, key: &Untrusted, at: Timestamp) -> Result<()> {
    end(conn, host, table, key, at)?;
    conn.prepare_cached("DELETE FROM facts WHERE host = ?1 AND tbl = ?2 AND key = ?3")?.execute(params![
        host,
        table,
        key.as_bytes()
    ])?;
    Ok(())
}

fn end(conn: &Connection, host: i64, table: &str, key: &Untrusted, at: Timestamp) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO fact_history (host, tbl, key, owner, fact, since_ms, until_ms)
         SELECT host, tbl, key, owner, fact, since_ms, max(since_ms, ?4) FROM facts
         WHERE host = ?1 AND tbl = ?2 AND key = ?3",
    )?;
    statement.execute(params![host, table, key.as_bytes(), at.millis()])?;
    Ok(())
}

fn open(conn: &Connection, host: i64, row: &Row) -> Result<()> {
    end(conn, host, &row.table, &row.fact.key, row.since)?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO facts (host, tbl, key, owner, fact, since_ms, confirmed_ms, stale, look)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (host, tbl, key) DO UPDATE SET owner = ?4, fact = ?5, since_ms = ?6, confirmed_ms = ?7, stale = ?8,
         look = ?9",
    )?;
    statement.execute(params![
        host,
        row.table,
        row.fact.key.as_bytes(),
        row.owner,
        codec::fact_to(&row.fact),
        row.since.millis(),
        row.confirmed.millis(),
        row.stale,
        row.look.cast_signed()
    ])?;
    Ok(())
}

/// A row that was closed again by a later change is not there any more.
fn touch(conn: &Connection, host: i64, view: &HostView, table: &str, key: &Untrusted) -> Result<()> {
    let Some(row) = view.row(table, key) else { return Ok(()) };
    let mut statement = conn.prepare_cached(
        "UPDATE facts SET confirmed_ms = ?4, stale = ?5, look = ?6 WHERE host = ?1 AND tbl = ?2 AND key = ?3",
    )?;
    let look = row.look.cast_signed();
    statement.execute(params![host, table, key.as_bytes(), row.confirmed.millis(), row.stale, look])?;
    Ok(())
}

fn baseline(conn: &Connection, host: i64, view: &HostView, table: &str, key: &Untrusted) -> Result<()> {
    match view.tables.get(table).and_then(|table| table.baseline.get(key)) {
        Some(approved) => {
            conn.prepare_cached(
                "INSERT INTO baselines (host, tbl, key, fields) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (host, tbl, key) DO UPDATE SET fields = ?4",
            )?
            .execute(params![host, table, key.as_bytes(), codec::approved_to(approved)])?;
        }
        None => {
            conn.prepare_cached("DELETE FROM baselines WHERE host = ?1 AND tbl = ?2 AND key = ?3")?
                .execute(params![host, table, key.as_bytes()])?;
        }
    }
    Ok(())
}

fn owners(conn: &Connection, host: i64, view: &HostView, table: &str) -> Result<()> {
    let kept = view.tables.get(table).with_context(|| format!("table {table} has owners, but is not there"))?;
    conn.prepare_cached(
        "INSERT INTO baseline_owners (host, tbl, owners) VALUES (?1, ?2, ?3)
         ON CONFLICT (host, tbl) DO UPDATE SET owners = ?3",
    )?
    .execute(params![host, table, codec::owners_to(&kept.baselined)])?;
    Ok(())
}

/// The same declaration of many hosts is kept once.
fn declare(conn: &Connection, host: i64, view: &HostView, table: &str) -> Result<()> {
    let decl = view.tables.get(table).and_then(|table| table.decl.as_ref());
    let decl = codec::decl_to(decl.with_context(|| format!("table {table} is not declared"))?)?;
    conn.prepare_cached("INSERT INTO declarations (name, decl) VALUES (?1, ?2) ON CONFLICT (name, decl) DO NOTHING")?
        .execute(params![table, decl])?;
    conn.prepare_cached(
        "INSERT INTO host_tables (host, name, decl) SELECT ?1, name, no FROM declarations WHERE name = ?2 AND decl = ?3
         ON CONFLICT (host, name) DO UPDATE SET decl = excluded.decl",
    )?
    .execute(params![host, table, decl])?;
    Ok(())
}

/// The word of an outcome.
fn outcome_to(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::More => "more",
        Outcome::Absent => "absent",
        Outcome::Failed => "failed",
    }
}

/// From [`outcome_to`].
pub fn parse_outcome(word: &str) -> Option<Outcome> {
    let all = [Outcome::Done, Outcome::More, Outcome::Absent, Outcome::Failed];
    all.into_iter().find(|each| outcome_to(*each) == word)
}

fn look(conn: &Connection, host: i64, view: &HostView, watcher: &str) -> Result<()> {
    let look = view.watchers.get(watcher).with_context(|| format!("watcher {watcher} looked, but is not there"))?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO watchers (host, name, look, at_ms, outcome, details, complete_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (host, name) DO UPDATE SET look = ?3, at_ms = ?4, outcome = ?5, details = ?6, complete_ms = ?7",
    )?;
    statement.execute(params![
        host,
        watcher,
        look.look.cast_signed(),
        look.at.millis(),
        outcome_to(look.outcome),
        codec::details_to(look),
        millis(look.complete)
    ])?;
    Ok(())
}
