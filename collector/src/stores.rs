//! The engines that keep what a [`Store`] promises, and the way from an address to one.

#[cfg(test)]
pub(crate) mod contract;
pub mod dense;
pub mod migrate;
pub mod sqlite;

use std::path::Path;

use anyhow::{Result, bail};

use crate::store::Store;

/// Opens a store, migrating it to the schema of this program first: `sqlite:PATH`, or a plain path.
///
/// # Errors
/// The address names no engine of this program; the database is newer than the program, of another program, or damaged;
/// it cannot be read or written. Nothing is set aside or made anew by itself.
pub fn open(address: &str) -> Result<Box<dyn Store>> {
    if let Some(path) = address.strip_prefix("sqlite:") {
        return Ok(Box::new(sqlite::Sqlite::open(Path::new(path))?));
    }
    match address.split_once(':') {
        Some((engine, _)) if !engine.contains('/') => {
            bail!("store address {address:?}: there is no engine {engine:?}; give sqlite:PATH")
        }
        _ => Ok(Box::new(sqlite::Sqlite::open(Path::new(address))?)),
    }
}

/// Keeps files of which only the engine knows, while it works on something big, in this folder: for the whole process.
///
/// # Errors
/// The folder cannot be written to.
pub fn keep_temporary_files_in(folder: &Path) -> Result<()> {
    sqlite::keep_temporary_files_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_does_not_exist_is_named() {
        let error = open("mysql://root@localhost/plumb").err().unwrap().to_string();
        assert_eq!(
            error,
            "store address \"mysql://root@localhost/plumb\": there is no engine \"mysql\"; give sqlite:PATH"
        );
    }
}
