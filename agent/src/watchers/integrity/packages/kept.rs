//! What is kept of packages: what each file said of itself when it was as it should be, and who owns what in a folder.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::entry::take;
use super::super::reading::digest;
use super::super::tree::{is_within, key};
use crate::host::Meta;
use crate::watcher::Look;

/// Files of packages in a folder, by package.
pub(in super::super) fn owners(look: &Look<'_>, folder: &Path) -> Vec<(String, Vec<u8>)> {
    let prefix = [&key(b'o', folder)[..], &[0, 0]].concat();
    let (mut found, mut last) = (Vec::new(), prefix.clone());
    while let Some((key, names)) = look.kept_after(&last) {
        let Some(package) = key.strip_prefix(prefix.as_slice()) else { break };
        found.push((String::from_utf8_lossy(package).into_owned(), names));
        last = key;
    }
    found
}

/// Names of files of packages in a folder.
pub(in super::super) fn owned(look: &Look<'_>, folder: &Path) -> BTreeSet<Vec<u8>> {
    let names = owners(look, folder).into_iter().flat_map(|(_, names)| {
        names.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
    });
    names.collect()
}

pub(super) fn owned_key(folder: &[u8], package: &str) -> Vec<u8> {
    [&key(b'o', Path::new(OsStr::from_bytes(folder)))[..], &[0, 0], package.as_bytes()].concat()
}

pub(super) fn package_key(package: &str) -> Vec<u8> {
    [b"p", package.as_bytes()].concat()
}

/// True if files of packages lie there, or are likely to.
pub(in super::super) fn is_packaged(look: &Look<'_>, folder: &Path) -> bool {
    let place = key(b'o', folder);
    folder.starts_with("/usr") || look.kept_after(&place).is_some_and(|(found, _)| is_within(&found, &place))
}

/// What is kept of packages that are not there any more goes; `left` are the folders where their files lay.
pub(super) fn forget_removed(look: &mut Look<'_>, there: &BTreeSet<&String>, left: &mut BTreeSet<PathBuf>) {
    let mut last = b"p".to_vec();
    while let Some((key, row)) = look.kept_after(&last) {
        let Some(package) = key.strip_prefix(b"p") else { break };
        let package = String::from_utf8_lossy(package).into_owned();
        if !there.contains(&package) {
            for folder in folders_of(&row).unwrap_or_default() {
                look.drop_kept(owned_key(&folder, &package));
                left.insert(PathBuf::from(OsStr::from_bytes(&folder)));
            }
            look.drop_kept(key.clone());
        }
        last = key;
    }
}

/// What each file said of itself, and the folders; files count only if the list is still the same.
pub(super) fn decode(row: &[u8], state: u64) -> Option<(Vec<u64>, Vec<Vec<u8>>)> {
    let mut from = row;
    let same = take(&mut from)? == state;
    let count = usize::try_from(take(&mut from)?).ok()?;
    let (known, _) = from.split_at_checked(count.checked_mul(8)?)?;
    let known = known.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    Some((if same { known.collect() } else { Vec::new() }, folders_of(row)?))
}

pub(super) fn folders_of(row: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut from = row;
    take(&mut from)?;
    let count = usize::try_from(take(&mut from)?).ok()?;
    let (_, mut from) = from.split_at_checked(count.checked_mul(8)?)?;
    let mut folders = Vec::new();
    while !from.is_empty() {
        let length = usize::try_from(take(&mut from)?).ok()?;
        let (folder, rest) = from.split_at_checked(length)?;
        folders.push(folder.to_vec());
        from = rest;
    }
    Some(folders)
}

/// Keeps a row, if it is another one, and says so.
pub(super) fn keep(look: &mut Look<'_>, key: Vec<u8>, row: Vec<u8>) -> bool {
    let other = look.kept(&key).as_ref() != Some(&row);
    if other {
        look.keep(key, row);
    }
    other
}

/// Another one means that a file may hold something else. Never zero.
pub(super) fn fingerprint(meta: &Meta) -> u64 {
    let identity = &meta.identity;
    let parts =
        [identity.inode().1, meta.size, identity.modified_ns().cast_unsigned(), identity.changed_ns().cast_unsigned()];
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_le_bytes()).collect();
    digest(&bytes)[..8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)).max(1)
}
