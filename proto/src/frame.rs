//! What travels on the ingest stream, in both directions, as types without holes. What goes to an agent holds numbers,
//! hashes and enums, and certificates that it asked for: nothing that could become an order.

mod convert;

use crate::record::{Epoch, Hash, Record};
use crate::time::Timestamp;

/// The protocol that is spoken.
pub const PROTOCOL: u32 = 1;
/// Bit of [`Welcome::want`]: append a record with all declarations.
pub const WANT_DICTIONARY: u32 = 1;
/// Bit of [`Welcome::want`]: tell each next look in full.
pub const WANT_STATE: u32 = 2;

/// From an agent.
#[derive(Clone, Debug, PartialEq)]
pub enum ToCollector {
    /// First: who is there, and what can be sent.
    Hello(Hello),
    /// Records and tombstones in order.
    Batch(Vec<Item>),
    /// A request for a new certificate (PKCS #10, DER).
    Renew(Vec<u8>),
    /// Leaving on purpose; never keeps an alert back.
    Bye,
}

/// To an agent.
#[derive(Clone, Debug, PartialEq)]
pub enum ToAgent {
    /// Answer to [`Hello`].
    Welcome(Welcome),
    /// Everything up to here is durable.
    Ack(Ack),
    /// Something is to be done again, or not now.
    Retry(Retry),
    /// Answer to [`ToCollector::Renew`].
    Renewed(Renewed),
}

/// Who is there, and what can be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// Oldest and newest protocol spoken.
    pub protocols: (u32, u32),
    /// Reserved bits.
    pub features: u64,
    /// Version of the agent.
    pub build: String,
    /// Its spool.
    pub epoch: Epoch,
    /// The oldest record that can still be sent.
    pub first_seq: u64,
    /// Hash of the one before that.
    pub prev_of_first: Hash,
    /// The number that the next record will have.
    pub next_seq: u64,
    /// The last acknowledged record, 0 if none.
    pub acked_seq: u64,
    /// Its hash.
    pub acked_hash: Hash,
    /// Digest of all declarations of the epoch.
    pub dict_digest: Hash,
    /// The agent's wall clock.
    pub clock: Timestamp,
}

/// A record, or what stands for dropped ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A record.
    Record(Record),
    /// A declared gap.
    Tombstone(Tombstone),
}

impl Item {
    /// First and last number that it covers.
    #[must_use]
    pub fn range(&self) -> (u64, u64) {
        match self {
            Self::Record(record) => (record.header.seq, record.header.seq),
            Self::Tombstone(tombstone) => (tombstone.first, tombstone.last),
        }
    }

    /// About how many bytes it takes on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Record(record) => record.payload.len() + 112,
            Self::Tombstone(_) => 64,
        }
    }
}

/// Why records were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The spool had reached its bound.
    SpoolFull,
    /// The host's disk was full.
    DiskFull,
}

/// A contiguous run of dropped records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// First number.
    pub first: u64,
    /// Last number.
    pub last: u64,
    /// Hash of the last.
    pub last_hash: Hash,
    /// How many records.
    pub records: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Why.
    pub reason: DropReason,
}

/// Answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol that is spoken from here.
    pub protocol: u32,
    /// Send from this number on.
    pub resend_from: u64,
    /// Records in flight, at most.
    pub window_records: u32,
    /// Bytes in flight, at most.
    pub window_bytes: u32,
    /// [`WANT_DICTIONARY`], [`WANT_STATE`].
    pub want: u32,
    /// The collector's wall clock.
    pub time: Timestamp,
}

/// Everything up to `through` is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which spool.
    pub epoch: Epoch,
    /// Up to and with this number.
    pub through: u64,
    /// Its hash: believed only if it is in the agent's own chain.
    pub head_hash: Hash,
    /// Records in flight, at most, from now on.
    pub window_records: u32,
    /// Bytes in flight, at most, from now on.
    pub window_bytes: u32,
    /// The collector's wall clock.
    pub time: Timestamp,
}

/// Why something is to be done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryCode {
    /// Come back later.
    Busy,
    /// Records are missing in between: send from `resend_from`.
    Gap,
    /// Another record with this number is known: start a new epoch.
    Fork,
    /// This host is not welcome any more.
    Revoked,
    /// A limit of this host is used up: come back later.
    Limit,
}

/// Something is to be done again, or not now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Why.
    pub code: RetryCode,
    /// Not before this many milliseconds.
    pub after_ms: u32,
    /// For [`RetryCode::Gap`].
    pub resend_from: u64,
}

/// A new certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// PEM: the certificate, and what is needed up to the pinned root.
    pub chain: Vec<u8>,
    /// Valid from, by the collector's clock.
    pub not_before: Timestamp,
    /// Valid until, by the collector's clock.
    pub not_after: Timestamp,
}
