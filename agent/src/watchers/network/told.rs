//! Listeners that were told. Their names outlive the agent: one that comes back is no news and need not stand first, and
//! one that is missing while the host starts or a package manager works is not gone yet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{LISTENER, SOURCE};
use crate::watcher::Look;

/// A line for each name; one that is gone has a sign in front.
const CURSOR: &str = "listeners";
const GONE: char = '-';
/// Names that are kept; if they are more, those that are gone are forgotten.
const MAX_NAMES: usize = 1_000;
/// One that is missing is given so long to come back where that is likely.
const GRACE: Duration = Duration::from_secs(120);
/// One that is missing is looked for often for so long: a restart takes seconds.
const SOON: Duration = Duration::from_secs(20);
/// More than these are not named one by one.
const NAMED: usize = 50;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Whether each is there, as far as it was told.
    names: BTreeMap<String, bool>,
    missing: BTreeMap<String, Missing>,
    is_read: bool,
}

#[derive(Debug)]
struct Missing {
    since: Duration,
    /// Why it is not gone yet.
    why: Option<&'static str>,
}

impl Told {
    /// Takes up what an earlier agent has told.
    pub(super) fn read(&mut self, look: &Look<'_>) {
        if std::mem::replace(&mut self.is_read, true) {
            return;
        }
        let stored = String::from_utf8(look.cursor(CURSOR).unwrap_or_default()).unwrap_or_default();
        let name = |line: &str| match line.strip_prefix(GONE) {
            Some(name) => (name.to_owned(), false),
            None => (line.to_owned(), true),
        };
        self.names = stored.lines().filter(|line| !line.is_empty()).take(MAX_NAMES).map(name).collect();
    }

    /// True if it was told some time.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Takes in what is there: `names` are told, and `listens` says what is there at all.
    pub(super) fn update<'a>(
        &mut self,
        look: &mut Look<'_>,
        names: impl Iterator<Item = &'a String>,
        listens: &dyn Fn(&str) -> bool,
        now: Duration,
    ) {
        let mut changed = false;
        for name in names {
            changed |= self.names.insert(name.clone(), true) != Some(true);
        }
        self.missing.retain(|name, missing| !listens(name) && (missing.why.is_some() || now < missing.since + SOON));
        let mut settles = None; // asked once, if at all
        for (name, is_there) in self.names.iter_mut().filter(|(name, is_there)| **is_there && !listens(name)) {
            let missing = self.missing.entry(name.clone()).or_insert(Missing { since: now, why: None });
            let in_time = now < missing.since + GRACE;
            missing.why = if in_time { *settles.get_or_insert_with(|| look.host.settles()) } else { None };
            *is_there = missing.why.is_some();
            changed |= !*is_there;
        }
        if self.names.len() > MAX_NAMES {
            self.names.retain(|_, is_there| *is_there);
        }
        if changed {
            let line = |(name, is_there): (&String, &bool)| match is_there {
                true => format!("{name}\n"),
                false => format!("{GONE}{name}\n"),
            };
            look.set_cursor(CURSOR, self.names.iter().map(line).collect::<String>().into_bytes());
        }
    }

    /// True while one is missed that may come back.
    pub(super) fn misses(&self) -> bool {
        !self.missing.is_empty()
    }

    /// True while one is missed since a moment ago.
    pub(super) fn misses_lately(&self, now: Duration) -> bool {
        self.missing.values().any(|missing| now < missing.since + SOON)
    }

    /// Tells which are not gone yet.
    pub(super) fn tell(&self, look: &mut Look<'_>) {
        let waits = self.missing.iter().filter_map(|(name, missing)| Some((name.as_str(), missing.why?)));
        let waits: Vec<(&str, &str)> = waits.collect();
        // Otherwise all of them are unknown for these two minutes.
        let many = waits.len() > NAMED;
        for (name, why) in waits.into_iter().take(if many { 1 } else { NAMED }) {
            let prefix = if many { "" } else { name };
            look.problem(&LISTENER, prefix, SOURCE, format!("it does not listen, but {why}"), "");
        }
    }
}
