//! One look of each watcher, for commands that show what is seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::model::{Event, Fact, Series, Value};
use plumb_proto::time::Timestamp;

use crate::host::Host;
use crate::observe::Assigned;
use crate::status::Problem;
use crate::watcher::{Look, Progress, Table};

/// Slices of one look, at most: a watcher that never comes to its end is a problem, not a hang.
const SLICES: usize = 10_000;

/// How a watcher's look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Found,
    Absent,
    Failed,
}

/// All that was seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) facts: Vec<(&'static Table, Fact)>,
    pub(super) samples: Vec<(Series, f64, Timestamp)>,
    pub(super) events: Vec<Event>,
    pub(super) problems: Vec<Problem>,
    /// Watcher, how it ended, and how many rows it told.
    pub(super) ends: Vec<(&'static str, End, usize)>,
}

impl Seen {
    /// A text column of the row `os`, if it is known.
    pub(super) fn os(&self, column: &str) -> Option<String> {
        let (_, row) = self.facts.iter().find(|(table, _)| table.name == "os")?;
        match row.fields.get(column)? {
            Value::Text(text) | Value::Version(text) => Some(text.to_string()),
            _ => None,
        }
    }
}

/// Lets every watcher look to its end.
pub(super) fn gather(host: &Host, watchers: Vec<Assigned>) -> Seen {
    gather_within(host, watchers, Duration::MAX)
}

/// Lets every watcher look, but begins no slice when so much time has passed: then what was seen so far counts.
pub(super) fn gather_within(host: &Host, watchers: Vec<Assigned>, patience: Duration) -> Seen {
    let mut seen = Seen::default();
    let begun = host.clock().monotonic();
    for mut assigned in watchers {
        let name = assigned.spec.name;
        let cursors: RefCell<BTreeMap<String, Vec<u8>>> = RefCell::default();
        let stored = |cursor: &str| cursors.borrow().get(cursor).cloned();
        let before = seen.facts.len();
        let mut end = Err(anyhow::anyhow!("it did not come to an end in {SLICES} slices"));
        for _ in 0..SLICES {
            if host.clock().monotonic().saturating_sub(begun) >= patience {
                end = Ok(End::Found);
                break;
            }
            let now = host.clock().now();
            let mut look = Look::new(host, now, &[], &stored);
            let polled = assigned.watcher.poll(&mut look);
            let told = look.into_told();
            seen.facts.extend(told.facts);
            seen.samples.extend(told.samples.into_iter().map(|(series, _, value)| (series, value, now)));
            seen.events.extend(told.events);
            seen.problems.extend(told.problems.iter().map(|problem| Problem::new(name, problem)));
            cursors.borrow_mut().extend(told.cursors);
            match polled {
                Ok(Progress::More) => continue,
                Ok(Progress::Done) => end = Ok(End::Found),
                Ok(Progress::Absent) => end = Ok(End::Absent),
                Err(error) => end = Err(error),
            }
            break;
        }
        let end = end.unwrap_or_else(|error| {
            let problem = Problem {
                watcher: name.to_owned(),
                subject: name.to_owned(),
                error: plumb_proto::untrusted::Untrusted::from(format!("{error:#}")).to_string(),
                hint: String::new(),
            };
            seen.problems.push(problem);
            End::Failed
        });
        seen.ends.push((name, end, seen.facts.len() - before));
    }
    seen.facts.sort_by(|(a, x), (b, y)| (a.name, &x.key).cmp(&(b.name, &y.key)));
    seen
}
