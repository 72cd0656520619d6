//! A backup: one file that is itself a database of plumb, with what lies beside the database (the certificate authority)
//! in a table more. No format of its own, no dependency: whatever opens SQLite reads it.
//!
//! The copy is taken in bounded steps **within one read transaction**: it is what was committed when it began, the writer
//! never waits, and it comes to its end under any load. SQLite's backup begins anew whenever another process writes, so
//! without the transaction it would not end on a busy collector; `VACUUM INTO` would, but it rebuilds every table and cannot
//! be done in steps. The price: what is written meanwhile stays in the write-ahead log until the copy has been taken. So the
//! copy is given up when that log grows too much, and the log is taken over here, before a commit of the writer has to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use nix::sys::statvfs::statvfs;
use plumb_proto::record::{Hash, sha256};
use plumb_proto::secret::Secret;
use plumb_proto::time::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::sql::{time, uint};
use super::{audit, connect, verify};
use crate::store::rows::AuditEntry;
use crate::stores::migrate;

/// Pages that are copied at once: 4 MiB.
const STEP: i32 = 1024;
/// How long a step that found the file locked waits, and how often before it gives up: a minute.
const WAIT: Duration = Duration::from_millis(50);
const WAITS: u32 = 1200;
/// So many bytes the write-ahead log may grow meanwhile, at most: what it holds is taken over while others wait, and less
/// than a minute's work even for a slow disk. Nor may it take more than a fourth of what is free on its disk.
const LOG: u64 = 1 << 30;
/// The format of the tables below.
const FORMAT: i64 = 1;
/// Files that a backup holds, and the bytes of each, at most.
const FILES: usize = 64;
const FILE: usize = 64 << 10;

const TABLES: &str = "
    CREATE TABLE plumb_backup (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        format  INTEGER NOT NULL,
        made_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE plumb_backup_files (
        name    TEXT PRIMARY KEY,
        content BLOB NOT NULL,
        sha256  BLOB NOT NULL CHECK (length(sha256) = 32)
    ) STRICT, WITHOUT ROWID;";

/// A small file that lies beside the database: its name and what is in it.
pub type Piece = (String, Secret);

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// When it was made.
    pub made: Timestamp,
    /// Hosts that are not retired.
    pub hosts: u64,
    /// Records of all hosts, those in declared gaps not counted.
    pub records: u64,
    /// When the last of them was received; `None`: there is none.
    pub until: Option<Timestamp>,
    /// Links of its chains that hold, and what does not. `None`: its schema is older than this program's, which can walk its
    /// own only.
    pub history: Option<(u64, Vec<String>)>,
}

/// Makes a backup of the store at `source` in the empty file `into`, with `pieces`, and checks it. `noted` becomes the last
/// entry of its audit chain. The source is only read, whatever its schema.
///
/// # Errors
/// The source is newer, of another program or damaged; something cannot be read or written. Then `into` is of no use.
pub fn make(source: &Path, into: &Path, pieces: &[Piece], noted: &AuditEntry) -> Result<Saved> {
    copy(source, into).with_context(|| format!("copy {}", source.display()))?;
    add(into, pieces, noted).map_err(damaged).with_context(|| format!("no backup was made of {}", source.display()))
}

/// Adds to a copy what makes it a backup, and checks it.
fn add(into: &Path, pieces: &[Piece], noted: &AuditEntry) -> Result<Saved> {
    let mut conn = open(into)?;
    let tx = conn.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.execute("INSERT INTO plumb_backup VALUES (1, ?1, ?2)", params![FORMAT, noted.at.millis()])?;
    for (name, content) in pieces {
        let content = content.expose();
        let row = params![name, content, sha256(&[content]).0];
        tx.execute("INSERT INTO plumb_backup_files VALUES (?1, ?2, ?3)", row)?;
    }
    audit::append(&tx, noted)?;
    tx.commit()?;
    let damages = verify::pages(&conn)?;
    if !damages.is_empty() {
        bail!("it is damaged: {}", damages.join("; "));
    }
    let saved = saved(&conn, into)?;
    close(conn)?;
    Ok(saved)
}

/// Appends to the audit chain of the store at `path`, which is not migrated by it.
///
/// # Errors
/// It cannot be written.
pub fn note(path: &Path, entry: &AuditEntry) -> Result<()> {
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    audit::append(&tx, entry)?;
    Ok(tx.commit()?)
}

/// Says of a file whether it is a backup that this program can restore, as far as a glance tells. It only reads.
///
/// # Errors
/// It is no backup, or a newer plumb made it.
pub fn recognise(path: &Path) -> Result<()> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    match migrate::recognise(&conn, path, migrate::SQLITE) {
        // Not in the words for a store, which advise to restore a backup.
        Err(error) => match error.downcast::<rusqlite::Error>() {
            Ok(sqlite) => Err(anyhow!("{} cannot be read as a backup: {sqlite}", path.display())),
            Err(other) => Err(other),
        },
        Ok(_) => head(&conn, path).map(drop),
    }
}

