//! All that is known of one host at one moment, and where it differs from its baseline. Pure: the store loads it, keeps
//! it, and writes down what [`HostView::apply`] says has changed.

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::model::{Fact, MetricType, Outcome, Problem, Series, TableDecl, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use crate::store::rows::HostRow;

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
    /// When it was last seen to be so.
    pub confirmed: Timestamp,
    /// Why the last look could not see this row; then `fact` is what was known before.
    pub stale: Option<String>,
    /// The look that told it last, for a full tell that spans slices.
    pub look: u64,
}

/// A table of one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableView {
    /// Its newest declaration.
    pub decl: Option<TableDecl>,
    /// Its rows by key.
    pub rows: BTreeMap<Untrusted, Row>,
    /// What was approved, by key: state columns only. `None` until the owner's first complete look. A column that is
    /// not in a baseline row's map was null.
    pub baseline: BTreeMap<Untrusted, BTreeMap<String, Value>>,
    /// Watchers whose rows have a baseline.
    pub baselined: BTreeSet<String>,
    /// Columns that the baseline knows of: one that is declared later starts its own.
    pub baseline_columns: BTreeSet<String>,
}

/// The newest value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// Counter or gauge.
    pub kind: MetricType,
    /// When.
    pub at: Timestamp,
    /// `None`: it could not be read at that time.
    pub value: Option<f64>,
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

/// What applying a report changed, for the store to write down.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A row is new or other than before: the one before ends here.
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
    /// The baseline of a table has changed.
    Baseline {
        /// Table.
        table: String,
    },
    /// A watcher has looked.
    Looked {
        /// Its name.
        watcher: String,
    },
}
