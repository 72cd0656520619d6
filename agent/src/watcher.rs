//! The contract of a watcher: [`Watcher`], what it is handed ([`Look`]), what it answers ([`Progress`]), the tables it
//! fills ([`Table`]), and how it is put on the list ([`Spec`]).
//!
//! A watcher looks at what *is*; a file event only brings the look forward, so a lost event costs time, never truth.

mod again;
mod stored;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::collections::HashMap;
use std::fmt::Display;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::limits;
use plumb_proto::model::{ColumnType, Event, Fact, MetricType, Problem, Role, Series, Severity, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use serde::de::DeserializeOwned;

use crate::host::Host;
use crate::kept::Kept;
pub use again::{Again, Same};
pub use stored::Stored;

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Its name, unique in the table.
    pub name: &'static str,
    /// Type of its values.
    pub kind: ColumnType,
    /// Compared with the baseline (`State`) or not (`Moving`).
    pub role: Role,
    /// One sentence for `plumb schema`.
    pub doc: &'static str,
}

impl Column {
    /// A column that is compared with the baseline.
    #[must_use]
    pub const fn state(name: &'static str, kind: ColumnType, doc: &'static str) -> Self {
        Self { name, kind, role: Role::State, doc }
    }

    /// A column that moves by itself.
    #[must_use]
    pub const fn moving(name: &'static str, kind: ColumnType, doc: &'static str) -> Self {
        Self { name, kind, role: Role::Moving, doc }
    }
}

/// A table of facts.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// One sentence that says what a row and its key are.
    pub doc: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
}

/// How far a look came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything was seen; what was not told is gone (as far as no problem covers it).
    Done,
    /// There is more: call again soon. What was told so far belongs to the same look.
    More,
    /// What is watched is not on this host. No error.
    Absent,
}

/// One subject, observed.
pub trait Watcher: Send {
    /// Looks once, for a slice of time (some 50 ms). Blocking is fine: nothing async runs on this side.
    ///
    /// # Errors
    /// The look failed as a whole: its rows become unknown, none is gone. A single bad subject is no error: tell it
    /// with [`Look::unknown`] or [`Look::problem`] and go on.
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress>;

    /// Paths (below the host's root) whose change brings the next look forward.
    fn wake_on(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Becomes readable when something happened that the watcher should look at soon. A look makes it unreadable.
    fn bell(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// After a look: how soon it wants the next one, if sooner than in its rhythm.
    fn again(&self) -> Option<Duration> {
        None
    }
}

/// How a watcher is put on the list: name, rhythm, tables, settings.
#[derive(Clone, Copy)]
pub struct Spec {
    /// Name of the watcher, of its file, and of its section in `agent.toml`.
    pub name: &'static str,
    /// Time from one look to the next, unless configured.
    pub every: Duration,
    /// The tables that it fills.
    pub tables: &'static [&'static Table],
    /// Its settings as commented TOML: defaults, documentation and shipped configuration in one.
    pub sample: &'static str,
    /// True if it reads a durable source on from a cursor: it waits, losing nothing, while the spool is full.
    pub cursor: bool,
    make: fn(toml::Table) -> Result<Box<dyn Watcher>, toml::de::Error>,
}

impl Spec {
    /// A watcher whose settings are `W`'s fields.
    #[must_use]
    pub const fn new<W: Watcher + DeserializeOwned + 'static>(
        name: &'static str,
        every: Duration,
        tables: &'static [&'static Table],
        sample: &'static str,
    ) -> Self {
        Self { name, every, tables, sample, cursor: false, make: make::<W> }
    }

    /// Marks it as reading on from cursors.
    #[must_use]
    pub const fn with_cursor(mut self) -> Self {
        self.cursor = true;
        self
    }

    /// Makes the watcher from its settings: the sample's, overlaid with what is configured.
    ///
    /// # Errors
    /// A setting has the wrong type or an unknown name.
    pub fn make(&self, settings: toml::Table) -> Result<Box<dyn Watcher>, toml::de::Error> {
        (self.make)(settings)
    }
}

fn make<W: Watcher + DeserializeOwned + 'static>(settings: toml::Table) -> Result<Box<dyn Watcher>, toml::de::Error> {
    Ok(Box::new(W::deserialize(settings)?))
}

/// A span of seconds, for a [`Spec`].
#[must_use]
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A span of minutes, for a [`Spec`].
#[must_use]
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// All that a watcher has told in one look so far.
#[derive(Debug, Default)]
pub struct Told {
    /// Rows, by table.
    pub facts: Vec<(&'static Table, Fact)>,
    /// Rows that stand as they are.
    pub same: Vec<Same>,
    /// Samples: they all carry the time of the look.
    pub samples: Vec<(Series, MetricType, f64)>,
    /// Events.
    pub events: Vec<Event>,
    /// What could not be seen.
    pub problems: Vec<Problem>,
    /// Cursors to be kept in the transaction that keeps the record: name -> place.
    pub cursors: Vec<(String, Vec<u8>)>,
    /// What was told should not wait until the record is full or old.
    pub urgent: bool,
    /// Rows to be kept in the same transaction.
    pub kept: Kept,
}

/// What a watcher is handed for one look, and tells into.
pub struct Look<'a> {
    /// The only door to the system.
    pub host: &'a Host,
    /// When this look takes place.
    pub now: Timestamp,
    /// Paths whose change brought this look forward; empty when it was due by time.
    pub trigger: &'a [PathBuf],
    stored: &'a dyn Stored,
    told: Told,
    /// Where each row is in `told.facts`, by table and key.
    index: HashMap<(&'static str, Untrusted), usize>,
}

impl<'a> Look<'a> {
    /// Begins a look. `stored` answers cursors and rows as they were committed.
    pub fn new(host: &'a Host, now: Timestamp, trigger: &'a [PathBuf], stored: &'a dyn Stored) -> Self {
        Self { host, now, trigger, stored, told: Told::default(), index: HashMap::new() }
    }

