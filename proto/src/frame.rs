//! What travels on the ingest stream, in both directions, as types without holes. What goes to an agent holds numbers,
//! hashes and enums, and certificates that it asked for: nothing that could become an order.

use crate::generated::ingest as pb;
use crate::limits;
use crate::record::{Epoch, Hash, Record, RecordError};
use crate::time::Timestamp;
use crate::wire::Malformed;

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

impl From<ToCollector> for pb::ToCollector {
    fn from(frame: ToCollector) -> Self {
        use pb::to_collector::Kind;
        let kind = match frame {
            ToCollector::Hello(hello) => Kind::Hello(pb::Hello {
                protocol_min: hello.protocols.0,
                protocol_max: hello.protocols.1,
                features: hello.features,
                build: hello.build,
                epoch: hello.epoch.0.to_vec(),
                first_seq: hello.first_seq,
                prev_of_first: hello.prev_of_first.0.to_vec(),
                next_seq: hello.next_seq,
                acked_seq: hello.acked_seq,
                acked_hash: hello.acked_hash.0.to_vec(),
                dict_digest: hello.dict_digest.0.to_vec(),
                clock_ms: hello.clock.millis(),
            }),
            ToCollector::Batch(items) => {
                Kind::Batch(pb::Batch { items: items.into_iter().map(item_to_wire).collect() })
            }
            ToCollector::Renew(csr) => Kind::Renew(pb::Renew { csr }),
            ToCollector::Bye => Kind::Bye(pb::Bye {}),
        };
        Self { kind: Some(kind) }
    }
}

fn item_to_wire(item: Item) -> pb::Item {
    use pb::item::Kind;
    let kind = match item {
        Item::Record(record) => Kind::Record(pb::Record {
            header: record.header.to_bytes().to_vec(),
            prev: record.prev.0.to_vec(),
            payload: record.payload,
        }),
        Item::Tombstone(gap) => Kind::Tombstone(pb::Tombstone {
            first: gap.first,
            last: gap.last,
            last_hash: gap.last_hash.0.to_vec(),
            records: gap.records,
            bytes: gap.bytes,
            reason: match gap.reason {
                DropReason::SpoolFull => pb::DropReason::SpoolFull,
                DropReason::DiskFull => pb::DropReason::DiskFull,
            }
            .into(),
        }),
    };
    pb::Item { kind: Some(kind) }
}

impl TryFrom<pb::ToCollector> for ToCollector {
    type Error = RecordError;

    fn try_from(frame: pb::ToCollector) -> Result<Self, RecordError> {
        use pb::to_collector::Kind;
        Ok(match frame.kind.ok_or(Malformed("an empty frame"))? {
            Kind::Hello(hello) => {
                if hello.build.len() > 64 {
                    return Err(Malformed("build is longer than 64 bytes").into());
                }
                Self::Hello(Hello {
                    protocols: (hello.protocol_min, hello.protocol_max),
                    features: hello.features,
                    build: hello.build.chars().filter(char::is_ascii_graphic).collect(),
                    epoch: epoch(&hello.epoch)?,
                    first_seq: hello.first_seq,
                    prev_of_first: hash(&hello.prev_of_first)?,
                    next_seq: hello.next_seq,
                    acked_seq: hello.acked_seq,
                    acked_hash: hash(&hello.acked_hash)?,
                    dict_digest: hash(&hello.dict_digest)?,
                    clock: Timestamp::from_millis(hello.clock_ms),
                })
            }
            Kind::Batch(batch) => {
                let size = batch.items.len();
                if size > limits::BATCH_RECORDS {
                    return Err(RecordError::TooBig { what: "records of a batch", size, limit: limits::BATCH_RECORDS });
                }
                Self::Batch(batch.items.into_iter().map(item_from_wire).collect::<Result<_, _>>()?)
            }
            Kind::Renew(renew) if renew.csr.len() > limits::CSR => {
                return Err(RecordError::TooBig { what: "CSR", size: renew.csr.len(), limit: limits::CSR });
            }
            Kind::Renew(renew) => Self::Renew(renew.csr),
            Kind::Bye(_) => Self::Bye,
        })
    }
}

