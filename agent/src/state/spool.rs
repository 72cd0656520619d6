//! The rows of the spool: what is kept, what goes first when it is full, and what is told of what went.
//!
//! First goes the replay tail (records that were acknowledged, kept so that a collector that is restored from a backup
//! gets them again), then the oldest records that hold samples only. Facts and events stay: with nothing else left, the
//! spool is full, and what would be written waits.

use std::time::Duration;

use plumb_proto::frame::{DropReason, Item, Tombstone};
use plumb_proto::record::{Class, Hash, Header, Record};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StateError;
use super::identity::{Identity, int, millis, number};

/// Longest that an acknowledged record is kept.
const TAIL_AGE: Duration = Duration::from_hours(24);
/// Part of the bound that acknowledged records may take: a quarter.
const TAIL_PART: u64 = 4;
/// Records of the tail that one transaction lets go: thousands are acknowledged at once after an outage.
const TAIL_STEPS: usize = 2_000;
/// Records that one transaction drops to make room: a bound that was lowered may ask for a million, and one transaction
/// that lets go of all of them takes longer than the watchdog waits. The rest goes with the next ones.
const DROPS: usize = 2_000;
/// Bytes of a row beside its payload: header, two hashes, small columns, its share of the tree.
const ROW: u64 = 176;
/// Number of [`Class::Samples`] in the table.
const SAMPLES: i64 = 1;

/// Bytes that a record takes.
pub(super) fn cost(record: &Record) -> u64 {
    record.payload.len() as u64 + ROW
}

/// Puts a record behind the others.
pub(super) fn insert(db: &Connection, identity: &mut Identity, record: &Record) -> Result<(), StateError> {
    let bytes = cost(record);
    let class = match record.header.class {
        Class::Samples => SAMPLES,
        Class::Facts => 2,
        Class::Declarations => 3,
    };
    let hash = record.hash();
    let sql = "INSERT INTO records (seq, class, bytes, age_ms, header, prev, hash, payload) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        int(record.header.seq),
        class,
        int(bytes),
        millis(identity.age),
        record.header.to_bytes(),
        record.prev.0,
        hash.0,
        record.payload,
    ])?;
    identity.next_seq = record.header.seq + 1;
    identity.last_hash = hash;
    identity.total.add(1, bytes);
    if class == SAMPLES {
        identity.samples.add(1, bytes);
    }
    Ok(())
}

/// Lets go of what was acknowledged long ago, or takes more than its part.
pub(super) fn trim_tail(db: &Connection, identity: &mut Identity, allowed: u64) -> Result<(), StateError> {
    for _ in 0..TAIL_STEPS {
        let too_big = identity.tail.bytes > allowed / TAIL_PART;
        let Some(age) = oldest_of_tail(db, identity)?.map(|(_, _, age)| age) else { break };
        if !too_big && identity.age.saturating_sub(age) <= TAIL_AGE {
            break;
        }
        drop_oldest_of_tail(db, identity)?;
    }
    Ok(())
}

/// Makes room until all records take `allowed` bytes at most, or as many are dropped as one transaction may drop.
///
/// # Errors
/// [`StateError::SpoolFull`]: what would be left may not be dropped. Roll back, then.
pub(super) fn make_room(
    db: &Connection,
    identity: &mut Identity,
    allowed: u64,
    reason: DropReason,
) -> Result<(), StateError> {
    let Identity { total, tail, samples, .. } = identity;
    if total.bytes.saturating_sub(tail.bytes + samples.bytes) > allowed {
        return Err(StateError::SpoolFull);
    }
    for _ in 0..DROPS {
        if identity.total.bytes <= allowed {
            return Ok(());
        }
        if !drop_oldest_of_tail(db, identity)? && !drop_oldest_sample(db, identity, reason)? {
            return Err(StateError::SpoolFull);
        }
    }
    Ok(())
}

