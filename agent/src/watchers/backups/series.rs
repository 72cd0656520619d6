//! Backups that belong together, as they lie there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plumb_proto::time::Timestamp;

use super::history::{self, Seen};
use super::names;
use crate::host::{HostError, Identity};

/// A backup as it lies there.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The file, or the file that stands for a folder.
    pub(super) path: PathBuf,
    pub(super) at: Timestamp,
    /// None for a folder: what is in it is not added up.
    pub(super) size: Option<u64>,
    pub(super) identity: Identity,
}

/// Backups of one series.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) kind: String,
    pub(super) folder: Vec<u8>,
    pub(super) encrypted: bool,
    /// Place in the list of what is declared.
    pub(super) declared: Option<usize>,
    /// What is declared could not all be looked at, and why.
    pub(super) failed: Option<HostError>,
    pub(super) files: u64,
    /// Of these, the ones that a rotation gave a counter.
    pub(super) rotated: u64,
    /// The two newest, newest first: the newest may still be written.
    pub(super) newest: Vec<Item>,
    /// When they were written, and their sizes; bounded.
    pub(super) seen: Vec<Seen>,
}

impl Series {
    pub(super) fn see(&mut self, seen: Seen) {
        self.seen.push(seen);
        if self.seen.len() > 1_000 {
            history::merge(&mut self.seen);
        }
    }

    pub(super) fn add(&mut self, item: Item) {
        let position = self.newest.iter().position(|each| (each.at, &each.path) < (item.at, &item.path));
        self.newest.insert(position.unwrap_or(self.newest.len()), item);
        self.newest.truncate(2);
    }
}

/// Where what is rotated away is compressed some days later (logrotate's `delaycompress`), it still is of the series that
/// it came from: alone it would be late all the time.
pub(super) fn join_rotated(all: &mut BTreeMap<Vec<u8>, Series>) {
    let is_rest = |series: &Series| series.declared.is_none() && series.rotated == series.files;
    let rests: Vec<Vec<u8>> = all.iter().filter(|(_, series)| is_rest(series)).map(|(key, _)| key.clone()).collect();
    for key in rests {
        let found = |whole: &&[u8]| all.get(*whole).is_some_and(|series| series.declared.is_none());
        let Some(whole) = names::unpacked(&key).filter(found) else { continue };
        let Some(rest) = all.remove(&key) else { continue };
        let Some(series) = all.get_mut(whole) else { continue };
        series.files += rest.files;
        series.encrypted |= rest.encrypted;
        rest.seen.into_iter().for_each(|seen| series.see(seen));
        rest.newest.into_iter().for_each(|item| series.add(item));
    }
}
