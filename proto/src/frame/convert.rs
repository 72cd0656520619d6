//! Frames and their protobuf form.

use super::{Ack, DropReason, Hello, Item, Renewed, Retry, RetryCode, ToAgent, ToCollector, Tombstone, Welcome};
use crate::generated::ingest as pb;
use crate::limits;
use crate::record::{Epoch, Hash, Record, RecordError};
use crate::time::Timestamp;
use crate::wire::Malformed;

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
