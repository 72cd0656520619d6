//! One folder, compared with its row.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::iter::Peekable;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::changes::Changes;
use super::code::{is_any, is_code};
use super::effort::Effort;
use super::entry::{Entry, Row};
use super::reading::{Outcome, Reading, digest};
use super::tree::Totals;
use crate::host::pattern::Pattern;
use crate::host::tree_events::Watch;
use crate::host::{ErrorKind, Folder, Item};
use crate::watcher::Look;

/// Where a folder is, and what holds for it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Number of its tree.
    pub(super) tree: usize,
    pub(super) real: PathBuf,
    /// What it is called.
    pub(super) shown: PathBuf,
    /// Its path below the tree.
    pub(super) below: PathBuf,
    /// Programs keep there what they make anew: only code is looked at, and it is not compared with the baseline.
    pub(super) cache: bool,
    /// Code there counts as the tree's.
    pub(super) code: bool,
    /// What is in it is not told as new: nobody has seen its tree as a whole.
    pub(super) first: bool,
}

/// What came of it.
pub(super) struct Compared {
    pub(super) place: Place,
    pub(super) watch: Option<Watch>,
    /// As it is now; `None` if nothing is to be kept anew.
    pub(super) row: Option<Row>,
    pub(super) totals: Totals,
    pub(super) changes: Changes,
    /// Folders in it, and whether what is in each must be looked at.
    pub(super) folders: Vec<(OsString, bool)>,
    /// Folders that are not there any more.
    pub(super) gone: Vec<OsString>,
    /// Entries on which another file system lies, and why what is in each is not known.
    pub(super) beyond: Vec<(OsString, ErrorKind)>,
}

/// What is said of a file system that lies in a tree.
const MOUNTED: ErrorKind = ErrorKind::Io("another file system is mounted there, which is left out");

/// See the module.
pub(super) struct Comparison {
    items: IntoIter<Item>,
    old: Peekable<IntoIter<Entry>>,
    entries: Vec<Entry>,
    /// Device that the folder is on: what is mounted in it is left out.
    device: u64,
    /// What is mounted in it and was not even asked.
    mounts: Vec<OsString>,
    owned: BTreeSet<Vec<u8>>,
    /// Reads every file, whatever it says of itself.
    thorough: bool,
    read_on: u64,
    /// Something in the row is not as it was.
    moved: bool,
    silent: bool,
    reading: Option<(Entry, Option<Entry>, Reading)>,
    done: Compared,
}

impl Comparison {
    /// `row`: as it is kept, if it is. `owned`: files that belong to packages. `today`: number of the day on which every
    /// file is read, if this is it.
    pub(super) fn new(
        place: Place,
        folder: Folder,
        row: Option<Row>,
        owned: BTreeSet<Vec<u8>>,
        today: Option<u64>,
    ) -> Self {
        let read_on = row.as_ref().map_or(0, |row| row.read_on);
        let thorough = row.is_some() && today.is_some_and(|today| today != read_on);
        let silent = row.is_none() && place.first;
        Self {
            device: folder.meta.identity.inode().0,
            moved: row.is_none() || thorough,
            thorough,
            read_on: today.unwrap_or(read_on),
            silent,
            mounts: folder.mounts,
            items: folder.items.into_iter(),
            old: row.unwrap_or_default().entries.into_iter().peekable(),
            entries: Vec::new(),
            owned,
            reading: None,
            done: Compared {
                place,
                watch: folder.watch,
                row: None,
                totals: Totals::default(),
                changes: Changes::default(),
                folders: Vec::new(),
                gone: Vec::new(),
                beyond: Vec::new(),
            },
        }
    }

    /// Goes on; `true` when it is done.
    pub(super) fn step(&mut self, look: &Look<'_>, ignore: &[Pattern], buffer: &mut [u8], effort: &mut Effort) -> bool {
        while !effort.is_spent(look) {
            if let Some((mut entry, before, mut reading)) = self.reading.take() {
                match reading.step(buffer, effort) {
                    Ok(Outcome::More) => self.reading = Some((entry, before, reading)),
                    Ok(Outcome::Hashed(digest, meta)) => {
                        entry.says(&meta);
                        entry.digest = digest;
                        entry.unstable = is_recent(&entry, look);
                        self.settle(entry, before);
                    }
                    Ok(Outcome::Unstable(meta)) => {
                        entry.says(&meta);
                        entry.unstable = true;
                        entry.digest = before.as_ref().map_or(entry.digest, |before| before.digest);
                        self.settle(entry, before);
                    }
                    Err(error) if error.is_absent() => self.lost(before),
                    Err(_) => {
                        entry.unread = true;
                        self.settle(entry, before);
                    }
                }
                continue;
            }
            let Some(item) = self.items.next() else {
                while let Some(entry) = self.old.next() {
                    self.pass(entry);
                }
                let mounts = std::mem::take(&mut self.mounts).into_iter();
                let watched = mounts.filter(|name| !is_any(ignore, &self.done.place.shown.join(name)));
                self.done.beyond.extend(watched.map(|name| (name, ErrorKind::MayHang)));
                return true;
            };
            effort.asked(1);
            self.item(look, item, ignore, effort);
        }
        false
    }

