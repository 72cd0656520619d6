//! What was found lately, folded: an event now and then, a row while it goes on, a counter.
//!
//! A site that breaks writes the same line a hundred times a second. The first is told at once; after that events and
//! rows are told every few minutes, so that neither the spool nor the history of facts is filled by one failure.

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::model::{Severity, Value};
use plumb_proto::time::Timestamp;

use super::{Known, mask};
use crate::tables::LOG_FAILURE;
use crate::watcher::Look;

/// Failures, by kind and source, that are kept apart. More are counted, and named nowhere.
pub(super) const ROWS: usize = 200;
/// A row is written anew, and an event told again, at most so often.
const PACE: Duration = Duration::from_secs(300);
/// An event that is merely good to know, likewise.
const PACE_INFO: Duration = Duration::from_secs(3600);
/// [`Tally::quiet`] unless set.
const QUIET: Duration = Duration::from_secs(900);
/// For so long the counter of a failure goes on, so that it does not begin anew with every recurrence.
const FORGET: Duration = Duration::from_secs(86_400);

/// Known failures of one source or of one watcher. Keep [`Tally::to_bytes`] in the cursor that says how far the source
/// was read: then each line counts once, whatever is killed when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// A row goes when nothing was seen for so long.
    pub(super) quiet: Duration,
    pub(super) entries: BTreeMap<(String, String), Entry>,
    /// Lines that found no place.
    pub(super) more: u64,
    pub(super) changed: bool,
}

/// Why a source could not be read: what cannot be read, the reason, and what would help.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'a> {
    /// What cannot be read.
    pub path: &'a [u8],
    /// Why.
    pub why: &'a str,
    /// What would let it; may be empty.
    pub hint: &'a str,
}

/// One kind of failure of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) known: &'static Known,
    /// Empty: none is known, or there are several.
    pub(super) site: String,
    pub(super) text: String,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: u64,
    /// Of all times, for the counter.
    pub(super) total: u64,
    /// `last` and `count` as the row has them; none while there is no row.
    pub(super) written: Option<(Timestamp, u64)>,
    /// When the last event was told.
    pub(super) told: Option<Timestamp>,
    /// Not told as an event yet: how many, when the first was, and its text.
    pub(super) new: u64,
    pub(super) new_at: Timestamp,
    pub(super) new_text: String,
}

/// Empty; rows go after 15 quiet minutes.
impl Default for Tally {
    fn default() -> Self {
        Self { quiet: QUIET, entries: BTreeMap::new(), more: 0, changed: false }
    }
}

impl Tally {
    /// With rows that go when nothing was seen for so long.
    #[must_use]
    pub fn with_quiet(mut self, quiet: Duration) -> Self {
        self.quiet = quiet;
        self
    }

