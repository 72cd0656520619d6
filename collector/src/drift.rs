//! A drift: an explained deviation of a host, with a life cycle. Detectors find it anew each time; its identity makes it
//! the same one.

pub mod detector;
pub mod detectors;
pub mod incident;
pub mod json;
pub mod policy;
pub mod standing;
pub mod support;
pub mod text;
pub mod version;

use std::fmt;
use std::time::Duration;

use plumb_proto::model::{Series, Severity};
use plumb_proto::record::{Hash, HostId, sha256};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

/// The rule of the drift that says that a host has more drifts than are kept.
pub const FLOOD: &str = "flood";

/// What kind of deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A fact differs from its baseline.
    Changed,
    /// A rule does not hold.
    Policy,
    /// A host or a watcher has stopped reporting.
    Silent,
}

impl Kind {
    /// The word in JSON and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Policy => "policy",
            Self::Silent => "silent",
        }
    }

    /// From its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Changed, Self::Policy, Self::Silent].into_iter().find(|each| each.as_str() == word)
    }
}

/// What deviates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A row, or one column of it.
    Row {
        /// Table.
        table: String,
        /// Key.
        key: Untrusted,
        /// Column; `None`: the row as such.
        field: Option<String>,
    },
    /// A series.
    Series(Series),
    /// A watcher.
    Watcher(String),
    /// The host itself.
    Host,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { table, key, field: Some(field) } => write!(f, "{field} of {table} {key}"),
            Self::Row { table, key, field: None } => write!(f, "{table} {key}"),
            Self::Series(series) => series.fmt(f),
            Self::Watcher(name) => write!(f, "watcher {name}"),
            Self::Host => f.write_str("host"),
        }
    }
}

/// What makes two findings the same drift: host, kind, rule and subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub Hash);

/// Makes an identity. Parts are told apart by their lengths, so that no two subjects share one.
#[must_use]
pub fn identity(host: &HostId, kind: Kind, rule: &str, subject: &Subject) -> Identity {
    let mut bytes = Vec::new();
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    put(&host.0);
    put(kind.as_str().as_bytes());
    put(rule.as_bytes());
    match subject {
        Subject::Row { table, key, field } => {
            put(b"row");
            put(table.as_bytes());
            put(key.as_bytes());
            put(field.as_deref().map_or(b"".as_slice(), str::as_bytes));
        }
        Subject::Series(series) => {
            put(b"series");
            put(series.name.as_bytes());
            for (label, value) in &series.labels {
                put(label.as_bytes());
                put(value.as_bytes());
            }
        }
        Subject::Watcher(name) => {
            put(b"watcher");
            put(name.as_bytes());
        }
        Subject::Host => put(b"host"),
    }
    Identity(sha256(&[b"plumb.drift.1\0", &bytes]))
}

/// A deviation as a detector finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// What makes it the same one next time.
    pub identity: Identity,
    /// Whose.
    pub host: HostId,
    /// What kind.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// What deviates.
    pub subject: Subject,
    /// The rule that does not hold; for other kinds the detector's name.
    pub rule: String,
    /// One line for people, escaped.
    pub title: String,
    /// What it should be, escaped.
    pub expected: Option<String>,
    /// What it is, escaped.
    pub actual: Option<String>,
    /// What probably made it so.
    pub cause: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// It opens only once it has held for this long.
    pub hold: Duration,
    /// It closes only once it has been over for this long.
    pub calm: Duration,
    /// When it began, where that is known better than by the moment it was found.
    pub since: Option<Timestamp>,
}

/// What a detector says of one identity. Nothing else closes a drift; no verdict leaves it as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It deviates.
    Drift(Box<Drift>),
    /// It is as it should be.
    Holds(Identity),
    /// It cannot be told, and why. Never green.
    Unknown(Identity, String),
    /// It deviates, and a trusted actor made it so; the drift's `cause` says which, and by what evidence. It opens nothing,
    /// and the baseline moves along.
    Explained(Box<Drift>),
    /// There is nothing to be judged any more: the row is gone, the series ended.
    Moot(Identity),
}

impl Verdict {
    /// Of which drift.
    #[must_use]
    pub fn identity(&self) -> Identity {
        match self {
            Self::Drift(drift) | Self::Explained(drift) => drift.identity,
            Self::Holds(identity) | Self::Unknown(identity, _) | Self::Moot(identity) => *identity,
        }
    }
}

/// Where a drift stands in its life. See product.md for the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftState {
    /// Found, but not for long enough to be told. Not shown.
    Pending,
    /// Told.
    Open,
    /// Evidence of a trusted actor came after it had opened.
    Explained,
    /// Somebody said it would come.
    Expected,
    /// A person made it the baseline.
    Approved,
    /// It went back to what it was by itself.
    Reverted,
    /// Its rule, its host or what it was about is no more.
    Expired,
    /// The rule holds again; the host speaks again.
    Resolved,
}

impl DriftState {
    /// The word in JSON and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Open => "open",
            Self::Explained => "explained",
            Self::Expected => "expected",
            Self::Approved => "approved",
            Self::Reverted => "reverted",
            Self::Expired => "expired",
            Self::Resolved => "resolved",
        }
    }

    /// From its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Open,
            Self::Explained,
            Self::Expected,
            Self::Approved,
            Self::Reverted,
            Self::Expired,
            Self::Resolved,
        ]
        .into_iter()
        .find(|each| each.as_str() == word)
    }

    /// True while it may still open, change or close.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Open)
    }
}

/// A drift as the store knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownDrift {
    /// Its number, shown to people.
    pub id: u64,
    /// As last found.
    pub drift: Drift,
    /// Where it stands.
    pub state: DriftState,
    /// When the deviation began (the host's time, skew-corrected).
    pub since: Timestamp,
    /// When it opened.
    pub opened: Option<Timestamp>,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// Since when it has held again, while `calm` runs.
    pub calm_since: Option<Timestamp>,
    /// Why it cannot be told at the moment; it stays open.
    pub unknown: Option<String>,
    /// Number of its last alert, 0 if none.
    pub transition: u32,
    /// When that was.
    pub alerted: Option<Timestamp>,
    /// True while a silence or a maintenance window covers it.
    pub silenced: bool,
    /// What the approver said.
    pub note: Option<String>,
}
