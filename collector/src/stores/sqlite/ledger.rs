//! Epochs, records, gaps, dictionaries, and what became part of none of them.

use anyhow::{Context, Result, bail};
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{DropReason, Tombstone};
use plumb_proto::record::{Epoch, Hash, HostId, Record, genesis, sha256};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::hosts;
use super::packer::{self, Packer};
use super::sql::{int, uint};
use crate::store::Incoming;
use crate::store::rows::{Head, Quarantined};

/// What is kept of a payload that cannot be opened.
pub const UNREADABLE: usize = 4 << 10;
/// Counts that a host tells are kept up to here.
const MOST: u64 = i64::MAX.cast_unsigned();
/// Records whose payload is dropped in one transaction.
const DROPPED_AT_ONCE: i64 = 1_000;
/// Quarantined records of one host: the newest stay.
pub const QUARANTINE: i64 = 256;

/// An epoch's number here, and its head.
pub fn epoch(conn: &Connection, host: i64, epoch: &Epoch) -> Result<Option<(i64, Head)>> {
    let mut statement =
        conn.prepare_cached("SELECT no, next_seq, hash, superseded FROM epochs WHERE host = ?1 AND epoch = ?2")?;
    let found = statement
        .query_row(params![host, epoch.0], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?)));
    let Some((no, next, hash, superseded)) = found.optional()? else { return Ok(None) };
    Ok(Some((no, Head { epoch: *epoch, next_seq: uint(next)?, hash: Hash(hash), superseded })))
}

/// The head of an epoch, as it is or as it would begin.
fn head_or_genesis(conn: &Connection, host: i64, id: &Epoch) -> Result<(Option<i64>, Head)> {
    Ok(match epoch(conn, host, id)? {
        Some((no, head)) => (Some(no), head),
        None => (None, Head { epoch: *id, next_seq: 1, hash: genesis(*id), superseded: false }),
    })
}

/// A new epoch supersedes those before.
fn begin(conn: &Connection, host: i64, head: &Head, received: Timestamp) -> Result<i64> {
    conn.prepare_cached("UPDATE epochs SET superseded = 1 WHERE host = ?1 AND superseded = 0")?.execute([host])?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO epochs (host, epoch, next_seq, hash, superseded, begun_ms, seen_ms) VALUES (?1, ?2, 1, ?3, 0, ?4, ?4)",
    )?;
    Ok(statement.insert(params![host, head.epoch.0, head.hash.0, received.millis()])?)
}

/// Moves the head of an epoch.
fn advance(conn: &Connection, epoch: i64, next: u64, hash: &Hash, received: Timestamp) -> Result<()> {
    conn.prepare_cached("UPDATE epochs SET next_seq = ?2, hash = ?3, seen_ms = max(seen_ms, ?4) WHERE no = ?1")?
        .execute(params![epoch, int(next)?, hash.0, received.millis()])?;
    Ok(())
}

/// The hash of a record that is there.
pub fn record_hash(conn: &Connection, epoch: i64, seq: u64) -> Result<Option<Hash>> {
    let mut statement = conn.prepare_cached("SELECT hash FROM ledger WHERE epoch = ?1 AND seq = ?2")?;
    Ok(statement.query_row(params![epoch, int(seq)?], |row| row.get(0)).optional()?.map(Hash))
}

/// Where a record went.
pub struct Place {
    /// Order of receipt over all hosts.
    pub receipt: i64,
    /// Number of its epoch here.
    pub epoch: i64,
}

/// Writes a record behind its head, and what it declares. `None`: it was there already, or lies in a declared gap.
pub fn append(conn: &Connection, host: i64, incoming: &Incoming<'_>, packer: &mut Packer) -> Result<Option<Place>> {
    let Record { header, prev, payload } = incoming.record;
    let (epoch, head) = head_or_genesis(conn, host, &header.epoch)?;
    let payload_hash = sha256(&[payload]);
    let header_bytes = header.to_bytes();
    let hash = plumb_proto::record::link(prev, &header_bytes, &payload_hash);
    let named = || format!("record {} of epoch {} of host {}", header.seq, header.epoch, incoming.host);
    if header.seq < head.next_seq {
        let kept = epoch.map(|epoch| record_hash(conn, epoch, header.seq)).transpose()?.flatten();
        return match kept {
            Some(kept) if kept != hash => bail!("{} is there already, with another hash", named()),
            _ => Ok(None),
        };
    }
    if head.superseded {
        bail!("{}: a newer epoch has begun", named());
    }
    if header.seq > head.next_seq || *prev != head.hash {
        bail!("{} does not follow what is there, up to {}", named(), head.next_seq - 1);
    }
    let epoch = epoch.map_or_else(|| begin(conn, host, &head, incoming.received), Ok)?;
    let reason = incoming.payload.err();
    let kept = if reason.is_some() { &payload[..payload.len().min(UNREADABLE)] } else { payload };
    let mut statement = conn.prepare_cached(
        "INSERT INTO ledger (epoch, seq, header, payload_hash, hash, received_ms, skew_ms, reason, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let receipt = statement.insert(params![
        epoch,
        int(header.seq)?,
        header_bytes,
        payload_hash.0,
        hash.0,
        incoming.received.millis(),
        incoming.skew_ms,
        reason,
        kept
    ])?;
    advance(conn, epoch, header.seq + 1, &hash, incoming.received)?;
    if let Some(declared) = incoming.declared {
        let packed = packer.pack(declared)?;
        conn.prepare_cached("INSERT INTO dictionaries (epoch, seq, declared) VALUES (?1, ?2, ?3)")?
            .execute(params![epoch, int(header.seq)?, packed])?;
    }
    Ok(Some(Place { receipt, epoch }))
}

