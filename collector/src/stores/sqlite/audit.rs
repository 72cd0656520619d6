//! The audit chain, as rows.

use anyhow::Result;
use plumb_proto::record::Hash;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::sql::{int, uint};
use crate::audit;
use crate::store::rows::AuditEntry;

/// How many entries there are said to be, and the hash of the last.
fn head(conn: &Connection) -> Result<(u64, Hash)> {
    let mut statement = conn.prepare_cached("SELECT entries, hash FROM audit_head")?;
    let head = statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
    head.map_or(Ok((0, Hash::default())), |(entries, hash)| Ok((uint(entries)?, Hash(hash))))
}

/// Appends to the chain.
pub fn append(conn: &Connection, entry: &AuditEntry) -> Result<()> {
    let (entries, prev) = head(conn)?;
    let (no, hash) = (int(entries + 1)?, audit::link(&prev, entry));
    let mut statement = conn.prepare_cached(
        "INSERT INTO audit (no, at_ms, who, action, subject, allowed, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let (at, subject) = (entry.at.millis(), entry.subject.as_bytes());
    statement.execute(params![no, at, entry.who, entry.action, subject, entry.allowed, entry.detail, hash.0])?;
    conn.prepare_cached(
        "INSERT INTO audit_head (one, entries, hash) VALUES (1, ?1, ?2)
         ON CONFLICT (one) DO UPDATE SET entries = ?1, hash = ?2",
    )?
    .execute(params![no, hash.0])?;
    Ok(())
}

/// When an action was last done: read from the newest entry back.
pub fn last_done(conn: &Connection, action: &str) -> Result<Option<Timestamp>> {
    let mut statement =
        conn.prepare_cached("SELECT at_ms FROM audit WHERE action = ?1 AND allowed = 1 ORDER BY no DESC LIMIT 1")?;
    Ok(statement.query_row([action], |row| row.get(0)).optional()?.map(Timestamp::from_millis))
}

/// Walks the chain; answers how many links held and what did not.
pub fn verify(conn: &Connection) -> Result<(u64, Vec<String>)> {
    let (entries, last) = head(conn)?;
    let mut statement = conn.prepare_cached(
        "SELECT no, at_ms, who, action, subject, allowed, detail, hash FROM audit WHERE no > ?1 AND no <= ?2 ORDER BY no LIMIT 1000",
    )?;
    let (mut through, mut prev, mut links, mut faults) = (0i64, Hash::default(), 0, Vec::new());
    loop {
        let page = statement.query_and_then([through, int(entries)?], entry)?.collect::<Result<Vec<_>>>()?;
        if page.is_empty() {
            break;
        }
        for (no, entry, hash) in page {
            if no != through + 1 {
                faults.push(format!("audit: entry {} is missing", through + 1));
            }
            if audit::link(&prev, &entry) == hash {
                links += 1;
            } else {
                faults.push(format!("audit: entry {no}: it, its hash or the entry before it was changed"));
            }
            (through, prev) = (no, hash);
        }
    }
    if uint(through)? != entries || prev != last {
        faults.push(format!("audit: it ends at entry {through}, its head says {entries}"));
    }
    Ok((links, faults))
}

fn entry(row: &Row<'_>) -> Result<(i64, AuditEntry, Hash)> {
    let subject: Vec<u8> = row.get(4)?;
    let entry = AuditEntry {
        at: Timestamp::from_millis(row.get(1)?),
        who: row.get(2)?,
        action: row.get(3)?,
        subject: subject.into(),
        allowed: row.get(5)?,
        detail: row.get(6)?,
    };
    Ok((row.get(0)?, entry, Hash(row.get(7)?)))
}
