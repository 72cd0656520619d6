//! SQLite files of sites: where they lie, which version of the library has last written to them, and how big they are.
//! Looked for in and beside document roots, in places that are known for them; nothing but their first bytes is read.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use crate::databases::wire::sqlite::{HEADER, version};
use crate::host::{ErrorKind, Host, HostError, Kind};
use crate::tables::DATABASE;
use crate::watcher::{Look, Progress, Spec, Watcher, minutes};
use crate::web;

/// The watcher `sqlite`.
pub const SPEC: Spec = Spec::new::<Sqlite>(
    "sqlite",
    minutes(30),
    &[&DATABASE],
    r#"
# Further folders with such files, beside what is found near document roots.
folders = []
# Ends of the names of such files.
ends = [".sqlite", ".sqlite3", ".db", ".db3"]
"#,
);

/// Folders below a document root, and below another place.
const DEPTH: usize = 2;
const OTHER_DEPTH: usize = 1;
/// Where else they lie, as seen from a document root: Laravel's and Symfony's, WordPress's, Drupal's.
const PLACES: [&str; 5] = ["../data", "../database", "../var", "wp-content/database", "sites/default/files"];
/// Folders and entries of one look, files that are told, and document roots.
const MAX_FOLDERS: usize = 10_000;
const MAX_ENTRIES: usize = 200_000;
const MAX_FILES: usize = 200;
const MAX_ROOTS: usize = 2_000;
/// Files of one folder that are opened to see whether they are such ones.
const MAX_CANDIDATES: usize = 1_000;
/// A slice ends when it has met so many entries, or took so long.
const ENTRIES: usize = 4_096;
const SLICE: Duration = Duration::from_millis(30);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sqlite {
    folders: Vec<PathBuf>,
    ends: Vec<String>,
    #[serde(skip)]
    search: Option<Search>,
}

/// A look that goes on.
#[derive(Default)]
struct Search {
    todo: Vec<(PathBuf, usize)>,
    seen: BTreeSet<PathBuf>,
    entries: usize,
    files: usize,
    problems: Vec<HostError>,
}

impl Watcher for Sqlite {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        let mut search = self.search.take().unwrap_or_else(|| Search::begin(look.host, &self.folders));
        let (until, before) = (look.host.clock().monotonic() + SLICE, search.entries);
        while let Some((folder, depth)) = search.todo.pop() {
            search.folder(look, &folder, depth, &self.ends);
            if search.entries - before >= ENTRIES || look.host.clock().monotonic() >= until {
                break;
            }
        }
        if !search.todo.is_empty() {
            self.search = Some(search);
            return Ok(Progress::More);
        }
        for error in &search.problems {
            look.problem(&DATABASE, "sqlite/", error.path.clone(), &error.kind, error.hint());
        }
        Ok(if search.files == 0 && search.problems.is_empty() { Progress::Absent } else { Progress::Done })
    }
}

impl Search {
    fn begin(host: &Host, folders: &[PathBuf]) -> Self {
        let configured = web::read(host);
        let mut search = Self { problems: configured.problems.clone(), ..Self::default() };
        for folder in folders {
            search.add(host, folder, OTHER_DEPTH);
        }
        for root in configured.document_roots().iter().take(MAX_ROOTS) {
            search.add(host, root, DEPTH);
            // `..` is taken by its word: behind a link it would be another folder.
            let above = root.parent().unwrap_or(root);
            for place in PLACES {
                let place = place.strip_prefix("../").map_or_else(|| root.join(place), |place| above.join(place));
                search.add(host, &place, OTHER_DEPTH);
            }
        }
        // The last one is taken first.
        search.todo.reverse();
        search
    }

    fn add(&mut self, host: &Host, folder: &Path, depth: usize) {
        let real = host.real(folder.to_owned(), &mut |_| {});
        // A whole disk is no place of a site.
        if let Some(real) = real.filter(|real| real.parent().is_some()) {
            self.todo.push((real, depth));
        }
    }

    fn folder(&mut self, look: &mut Look<'_>, folder: &Path, depth: usize, ends: &[String]) {
        if !self.seen.insert(folder.to_owned()) {
            return;
        }
        if self.seen.len() > MAX_FOLDERS || self.entries > MAX_ENTRIES {
            return self.stop(folder);
        }
        let fits = |name: &OsStr| ends.iter().any(|end| name.as_bytes().ends_with(end.as_bytes()));
        let (mut met, mut files, mut folders) = (0, Vec::new(), Vec::new());
        let read = look.host.entries(folder, &mut |name, kind| {
            met += 1;
            match kind {
                Kind::File if fits(name) && files.len() <= MAX_CANDIDATES => files.push(folder.join(name)),
                Kind::Folder if depth > 0 && folders.len() < MAX_FOLDERS => {
                    folders.push((folder.join(name), depth - 1))
                }
                _ => {}
            }
        });
        self.entries += met;
        self.todo.append(&mut folders);
        match read {
            Ok(()) => {}
            // Written at a place like any other, but it is none, or gone since.
            Err(error) if error.is_absent() || error.kind == ErrorKind::NotRegular => {}
            Err(error) if self.problems.len() < 16 => self.problems.push(error),
            Err(_) => {}
        }
        files.sort_unstable();
        for file in &files {
            if self.files >= MAX_FILES {
                return self.stop(folder);
            }
            self.file(look, file);
        }
    }

    /// There is more than is looked at.
    fn stop(&mut self, folder: &Path) {
        self.todo.clear();
        let why = "more folders or files near document roots than are looked at";
        self.problems.push(ErrorKind::Io(why).at(folder));
    }

    /// Tells a file, if it is one of SQLite.
    fn file(&mut self, look: &mut Look<'_>, path: &Path) {
        let key = Untrusted::from([b"sqlite/", path.as_os_str().as_bytes()].concat());
        let source = path.display().to_string();
        let (bytes, header) = match header(look.host, path) {
            Ok(read) => read,
            Err(error) if error.is_absent() => return,
            Err(error) => {
                // Nobody knows whether it is one, so it has no row of its own.
                return look.problem(&DATABASE, key, source.as_str(), &error.kind, error.hint());
            }
        };
        let Some(version) = version(&header) else { return };
        self.files += 1;
        match version {
            Some(version) => look.fact(&DATABASE, key.clone(), &source, &[("version", Value::Version(version.into()))]),
            None => look.unknown(&DATABASE, key.clone(), "version", "its library does not write it down", ""),
        }
        // What was written last lies beside it (sqlite.org, "Write-Ahead Logging").
        let mut beside = path.as_os_str().to_owned();
        beside.push("-wal");
        let more = look.host.stat(Path::new(&beside)).map_or(0, |meta| meta.size);
        #[allow(clippy::cast_precision_loss)] // 2^53 bytes are 8 PiB
        look.gauge("database_size_bytes", &[("database", &key.to_string())], bytes.saturating_add(more) as f64);
    }
}

/// How big a file is, and its first bytes.
fn header(host: &Host, path: &Path) -> Result<(u64, Vec<u8>), HostError> {
    let mut file = host.open(path)?;
    let mut header = Vec::with_capacity(HEADER);
    let read = (&mut file).take(HEADER as u64).read_to_end(&mut header);
    read.map_err(|error| ErrorKind::from_io(&error).at(path))?;
    Ok((file.meta().size, header))
}

#[cfg(test)]
mod tests;
