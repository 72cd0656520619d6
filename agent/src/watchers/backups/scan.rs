//! Goes through the folders where backups lie, in slices, and groups what lies there into series.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::series::{self, Item, Series};
use super::{Declared, names};
use crate::host::pattern::matches;
use crate::host::{Entry, ErrorKind, Host, HostError, Kind};

/// Folders that one pattern stands for, at most.
const FOLDERS: usize = 4_096;
/// Folders that are visited in one scan.
const VISITS: usize = 5_000;
/// Backups of one folder that are looked at.
const ENTRIES: usize = 10_000;
/// Series of a host that are told.
const SERIES: usize = 500;
/// Files that are asked about in one slice.
const SLICE: usize = 4_000;
/// Folders below a place that are gone into: `/backup/2026-11-21/accounts/user/db.sql.gz`.
const DEPTH: usize = 4;

/// Folders of backup plugins below `wp-content`.
const PLUGINS: [&str; 8] = [
    "updraft",
    "ai1wm-backups",
    "backups-dup-lite",
    "backups-dup-pro",
    "wpvividbackups",
    "backup-*",
    "uploads/backwpup*",
    "uploads/backupbuddy_backups",
];

/// Files by which a folder is known as one backup; what else is in it is its content.
const SETS: [(&str, &str); 7] = [
    ("backup_manifest", "pg_basebackup"),
    ("backup.manifest", "pgbackrest"),
    ("backup.info", "barman"),
    ("xtrabackup_checkpoints", "xtrabackup"),
    ("mariadb_backup_checkpoints", "mariadb-backup"),
    ("toc.dat", "pg_dump-directory"),
    ("metadata", "mydumper"),
];

/// What is to be visited.
struct Visit {
    folder: PathBuf,
    /// Parts of the path that belong to the place and stay as they are.
    fixed: usize,
    depth: usize,
    declared: Option<(usize, OsString)>,
}

impl Visit {
    /// Place in the list of what is declared.
    fn number(&self) -> Option<usize> {
        self.declared.as_ref().map(|(number, _)| *number)
    }
}

/// A scan on its way.
#[derive(Default)]
pub(super) struct Scan {
    todo: VecDeque<Visit>,
    visited: usize,
    pub(super) series: BTreeMap<Vec<u8>, Series>,
    pub(super) folders: Vec<PathBuf>,
    pub(super) failed: Vec<HostError>,
}

impl Scan {
    /// A scan of these places, of plugins' folders below WordPress, and of what is declared.
    pub(super) fn begin(host: &Host, places: &[String], wordpress: &[String], declared: &[Declared]) -> Self {
        let mut scan = Self::default();
        for (number, each) in declared.iter().enumerate() {
            let pattern = Path::new(&each.pattern);
            let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else { continue };
            let kind = names::kind(name.as_bytes()).map_or_else(|| "file".to_owned(), |(kind, _)| kind);
            let folder_name = folder.as_os_str().as_bytes().to_vec();
            let series = Series { kind, folder: folder_name, declared: Some(number), ..Series::default() };
            scan.series.insert(each.name.clone().into_bytes(), series);
            for folder in scan.expand(host, folder, Some(number)) {
                scan.add(folder, 0, Some((number, name.to_owned())));
            }
        }
        let expand = |scan: &mut Self, pattern: &Path| scan.expand(host, pattern, None);
        let mut folders: Vec<PathBuf> = places.iter().flat_map(|place| expand(&mut scan, Path::new(place))).collect();
        for root in wordpress {
            // Most of what the pattern names is no WordPress: only what is one is asked for plugins.
            for content in expand(&mut scan, &Path::new(root).join("wp-content")) {
                folders.extend(PLUGINS.iter().flat_map(|plugin| expand(&mut scan, &content.join(plugin))));
            }
        }
        folders.sort_unstable();
        folders.dedup();
        folders.into_iter().for_each(|folder| scan.add(folder, DEPTH, None));
        scan
    }

    fn add(&mut self, folder: PathBuf, depth: usize, declared: Option<(usize, OsString)>) {
        let fixed = folder.components().count();
        self.todo.push_back(Visit { folder, fixed, depth, declared });
    }