/// Makes the copy of a backup at `path` into the database that it was, once all of it has been checked, and hands out what
/// lay beside it. `noted` is told when the backup was made, and its answer becomes the last entry of the audit chain.
///
/// # Errors
/// It is no backup, damaged, or changed since; or its chains do not hold, unless `faults` are put up with. Then the copy is
/// of no use.
pub fn unpack(path: &Path, faults: bool, noted: impl FnOnce(&Saved) -> AuditEntry) -> Result<(Saved, Vec<Piece>)> {
    check_and_strip(path, faults, noted).map_err(damaged)
}

fn check_and_strip(path: &Path, faults: bool, noted: impl FnOnce(&Saved) -> AuditEntry) -> Result<(Saved, Vec<Piece>)> {
    let mut conn = open(path)?;
    migrate::recognise(&conn, path, migrate::SQLITE)?;
    head(&conn, path)?;
    integrity(&conn)?;
    let saved = saved(&conn, path)?;
    if let Some((_, broken)) = saved.history.as_ref().filter(|(_, broken)| !broken.is_empty() && !faults) {
        bail!("the history in it is not what was received: {}", broken.join("; "));
    }
    let pieces = pieces(&conn)?;
    // What was in the tables must not stay behind in pages that are free: it is keys.
    conn.pragma_update(None, "secure_delete", true)?;
    let tx = conn.transaction()?;
    tx.execute_batch("DROP TABLE plumb_backup_files; DROP TABLE plumb_backup;")?;
    audit::append(&tx, &noted(&saved))?;
    tx.commit()?;
    close(conn)?;
    Ok((saved, pieces))
}

/// Opens a file that nobody else has open.
fn open(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = connect(path, flags)?;
    // In memory instead of beside the file; and it is synced when it is whole.
    conn.pragma_update(None, "locking_mode", "exclusive")?;
    conn.pragma_update(None, "synchronous", "off")?;
    conn.pragma_update(None, "journal_mode", "memory").map_err(|error| migrate::explain(error, path))?;
    Ok(conn)
}

fn close(conn: Connection) -> Result<()> {
    Ok(conn.close().map_err(|(_, error)| error)?)
}

