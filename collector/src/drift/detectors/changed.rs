//! Facts that differ from their baseline.

mod explain;
mod hold;
mod severity;

use std::collections::BTreeSet;
use std::time::Duration;

use plumb_proto::model::{Severity, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use crate::drift::detector::Detector;
use crate::drift::text::{clip, said};
use crate::drift::{Drift, Kind, Subject, Verdict, identity};
use crate::view::compare::{Comparison, Standing};
use crate::view::{HostView, TableView, Touched};

/// Name of the rule that its drifts carry.
pub const RULE: &str = "changed";

/// Compares state columns with the baseline.
pub struct Changed;

impl Detector for Changed {
    fn detect(&self, host: &HostView, touched: &Touched, _now: Timestamp) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for (name, keys) in &touched.rows {
            let Some(table) = host.tables.get(name) else { continue };
            for key in keys {
                let place = Place { host, name, table, key };
                for comparison in table.compare(key) {
                    place.judge(&comparison, &mut verdicts);
                }
            }
        }
        verdicts
    }
}

/// A row that is judged, there or gone.
#[derive(Clone, Copy)]
struct Place<'a> {
    host: &'a HostView,
    name: &'a str,
    table: &'a TableView,
    key: &'a Untrusted,
}

impl Place<'_> {
    /// Settings of a pool that are not in effect yet are one drift, of the rule that names both sides. Once they are loaded
    /// it is asked whether they are meant.
    fn waits_for_a_reload(&self) -> bool {
        let row = self.table.rows.get(self.key).filter(|_| self.name == "php_pool");
        row.is_some_and(|row| row.fact.fields.get("reload_needed") == Some(&Value::Bool(true)))
    }

    fn judge(&self, comparison: &Comparison<'_>, verdicts: &mut Vec<Verdict>) {
        let field = comparison.field;
        if field.is_some_and(|field| severity::is_judged_by_policy(self.name, field)) {
            return;
        }
        let subject =
            Subject::Row { table: self.name.to_owned(), key: self.key.clone(), field: field.map(str::to_owned) };
        let identity = identity(&self.host.host.id, Kind::Changed, RULE, &subject);
        match comparison.standing {
            Standing::Same => verdicts.push(Verdict::Holds(identity)),
            Standing::Unknown(reason) => verdicts.push(Verdict::Unknown(identity, said(reason))),
            Standing::Appeared => {
                let title = format!("{subject} has appeared");
                let actual = Some(self.summary());
                verdicts.push(Verdict::Drift(Box::new(self.drift(subject, title, None, actual, severity::APPEARED))));
            }
            Standing::Gone => {
                let title = format!("{subject} is gone");
                let severity = severity::of_gone(self.name);
                let expected = Some("present".to_owned());
                let mut drift = self.drift(subject, title, expected, None, severity);
                drift.hold = hold::of(self.name, None);
                verdicts.push(Verdict::Drift(Box::new(drift)));
            }
            Standing::Differs { was, is } => {
                let Some(field) = field else { return };
                if severity::goes_with_another(self.name, field, was, is)
                    || severity::is_told_by_a_rule(self.name, field, is)
                    || self.waits_for_a_reload()
                {
                    return verdicts.push(Verdict::Moot(identity));
                }
                let title = title(&subject, was, is);
                let severity = severity::of_field(self.name, self.key, field, (was, is));
                let mut drift = self.drift(subject, title, told(was), told(is), severity);
                drift.cause = explain::cause(self.table, self.key, field, was, is);
                let patience = explain::patience(self.table, self.key, field, is);
                drift.hold = patience.max(hold::of(self.name, Some(field)));
                let drift = Box::new(drift);
                verdicts.push(if drift.cause.is_some() { Verdict::Explained(drift) } else { Verdict::Drift(drift) });
            }
        }
        // What was said of single columns has nothing to stand on once the row is gone, or was never approved.
        let row_is_there = matches!(comparison.standing, Standing::Same | Standing::Unknown(_))
            && self.table.rows.contains_key(self.key);
        if field.is_none() && !row_is_there {
            let columns: BTreeSet<&str> = self.table.state_columns().collect();
            verdicts.extend(columns.into_iter().map(|column| Verdict::Moot(self.field_identity(column))));
        }
    }

    fn field_identity(&self, column: &str) -> crate::drift::Identity {
        let subject =
            Subject::Row { table: self.name.to_owned(), key: self.key.clone(), field: Some(column.to_owned()) };
        identity(&self.host.host.id, Kind::Changed, RULE, &subject)
    }

    fn drift(
        &self,
        subject: Subject,
        title: String,
        expected: Option<String>,
        actual: Option<String>,
        severity: Severity,
    ) -> Drift {
        Drift {
            identity: identity(&self.host.host.id, Kind::Changed, RULE, &subject),
            host: self.host.host.id,
            kind: Kind::Changed,
            severity,
            subject,
            rule: RULE.to_owned(),
            title,
            expected,
            actual,
            cause: None,
            hint: Some("if this is as it should be, approve it; otherwise undo it on the host".to_owned()),
            hold: Duration::ZERO,
            calm: Duration::ZERO,
            since: None,
        }
    }

    /// State columns of the row that has appeared.
    fn summary(&self) -> String {
        let Some(row) = self.table.rows.get(self.key) else { return String::new() };
        let columns = self.table.state_columns().filter_map(|column| Some((column, row.fact.fields.get(column)?)));
        let texts: Vec<String> = columns.map(|(column, value)| format!("{column}={value}")).collect();
        clip(texts.join(" "))
    }
}

fn told(value: Option<&Value>) -> Option<String> {
    value.map(clip)
}

/// "version of php fpm/8.2 changed from 8.2.29 to 8.2.30"; for a list, what came and went.
fn title(subject: &Subject, was: Option<&Value>, is: Option<&Value>) -> String {
    match (was, is) {
        (Some(Value::List(was)), Some(Value::List(is))) => {
            let missing = |of: &[Untrusted], from: &[Untrusted]| -> Vec<String> {
                of.iter().filter(|item| !from.contains(item)).map(Untrusted::to_string).collect()
            };
            let parts = [("without", missing(was, is)), ("with", missing(is, was))];
            let parts: Vec<String> = parts
                .iter()
                .filter(|(_, items)| !items.is_empty())
                .map(|(word, items)| format!("{word} {}", clip(items.join(", "))))
                .collect();
            let how = if parts.is_empty() { "order".to_owned() } else { parts.join(", ") };
            format!("{subject} changed: now {how}")
        }
        (Some(was), Some(is)) => format!("{subject} changed from {} to {}", clip(was), clip(is)),
        (None, Some(is)) => format!("{subject} is now {}, was not set", clip(is)),
        (Some(was), None) => format!("{subject} is no longer set, was {}", clip(was)),
        (None, None) => format!("{subject} changed"),
    }
}

#[cfg(test)]
mod tests;
