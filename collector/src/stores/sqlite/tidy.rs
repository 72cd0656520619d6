//! What makes the file smaller, one bounded step at a time, between the records that come in.

use anyhow::Result;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::{expire, ledger, merge, segments};
use crate::retention::{PAYLOADS, SAMPLE_PAYLOADS};
use crate::store::Keep;

/// Samples that are merged in one step, about: 15 ms of work.
const SAMPLES: usize = 150_000;
/// Records that are packed in one step, about.
const RECORDS: usize = 4_096;
/// Pages that are given back to the file system in one step.
const PAGES: i64 = 1_024;
/// Free pages are kept for what comes next: one in so many.
const FREE: i64 = 50;

/// One step of each kind; answers whether there is more.
///
/// # Errors
/// The database's.
pub fn step(conn: &Connection, now: Timestamp, keep: &Keep) -> Result<bool> {
    let mut more = ledger::drop_payloads(conn, true, now - SAMPLE_PAYLOADS)?;
    more |= ledger::drop_payloads(conn, false, now - PAYLOADS)?;
    let mut samples = 0;
    while samples < SAMPLES {
        match merge::step(conn, now)? {
            0 => break,
            moved => samples += moved,
        }
    }
    let mut records = 0;
    while let Some(packed) = segments::step(conn, now)? {
        records += packed;
        if records >= RECORDS {
            break;
        }
    }
    more |= samples >= SAMPLES || records >= RECORDS;
    more |= expire::step(conn, now, keep)?;
    more |= shrink(conn)?;
    Ok(more)
}

/// Gives free pages back (sqlite.org/pragma.html, "incremental_vacuum").
fn shrink(conn: &Connection) -> Result<bool> {
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let spare = number("freelist_count")? - number("page_count")? / FREE;
    if spare < PAGES / 8 {
        return Ok(false);
    }
    let mut statement = conn.prepare(&format!("PRAGMA incremental_vacuum({})", spare.min(PAGES)))?;
    let mut rows = statement.query(params![])?;
    while rows.next()?.is_some() {}
    Ok(spare > PAGES)
}
