//! Declarations of tables and series.

use std::collections::BTreeMap;

use super::values::{Malformed, short, text};
use crate::generated::model as pb;
use crate::limits;
use crate::model::{ColumnDecl, ColumnType, MetricType, Role, Series, TableDecl};
use crate::record::RecordError;
use crate::untrusted::Untrusted;

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
pub(super) fn word(name: &str) -> Result<String, RecordError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(Malformed("a name is not of lower-case letters, digits and underscores").into());
    }
    Ok(name.to_owned())
}
