//! What counts as approved: the first complete look of each watcher and table, and what a person approved since.
//!
//! What could not be seen when a baseline began has none yet: a column that was unknown, rows under a problem, a table
//! or a column that a newer agent brings. Each joins when it is first known, and is no drift.

use std::collections::BTreeSet;

use plumb_proto::model::Problem;
use plumb_proto::untrusted::Untrusted;

use super::apply::covering;
use super::{BaselineRow, Change, HostView, Row, TableView, WatcherView};

impl HostView {
    /// Makes what stands now the baseline: of the host, of one table, of one row, of one column. What is unknown now keeps
    /// what it had.
    pub fn approve(&mut self, table: Option<&str>, key: Option<&Untrusted>, field: Option<&str>) -> Vec<Change> {
        let mut changes = Vec::new();
        let tables = self.tables.iter_mut().filter(|(name, _)| table.is_none_or(|table| table == name.as_str()));
        for (name, table) in tables {
            let keys: BTreeSet<Untrusted> = match key {
                Some(key) => BTreeSet::from([key.clone()]),
                None => table.rows.keys().chain(table.baseline.keys()).cloned().collect(),
            };
            for key in keys {
                if table.approve_row(&key, field) {
                    changes.push(Change::Baseline { table: name.clone(), key });
                }
            }
        }
        changes
    }

    /// After a complete look: tables of this watcher that have no baseline yet get one; those that have one lose the
    /// blind spots that the look could see.
    pub(super) fn begin_baselines(&mut self, watcher: &str, look: &WatcherView, changes: &mut Vec<Change>) {
        for (name, table) in &mut self.tables {
            if let Some(known) = table.baselined.get_mut(watcher) {
                let left = still_blind(known, &look.problems, name);
                if left != *known {
                    *known = left;
                    changes.push(Change::Baselined { table: name.clone() });
                }
                continue;
            }
            let everything = BTreeSet::from([Untrusted::default()]);
            let blind = still_blind(&everything, &look.problems, name);
            let own = table.own_keys(watcher);
            let told = look.told.get(name).copied();
            if told == Some(false) || (told.is_none() && own.is_empty() && blind.is_empty()) {
                continue; // left unfinished, or not a table of this watcher
            }
            table.baselined.insert(watcher.to_owned(), blind);
            changes.push(Change::Baselined { table: name.clone() });
            if told.is_none() && look.complete.is_some() {
                continue; // it was absent, or had no rows, in a look before: these are new
            }
            for key in own {
                if let Some(row) = table.rows.get(&key) {
                    let known = known_state(table, row);
                    table.baseline.insert(key.clone(), known);
                    changes.push(Change::Baseline { table: name.clone(), key });
                }
            }
        }
    }
}

impl TableView {
    /// A row was told: where it, or a column of it, has no baseline yet, it joins.
    pub(super) fn join(&mut self, name: &str, key: &Untrusted, changes: &mut Vec<Change>) {
        let Some(row) = self.rows.get(key) else { return };
        let Some(blind) = self.baselined.get(&row.owner) else { return };
        let was_blind = blind.iter().any(|prefix| key.as_bytes().starts_with(prefix.as_bytes()));
        let is_new = !self.baseline.contains_key(key);
        if is_new && !was_blind {
            return; // it has appeared since
        }
        let known = known_state(self, row);
        let approved = self.baseline.entry(key.clone()).or_default();
        let before = approved.len();
        for (column, value) in known {
            approved.entry(column).or_insert(value);
        }
        if is_new || approved.len() > before {
            changes.push(Change::Baseline { table: name.to_owned(), key: key.clone() });
        }
    }

    /// Makes a row as it stands the baseline. True if that changed something.
    fn approve_row(&mut self, key: &Untrusted, field: Option<&str>) -> bool {
        let Some(row) = self.rows.get(key) else {
            return field.is_none() && self.baseline.remove(key).is_some();
        };
        if row.stale.is_some() || !self.baselined.contains_key(&row.owner) {
            return false;
        }
        let mut known = known_state(self, row);
        if let Some(field) = field {
            known.retain(|column, _| column == field);
        }
        let mut approved = self.baseline.get(key).cloned().unwrap_or_default();
        approved.extend(known);
        self.baseline.insert(key.clone(), approved.clone()) != Some(approved)
    }

    fn own_keys(&self, watcher: &str) -> Vec<Untrusted> {
        self.rows.iter().filter(|(_, row)| row.owner == watcher).map(|(key, _)| key.clone()).collect()
    }
}

/// What of `blind` is still hidden behind a problem: a prefix as a whole, or parts of it.
fn still_blind(blind: &BTreeSet<Untrusted>, problems: &[Problem], table: &str) -> BTreeSet<Untrusted> {
    let mut left = BTreeSet::new();
    for prefix in blind {
        if covering(problems, table, prefix).is_some() {
            left.insert(prefix.clone());
            continue;
        }
        let parts = problems.iter().filter(|each| each.table == table).map(|each| &each.key_prefix);
        left.extend(parts.filter(|part| part.as_bytes().starts_with(prefix.as_bytes())).cloned());
    }
    left
}

/// State columns of a row that are known: their value, or null.
fn known_state(table: &TableView, row: &Row) -> BaselineRow {
    let known = table.state_columns().filter(|column| row.unknown(column).is_none());
    known.map(|column| (column.to_owned(), row.fact.fields.get(column).cloned())).collect()
}