    fn item(&mut self, look: &Look<'_>, item: Item, ignore: &[Pattern], effort: &mut Effort) {
        let name = item.name.as_bytes();
        while let Some(entry) = self.old.next_if(|old| old.name.as_slice() < name) {
            self.pass(entry);
        }
        let before = self.old.next_if(|old| old.name == name);
        let mut entry = Entry::of(&item);
        let place = &self.done.place;
        let skipped = is_any(ignore, &place.shown.join(&item.name))
            || (place.cache && !entry.is_folder() && !(entry.kind == b'f' && is_code(&place.below, name)));
        if skipped {
            return self.leave_out(before);
        }
        if before.as_ref().is_some_and(|before| before.is_folder() && !entry.is_folder()) {
            self.done.gone.push(item.name.clone());
        }
        if entry.is_folder() {
            let same = before.as_ref().is_some_and(|before| before.is_folder() && before.inode == entry.inode);
            match item.meta.identity.inode().0 == self.device {
                true => self.done.folders.push((item.name, !same)),
                false => self.done.beyond.push((item.name, MOUNTED)),
            }
            return self.settle(entry, before);
        }
        entry.code = place.code && entry.kind == b'f' && is_code(&place.below, name) && !self.owned.contains(name);
        let real = place.real.join(&item.name);
        match &before {
            Some(old) if entry.is_as(old) && !self.thorough && !old.unread && !old.unstable => {
                entry.digest = old.digest;
                self.settle(entry, before);
            }
            _ if entry.kind == b'f' => {
                effort.opened();
                match Reading::blake3(look.host, &real) {
                    Ok(reading) => self.reading = Some((entry, before, reading)),
                    Err(error) if error.is_absent() => self.lost(before),
                    Err(_) => {
                        entry.unread = true;
                        self.settle(entry, before);
                    }
                }
            }
            _ if entry.kind == b'l' => {
                match look.host.read_link(&real) {
                    Ok(target) => entry.digest = digest(target.as_os_str().as_bytes()),
                    Err(_) => entry.unread = true,
                }
                self.settle(entry, before);
            }
            _ => self.settle(entry, before),
        }
    }

    /// An entry is known as it is now.
    fn settle(&mut self, entry: Entry, before: Option<Entry>) {
        if before.as_ref() != Some(&entry) {
            self.moved = true;
            let folder = self.done.place.below.clone();
            if let Some(before) = &before {
                self.done.totals.subtract(&folder, before);
            }
            self.done.totals.add(&folder, &entry);
            if !self.silent {
                self.done.changes.note(before, Some(&entry));
            }
        }
        self.entries.push(entry);
    }

    /// An entry was not met: it is not there any more, or hidden, and then nothing is known of it but what was.
    fn pass(&mut self, before: Entry) {
        match self.mounts.iter().any(|mount| mount.as_bytes() == before.name) {
            true => self.entries.push(before),
            false => self.lost(Some(before)),
        }
    }

    /// An entry is not there any more.
    fn lost(&mut self, before: Option<Entry>) {
        let Some(before) = before else { return };
        self.moved = true;
        self.done.totals.subtract(&self.done.place.below, &before);
        if before.is_folder() {
            self.done.gone.push(OsString::from_vec(before.name.clone()));
        }
        self.done.changes.note(Some(before), None);
    }

    /// An entry is not looked at any more.
    fn leave_out(&mut self, before: Option<Entry>) {
        let Some(before) = before else { return };
        self.moved = true;
        self.done.totals.subtract(&self.done.place.below, &before);
        if before.is_folder() {
            self.done.gone.push(OsString::from_vec(before.name));
        }
    }

    /// What came of it, at its end.
    pub(super) fn finish(mut self) -> Compared {
        if self.moved {
            self.done.row = Some(Row { read_on: self.read_on, entries: self.entries });
        }
        self.done
    }
}

/// A file that changed just now may change once more without another time: file systems count in ticks of some
/// milliseconds (current_time(9)).
fn is_recent(entry: &Entry, look: &Look<'_>) -> bool {
    entry.changed / 1_000_000 > look.now.millis() - 1_000
}

/// The path of a folder below its tree.
pub(super) fn below(tree: &Path, shown: &Path) -> PathBuf {
    shown.strip_prefix(tree).map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plumb_proto::time::ManualClock;

    use super::*;
    use crate::host::Host;
    use crate::watcher::testing::NOW;

    #[test]
    fn another_file_system_in_a_folder_is_not_gone_into_and_is_said_to_be_left_out() {
        let host = Host::new("/", Arc::new(ManualClock::at(NOW)));
        let mut folder = host.examine("/".as_ref(), None).unwrap();
        folder.items.retain(|item| item.name == "proc");
        let place = Place {
            tree: 0,
            real: "/".into(),
            shown: "/".into(),
            below: PathBuf::new(),
            cache: false,
            code: true,
            first: true,
        };
        let nothing = |_: &str| None;
        let look = Look::new(&host, NOW, &[], &nothing);
        let ended = |ignore: &[Pattern]| {
            let mut comparison = Comparison::new(place.clone(), folder.clone(), None, BTreeSet::new(), None);
            assert!(comparison.step(&look, ignore, &mut [], &mut Effort::new(&look)));
            let Compared { folders, beyond, .. } = comparison.finish();
            (folders, beyond)
        };
        assert_eq!(ended(&[]), (Vec::new(), vec![("proc".into(), MOUNTED)]));
        assert_eq!(ended(&[Pattern::from("/proc".to_owned())]), (Vec::new(), Vec::new()));
    }
}
