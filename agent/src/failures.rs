//! Known failures: which line of a log tells of which failure, and what it means for people.
//!
//! What is known is data (`agent/data/failures.toml`). A line is first scanned once for the longest piece of every
//! pattern of its origin; lines with none of them, which is nearly all, end there. Patterns are literal texts with `*`
//! for "anything", so no line and no pattern makes the search slow: given up are character classes and repetition,
//! which no failure has needed.
//!
//! Scanners, failed logins and other noise of a public host are no failures.

mod book;
mod keep;
pub mod mask;
mod pattern;
mod sieve;
mod tally;

use plumb_proto::model::Severity;

pub use tally::{Tally, Unread};

/// What wrote a line: patterns are looked for only where they mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// PHP's own `error_log`.
    PhpError,
    /// nginx's error log.
    Nginx,
    /// Apache's error log.
    Apache,
    /// The log of PHP-FPM's master process.
    Fpm,
    /// The error log of MySQL, MariaDB or Percona Server.
    Mysql,
    /// The log of PostgreSQL.
    Postgresql,
    /// The log of Redis or Valkey.
    Redis,
    /// The kernel.
    Kernel,
    /// Any other service of the system.
    System,
    /// Postfix or Exim.
    Mail,
}

/// A failure that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name in events, rows and metrics, such as `php_fatal`; unique.
    pub kind: String,
    /// What kind of thing breaks: site_broken, database, capacity, crash, hardware, compatibility, integration or mail.
    pub class: String,
    /// How bad it is. What is `info` is told as an event, never as a row.
    pub severity: Severity,
    /// What it means, in words for people.
    pub title: String,
    /// What to do about it.
    pub hint: String,
}

/// Bytes of a line that are searched: what a failure is stands at its beginning.
const SEARCHED: usize = 4 << 10;

/// The failure that a line tells of; the one that stands first in the data, where several patterns fit.
#[must_use]
pub fn find(origin: Origin, line: &[u8]) -> Option<&'static Known> {
    book::book().find(origin, &line[..line.len().min(SEARCHED)])
}

#[cfg(test)]
mod tests;
