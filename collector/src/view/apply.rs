//! What a report does to the view of its host.
//!
//! Rows belong to (host, watcher, table). A row is gone only by a complete look that no longer has it: by the end of a
//! full tell, by a key that is named as gone, by an absent subject; never by a look that failed, by a tell that was left
//! unfinished, nor under a problem.

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::limits;
use plumb_proto::model::{Fact, Outcome, Problem, Report, Slice, TableDecl, Tell};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use super::{Change, HostView, Row, Touched, WatcherView};

/// Watchers of a host; an agent has about a third of it.
pub const WATCHERS: usize = 64;
/// What a look could not see, at most: rows are compared with each of these.
const PROBLEMS: usize = 256;
/// Tables that are named beyond, as not seen at all.
const TABLES: usize = 64;

impl HostView {
    /// Whether a watcher is one of those that are kept: what one too many says is left out.
    #[must_use]
    pub fn has_room_for(&self, watcher: &str) -> bool {
        self.watchers.len() < WATCHERS || self.watchers.contains_key(watcher)
    }

    /// Takes up a table's declaration. Its new columns start their own baseline, row by row, when they are first told.
    pub fn declare(&mut self, decl: &TableDecl) -> Vec<Change> {
        let table = self.tables.entry(decl.name.clone()).or_default();
        if table.decl.as_ref() == Some(decl) {
            return Vec::new();
        }
        table.decl = Some(decl.clone());
        vec![Change::Declared { table: decl.name.clone() }]
    }

    /// Takes up what a watcher said, if [`HostView::has_room_for`] it. `at` is the time of the report by the collector's clock (skew-corrected).
    pub fn apply(&mut self, report: &Report, at: Timestamp, touched: &mut Touched) -> Vec<Change> {
        let mut changes = Vec::new();
        if !self.has_room_for(&report.watcher) {
            return changes;
        }
        let mut saying = Saying { report, at, look: self.continue_look(report, at), changes: &mut changes };
        if !self.is_under_way(report) {
            self.forget_look(&mut saying);
        }
        for slice in &report.slices {
            self.take_slice(slice, &mut saying);
        }
        if report.outcome == Outcome::Absent {
            self.close_unless(None, &mut saying, |row| row.look == report.look);
        }
        match report.outcome {
            Outcome::More => {}
            Outcome::Done | Outcome::Absent => {
                self.confirm(&mut saying);
                self.begin_baselines(&report.watcher, &saying.look, saying.changes);
                saying.look.complete = Some(at);
                saying.look.told.clear();
            }
            Outcome::Failed => {
                self.fail(&mut saying);
                saying.look.told.clear();
            }
        }
        self.watchers.insert(report.watcher.clone(), saying.look);
        changes.push(Change::Looked { watcher: report.watcher.clone() });
        touch(&changes, touched);
        touched.watchers.insert(report.watcher.clone());
        changes
    }

