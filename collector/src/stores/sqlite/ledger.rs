//! Epochs, records, gaps, dictionaries, and what became part of none of them.

use anyhow::{Context, Result, bail};
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{DropReason, Tombstone};
use plumb_proto::record::{Class, Epoch, Hash, HostId, Record, genesis, sha256};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::packer::{self, Packer};
use super::sql::{int, uint};
use super::{hosts, segments};
use crate::store::Incoming;
use crate::store::rows::{Head, Quarantined};

/// What is kept of a payload that cannot be opened.
pub const UNREADABLE: usize = 4 << 10;
/// Counts that a host tells are kept up to here.
const MOST: u64 = i64::MAX.cast_unsigned();
/// Records whose payload is dropped in one transaction.
const DROPPED_AT_ONCE: i64 = 1_000;

macro_rules! insert_into {
    ($table:literal) => {
        concat!("INSERT INTO ", $table, " (receipt, epoch, seq, received_ms, payload) VALUES (?1, ?2, ?3, ?4, ?5)")
    };
}

macro_rules! drop_from {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE receipt IN (SELECT receipt FROM ",
            $table,
            " ORDER BY receipt LIMIT ?1) ",
            "AND received_ms < ?2"
        )
    };
}

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

/// The hash of a record that is there, by the number of its epoch and its id.
pub fn record_hash(conn: &Connection, (epoch, id): (i64, Epoch), seq: u64) -> Result<Option<Hash>> {
    let mut statement = conn.prepare_cached("SELECT hash FROM ledger WHERE epoch = ?1 AND seq = ?2")?;
    match statement.query_row(params![epoch, int(seq)?], |row| row.get(0)).optional()? {
        Some(hash) => Ok(Some(Hash(hash))),
        None => segments::record_hash(conn, epoch, id, seq),
    }
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
        let kept = epoch.map(|no| record_hash(conn, (no, header.epoch), header.seq)).transpose()?.flatten();
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
    let kept = reason.map(|_| &payload[..payload.len().min(UNREADABLE)]);
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
    if kept.is_none() {
        let sql = match header.class {
            Class::Samples => insert_into!("sample_payloads"),
            _ => insert_into!("payloads"),
        };
        let received = incoming.received.millis();
        conn.prepare_cached(sql)?.execute(params![receipt, epoch, int(header.seq)?, received, payload])?;
    }
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

/// Drops payloads of samples, or of everything else, that were received before a moment, a thousand at a time; answers
/// whether there may be more. What could not be opened keeps what is left of it.
pub fn drop_payloads(conn: &Connection, samples: bool, before: Timestamp) -> Result<bool> {
    let sql = if samples { drop_from!("sample_payloads") } else { drop_from!("payloads") };
    let dropped = conn.prepare_cached(sql)?.execute(params![DROPPED_AT_ONCE, before.millis()])?;
    Ok(i64::try_from(dropped)? == DROPPED_AT_ONCE)
}
