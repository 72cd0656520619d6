//! What is remembered of a log from one look to the next, and over a restart: which file, how far, and what was counted.
//! It is kept in the transaction that keeps what was told, so that a line is counted once whenever the agent dies.

use serde::{Deserialize, Serialize};

/// Bytes at the beginning of a file that tell it from others.
pub(super) const HEAD: usize = 1 << 10;
/// Bytes before the place that was reached that must still be there.
pub(super) const TAIL: usize = 64;
/// Files that were read to their end and are still known, so that none is read again under another name.
const FINISHED: usize = 32;

/// Some bytes of a file, as their number and FNV-1a (draft-eastlake-fnv).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print(pub(super) u32, pub(super) u64);

impl Print {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        Self(u32::try_from(bytes.len()).unwrap_or(u32::MAX), hash)
    }

    /// How many bytes it is of.
    pub(super) fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A file, and how far it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Its first bytes.
    pub(super) head: Print,
    /// The bytes before `offset`.
    pub(super) tail: Print,
    /// Where the first line begins that was not counted.
    pub(super) offset: u64,
    /// The line there was counted when it had grown too long; its rest is passed over.
    pub(super) skipping: bool,
    /// All of it had been read when it was last looked at.
    pub(super) at_end: bool,
    /// When it was last written to, in milliseconds, as of the last look.
    pub(super) modified: i64,
}

/// What was counted of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) lines: u64,
    /// Lines longer than the limit.
    #[serde(default)]
    pub(super) cut: u64,
    /// Lines of an access log that are not of its format.
    #[serde(default)]
    pub(super) unknown: u64,
    /// Gaps.
    #[serde(default)]
    pub(super) gaps: u64,
}

/// Where to begin with a log that was not opened yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Begin {
    /// It was opened, or it was not there when it was first looked for: what comes is new.
    #[default]
    Start,
    /// At its end, since it was there before anybody looked.
    End,
    /// At its beginning, unless it is so big that most of it is old.
    Young,
}

/// The cursor of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The file that the path leads to, once there was one.
    pub(super) current: Option<Place>,
    /// Files that lay there before and may not have been read to their end, oldest first.
    #[serde(default)]
    pub(super) old: Vec<Place>,
    /// Beginnings of files that were.
    #[serde(default)]
    pub(super) finished: Vec<Print>,
    /// When the last file that was at the path was last written to, in milliseconds.
    #[serde(default)]
    pub(super) left: i64,
    pub(super) counts: Counts,
    /// Where it begins once it can be opened.
    #[serde(default)]
    pub(super) begin: Begin,
    /// Since when nobody names this log any more, in seconds.
    #[serde(default)]
    pub(super) unnamed: Option<i64>,
}

impl Saved {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Remembers a file that need not be read any more.
    pub(super) fn finish(&mut self, head: Print) {
        if head.len() == 0 {
            return;
        }
        self.finished.retain(|each| *each != head);
        self.finished.push(head);
        let over = self.finished.len().saturating_sub(FINISHED);
        self.finished.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_a_damaged_one_is_none() {
        let place = Place { inode: u64::MAX, head: Print::of(b"abc"), offset: 7, skipping: true, ..Place::default() };
        let mut saved = Saved { current: Some(place), unnamed: Some(3), ..Saved::default() };
        saved.finish(Print::of(b"x"));
        assert_eq!(Saved::decode(&saved.encode()), Some(saved));
        assert_eq!(Saved::decode(b"{\"current\":7}"), None);
    }

    #[test]
    fn only_the_last_files_are_remembered() {
        let mut saved = Saved::default();
        (0..100_u8).for_each(|number| saved.finish(Print::of(&[number])));
        saved.finish(Print::of(&[90]));
        saved.finish(Print::of(b""));
        assert_eq!((saved.finished.len(), saved.finished.last()), (FINISHED, Some(&Print::of(&[90]))));
    }
}
