//! A payload and its protobuf form: [`encode`] on a host, [`decode`] at the collector. Behind `decode` no `Option` of the
//! wire is left, every enum is one of ours, and every limit holds.

mod values;

use std::collections::BTreeMap;

use prost::Message;

use crate::columns::{self, Packed};
use crate::dictionary::Dictionary;
use crate::generated::model as pb;
use crate::limits;
use crate::model::{
    Begin, Block, ColumnDecl, ColumnType, Event, Fact, MetricType, Outcome, Payload, Problem, Report, Role, Series,
    Severity, Slice, TableDecl, Tell,
};
use crate::record::{Class, RecordError};
use crate::time::Timestamp;
use crate::untrusted::Untrusted;
use values::{short, text};

pub use values::{value_from_wire, value_to_wire};

/// Why a message does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl From<Malformed> for RecordError {
    fn from(why: Malformed) -> Self {
        Self::Decode(why.0.to_owned())
    }
}

impl From<columns::Malformed> for RecordError {
    fn from(why: columns::Malformed) -> Self {
        Self::Decode(why.to_string())
    }
}

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

/// A table's declaration under a number.
#[must_use]
pub fn table_to_wire(id: u32, table: &TableDecl) -> pb::TableDecl {
    let columns = table.columns.iter().map(|column| pb::ColumnDecl {
        name: column.name.clone(),
        r#type: match column.kind {
            ColumnType::Text => pb::ColumnType::Text,
            ColumnType::Int => pb::ColumnType::Int,
            ColumnType::Real => pb::ColumnType::Real,
            ColumnType::Bool => pb::ColumnType::Bool,
            ColumnType::Time => pb::ColumnType::Time,
            ColumnType::Version => pb::ColumnType::Version,
            ColumnType::List => pb::ColumnType::List,
        }
        .into(),
        role: match column.role {
            Role::State => pb::ColumnRole::State,
            Role::Moving => pb::ColumnRole::Moving,
        }
        .into(),
        doc: column.doc.clone(),
    });
    pb::TableDecl { id, name: table.name.clone(), doc: table.doc.clone(), columns: columns.collect() }
}

/// A table's declaration.
///
/// # Errors
/// A limit or a name does not hold.
pub fn table_from_wire(table: &pb::TableDecl) -> Result<TableDecl, RecordError> {
    if table.columns.len() > limits::COLUMNS {
        return Err(RecordError::TooBig {
            what: "columns of a table",
            size: table.columns.len(),
            limit: limits::COLUMNS,
        });
    }
    let mut columns: Vec<ColumnDecl> = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let kind = match column.r#type() {
            pb::ColumnType::Unspecified => return Err(Malformed("unknown column type").into()),
            pb::ColumnType::Text => ColumnType::Text,
            pb::ColumnType::Int => ColumnType::Int,
            pb::ColumnType::Real => ColumnType::Real,
            pb::ColumnType::Bool => ColumnType::Bool,
            pb::ColumnType::Time => ColumnType::Time,
            pb::ColumnType::Version => ColumnType::Version,
            pb::ColumnType::List => ColumnType::List,
        };
        let role = match column.role() {
            pb::ColumnRole::Unspecified => return Err(Malformed("unknown column role").into()),
            pb::ColumnRole::State => Role::State,
            pb::ColumnRole::Moving => Role::Moving,
        };
        if columns.iter().any(|each| each.name == column.name) {
            return Err(Malformed("column name twice").into());
        }
        columns.push(ColumnDecl { name: word(&column.name)?, kind, role, doc: short(column.doc.clone())? });
    }
    Ok(TableDecl { name: word(&table.name)?, doc: short(table.doc.clone())?, columns })
}

pub(crate) fn series_to_wire(id: u32, series: &Series, kind: MetricType) -> pb::SeriesDecl {
    let label =
        |(name, value): (&String, &Untrusted)| pb::Label { name: name.clone(), value: value.as_bytes().to_vec() };
    let r#type = match kind {
        MetricType::Counter => pb::MetricType::Counter,
        MetricType::Gauge => pb::MetricType::Gauge,
    };
    pb::SeriesDecl {
        id,
        name: series.name.clone(),
        labels: series.labels.iter().map(label).collect(),
        r#type: r#type.into(),
    }
}

