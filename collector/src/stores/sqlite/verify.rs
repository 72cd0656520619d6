//! Walks every page of the file and every chain of the ledger.

use std::collections::HashMap;

use anyhow::Result;
use plumb_proto::frame::Tombstone;
use plumb_proto::record::{Epoch, Hash, sha256};
use rusqlite::{Connection, Row, params};

use super::ledger::parse_drop_reason;
use super::segments;
use super::sql::{int, uint, word};
use crate::ledger::{Kept, Walk};

/// Records that are read at once; between two reads the writer may check-point.
const PAGE: usize = 256;

/// What is told of a damaged table, at most.
const DAMAGES: usize = 4;

/// Payloads that are named, at most.
const FAULTS: usize = 16;

/// Checks the file, then the ledger from its begin; answers how many links held and what did not.
pub fn ledger(conn: &Connection) -> Result<(u64, Vec<String>)> {
    let damages = pages(conn)?;
    if !damages.is_empty() {
        return Ok((0, damages)); // what stands in a damaged file proves nothing
    }
    chains(conn)
}

/// Checks the ledger from its begin.
pub fn chains(conn: &Connection) -> Result<(u64, Vec<String>)> {
    let mut statement =
        conn.prepare("SELECT e.no, e.epoch, h.name FROM epochs e JOIN hosts h ON h.no = e.host ORDER BY e.no")?;
    let epochs = statement.query_map([], |row| Ok((row.get(0)?, Epoch(row.get(1)?), row.get(2)?)))?;
    let epochs = epochs.collect::<rusqlite::Result<Vec<(i64, Epoch, String)>>>()?;
    let (mut links, mut faults) = (0, Vec::new());
    let named = epochs.iter().map(|(no, epoch, host)| (*no, (*epoch, host.clone()))).collect();
    for (no, epoch, host) in epochs {
        let (held, failed) = chain(conn, no, epoch)?;
        links += held;
        faults.extend(failed.into_iter().map(|fault| format!("host {host}, {fault}")));
    }
    faults.extend(payloads(conn, &named)?);
    let strays: i64 =
        conn.query_row("SELECT count(*) FROM ledger WHERE epoch NOT IN (SELECT no FROM epochs)", [], |row| row.get(0))?;
    if strays > 0 {
        faults.push(format!("{strays} records belong to no epoch"));
    }
    Ok((links, faults))
}

/// Whether the file holds together: a page that a disk has spoiled may belong to any table (sqlite.org/pragma.html,
/// "quick_check"). One table at a time: the writer's check-points wait for one of them, not for all.
pub fn pages(conn: &Connection) -> Result<Vec<String>> {
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
    let mut walk = Walk::new(epoch);
    let mut from = 0;
    loop {
        // what the writer packs meanwhile must not be missed: rows and segments are looked at together
        let look = conn.unchecked_transaction()?;
        let page = page(&look, no, from, next)?;
        let ahead = |conn: &Connection, from| -> Result<Option<(u64, u64)>> {
            Ok(segments::from(conn, no, uint(from)?)?.filter(|(first, _)| int(*first).is_ok_and(|first| first < next)))
        };
        let segment = ahead(&look, from)?;
        let segment = match (segment, page.first()) {
            (Some((first, _)), Some(record)) if record.seq < first => None,
            (Some((first, last)), _) => Some((last, segments::read(&look, no, epoch, first).map_err(|_| first))),
            (None, _) => None,
        };
        drop(look);
        if let Some((last, segment)) = segment {
            let first = segment.as_ref().map_or_else(|first| *first, |segment| segment.first);
            while let Some(gap) = gaps.next_if(|gap| gap.first <= first) {
                walk.gap(&gap);
            }
            match segment {
                Ok(segment) => walk.run(first, (&segment.prev, &segment.hash), &segment.records),
                Err(first) => walk.broken(format!("records {first} to {last}: they were changed and cannot be read")),
            }
            from = int(last.max(first))? + 1;
            continue;
        }
        let until = ahead(conn, from)?.map_or(u64::MAX, |(first, _)| first);
        let whole = page.len() < PAGE;
        for record in page.iter().take_while(|record| record.seq < until) {
            while let Some(gap) = gaps.next_if(|gap| gap.first <= record.seq) {
                walk.gap(&gap);
            }
            walk.record(record);
            from = int(record.seq)? + 1;
        }
        if whole && page.last().is_none_or(|last| last.seq < until) && ahead(conn, from)?.is_none() {
            break;
        }
    }
    gaps.for_each(|gap| walk.gap(&gap));
    Ok(walk.end(uint(next)?, &hash))
}

fn page(conn: &Connection, no: i64, from: i64, next: i64) -> Result<Vec<Kept>> {
    let mut records = conn.prepare_cached(
        "SELECT l.seq, l.header, l.payload_hash, l.hash, l.reason, coalesce(l.payload, p.payload, s.payload)
         FROM ledger l LEFT JOIN payloads p ON p.receipt = l.receipt LEFT JOIN sample_payloads s ON s.receipt = l.receipt
         WHERE l.epoch = ?1 AND l.seq >= ?2 AND l.seq < ?3 ORDER BY l.seq LIMIT ?4",
    )?;
    records.query_and_then(params![no, from, next, i64::try_from(PAGE)?], kept)?.collect()
}

/// Payloads whose records are packed already, against the hashes that the segments have of them.
fn payloads(conn: &Connection, epochs: &HashMap<i64, (Epoch, String)>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut known: HashMap<i64, segments::Segment> = HashMap::new();
    let mut receipt = 0;
    loop {
        let mut statement = conn.prepare_cached(
            "SELECT receipt, epoch, seq, payload FROM payloads p WHERE receipt > ?1
             AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.receipt = p.receipt) ORDER BY receipt LIMIT ?2",
        )?;
        let page = statement.query_map(params![receipt, i64::try_from(PAGE)?], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        let page = page.collect::<rusqlite::Result<Vec<(i64, i64, i64, Vec<u8>)>>>()?;
        let Some((last, ..)) = page.last() else { return Ok(faults) };
        receipt = *last;
        for (_, no, seq, payload) in &page {
            let Some((epoch, host)) = epochs.get(no) else { continue };
            let seq = uint(*seq)?;
            let has = |segment: &segments::Segment| {
                (segment.first..segment.first + segment.records.len() as u64).contains(&seq)
            };
            if !known.get(no).is_some_and(has)
                && let Some((first, _)) = segments::from(conn, *no, seq)?
                && let Ok(segment) = segments::read(conn, *no, *epoch, first)
            {
                known.insert(*no, segment);
            }
            let hash = known.get(no).filter(|segment| has(segment)).and_then(|segment| {
                segment.records.get(usize::try_from(seq - segment.first).ok()?).map(|(_, hash)| *hash)
            });
            // a record that is nowhere is missed by its chain already
            if hash.is_some_and(|hash| hash != sha256(&[payload])) && faults.len() < FAULTS {
                faults.push(format!("host {host}, epoch {epoch}: record {seq}: its payload was changed"));
            }
        }
    }
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