/// All declarations of an epoch, in the order in which they came.
pub fn dictionary(conn: &Connection, epoch: i64) -> Result<Dictionary> {
    let mut dictionary = Dictionary::default();
    let mut statement = conn.prepare_cached("SELECT declared FROM dictionaries WHERE epoch = ?1 ORDER BY seq")?;
    let mut rows = statement.query([epoch])?;
    while let Some(row) = rows.next()? {
        dictionary.restore(&packer::unpack(row.get_ref(0)?.as_blob()?)?).context("a kept dictionary")?;
    }
    Ok(dictionary)
}

/// The word of a reason.
pub fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::SpoolFull => "spool_full",
        DropReason::DiskFull => "disk_full",
    }
}

/// From [`drop_reason`].
pub fn parse_drop_reason(word: &str) -> Option<DropReason> {
    [DropReason::SpoolFull, DropReason::DiskFull].into_iter().find(|each| drop_reason(*each) == word)
}

/// Writes a gap; what of it is there already stays.
pub fn append_gap(conn: &Connection, host: &HostId, id: &Epoch, gap: &Tombstone, received: Timestamp) -> Result<()> {
    let no = hosts::number(conn, host)?;
    let (epoch, head) = head_or_genesis(conn, no, id)?;
    let named = || format!("gap {} to {} of epoch {id} of host {host}", gap.first, gap.last);
    if gap.last < gap.first || gap.last == u64::MAX {
        bail!("{} ends before it begins", named());
    }
    if gap.last < head.next_seq {
        return Ok(());
    }
    if head.superseded {
        bail!("{}: a newer epoch has begun", named());
    }
    if gap.first > head.next_seq {
        bail!("{} does not follow what is there, up to {}", named(), head.next_seq - 1);
    }
    let epoch = epoch.map_or_else(|| begin(conn, no, &head, received), Ok)?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO gaps (epoch, first, last, last_hash, records, bytes, reason, received_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        epoch,
        int(head.next_seq)?,
        int(gap.last)?,
        gap.last_hash.0,
        int(gap.records.min(MOST))?,
        int(gap.bytes.min(MOST))?,
        drop_reason(gap.reason),
        received.millis()
    ])?;
    advance(conn, epoch, gap.last + 1, &gap.last_hash, received)
}

/// Keeps what belongs to no chain, once.
pub fn quarantine(conn: &Connection, what: &Quarantined, received: Timestamp) -> Result<()> {
    let host = hosts::number(conn, &what.host)?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO quarantine (host, epoch, seq, hash, reason, size, head, received_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (host, epoch, seq, hash) DO NOTHING",
    )?;
    let head = &what.head[..what.head.len().min(UNREADABLE)];
    statement.execute(params![
        host,
        what.epoch.0,
        what.seq.to_be_bytes(),
        what.hash.0,
        what.reason,
        int(what.size.min(MOST))?,
        head,
        received.millis()
    ])?;
    conn.prepare_cached(
        "DELETE FROM quarantine WHERE host = ?1 AND no NOT IN
         (SELECT no FROM quarantine WHERE host = ?1 ORDER BY no DESC LIMIT ?2)",
    )?
    .execute([host, QUARANTINE])?;
    Ok(())
}

/// Drops payloads that were received before a moment, a thousand records at a time; answers whether there may be more.
/// Samples keep theirs until they are merged into hours, and what could not be opened keeps what is left of it.
pub fn drop_payloads(conn: &Connection, before: Timestamp) -> Result<bool> {
    let mut statement = conn.prepare_cached("SELECT receipt FROM retention")?;
    let from: i64 = statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(0);
    let mut statement = conn.prepare_cached(
        "SELECT max(receipt), count(*) FROM (SELECT receipt, received_ms FROM ledger WHERE receipt > ?1 ORDER BY receipt
         LIMIT ?2) WHERE received_ms < ?3",
    )?;
    let (through, count): (Option<i64>, i64) =
        statement.query_row(params![from, DROPPED_AT_ONCE, before.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(through) = through else { return Ok(false) };
    // byte 59 of a header is its class; 1: samples only
    conn.prepare_cached(
        "UPDATE ledger SET payload = NULL WHERE receipt > ?1 AND receipt <= ?2 AND received_ms < ?3 AND reason IS NULL
         AND payload IS NOT NULL AND substr(header, 59, 1) <> x'01'",
    )?
    .execute(params![from, through, before.millis()])?;
    conn.prepare_cached(
        "INSERT INTO retention (one, receipt) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET receipt = ?1",
    )?
    .execute([through])?;
    Ok(count == DROPPED_AT_ONCE)
}