pub(crate) fn series_from_wire(series: &pb::SeriesDecl) -> Result<(Series, MetricType), RecordError> {
    if series.labels.len() > limits::LABELS {
        return Err(RecordError::TooBig {
            what: "labels of a series",
            size: series.labels.len(),
            limit: limits::LABELS,
        });
    }
    let kind = match series.r#type() {
        pb::MetricType::Unspecified => return Err(Malformed("unknown metric type").into()),
        pb::MetricType::Counter => MetricType::Counter,
        pb::MetricType::Gauge => MetricType::Gauge,
    };
    let mut labels = BTreeMap::new();
    for label in &series.labels {
        labels.insert(word(&label.name)?, text(label.value.clone())?);
    }
    Ok((Series { name: word(&series.name)?, labels }, kind))
}

/// Names of tables, columns, metrics, labels, kinds and watchers end up in queries and on screens: lower-case letters,
/// digits and underscores, 64 at most.
fn word(name: &str) -> Result<String, RecordError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(Malformed("a name is not of lower-case letters, digits and underscores").into());
    }
    Ok(name.to_owned())
}

fn report_to_wire(report: &Report, dictionary: &Dictionary) -> Result<pb::Report, RecordError> {
    let outcome = match report.outcome {
        Outcome::Done => pb::Outcome::Done,
        Outcome::More => pb::Outcome::More,
        Outcome::Absent => pb::Outcome::Absent,
        Outcome::Failed => pb::Outcome::Failed,
    };
    let problem = |problem: &Problem| {
        Ok(pb::Problem {
            table: named(dictionary, &problem.table)?.0,
            key_prefix: problem.key_prefix.as_bytes().to_vec(),
            path: problem.path.as_bytes().to_vec(),
            error: problem.error.clone(),
            hint: problem.hint.clone(),
        })
    };
    Ok(pb::Report {
        watcher: report.watcher.clone(),
        look: report.look,
        at_ms: report.at.millis(),
        outcome: outcome.into(),
        slices: report.slices.iter().map(|each| slice_to_wire(each, dictionary)).collect::<Result<_, _>>()?,
        events: report.events.iter().map(event_to_wire).collect(),
        problems: report.problems.iter().map(problem).collect::<Result<_, RecordError>>()?,
    })
}

fn named<'a>(dictionary: &'a Dictionary, table: &str) -> Result<(u32, &'a TableDecl), RecordError> {
    dictionary.table_named(table).ok_or_else(|| RecordError::Decode(format!("table {table} is not declared")))
}

fn report_from_wire(report: pb::Report, dictionary: &Dictionary) -> Result<Report, RecordError> {
    let outcome = match report.outcome() {
        pb::Outcome::Unspecified => return Err(Malformed("unknown outcome").into()),
        pb::Outcome::Done => Outcome::Done,
        pb::Outcome::More => Outcome::More,
        pb::Outcome::Absent => Outcome::Absent,
        pb::Outcome::Failed => Outcome::Failed,
    };
    let problem = |problem: pb::Problem| {
        Ok(Problem {
            table: numbered(dictionary, problem.table)?.name.clone(),
            key_prefix: text(problem.key_prefix)?,
            path: text(problem.path)?,
            error: short(problem.error)?,
            hint: short(problem.hint)?,
        })
    };
    Ok(Report {
        watcher: word(&report.watcher)?,
        look: report.look,
        at: Timestamp::from_millis(report.at_ms),
        outcome,
        slices: report.slices.into_iter().map(|each| slice_from_wire(each, dictionary)).collect::<Result<_, _>>()?,
        events: report.events.into_iter().map(event_from_wire).collect::<Result<_, _>>()?,
        problems: report.problems.into_iter().map(problem).collect::<Result<_, RecordError>>()?,
    })
}

fn numbered(dictionary: &Dictionary, table: u32) -> Result<&TableDecl, RecordError> {
    dictionary.table(table).ok_or_else(|| Malformed("table number is not declared").into())
}

