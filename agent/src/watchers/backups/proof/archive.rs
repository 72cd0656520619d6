//! Archives and compressed files whose form tells that they were not cut, without unpacking anything.

use std::io;

use super::gzip::crc32;
use super::{Source, Verdict, little, piece};

/// The index and the footer end a stream (The .xz File Format, 2.1.2 and 4).
pub(super) fn xz(file: &mut dyn Source, size: u64) -> io::Result<Verdict> {
    let footer = piece(file, size.saturating_sub(12), 12)?;
    let checked = footer.get(4..10).map(|fields| u64::from(crc32(0, fields)));
    if footer.get(10..) != Some(b"YZ".as_slice()) || checked != little(&footer, 0, 4) {
        return Ok(Verdict::Incomplete("the footer is missing at the end"));
    }
    let index = (little(&footer, 4, 4).unwrap_or(0) + 1) * 4;
    let Some(begin) = size.checked_sub(12 + index).filter(|begin| *begin >= 12) else {
        return Ok(Verdict::Incomplete("its index does not fit into it"));
    };
    let mark = piece(file, begin, 1)?;
    Ok(if mark == [0] { Verdict::Complete } else { Verdict::Incomplete("its index is damaged") })
}

/// The last block is the mark 0x177245385090 and a checksum, beginning at any bit, then at most seven bits of padding.
pub(super) fn bzip2(file: &mut dyn Source, size: u64) -> io::Result<Verdict> {
    const MARK: u64 = 0x1772_4538_5090;
    let end = piece(file, size.saturating_sub(11), 11)?;
    let bits = end.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let found = (0..8).any(|padding| (bits >> (32 + padding)) & 0xffff_ffff_ffff == u128::from(MARK));
    Ok(if found { Verdict::Complete } else { Verdict::Incomplete("its end marker is missing") })
}

/// The end of the central directory is in the last 64 KiB (APPNOTE.TXT, 4.3.16), and the directory before it.
pub(super) fn zip(file: &mut dyn Source, size: u64) -> io::Result<Verdict> {
    let from = size.saturating_sub(65_557);
    let end = piece(file, from, 65_557)?;
    let is_end = |at: &usize| {
        let comment = little(&end, at + 20, 2).and_then(|length| usize::try_from(length).ok());
        end.get(*at..at + 4) == Some(b"PK\x05\x06".as_slice())
            && comment.is_some_and(|length| at + 22 + length == end.len())
    };
    let Some(at) = (0..end.len().saturating_sub(21)).rev().find(is_end) else {
        return Ok(Verdict::Incomplete("the end of its directory is missing"));
    };
    let field = |offset: usize, length: usize| little(&end, at + offset, length).unwrap_or(0);
    let (entries, length, offset) = (field(10, 2), field(12, 4), field(16, 4));
    if length == 0xffff_ffff || offset == 0xffff_ffff || entries == 0xffff {
        let locator = at.checked_sub(20).and_then(|at| end.get(at..at + 4));
        let there = locator == Some(b"PK\x06\x07".as_slice());
        return Ok(if there { Verdict::Complete } else { Verdict::Incomplete("its 64-bit directory is missing") });
    }
    let position = from + u64::try_from(at).unwrap_or(0);
    // What stands before an archive (a program that unpacks itself) shifts the directory.
    let Some(directory) = position.checked_sub(length).filter(|directory| *directory >= offset) else {
        return Ok(Verdict::Incomplete("its directory does not fit into it"));
    };
    let begins = entries == 0 || piece(file, directory, 4)? == b"PK\x01\x02";
    Ok(if begins { Verdict::Complete } else { Verdict::Incomplete("its directory is damaged") })
}

/// The first header says where the last one ends (7zFormat.txt, SignatureHeader).
pub(super) fn seven_zip(head: &[u8], size: u64) -> Verdict {
    let (Some(offset), Some(length)) = (little(head, 12, 8), little(head, 20, 8)) else {
        return Verdict::Incomplete("its header is cut");
    };
    let end = 32_u64.saturating_add(offset).saturating_add(length);
    // The first header is written last: an archive that was not finished has zeros there.
    match length == 0 || end > size {
        true => Verdict::Incomplete("it is shorter than its header says"),
        false => Verdict::Complete,
    }
}
