//! A payload and its protobuf form: [`encode`] on a host, [`decode`] at the collector. Behind `decode` no `Option` of the
//! wire is left, every enum is one of ours, and every limit holds.

pub(crate) mod declarations;
mod reports;
pub(crate) mod values;

use prost::Message;

use crate::columns::{self, Packed};
use crate::dictionary::Dictionary;
use crate::generated::model as pb;
use crate::limits;
use crate::model::{Begin, Block, Outcome, Payload, Report};
use crate::record::{Class, RecordError};
use crate::time::Timestamp;
use declarations::word;
pub use declarations::{table_from_wire, table_to_wire};
pub use reports::{event_from_wire, event_to_wire};
use reports::{report_from_wire, report_to_wire};
use values::short;
pub use values::{Malformed, value_from_wire, value_to_wire};

/// Writes a payload by the numbers of `dictionary`, declaring in it, ahead, what is new. The class follows from what is
/// in it. Call [`Dictionary::roll_back`] if the record is not kept after all.
///
/// # Errors
/// A limit is passed; a row names a table or a column that is declared nowhere.
pub fn encode(payload: &Payload, dictionary: &mut Dictionary) -> Result<(Vec<u8>, Class), RecordError> {
    let mark = dictionary.mark();
    for table in &payload.tables {
        dictionary.declare_table(table)?;
    }
    let mut blocks = Vec::with_capacity(payload.blocks.len());
    for block in &payload.blocks {
        let mut values = Vec::with_capacity(block.columns.len());
        for (series, kind, column) in &block.columns {
            let (id, _) = dictionary.declare_series(series, *kind)?;
            let Packed { encoding, missing, data } = columns::pack(column);
            values.push(pb::Values { series: id, encoding, missing, data });
        }
        let times: Vec<i64> = block.times.iter().map(|time| time.millis()).collect();
        blocks.push(pb::Block { watcher: block.watcher.clone(), times: columns::pack_times(&times), values });
    }
    let reports = payload.reports.iter().map(|each| report_to_wire(each, dictionary)).collect::<Result<_, _>>()?;
    let mut out = dictionary.declarations_since(mark);
    out.begin = payload.begin.as_ref().map(|begin| pb::Begin {
        old_epoch: begin.old_epoch.to_vec(),
        old_seq: begin.old_seq,
        old_hash: begin.old_hash.to_vec(),
        reason: begin.reason.clone(),
    });
    let class = if out.begin.is_some() || !out.tables.is_empty() || !out.series.is_empty() {
        Class::Declarations
    } else if payload.reports.iter().all(Report::is_bare) {
        Class::Samples
    } else {
        Class::Facts
    };
    (out.reports, out.blocks) = (reports, blocks);
    Ok((out.encode_to_vec(), class))
}

/// A payload that declares all that `dictionary` holds, for a collector that asked for it.
#[must_use]
pub fn encode_dictionary(dictionary: &Dictionary) -> Vec<u8> {
    dictionary.declarations_since(Dictionary::default().mark()).encode_to_vec()
}

/// Reads a payload, taking up what it declares into `dictionary`. On an error the dictionary is as it was.
///
/// # Errors
/// [`RecordError::Decode`] and [`RecordError::TooBig`], with what is wrong.
pub fn decode(raw: &[u8], dictionary: &mut Dictionary) -> Result<Payload, RecordError> {
    let mark = dictionary.mark();
    let payload = pb::Payload::decode(raw).map_err(|error| RecordError::Decode(error.to_string()));
    let payload = payload.and_then(|payload| payload_from_wire(payload, dictionary));
    if payload.is_err() {
        dictionary.roll_back(mark);
    }
    payload
}

fn payload_from_wire(payload: pb::Payload, dictionary: &mut Dictionary) -> Result<Payload, RecordError> {
    let elements = elements(&payload);
    if elements > limits::ELEMENTS {
        return Err(RecordError::TooBig { what: "elements of a record", size: elements, limit: limits::ELEMENTS });
    }
    let known = dictionary.mark();
    dictionary.take_up(&payload.tables, &payload.series)?;
    let tables = dictionary.declarations_since(known).tables;
    Ok(Payload {
        begin: payload.begin.map(begin_from_wire).transpose()?,
        tables: tables.iter().map(table_from_wire).collect::<Result<_, _>>()?,
        reports: payload
            .reports
            .into_iter()
            .map(|each| report_from_wire(each, dictionary))
            .collect::<Result<_, _>>()?,
        blocks: payload.blocks.into_iter().map(|each| block_from_wire(each, dictionary)).collect::<Result<_, _>>()?,
    })
}

fn elements(payload: &pb::Payload) -> usize {
    let of_slice = |slice: &pb::Slice| {
        let of_fact = |fact: &pb::Fact| 1 + fact.fields.len() + fact.unknown.len();
        1 + slice.gone.len() + slice.facts.iter().map(of_fact).sum::<usize>()
    };
    let of_report = |report: &pb::Report| {
        let events = report.events.iter().map(|event| 1 + event.fields.len()).sum::<usize>();
        1 + events + report.problems.len() + report.slices.iter().map(of_slice).sum::<usize>()
    };
    let declared = payload.tables.iter().map(|table| 1 + table.columns.len()).sum::<usize>() + payload.series.len();
    let blocks = payload.blocks.iter().map(|block| 1 + block.values.len()).sum::<usize>();
    declared + blocks + payload.reports.iter().map(of_report).sum::<usize>()
}

fn begin_from_wire(begin: pb::Begin) -> Result<Begin, RecordError> {
    Ok(Begin {
        old_epoch: begin.old_epoch.try_into().map_err(|_| Malformed("begin: epoch is not 16 bytes"))?,
        old_seq: begin.old_seq,
        old_hash: begin.old_hash.try_into().map_err(|_| Malformed("begin: hash is not 32 bytes"))?,
        reason: short(begin.reason)?,
    })
}

fn block_from_wire(block: pb::Block, dictionary: &Dictionary) -> Result<Block, RecordError> {
    let times = columns::unpack_times(&block.times, limits::BLOCK_TIMES)?;
    // a column of a constant costs no bytes a tick, so the sum is bounded before memory is asked for
    if times.len().saturating_mul(block.values.len()) > limits::ELEMENTS * 16 {
        return Err(Malformed("too many samples in a block").into());
    }
    let mut columns = Vec::with_capacity(block.values.len());
    for values in block.values {
        let (series, kind) = dictionary.series(values.series).ok_or(Malformed("series number is not declared"))?;
        let packed = Packed { encoding: values.encoding, missing: values.missing, data: values.data };
        columns.push((series.clone(), *kind, columns::unpack(&packed, times.len())?));
    }
    let times = times.into_iter().map(Timestamp::from_millis).collect();
    Ok(Block { watcher: word(&block.watcher)?, times, columns })
}

impl Report {
    /// True if it only confirms what was told before.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.outcome == Outcome::Done && self.slices.is_empty() && self.events.is_empty() && self.problems.is_empty()
    }
}
