//! How values lie in BLOB columns: as protobuf messages, of plumb's own wire where it has them. They carry names, never
//! an epoch's numbers, so a row can be read without the record that brought it. No limit of the wire is checked here:
//! what was accepted once stays readable when a limit is lowered.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use plumb_proto::columns::{self, Packed};
use plumb_proto::dictionary::Dictionary;
use plumb_proto::generated::model as pb;
use plumb_proto::limits;
use plumb_proto::model::{Fact, Problem, Series, TableDecl, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use prost::Message;

use crate::drift::Subject;
use crate::view::{BaselineRow, WatcherView};

#[derive(Clone, PartialEq, Message)]
struct Fields {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<pb::NamedValue>,
    #[prost(bytes = "vec", tag = "2")]
    source: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    unknown: Vec<Reason>,
}

#[derive(Clone, PartialEq, Message)]
struct Reason {
    #[prost(string, tag = "1")]
    column: String,
    #[prost(string, tag = "2")]
    reason: String,
}

/// The baseline of a row. A column that was null is there, without a value.
#[derive(Clone, PartialEq, Message)]
struct Approved {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<pb::NamedValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Owners {
    #[prost(message, repeated, tag = "1")]
    owners: Vec<Owner>,
}

#[derive(Clone, PartialEq, Message)]
struct Owner {
    #[prost(string, tag = "1")]
    watcher: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    blind: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(message, repeated, tag = "1")]
    problems: Vec<NamedProblem>,
    #[prost(message, repeated, tag = "2")]
    told: Vec<Told>,
}

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(string, tag = "1")]
    table: String,
    #[prost(bool, tag = "2")]
    ended: bool,
}

#[derive(Clone, PartialEq, Message)]
struct NamedProblem {
    #[prost(string, tag = "1")]
    table: String,
    #[prost(bytes = "vec", tag = "2")]
    key_prefix: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    path: Vec<u8>,
    #[prost(string, tag = "4")]
    error: String,
    #[prost(string, tag = "5")]
    hint: String,
}

#[derive(Clone, PartialEq, Message)]
struct Labels {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<pb::Label>,
}

/// One of row (1 to 3), series (4 and 5) and watcher (6); none of them: the host.
#[derive(Clone, PartialEq, Message)]
struct Subjects {
    #[prost(string, optional, tag = "1")]
    table: Option<String>,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(string, optional, tag = "3")]
    field: Option<String>,
    #[prost(string, optional, tag = "4")]
    series: Option<String>,
    #[prost(message, repeated, tag = "5")]
    labels: Vec<pb::Label>,
    #[prost(string, optional, tag = "6")]
    watcher: Option<String>,
}

fn value_to(value: &Value) -> pb::Value {
    let bytes = |text: &Untrusted| text.as_bytes().to_vec();
    let kind = match value {
        Value::Text(text) => pb::value::Kind::Text(bytes(text)),
        Value::Int(number) => pb::value::Kind::Int(*number),
        Value::Real(number) => pb::value::Kind::Real(*number),
        Value::Bool(yes) => pb::value::Kind::Bool(*yes),
        Value::Time(at) => pb::value::Kind::TimeMs(at.millis()),
        Value::Version(text) => pb::value::Kind::Version(bytes(text)),
        Value::List(items) => pb::value::Kind::List(pb::List { items: items.iter().map(bytes).collect() }),
    };
    pb::Value { kind: Some(kind) }
}

fn value_from(value: Option<pb::Value>) -> Result<Value> {
    Ok(match value.and_then(|value| value.kind).context("a value is missing")? {
        pb::value::Kind::Text(bytes) => Value::Text(bytes.into()),
        pb::value::Kind::Int(number) => Value::Int(number),
        pb::value::Kind::Real(number) => Value::Real(number),
        pb::value::Kind::Bool(yes) => Value::Bool(yes),
        pb::value::Kind::TimeMs(millis) => Value::Time(Timestamp::from_millis(millis)),
        pb::value::Kind::Version(bytes) => Value::Version(bytes.into()),
        pb::value::Kind::List(list) => Value::List(list.items.into_iter().map(Untrusted::from).collect()),
    })
}

fn named_to(fields: &BTreeMap<String, Value>) -> Vec<pb::NamedValue> {
    fields.iter().map(|(name, value)| pb::NamedValue { name: name.clone(), value: Some(value_to(value)) }).collect()
}

