//! Numbered SQL, forward only. Each step runs in one transaction together with its number, so an interrupted migration
//! goes on where it stopped; an existing database is copied first. A newer database is refused with words, and a damaged
//! one is left as it is: the history of a collector is never set aside by itself (reliability.md F28, F29).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode};

/// The steps of the embedded engine, in order; the number of a step is its position, from 1.
pub const SQLITE: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_begin.sql"),
    include_str!("../../migrations/sqlite/0002_users.sql"),
    include_str!("../../migrations/sqlite/0003_small.sql"),
    include_str!("../../migrations/sqlite/0004_indexes.sql"),
];

/// `application_id` of a plumb database: "plmb".
const APPLICATION: i64 = 0x706c_6d62;

/// Brings the database at `path` to the newest of `steps`.
///
/// # Errors
/// The database is newer, of another program, or damaged; a copy or a step fails: then the steps before it stand.
pub fn migrate(conn: &mut Connection, path: &Path, steps: &[&str]) -> Result<()> {
    let (version, known) = (recognise(conn, path, steps)?, i64::try_from(steps.len())?);
    if version == known {
        return Ok(());
    }
    if version > 0 {
        copy(conn, path, version).with_context(|| format!("copy {} ahead of its migration", path.display()))?;
    }
    for (number, step) in (1..).zip(steps).skip(usize::try_from(version)?) {
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(step)
            .and_then(|()| tx.pragma_update(None, "application_id", APPLICATION))
            .and_then(|()| tx.pragma_update(None, "user_version", number))
            .and_then(|()| tx.commit())
            .with_context(|| format!("migrate {} to schema {number}", path.display()))?;
    }
    Ok(())
}

/// The schema of the database at `path`, which these `steps` lead to or beyond; 0: there is nothing in it yet.
///
/// # Errors
/// The database is newer, of another program, or damaged.
pub fn recognise(conn: &Connection, path: &Path, steps: &[&str]) -> Result<i64> {
    let known = i64::try_from(steps.len())?;
    let (application, version) = identity(conn).map_err(|error| explain(error, path))?;
    if application != APPLICATION && (application, version, tables(conn)?) != (0, 0, 0) {
        bail!("{} is a database of another program: give the path of plumb's own", path.display());
    }
    if version > known {
        bail!(
            "{} was written by a newer plumb (schema {version}, this program knows {known}): upgrade plumb, or restore a backup",
            path.display()
        );
    }
    Ok(version)
}

fn identity(conn: &Connection) -> rusqlite::Result<(i64, i64)> {
    let number = |name| conn.pragma_query_value(None, name, |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

fn tables(conn: &Connection) -> Result<i64> {
    Ok(conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?)
}

/// An error of the first read, in words for the operator.
pub fn explain(error: rusqlite::Error, path: &Path) -> anyhow::Error {
    let damaged = matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt));
    let context = if damaged {
        let left = "is damaged or no database: it was left as it is; restore a backup: `plumb-collector restore FILE`";
        format!("{} {left}", path.display())
    } else {
        format!("open {}", path.display())
    };
    anyhow::Error::new(error).context(context)
}

/// Where the database is kept as it was ahead of a migration from `version`.
#[must_use]
pub fn copy_path(path: &Path, version: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{version}"));
    PathBuf::from(name)
}

/// Copies the database whole, under a name of its own first: half a copy is no copy.
fn copy(conn: &Connection, path: &Path, version: i64) -> Result<()> {
    let target = copy_path(path, version);
    let mut half = target.clone().into_os_string();
    half.push(".part");
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    let mut into = Connection::open(&half)?;
    Backup::new(conn, &mut into)?.run_to_completion(1024, Duration::ZERO, None)?;
    into.close().map_err(|(_, error)| error)?;
    File::open(&half)?.sync_all()?;
    std::fs::rename(&half, &target)?;
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::sqlite::testing::Folder;

    const TWO: &[&str] = &["CREATE TABLE one (n INTEGER) STRICT; INSERT INTO one VALUES (7);", "CREATE TABLE two (n);"];

    fn version(conn: &Connection) -> i64 {
        identity(conn).unwrap().1
    }

    #[test]
    fn steps_run_in_order_and_once() {
        let folder = Folder::empty();
        let path = folder.file("db");
        let mut conn = Connection::open(&path).unwrap();
        migrate(&mut conn, &path, &TWO[..1]).unwrap();
        assert!(!copy_path(&path, 0).exists());
        migrate(&mut conn, &path, TWO).unwrap();
        migrate(&mut conn, &path, TWO).unwrap();
        assert_eq!((version(&conn), tables(&conn).unwrap()), (2, 2));
    }

    #[test]
    fn the_database_is_copied_as_it_was_ahead_of_a_step() {
        let folder = Folder::empty();
        let path = folder.file("db");
        let mut conn = Connection::open(&path).unwrap();
        migrate(&mut conn, &path, &TWO[..1]).unwrap();
        migrate(&mut conn, &path, TWO).unwrap();
        let before = Connection::open(copy_path(&path, 1)).unwrap();
        let n: i64 = before.query_row("SELECT n FROM one", [], |row| row.get(0)).unwrap();
        assert_eq!((version(&before), tables(&before).unwrap(), n), (1, 1, 7));
    }

    #[test]
    fn a_step_that_fails_leaves_the_steps_before_it_and_nothing_of_itself() {
        let folder = Folder::empty();
        let path = folder.file("db");
        let mut conn = Connection::open(&path).unwrap();
        let steps = [TWO[0], "CREATE TABLE half (n); CREATE TABLE one (n);"];
        let error = format!("{:#}", migrate(&mut conn, &path, &steps).unwrap_err());
        assert!(error.starts_with(&format!("migrate {} to schema 2: ", path.display())), "{error}");
        assert_eq!((version(&conn), tables(&conn).unwrap()), (1, 1));
        migrate(&mut conn, &path, TWO).unwrap();
        assert_eq!(version(&conn), 2);
    }

    #[test]
    fn a_newer_database_is_refused_with_words() {
        let folder = Folder::empty();
        let path = folder.file("db");
        let mut conn = Connection::open(&path).unwrap();
        migrate(&mut conn, &path, TWO).unwrap();
        let error = migrate(&mut conn, &path, &TWO[..1]).unwrap_err().to_string();
        let told = "was written by a newer plumb (schema 2, this program knows 1): upgrade plumb, or restore a backup";
        assert_eq!(error, format!("{} {told}", path.display()));
    }

    #[test]
    fn a_database_of_another_program_is_not_touched() {
        let folder = Folder::empty();
        let path = folder.file("db");
        let mut conn = Connection::open(&path).unwrap();
        conn.execute_batch("CREATE TABLE theirs (n)").unwrap();
        let error = migrate(&mut conn, &path, TWO).unwrap_err().to_string();
        assert!(error.contains("is a database of another program"), "{error}");
        assert_eq!(tables(&conn).unwrap(), 1);
    }
}
