//! What became of a file that is not at the log's path any more, or whose content is not there any more.

use plumb_proto::time::Timestamp;

use super::{Log, MAX_OLD, Old, Open, begin, is_recent};
use crate::host::{Host, HostFile};
use crate::watchers::logs::cursor::Place;
use crate::watchers::logs::rotated::{self, Sibling, Siblings};

impl Log {
    /// What lies beside it; what that takes is counted.
    pub(super) fn around(&mut self, host: &Host, wanted: (u64, u64)) -> Siblings {
        // Where the path is a link, copies lie beside the file, not beside the link.
        let real = host.resolve(&self.path).unwrap_or_else(|_| self.real.clone());
        let around = rotated::around(host, &real, wanted);
        self.asked += around.asked;
        around
    }

    /// The file at the path is the same one, but not its content.
    pub(super) fn emptied(&mut self, host: &Host, place: Place, but: (u64, u64), now: Timestamp) {
        let mut around = self.around(host, (0, 0));
        let copy = around.plain.iter().rposition(|sibling| {
            let opened = begin::open(host, &sibling.path, self.named_by);
            place.head.len() > 0 && opened.is_ok_and(|mut file| rotated::begins(&mut file, place.head))
        });
        let mut since = place.modified;
        match copy {
            Some(at) => {
                let copy = around.plain.remove(at);
                since = copy.meta.identity.modified().millis();
                self.finish_copy(host, &copy, &place, now);
            }
            None if place.offset == 0 && place.head.len() == 0 => {}
            None => self.miss(host, &around, &place, "was emptied or written anew"),
        }
        self.saved.finish(place.head);
        self.take_between(host, around, since, but, now);
    }

    /// Reads the rest of a log from the copy that was taken of it before it was emptied.
    fn finish_copy(&mut self, host: &Host, copy: &Sibling, place: &Place, now: Timestamp) {
        let Ok(mut file) = begin::open(host, &copy.path, self.named_by) else { return };
        if !rotated::continues(&mut file, place) {
            return; // it was read further than the copy goes
        }
        let (device, inode) = copy.meta.identity.inode();
        let place = Place { device, inode, at_end: false, ..place.clone() };
        self.wait_for(Old { open: Open { place, file: Some(file) }, since: Some(now), still: true });
    }

    /// The file that was at the path is there no more.
    pub(super) fn leave(&mut self, host: &Host, open: Open, now: Timestamp, why: &'static str) {
        let Open { mut place, file: held } = open;
        let wanted = (place.device, place.inode);
        let around = self.around(host, wanted);
        let file = match held {
            Some(mut file) => {
                if !rotated::continues(&mut file, &place) {
                    // It was emptied first, and written anew.
                    self.emptied(host, place, (0, 0), now);
                    if !self.has(wanted) {
                        self.wait_for(Old { open: begin::at_start(file), since: Some(now), still: false });
                    }
                    return;
                }
                Some(file)
            }
            None => self.lost(host, &around, &place),
        };
        let found = file.as_ref().map(|file| file.meta().identity);
        // What was empty may have been written, copied and emptied since.
        let since = match (found, &around.same) {
            (Some(found), Some(same)) if place.head.len() > 0 && found.inode() == wanted => {
                same.meta.identity.modified()
            }
            (Some(found), _) if place.head.len() > 0 && found.inode() != wanted => found.modified(),
            _ => Timestamp::from_millis(place.modified),
        };
        self.saved.left = since.millis();
        match file {
            Some(file) => {
                place.at_end = false;
                self.wait_for(Old { open: Open { place, file: Some(file) }, since: Some(now), still: false });
            }
            None => {
                self.miss(host, &around, &place, why);
                self.saved.finish(place.head);
            }
        }
        self.take_between(host, around, since.millis(), found.map_or((0, 0), |found| found.inode()), now);
        self.dirty = true;
    }

    /// A file that is not open any more, in its folder: under another name, or as a copy.
    fn lost(&self, host: &Host, around: &Siblings, place: &Place) -> Option<HostFile> {
        // What was empty begins like every file, so only its inode under a rotated name tells it.
        let same = around
            .same
            .iter()
            .filter(|same| place.head.len() > 0 || around.plain.iter().any(|sibling| sibling.path == same.path));
        let alike = around.plain.iter().rev().filter(|_| place.head.len() > 0);
        let mut opened = same.chain(alike).filter_map(|sibling| begin::open(host, &sibling.path, self.named_by).ok());
        opened.find_map(|mut file| rotated::continues(&mut file, place).then_some(file))
    }

