//! Reports: slices of rows, events, problems.

use std::collections::BTreeMap;

use super::declarations::word;
use super::values::{Malformed, short, text, value_from_wire, value_to_wire};
use crate::dictionary::Dictionary;
use crate::generated::model as pb;
use crate::model::{Event, Fact, Outcome, Problem, Report, Severity, Slice, TableDecl, Tell};
use crate::record::RecordError;
use crate::time::Timestamp;

pub(super) fn report_to_wire(report: &Report, dictionary: &Dictionary) -> Result<pb::Report, RecordError> {
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

pub(super) fn report_from_wire(report: pb::Report, dictionary: &Dictionary) -> Result<Report, RecordError> {
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
