//! What a watcher says: facts, samples, events and problems, together a [`Report`]; and the declarations of the tables
//! and series that it speaks of. The shape is open: a new watcher needs no new message, table or command.

mod value;

use std::collections::BTreeMap;
use std::fmt;

use crate::time::Timestamp;
use crate::untrusted::Untrusted;
pub use value::Value;

/// Kind of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Bytes, shown escaped.
    Text,
    /// 64-bit signed whole number, in the base unit that the column's name carries.
    Int,
    /// IEEE 754 double.
    Real,
    /// Yes or no.
    Bool,
    /// A moment.
    Time,
    /// A version as its product writes it.
    Version,
    /// Several texts.
    List,
}

/// Whether a column is compared with the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Part of how the host is set up: a difference from the baseline is a drift.
    State,
    /// Moves by itself (boot time, counts): never a `changed` drift.
    Moving,
}

/// A column as it is declared to the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDecl {
    /// Its name, unique in the table.
    pub name: String,
    /// Type of its values.
    pub kind: ColumnType,
    /// Compared with the baseline or not.
    pub role: Role,
    /// One sentence for `plumb schema`.
    pub doc: String,
}

/// A table as it is declared to the collector; declarations travel ahead of the first row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDecl {
    /// Its name, unique on a host.
    pub name: String,
    /// One sentence for `plumb schema`; it says what the key is.
    pub doc: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnDecl>,
}

/// A whole row: what is known of one thing on a host.
///
/// A column that is in neither map does not apply to this thing; one in `unknown` could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fact {
    /// Which thing, unique in its table and host.
    pub key: Untrusted,
    /// The file or call that it was read from.
    pub source: Untrusted,
    /// Column -> value.
    pub fields: BTreeMap<String, Value>,
    /// Column -> why it could not be read. The column `""` stands for the whole row.
    pub unknown: BTreeMap<String, String>,
}

/// How the rows of a slice relate to the rows told before, for one (watcher, table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tell {
    /// Rows that are new or changed, and keys that are gone.
    Delta,
    /// Begins a full tell that goes on in later slices of the same look.
    FullFirst,
    /// Goes on with it.
    Full,
    /// Ends it: rows of this owner that were not told in this look are gone.
    FullLast,
    /// A full tell in one slice.
    FullOnly,
}

/// Rows of one table in one report.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Name of the table.
    pub table: String,
    /// How to read the rows.
    pub tell: Tell,
    /// New or changed rows; all rows in a full tell.
    pub facts: Vec<Fact>,
    /// Keys of rows that are gone ([`Tell::Delta`] only).
    pub gone: Vec<Untrusted>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it this week.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// The word used in JSON, configuration and on screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// From its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|each| each.as_str() == word)
    }
}

/// Something that happened at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it happened, as far as the source tells; otherwise when it was seen.
    pub at: Timestamp,
    /// What kind of thing, such as `oom_kill`.
    pub kind: String,
    /// How bad.
    pub severity: Severity,
    /// What happened, in the words of the source.
    pub text: Untrusted,
    /// Details by name.
    pub fields: BTreeMap<String, Value>,
    /// How many times it stands for.
    pub count: u64,
}

impl Event {
    /// One that happened once, without details.
    #[must_use]
    pub fn new(kind: &str, severity: Severity, text: impl Into<Untrusted>, at: Timestamp) -> Self {
        Self { at, kind: kind.to_owned(), severity, text: text.into(), fields: BTreeMap::new(), count: 1 }
    }
}

/// Why a watcher could not see something, and what would let it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The table that is affected.
    pub table: String,
    /// Rows whose key starts so are not covered by this look: they become unknown, not gone. Empty: the whole table.
    pub key_prefix: Untrusted,
    /// What was tried on.
    pub path: Untrusted,
    /// What went wrong.
    pub error: String,
    /// What the operator can do.
    pub hint: String,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It saw everything.
    Done,
    /// There is more to see; another slice of time was asked for.
    More,
    /// What it watches is not on this host: an empty full tell.
    Absent,
    /// It broke: its rows are unknown, none is gone.
    Failed,
}

/// What one watcher said in one look, without its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Who looked.
    pub watcher: String,
    /// Number of the look, growing by one within an epoch.
    pub look: u64,
    /// When.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Rows; none when nothing has changed.
    pub slices: Vec<Slice>,
    /// Events.
    pub events: Vec<Event>,
    /// What it could not see.
    pub problems: Vec<Problem>,
}

/// Counter or gauge, as OpenMetrics has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Grows until a restart.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A series: a metric's name with its labels, in label order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// OpenMetrics name in base units, such as `disk_used_bytes`.
    pub name: String,
    /// Label -> value.
    pub labels: BTreeMap<String, Untrusted>,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (position, (label, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{label}=\"{value}\"", if position == 0 { "{" } else { "," })?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// The samples of one watcher in one record: all its series tick together, so there is one time column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Who sampled.
    pub watcher: String,
    /// When, ascending.
    pub times: Vec<Timestamp>,
    /// By series: one entry per time, `None` where there was no value (unknown).
    pub columns: Vec<(Series, MetricType, Vec<Option<f64>>)>,
}

/// What the first record of an epoch says about the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The epoch that ended, zeros if there was none.
    pub old_epoch: [u8; 16],
    /// The last number known of it.
    pub old_seq: u64,
    /// The hash of that record.
    pub old_hash: [u8; 32],
    /// Why a new one had to start: `first start`, `state damaged`, ...
    pub reason: String,
}

/// All that one record holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// Only in record 1 of an epoch.
    pub begin: Option<Begin>,
    /// Tables that are new in this epoch.
    pub tables: Vec<TableDecl>,
    /// Reports, in order.
    pub reports: Vec<Report>,
    /// Samples.
    pub blocks: Vec<Block>,
}
