//! A row of a host as it is answered.

use plumb_proto::generated::{model as wire, query as pb};
use plumb_proto::wire::value_to_wire;

use crate::view::Row;

/// Without its support window, which is judged where it is asked for.
pub(super) fn row(host: &str, row: &Row) -> pb::Row {
    let field =
        |(name, value): (&String, &_)| wire::NamedValue { name: name.clone(), value: Some(value_to_wire(value)) };
    let unknown = |(column, reason): (&String, &String)| pb::Unknown { column: column.clone(), reason: reason.clone() };
    let stale = row.stale.iter().map(|why| pb::Unknown { column: String::new(), reason: why.clone() });
    pb::Row {
        host: host.to_owned(),
        table: row.table.clone(),
        key: row.fact.key.as_bytes().to_vec(),
        fields: row.fact.fields.iter().map(field).collect(),
        unknown: stale.chain(row.fact.unknown.iter().map(unknown)).collect(),
        source: row.fact.source.as_bytes().to_vec(),
        since_ms: row.since.millis(),
        confirmed_ms: row.confirmed.millis(),
        watcher: row.owner.clone(),
        support: None,
    }
}
