//! The database of rpm: one header per package, in a container that depends on the age of the system.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::berkeley;
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
    likely: &[&str],
    found: &mut BTreeMap<PathBuf, Package>,
) -> Result<(), PackagesError> {
    let asked: Vec<(&Path, Vec<u8>, &[u8])> = files.iter().filter_map(|file| split(file)).collect();
    let names: Vec<&[u8]> = asked.iter().map(|(_, _, name)| *name).collect();
    let is_likely = |name: &[u8]| likely.iter().any(|each| name.starts_with(each.as_bytes()));
    // A container without an index is read twice at worst, and then as a whole only for what nobody owns.
    for likely_ones in [true, false] {
        let query = Query { files: true, keys: &names, name_fits: &|name| is_likely(name) == likely_ones };
        each_header(host, database, &query, &mut |header| {
            for (file, folder, name) in &asked {
                if header.has(folder, name)
                    && let Some(package) = header.package()
                {
                    found.insert((*file).to_owned(), package);
                }
            }
        })?;
        if asked.iter().all(|(file, _, _)| found.contains_key(*file)) {
            break;
        }
    }
    Ok(())
}

/// The installed packages among `names`.
pub(super) fn installed(host: &Host, database: &'static str, names: &[&str]) -> Result<Vec<Package>, PackagesError> {
    let wanted: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let mut found = Vec::new();
    let query = Query { files: false, keys: &wanted, name_fits: &|name| wanted.contains(&name) };
    each_header(host, database, &query, &mut |header| found.extend(header.package()))?;
    Ok(found)
}

/// Which headers are wanted.
struct Query<'a> {
    /// Keys are names of files, in whatever folder, not of packages: asked of an index, where there is one.
    files: bool,
    keys: &'a [&'a [u8]],
    /// What the name of the package must be like.
    name_fits: &'a dyn Fn(&[u8]) -> bool,
}

fn each_header(
    host: &Host,
    database: &'static str,
    query: &Query<'_>,
    visit: &mut dyn FnMut(&Header<'_>),
) -> Result<(), PackagesError> {
    let mut bad = 0;
    let mut hand_over = |blob: &[u8]| match Header::parse(blob) {
        Some(header) if header.name().is_some_and(query.name_fits) => visit(&header),
        Some(_) => {}
        None => bad += 1,
    };
    if database.ends_with(".sqlite") {
        sqlite(host, database, query, &mut hand_over)?;
    } else if database.ends_with(".db") {
        return Err(PackagesError::format(database, "rpm's database format ndb is not read"));
    } else {
        let mut file = host.open(database)?;
        let wanted = |start: &[u8]| Header::start(start).and_then(|header| header.name()).is_none_or(query.name_fits);
        let read = berkeley::each(&mut file, RECORD, &wanted, &mut hand_over);
        read.map_err(|what| PackagesError::format(database, what))?;
    }
    if bad > 0 {
        return Err(PackagesError::format(database, format!("{bad} records are not package headers")));
    }
    Ok(())
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
    visit: &mut dyn FnMut(&[u8]),
) -> Result<(), PackagesError> {
    let path = host.open(database)?.path().to_owned();
    let before = (host.stat(&path)?.identity, log_size(host, database));
    if before.1 != 0 {
        return Err(PackagesError::format(database, "packages are being installed or removed"));
    }
    let failed = |error: rusqlite::Error| PackagesError::format(database, error);
    let connection = open(&host.full_path(&path)).map_err(failed)?;
    let table = if query.files { "Basenames" } else { "Name" };
    // Keys are bytes or text, as rpm's release had it.
    let select = format!(
        "SELECT CASE WHEN length(p.blob) <= {RECORD} THEN p.blob END FROM Packages p WHERE p.hnum IN \
         (SELECT hnum FROM {table} WHERE key = ?1 UNION SELECT hnum FROM {table} WHERE key = CAST(?1 AS TEXT))"
    );
    let mut select = connection.prepare(&select).map_err(failed)?;
    for key in query.keys {
        let mut rows = select.query([*key]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let blob = row.get_ref(0).map_err(failed)?.as_blob();
            visit(
                blob.map_err(|_| PackagesError::format(database, format!("a record is bigger than {RECORD} bytes")))?,
            );
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
