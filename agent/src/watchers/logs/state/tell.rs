//! What is told of all logs at the end of a look.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use super::{Followed, State};
use crate::failures::Unread;
use crate::tables::LOG_SOURCE;
use crate::watcher::Look;
use crate::watchers::logs::count::number;

/// Numbers are told so often.
const SAMPLES: Duration = Duration::from_secs(60);
/// Size and time of the last writing are written down so often: they change with every line.
const SIZES: Duration = Duration::from_secs(600);

impl State {
    /// Tells rows, failures and numbers.
    pub(in crate::watchers::logs) fn tell(&mut self, look: &mut Look<'_>) {
        for (path, followed) in &mut self.logs {
            tell_row(look, path, followed);
        }
        for (path, error) in &self.problems {
            let path = path.as_os_str().as_encoded_bytes();
            look.problem(&LOG_SOURCE, path, path, error, "logs that it names may be missing");
        }
        if let Some((count, first)) = &self.beyond {
            let error = format!("{count} more logs are not followed");
            look.problem(&LOG_SOURCE, first.as_str(), first.as_str(), error, "name fewer in places");
        }
        let (logs, problems) = (&self.logs, &self.problems);
        self.tally.tell(look, &|source| unread(logs, problems, source));
        let due = |told: Timestamp| look.now.since(told) >= SAMPLES || told > look.now;
        if self.told.is_none_or(due) {
            self.told = Some(look.now);
            self.tell_numbers(look);
        }
    }

    fn tell_numbers(&mut self, look: &mut Look<'_>) {
        for (path, followed) in &self.logs {
            let counts = &followed.log.counts;
            if followed.log.seen().is_some() || counts.lines > 0 {
                look.counter("log_lines_total", &[("log_source", path)], number(counts.lines));
            }
            for (name, count) in [
                ("log_lines_cut_total", counts.cut),
                ("log_lines_unknown_total", counts.unknown),
                ("log_gaps_total", counts.gaps),
            ] {
                if count > 0 {
                    look.counter(name, &[("log_source", path)], number(count));
                }
            }
        }
        self.sites_dirty |= self.sites.forget(look.now);
        self.sites.tell(look);
    }
}

/// Why a log is not read, although it is there: it cannot be, or what may name it cannot be.
fn unread<'a>(
    logs: &'a BTreeMap<String, Followed>,
    problems: &'a [(PathBuf, String)],
    source: &str,
) -> Option<Unread<'a>> {
    let (path, followed) = logs.get_key_value(source)?;
    if let Some((why, hint)) = &followed.problem {
        return Some(Unread { path: path.as_bytes(), why, hint });
    }
    let (path, why) = problems.first().filter(|_| followed.source.is_none() && followed.log.seen().is_some())?;
    Some(Unread { path: path.as_os_str().as_encoded_bytes(), why, hint: "" })
}

fn tell_row(look: &mut Look<'_>, path: &str, followed: &mut Followed) {
    let Followed { log, source: Some(source), problem, told, .. } = followed else { return };
    let seen = log.seen().map(|(size, written)| (i64::try_from(size).unwrap_or(i64::MAX), written));
    if seen.is_none() && problem.is_none() {
        return; // it is named, and not there
    }
    let mut fields = vec![("format", Value::from(source.what.as_str()))];
    if let Some(site) = &source.site {
        fields.push(("site", site.as_str().into()));
    }
    if let Some((size, written)) = seen {
        let (size, written, _) = match *told {
            Some(known) if look.now.since(known.2) < SIZES && known.2 <= look.now => known,
            _ => *told.insert((size, written, look.now)),
        };
        fields.extend([("size_bytes", Value::Int(size)), ("written", Value::from(written))]);
    }
    look.fact(&LOG_SOURCE, path, path, &fields);
    if source.what.origin().is_none() && source.formats.is_empty() {
        look.unknown(&LOG_SOURCE, path, "format", "its lines are of a format that is not understood", "");
    }
    if let Some((error, hint)) = problem {
        for column in ["size_bytes", "written"] {
            look.unknown(&LOG_SOURCE, path, column, &*error, hint);
        }
    }
}
