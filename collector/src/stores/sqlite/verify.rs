//! Walks every page of the file and every chain of the ledger.

use anyhow::Result;
use plumb_proto::frame::Tombstone;
use plumb_proto::record::{Epoch, Hash};
use rusqlite::{Connection, Row, params};

use super::ledger::parse_drop_reason;
use super::sql::{int, uint, word};
use crate::ledger::{Kept, Walk};

/// Records that are read at once; between two reads the writer may check-point.
const PAGE: usize = 256;

/// What is told of a damaged table, at most.
const DAMAGES: usize = 4;

/// Checks the file, then the ledger from its begin; answers how many links held and what did not.
pub fn ledger(conn: &Connection) -> Result<(u64, Vec<String>)> {
    let damages = pages(conn)?;
    if !damages.is_empty() {
        return Ok((0, damages)); // what stands in a damaged file proves nothing
    }
    let mut statement =
        conn.prepare("SELECT e.no, e.epoch, h.name FROM epochs e JOIN hosts h ON h.no = e.host ORDER BY e.no")?;
    let epochs = statement.query_map([], |row| Ok((row.get(0)?, Epoch(row.get(1)?), row.get(2)?)))?;
    let epochs = epochs.collect::<rusqlite::Result<Vec<(i64, Epoch, String)>>>()?;
    let (mut links, mut faults) = (0, Vec::new());
    for (no, epoch, host) in epochs {
        let (held, failed) = chain(conn, no, epoch)?;
        links += held;
        faults.extend(failed.into_iter().map(|fault| format!("host {host}, {fault}")));
    }
    let strays: i64 =
        conn.query_row("SELECT count(*) FROM ledger WHERE epoch NOT IN (SELECT no FROM epochs)", [], |row| row.get(0))?;
    if strays > 0 {
        faults.push(format!("{strays} records belong to no epoch"));
    }
    Ok((links, faults))
}

/// Whether the file holds together: a page that a disk has spoiled may belong to any table (sqlite.org/pragma.html,
/// "quick_check"). One table at a time: the writer's check-points wait for one of them, not for all.
fn pages(conn: &Connection) -> Result<Vec<String>> {
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut damages = Vec::new();
    for table in tables {
        let mut said = Vec::new();
        conn.pragma(None, "quick_check", &table, |row| {
            said.push(row.get::<_, String>(0)?);
            Ok(())
        })?;
        let faults = said.into_iter().filter(|line| line != "ok").take(DAMAGES);
        damages.extend(faults.map(|line| format!("table {table} is damaged: {}", line.replace('\n', "; "))));
    }
    Ok(damages)
}

/// One chain. Its head is read first: what the writer appends meanwhile is not looked at.
fn chain(conn: &Connection, no: i64, epoch: Epoch) -> Result<(u64, Vec<String>)> {
    let mut head = conn.prepare_cached("SELECT next_seq, hash FROM epochs WHERE no = ?1")?;
    let (next, hash) = head.query_row([no], |row| Ok((row.get::<_, i64>(0)?, Hash(row.get(1)?))))?;
    let mut gaps = conn.prepare_cached(
        "SELECT first, last, last_hash, records, bytes, reason FROM gaps WHERE epoch = ?1 AND first < ?2 ORDER BY first",
    )?;
    let gaps = gaps.query_and_then([no, next], gap)?.collect::<Result<Vec<_>>>()?;
    let mut gaps = gaps.into_iter().peekable();
    let mut records = conn.prepare_cached(
        "SELECT seq, header, payload_hash, hash, reason, payload FROM ledger
         WHERE epoch = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq LIMIT ?4",
    )?;
    let mut walk = Walk::new(epoch);
    let mut from = 0;
    loop {
        let page = records.query_and_then(params![no, from, next, i64::try_from(PAGE)?], kept)?;
        let page = page.collect::<Result<Vec<_>>>()?;
        for record in &page {
            while let Some(gap) = gaps.next_if(|gap| gap.first <= record.seq) {
                walk.gap(&gap);
            }
            walk.record(record);
            from = int(record.seq)? + 1;
        }
        if page.len() < PAGE {
            break;
        }
    }
    gaps.for_each(|gap| walk.gap(&gap));
    Ok(walk.end(uint(next)?, &hash))
}

fn kept(row: &Row<'_>) -> Result<Kept> {
    Ok(Kept {
        seq: uint(row.get(0)?)?,
        header: row.get(1)?,
        payload_hash: Hash(row.get(2)?),
        hash: Hash(row.get(3)?),
        reason: row.get(4)?,
        payload: row.get(5)?,
    })
}

fn gap(row: &Row<'_>) -> Result<Tombstone> {
    Ok(Tombstone {
        first: uint(row.get(0)?)?,
        last: uint(row.get(1)?)?,
        last_hash: Hash(row.get(2)?),
        records: uint(row.get(3)?)?,
        bytes: uint(row.get(4)?)?,
        reason: word(row.get_ref(5)?.as_str()?, parse_drop_reason)?,
    })
}