    /// A new epoch of the host: looks that were under way are void, and their numbers begin anew.
    pub fn begin_epoch(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, watcher) in self.watchers.iter_mut().filter(|(_, watcher)| watcher.outcome == Outcome::More) {
            watcher.look = u64::MAX;
            watcher.told.clear();
            changes.push(Change::Looked { watcher: name.clone() });
        }
        changes
    }

    /// True if this report goes on with a look.
    fn is_under_way(&self, report: &Report) -> bool {
        let before = self.watchers.get(&report.watcher);
        before.is_some_and(|before| before.outcome == Outcome::More && before.look == report.look)
    }

    /// The state of the look that this report begins or continues. A new look voids what an unfinished one had begun.
    fn continue_look(&self, report: &Report, at: Timestamp) -> WatcherView {
        let before = self.watchers.get(&report.watcher);
        let mut look = WatcherView {
            look: report.look,
            at,
            outcome: report.outcome,
            problems: Vec::new(),
            complete: before.and_then(|each| each.complete),
            told: BTreeMap::new(),
        };
        if let Some(before) = before.filter(|_| self.is_under_way(report)) {
            look.problems = before.problems.clone();
            look.told = before.told.clone();
        }
        add(&mut look.problems, &report.problems);
        look
    }

    fn take_slice(&mut self, slice: &Slice, saying: &mut Saying<'_>) {
        let name = slice.table.as_str();
        self.tables.entry(name.to_owned()).or_default();
        if slice.tell == Tell::FullFirst {
            saying.look.told.insert(name.to_owned(), false);
        }
        for fact in &slice.facts {
            self.tell(name, fact, saying);
        }
        match slice.tell {
            Tell::Delta => {
                let gone: BTreeSet<&Untrusted> = slice.gone.iter().collect();
                self.close_unless(Some(name), saying, |row| !gone.contains(&row.fact.key));
            }
            Tell::FullFirst | Tell::Full => {}
            // the end of a tell whose begin was never seen says nothing about what is gone
            Tell::FullLast if !saying.look.told.contains_key(name) => {}
            Tell::FullLast => {
                let look = saying.report.look;
                self.close_unless(Some(name), saying, |row| row.look == look);
                saying.look.told.insert(name.to_owned(), true);
            }
            Tell::FullOnly => {
                let told: BTreeSet<&Untrusted> = slice.facts.iter().map(|fact| &fact.key).collect();
                self.close_unless(Some(name), saying, |row| told.contains(&row.fact.key));
                saying.look.told.insert(name.to_owned(), true);
            }
        }
    }

    /// Writes a row, unless the table is full: then that is a problem of this look.
    fn tell(&mut self, name: &str, fact: &Fact, saying: &mut Saying<'_>) {
        let table = self.tables.entry(name.to_owned()).or_default();
        let (watcher, look, at) = (&saying.report.watcher, saying.report.look, saying.at);
        let count = table.rows.len();
        match table.rows.get_mut(&fact.key) {
            Some(row) if row.owner == *watcher && row.fact == *fact => {
                if row.stale.take().is_some() || row.look != look {
                    (row.look, row.confirmed) = (look, at);
                    saying.changes.push(Change::Touched { table: name.to_owned(), key: fact.key.clone() });
                }
            }
            None if count >= limits::TABLE_ROWS => {
                let full = overflow(name, &fact.key);
                if !saying.look.problems.iter().any(|each| each.table == name && each.error == full.error) {
                    saying.look.problems.push(full);
                }
                return;
            }
            _ => {
                let row = Row {
                    table: name.to_owned(),
                    owner: watcher.clone(),
                    fact: fact.clone(),
                    since: at,
                    confirmed: at,
                    stale: None,
                    look,
                };
                table.rows.insert(fact.key.clone(), row.clone());
                saying.changes.push(Change::Opened(row));
            }
        }
        table.join(name, &fact.key, saying.changes);
    }

    /// Ends rows of the watcher (in one table, or in all) that are not to be kept. Rows under a problem stay, as stale,
    /// except those that it names as gone.
    fn close_unless(&mut self, only: Option<&str>, saying: &mut Saying<'_>, keep: impl Fn(&Row) -> bool) {
        let Saying { report, at, look, changes } = saying;
        let tables = self.tables.iter_mut().filter(|(name, _)| only.is_none_or(|only| only == name.as_str()));
        for (name, table) in tables {
            table.rows.retain(|key, row| {
                if row.owner != report.watcher || keep(row) {
                    return true;
                }
                if let Some(problem) = covering(&look.problems, name, key) {
                    make_stale(row, reason(problem), changes);
                    return true;
                }
                changes.push(Change::Closed { table: name.clone(), key: key.clone(), at: *at });
                false
            });
        }
    }

    /// A complete look: rows that it did not tell are as they were, unless a problem covers them.
    fn confirm(&mut self, saying: &mut Saying<'_>) {
        let Saying { report, at, look, changes } = saying;
        for (name, table) in &mut self.tables {
            for (key, row) in table.rows.iter_mut().filter(|(_, row)| row.owner == report.watcher) {
                match covering(&look.problems, name, key) {
                    Some(problem) if row.look != report.look => make_stale(row, reason(problem), changes),
                    _ => {
                        row.confirmed = *at;
                        if row.stale.take().is_some() {
                            changes.push(Change::Touched { table: name.clone(), key: key.clone() });
                        }
                    }
                }
            }
        }
    }

    /// A look that broke: rows are unknown, none is gone.
    fn fail(&mut self, saying: &mut Saying<'_>) {
        let Saying { report, look, changes, .. } = saying;
        for (name, table) in &mut self.tables {
            for (key, row) in table.rows.iter_mut().filter(|(_, row)| row.owner == report.watcher) {
                let problem = covering(&look.problems, name, key).or(look.problems.first());
                make_stale(row, problem.map_or_else(|| format!("watcher {} failed", report.watcher), reason), changes);
            }
        }
    }

    /// Takes the number of a look that begins off rows that carry it by chance (an epoch before used it, too).
    fn forget_look(&mut self, saying: &mut Saying<'_>) {
        let Saying { report, changes, .. } = saying;
        for (name, table) in &mut self.tables {
            let rows = table.rows.iter_mut().filter(|(_, row)| row.owner == report.watcher && row.look == report.look);
            for (key, row) in rows {
                row.look = u64::MAX;
                changes.push(Change::Touched { table: name.clone(), key: key.clone() });
            }
        }
    }
}