    /// The folders that a pattern stands for. Where it says `*`, links are left alone: users make them.
    fn expand(&mut self, host: &Host, pattern: &Path, declared: Option<usize>) -> Vec<PathBuf> {
        let mut here = vec![PathBuf::from("/")];
        for part in pattern.components() {
            let Component::Normal(part) = part else { continue };
            let mut next = Vec::new();
            for folder in here {
                if !part.as_bytes().contains(&b'*') {
                    next.push(folder.join(part));
                    continue;
                }
                let mut too_many = false;
                let listed = host.resolve(&folder).and_then(|folder| {
                    host.entries(&folder, &mut |name, kind| {
                        if kind == Kind::Folder && matches(part.as_bytes(), name.as_bytes()) {
                            match next.len() < FOLDERS {
                                true => next.push(folder.join(name)),
                                false => too_many = true,
                            }
                        }
                    })
                });
                if too_many {
                    self.note(Some(ErrorKind::TooMany(FOLDERS).at(&folder)), declared);
                }
                self.note(listed.err(), declared);
            }
            here = next;
        }
        here.sort_unstable();
        let mut found = Vec::new();
        for folder in here {
            match host.resolve(&folder).and_then(|real| host.stat(&real).map(|meta| (real, meta.kind))) {
                Ok((real, Kind::Folder)) => found.push(real),
                Ok(_) => {}
                Err(error) => self.note(Some(error), declared),
            }
        }
        found.dedup();
        found
    }

    /// Notes what could not be looked at, and which of what is declared that concerns.
    fn note(&mut self, error: Option<HostError>, declared: Option<usize>) {
        let Some(error) = error.filter(|error| !error.is_absent()) else { return };
        let concerns = |series: &&mut Series| declared.is_some() && series.declared == declared;
        if let Some(series) = self.series.values_mut().find(concerns) {
            series.failed.get_or_insert_with(|| error.clone());
        }
        if self.failed.len() < 100 && !self.failed.contains(&error) {
            self.failed.push(error);
        }
    }

    /// Goes on for a slice of time. False when there is nothing left.
    pub(super) fn go_on(&mut self, host: &Host) -> bool {
        let more = self.visit_some(host);
        if !more {
            series::join_rotated(&mut self.series);
        }
        more
    }

    fn visit_some(&mut self, host: &Host) -> bool {
        let mut asked = 0;
        while let Some(visit) = self.todo.pop_front() {
            self.visited += 1;
            if self.visited > VISITS {
                self.note(Some(ErrorKind::TooMany(VISITS).at(&visit.folder)), visit.number());
                self.todo.clear();
                break;
            }
            asked += 20 + self.visit(host, &visit);
            if asked > SLICE {
                return !self.todo.is_empty();
            }
        }
        false
    }

    /// Visits a folder, and answers how many files were asked about.
    fn visit(&mut self, host: &Host, visit: &Visit) -> usize {
        let mut entries: Vec<Entry> = Vec::new();
        let debian = visit.folder == Path::new("/var/backups");
        let mut too_many = false;
        let listed = host.entries(&visit.folder, &mut |name, kind| {
            let bytes = name.as_bytes();
            let wanted = match (&visit.declared, kind) {
                (Some((_, pattern)), Kind::File) => matches(pattern.as_bytes(), bytes),
                (None, Kind::File) => {
                    is_marker(bytes) || names::kind(bytes).is_some() && !(debian && names::is_debians_own(bytes))
                }
                (None, Kind::Folder) => true,
                _ => false,
            };
            if wanted && entries.len() < ENTRIES {
                entries.push(Entry { name: name.to_owned(), kind });
            } else if wanted {
                too_many = true;
            }
        });
        if too_many {
            self.note(Some(ErrorKind::TooMany(ENTRIES).at(&visit.folder)), visit.number());
        }
        self.note(listed.err(), visit.number());
        entries.sort_unstable();
        let count = entries.len();
        if visit.declared.is_none() && self.take_set(host, visit, &entries) {
            return count;
        }
        for Entry { name, kind } in entries {
            let path = visit.folder.join(&name);
            match kind {
                Kind::Folder if visit.depth > 0 => {
                    let Visit { fixed, depth, .. } = *visit;
                    self.todo.push_back(Visit { folder: path, fixed, depth: depth - 1, declared: None });
                }
                Kind::File => self.take(host, visit, path, names::kind(name.as_bytes()), true),
                _ => {}
            }
        }
        count
    }