/// Number, bytes and age of the oldest acknowledged record.
fn oldest_of_tail(db: &Connection, identity: &Identity) -> Result<Option<(u64, u64, Duration)>, StateError> {
    let sql = "SELECT seq, bytes, age_ms FROM records WHERE seq <= ? ORDER BY seq LIMIT 1";
    let row = |row: &Row<'_>| Ok((number(row, 0)?, number(row, 1)?, Duration::from_millis(number(row, 2)?)));
    Ok(db.prepare_cached(sql)?.query_row([int(identity.acked_seq)], row).optional()?)
}

fn drop_oldest_of_tail(db: &Connection, identity: &mut Identity) -> Result<bool, StateError> {
    let Some((seq, bytes, _)) = oldest_of_tail(db, identity)? else { return Ok(false) };
    db.prepare_cached("DELETE FROM records WHERE seq = ?")?.execute([int(seq)])?;
    identity.total.take(1, bytes);
    identity.tail.take(1, bytes);
    // A gap that was acknowledged is told only as long as something before it may have to be sent again.
    let sql = "DELETE FROM tombstones WHERE last <= ?1 \
               AND last < coalesce((SELECT min(seq) FROM records), 9223372036854775807)";
    db.prepare_cached(sql)?.execute([int(identity.acked_seq)])?;
    Ok(true)
}

fn drop_oldest_sample(db: &Connection, identity: &mut Identity, reason: DropReason) -> Result<bool, StateError> {
    let sql = "SELECT seq, bytes, prev, hash FROM records WHERE class = 1 AND seq > ? ORDER BY seq LIMIT 1";
    let row = |row: &Row<'_>| Ok((number(row, 0)?, number(row, 1)?, Hash(row.get(2)?), Hash(row.get(3)?)));
    let oldest = db.prepare_cached(sql)?.query_row([int(identity.acked_seq)], row).optional()?;
    let Some((seq, bytes, prev, last_hash)) = oldest else { return Ok(false) };
    db.prepare_cached("DELETE FROM records WHERE seq = ?")?.execute([int(seq)])?;
    identity.total.take(1, bytes);
    identity.samples.take(1, bytes);
    let mut stone = Stone { prev, told: Tombstone { first: seq, last: seq, last_hash, records: 1, bytes, reason } };
    if let Some(before) = covering(db, seq - 1)?.filter(|before| before.told.reason == reason) {
        stone.prev = before.prev;
        stone.told.first = before.told.first;
        stone.join(&before.told);
    }
    if let Some(after) = covering(db, seq + 1)?.filter(|after| after.told.reason == reason) {
        stone.told.last = after.told.last;
        stone.told.last_hash = after.told.last_hash;
        stone.join(&after.told);
        db.prepare_cached("DELETE FROM tombstones WHERE first = ?")?.execute([int(after.told.first)])?;
    }
    let sql = "INSERT OR REPLACE INTO tombstones (first, last, records, bytes, reason, prev, last_hash) \
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    let Stone { prev, told } = stone;
    db.prepare_cached(sql)?.execute(params![
        int(told.first),
        int(told.last),
        int(told.records),
        int(told.bytes),
        match told.reason {
            DropReason::SpoolFull => 1,
            DropReason::DiskFull => 2,
        },
        prev.0,
        told.last_hash.0,
    ])?;
    Ok(true)
}

/// A tombstone, and the hash of the record before it.
struct Stone {
    prev: Hash,
    told: Tombstone,
}

impl Stone {
    fn join(&mut self, other: &Tombstone) {
        self.told.records += other.records;
        self.told.bytes += other.bytes;
    }
}

/// The tombstone that covers a number.
fn covering(db: &Connection, seq: u64) -> Result<Option<Stone>, StateError> {
    let sql = "SELECT first, last, records, bytes, reason, prev, last_hash FROM tombstones \
               WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
    let row = |row: &Row<'_>| {
        let told = Tombstone {
            first: number(row, 0)?,
            last: number(row, 1)?,
            records: number(row, 2)?,
            bytes: number(row, 3)?,
            reason: if row.get::<_, i64>(4)? == 2 { DropReason::DiskFull } else { DropReason::SpoolFull },
            last_hash: Hash(row.get(6)?),
        };
        Ok(Stone { prev: Hash(row.get(5)?), told })
    };
    let found = db.prepare_cached(sql)?.query_row([int(seq)], row).optional()?;
    Ok(found.filter(|stone| stone.told.last >= seq))
}