    /// Ends it, with all rows one by one.
    #[must_use]
    pub fn into_told(self) -> Told {
        let mut told = self.into_short();
        for same in std::mem::take(&mut told.same) {
            told.facts.extend_from_slice(same.rows());
        }
        told
    }

    /// Ends it, with rows that stand as they are on their own.
    #[must_use]
    pub fn into_short(self) -> Told {
        self.told
    }

    /// Tells a row, or more columns of a row told before. Texts longer than the limit are cut, and marked so.
    pub fn fact(&mut self, table: &'static Table, key: impl Into<Untrusted>, source: &str, fields: &[(&str, Value)]) {
        let row = self.row(table, key.into());
        row.source = cut(source.into());
        for (column, value) in fields {
            debug_assert!(
                table.columns.iter().any(|c| c.name == *column && c.kind == value.column_type()),
                "{}.{column} is not declared so",
                table.name
            );
            row.unknown.remove(*column);
            row.fields.insert((*column).to_owned(), bounded(value.clone()));
        }
    }

    /// Tells that one column of a row could not be read, why, and what would let it. The other columns stand.
    pub fn unknown(
        &mut self,
        table: &'static Table,
        key: impl Into<Untrusted>,
        column: &str,
        error: impl Display,
        hint: &str,
    ) {
        let reason = if hint.is_empty() { format!("{error:#}") } else { format!("{error:#}; {hint}") };
        let row = self.row(table, key.into());
        row.fields.remove(column);
        row.unknown.insert(column.to_owned(), shorten(reason));
    }

    /// Tells that rows of `table` whose key starts with `key_prefix` (empty: all) could not be looked at.
    pub fn problem(
        &mut self,
        table: &'static Table,
        key_prefix: impl Into<Untrusted>,
        path: impl Into<Untrusted>,
        error: impl Display,
        hint: &str,
    ) {
        self.told.problems.push(Problem {
            table: table.name.to_owned(),
            key_prefix: cut(key_prefix.into()),
            path: cut(path.into()),
            error: shorten(format!("{error:#}")),
            hint: hint.to_owned(),
        });
    }

    /// Tells a number that goes up and down.
    pub fn gauge(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, labels, MetricType::Gauge, value);
    }

    /// Tells a number that only grows, until a restart.
    pub fn counter(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, labels, MetricType::Counter, value);
    }

    /// Tells that a sample of this look has come near a limit: the record is written now, not when it is old. Changed
    /// facts and events do so by themselves. Say it when a limit is crossed, not for as long as it is.
    pub fn urgent(&mut self) {
        self.told.urgent = true;
    }

    /// Tells that something happened.
    pub fn event(&mut self, at: Timestamp, kind: &str, severity: Severity, text: impl Into<Untrusted>) -> &mut Event {
        self.told.events.push(Event::new(kind, severity, cut(text.into()), at));
        let last = self.told.events.len() - 1;
        &mut self.told.events[last]
    }

    /// The place where a durable source was left, as of the last committed record, or as set in this look.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<Vec<u8>> {
        let fresh = self.told.cursors.iter().rev().find(|(each, _)| each == name);
        let place = fresh.map_or_else(|| self.stored.cursor(name), |(_, place)| Some(place.clone()));
        place.filter(|place| !place.is_empty())
    }

    /// Moves on in a durable source: kept in the same transaction as what was told in this look. An empty place is
    /// forgotten.
    pub fn set_cursor(&mut self, name: &str, place: Vec<u8>) {
        self.told.cursors.retain(|(each, _)| each != name);
        self.told.cursors.push((name.to_owned(), place));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], kind: MetricType, value: f64) {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), cut((*value).into()))).collect();
        self.told.samples.push((Series { name: name.to_owned(), labels }, kind, value));
    }

    fn row(&mut self, table: &'static Table, key: Untrusted) -> &mut Fact {
        let key = cut(key);
        // Mostly it is the row that was spoken of last.
        let last = self.told.facts.len().checked_sub(1);
        let is_last = |at: &usize| {
            let (of, fact) = &self.told.facts[*at];
            of.name == table.name && fact.key == key
        };
        let position = last.filter(is_last).unwrap_or_else(|| {
            *self.index.entry((table.name, key.clone())).or_insert_with(|| {
                self.told.facts.push((table, Fact { key, ..Fact::default() }));
                self.told.facts.len() - 1
            })
        });
        &mut self.told.facts[position].1
    }
}

fn cut(text: Untrusted) -> Untrusted {
    if text.len() <= limits::FIELD {
        return text;
    }
    const MARK: &[u8] = b"...[cut]";
    let mut bytes = text.into_bytes();
    bytes.truncate(limits::FIELD - MARK.len());
    bytes.extend_from_slice(MARK);
    bytes.into()
}

/// A reason, which is text of ours that may name paths of the host.
fn shorten(mut reason: String) -> String {
    if reason.len() > limits::FIELD {
        reason.truncate(reason.floor_char_boundary(limits::FIELD));
    }
    reason
}

fn bounded(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(cut(text)),
        Value::Version(text) => Value::Version(cut(text)),
        Value::List(items) => Value::List(items.into_iter().take(limits::LIST_ITEMS).map(cut).collect()),
        other => other,
    }
}