    /// A folder that is one backup, or a whole repository, is told as such.
    fn take_set(&mut self, host: &Host, visit: &Visit, entries: &[Entry]) -> bool {
        let has = |name: &str, kind: Kind| entries.iter().any(|entry| entry.name == name && entry.kind == kind);
        if ["data", "index", "keys", "snapshots"].iter().all(|name| has(name, Kind::Folder)) {
            self.take_repository(host, visit, &visit.folder.join("snapshots"), "restic", &|name| name.len() == 64);
            return true;
        }
        if has("data", Kind::Folder) && host.stat(visit.folder.join("config")).is_ok_and(|meta| meta.kind == Kind::File)
        {
            let is_index = |name: &[u8]| name.strip_prefix(b"index.").is_some_and(|n| n.iter().all(u8::is_ascii_digit));
            self.take_repository(host, visit, &visit.folder, "borg", &is_index);
            return true;
        }
        let set = SETS.iter().find(|(marker, _)| has(marker, Kind::File));
        let Some((marker, kind)) = set else { return false };
        self.take(host, visit, visit.folder.join(marker), Some(((*kind).to_owned(), false)), false);
        true
    }

    fn take_repository(
        &mut self,
        host: &Host,
        visit: &Visit,
        folder: &Path,
        kind: &str,
        wanted: &dyn Fn(&[u8]) -> bool,
    ) {
        let mut found = Vec::new();
        let listed = host.entries(folder, &mut |name, each| {
            if each == Kind::File && wanted(name.as_bytes()) && found.len() < ENTRIES {
                found.push(name.to_owned());
            }
        });
        self.note(listed.err(), None);
        for name in found {
            // The last part of the path gives way, so that the folder itself is the series.
            self.take(host, visit, folder.join(name), Some((kind.to_owned(), true)), false);
        }
    }

    fn take(&mut self, host: &Host, visit: &Visit, path: PathBuf, kind: Option<(String, bool)>, is_file: bool) {
        let meta = match host.stat(&path) {
            Ok(meta) if meta.kind == Kind::File => meta,
            Ok(_) => return,
            Err(error) => return self.note(Some(error), visit.number()),
        };
        let key = match visit.number() {
            Some(number) => {
                self.series.iter().find(|(_, each)| each.declared == Some(number)).map(|(key, _)| key.clone())
            }
            None => Some(if is_file { key(&path, visit.fixed) } else { key(&visit.folder, visit.fixed) }),
        };
        let Some(key) = key else { return };
        if self.series.len() >= SERIES && !self.series.contains_key(&key) {
            return self.note(Some(ErrorKind::TooMany(SERIES).at(Path::new("series of backups"))), None);
        }
        let series = self.series.entry(key).or_insert_with_key(|key| Series {
            kind: kind.as_ref().map_or_else(|| "file".to_owned(), |(kind, _)| kind.clone()),
            folder: Path::new(&OsString::from_vec(key.clone()))
                .parent()
                .map(|folder| folder.as_os_str().as_bytes().to_vec())
                .unwrap_or_default(),
            ..Series::default()
        });
        series.files += 1;
        series.rotated += u64::from(is_file && path.file_name().is_some_and(|name| names::is_rotated(name.as_bytes())));
        series.encrypted |= kind.is_some_and(|(_, encrypted)| encrypted);
        let (at, size) = (meta.identity.modified(), is_file.then_some(meta.size));
        series.see((at.millis() / 1000, size.unwrap_or(0)));
        series.add(Item { path, at, size, identity: meta.identity });
        if self.folders.len() < 64 && !self.folders.contains(&visit.folder) {
            self.folders.push(visit.folder.clone());
        }
    }
}

fn is_marker(name: &[u8]) -> bool {
    SETS.iter().any(|(marker, _)| marker.as_bytes() == name)
}

/// The path with what varies replaced, but for the place itself.
fn key(path: &Path, fixed: usize) -> Vec<u8> {
    let mut key = PathBuf::new();
    for (number, part) in path.components().enumerate() {
        let name = part.as_os_str();
        match part {
            Component::Normal(name) if number >= fixed => key.push(OsString::from_vec(names::series(name.as_bytes()))),
            _ => key.push(name),
        }
    }
    key.into_os_string().into_vec()
}
