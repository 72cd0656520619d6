//! A tree that is watched, and what is known of it as a whole.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::entry::{Entry, put, take};
use super::reading::hex;
use crate::host::ErrorKind;

/// Problems of one tree that are remembered.
const PROBLEMS: usize = 50;

/// A tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// As it is called: where a link leads, changes with every release of some sites.
    pub(super) name: PathBuf,
    /// Where it lies.
    pub(super) real: PathBuf,
    /// Whether what is code in it is compared with the baseline.
    pub(super) code: bool,
    pub(super) totals: Totals,
    /// Folders that cannot be looked at, why, and what would help.
    pub(super) problems: BTreeMap<PathBuf, (String, &'static str)>,
}

impl Tree {
    /// What a path below its place is called.
    pub(super) fn shown(&self, real: &Path) -> Option<PathBuf> {
        let rest = real.strip_prefix(&self.real).ok()?;
        Some(if rest.as_os_str().is_empty() { self.name.clone() } else { self.name.join(rest) })
    }

    pub(super) fn cannot(&mut self, folder: &Path, why: &impl ToString, hint: &'static str) {
        if self.problems.len() < PROBLEMS {
            self.problems.insert(folder.to_owned(), (why.to_string(), hint));
        }
    }

    /// Another file system lies there.
    pub(super) fn is_beyond(&mut self, folder: &Path, why: &ErrorKind) {
        self.cannot(folder, why, "name the folder in `ignore` if it is no part of the site");
    }

    /// The key of its totals.
    pub(super) fn key(&self) -> Vec<u8> {
        [b"t", self.name.as_os_str().as_bytes()].concat()
    }
}

/// The key of a folder's row: `/` becomes NUL, so that a folder is followed by all that is below it.
pub(super) fn folder_key(path: &Path) -> Vec<u8> {
    key(b'd', path)
}

pub(super) fn key(kind: u8, path: &Path) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend(path.as_os_str().as_bytes().iter().map(|byte| if *byte == b'/' { 0 } else { *byte }));
    key
}

/// The path of a folder's row.
pub(super) fn folder_path(key: &[u8]) -> PathBuf {
    let bytes: Vec<u8> = key.iter().skip(1).map(|byte| if *byte == 0 { b'/' } else { *byte }).collect();
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

/// True if a row's key is that of a folder or of one below it.
pub(super) fn is_within(key: &[u8], folder: &[u8]) -> bool {
    key.strip_prefix(folder).is_some_and(|rest| matches!(rest.first(), None | Some(0)))
}

/// Sums over all files of a tree. The sum over files is one of lanes of 64 bits, each the sum of a part of the digest of
/// path and content of each file: it does not depend on the order, so one change costs one addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Seen as a whole once: what is new from then on is told.
    pub(super) complete: bool,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Files that could not be read.
    pub(super) unread: u64,
    all: [u64; 4],
    pub(super) code_files: u64,
    code: [u64; 4],
}

impl Totals {
    /// A file of the folder `folder`, a path below the tree, is there.
    pub(super) fn add(&mut self, folder: &Path, entry: &Entry) {
        self.weigh(folder, entry, u64::wrapping_add);
    }

    /// It is not any more.
    pub(super) fn subtract(&mut self, folder: &Path, entry: &Entry) {
        self.weigh(folder, entry, u64::wrapping_sub);
    }

    /// Adds a difference.
    pub(super) fn merge(&mut self, other: &Self) {
        let add = u64::wrapping_add;
        self.files = add(self.files, other.files);
        self.bytes = add(self.bytes, other.bytes);
        self.unread = add(self.unread, other.unread);
        self.code_files = add(self.code_files, other.code_files);
        self.all.iter_mut().zip(other.all).for_each(|(lane, more)| *lane = add(*lane, more));
        self.code.iter_mut().zip(other.code).for_each(|(lane, more)| *lane = add(*lane, more));
    }

