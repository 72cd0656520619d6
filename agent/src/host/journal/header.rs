//! The header of a journal file.

use super::JournalError;
use super::window::Window;

/// Bytes of the header of the oldest files that are read (systemd 187 and later write more).
const SHORTEST: u64 = 208;
const SIGNATURE: [u8; 8] = *b"LPKSHHRH";
/// XZ, LZ4, keyed hash, ZSTD, compact.
const KNOWN_FLAGS: u32 = 1 | 2 | 4 | 8 | 16;
const COMPACT: u32 = 16;

/// Whether a file is still written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything was written out; it may be written to again.
    Offline,
    /// Being written; or its writer died.
    Online,
    /// Rotated: never written to again.
    Archived,
}

/// What the header of a journal file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it is still written to.
    pub state: State,
    /// The file, whatever it is named.
    pub file_id: u128,
    /// Files with the same one count their entries on from each other.
    pub seqnum_id: u128,
    /// Entries in it.
    pub entries: u64,
    /// Sequence number of its first entry.
    pub head_seqnum: u64,
    /// Of its last.
    pub tail_seqnum: u64,
    /// Time of its first entry, in microseconds since 1970.
    pub head_realtime: u64,
    /// Of its last.
    pub tail_realtime: u64,
    pub(super) size: u64,
    pub(super) compact: bool,
    pub(super) first_array: u64,
}

impl Header {
    pub(super) fn read(window: &mut Window) -> Result<Self, JournalError> {
        let signature: Result<[u8; 8], _> = window.array(0);
        if !signature.is_ok_and(|signature| signature == SIGNATURE) {
            return Err(JournalError::NotAJournal);
        }
        let flags = window.u32(12)?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(JournalError::Unsupported(flags));
        }
        let [state] = window.array(16)?;
        let state = match state {
            0 => State::Offline,
            1 => State::Online,
            2 => State::Archived,
            _ => return Err(JournalError::Damaged("its state is none that there is")),
        };
        let size = window.u64(88)?;
        if size < SHORTEST || size > window.size() {
            return Err(JournalError::Damaged("its header is too short"));
        }
        Ok(Self {
            state,
            file_id: window.array(24).map(u128::from_be_bytes)?,
            seqnum_id: window.array(72).map(u128::from_be_bytes)?,
            // Each entry takes more than 64 bytes: a number that cannot be is not believed.
            entries: window.u64(152)?.min(window.size() / 64),
            tail_seqnum: window.u64(160)?,
            head_seqnum: window.u64(168)?,
            first_array: window.u64(176)?,
            head_realtime: window.u64(184)?,
            tail_realtime: window.u64(192)?,
            size,
            compact: flags & COMPACT != 0,
        })
    }
}