    /// Files that were begun and rotated away between two looks, so that they were never seen at the path.
    pub(super) fn take_between(&mut self, host: &Host, around: Siblings, since: i64, but: (u64, u64), now: Timestamp) {
        for sibling in around.plain {
            let newer = sibling.meta.identity.modified().millis() >= since && sibling.meta.size > 0;
            let inode = sibling.meta.identity.inode();
            if !newer || inode == but || self.has(inode) {
                continue;
            }
            let Ok(mut file) = begin::open(host, &sibling.path, self.named_by) else { continue };
            let mut known = self.saved.finished.iter().chain(self.old.iter().map(|old| &old.open.place.head));
            if !known.any(|head| head.len() > 0 && rotated::begins(&mut file, *head)) {
                self.wait_for(Old { open: begin::at_start(file), since: Some(now), still: false });
            }
        }
    }

    /// Keeps a file until it was read to its end. Each takes a descriptor, so where there are too many one is let go:
    /// one that was read, or else the oldest.
    fn wait_for(&mut self, old: Old) {
        if self.old.len() >= MAX_OLD {
            let at = self.old.iter().position(|old| old.open.place.at_end).unwrap_or(0);
            self.let_go(at, "was rotated more often than is followed");
        }
        self.old.push(old);
    }

    /// Reads a file no further.
    pub(super) fn let_go(&mut self, at: usize, why: &'static str) {
        let Open { place, file } = self.old.remove(at).open;
        match file.map(|mut file| rotated::size(&mut file).saturating_sub(place.offset)) {
            Some(0) => {}
            Some(bytes) => self.miss_bytes(Some(bytes), why),
            None if place.at_end => {}
            None => self.miss_bytes(None, why),
        }
        self.saved.finish(place.head);
        self.dirty = true;
    }

    /// What nobody reads, since nobody says what is in it, is let go in time all the same.
    pub(in crate::watchers::logs) fn expire(&mut self, now: Timestamp) {
        for at in (0..self.old.len()).rev() {
            if !is_recent(*self.old[at].since.get_or_insert(now), now) {
                self.let_go(at, "is not named any more");
            }
        }
    }

    /// Whether a file is open that was at the path before.
    fn has(&self, inode: (u64, u64)) -> bool {
        self.old.iter().any(|old| old.open.file.as_ref().is_some_and(|file| file.meta().identity.inode() == inode))
    }

    /// Opens what is still to be read to its end since before a restart.
    pub(super) fn find_old(&mut self, host: &Host, now: Timestamp) {
        for at in (0..self.old.len()).rev() {
            let place = match &self.old[at].open {
                Open { place, file: None } => place.clone(),
                Open { .. } => continue,
            };
            let around = self.around(host, (place.device, place.inode));
            let found = self.lost(host, &around, &place).filter(|file| !self.has(file.meta().identity.inode()));
            match found {
                Some(file) => {
                    self.old[at].open.file = Some(file);
                    self.old[at].since = Some(now);
                }
                None => {
                    self.old.remove(at);
                    if !place.at_end {
                        self.miss(host, &around, &place, "was rotated away");
                    }
                    self.saved.finish(place.head);
                    self.dirty = true;
                }
            }
        }
    }

    /// Notes that lines may have been lost, unless a compressed copy says that there were none.
    fn miss(&mut self, host: &Host, around: &Siblings, place: &Place, why: &'static str) {
        let since = place.modified;
        let copy = around.compressed.iter().rfind(|copy| copy.meta.identity.modified().millis() >= since);
        let bytes = copy.and_then(|copy| rotated::beyond(host, copy, place.offset));
        if bytes != Some(0) {
            self.miss_bytes(bytes, why);
        }
    }

    /// When a log is met for the first time, what was rotated before is nobody's news.
    pub(super) fn remember_rotated(&mut self, host: &Host) {
        for sibling in self.around(host, (0, 0)).plain {
            if let Ok(mut file) = begin::open(host, &sibling.path, self.named_by) {
                self.saved.finish(rotated::head(&mut file));
            }
        }
    }
}