/// The number that the spool begins with, and the hash of what came before it.
pub(super) fn first(db: &Connection, identity: &Identity) -> Result<(u64, Hash), StateError> {
    let sql = "SELECT seq, prev FROM records UNION ALL SELECT first, prev FROM tombstones ORDER BY 1 LIMIT 1";
    let row = |row: &Row<'_>| Ok((number(row, 0)?, Hash(row.get(1)?)));
    let found = db.prepare_cached(sql)?.query_row([], row).optional()?;
    Ok(found.unwrap_or((identity.next_seq, identity.last_hash)))
}

/// What is kept from a number on, in order and without a hole.
///
/// # Errors
/// [`StateError::Damaged`] where a number is missing, or a record is not the one that was written.
pub(super) fn fetch(
    db: &Connection,
    identity: &Identity,
    from: u64,
    (records, bytes): (usize, usize),
) -> Result<Vec<Item>, StateError> {
    let mut next = from.max(first(db, identity)?.0);
    let (mut items, mut size) = (Vec::new(), 0);
    while next < identity.next_seq && items.len() < records && size < bytes {
        let item = match record(db, next)? {
            Some(record) => Item::Record(record),
            None => match covering(db, next)? {
                Some(stone) => Item::Tombstone(stone.told),
                None => return Err(StateError::Damaged(format!("record {next} is missing from state.db"))),
            },
        };
        next = item.range().1 + 1;
        size += item.size();
        items.push(item);
    }
    Ok(items)
}

fn record(db: &Connection, seq: u64) -> Result<Option<Record>, StateError> {
    let mut statement = db.prepare_cached("SELECT header, prev, hash, payload FROM records WHERE seq = ?")?;
    let mut rows = statement.query([int(seq)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (header, prev): ([u8; Header::LEN], [u8; 32]) = (row.get(0)?, row.get(1)?);
    let wrong = |why: String| StateError::Damaged(format!("record {seq} in state.db is not what was written: {why}"));
    let record = Record::from_parts(&header, &prev, row.get(3)?).map_err(|error| wrong(error.to_string()))?;
    if record.hash() != Hash(row.get(2)?) {
        return Err(wrong("its hash differs".to_owned()));
    }
    Ok(Some(record))
}

/// The hash of a record, if the spool still knows it.
pub(super) fn hash_of(db: &Connection, seq: u64) -> Result<Option<Hash>, StateError> {
    let mut statement = db.prepare_cached("SELECT hash FROM records WHERE seq = ?")?;
    let found = statement.query_row([int(seq)], |row| Ok(Hash(row.get(0)?))).optional()?;
    if found.is_some() {
        return Ok(found);
    }
    Ok(covering(db, seq)?.filter(|stone| stone.told.last == seq).map(|stone| stone.told.last_hash))
}

/// Counts records up to `through` as acknowledged.
pub(super) fn acknowledge(
    db: &Connection,
    identity: &mut Identity,
    through: u64,
    hash: Hash,
) -> Result<(), StateError> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0), count(*) FILTER (WHERE class = 1), \
               coalesce(sum(bytes) FILTER (WHERE class = 1), 0) FROM records WHERE seq > ? AND seq <= ?";
    let row = |row: &Row<'_>| Ok([number(row, 0)?, number(row, 1)?, number(row, 2)?, number(row, 3)?]);
    let range = [int(identity.acked_seq), int(through)];
    let [records, bytes, sample_records, sample_bytes] = db.prepare_cached(sql)?.query_row(range, row)?;
    identity.tail.add(records, bytes);
    identity.samples.take(sample_records, sample_bytes);
    (identity.acked_seq, identity.acked_hash) = (through, hash);
    Ok(())
}
