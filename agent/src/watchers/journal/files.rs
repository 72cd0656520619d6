//! The files of the system's journal, and which of them follows which. journald renames a file when it rotates and goes
//! on counting in the next (`seqnum_id`); the file's own id stays.

use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use super::kept::Place;
use crate::host::journal::{Header, Journal as Reader};
use crate::host::{Host, Kind};

/// Where journals lie, one folder each machine id: on disk, or in memory where there is no folder on disk.
const ROOTS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// The file that is being written.
const LIVE: &str = "system.journal";
/// Files whose headers are read.
const MAX_FILES: usize = 1_000;

/// A file of the system's journal.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) header: Header,
}

/// All of them.
#[derive(Default)]
pub(super) struct Files {
    pub(super) found: Vec<Found>,
    pub(super) folders: Vec<PathBuf>,
    /// What cannot be read, and why.
    pub(super) bad: Vec<(PathBuf, String)>,
    /// Users have files of their own, which take numbers of the same count.
    users: bool,
}

impl Files {
    /// Those on disk; those in memory where nothing is written to disk.
    pub(super) fn list(host: &Host) -> Self {
        let mut all = ROOTS.map(|root| Self::below(host, Path::new(root)));
        let on_disk = all[0].live().is_some() || all[1].found.is_empty();
        let mut chosen = std::mem::take(&mut all[usize::from(!on_disk)]);
        // Both are watched: journald moves from memory to disk while the system starts.
        let other = std::mem::take(&mut all[usize::from(on_disk)]);
        chosen.folders.extend(other.folders);
        chosen
    }

    fn below(host: &Host, root: &Path) -> Self {
        let mut files = Self::default();
        let listed = host.resolve(root).and_then(|root| Ok((host.list(&root)?, root)));
        let (machines, root) = match listed {
            Ok(listed) => listed,
            Err(error) if error.is_absent() => return files,
            Err(error) => {
                files.bad.push((root.to_owned(), error.kind.to_string()));
                return files;
            }
        };
        for machine in machines.iter().filter(|entry| entry.kind == Kind::Folder) {
            let folder = root.join(&machine.name);
            match host.list(&folder) {
                Ok(entries) => {
                    for name in entries.iter().filter(|entry| entry.kind == Kind::File).map(|entry| &entry.name) {
                        files.add(host, &folder, &name.to_string_lossy());
                    }
                    files.folders.push(folder);
                }
                Err(error) => files.bad.push((folder, error.kind.to_string())),
            }
        }
        files
    }

    fn add(&mut self, host: &Host, folder: &Path, name: &str) {
        self.users |= name.starts_with("user-");
        let rotated = name.starts_with("system@") && (name.ends_with(".journal") || name.ends_with(".journal~"));
        if !(rotated || name == LIVE) || self.found.len() >= MAX_FILES {
            return;
        }
        let path = folder.join(name);
        match open(host, &path) {
            Ok(reader) => self.found.push(Found { path, header: reader.header().clone() }),
            // What is left of a crash may be no journal at all, for years: only the one that is written matters.
            Err(why) if name == LIVE => self.bad.push((path, why)),
            Err(_) => {}
        }
    }

    /// The file that is being written; of several machine ids, the one written last.
    pub(super) fn live(&self) -> Option<&Found> {
        let live = self.found.iter().filter(|each| each.path.ends_with(LIVE));
        live.max_by_key(|each| each.header.tail_realtime)
    }

    /// The end of a file, as a place.
    pub(super) fn end_of(&self, found: &Found, now: Timestamp) -> Place {
        let header = &found.header;
        // A file that was begun just now is empty: what lies in the others was before.
        let counted = self.found.iter().filter(|each| each.header.seqnum_id == header.seqnum_id);
        let now = u64::try_from(now.millis()).unwrap_or(0).saturating_mul(1_000);
        Place {
            file_id: header.file_id,
            number: header.entries,
            seqnum_id: header.seqnum_id,
            seqnum: counted.map(|each| each.header.tail_seqnum).max().unwrap_or(0),
            realtime: if header.entries == 0 { now } else { header.tail_realtime },
        }
    }

    /// The file that goes on after a place that lies at the end of its own.
    pub(super) fn after(&self, place: &Place) -> Option<&Found> {
        let goes_on = |each: &&Found| {
            let header = &each.header;
            let newer = match header.seqnum_id == place.seqnum_id {
                true => header.tail_seqnum > place.seqnum,
                false => header.tail_realtime > place.realtime,
            };
            newer && header.entries > 0 && header.file_id != place.file_id
        };
        self.found.iter().filter(goes_on).min_by_key(|each| each.header.head_realtime)
    }

    /// Whether something was between a place and the file that goes on; if so, how many entries, where that is known.
    pub(super) fn gap(&self, next: &Found, place: &Place, lost: bool) -> Option<Option<i64>> {
        let header = &next.header;
        if header.seqnum_id != place.seqnum_id {
            return (lost && header.head_realtime > place.realtime).then_some(None);
        }
        let missing = header.head_seqnum.saturating_sub(place.seqnum).saturating_sub(1);
        // Users' files take numbers, too: then a hole tells nothing unless the file is gone that was being read.
        (missing > 0 && (lost || !self.users)).then(|| i64::try_from(missing).ok().filter(|_| !self.users))
    }
}

impl Found {
    pub(super) fn open(&self, host: &Host) -> Result<Reader, String> {
        let reader = open(host, &self.path)?;
        // Between listing and opening journald may have put another file there.
        if reader.header().file_id == self.header.file_id { Ok(reader) } else { Err("replaced just now".to_owned()) }
    }

    pub(super) fn live_path(&self) -> PathBuf {
        self.path.with_file_name(LIVE)
    }
}

fn open(host: &Host, path: &Path) -> Result<Reader, String> {
    let file = host.open(path).map_err(|error| error.kind.to_string())?;
    Reader::open(file).map_err(|error| error.to_string())
}
