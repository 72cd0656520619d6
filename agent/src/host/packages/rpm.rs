//! The database of rpm: one header per package, in a container that depends on the age of the system.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::header::Header;
use super::{Package, PackagesError};
use crate::host::Host;

/// Bytes of one package's record. The kernel's firmware, the biggest, has about one mebibyte.
const RECORD: usize = 16 << 20;

/// Adds the owners of `files` to `found`.
pub(super) fn owners(
    host: &Host,
    database: &'static str,
    files: &[&Path],
    found: &mut BTreeMap<PathBuf, Package>,
) -> Result<(), PackagesError> {
    let asked: Vec<(&Path, Vec<u8>, &[u8])> = files.iter().filter_map(|file| split(file)).collect();
    let names: Vec<&[u8]> = asked.iter().map(|(_, _, name)| *name).collect();
    each_header(host, database, Query::Files(&names), &mut |header| {
        for (file, folder, name) in &asked {
            if header.has(folder, name)
                && let Some(package) = header.package()
            {
                found.insert((*file).to_owned(), package);
            }
        }
    })
}

/// The installed packages among `names`.
pub(super) fn installed(host: &Host, database: &'static str, names: &[&str]) -> Result<Vec<Package>, PackagesError> {
    let wanted: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let mut found = Vec::new();
    each_header(host, database, Query::Names(&wanted), &mut |header| {
        if header.name().is_some_and(|name| wanted.contains(&name)) {
            found.extend(header.package());
        }
    })?;
    Ok(found)
}

/// Which headers are wanted; a container without an index hands over all.
enum Query<'a> {
    /// Those of packages that have a file of one of these names, in whatever folder.
    Files(&'a [&'a [u8]]),
    /// Those of packages of these names.
    Names(&'a [&'a [u8]]),
}

fn each_header(
    host: &Host,
    database: &'static str,
    query: Query<'_>,
    visit: &mut dyn FnMut(&Header<'_>),
) -> Result<(), PackagesError> {
    let mut hand_over = |blob: &[u8]| match Header::parse(blob) {
        Some(header) => {
            visit(&header);
            Ok(())
        }
        None => Err(PackagesError::format(database, "a record is not a package header")),
    };
    if database.ends_with(".sqlite") {
        return sqlite(host, database, &query, &mut hand_over);
    }
    let format = if database.ends_with(".db") { "ndb" } else { "Berkeley DB" };
    Err(PackagesError::format(database, format!("rpm's database format {format} is not read")))
}

fn split(file: &Path) -> Option<(&Path, Vec<u8>, &[u8])> {
    let name = file.file_name()?.as_bytes();
    let mut folder = file.parent()?.as_os_str().as_bytes().to_vec();
    if folder.last() != Some(&b'/') {
        folder.push(b'/');
    }
    Some((file, folder, name))
}

/// SQLite (rpm 4.16 and later). It is opened as a file that nobody writes, so that nothing is written by looking: no
/// lock, no shared memory file. Whoever is writing has a log beside it, and then nothing is said.
fn sqlite(
    host: &Host,
    database: &'static str,
    query: &Query<'_>,
    visit: &mut dyn FnMut(&[u8]) -> Result<(), PackagesError>,
) -> Result<(), PackagesError> {
    let path = host.open(database)?.path().to_owned();
    let before = (host.stat(&path)?.identity, log_size(host, database));
    if before.1 != 0 {
        return Err(PackagesError::format(database, "packages are being installed or removed"));
    }
    let failed = |error: rusqlite::Error| PackagesError::format(database, error);
    let connection = open(&host.full_path(&path)).map_err(failed)?;
    let (table, keys) = match query {
        Query::Files(names) => ("Basenames", names),
        Query::Names(names) => ("Name", names),
    };
    // Keys are bytes or text, as rpm's release had it.
    let select = format!(
        "SELECT CASE WHEN length(p.blob) <= {RECORD} THEN p.blob END FROM Packages p WHERE p.hnum IN \
         (SELECT hnum FROM {table} WHERE key = ?1 UNION SELECT hnum FROM {table} WHERE key = CAST(?1 AS TEXT))"
    );
    let mut select = connection.prepare(&select).map_err(failed)?;
    for key in *keys {
        let mut rows = select.query([*key]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let blob = row.get_ref(0).map_err(failed)?.as_blob();
            visit(blob.map_err(|_| PackagesError::format(database, format!("a record is bigger than {RECORD} bytes")))?)?;
        }
    }
    if (host.stat(&path)?.identity, log_size(host, database)) != before {
        return Err(PackagesError::format(database, "it changed while it was read"));
    }
    Ok(())
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(*byte),
            other => uri.extend_from_slice(format!("%{other:02x}").as_bytes()),
        }
    }
    uri.extend_from_slice(b"?mode=ro&immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(std::ffi::OsStr::from_bytes(&uri), flags)?;
    // A foreign database: trust nothing in its schema, check its pages, and take little memory.
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA cache_size = -128; PRAGMA mmap_size = 0",
    )?;
    Ok(connection)
}

/// Bytes in the log of changes that are not in the database yet.
fn log_size(host: &Host, database: &str) -> u64 {
    host.stat(format!("{database}-wal")).map_or(0, |meta| meta.size)
}
