//! What is kept between looks, in the cursor.

use serde::{Deserialize, Serialize};

use crate::failures::Tally;
use crate::host::journal::Header;

/// Up to where the journal was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The file, whatever it is named by now.
    pub(super) file_id: u128,
    /// Number of the entry that comes next in it.
    pub(super) number: u64,
    /// The count that `seqnum` belongs to.
    pub(super) seqnum_id: u128,
    /// Of the last entry that was read.
    pub(super) seqnum: u64,
    /// Likewise, in microseconds since 1970.
    pub(super) realtime: u64,
}

impl Place {
    /// Leaves a file that was read as far as it can be read, so that it is never met again.
    pub(super) fn leave(&mut self, header: &Header) {
        if header.entries == 0 {
            return;
        }
        if self.seqnum_id != header.seqnum_id {
            (self.seqnum_id, self.seqnum) = (header.seqnum_id, header.tail_seqnum);
        }
        self.seqnum = self.seqnum.max(header.tail_seqnum);
        self.realtime = self.realtime.max(header.tail_realtime);
    }
}

/// All that is kept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) place: Option<Place>,
    /// Entries read.
    pub(super) lines: u64,
    /// Of these, by priority.
    pub(super) priorities: [u64; 8],
    /// Entries and fields that could not be read.
    pub(super) unreadable: u64,
    pub(super) tally: Tally,
}

#[derive(Serialize, Deserialize)]
struct Written {
    place: Option<Place>,
    counts: (u64, [u64; 8], u64),
    tally: String,
}

impl Kept {
    pub(super) fn write(&mut self) -> Vec<u8> {
        let tally = String::from_utf8(self.tally.to_bytes()).unwrap_or_default();
        let counts = (self.lines, self.priorities, self.unreadable);
        serde_json::to_vec(&Written { place: self.place.clone(), counts, tally }).unwrap_or_default()
    }

    /// What cannot be read begins anew: at the end of the journal.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let Ok(Written { place, counts, tally }) = serde_json::from_slice(bytes) else { return Self::default() };
        let (lines, priorities, unreadable) = counts;
        Self { place, lines, priorities, unreadable, tally: Tally::from_bytes(tally.as_bytes()) }
    }
}