fn slice_to_wire(slice: &Slice, dictionary: &Dictionary) -> Result<pb::Slice, RecordError> {
    let (id, table) = named(dictionary, &slice.table)?;
    let tell = match slice.tell {
        Tell::Delta => pb::Tell::Delta,
        Tell::FullFirst => pb::Tell::FullFirst,
        Tell::Full => pb::Tell::Full,
        Tell::FullLast => pb::Tell::FullLast,
        Tell::FullOnly => pb::Tell::FullOnly,
    };
    let column = |name: &str| {
        let position =
            (0u32..).zip(&table.columns).find(|(_, column)| column.name == name).map(|(position, _)| position);
        position.ok_or_else(|| RecordError::Decode(format!("column {name} of {} is not declared", table.name)))
    };
    let fact = |fact: &Fact| -> Result<pb::Fact, RecordError> {
        let mut fields = Vec::with_capacity(fact.fields.len());
        for (name, value) in &fact.fields {
            fields.push(pb::Field { column: column(name)?, value: Some(value_to_wire(value)) });
        }
        let mut unknown = Vec::with_capacity(fact.unknown.len());
        for (name, reason) in &fact.unknown {
            let column = if name.is_empty() { 0 } else { column(name)? + 1 };
            unknown.push(pb::Unknown { column, reason: reason.clone() });
        }
        Ok(pb::Fact { key: fact.key.as_bytes().to_vec(), source: fact.source.as_bytes().to_vec(), fields, unknown })
    };
    Ok(pb::Slice {
        table: id,
        tell: tell.into(),
        facts: slice.facts.iter().map(fact).collect::<Result<_, _>>()?,
        gone: slice.gone.iter().map(|key| key.as_bytes().to_vec()).collect(),
    })
}

fn slice_from_wire(slice: pb::Slice, dictionary: &Dictionary) -> Result<Slice, RecordError> {
    let tell = match slice.tell() {
        pb::Tell::Unspecified => return Err(Malformed("unknown tell").into()),
        pb::Tell::Delta => Tell::Delta,
        pb::Tell::FullFirst => Tell::FullFirst,
        pb::Tell::Full => Tell::Full,
        pb::Tell::FullLast => Tell::FullLast,
        pb::Tell::FullOnly => Tell::FullOnly,
    };
    if tell != Tell::Delta && !slice.gone.is_empty() {
        return Err(Malformed("a full tell names gone keys").into());
    }
    let table = numbered(dictionary, slice.table)?;
    let column = |position: u32| table.columns.get(position as usize).ok_or(Malformed("column is not declared"));
    let fact = |fact: pb::Fact| -> Result<Fact, RecordError> {
        let mut fields = BTreeMap::new();
        for field in fact.fields {
            let column = column(field.column)?;
            let value = value_from_wire(field.value)?;
            if value.column_type() != column.kind {
                return Err(RecordError::Decode(format!("{}.{} has another type", table.name, column.name)));
            }
            fields.insert(column.name.clone(), value);
        }
        let mut unknown = BTreeMap::new();
        for each in fact.unknown {
            let name = if each.column == 0 { String::new() } else { column(each.column - 1)?.name.clone() };
            if fields.contains_key(&name) {
                return Err(Malformed("a column is both known and unknown").into());
            }
            unknown.insert(name, short(each.reason)?);
        }
        Ok(Fact { key: text(fact.key)?, source: text(fact.source)?, fields, unknown })
    };
    Ok(Slice {
        table: table.name.clone(),
        tell,
        facts: slice.facts.into_iter().map(fact).collect::<Result<_, _>>()?,
        gone: slice.gone.into_iter().map(text).collect::<Result<_, _>>()?,
    })
}

/// An event.
#[must_use]
pub fn event_to_wire(event: &Event) -> pb::Event {
    let severity = match event.severity {
        Severity::Info => pb::Severity::Info,
        Severity::Warning => pb::Severity::Warning,
        Severity::Critical => pb::Severity::Critical,
    };
    let field = |(name, value): (&String, &_)| pb::NamedValue { name: name.clone(), value: Some(value_to_wire(value)) };
    pb::Event {
        at_ms: event.at.millis(),
        kind: event.kind.clone(),
        severity: severity.into(),
        text: event.text.as_bytes().to_vec(),
        fields: event.fields.iter().map(field).collect(),
        count: event.count,
    }
}

/// An event.
///
/// # Errors
/// A limit or a name does not hold.
pub fn event_from_wire(event: pb::Event) -> Result<Event, RecordError> {
    let severity = match event.severity() {
        pb::Severity::Unspecified => return Err(Malformed("unknown severity").into()),
        pb::Severity::Info => Severity::Info,
        pb::Severity::Warning => Severity::Warning,
        pb::Severity::Critical => Severity::Critical,
    };
    let mut fields = BTreeMap::new();
    for field in event.fields {
        fields.insert(word(&field.name)?, value_from_wire(field.value)?);
    }
    Ok(Event {
        at: Timestamp::from_millis(event.at_ms),
        kind: word(&event.kind)?,
        severity,
        text: text(event.text)?,
        fields,
        count: event.count,
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
