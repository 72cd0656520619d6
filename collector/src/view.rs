//! All that is known of one host at one moment, and where it differs from its baseline. Pure: the store loads it, keeps
//! it, and writes down what [`HostView::apply`] says has changed.

mod apply;
mod baseline;
pub mod compare;
mod samples;

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::model::{Fact, MetricType, Outcome, Problem, Role, Series, TableDecl, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use crate::store::rows::HostRow;
pub use apply::WATCHERS;

/// What a record touched: detectors look there and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Rows that changed or became known or unknown, by table.
    pub rows: BTreeMap<String, BTreeSet<Untrusted>>,
    /// Series that got a value.
    pub series: BTreeSet<Series>,
    /// Watchers that looked.
    pub watchers: BTreeSet<String>,
}

/// A row of a table as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name of the table.
    pub table: String,
    /// The watcher whose row it is.
    pub owner: String,
    /// As last told.
    pub fact: Fact,
    /// Since when it is so (the host's time, skew-corrected).
    pub since: Timestamp,
    /// When it was last seen to be so. A complete look of its owner confirms a row without a [`Change`] of its own: one
    /// that is loaded and not stale was last confirmed by [`WatcherView::complete`] of its owner.
    pub confirmed: Timestamp,
    /// Why the last look could not see this row; then `fact` is what was known before.
    pub stale: Option<String>,
    /// The look that told it last: what it means while a look is under way over several reports.
    pub look: u64,
}

/// A table of one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableView {
    /// Its newest declaration.
    pub decl: Option<TableDecl>,
    /// Its rows by key.
    pub rows: BTreeMap<Untrusted, Row>,
    /// What was approved, by key.
    pub baseline: BTreeMap<Untrusted, BaselineRow>,
    /// Watchers whose rows have a baseline, each with the key prefixes that its looks have not been able to see so far:
    /// rows there join the baseline when they are first seen.
    pub baselined: BTreeMap<String, BTreeSet<Untrusted>>,
}

/// What was approved of one row: its state columns. `None`: the column was null. A column that is not in the map is not
/// known yet (it could not be read, or it was declared later): it joins when it is first known.
pub type BaselineRow = BTreeMap<String, Option<Value>>;

/// The newest value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// Counter or gauge.
    pub kind: MetricType,
    /// When.
    pub at: Timestamp,
    /// `None`: it could not be read at that time.
    pub value: Option<f64>,
    /// Of a counter: when it last grew, as far as is known.
    pub risen: Option<Timestamp>,
    /// Of a counter: its growth per second, averaged as load averages are over some five minutes, as far as is known.
    pub rate: Option<f64>,
}

/// How the newest look of a watcher ended.
#[derive(Clone, Debug, PartialEq)]
pub struct WatcherView {
    /// Number of the look.
    pub look: u64,
    /// When.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What it could not see.
    pub problems: Vec<Problem>,
    /// When it last told rows or confirmed them completely.
    pub complete: Option<Timestamp>,
    /// Tables whose full tell this look has begun, `true` once it has ended. Empty between looks.
    pub told: BTreeMap<String, bool>,
}

/// All that is known of one host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostView {
    /// Its row.
    pub host: HostRow,
    /// Its tables by name.
    pub tables: BTreeMap<String, TableView>,
    /// The newest values, by metric name, then series.
    pub series: BTreeMap<String, BTreeMap<Series, Sampled>>,
    /// Its watchers.
    pub watchers: BTreeMap<String, WatcherView>,
}

/// What applying a report changed, for the store to write down, in order. Where it names a row, the row stands in the
/// view as it is after the whole report; it may be closed again by a later change of the same report.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A row is new or other than before: the one before ends at its `since`.
    Opened(Row),
    /// A row is gone since then.
    Closed {
        /// Table.
        table: String,
        /// Key.
        key: Untrusted,
        /// Since when.
        at: Timestamp,
    },
    /// A row stands, and only `confirmed`, `stale` or `look` moved.
    Touched {
        /// Table.
        table: String,
        /// Key.
        key: Untrusted,
    },
    /// The baseline of one row has changed; it is gone from the baseline if it is not in the view's.
    Baseline {
        /// Table.
        table: String,
        /// Key.
        key: Untrusted,
    },
    /// [`TableView::baselined`] of a table has changed.
    Baselined {
        /// Table.
        table: String,
    },
    /// A table was declared anew.
    Declared {
        /// Table.
        table: String,
    },
    /// A watcher has looked.
    Looked {
        /// Its name.
        watcher: String,
    },
}

impl HostView {
    /// Nothing is known yet of this host.
    #[must_use]
    pub fn new(host: HostRow) -> Self {
        Self { host, tables: BTreeMap::new(), series: BTreeMap::new(), watchers: BTreeMap::new() }
    }

    /// False for a series about something that is gone: its label names a table, and there is no such row any more.
    #[must_use]
    pub fn stands(&self, series: &Series) -> bool {
        let is_there = |(label, key): (&String, &Untrusted)| {
            self.tables.get(label).is_none_or(|table| table.rows.is_empty() || table.rows.contains_key(key))
        };
        series.labels.iter().all(is_there)
    }

    /// A row.
    #[must_use]
    pub fn row(&self, table: &str, key: &Untrusted) -> Option<&Row> {
        self.tables.get(table)?.rows.get(key)
    }
}

impl TableView {
    /// Names of the columns that are compared with the baseline.
    pub fn state_columns(&self) -> impl Iterator<Item = &str> {
        let columns = self.decl.iter().flat_map(|decl| &decl.columns);
        columns.filter(|column| column.role == Role::State).map(|column| column.name.as_str())
    }
}

impl Row {
    /// Why a column is not known: the row could not be looked at, or the column could not be read.
    #[must_use]
    pub fn unknown(&self, column: &str) -> Option<&str> {
        let reasons = &self.fact.unknown;
        self.stale.as_ref().or_else(|| reasons.get("")).or_else(|| reasons.get(column)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