    fn weigh(&mut self, folder: &Path, entry: &Entry, apply: fn(u64, u64) -> u64) {
        if entry.is_folder() {
            return;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(folder.as_os_str().as_bytes()).update(b"/").update(&entry.name).update(&[0, entry.kind]);
        let weight = hasher.update(&entry.digest).finalize();
        let mut lanes = [0_u64; 4];
        for (lane, bytes) in lanes.iter_mut().zip(weight.as_bytes().as_chunks::<8>().0) {
            *lane = u64::from_le_bytes(*bytes);
        }
        self.files = apply(self.files, u64::from(entry.kind == b'f'));
        self.bytes = apply(self.bytes, if entry.kind == b'f' { entry.size } else { 0 });
        self.unread = apply(self.unread, u64::from(entry.unread));
        self.all.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum = apply(*sum, lane));
        if entry.code {
            self.code_files = apply(self.code_files, 1);
            self.code.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum = apply(*sum, lane));
        }
    }

    /// One digest of all files.
    pub(super) fn digest(&self) -> String {
        shorten(self.files, &self.all)
    }

    /// One digest of all code.
    pub(super) fn code_digest(&self) -> String {
        shorten(self.code_files, &self.code)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.complete)];
        [self.files, self.bytes, self.unread, self.code_files].iter().for_each(|each| put(&mut bytes, *each));
        self.all.iter().chain(&self.code).for_each(|lane| bytes.extend_from_slice(&lane.to_le_bytes()));
        bytes
    }

    /// `None`: these bytes are no totals.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (complete, mut from) = bytes.split_first()?;
        let mut totals = Self { complete: *complete == 1, ..Self::default() };
        for place in [&mut totals.files, &mut totals.bytes, &mut totals.unread, &mut totals.code_files] {
            *place = take(&mut from)?;
        }
        let (lanes, []) = from.as_chunks::<8>() else { return None };
        for (place, lane) in totals.all.iter_mut().chain(&mut totals.code).zip(lanes) {
            *place = u64::from_le_bytes(*lane);
        }
        Some(totals)
    }
}

fn shorten(files: u64, lanes: &[u64; 4]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&files.to_le_bytes());
    for lane in lanes {
        hasher.update(&lane.to_le_bytes());
    }
    hex(&hasher.finalize().as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_followed_by_what_is_below_it_then_by_its_neighbours() {
        let mut keys: Vec<Vec<u8>> =
            ["/a-b", "/a/b", "/a", "/a/b/c", "/a.b"].map(|path| folder_key(Path::new(path))).into();
        keys.sort();
        let paths: Vec<PathBuf> = keys.iter().map(|key| folder_path(key)).collect();
        assert_eq!(paths, ["/a", "/a/b", "/a/b/c", "/a-b", "/a.b"].map(PathBuf::from));
        assert!(is_within(&keys[2], &keys[0]) && is_within(&keys[0], &keys[0]) && !is_within(&keys[3], &keys[0]));
    }

    #[test]
    fn what_is_added_and_taken_away_again_leaves_nothing_and_order_does_not_matter() {
        let file = |name: &str, byte| Entry {
            name: name.into(),
            kind: b'f',
            size: 5,
            digest: [byte; 16],
            code: true,
            ..Entry::default()
        };
        let (mut one, mut other) = (Totals::default(), Totals::default());
        let folder = Path::new("x");
        one.add(folder, &file("a", 1));
        one.add(folder, &file("b", 2));
        other.add(folder, &file("b", 2));
        other.add(Path::new("y"), &file("b", 2));
        other.add(folder, &file("a", 1));
        assert_ne!(one, other);
        other.subtract(Path::new("y"), &file("b", 2));
        assert_eq!((one, one.digest()), (other, other.digest()));
        assert_eq!(Totals::decode(&one.encode()), Some(one));
        assert_ne!(one.code_digest(), Totals::default().code_digest());
    }
}
