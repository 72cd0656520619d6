//! Records out of the ledger, packed: their headers in columns, the hashes of their payloads, and no hash of their own,
//! since it follows. A record that takes 190 bytes in the ledger takes about 45 here.

use anyhow::{Context, Result, bail};
use plumb_proto::record::{Epoch, Hash, Header, genesis, link};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::sql::{int, uint};
use crate::stores::dense::{numbers, put, take};

/// The format that is written.
const VERSION: u8 = 1;
/// An epoch is packed when its oldest record is this old, in milliseconds: then there are enough to fill pages.
const AGE_MS: i64 = 8 * 3_600_000;
/// ... and then all that are this old.
const YOUNGEST_MS: i64 = 3_600_000;
/// Records in one segment.
const MOST: usize = 1_024;

/// A run of records of an epoch.
pub struct Segment {
    /// The number of its first record.
    pub first: u64,
    /// Where the chain stood before it.
    pub prev: Hash,
    /// Where it stood behind it.
    pub hash: Hash,
    /// Header and payload's hash of each record.
    pub records: Vec<([u8; Header::LEN], Hash)>,
}

/// A record of the ledger that is to be packed.
struct Row {
    seq: u64,
    header: Vec<u8>,
    payload_hash: Hash,
    hash: Hash,
    received: i64,
    skew: i64,
}

/// Packs one run of the epoch that has waited longest; answers how many records it moved, `None` if nothing waits.
///
/// # Errors
/// The database's.
pub fn step(conn: &Connection, now: Timestamp) -> Result<Option<usize>> {
    let mut statement = conn.prepare_cached("SELECT receipt FROM retention")?;
    let cursor: i64 = statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(0);
    // the newest row stays: the next receipt is counted on from it
    let mut oldest = conn.prepare_cached(
        "SELECT receipt, epoch, seq, received_ms FROM ledger
         WHERE receipt > ?1 AND receipt < (SELECT max(receipt) FROM ledger) AND reason IS NULL ORDER BY receipt LIMIT 1",
    )?;
    let found = oldest.query_row([cursor], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?)));
    let Some((receipt, epoch, seq, received)): Option<(i64, i64, i64, i64)> = found.optional()? else {
        return Ok(None);
    };
    if received > now.millis().saturating_sub(AGE_MS) {
        return Ok(None);
    }
    let rows = run(conn, epoch, seq, now.millis().saturating_sub(YOUNGEST_MS))?;
    let prev = before(conn, epoch, uint(seq)?)?;
    let good = prev.map_or(0, |prev| holding(prev, &rows));
    let Some((first, last)) = rows[..good].first().zip(rows[..good].last()) else {
        // it does not follow, or it was changed: it stays where it is, and `verify` names it
        move_cursor(conn, receipt)?;
        return Ok(Some(1));
    };
    let mut insert = conn.prepare_cached(
        "INSERT INTO segments (epoch, first, last, prev, hash, records) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let prev = prev.unwrap_or_default();
    let packed = pack(&rows[..good])?;
    insert.execute(params![epoch, int(first.seq)?, int(last.seq)?, prev.0, last.hash.0, packed])?;
    conn.prepare_cached("DELETE FROM ledger WHERE epoch = ?1 AND seq BETWEEN ?2 AND ?3")?.execute(params![
        epoch,
        int(first.seq)?,
        int(last.seq)?
    ])?;
    move_cursor(conn, receipt - 1)?;
    Ok(Some(good))
}

fn move_cursor(conn: &Connection, receipt: i64) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO retention (one, receipt) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET receipt = ?1",
    )?;
    statement.execute([receipt])?;
    Ok(())
}

