//! Where a log went when it was rotated: other files in its folder, found by inode, by how they begin, and by name.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::cursor::{HEAD, Place, Print};
use crate::host::{Host, HostFile, Kind, Meta};

/// Rotated files of one log that are looked at, newest first.
const MAX_FILES: usize = 64;
/// Digits of a date.
const DATE: usize = 8;
/// Ends of compressed files.
const COMPRESSED: [&str; 6] = ["gz", "xz", "zst", "bz2", "lz4", "Z"];

/// A file beside a log that goes by its name, or may be it.
#[derive(Clone)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) meta: Meta,
}

/// What lies beside a log.
#[derive(Default)]
pub(super) struct Siblings {
    /// Rotated files as they were written, oldest first.
    pub(super) plain: Vec<Sibling>,
    /// Compressed ones, oldest first.
    pub(super) compressed: Vec<Sibling>,
    /// The file with the inode that was asked for, whatever its name.
    pub(super) same: Option<Sibling>,
    /// Files that had to be asked for.
    pub(super) asked: u64,
}

/// Looks around a log, also for a file by its device and inode.
pub(super) fn around(host: &Host, log: &Path, wanted: (u64, u64)) -> Siblings {
    let mut found = Siblings::default();
    let (Some(folder), Some(base)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return found;
    };
    let Ok(folder) = host.resolve(folder) else { return found };
    let Ok(entries) = host.list(&folder) else { return found };
    let mut others = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.kind == Kind::File && entry.name != base) {
        let Some(compressed) = entry.name.to_str().and_then(|name| rotated(base, name)) else {
            others.push(entry.name);
            continue;
        };
        found.asked += 1;
        let path = folder.join(&entry.name);
        let Ok(meta) = host.stat(&path) else { continue };
        let list = if compressed { &mut found.compressed } else { &mut found.plain };
        list.push(Sibling { path, meta });
    }
    for list in [&mut found.plain, &mut found.compressed] {
        list.sort_by_key(|sibling| sibling.meta.identity.modified());
        let over = list.len().saturating_sub(MAX_FILES);
        list.drain(..over);
    }
    if wanted == (0, 0) {
        return found;
    }
    let is_wanted = |sibling: &Sibling| sibling.meta.identity.inode() == wanted;
    found.same = found.plain.iter().find(|sibling| is_wanted(sibling)).cloned();
    for name in others {
        if found.same.is_some() {
            break;
        }
        found.asked += 1;
        let path = folder.join(name);
        found.same = host.stat(&path).ok().map(|meta| Sibling { path, meta }).filter(is_wanted);
    }
    found
}

/// Whether `name` is a rotated copy of `base`, and if so whether it is compressed: `x.log.1`, `x.log-20261121.gz`,
/// `x-20261121.log`, `x.log.old`.
pub(super) fn rotated(base: &str, name: &str) -> Option<bool> {
    let (name, compressed) = match name.rsplit_once('.') {
        Some((plain, end)) if COMPRESSED.contains(&end) => (plain, true),
        _ => (name, false),
    };
    // Behind the whole name any number will do; within it only a date, as `redis-6380.log` is a log of its own.
    let is_number = |text: &str, digits: usize| {
        text.starts_with(['.', '-', '_'])
            && text.bytes().filter(u8::is_ascii_digit).count() >= digits
            && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b'T'))
    };
    if name == base {
        return compressed.then_some(true); // x.log.gz
    }
    if let Some(rest) = name.strip_prefix(base) {
        return (is_number(rest, 1) || rest == ".old").then_some(compressed);
    }
    let (stem, end) = base.rsplit_once('.')?;
    let rest = name.strip_prefix(stem)?.strip_suffix(end)?.strip_suffix('.')?;
    is_number(rest, DATE).then_some(compressed)
}

