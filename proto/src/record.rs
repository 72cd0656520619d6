//! A record: one or more reports as spooled, sent and acknowledged. Numbered, hash-chained, compressed once.
//!
//! The hash covers the compressed bytes, so a collector checks the chain before it decompresses anything, and may drop
//! a payload later without breaking the chain: only its SHA-256 goes in.

mod seal;

pub use crate::id::{Epoch, Hash, HostId};
use ring::digest::{Context, SHA256, digest};
pub use seal::{Moment, Sealer};
use thiserror::Error;

use crate::limits;
use crate::time::Timestamp;

/// The format that is written.
pub const VERSION: u16 = 1;

/// What may be dropped when a spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Samples and confirmations only: droppable.
    Samples,
    /// Facts and events.
    Facts,
    /// Declarations, or the begin of an epoch.
    Declarations,
}

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// One zstd frame.
    Zstd,
}

/// The fixed head of a record: 68 bytes, big-endian, sent and hashed verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which spool.
    pub epoch: Epoch,
    /// From 1, gapless within the epoch.
    pub seq: u64,
    /// Kernel's boot id (`/proc/sys/kernel/random/boot_id`), zeros if unknown.
    pub boot_id: [u8; 16],
    /// Time since boot when it was sealed, in nanoseconds; within one boot it orders truly.
    pub t_boot_ns: u64,
    /// Wall time when it was sealed, in nanoseconds since the Unix epoch. It labels; it never orders.
    pub t_wall_ns: i64,
    /// What it holds.
    pub class: Class,
    /// How the payload is compressed.
    pub encoding: Encoding,
    /// Bytes of the payload before compression.
    pub raw_len: u32,
    /// Bytes of the payload as sent.
    pub payload_len: u32,
}

/// Why bytes are no record.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// The header has another length or holds a value that is not defined.
    #[error("record header: {0}")]
    Header(&'static str),
    /// It is longer than allowed.
    #[error("record is too big: {what} {size} B, at most {limit} B")]
    TooBig {
        /// Which part.
        what: &'static str,
        /// How big.
        size: usize,
        /// How big it may be.
        limit: usize,
    },
    /// The payload has another length than its header says.
    #[error("payload has {actual} B, its header says {declared} B")]
    Length {
        /// As declared.
        declared: usize,
        /// As found.
        actual: usize,
    },
    /// zstd refuses it, or it opens to another size than declared.
    #[error("payload does not decompress to what its header says")]
    Decompress,
    /// It opens, but does not decode.
    #[error("payload does not decode: {0}")]
    Decode(String),
}

impl Header {
    /// Bytes of a header.
    pub const LEN: usize = 68;

    /// As sent.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let class = match self.class {
            Class::Samples => 1,
            Class::Facts => 2,
            Class::Declarations => 3,
        };
        let encoding = match self.encoding {
            Encoding::Plain => 0,
            Encoding::Zstd => 1,
        };
        let parts: [&[u8]; 10] = [
            &VERSION.to_be_bytes(),
            &self.epoch.0,
            &self.seq.to_be_bytes(),
            &self.boot_id,
            &self.t_boot_ns.to_be_bytes(),
            &self.t_wall_ns.to_be_bytes(),
            &[class],
            &[encoding],
            &self.raw_len.to_be_bytes(),
            &self.payload_len.to_be_bytes(),
        ];
        let mut bytes = [0; Self::LEN];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        bytes
    }

    /// From what was sent.
    ///
    /// # Errors
    /// [`RecordError::Header`], or [`RecordError::TooBig`] if it declares more than is ever opened.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| RecordError::Header("not 68 bytes"))?;
        if u16::from_be_bytes(part(bytes, 0)) != VERSION {
            return Err(RecordError::Header("unknown version"));
        }
        let class = match bytes[58] {
            1 => Class::Samples,
            2 => Class::Facts,
            3 => Class::Declarations,
            _ => return Err(RecordError::Header("unknown class")),
        };
        let encoding = match bytes[59] {
            0 => Encoding::Plain,
            1 => Encoding::Zstd,
            _ => return Err(RecordError::Header("unknown encoding")),
        };
        let header = Self {
            epoch: Epoch(part(bytes, 2)),
            seq: u64::from_be_bytes(part(bytes, 18)),
            boot_id: part(bytes, 26),
            t_boot_ns: u64::from_be_bytes(part(bytes, 42)),
            t_wall_ns: i64::from_be_bytes(part(bytes, 50)),
            class,
            encoding,
            raw_len: u32::from_be_bytes(part(bytes, 60)),
            payload_len: u32::from_be_bytes(part(bytes, 64)),
        };
        if header.seq == 0 {
            return Err(RecordError::Header("number 0"));
        }
        bound("payload before compression", header.raw_len as usize, limits::RECORD_RAW)?;
        bound("payload", header.payload_len as usize, limits::RECORD_PAYLOAD)?;
        Ok(header)
    }

    /// Wall time when it was sealed.
    #[must_use]
    pub fn sealed_at(&self) -> Timestamp {
        Timestamp::from_millis(self.t_wall_ns / 1_000_000)
    }
}

