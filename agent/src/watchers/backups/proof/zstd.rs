//! Zstandard (RFC 8878, 3.1): frames are walked from block to block, without unpacking.

use std::io;

use super::{NOT_KNOWN, Source, Verdict, little, piece};

/// Blocks that are visited: some 2 GiB, compressed.
const BLOCKS: usize = 20_000;
/// First number of a frame.
const FRAME: u64 = 0xfd2f_b528;

/// A file on the way through.
#[derive(Debug, Default)]
pub(in super::super) struct Zstd {
    at: u64,
    visited: usize,
    frames: u64,
    /// Bytes that end the frame whose blocks are being visited.
    within: Option<u64>,
}

/// Whether it begins with a frame, or with one that is passed over, as a file of pzstd does.
pub(super) fn is_zstd(head: &[u8]) -> bool {
    little(head, 0, 4).is_some_and(|magic| magic == FRAME || is_skippable(magic))
}

fn is_skippable(magic: u64) -> bool {
    (0x184d_2a50..=0x184d_2a5f).contains(&magic)
}

impl Zstd {
    /// Goes on by so many blocks of the file, which has `size`. `None`: there is more.
    ///
    /// # Errors
    /// Reading failed.
    pub(super) fn go_on(&mut self, file: &mut dyn Source, size: u64, visits: usize) -> io::Result<Option<Verdict>> {
        for _ in 0..visits {
            if self.within.is_none() && self.at >= size {
                return Ok(Some(if self.at == size && self.frames > 0 { Verdict::Complete } else { CUT }));
            }
            self.visited += 1;
            if self.visited > BLOCKS {
                return Ok(Some(Verdict::Unjudged("it is too big to be gone through")));
            }
            let verdict = match self.within {
                Some(end) => self.block(file, end)?,
                None => self.frame(file)?,
            };
            if verdict.is_some() {
                return Ok(verdict);
            }
        }
        Ok(None)
    }

    fn frame(&mut self, file: &mut dyn Source) -> io::Result<Option<Verdict>> {
        let head = piece(file, self.at, 18)?;
        match little(&head, 0, 4) {
            Some(FRAME) => {}
            Some(magic) if is_skippable(magic) => {
                let Some(length) = little(&head, 4, 4) else { return Ok(Some(CUT)) };
                self.skip(8 + length);
                return Ok(None);
            }
            // LZ4 has the same frames that are passed over.
            Some(_) if self.frames == 0 => return Ok(Some(NOT_KNOWN)),
            Some(_) => return Ok(Some(Verdict::Incomplete("something else follows a frame"))),
            None => return Ok(Some(CUT)),
        }
        let Some(descriptor) = head.get(4).copied() else { return Ok(Some(CUT)) };
        let single = descriptor & 0x20 != 0;
        let size_field = match descriptor >> 6 {
            0 => u64::from(single),
            bits => 1 << bits,
        };
        let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or(0);
        self.skip(5 + u64::from(!single) + size_field + dictionary);
        self.within = Some(if descriptor & 4 != 0 { 4 } else { 0 });
        Ok(None)
    }

    fn block(&mut self, file: &mut dyn Source, end: u64) -> io::Result<Option<Verdict>> {
        let Some(block) = little(&piece(file, self.at, 3)?, 0, 3) else { return Ok(Some(CUT)) };
        // A block of type 1 is one byte, repeated.
        self.skip(3 + if block >> 1 & 3 == 1 { 1 } else { block >> 3 });
        if block & 1 == 1 {
            self.skip(end);
            self.frames += 1;
            self.within = None;
        }
        Ok(None)
    }

    fn skip(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
    }
}

const CUT: Verdict = Verdict::Incomplete("it ends within a frame");