/// Records without a gap from `seq` on, that could be opened and were received by then.
fn run(conn: &Connection, epoch: i64, seq: i64, received: i64) -> Result<Vec<Row>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, header, payload_hash, hash, received_ms, skew_ms, reason IS NULL AND received_ms <= ?3
         AND receipt < (SELECT max(receipt) FROM ledger) FROM ledger WHERE epoch = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?4",
    )?;
    let mut found = statement.query(params![epoch, seq, received, i64::try_from(MOST)?])?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(row) = found.next()? {
        let next = uint(row.get(0)?)?;
        let follows = rows.last().is_none_or(|last| last.seq + 1 == next);
        if !follows || !row.get::<_, bool>(6)? {
            break;
        }
        rows.push(Row {
            seq: next,
            header: row.get(1)?,
            payload_hash: Hash(row.get(2)?),
            hash: Hash(row.get(3)?),
            received: row.get(4)?,
            skew: row.get(5)?,
        });
    }
    Ok(rows)
}

/// The hash of what lies before a record.
fn before(conn: &Connection, epoch: i64, seq: u64) -> Result<Option<Hash>> {
    if seq <= 1 {
        let id: [u8; 16] = conn
            .prepare_cached("SELECT epoch FROM epochs WHERE no = ?1")?
            .query_row([epoch], |row| row.get(0))
            .context("an epoch that is not there")?;
        return Ok(Some(genesis(Epoch(id))));
    }
    let mut statement = conn.prepare_cached(
        "SELECT hash FROM ledger WHERE epoch = ?1 AND seq = ?2
         UNION ALL SELECT last_hash FROM gaps WHERE epoch = ?1 AND last = ?2
         UNION ALL SELECT hash FROM (SELECT hash, last FROM segments WHERE epoch = ?1 AND first <= ?2
            ORDER BY first DESC LIMIT 1) WHERE last = ?2",
    )?;
    let found = statement.query_row(params![epoch, int(seq - 1)?], |row| row.get(0)).optional()?;
    Ok(found.map(Hash))
}

/// How many of these hold as links behind `prev`, and come back from columns as they are.
fn holding(mut prev: Hash, rows: &[Row]) -> usize {
    let holds = |row: &&Row| {
        let Ok(bytes) = <&[u8; Header::LEN]>::try_from(row.header.as_slice()) else { return false };
        let same = Header::parse(bytes).is_ok_and(|header| header.to_bytes() == *bytes && header.seq == row.seq);
        let follows = link(&prev, bytes, &row.payload_hash) == row.hash;
        prev = row.hash;
        same && follows
    };
    rows.iter().take_while(holds).count()
}

fn pack(rows: &[Row]) -> Result<Vec<u8>> {
    let headers = rows.iter().map(|row| Ok(Header::parse(&row.header)?)).collect::<Result<Vec<_>>>()?;
    let mut bytes = vec![VERSION];
    let boots: Vec<&[Header]> = headers.chunk_by(|one, other| one.boot_id == other.boot_id).collect();
    put(&mut bytes, i64::try_from(boots.len())?);
    for boot in boots {
        put(&mut bytes, i64::try_from(boot.len())?);
        bytes.extend_from_slice(&boot[0].boot_id);
    }
    let of = |value: fn(&Header) -> i64| headers.iter().map(value).collect::<Vec<_>>();
    let sealed = |header: &Header| header.sealed_at().millis();
    let late = rows.iter().zip(&headers).map(|(row, header)| row.received.wrapping_sub(sealed(header)));
    let columns = [
        of(|header| header.t_boot_ns.cast_signed()),
        of(|header| header.t_wall_ns.wrapping_sub(header.t_boot_ns.cast_signed())),
        of(|header| i64::from(header.to_bytes()[CLASS]) << 8 | i64::from(header.to_bytes()[ENCODING])),
        of(|header| i64::from(header.raw_len)),
        of(|header| i64::from(header.payload_len)),
        late.collect(),
        rows.iter().map(|row| row.skew).collect(),
    ];
    for column in columns {
        let mut packed = Vec::new();
        numbers::pack(&column, &mut packed);
        put(&mut bytes, i64::try_from(packed.len())?);
        bytes.append(&mut packed);
    }
    rows.iter().for_each(|row| bytes.extend_from_slice(&row.payload_hash.0));
    Ok(bytes)
}

/// Where a header has its class and its encoding (`record.rs`).
const CLASS: usize = 58;
const ENCODING: usize = 59;

fn cut<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length).context("a segment ends early")?;
    *bytes = rest;
    Ok(head)
}

