//! The embedded engine: one file, one writer, readers beside it.
//!
//! WAL with `synchronous=FULL`: a commit that has returned survives a power cut, and readers never wait for the writer.
//! Memory-mapped reading is off, so that a bad disk is an error and not a signal. The file is opened by one collector;
//! an administrator's command may write to it meanwhile, and then the cached views are loaded anew.

mod append;
mod audit;
pub mod backup;
mod cache;
mod changes;
mod codec;
mod drifts;
mod events;
mod expire;
mod facts;
mod history;
mod hosts;
mod ledger;
mod load;
mod merge;
mod outbox;
mod packer;
mod questions;
mod samples;
mod segments;
mod sizes;
mod sql;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod tidy;
mod tx;
mod users;
mod verify;

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use plumb_proto::record::HostId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::migrate;
use crate::store::{Questions, Store, Tx};
use cache::Cache;
use packer::Packer;
use tx::SqliteTx;

/// How long a lock is waited for: the only other writer is an administrator's command.
const BUSY: Duration = Duration::from_secs(5);
/// Statements that are kept prepared; the engine has fewer.
const STATEMENTS: usize = 128;
/// The write-ahead log is cut back to this many bytes when it has been taken over into the database.
const WAL_KEPT: i64 = 64 << 20;

/// The store in one SQLite file.
pub struct Sqlite {
    conn: Connection,
    path: PathBuf,
    cache: Cache,
    packer: Packer,
    /// Hosts whose cached view is not committed.
    changed: HashSet<HostId>,
    /// `PRAGMA data_version`: moves when another connection has written.
    version: i64,
}

impl Sqlite {
    /// Opens the file, or makes it, readable to its owner only; migrates it.
    ///
    /// # Errors
    /// See [`crate::stores::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, cache::room())
    }

    /// As [`Sqlite::open`], with room in memory for views of so many bytes, about.
    ///
    /// # Errors
    /// See [`crate::stores::open`].
    pub fn open_with(path: &Path, views: usize) -> Result<Self> {
        // SQLite gives its -wal and -shm files the mode of the database
        let made = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        made.with_context(|| format!("open {}", path.display()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = connect(path, flags)?;
        // A file of before is rewritten below; one that is refused must stay as it is, and this pragma writes to it.
        if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            conn.pragma_update(None, "auto_vacuum", "incremental").map_err(|error| migrate::explain(error, path))?;
        }
        conn.pragma_update(None, "journal_mode", "wal").map_err(|error| migrate::explain(error, path))?;
        conn.pragma_update(None, "synchronous", "full")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
        migrate::migrate(&mut conn, path, migrate::SQLITE)?;
        if conn.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0))? == 0 {
            conn.execute_batch("PRAGMA auto_vacuum = incremental; VACUUM").context("rewrite the database once")?;
        }
        Ok(Self {
            conn,
            path: path.to_owned(),
            cache: Cache::new(views),
            packer: Packer::new()?,
            changed: HashSet::new(),
            version: 0,
        })
    }

    /// Leaves nothing of a transaction that did not come to its end, in the database or in memory.
    fn abandon(&mut self) -> Result<()> {
        for host in self.changed.drain() {
            self.cache.forget(&host);
        }
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK").context("roll back")?;
        }
        Ok(())
    }

    fn work(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<()>) -> Result<()> {
        self.conn.execute_batch("BEGIN IMMEDIATE").context("begin a transaction")?;
        let version = self.conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if std::mem::replace(&mut self.version, version) != version {
            self.cache.clear();
        }
        let Self { conn, cache, packer, changed, .. } = self;
        work(&mut SqliteTx { conn, cache, packer, changed, last_drift: 0 })?;
        self.conn.execute_batch("COMMIT").context("commit")
    }
}

impl Store for Sqlite {
    fn commit(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<()>) -> Result<()> {
        // a panic in the work before this one may have left its transaction open
        self.abandon()?;
        match self.work(work) {
            Ok(()) => {
                self.changed.clear();
                Ok(())
            }
            Err(error) => match self.abandon() {
                Ok(()) => Err(error),
                Err(worse) => Err(error.context(format!("and then: {worse:#}"))),
            },
        }
    }

    fn questions(&self) -> Result<Box<dyn Questions>> {
        let conn = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.pragma_update(None, "query_only", true)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(Box::new(questions::Reader::new(conn)))
    }
}

/// See [`crate::stores::keep_temporary_files_in`]. SQLite would take /var/tmp (sqlite.org/tempfiles.html, section 5); the
/// other way to tell it, the environment, is not to be changed once there are threads.
pub fn keep_temporary_files_in(folder: &Path) -> Result<()> {
    let what = || format!("keep temporary files in {}", folder.display());
    let folder = folder.to_str().with_context(what)?;
    Connection::open_in_memory()?.pragma_update(None, "temp_store_directory", folder).with_context(what)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, flags).map_err(|error| migrate::explain(error, path))?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "mmap_size", 0)?;
    Ok(conn)
}
