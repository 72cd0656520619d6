//! One batch: opened and decoded off the writer's thread, then written in one transaction of the group.

use anyhow::Result;
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{DropReason, Item, Tombstone};
use plumb_proto::model::{Event, Payload, Severity};
use plumb_proto::record::{Epoch, Hash, HostId, Record};
use plumb_proto::time::Timestamp;
use plumb_proto::wire;

use super::Take;
use super::stream::{Step, Stop};
use crate::store::rows::{HostState, Quarantined};
use crate::store::{Incoming, Tx};
use crate::worker::Weight;

/// What is kept of a record that could not become part of the history.
const KEPT: usize = 4 << 10;

/// A step with all it needs.
enum Work {
    Append {
        record: Record,
        payload: Result<Payload, String>,
        declared: Option<Vec<u8>>,
    },
    Compare {
        record: Record,
        hash: Hash,
    },
    Declare(Tombstone),
    /// It is of no chain: keep it apart.
    Stray {
        record: Record,
        why: &'static str,
    },
}

/// A batch, ready for the writer.
pub(super) struct Batch {
    epoch: Epoch,
    work: Vec<Work>,
    /// What it weighs in a group.
    pub(super) weight: Weight,
    /// Bytes before compression.
    pub(super) raw: usize,
}

/// Records of a batch that cannot be read: the first, and how many.
struct Unreadable<'a> {
    seq: u64,
    why: &'a str,
    count: u64,
}

/// Whose batch it is.
#[derive(Clone, Copy)]
pub(super) struct From {
    /// The host.
    pub(super) host: HostId,
    /// See [`Incoming::skew_ms`].
    pub(super) skew_ms: i64,
    /// When it was received.
    pub(super) received: Timestamp,
    /// Records before this number were waiting when the host came.
    pub(super) backlog: u64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it is committed.
    Done,
    /// What came before is committed; then the history forked.
    Fork,
    /// The host may not report any more.
    Refused(HostState),
    /// A newer stream has taken over.
    Replaced,
}

impl Batch {
    /// Opens and decodes what extends the chain, taking up its declarations into `dictionary`.
    pub(super) fn open(
        epoch: Epoch,
        items: Vec<Item>,
        (steps, stop): (&[Step], Option<Stop>),
        dictionary: &mut Dictionary,
    ) -> Self {
        let mut batch = Self { epoch, work: Vec::with_capacity(items.len()), weight: Weight::default(), raw: 0 };
        let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
        let mut record = |at: usize| match items.get_mut(at).and_then(Option::take) {
            Some(Item::Record(record)) => Some(record),
            _ => None, // the steps name each record once
        };
        for step in steps {
            let work = match step {
                Step::Append(at) => record(*at).map(|record| {
                    batch.raw += record.header.raw_len as usize;
                    batch.weight.bytes += record.payload.len();
                    open(record, dictionary)
                }),
                Step::Compare { at, hash, .. } => record(*at).map(|record| Work::Compare { record, hash: *hash }),
                Step::Declare(gap) => Some(Work::Declare(gap.clone())),
            };
            batch.work.extend(work);
        }
        let stray = match stop {
            Some(Stop::Break(at)) => record(at).map(|record| (record, "it does not follow the record before it")),
            Some(Stop::OtherEpoch(at)) => {
                record(at).map(|record| (record, "it is of another epoch than was announced"))
            }
            Some(Stop::Missing(_) | Stop::StillMissing) | None => None,
        };
        batch.work.extend(stray.map(|(record, why)| Work::Stray { record, why }));
        batch.weight.records = batch.work.len();
        batch
    }

    /// True if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    /// Writes it.
    pub(super) fn write(&self, tx: &mut dyn Tx, pipeline: &dyn Take, from: &From) -> Result<Outcome> {
        match tx.host(&from.host)?.map(|host| host.state) {
            Some(HostState::Active) => {}
            Some(state) => return Ok(Outcome::Refused(state)),
            None => return Ok(Outcome::Refused(HostState::Revoked)),
        }
        let mut unreadable = None;
        let outcome = self.write_each(tx, pipeline, from, &mut unreadable)?;
        if let Some(Unreadable { seq, why, count }) = unreadable {
            // one event for all of them: a host that lost its words may have a month of such records
            let text = format!("record {seq} cannot be read: {why}");
            let told = Event { count, ..Event::new("undecodable_record", Severity::Warning, text, from.received) };
            tx.collector_event(&from.host, &told)?;
        }
        Ok(outcome)
    }

