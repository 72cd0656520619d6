//! What is kept of each file, and how: a row for each folder, with its entries by name.

use crate::host::{Item, Kind, Meta};

use super::reading::Digest;

/// Format of a row, its first byte.
const FORMAT: u8 = 1;

/// An entry of a folder, as it was when it was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// `f`ile, `d`irectory, `l`ink, or something `o`ther.
    pub(super) kind: u8,
    /// Not hashed, because it could not be read.
    pub(super) unread: bool,
    /// To be read again: it changed while it was read (then the digest is the one before), or just before.
    pub(super) unstable: bool,
    /// It counts as code of its tree.
    pub(super) code: bool,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) changed: i64,
    pub(super) digest: Digest,
}

impl Entry {
    /// Of what an entry says of itself; nothing of what it holds.
    pub(super) fn of(item: &Item) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let mut entry = Self { name: item.name.as_bytes().to_vec(), ..Self::default() };
        entry.says(&item.meta);
        entry
    }

    /// Takes over what it says of itself.
    pub(super) fn says(&mut self, meta: &Meta) {
        self.kind = match meta.kind {
            Kind::File => b'f',
            Kind::Folder => b'd',
            Kind::Link => b'l',
            Kind::Other => b'o',
        };
        (self.mode, self.uid, self.gid, self.inode) = (meta.mode, meta.uid, meta.gid, meta.identity.inode().1);
        // Size and times of a folder change with what is in it, which is told for itself.
        let still = matches!(meta.kind, Kind::Folder | Kind::Other);
        (self.size, self.modified, self.changed) = match still {
            true => (0, 0, 0),
            false => (meta.size, meta.identity.modified_ns(), meta.identity.changed_ns()),
        };
    }

    /// True if nothing says that it holds something else now.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let said = |entry: &Self| (entry.kind, entry.inode, entry.size, entry.modified, entry.changed);
        said(self) == said(other) && !self.unread && !self.unstable
    }

    pub(super) fn is_folder(&self) -> bool {
        self.kind == b'd'
    }
}

/// A folder as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Day, since the epoch, on which its files were last read whatever they say of themselves.
    pub(super) read_on: u64,
    /// Sorted by name.
    pub(super) entries: Vec<Entry>,
}

impl Row {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.entries.len() * 48);
        bytes.push(FORMAT);
        put(&mut bytes, self.read_on);
        let mut before = Entry::default();
        for entry in &self.entries {
            put(&mut bytes, entry.name.len() as u64);
            bytes.extend_from_slice(&entry.name);
            let owner = (entry.mode, entry.uid, entry.gid) != (before.mode, before.uid, before.gid);
            let flags = [entry.unread, entry.unstable, entry.code, owner];
            bytes.push(entry.kind);
            bytes.push(flags.iter().enumerate().map(|(bit, set)| u8::from(*set) << bit).sum());
            if owner {
                [entry.mode, entry.uid, entry.gid].iter().for_each(|each| put(&mut bytes, u64::from(*each)));
            }
            put(&mut bytes, signed(difference(entry.inode, before.inode)));
            if matches!(entry.kind, b'f' | b'l') {
                put(&mut bytes, entry.size);
                put(&mut bytes, signed(entry.modified.wrapping_sub(before.modified)));
                put(&mut bytes, signed(entry.changed.wrapping_sub(entry.modified)));
                bytes.extend_from_slice(&entry.digest);
            }
            let modified = if matches!(entry.kind, b'f' | b'l') { entry.modified } else { before.modified };
            before = Entry { modified, mode: entry.mode, uid: entry.uid, gid: entry.gid, inode: entry.inode, ..before };
        }
        bytes
    }

    /// `None`: these bytes are no row.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = bytes.strip_prefix(&[FORMAT])?;
        let mut row = Self { read_on: take(&mut from)?, entries: Vec::new() };
        let mut before = Entry::default();
        while !from.is_empty() {
            let length = usize::try_from(take(&mut from)?).ok()?;
            let name = split(&mut from, length)?.to_vec();
            let [kind, flags] = *split(&mut from, 2)? else { return None };
            let flag = |bit: u8| flags & 1 << bit != 0;
            let mut entry = Entry {
                name,
                kind,
                unread: flag(0),
                unstable: flag(1),
                code: flag(2),
                mode: before.mode,
                uid: before.uid,
                gid: before.gid,
                ..Entry::default()
            };
            if flag(3) {
                for place in [&mut entry.mode, &mut entry.uid, &mut entry.gid] {
                    *place = u32::try_from(take(&mut from)?).ok()?;
                }
            }
            entry.inode = before.inode.wrapping_add_signed(unsigned(take(&mut from)?));
            let mut modified = before.modified;
            if matches!(kind, b'f' | b'l') {
                entry.size = take(&mut from)?;
                entry.modified = before.modified.wrapping_add(unsigned(take(&mut from)?));
                entry.changed = entry.modified.wrapping_add(unsigned(take(&mut from)?));
                entry.digest.copy_from_slice(split(&mut from, 16)?);
                modified = entry.modified;
            }
            before = Entry { modified, mode: entry.mode, uid: entry.uid, gid: entry.gid, inode: entry.inode, ..before };
            row.entries.push(entry);
        }
        Some(row)
    }
}

fn difference(now: u64, before: u64) -> i64 {
    now.wrapping_sub(before).cast_signed()
}

/// Small numbers of either sign become small numbers without one (zig-zag).
fn signed(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unsigned(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Seven bits a byte, the lowest first.
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn split<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (part, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let said = (any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>(), any::<[u8; 16]>());
        let who = (prop::collection::vec(any::<u8>(), 0..20), 0..4_usize, any::<u32>(), any::<u32>(), any::<u32>());
        (who, said, any::<[bool; 3]>()).prop_map(|((name, kind, mode, uid, gid), said, [unread, unstable, code])| {
            let kind = b"fdlo"[kind];
            let (inode, size, modified, changed, digest) = said;
            let plain = Entry { name, kind, unread, unstable, code, mode, uid, gid, inode, ..Entry::default() };
            if matches!(kind, b'f' | b'l') { Entry { size, modified, changed, digest, ..plain } } else { plain }
        })
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was(read_on: u64, entries in prop::collection::vec(entry(), 0..20)) {
            let row = Row { read_on, entries };
            prop_assert_eq!(Row::decode(&row.encode()), Some(row));
        }

        #[test]
        fn any_bytes_are_a_row_or_none_and_never_break(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Row::decode(&bytes);
        }
    }
}