/// Headers and hashes of payloads, as they were.
fn unpack(mut bytes: &[u8], epoch: Epoch, first: u64, count: usize) -> Result<Vec<([u8; Header::LEN], Hash)>> {
    if cut(&mut bytes, 1)? != [VERSION] || count > MOST {
        bail!("a segment of another format");
    }
    let mut boots = Vec::new();
    for _ in 0..take(&mut bytes)? {
        let length = usize::try_from(take(&mut bytes)?)?;
        let boot: [u8; 16] = cut(&mut bytes, 16)?.try_into()?;
        boots.extend(std::iter::repeat_n(boot, length.min(count.saturating_sub(boots.len()))));
    }
    let mut column = || -> Result<Vec<i64>> {
        let length = usize::try_from(take(&mut bytes)?)?;
        Ok(numbers::unpack(cut(&mut bytes, length)?, count)?)
    };
    let (boot, wall, class, raw, size) = (column()?, column()?, column()?, column()?, column()?);
    (0..2).try_for_each(|_| column().map(drop))?; // received and skew: for people with a shell
    if boots.len() != count || bytes.len() != count * 32 {
        bail!("the parts of a segment do not fit each other");
    }
    let mut records = Vec::with_capacity(count);
    for (at, hash) in bytes.chunks_exact(32).enumerate() {
        let mut header = [0; Header::LEN];
        let parts: [&[u8]; 9] = [
            &plumb_proto::record::VERSION.to_be_bytes(),
            &epoch.0,
            &(first + at as u64).to_be_bytes(),
            &boots[at],
            &boot[at].to_be_bytes(),
            &wall[at].wrapping_add(boot[at]).to_be_bytes(),
            &[(class[at] >> 8) as u8, class[at] as u8],
            &(raw[at] as u32).to_be_bytes(),
            &(size[at] as u32).to_be_bytes(),
        ];
        let mut place = 0;
        for part in parts {
            header[place..place + part.len()].copy_from_slice(part);
            place += part.len();
        }
        records.push((header, Hash(hash.try_into()?)));
    }
    Ok(records)
}

/// The first segment of an epoch that has, or lies behind, a record; the number of its last record comes with it.
pub fn from(conn: &Connection, epoch: i64, seq: u64) -> Result<Option<(u64, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT first, last FROM segments WHERE epoch = ?1 AND last >= ?2 AND first >= coalesce(
         (SELECT max(first) FROM segments WHERE epoch = ?1 AND first <= ?2), 0) ORDER BY first LIMIT 1",
    )?;
    let found = statement.query_row(params![epoch, int(seq)?], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    found.map(|(first, last)| Ok((uint(first)?, uint(last)?))).transpose()
}

/// A segment by its first record.
///
/// # Errors
/// It is not there, or was changed so that it cannot be read.
pub fn read(conn: &Connection, no: i64, epoch: Epoch, first: u64) -> Result<Segment> {
    let mut statement =
        conn.prepare_cached("SELECT last, prev, hash, records FROM segments WHERE epoch = ?1 AND first = ?2")?;
    let (last, prev, hash, bytes): (i64, _, _, Vec<u8>) = statement
        .query_row(params![no, int(first)?], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let count = usize::try_from((uint(last)? + 1).saturating_sub(first))?;
    Ok(Segment { first, prev: Hash(prev), hash: Hash(hash), records: unpack(&bytes, epoch, first, count)? })
}

/// The hash of a record that was packed.
///
/// # Errors
/// Its segment cannot be read.
pub fn record_hash(conn: &Connection, no: i64, epoch: Epoch, seq: u64) -> Result<Option<Hash>> {
    let Some((first, _)) = from(conn, no, seq)?.filter(|(first, _)| *first <= seq) else { return Ok(None) };
    let segment = read(conn, no, epoch, first)?;
    let upto = usize::try_from(seq - first)?;
    let step = |prev: Hash, (header, payload): &([u8; Header::LEN], Hash)| link(&prev, header, payload);
    Ok(Some(segment.records.iter().take(upto + 1).fold(segment.prev, step)))
}