    fn write_each<'a>(
        &'a self,
        tx: &mut dyn Tx,
        pipeline: &dyn Take,
        from: &From,
        unreadable: &mut Option<Unreadable<'a>>,
    ) -> Result<Outcome> {
        let From { host, skew_ms, received, backlog } = from;
        let (skew_ms, received) = (*skew_ms, *received);
        for work in &self.work {
            match work {
                Work::Append { record, payload, declared } => {
                    let payload = payload.as_ref().map_err(String::as_str);
                    if let Err(why) = payload {
                        quarantine(tx, host, record, record.hash(), why, received)?;
                        unreadable.get_or_insert(Unreadable { seq: record.header.seq, why, count: 0 }).count += 1;
                    }
                    let declared = declared.as_deref();
                    let caught_up = record.header.seq.saturating_add(1) >= *backlog;
                    pipeline.take(tx, &Incoming { host, record, payload, declared, received, skew_ms }, caught_up)?;
                }
                Work::Compare { record, hash } => {
                    let known = tx.record_hash(host, &record.header.epoch, record.header.seq)?;
                    if known.is_some_and(|known| known != *hash) {
                        let why = "another record of this number was received before";
                        stray(tx, host, record, ("fork", why), received)?;
                        return Ok(Outcome::Fork);
                    }
                }
                Work::Declare(gap) => declare(tx, host, &self.epoch, gap, received)?,
                Work::Stray { record, why } => {
                    stray(tx, host, record, ("chain_break", why), received)?;
                    return Ok(Outcome::Fork);
                }
            }
        }
        Ok(Outcome::Done)
    }
}

fn open(record: Record, dictionary: &mut Dictionary) -> Work {
    let mark = dictionary.mark();
    let payload = record.open().and_then(|raw| wire::decode(&raw, dictionary)).map_err(|error| error.to_string());
    let declared = dictionary.declared_since(mark);
    Work::Append { record, payload, declared }
}

/// Writes down what an agent says is lost, or what its greeting shows to be lost.
pub(super) fn declare(
    tx: &mut dyn Tx,
    host: &HostId,
    epoch: &Epoch,
    gap: &Tombstone,
    received: Timestamp,
) -> Result<()> {
    tx.append_gap(host, epoch, gap, received)?;
    let text = format!(
        "records {} to {} are lost: {}",
        gap.first,
        gap.last,
        match gap.reason {
            DropReason::SpoolFull => "the host could not keep them until they were delivered",
            DropReason::DiskFull => "the host's disk was full",
        }
    );
    tx.collector_event(host, &Event::new("records_lost", Severity::Warning, text, received))
}

fn stray(
    tx: &mut dyn Tx,
    host: &HostId,
    record: &Record,
    (kind, why): (&str, &str),
    received: Timestamp,
) -> Result<()> {
    quarantine(tx, host, record, record.hash(), why, received)?;
    let text =
        format!("record {} is not part of this host's history: {why} (restored, cloned or forged?)", record.header.seq);
    tracing::warn!("host {host}: {text}");
    tx.collector_event(host, &Event::new(kind, Severity::Critical, text, received))
}

fn quarantine(
    tx: &mut dyn Tx,
    host: &HostId,
    record: &Record,
    hash: Hash,
    reason: &str,
    received: Timestamp,
) -> Result<()> {
    let head = record.payload.iter().take(KEPT).copied().collect();
    let (epoch, seq) = (record.header.epoch, record.header.seq);
    let what = Quarantined {
        host: *host,
        epoch,
        seq,
        hash,
        reason: reason.to_owned(),
        size: record.payload.len() as u64,
        head,
    };
    tx.quarantine(&what, received)
}