fn named_from(fields: Vec<pb::NamedValue>) -> Result<BTreeMap<String, Value>> {
    fields.into_iter().map(|each| Ok((each.name, value_from(each.value)?))).collect()
}

/// A fact without its key.
pub fn fact_to(fact: &Fact) -> Vec<u8> {
    let unknown = fact.unknown.iter().map(|(column, reason)| Reason { column: column.clone(), reason: reason.clone() });
    let source = fact.source.as_bytes().to_vec();
    Fields { fields: named_to(&fact.fields), source, unknown: unknown.collect() }.encode_to_vec()
}

/// A fact from its key and [`fact_to`].
pub fn fact_from(key: Vec<u8>, bytes: &[u8]) -> Result<Fact> {
    let kept = Fields::decode(bytes).context("a kept fact does not decode")?;
    Ok(Fact {
        key: key.into(),
        source: kept.source.into(),
        fields: named_from(kept.fields)?,
        unknown: kept.unknown.into_iter().map(|each| (each.column, each.reason)).collect(),
    })
}

/// Fields of an event.
pub fn fields_to(fields: &BTreeMap<String, Value>) -> Vec<u8> {
    Fields { fields: named_to(fields), ..Fields::default() }.encode_to_vec()
}

/// From [`fields_to`].
pub fn fields_from(bytes: &[u8]) -> Result<BTreeMap<String, Value>> {
    named_from(Fields::decode(bytes).context("kept fields do not decode")?.fields)
}

/// The baseline of a row.
pub fn approved_to(row: &BaselineRow) -> Vec<u8> {
    let field = |(name, value): (&String, &Option<Value>)| pb::NamedValue {
        name: name.clone(),
        value: value.as_ref().map(value_to),
    };
    Approved { fields: row.iter().map(field).collect() }.encode_to_vec()
}

/// From [`approved_to`].
pub fn approved_from(bytes: &[u8]) -> Result<BaselineRow> {
    let field = |field: pb::NamedValue| {
        let value = field.value.map(|value| value_from(Some(value))).transpose()?;
        Ok((field.name, value))
    };
    Approved::decode(bytes).context("a kept baseline does not decode")?.fields.into_iter().map(field).collect()
}

/// Whose rows of a table have a baseline, each with the key prefixes that could not be seen yet.
pub fn owners_to(owners: &BTreeMap<String, BTreeSet<Untrusted>>) -> Vec<u8> {
    let owner = |(watcher, blind): (&String, &BTreeSet<Untrusted>)| Owner {
        watcher: watcher.clone(),
        blind: blind.iter().map(|prefix| prefix.as_bytes().to_vec()).collect(),
    };
    Owners { owners: owners.iter().map(owner).collect() }.encode_to_vec()
}

/// From [`owners_to`].
pub fn owners_from(bytes: &[u8]) -> Result<BTreeMap<String, BTreeSet<Untrusted>>> {
    let owner = |owner: Owner| (owner.watcher, owner.blind.into_iter().map(Untrusted::from).collect());
    let kept = Owners::decode(bytes).context("kept owners of a baseline do not decode")?;
    Ok(kept.owners.into_iter().map(owner).collect())
}

/// Problems of a look, and how far its full tells have come.
pub fn details_to(look: &WatcherView) -> Vec<u8> {
    let named = |problem: &Problem| NamedProblem {
        table: problem.table.clone(),
        key_prefix: problem.key_prefix.as_bytes().to_vec(),
        path: problem.path.as_bytes().to_vec(),
        error: problem.error.clone(),
        hint: problem.hint.clone(),
    };
    let told = look.told.iter().map(|(table, ended)| Told { table: table.clone(), ended: *ended });
    Details { problems: look.problems.iter().map(named).collect(), told: told.collect() }.encode_to_vec()
}

/// From [`details_to`].
pub fn details_from(bytes: &[u8]) -> Result<(Vec<Problem>, BTreeMap<String, bool>)> {
    let named = |problem: NamedProblem| Problem {
        table: problem.table,
        key_prefix: problem.key_prefix.into(),
        path: problem.path.into(),
        error: problem.error,
        hint: problem.hint,
    };
    let kept = Details::decode(bytes).context("kept details of a look do not decode")?;
    let told = kept.told.into_iter().map(|each| (each.table, each.ended)).collect();
    Ok((kept.problems.into_iter().map(named).collect(), told))
}

fn label_list(series: &Series) -> Vec<pb::Label> {
    let label = |(name, value): (&String, &Untrusted)| pb::Label { name: name.clone(), value: value.as_bytes().into() };
    series.labels.iter().map(label).collect()
}

