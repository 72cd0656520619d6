//! Fields of an entry. Nearly all are shared between entries, so what an object holds is remembered.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use super::JournalError;
use super::window::Window;

/// Bytes of a field that are kept.
pub const FIELD: usize = 16 << 10;
/// Bytes of a field of which only a name is wanted.
const SHORT: usize = 256;
/// Bytes read of a compressed field; after decompression it is cut at [`FIELD`].
const COMPRESSED: usize = 12 << 10;
/// Largest window that a compressed field may ask for, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 20;
/// Objects that are remembered.
const REMEMBERED: usize = 2_048;
/// Flags of a data object.
const XZ: u8 = 1;
const LZ4: u8 = 2;
const ZSTD: u8 = 4;

/// An entry, as far as it is read. Used again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence number.
    pub seqnum: u64,
    /// When it was received, in microseconds since 1970.
    pub realtime: u64,
    /// MESSAGE, up to [`FIELD`] bytes.
    pub message: Vec<u8>,
    /// PRIORITY: 0 (emerg) to 7 (debug), as syslog(3) has it.
    pub priority: Option<u8>,
    /// SYSLOG_IDENTIFIER: what the sender calls itself.
    pub identifier: Arc<[u8]>,
    /// _SYSTEMD_UNIT: where it runs, as journald found out by itself.
    pub unit: Arc<[u8]>,
    /// _TRANSPORT=kernel.
    pub kernel: bool,
    /// Fields that could not be read.
    pub unreadable: u32,
}

impl Entry {
    pub(super) fn clear(&mut self) {
        self.message.clear();
        let none: Arc<[u8]> = Arc::default();
        (self.identifier, self.unit) = (Arc::clone(&none), none);
        (self.priority, self.kernel, self.unreadable) = (None, false, 0);
    }
}

/// What a data object holds.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Message(Vec<u8>),
    Priority(u8),
    Identifier(Arc<[u8]>),
    Unit(Arc<[u8]>),
    Kernel,
    Other,
}

impl Field {
    fn parse(payload: &[u8]) -> Self {
        let short = |value: &[u8]| Arc::from(&value[..value.len().min(SHORT)]);
        if let Some(message) = payload.strip_prefix(b"MESSAGE=") {
            return Self::Message(message.to_vec());
        }
        if let Some([digit @ b'0'..=b'7']) = payload.strip_prefix(b"PRIORITY=") {
            return Self::Priority(digit - b'0');
        }
        if let Some(identifier) = payload.strip_prefix(b"SYSLOG_IDENTIFIER=") {
            return Self::Identifier(short(identifier));
        }
        if let Some(unit) = payload.strip_prefix(b"_SYSTEMD_UNIT=") {
            return Self::Unit(short(unit));
        }
        if payload == b"_TRANSPORT=kernel" { Self::Kernel } else { Self::Other }
    }

    /// A field may stand several times in an entry: the last one counts.
    pub(super) fn put(&self, entry: &mut Entry) {
        match self {
            Self::Message(message) => {
                entry.message.clear();
                entry.message.extend_from_slice(message);
            }
            Self::Priority(priority) => entry.priority = Some(*priority),
            Self::Identifier(identifier) => entry.identifier = Arc::clone(identifier),
            Self::Unit(unit) => entry.unit = Arc::clone(unit),
            Self::Kernel => entry.kernel = true,
            Self::Other => {}
        }
    }
}

/// What objects of this file hold, by their offset: an object never changes.
#[derive(Default)]
pub(super) struct Cache(HashMap<u64, Field>);

impl Cache {
    pub(super) fn get(&self, offset: u64) -> Option<&Field> {
        self.0.get(&offset)
    }

    pub(super) fn keep(&mut self, offset: u64, field: Field) {
        if matches!(field, Field::Message(_)) {
            return; // big, and rarely said twice
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(offset, field);
    }
}

/// Reads the payload of a data object: `size` bytes at `at`.
pub(super) fn read(window: &mut Window, at: u64, size: u64, flags: u8) -> Result<Field, JournalError> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if flags & ZSTD != 0 {
        let mut plain = Vec::new();
        unpack(window.bytes(at, size.min(COMPRESSED))?, &mut plain)?;
        return Ok(Field::parse(&plain));
    }
    if flags & (XZ | LZ4) != 0 {
        return Err(JournalError::Damaged("a field is compressed with XZ or LZ4, which is not read"));
    }
    // Only a message is worth reading to its end, which may take several steps.
    const STEP: usize = 8 << 10;
    let head = window.bytes(at, size.min(STEP))?;
    let field = Field::parse(head);
    let Field::Message(mut message) = field else { return Ok(field) };
    let mut place = STEP;
    while place < size && message.len() < FIELD {
        let step = (size - place).min(STEP).min(FIELD - message.len());
        let from = at.saturating_add(u64::try_from(place).unwrap_or(u64::MAX));
        message.extend_from_slice(window.bytes(from, step)?);
        place += step;
    }
    Ok(Field::Message(message))
}

/// Decompresses as much as is kept. A frame that was cut gives what is in its beginning.
fn unpack(packed: &[u8], plain: &mut Vec<u8>) -> Result<(), JournalError> {
    let wrong = |_| JournalError::Damaged("a field cannot be decompressed");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(wrong)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(wrong)?;
    let limit = u64::try_from(FIELD).unwrap_or(u64::MAX);
    match decoder.take(limit).read_to_end(plain) {
        Err(error) if plain.is_empty() => Err(wrong(error)),
        _ => Ok(()),
    }
}