fn part<const N: usize>(bytes: &[u8; Header::LEN], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

fn bound(what: &'static str, size: usize, limit: usize) -> Result<(), RecordError> {
    if size > limit { Err(RecordError::TooBig { what, size, limit }) } else { Ok(()) }
}

/// SHA-256 of the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|each| context.update(each));
    let mut hash = Hash::default();
    hash.0.copy_from_slice(context.finish().as_ref());
    hash
}

/// What record 1 of an epoch follows.
#[must_use]
pub fn genesis(epoch: Epoch) -> Hash {
    sha256(&[b"plumb.epoch.1\0", &epoch.0])
}

/// The hash of a record, from its payload's own hash: this much can be checked after the payload was pruned.
#[must_use]
pub fn link(prev: &Hash, header: &[u8; Header::LEN], payload: &Hash) -> Hash {
    sha256(&[b"plumb.record.1\0", &prev.0, header, &payload.0])
}

/// A record as spooled and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its head.
    pub header: Header,
    /// The hash of the record before it.
    pub prev: Hash,
    /// Its payload, compressed.
    pub payload: Vec<u8>,
}

impl Record {
    /// Its own hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut payload = Hash::default();
        payload.0.copy_from_slice(digest(&SHA256, &self.payload).as_ref());
        link(&self.prev, &self.header.to_bytes(), &payload)
    }

    /// From what was sent.
    ///
    /// # Errors
    /// See [`Header::parse`]; [`RecordError::Length`] where header and payload disagree.
    pub fn from_parts(header: &[u8], prev: &[u8], payload: Vec<u8>) -> Result<Self, RecordError> {
        let header = Header::parse(header)?;
        let prev = Hash::from_slice(prev).ok_or(RecordError::Header("previous hash is not 32 bytes"))?;
        let declared = header.payload_len as usize;
        if payload.len() != declared {
            return Err(RecordError::Length { declared, actual: payload.len() });
        }
        Ok(Self { header, prev, payload })
    }

    /// The payload as it was before compression, into exactly the memory that the header declares.
    ///
    /// # Errors
    /// [`RecordError::Decompress`]; [`RecordError::Length`] for a plain payload of another size.
    pub fn open(&self) -> Result<Vec<u8>, RecordError> {
        let declared = self.header.raw_len as usize;
        match self.header.encoding {
            Encoding::Plain if self.payload.len() == declared => Ok(self.payload.clone()),
            Encoding::Plain => Err(RecordError::Length { declared, actual: self.payload.len() }),
            Encoding::Zstd => {
                let refuse = |_| RecordError::Decompress;
                let mut opener = zstd::bulk::Decompressor::new().map_err(refuse)?;
                opener.window_log_max(limits::ZSTD_WINDOW_LOG).map_err(refuse)?;
                let raw = opener.decompress(&self.payload, declared).map_err(refuse)?;
                if raw.len() == declared { Ok(raw) } else { Err(RecordError::Decompress) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(raw: &[u8]) -> Record {
        let epoch = Epoch([7; 16]);
        let at = Moment { boot_id: [1; 16], t_boot_ns: 5, wall: Timestamp::from_secs(9) };
        Sealer::new().unwrap().seal((epoch, 1, genesis(epoch)), at, Class::Facts, raw).unwrap()
    }

    #[test]
    fn a_record_opens_to_what_was_sealed_and_its_header_survives_the_wire() {
        let record = seal(&[b'x'; 5000]);
        assert!(record.payload.len() < 100);
        let sent = Record::from_parts(&record.header.to_bytes(), &record.prev.0, record.payload.clone()).unwrap();
        assert_eq!((sent.hash(), sent.open().unwrap()), (record.hash(), vec![b'x'; 5000]));
    }

    #[test]
    fn any_changed_bit_of_header_payload_or_predecessor_changes_the_hash() {
        let record = seal(b"what a host said");
        let mut other = record.clone();
        other.payload[3] ^= 1;
        assert_ne!(other.hash(), record.hash());
        other = Record { prev: Hash([0; 32]), ..record.clone() };
        assert_ne!(other.hash(), record.hash());
        let header = record.header.to_bytes();
        for position in 0..Header::LEN {
            let mut changed = header;
            changed[position] ^= 1;
            assert_ne!(link(&record.prev, &changed, &Hash::default()), link(&record.prev, &header, &Hash::default()));
        }
    }

    #[test]
    fn a_bomb_is_refused_in_the_memory_it_declared() {
        let mut record = seal(&[0; 200_000]);
        record.header.raw_len = 1000;
        assert_eq!(record.open(), Err(RecordError::Decompress));
        record.header.raw_len = 200_001;
        assert_eq!(record.open(), Err(RecordError::Decompress));
        let mut header = record.header.to_bytes();
        header[60..64].copy_from_slice(&(u32::try_from(limits::RECORD_RAW).unwrap() + 1).to_be_bytes());
        assert!(matches!(Header::parse(&header), Err(RecordError::TooBig { .. })));
    }

    #[test]
    fn bytes_that_are_no_header_are_named() {
        assert_eq!(Header::parse(&[0; 67]), Err(RecordError::Header("not 68 bytes")));
        assert_eq!(Header::parse(&[0; 68]), Err(RecordError::Header("unknown version")));
    }
}
