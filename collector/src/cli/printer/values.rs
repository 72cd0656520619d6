//! Values of columns, for people and as JSON. What a host said is escaped either way.

use plumb_proto::generated::model as wire;
use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use plumb_proto::wire::value_from_wire;
use serde_json::{Map, Value as Json};

use super::words;

/// Bytes that a host said, as text without anything that could move a cursor.
#[must_use]
pub fn said(bytes: &[u8]) -> String {
    Untrusted::from(bytes).to_string()
}

/// Named values as a JSON object.
#[must_use]
pub fn object(fields: &[wire::NamedValue]) -> Map<String, Json> {
    let value =
        |field: &wire::NamedValue| value_from_wire(field.value.clone()).map_or(Json::Null, |value| json(&value));
    fields.iter().map(|field| (field.name.clone(), value(field))).collect()
}

/// A value as JSON: RFC 3339 for times, text for what is text.
#[must_use]
pub fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) | Value::Version(text) => text.to_string().into(),
        Value::Int(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Bool(yes) => (*yes).into(),
        Value::Time(at) => at.to_string().into(),
        Value::List(items) => items.iter().map(ToString::to_string).collect(),
    }
}

/// A value for people. The column's name carries the unit: `_bytes` are shown as sizes.
#[must_use]
pub fn shown(column: &str, value: &Value) -> String {
    match value {
        #[allow(clippy::cast_precision_loss)] // one decimal is shown
        Value::Int(number) if column.ends_with("_bytes") => words::bytes(*number as f64),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Time(at) => words::moment(*at),
        Value::List(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The value of a column, if it was told.
#[must_use]
pub fn field(fields: &[wire::NamedValue], column: &str) -> Option<Value> {
    let field = fields.iter().find(|field| field.name == column)?;
    value_from_wire(field.value.clone()).ok()
}

/// Milliseconds of the wire as a moment.
#[must_use]
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
