//! What lies in BLOB columns, as messages. A number that was used once is never used for anything else.

use plumb_proto::generated::model as pb;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Fields {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<pb::NamedValue>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) source: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    pub(super) unknown: Vec<Reason>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Reason {
    #[prost(string, tag = "1")]
    pub(super) column: String,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
}

/// The baseline of a row. A column that was null is there, without a value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Approved {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<pb::NamedValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Owners {
    #[prost(message, repeated, tag = "1")]
    pub(super) owners: Vec<Owner>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Owner {
    #[prost(string, tag = "1")]
    pub(super) watcher: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) blind: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Details {
    #[prost(message, repeated, tag = "1")]
    pub(super) problems: Vec<NamedProblem>,
    #[prost(message, repeated, tag = "2")]
    pub(super) told: Vec<Told>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Told {
    #[prost(string, tag = "1")]
    pub(super) table: String,
    #[prost(bool, tag = "2")]
    pub(super) ended: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NamedProblem {
    #[prost(string, tag = "1")]
    pub(super) table: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) key_prefix: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) path: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(super) error: String,
    #[prost(string, tag = "5")]
    pub(super) hint: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Labels {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<pb::Label>,
}

/// One of row (1 to 3), series (4 and 5) and watcher (6); none of them: the host.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Subjects {
    #[prost(string, optional, tag = "1")]
    pub(super) table: Option<String>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) key: Vec<u8>,
    #[prost(string, optional, tag = "3")]
    pub(super) field: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(super) series: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub(super) labels: Vec<pb::Label>,
    #[prost(string, optional, tag = "6")]
    pub(super) watcher: Option<String>,
}