fn series_of(name: String, labels: Vec<pb::Label>) -> Series {
    Series { name, labels: labels.into_iter().map(|label| (label.name, label.value.into())).collect() }
}

/// The labels of a series.
pub fn labels_to(series: &Series) -> Vec<u8> {
    Labels { labels: label_list(series) }.encode_to_vec()
}

/// A series from its name and [`labels_to`].
pub fn series_from(name: String, labels: &[u8]) -> Result<Series> {
    Ok(series_of(name, Labels::decode(labels).context("kept labels do not decode")?.labels))
}

/// What a drift is about.
pub fn subject_to(subject: &Subject) -> Vec<u8> {
    let mut kept = Subjects::default();
    match subject {
        Subject::Row { table, key, field } => {
            (kept.table, kept.key, kept.field) = (Some(table.clone()), key.as_bytes().to_vec(), field.clone());
        }
        Subject::Series(series) => (kept.series, kept.labels) = (Some(series.name.clone()), label_list(series)),
        Subject::Watcher(name) => kept.watcher = Some(name.clone()),
        Subject::Host => {}
    }
    kept.encode_to_vec()
}

/// From [`subject_to`].
pub fn subject_from(bytes: &[u8]) -> Result<Subject> {
    let kept = Subjects::decode(bytes).context("a kept subject does not decode")?;
    Ok(match kept {
        Subjects { table: Some(table), key, field, .. } => Subject::Row { table, key: key.into(), field },
        Subjects { series: Some(name), labels, .. } => Subject::Series(series_of(name, labels)),
        Subjects { watcher: Some(name), .. } => Subject::Watcher(name),
        _ => Subject::Host,
    })
}

/// A table's declaration, in the form that dictionaries are kept in.
pub fn decl_to(table: &TableDecl) -> Result<Vec<u8>> {
    let mut alone = Dictionary::default();
    let mark = alone.mark();
    alone.declare_table(table)?;
    alone.declared_since(mark).context("a table without a declaration")
}

/// From [`decl_to`].
pub fn decl_from(bytes: &[u8]) -> Result<TableDecl> {
    let mut alone = Dictionary::default();
    alone.restore(bytes).context("a kept declaration does not decode")?;
    alone.tables().first().cloned().context("a kept declaration is empty")
}

/// Columns of samples by the host's numbers: times, then one column a series.
pub type Columns = (Vec<Timestamp>, Vec<(u32, Vec<Option<f64>>)>);

/// Samples in columns, not yet compressed.
pub fn block_to(times: &[Timestamp], columns: &[(u32, &[Option<f64>])]) -> Vec<u8> {
    let values = columns.iter().map(|(series, values)| {
        let Packed { encoding, missing, data } = columns::pack(values);
        pb::Values { series: *series, encoding, missing, data }
    });
    let times: Vec<i64> = times.iter().map(|time| time.millis()).collect();
    let times = columns::pack_times(&times);
    pb::Block { watcher: String::new(), times, values: values.collect() }.encode_to_vec()
}

/// From [`block_to`].
pub fn block_from(bytes: &[u8]) -> Result<Columns> {
    let block = pb::Block::decode(bytes).context("a kept chunk does not decode")?;
    let times = columns::unpack_times(&block.times, limits::BLOCK_TIMES)?;
    let unpack = |values: pb::Values| {
        let packed = Packed { encoding: values.encoding, missing: values.missing, data: values.data };
        Ok((values.series, columns::unpack(&packed, times.len())?))
    };
    let columns = block.values.into_iter().map(unpack).collect::<Result<_>>()?;
    Ok((times.into_iter().map(Timestamp::from_millis).collect(), columns))
}

/// Opens what [`Packer::pack`] closed.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::decompress(packed, UNPACKED).context("a kept blob does not decompress")
}

/// The largest blob that is compressed: what one record declares or samples is smaller.
const UNPACKED: usize = 16 << 20;

/// Compresses blobs, and keeps the memory for that.
pub struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    /// Level 3, as records have it.
    pub fn new() -> Result<Self> {
        Ok(Self(zstd::bulk::Compressor::new(3)?))
    }

    /// One zstd frame.
    pub fn pack(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        if raw.len() > UNPACKED {
            bail!("{} B are too many for one blob, at most {UNPACKED}", raw.len());
        }
        Ok(self.0.compress(raw)?)
    }
}
