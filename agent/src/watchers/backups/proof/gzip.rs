//! gzip (RFC 1952): only the whole stream tells whether it is whole, so it is unpacked into a small window, slice by
//! slice, and what it holds is judged by its first and last bytes.

use std::io;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::{HEAD, Proof, Source, TAIL, Verdict, dump, piece, tar};

/// Compressed bytes that are taken at once.
const INPUT: usize = 65_536;
/// What deflate looks back (RFC 1951, 3.3).
const WINDOW: usize = 32_768;
/// Unpacked bytes after which a slice ends: a byte may stand for a thousand.
const OUTPUT: u64 = 16 << 20;
/// A header with its names; a longer one is taken for damaged.
const HEADER: usize = 65_536;

/// A file on the way through.
#[derive(Default)]
pub(in super::super) struct Gzip {
    inflater: DecompressorOxide,
    window: Vec<u8>,
    /// Place in the window.
    place: usize,
    /// Place in the file.
    at: u64,
    within: bool,
    members: u64,
    crc: u32,
    /// Bytes of this member, and of all.
    length: u64,
    total: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Gzip {
    /// Goes on by some `bytes` of the compressed file, which has `size`, or by what unpacking them may take. `None`: there
    /// is more.
    ///
    /// # Errors
    /// Reading failed.
    pub(in super::super) fn go_on(
        &mut self,
        file: &mut dyn Source,
        size: u64,
        bytes: u64,
    ) -> io::Result<Option<Proof>> {
        let (until, full) = (self.at.saturating_add(bytes), self.total.saturating_add(OUTPUT));
        self.window.resize(WINDOW, 0);
        while self.at < until && self.total < full {
            if !self.within {
                match self.begin(file, size)? {
                    Some(verdict) => return Ok(Some(self.proof(verdict))),
                    None => self.within = true,
                }
            }
            let input = piece(file, self.at, INPUT)?;
            if let Some(verdict) = self.take(&input, full) {
                return Ok(Some(self.proof(verdict)));
            }
            if self.within {
                continue;
            }
            let trailer = piece(file, self.at, 8)?;
            let (Some(crc), Some(length)) = (super::little(&trailer, 0, 4), super::little(&trailer, 4, 4)) else {
                return Ok(Some(self.proof(CUT)));
            };
            if crc != u64::from(self.crc) || length != self.length & 0xffff_ffff {
                return Ok(Some(self.proof(Verdict::Incomplete("its checksum is wrong"))));
            }
            self.at += 8;
        }
        Ok(None)
    }

    /// The header of the next member; a verdict if there is none.
    fn begin(&mut self, file: &mut dyn Source, size: u64) -> io::Result<Option<Verdict>> {
        if self.at >= size && self.members > 0 {
            return Ok(Some(Verdict::Complete));
        }
        let head = piece(file, self.at, HEADER)?;
        // Tapes and block devices pad with zeros, and gzip itself lets that pass.
        if self.members > 0 && head.iter().all(|byte| *byte == 0) {
            return Ok(Some(Verdict::Complete));
        }
        let Some(length) = header(&head) else {
            let cut = head.len() < 10 || head.starts_with(&[0x1f, 0x8b]);
            return Ok(Some(if cut { CUT } else { Verdict::Incomplete("something else follows the end") }));
        };
        self.at += length;
        self.members += 1;
        self.inflater.init();
        (self.place, self.crc, self.length) = (0, 0, 0);
        Ok(None)
    }

    /// Unpacks what was read, until there are `full` bytes in all; a verdict if that cannot be done. `within` ends with
    /// the stream.
    fn take(&mut self, mut input: &[u8], full: u64) -> Option<Verdict> {
        if input.is_empty() {
            return Some(CUT);
        }
        loop {
            let flags = TINFL_FLAG_HAS_MORE_INPUT;
            let (status, read, written) = decompress(&mut self.inflater, input, &mut self.window, self.place, flags);
            let out = self.window.get(self.place..self.place + written).unwrap_or_default();
            self.crc = crc32(self.crc, out);
            let count = u64::try_from(written).unwrap_or(0);
            (self.length, self.total) = (self.length + count, self.total + count);
            let missing = HEAD.saturating_sub(self.head.len()).min(out.len());
            self.head.extend_from_slice(out.get(..missing).unwrap_or_default());
            self.tail.extend_from_slice(out.get(out.len().saturating_sub(TAIL)..).unwrap_or_default());
            self.tail.drain(..self.tail.len().saturating_sub(TAIL));
            self.place = (self.place + written) % WINDOW;
            self.at += u64::try_from(read).unwrap_or(0);
            input = input.get(read..).unwrap_or_default();
            match status {
                TINFLStatus::HasMoreOutput if self.total >= full && !input.is_empty() => return None,
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if input.is_empty() => return None,
                TINFLStatus::Done => {
                    self.within = false;
                    return None;
                }
                _ => return Some(Verdict::Incomplete("its content is damaged")),
            }
        }
    }

    /// A stream that is whole may hold a dump that is not.
    fn proof(&self, verdict: Verdict) -> Proof {
        let program = dump::program(&self.head);
        let inner = match verdict {
            Verdict::Complete if program.is_some() => dump::judge(&self.head, &self.tail),
            Verdict::Complete => tar::tar_within(&self.head, &self.tail, self.total).unwrap_or(Verdict::Complete),
            other => other,
        };
        Proof { verdict: inner, program, encrypted: Some(false) }
    }
}

const CUT: Verdict = Verdict::Incomplete("the compressed stream ends too early");

/// Length of a member's header (RFC 1952, 2.3); `None` if it is none or is cut.
fn header(bytes: &[u8]) -> Option<u64> {
    if bytes.get(..3) != Some(&[0x1f, 0x8b, 8]) {
        return None;
    }
    let flags = bytes.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::try_from(super::little(bytes, at, 2)?).ok()?;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += 1 + bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
        }
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    (at <= bytes.len() && bytes.len() >= 10).then(|| u64::try_from(at).unwrap_or(u64::MAX))
}

/// The checksum of gzip and xz (RFC 1952, 8), carried on from `before`.
pub(super) fn crc32(before: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let place = usize::from(crc.to_le_bytes()[0] ^ byte);
        TABLE.get(place).copied().unwrap_or(0) ^ (crc >> 8)
    };
    !bytes.iter().fold(!before, step)
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut place = 0;
    let mut index = 0_u32;
    while place < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[place] = value;
        place += 1;
        index += 1;
    }
    table
}