    /// Notes a line that tells of a failure. `source`: the path of the log, or `journal/UNIT`. `at`: when it happened
    /// as far as the line tells, otherwise when it was read.
    pub fn note(&mut self, known: &'static Known, source: &str, site: Option<&str>, line: &[u8], at: Timestamp) {
        self.changed = true;
        let key = (known.kind.clone(), source.to_owned());
        if !self.entries.contains_key(&key) && self.entries.len() >= ROWS && !self.make_room() {
            self.more += 1;
            return;
        }
        let site = site.unwrap_or_default();
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(known, site, at));
        if entry.count > 0 && at.since(entry.last) >= self.quiet {
            entry.end(); // it was quiet for long between two lines that are read together
        }
        if entry.count == 0 {
            (entry.site, entry.first, entry.last) = (site.to_owned(), at, at);
            entry.text = mask::text(line);
        } else if entry.site != site {
            entry.site.clear();
        }
        if entry.new == 0 {
            entry.new_at = at;
            entry.new_text = if entry.count == 0 { entry.text.clone() } else { mask::text(line) };
        }
        entry.last = entry.last.max(at);
        entry.count += 1;
        entry.total += 1;
        entry.new += 1;
    }

    /// Tells rows, events and counters of what was noted. Call it once in each look, also when nothing was noted: rows
    /// that are not told are gone. `unread` is asked why a source could not be read: then nobody knows whether its
    /// failures are over, so their rows stay, and a problem says so.
    pub fn tell<'a>(&mut self, look: &mut Look<'_>, unread: &dyn Fn(&str) -> Option<Unread<'a>>) {
        let now = look.now;
        for ((_, source), entry) in &mut self.entries {
            let unread = if entry.has_row() { unread(source) } else { None };
            // A line may carry any time: one that lies ahead must not keep the row for ever.
            (entry.first, entry.last) = (entry.first.min(now), entry.last.min(now));
            let over = now.since(entry.last) >= self.quiet;
            let pace = if entry.known.severity == Severity::Info { PACE_INFO } else { PACE };
            if entry.new > 0 && (over || entry.told.is_none_or(|told| now.since(told) >= pace || told > now)) {
                entry.tell_event(look, source);
                self.changed = true;
            }
            if let Some(Unread { path, why, hint }) = &unread {
                look.problem(&LOG_FAILURE, entry.key(source), *path, why, hint);
            }
            if over && entry.count > 0 && unread.is_none() {
                entry.end();
                self.changed = true;
            }
            if entry.has_row() {
                let due = |(last, _): (Timestamp, u64)| entry.last > last && now.since(last) >= PACE;
                if entry.written.is_none_or(due) {
                    entry.written = Some((entry.last, entry.count));
                    self.changed = true;
                }
                entry.tell_row(look, source);
            }
        }
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.count > 0 || now.since(entry.last) < FORGET);
        self.changed |= self.entries.len() != before;
        self.tell_counters(look);
    }

    /// Whether anything has changed since [`Tally::to_bytes`] or [`Tally::from_bytes`], so that it must be kept anew.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// Lets go of what is over for the longest time. False: everything goes on.
    fn make_room(&mut self) -> bool {
        let over = self.entries.iter().filter(|(_, entry)| entry.count == 0);
        let Some(key) = over.min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone()) else { return false };
        self.entries.remove(&key).is_some()
    }

    fn tell_counters(&self, look: &mut Look<'_>) {
        let mut totals: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for ((kind, source), entry) in &self.entries {
            *totals.entry((kind, log_source(source))).or_default() += entry.total;
        }
        if self.more > 0 {
            totals.insert(("other", ""), self.more);
        }
        for ((kind, source), total) in totals {
            #[allow(clippy::cast_precision_loss)] // exact up to 2^53
            look.counter("log_failures_total", &[("kind", kind), ("log_source", source)], total as f64);
        }
    }
}

/// The key of the row in `log_source`: units of the journal share one.
fn log_source(source: &str) -> &str {
    if source.starts_with("journal/") { "journal" } else { source }
}

impl Entry {
    fn new(known: &'static Known, site: &str, at: Timestamp) -> Self {
        Self {
            known,
            site: site.to_owned(),
            text: String::new(),
            first: at,
            last: at,
            count: 0,
            total: 0,
            written: None,
            told: None,
            new: 0,
            new_at: at,
            new_text: String::new(),
        }
    }

    /// What is merely good to know has none.
    fn has_row(&self) -> bool {
        self.count > 0 && self.known.severity > Severity::Info
    }

    fn key(&self, source: &str) -> String {
        format!("{}@{source}", self.known.kind)
    }

    /// It was quiet for long enough: what comes next is a new beginning. What was not told yet stays.
    fn end(&mut self) {
        (self.count, self.written, self.told) = (0, None, None);
        self.text = String::new();
    }

    fn tell_event(&mut self, look: &mut Look<'_>, source: &str) {
        let event = look.event(
            self.new_at.min(look.now),
            &self.known.kind,
            self.known.severity,
            std::mem::take(&mut self.new_text),
        );
        event.count = self.new;
        event.fields.insert("source".to_owned(), Value::from(source));
        event.fields.insert("class".to_owned(), Value::from(self.known.class.as_str()));
        if !self.site.is_empty() {
            event.fields.insert("site".to_owned(), Value::from(self.site.as_str()));
        }
        self.told = Some(look.now);
        self.new = 0;
    }

    fn tell_row(&self, look: &mut Look<'_>, source: &str) {
        let (last, count) = self.written.unwrap_or((self.last, self.count));
        let mut fields = vec![
            ("kind", Value::from(self.known.kind.as_str())),
            ("severity", self.known.severity.as_str().into()),
            ("title", self.known.title.as_str().into()),
            ("source", source.into()),
            ("text", self.text.as_str().into()),
            ("first", self.first.into()),
            ("last", last.into()),
            ("count", i64::try_from(count).unwrap_or(i64::MAX).into()),
        ];
        if !self.site.is_empty() {
            fields.push(("site", self.site.as_str().into()));
        }
        look.fact(&LOG_FAILURE, self.key(source), source, &fields);
    }
}
