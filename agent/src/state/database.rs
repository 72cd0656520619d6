//! The file itself: opened, checked, made, set aside.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::StateError;
use super::identity::Identity;

/// The format that is written; an older one is brought up to it here, a newer one is set aside.
const FORMAT: i64 = 2;
/// "plum": tells the file from any other SQLite database (sqlite.org/fileformat2.html, "application id").
const APPLICATION: i64 = 0x706c_756d;

// Small columns stand before big ones, so that a sum does not read payloads.
const SCHEMA: &str = "
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch BLOB NOT NULL, next_seq INTEGER NOT NULL, last_hash BLOB NOT NULL,
    acked_seq INTEGER NOT NULL, acked_hash BLOB NOT NULL, look INTEGER NOT NULL,
    age_ms INTEGER NOT NULL, began_ms INTEGER NOT NULL,
    total_records INTEGER NOT NULL, total_bytes INTEGER NOT NULL,
    tail_records INTEGER NOT NULL, tail_bytes INTEGER NOT NULL,
    sample_records INTEGER NOT NULL, sample_bytes INTEGER NOT NULL,
    old_epoch BLOB NOT NULL, old_seq INTEGER NOT NULL, old_hash BLOB NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE records (
    seq INTEGER PRIMARY KEY, class INTEGER NOT NULL, bytes INTEGER NOT NULL, age_ms INTEGER NOT NULL,
    header BLOB NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL, payload BLOB NOT NULL
) STRICT;
CREATE INDEX samples ON records (seq) WHERE class = 1;
CREATE TABLE tombstones (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
    reason INTEGER NOT NULL, prev BLOB NOT NULL, last_hash BLOB NOT NULL
) STRICT;
CREATE TABLE declarations (position INTEGER PRIMARY KEY, declared BLOB NOT NULL) STRICT;
CREATE TABLE cursors (
    watcher TEXT NOT NULL, name TEXT NOT NULL, place BLOB NOT NULL, PRIMARY KEY (watcher, name)
) STRICT, WITHOUT ROWID;
";
/// What format 2 has beyond format 1.
const KEPT: &str = "
CREATE TABLE kept (
    watcher TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (watcher, key)
) STRICT, WITHOUT ROWID;
";

/// Where the state of a folder lies.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("state.db")
}

/// Opens the database of a folder, and reads what it says of itself; no identity: it is a new one. An agent that is
/// about to end has `patience` to let go of it.
pub(super) fn open(folder: &Path, patience: Duration) -> Result<(Connection, Option<Identity>), StateError> {
    let db = Connection::open(file(folder))?;
    db.busy_timeout(patience)?;
    // Exclusive: a second agent on the same folder is refused, and the index of the WAL needs no shared memory.
    db.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = -256; \
         PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    let format: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576; \
         PRAGMA wal_autocheckpoint = 128;",
    )?;
    db.set_prepared_statement_cache_capacity(28);
    if tables == 0 && format == 0 {
        return Ok((db, None));
    }
    let application: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application != APPLICATION {
        return Err(StateError::Damaged("state.db is not a state of plumb-agent".to_owned()));
    }
    if format > FORMAT {
        let newer = format!("state.db was written by a newer plumb-agent (format {format}, this one knows {FORMAT})");
        return Err(StateError::Damaged(newer));
    }
    let identity = Identity::load(&db)?;
    if format == 1 {
        let tx = db.unchecked_transaction()?;
        tx.execute_batch(KEPT)?;
        tx.execute_batch(&format!("PRAGMA user_version = {FORMAT};"))?;
        tx.commit()?;
    }
    Ok((db, Some(identity)))
}

/// Makes the tables and says who this is, all or nothing.
pub(super) fn make(db: &Connection, identity: &Identity) -> Result<(), StateError> {
    let tx = db.unchecked_transaction()?;
    tx.execute_batch(SCHEMA)?;
    tx.execute_batch(KEPT)?;
    tx.execute_batch(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};"))?;
    identity.save(&tx)?;
    Ok(tx.commit()?)
}

/// What a database that is to be set aside still tells of itself.
pub(super) fn last_words(folder: &Path) -> Option<Identity> {
    let db = Connection::open(file(folder)).ok()?;
    Identity::load(&db).ok()
}

/// The database and what SQLite keeps beside it.
const SUFFIXES: [&str; 4] = ["-wal", "-shm", "-journal", ""];

/// Moves a database out of the way. One is kept: the one before it goes.
pub(super) fn set_aside(folder: &Path) -> Result<(), StateError> {
    SUFFIXES.into_iter().try_for_each(|suffix| replace(&beside(folder, suffix), &kept(folder, suffix)))
}

/// Undoes it, where no new database could be made.
pub(super) fn take_back(folder: &Path) -> Result<(), StateError> {
    SUFFIXES.into_iter().try_for_each(|suffix| replace(&kept(folder, suffix), &beside(folder, suffix)))
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    folder.join(format!("state.db{suffix}"))
}

fn kept(folder: &Path, suffix: &str) -> PathBuf {
    folder.join(format!("state.db.damaged{suffix}"))
}

/// Puts one file in place of another; where there is none, there is none afterwards.
fn replace(from: &Path, to: &Path) -> Result<(), StateError> {
    remove(to)?;
    match fs::rename(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