/// Bytes of a file from `from` on.
fn part(file: &mut HostFile, from: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(from)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// How many bytes a file has now.
pub(super) fn size(file: &mut HostFile) -> u64 {
    file.seek(SeekFrom::End(0)).unwrap_or(0)
}

/// Whether a file begins as that print says.
pub(super) fn begins(file: &mut HostFile, head: Print) -> bool {
    part(file, 0, head.len().min(HEAD)).is_some_and(|bytes| Print::of(&bytes) == head)
}

/// Whether this is the file that was read up to there: same beginning, not shorter, same bytes before the place.
pub(super) fn continues(file: &mut HostFile, place: &Place) -> bool {
    let Some(from) = place.offset.checked_sub(place.tail.len() as u64) else { return false };
    begins(file, place.head)
        && size(file) >= place.offset
        && part(file, from, place.tail.len()).is_some_and(|bytes| Print::of(&bytes) == place.tail)
}

/// The first bytes of a file, as many as count.
pub(super) fn head(file: &mut HostFile) -> Print {
    let length = size(file).min(HEAD as u64);
    part(file, 0, usize::try_from(length).unwrap_or(0)).map_or(Print::of(b""), |bytes| Print::of(&bytes))
}

/// The bytes of a file before `offset`, as many as count.
pub(super) fn tail(file: &mut HostFile, offset: u64) -> Print {
    let length = offset.min(super::cursor::TAIL as u64);
    let bytes = part(file, offset - length, usize::try_from(length).unwrap_or(0));
    bytes.map_or(Print::of(b""), |bytes| Print::of(&bytes))
}

/// How many bytes beyond `offset` a file had before gzip compressed it, from the end of the compressed file (RFC 1952,
/// ISIZE: modulo 2^32). Nothing of the content is read.
pub(super) fn beyond(host: &Host, sibling: &Sibling, offset: u64) -> Option<u64> {
    if sibling.path.extension().is_none_or(|end| end != "gz") {
        return None;
    }
    let mut file = host.open(&sibling.path).ok()?;
    let end = part(&mut file, sibling.meta.size.checked_sub(4)?, 4)?;
    let size = u64::from(u32::from_le_bytes(end.try_into().ok()?));
    size.checked_sub(offset & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_told_from_other_logs() {
        for name in [
            "access.log.1",
            "access.log.12",
            "access.log-20261121",
            "access.log.old",
            "access-20261121.log",
            "access.log.2026-11-21",
        ] {
            assert_eq!(rotated("access.log", name), Some(false), "{name}");
        }
        for name in ["access.log.2.gz", "access.log-20261121.xz", "access.log.gz", "access-20261121.log.zst"] {
            assert_eq!(rotated("access.log", name), Some(true), "{name}");
        }
        for name in [
            "access.log",
            "access-shop.log",
            "access.log.bak",
            "error.log.1",
            "access.log.1.tmp",
            "access_ssl.log",
            "my-access.log.1",
            "access-6380.log",
            "access0.log",
            "access20261121.log",
            "access.log1",
        ] {
            assert_eq!(rotated("access.log", name), None, "{name}");
        }
        assert_eq!(rotated("messages", "messages-20261121"), Some(false));
        assert_eq!(rotated("access_log", "access_log.processed"), None);
    }

    #[test]
    fn of_a_folder_full_of_other_logs_only_copies_are_asked_for() {
        let mut stage = crate::watcher::testing::stage(&crate::watchers::logs::SPEC);
        for number in 0..200 {
            stage =
                stage.file(&format!("/var/log/site{number}.log"), "").file(&format!("/var/log/site{number}.log.1"), "");
        }
        let around = |wanted| around(stage.host(), Path::new("/var/log/site7.log"), wanted);
        assert_eq!((around((0, 0)).plain.len(), around((0, 0)).asked), (1, 1));
        let copy = around((0, 0)).plain.remove(0);
        let inode = copy.meta.identity.inode();
        assert_eq!((around(inode).same.map(|same| same.path), around(inode).asked), (Some(copy.path), 1));
        assert_eq!(around((1, 1)).asked, 399);
    }
}
