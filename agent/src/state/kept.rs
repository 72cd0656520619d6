//! What watchers keep between looks: ordered rows of bytes, a range of the table `kept` for each watcher.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{State, StateError};
use crate::kept::{Kept, Row};

impl State {
    /// What a watcher keeps under a key.
    ///
    /// # Errors
    /// The state is damaged.
    pub fn kept(&self, watcher: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut statement = self.db.prepare_cached("SELECT value FROM kept WHERE watcher = ? AND key = ?")?;
        Ok(statement.query_row(params![watcher, key], |row| row.get(0)).optional()?)
    }

    /// What a watcher keeps under the next key in the order of bytes, strictly after `key`.
    ///
    /// # Errors
    /// The state is damaged.
    pub fn kept_after(&self, watcher: &str, key: &[u8]) -> Result<Option<Row>, StateError> {
        let next = "SELECT key, value FROM kept WHERE watcher = ? AND key > ? ORDER BY key LIMIT 1";
        let mut statement = self.db.prepare_cached(next)?;
        Ok(statement.query_row(params![watcher, key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }
}

/// Writes what was kept and dropped since the last commit.
pub(super) fn write(tx: &Transaction<'_>, kept: &[(&'static str, Kept)]) -> Result<(), StateError> {
    let mut keep = tx.prepare_cached("INSERT OR REPLACE INTO kept (watcher, key, value) VALUES (?, ?, ?)")?;
    let mut drop = tx.prepare_cached("DELETE FROM kept WHERE watcher = ? AND key = ?")?;
    for (watcher, rows) in kept {
        for (key, value) in rows.iter() {
            match value {
                Some(value) => keep.execute(params![watcher, key, value])?,
                None => drop.execute(params![watcher, key])?,
            };
        }
    }
    Ok(())
}
