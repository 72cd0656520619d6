//! tar (tar(5)): goes from header to header, so zeros within a file mislead nobody, to the two blocks of zeros at the end.

use std::io;

use super::{Source, Verdict, piece};

/// Headers that are visited; of a bigger archive only the end is looked at.
const MEMBERS: usize = 2_000;
/// Bytes of a block.
const BLOCK: u64 = 512;
/// Bytes of extended records that are read: what a file has beside its content may make them long.
const RECORDS: u64 = 65_536;

/// An archive on the way through.
#[derive(Debug, Default)]
pub(in super::super) struct Tar {
    at: u64,
    visited: usize,
    /// Size of the next member, as its extended records have it.
    size: Option<u64>,
    /// Bytes of a sparse file that come after the rest of its map.
    behind_map: Option<u64>,
}

impl Tar {
    /// Goes on by so many headers of the file, which has `size`. `None`: there is more.
    ///
    /// # Errors
    /// Reading failed.
    pub(super) fn go_on(&mut self, file: &mut dyn Source, size: u64, visits: usize) -> io::Result<Option<Verdict>> {
        for _ in 0..visits {
            self.visited += 1;
            if self.visited > MEMBERS {
                return Ok(Some(end(&piece(file, size.saturating_sub(1_024), 1_024)?, size)));
            }
            if let Some(data) = self.behind_map {
                self.map(file, data)?;
            } else if let Some(verdict) = self.member(file)? {
                return Ok(Some(verdict));
            }
            if self.at >= size {
                return Ok(Some(CUT));
            }
        }
        Ok(None)
    }

    fn member(&mut self, file: &mut dyn Source) -> io::Result<Option<Verdict>> {
        let header = piece(file, self.at, 1_024)?;
        if header.len() == 1_024 && header.iter().all(|byte| *byte == 0) {
            return Ok(Some(Verdict::Complete));
        }
        if !is_tar(&header) {
            let short = header.len() < 1_024 || header.iter().take(512).all(|byte| *byte == 0);
            return Ok(Some(if short { CUT } else { Verdict::Incomplete("a header is damaged") }));
        }
        self.skip(BLOCK);
        let kind = header.get(156).copied().unwrap_or(0);
        let told = header.get(124..136).and_then(number).unwrap_or(0);
        let data = match kind {
            // For the next member, maybe with its long name in between.
            b'x' => {
                let length = usize::try_from(told.min(RECORDS)).unwrap_or(0);
                self.size = size_in(&piece(file, self.at, length)?);
                told
            }
            b'g' | b'K' | b'L' => told,
            // Hard and symbolic links, devices and folders have no data, whatever their size says.
            b'1'..=b'6' => {
                self.size = None;
                0
            }
            _ => self.size.take().unwrap_or(told),
        };
        let data = data.div_ceil(BLOCK).saturating_mul(BLOCK);
        // Four pieces of a sparse file are in its header, more in blocks that its size does not count.
        if kind == b'S' && header.get(482).is_some_and(|more| *more != 0) {
            self.behind_map = Some(data);
        } else {
            self.skip(data);
        }
        Ok(None)
    }

    fn map(&mut self, file: &mut dyn Source, data: u64) -> io::Result<()> {
        let more = piece(file, self.at.saturating_add(504), 1)?.first().is_some_and(|more| *more != 0);
        self.skip(BLOCK);
        if !more {
            self.behind_map = None;
            self.skip(data);
        }
        Ok(())
    }

    fn skip(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
    }
}

const CUT: Verdict = Verdict::Incomplete("the two empty blocks at the end are missing");

/// Whether it begins with a header of tar whose checksum is right.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    octal(header.get(148..156).unwrap_or_default()) == Some(sum(header)) && header.iter().any(|byte| *byte != 0)
}

/// Whether what was in a compressed file is a tar, and ends as one: by its first and last bytes.
pub(super) fn tar_within(head: &[u8], tail: &[u8], size: u64) -> Option<Verdict> {
    is_tar(head).then(|| end(tail.get(tail.len().saturating_sub(1_024)..).unwrap_or_default(), size))
}

fn end(end: &[u8], size: u64) -> Verdict {
    let whole = size.is_multiple_of(BLOCK) && end.len() == 1_024 && end.iter().all(|byte| *byte == 0);
    if whole { Verdict::Complete } else { CUT }
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

/// `size` of extended records, `LENGTH KEY=VALUE\n` each; the last one counts (pax(1), "pax Extended Header").
fn size_in(mut records: &[u8]) -> Option<u64> {
    let mut size = None;
    while let Some(blank) = records.iter().position(|byte| *byte == b' ') {
        let length = records.get(..blank).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
        let Some((record, rest)) = length.filter(|length| *length > blank).and_then(|l| records.split_at_checked(l))
        else {
            return size;
        };
        let value = record.get(blank + 1..).and_then(|pair| pair.strip_prefix(b"size=")?.strip_suffix(b"\n"));
        size = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()).or(size);
        records = rest;
    }
    size
}