fn item_from_wire(item: pb::Item) -> Result<Item, RecordError> {
    use pb::item::Kind;
    Ok(match item.kind.ok_or(Malformed("an empty item"))? {
        Kind::Record(record) => Item::Record(Record::from_parts(&record.header, &record.prev, record.payload)?),
        Kind::Tombstone(gap) => {
            let reason = match gap.reason() {
                pb::DropReason::Unspecified => return Err(Malformed("unknown reason of a gap").into()),
                pb::DropReason::SpoolFull => DropReason::SpoolFull,
                pb::DropReason::DiskFull => DropReason::DiskFull,
            };
            if gap.first == 0 || gap.last < gap.first || gap.last - gap.first >= u64::from(u32::MAX) {
                return Err(Malformed("a gap that is none").into());
            }
            Item::Tombstone(Tombstone {
                first: gap.first,
                last: gap.last,
                last_hash: hash(&gap.last_hash)?,
                records: gap.records,
                bytes: gap.bytes,
                reason,
            })
        }
    })
}

impl From<ToAgent> for pb::ToAgent {
    fn from(frame: ToAgent) -> Self {
        use pb::to_agent::Kind;
        let kind = match frame {
            ToAgent::Welcome(welcome) => Kind::Welcome(pb::Welcome {
                protocol: welcome.protocol,
                resend_from: welcome.resend_from,
                window_records: welcome.window_records,
                window_bytes: welcome.window_bytes,
                want: welcome.want,
                time_ms: welcome.time.millis(),
            }),
            ToAgent::Ack(ack) => Kind::Ack(pb::Ack {
                epoch: ack.epoch.0.to_vec(),
                through: ack.through,
                head_hash: ack.head_hash.0.to_vec(),
                window_records: ack.window_records,
                window_bytes: ack.window_bytes,
                time_ms: ack.time.millis(),
            }),
            ToAgent::Retry(retry) => Kind::Retry(pb::Retry {
                code: match retry.code {
                    RetryCode::Busy => pb::RetryCode::Busy,
                    RetryCode::Gap => pb::RetryCode::Gap,
                    RetryCode::Fork => pb::RetryCode::Fork,
                    RetryCode::Revoked => pb::RetryCode::Revoked,
                    RetryCode::Limit => pb::RetryCode::Limit,
                }
                .into(),
                after_ms: retry.after_ms,
                resend_from: retry.resend_from,
            }),
            ToAgent::Renewed(renewed) => Kind::Renewed(pb::Renewed {
                chain: renewed.chain,
                not_before_ms: renewed.not_before.millis(),
                not_after_ms: renewed.not_after.millis(),
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::ToAgent> for ToAgent {
    type Error = RecordError;

    fn try_from(frame: pb::ToAgent) -> Result<Self, RecordError> {
        use pb::to_agent::Kind;
        Ok(match frame.kind.ok_or(Malformed("an empty frame"))? {
            Kind::Welcome(welcome) => Self::Welcome(Welcome {
                protocol: welcome.protocol,
                resend_from: welcome.resend_from,
                window_records: welcome.window_records,
                window_bytes: welcome.window_bytes,
                want: welcome.want,
                time: Timestamp::from_millis(welcome.time_ms),
            }),
            Kind::Ack(ack) => Self::Ack(Ack {
                epoch: epoch(&ack.epoch)?,
                through: ack.through,
                head_hash: hash(&ack.head_hash)?,
                window_records: ack.window_records,
                window_bytes: ack.window_bytes,
                time: Timestamp::from_millis(ack.time_ms),
            }),
            Kind::Retry(retry) => Self::Retry(Retry {
                code: match retry.code() {
                    pb::RetryCode::Unspecified => return Err(Malformed("unknown retry code").into()),
                    pb::RetryCode::Busy => RetryCode::Busy,
                    pb::RetryCode::Gap => RetryCode::Gap,
                    pb::RetryCode::Fork => RetryCode::Fork,
                    pb::RetryCode::Revoked => RetryCode::Revoked,
                    pb::RetryCode::Limit => RetryCode::Limit,
                },
                after_ms: retry.after_ms,
                resend_from: retry.resend_from,
            }),
            Kind::Renewed(renewed) if renewed.chain.len() > limits::CERTIFICATE_CHAIN => {
                return Err(Malformed("certificate chain is too long").into());
            }
            Kind::Renewed(renewed) => Self::Renewed(Renewed {
                chain: renewed.chain,
                not_before: Timestamp::from_millis(renewed.not_before_ms),
                not_after: Timestamp::from_millis(renewed.not_after_ms),
            }),
        })
    }
}

fn epoch(bytes: &[u8]) -> Result<Epoch, Malformed> {
    Epoch::from_slice(bytes).ok_or(Malformed("an epoch is not 16 bytes"))
}

fn hash(bytes: &[u8]) -> Result<Hash, Malformed> {
    Hash::from_slice(bytes).ok_or(Malformed("a hash is not 32 bytes"))
}
