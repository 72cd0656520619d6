//! Single values and texts, with their limits.

use crate::columns;
use crate::generated::model as pb;
use crate::limits;
use crate::model::Value;
use crate::record::RecordError;
use crate::time::Timestamp;
use crate::untrusted::Untrusted;

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

/// A value.
#[must_use]
pub fn value_to_wire(value: &Value) -> pb::Value {
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

/// A value.
///
/// # Errors
/// There is none, or a limit does not hold.
pub fn value_from_wire(value: Option<pb::Value>) -> Result<Value, RecordError> {
    Ok(match value.and_then(|value| value.kind).ok_or(Malformed("a value is missing"))? {
        pb::value::Kind::Text(bytes) => Value::Text(text(bytes)?),
        pb::value::Kind::Int(number) => Value::Int(number),
        pb::value::Kind::Real(number) => Value::Real(number),
        pb::value::Kind::Bool(yes) => Value::Bool(yes),
        pb::value::Kind::TimeMs(millis) => Value::Time(Timestamp::from_millis(millis)),
        pb::value::Kind::Version(bytes) => Value::Version(text(bytes)?),
        pb::value::Kind::List(list) => {
            size("items of a list", list.items.len(), limits::LIST_ITEMS)?;
            Value::List(list.items.into_iter().map(text).collect::<Result<_, _>>()?)
        }
    })
}

pub(crate) fn text(bytes: Vec<u8>) -> Result<Untrusted, RecordError> {
    size("text", bytes.len(), limits::FIELD)?;
    Ok(bytes.into())
}

pub(crate) fn short(text: String) -> Result<String, RecordError> {
    size("text", text.len(), limits::FIELD)?;
    Ok(text)
}

fn size(what: &'static str, size: usize, limit: usize) -> Result<(), RecordError> {
    if size > limit { Err(RecordError::TooBig { what, size, limit }) } else { Ok(()) }
}
