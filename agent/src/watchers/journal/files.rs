//! The files of the system's journal, and which of them follows which. journald renames a file when it rotates and goes
//! on counting in the next (`seqnum_id`); the file's own id stays.
//!
//! Only the folder that is named by this machine's id counts: beside it lie journals of containers, of namespaces, and
//! of what this machine was before it was cloned. That folder may be on disk and in memory, and journald changes from
//! one to the other (start, `--relinquish-var`, a full disk), so the files of both are looked at together.

use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use super::kept::Place;
use crate::host::journal::{Header, Journal as Reader};
use crate::host::{Host, Kind};

/// Where journals lie, one folder each machine id: on disk, and in memory.
const ROOTS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// Tells which of the folders is this machine's (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";
/// The file that is being written.
const LIVE: &str = "system.journal";
/// Files whose headers are read.
const MAX_FILES: usize = 1_000;
/// Numbers and times (2255, in microseconds) above this are damage: believed, they would hide all that comes after.
const MOST: u64 = 1 << 53;

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
    /// Files that other machines write, or this one under another id.
    others: Vec<PathBuf>,
}

impl Files {
    pub(super) fn list(host: &Host) -> Self {
        let mut files = Self::default();
        let machine = files.machine(host);
        for root in ROOTS.map(Path::new) {
            files.below(host, root, machine.as_deref());
        }
        let others = std::mem::take(&mut files.others);
        if files.found.is_empty() && files.bad.is_empty() {
            let why = "this machine has no journal, but /etc/machine-id does not name this folder";
            files.bad.extend(others.into_iter().map(|path| (path, why.to_owned())));
        }
        files
    }

    /// Only those that are being written, in this machine's folders: enough to see whether it is another one now.
    pub(super) fn list_live(host: &Host) -> Self {
        let mut files = Self::default();
        if let Some(machine) = files.machine(host) {
            for root in ROOTS {
                files.add(host, &Path::new(root).join(&machine), LIVE);
            }
        }
        files
    }

    /// This machine's id. None: there is none, or it cannot be read, which is noted.
    fn machine(&mut self, host: &Host) -> Option<String> {
        match host.read_text(MACHINE_ID, 64) {
            // "uninitialized" stands there during the first boot.
            Ok(text) => Some(text.trim().to_owned()).filter(|id| is_machine(id)),
            Err(error) if error.is_absent() => None,
            Err(error) => {
                self.bad.push((PathBuf::from(MACHINE_ID), error.kind.to_string()));
                None
            }
        }
    }

    fn below(&mut self, host: &Host, root: &Path, machine: Option<&str>) {
        let listed = host.resolve(root).and_then(|root| Ok((host.list(&root)?, root)));
        let (machines, root) = match listed {
            Ok(listed) => listed,
            Err(error) if error.is_absent() => return,
            Err(error) => return self.bad.push((root.to_owned(), error.kind.to_string())),
        };
        for each in machines.iter().filter(|entry| entry.kind == Kind::Folder) {
            let folder = root.join(&each.name);
            let name = each.name.to_string_lossy();
            if machine != Some(&*name) {
                let live = folder.join(LIVE);
                if is_machine(&name) && host.stat(&live).is_ok() {
                    self.others.push(live);
                }
                continue;
            }
            match host.list(&folder) {
                Ok(entries) => {
                    for name in entries.iter().filter(|entry| entry.kind == Kind::File).map(|entry| &entry.name) {
                        self.add(host, &folder, &name.to_string_lossy());
                    }
                    self.folders.push(folder);
                }
                Err(error) => self.bad.push((folder, error.kind.to_string())),
            }
        }
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
            // Only one of both roots has it.
            Err(Unread::Absent) => {}
            // What is left of a crash may be no journal at all, for years: only the one that is written matters.
            Err(Unread::Bad(why)) if name == LIVE => self.bad.push((path, why)),
            Err(Unread::Bad(_)) => {}
        }
    }

    /// The file that is being written: of one on disk and one in memory, the one written last.
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
        let reader = open(host, &self.path).map_err(|unread| match unread {
            Unread::Absent => "deleted just now".to_owned(),
            Unread::Bad(why) => why,
        })?;
        // Between listing and opening journald may have put another file there.
        if reader.header().file_id == self.header.file_id { Ok(reader) } else { Err("replaced just now".to_owned()) }
    }

    pub(super) fn live_path(&self) -> PathBuf {
        self.path.with_file_name(LIVE)
    }
}

/// Why a file is not read.
enum Unread {
    Absent,
    Bad(String),
}

fn open(host: &Host, path: &Path) -> Result<Reader, Unread> {
    let file = host.open(path).map_err(|error| match error.is_absent() {
        true => Unread::Absent,
        false => Unread::Bad(error.kind.to_string()),
    })?;
    let reader = Reader::open(file).map_err(|error| Unread::Bad(error.to_string()))?;
    let Header { entries, head_seqnum, tail_seqnum, tail_realtime, .. } = *reader.header();
    let can_be = entries == 0 || (head_seqnum <= tail_seqnum && tail_seqnum < MOST && tail_realtime < MOST);
    if can_be { Ok(reader) } else { Err(Unread::Bad("damaged: its numbers cannot be".to_owned())) }
}

/// Whether a folder is named as those of machines are: neither a namespace's (`ID.NAME`) nor one of received journals.
fn is_machine(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