fn copy(source: &Path, into: &Path) -> Result<()> {
    let from = connect(source, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    from.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let snapshot = Transaction::new_unchecked(&from, TransactionBehavior::Deferred)?;
    migrate::recognise(&snapshot, source, migrate::SQLITE)?; // its first read is what holds the snapshot
    let pages = |pragma| uint(snapshot.pragma_query_value(None, pragma, |row| row.get(0))?);
    has_room(into, pages("page_count")?.saturating_mul(pages("page_size")?))?;
    let log = Log::of(source)?;
    let mut to = open(into)?;
    let done = steps(&snapshot, &mut to, &log);
    if log.grown() > 0 {
        let conn = connect(source, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        drop(snapshot);
        // Passive: it waits for nobody. What it cannot do is left to the writer, as ever.
        let _ = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
    done?;
    close(to)
}

fn steps(from: &Connection, to: &mut Connection, log: &Log) -> Result<()> {
    let backup = Backup::new(from, to)?;
    let mut waits = 0;
    loop {
        match backup.step(STEP)? {
            StepResult::Done => return Ok(()),
            StepResult::More => waits = 0,
            _ if waits == WAITS => bail!("it stayed locked"),
            _ => {
                waits += 1;
                std::thread::sleep(WAIT);
            }
        }
        log.is_short()?;
    }
}

/// Whether the disk of a file that is to be made has room for so many bytes.
fn has_room(file: &Path, bytes: u64) -> Result<()> {
    let free = free_beside(file)?;
    if free < bytes {
        let (free, bytes) = (size(free), size(bytes));
        let folder = file.parent().unwrap_or(Path::new("/")).display();
        bail!("it takes {bytes}, and the disk of {folder} has {free} free: make room there, or choose another disk");
    }
    Ok(())
}

/// Bytes for people, in whole units.
fn size(bytes: u64) -> String {
    if bytes < 10 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

/// Bytes that are free to anybody on the disk of a file's folder.
#[allow(clippy::useless_conversion)] // they are narrower on other machines
fn free_beside(file: &Path) -> Result<u64> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let disk = statvfs(folder).with_context(|| format!("look at the disk of {}", folder.display()))?;
    Ok(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
}

/// The write-ahead log of a database while a snapshot keeps it from being taken over.
struct Log {
    path: PathBuf,
    /// How long it was at the beginning, and how much it may grow.
    begun: u64,
    most: u64,
}

impl Log {
    fn of(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let log = Self { path: path.into(), begun: 0, most: LOG.min(free_beside(database)? / 4) };
        Ok(Self { begun: log.grown(), ..log })
    }

    fn grown(&self) -> u64 {
        let length = std::fs::metadata(&self.path).map_or(0, |file| file.len()); // it may not be there
        length.saturating_sub(self.begun)
    }

    fn is_short(&self) -> Result<()> {
        let (grown, most) = (self.grown() >> 20, self.most >> 20);
        if self.grown() > self.most {
            bail!(
                "it was given up: meanwhile the collector has written {grown} MiB into {}, which stay there until the copy is \
                 complete, and {most} MiB are the most; choose a faster disk for the backup, a quieter hour, or make room",
                self.path.display()
            );
        }
        Ok(())
    }
}

/// When the backup was made.
fn head(conn: &Connection, path: &Path) -> Result<Timestamp> {
    let there =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('plumb_backup', 'plumb_backup_files')";
    let tables: i64 = conn.query_row(there, [], |row| row.get(0))?;
    let head = (tables == 2)
        .then(|| {
            let select = "SELECT format, made_ms FROM plumb_backup";
            conn.query_row(select, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()
        })
        .transpose()?
        .flatten();
    match head {
        Some((FORMAT, made)) => Ok(Timestamp::from_millis(made)),
        Some(_) => bail!("{} is a backup by a newer plumb: upgrade plumb", path.display()),
        None => bail!("{} is no backup: it lacks what `plumb-collector backup` adds to a database", path.display()),
    }
}

/// Says of a page that cannot be read what it means.
fn damaged(error: Error) -> Error {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>()?.sqlite_error_code());
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => error.context("it is damaged"),
        _ => error,
    }
}

/// Every page and every index (sqlite.org/pragma.html, "integrity_check").
fn integrity(conn: &Connection) -> Result<()> {
    let mut said = Vec::new();
    conn.pragma(None, "integrity_check", 4, |row| {
        said.push(row.get::<_, String>(0)?);
        Ok(())
    })?;
    if said != ["ok"] {
        bail!("it is damaged: {}", said.join("; ").replace('\n', "; "));
    }
    Ok(())
}

fn saved(conn: &Connection, path: &Path) -> Result<Saved> {
    let count = |sql| uint(conn.query_row(sql, [], |row| row.get(0))?);
    let known = migrate::recognise(conn, path, migrate::SQLITE)?;
    let history = match usize::try_from(known)? == migrate::SQLITE.len() {
        true => {
            let (mut links, mut faults) = verify::chains(conn)?;
            let (held, failed) = audit::verify(conn)?;
            links += held;
            faults.extend(failed);
            Some((links, faults))
        }
        false => None,
    };
    Ok(Saved {
        made: head(conn, path)?,
        hosts: count("SELECT count(*) FROM hosts WHERE state <> 'retired'")?,
        records: count("SELECT coalesce(sum(next_seq - 1), 0) FROM epochs")?
            .saturating_sub(count("SELECT coalesce(sum(last - first + 1), 0) FROM gaps")?),
        until: time(conn.query_row("SELECT max(seen_ms) FROM epochs", [], |row| row.get(0))?),
        history,
    })
}

fn pieces(conn: &Connection) -> Result<Vec<Piece>> {
    let mut rows = conn.prepare("SELECT name, content, sha256 FROM plumb_backup_files ORDER BY name LIMIT ?1")?;
    let rows = rows.query_map([i64::try_from(FILES)?], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut pieces = Vec::new();
    for row in rows {
        let (name, content, hash): (String, Vec<u8>, [u8; 32]) = row?;
        if content.len() > FILE || sha256(&[&content]) != Hash(hash) {
            bail!("{name:?} in it is not what was saved");
        }
        pieces.push((name, Secret::new(content)));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::sqlite::testing::Folder;

    #[test]
    fn a_log_that_grows_too_much_is_told_with_what_to_do() {
        let folder = Folder::empty();
        let wal = folder.file("db-wal");
        std::fs::write(&wal, vec![0; 2 << 20]).unwrap();
        let log = Log { most: 1 << 20, ..Log::of(&folder.file("db")).unwrap() };
        std::fs::write(&wal, vec![0; 3 << 20]).unwrap();
        log.is_short().unwrap();
        std::fs::write(&wal, vec![0; 5 << 20]).unwrap();
        let error = log.is_short().unwrap_err().to_string();
        assert!(error.starts_with("it was given up: meanwhile the collector has written 3 MiB into "), "{error}");
    }

    #[test]
    fn a_disk_without_room_is_told_before_anything_is_copied() {
        let folder = Folder::empty();
        has_room(&folder.file("plumb.db"), 1).unwrap();
        let error = has_room(&folder.file("plumb.db"), 1 << 60).unwrap_err().to_string();
        assert!(error.starts_with("it takes 1099511627776 MiB, and the disk of "), "{error}");
    }
}
