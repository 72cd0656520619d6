//! Small steps between columns and our words.

use anyhow::{Context, Result};
use plumb_proto::model::Severity;
use plumb_proto::time::Timestamp;

/// A moment that may be missing, for a column.
pub fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::millis)
}

/// A moment that may be missing, from a column.
pub fn time(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// A number that SQLite can hold; it has 64 bits with a sign.
pub fn int(number: u64) -> Result<i64> {
    i64::try_from(number).with_context(|| format!("number {number} is beyond what the store can hold"))
}

/// From [`int`].
pub fn uint(number: i64) -> Result<u64> {
    u64::try_from(number).with_context(|| format!("number {number} is negative: the store was changed by hand"))
}

/// One of our words from its column.
pub fn word<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    parse(text).with_context(|| format!("{text:?} is no word that this program knows"))
}

/// A severity as a number that sorts.
pub fn severity_to(severity: Severity) -> i64 {
    match severity {
        Severity::Info => 1,
        Severity::Warning => 2,
        Severity::Critical => 3,
    }
}

/// From [`severity_to`].
pub fn severity_from(number: i64) -> Result<Severity> {
    let all = [Severity::Info, Severity::Warning, Severity::Critical];
    all.into_iter().find(|each| severity_to(*each) == number).with_context(|| format!("{number} is no severity"))
}