/// Adds what could not be seen. Where it is too much, the whole table was not seen: no row is gone because a problem was
/// left out.
fn add(problems: &mut Vec<Problem>, more: &[Problem]) {
    for problem in more {
        if problems.contains(problem) {
            continue;
        }
        if problems.len() < PROBLEMS {
            problems.push(problem.clone());
            continue;
        }
        let rest = Problem {
            table: problem.table.clone(),
            key_prefix: Untrusted::default(),
            path: Untrusted::default(),
            error: format!("more than {PROBLEMS} problems: the rest is not listed"),
            hint: String::new(),
        };
        if problems.len() < PROBLEMS + TABLES && !problems.contains(&rest) {
            problems.push(rest);
        }
    }
}

/// A report while it is being taken up.
struct Saying<'a> {
    report: &'a Report,
    at: Timestamp,
    look: WatcherView,
    changes: &'a mut Vec<Change>,
}

fn make_stale(row: &mut Row, reason: String, changes: &mut Vec<Change>) {
    if row.stale.as_ref() != Some(&reason) {
        row.stale = Some(reason);
        changes.push(Change::Touched { table: row.table.clone(), key: row.fact.key.clone() });
    }
}

/// The problem that covers a key, if one does.
pub(super) fn covering<'a>(problems: &'a [Problem], table: &str, key: &Untrusted) -> Option<&'a Problem> {
    problems.iter().find(|each| each.table == table && key.as_bytes().starts_with(each.key_prefix.as_bytes()))
}

fn reason(problem: &Problem) -> String {
    if problem.hint.is_empty() { problem.error.clone() } else { format!("{}; {}", problem.error, problem.hint) }
}

fn overflow(table: &str, key: &Untrusted) -> Problem {
    Problem {
        table: table.to_owned(),
        key_prefix: key.clone(),
        path: Untrusted::default(),
        error: format!("the table has more than {} rows", limits::TABLE_ROWS),
        hint: String::new(),
    }
}

/// What detectors have to look at.
fn touch(changes: &[Change], touched: &mut Touched) {
    for change in changes {
        let (table, key) = match change {
            Change::Opened(row) => (&row.table, &row.fact.key),
            Change::Closed { table, key, .. } | Change::Touched { table, key } | Change::Baseline { table, key } => {
                (table, key)
            }
            Change::Baselined { .. } | Change::Declared { .. } | Change::Looked { .. } => continue,
        };
        touched.rows.entry(table.clone()).or_default().insert(key.clone());
    }
}
