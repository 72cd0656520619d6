//! What makes the file smaller, one bounded step at a time, between the records that come in.

use anyhow::Result;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::{expire, ledger, merge, segments};
use crate::retention::{PAYLOADS, SAMPLE_PAYLOADS};
use crate::store::Keep;

/// Samples that are merged in one step, about, into hours and into days each: 7 ms of work. Neither waits for the other:
/// hours that never come to their end must not keep days from being merged, and so from being thinned.
const SAMPLES: usize = 75_000;
/// Records that are packed in one step, about.
const RECORDS: usize = 4_096;
/// Pages that are given back to the file system in one step.
const PAGES: i64 = 1_024;
/// Free pages are kept for what comes next: one in so many.
const FREE: i64 = 50;

/// One step of each kind; answers whether there is more. A kind that fails is told and left as it was: what is damaged
/// there must not keep the rest from being made smaller.
///
/// # Errors
/// The database's, of all of it.
pub fn step(conn: &Connection, now: Timestamp, keep: &Keep) -> Result<bool> {
    let kinds: [(&str, &dyn Fn() -> Result<bool>); 7] = [
        ("payloads of samples", &|| ledger::drop_payloads(conn, true, now - SAMPLE_PAYLOADS)),
        ("payloads", &|| ledger::drop_payloads(conn, false, now - PAYLOADS)),
        ("hours", &|| until(SAMPLES, || merge::hour(conn, now))),
        ("days", &|| until(SAMPLES, || merge::day(conn, now))),
        ("records", &|| until(RECORDS, || Ok(segments::step(conn, now)?.map_or(0, |packed| packed.max(1))))),
        ("what is old", &|| expire::step(conn, now, keep)),
        ("free pages", &|| shrink(conn)),
    ];
    let mut more = false;
    for (what, kind) in kinds {
        more |= alone(conn, what, kind)?;
    }
    Ok(more)
}

/// Does pieces of work until so much is done, or nothing is left; answers whether there may be more.
fn until(enough: usize, mut piece: impl FnMut() -> Result<usize>) -> Result<bool> {
    let mut done = 0;
    while done < enough {
        match piece()? {
            0 => return Ok(false),
            some => done += some,
        }
    }
    Ok(true)
}

/// Does one kind of work whole, or nothing of it.
fn alone(conn: &Connection, what: &str, work: &dyn Fn() -> Result<bool>) -> Result<bool> {
    conn.execute_batch("SAVEPOINT kind")?;
    match work() {
        Ok(more) => {
            conn.execute_batch("RELEASE kind")?;
            Ok(more)
        }
        Err(error) => {
            tracing::error!("the history is not made smaller, {what}: {error:#}");
            conn.execute_batch("ROLLBACK TO kind; RELEASE kind")?;
            Ok(false)
        }
    }
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
