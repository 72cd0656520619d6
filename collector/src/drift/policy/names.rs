//! Types, names and uses of expressions: what the walk knows and what it finds.

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::model::ColumnType;

/// What an expression is, as far as is known before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    /// Not known.
    Any,
    /// True or false.
    Bool,
    /// A real number, as all columns and metrics are; times are numbers, too (seconds since 1970).
    Num,
    /// A whole number, as those that a rule writes without a point.
    Int,
    /// Text.
    Text,
    /// A version: compared with `==` or `version_at_least`, never by `<`.
    Version,
    /// A list.
    List,
    /// A map.
    Map,
}

impl Ty {
    /// Of the values of a column.
    #[must_use]
    pub fn of(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text => Self::Text,
            ColumnType::Version => Self::Version,
            ColumnType::Int | ColumnType::Real | ColumnType::Time => Self::Num,
            ColumnType::Bool => Self::Bool,
            ColumnType::List => Self::List,
        }
    }

    /// The word in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Bool => "bool",
            Self::Num => "number",
            Self::Int => "whole number",
            Self::Text => "text",
            Self::Version => "version",
            Self::List => "list",
            Self::Map => "map",
        }
    }

    /// True if a value of this type may stand where the other is wanted.
    #[must_use]
    pub fn fits(self, wanted: Self) -> bool {
        let texts = |ty| matches!(ty, Self::Text | Self::Version);
        let numbers = |ty| matches!(ty, Self::Num | Self::Int);
        self == wanted
            || self == Self::Any
            || wanted == Self::Any
            || (texts(self) && texts(wanted))
            || (numbers(self) && numbers(wanted))
    }
}

/// What an expression may name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The table whose rows are judged, and its columns.
    pub row: Option<(String, BTreeMap<String, Ty>)>,
    /// The metrics that can be read for what is judged.
    pub metrics: BTreeSet<String>,
    /// The labels of the series that is judged; `None` for rows.
    pub labels: Option<BTreeSet<String>>,
    /// Other variables.
    pub variables: BTreeMap<String, Ty>,
}

/// What an expression uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Columns that `has()` asks for: there, unknown must not read as missing.
    pub asked: BTreeSet<String>,
    /// Metrics, by any of the three maps.
    pub metrics: BTreeSet<String>,
    /// True if `has()` asks for a metric, likewise.
    pub asks_metrics: bool,
    /// True if it walks through a list within a walk through a list: then what it costs is a product.
    pub nests: bool,
    /// True if it asks for a support window: then it depends on the operating system, and on time.
    pub support: bool,
}

impl Uses {
    /// Takes up what another expression uses.
    pub fn join(&mut self, other: &Self) {
        self.asked.extend(other.asked.iter().cloned());
        self.metrics.extend(other.metrics.iter().cloned());
        self.support |= other.support;
        self.nests |= other.nests;
        self.asks_metrics |= other.asks_metrics;
    }
}

/// Maps of metrics: the newest value, growth per second, seconds since it last grew.
pub const METRIC_MAPS: [&str; 3] = ["metric", "rate", "grown"];
