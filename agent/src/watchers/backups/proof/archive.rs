//! Archives and compressed files whose form tells that they were not cut, without unpacking anything.

use std::io;

use super::gzip::crc32;
use super::{Source, Verdict, little, piece};

/// Headers of a tar that are visited; of a bigger one only the end is looked at.
const MEMBERS: usize = 2_000;
/// Blocks of zstd that are visited: some 2 GiB, compressed.
const BLOCKS: usize = 20_000;
/// Bytes of a block of tar.
const BLOCK: u64 = 512;

/// Whether it begins with a header of tar whose checksum is right.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    octal(header.get(148..156).unwrap_or_default()) == Some(sum(header)) && header.iter().any(|byte| *byte != 0)
}

/// Two blocks of zeros end an archive (tar(5)). Goes from header to header, so zeros within a file mislead nobody.
pub(super) fn tar(file: &mut dyn Source, size: u64) -> io::Result<Verdict> {
    let mut at = 0_u64;
    for _ in 0..MEMBERS {
        let header = piece(file, at, 1_024)?;
        if header.len() == 1_024 && header.iter().all(|byte| *byte == 0) {
            return Ok(Verdict::Complete);
        }
        if !is_tar(&header) {
            let short = header.len() < 1_024 || header.iter().take(512).all(|byte| *byte == 0);
            let why = if short { "the two empty blocks at the end are missing" } else { "a header is damaged" };
            return Ok(Verdict::Incomplete(why));
        }
        // Hard and symbolic links, devices and folders have no data, whatever their size says.
        let has_data = !matches!(header.get(156), Some(b'1'..=b'6'));
        let length = header.get(124..136).and_then(number).unwrap_or(0);
        let data = if has_data { length.div_ceil(BLOCK).saturating_mul(BLOCK) } else { 0 };
        at = at.saturating_add(BLOCK).saturating_add(data);
        if at >= size {
            return Ok(Verdict::Incomplete("the two empty blocks at the end are missing"));
        }
    }
    tar_end(&piece(file, size.saturating_sub(1_024), 1_024)?, size)
}

fn tar_end(end: &[u8], size: u64) -> io::Result<Verdict> {
    let whole = size.is_multiple_of(BLOCK) && end.len() == 1_024 && end.iter().all(|byte| *byte == 0);
    Ok(if whole { Verdict::Complete } else { Verdict::Incomplete("the two empty blocks at the end are missing") })
}

/// The sum of a header's bytes, its own eight taken for blanks.
fn sum(header: &[u8]) -> u64 {
    let byte = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) };
    header.iter().enumerate().map(byte).sum()
}

fn octal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

/// A number of a header: octal, or in base 256 if the highest bit says so.
fn number(field: &[u8]) -> Option<u64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => Some(field.iter().skip(4).fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        _ => octal(field),
    }
}

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

/// Frames are walked from block to block, without unpacking (RFC 8878, 3.1.1).
pub(super) fn zstd(file: &mut dyn Source, size: u64) -> io::Result<Verdict> {
    let cut = Verdict::Incomplete("it ends within a frame");
    let (mut at, mut visited) = (0_u64, 0);
    while at < size {
        let head = piece(file, at, 18)?;
        match little(&head, 0, 4) {
            Some(0xfd2f_b528) => {}
            Some(0x184d_2a50..=0x184d_2a5f) => {
                let Some(length) = little(&head, 4, 4) else { return Ok(cut) };
                at = at.saturating_add(8 + length);
                continue;
            }
            Some(_) => return Ok(Verdict::Incomplete("something else follows a frame")),
            None => return Ok(cut),
        }
        let Some(descriptor) = head.get(4).copied() else { return Ok(cut) };
        let single = descriptor & 0x20 != 0;
        let size_field = match descriptor >> 6 {
            0 => u64::from(single),
            bits => 1 << bits,
        };
        let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or(0);
        at += 5 + u64::from(!single) + size_field + dictionary;
        loop {
            visited += 1;
            if visited > BLOCKS {
                return Ok(Verdict::Unjudged("it is too big to be gone through"));
            }
            let Some(block) = little(&piece(file, at, 3)?, 0, 3) else { return Ok(cut) };
            // A block of type 1 is one byte, repeated.
            at += 3 + if block >> 1 & 3 == 1 { 1 } else { block >> 3 };
            if block & 1 == 1 {
                break;
            }
        }
        at += if descriptor & 4 != 0 { 4 } else { 0 };
    }
    Ok(if at == size { Verdict::Complete } else { cut })
}

/// Whether what was in a compressed file is a tar, and ends as one: by its first and last bytes.
pub(super) fn tar_within(head: &[u8], tail: &[u8], size: u64) -> Option<Verdict> {
    if !is_tar(head) {
        return None;
    }
    tar_end(tail.get(tail.len().saturating_sub(1_024)..).unwrap_or_default(), size).ok()
}
