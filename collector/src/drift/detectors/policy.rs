//! Rules that do not hold.

use std::collections::BTreeSet;

use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use crate::drift::detector::Detector;
use crate::drift::policy::{Finding, On, Policy, Rule, Subjects};
use crate::drift::support::{self, Dates};
use crate::drift::{Drift, Kind, Subject, Verdict, identity};
use crate::view::{HostView, Touched};

impl Detector for Policy {
    fn detect(&self, host: &HostView, touched: &Touched, now: Timestamp) -> Vec<Verdict> {
        let Some(subjects) = Subjects::of(host, now, self.env(), self.dates()) else { return Vec::new() };
        let mut verdicts = Vec::new();
        for rule in self.rules() {
            match &rule.on {
                On::Table(table) => {
                    for key in rows(rule, table, host, touched) {
                        let finding = subjects.row(rule, &key);
                        let subject = Subject::Row { table: table.clone(), key, field: None };
                        verdicts.extend(verdict(rule, host, subject, finding));
                    }
                }
                On::Metric(metric) => {
                    for series in touched.series.iter().filter(|series| series.name == *metric) {
                        let finding = subjects.series(rule, series);
                        verdicts.extend(verdict(rule, host, Subject::Series(series.clone()), finding));
                    }
                }
            }
        }
        verdicts
    }
}

/// Rows that a rule has to look at: those touched, those whose metrics were, and all when what it rests on was.
fn rows(rule: &Rule, table: &str, host: &HostView, touched: &Touched) -> BTreeSet<Untrusted> {
    let mut keys = touched.rows.get(table).cloned().unwrap_or_default();
    let rests_on_os = rule.uses_support() || table == support::TABLE;
    let mut all = rests_on_os && touched.rows.contains_key("os");
    if table == support::TABLE {
        for (source, rows) in touched.rows.iter().filter(|(source, _)| support::is_source(source)) {
            keys.extend(rows.iter().map(|key| support::derived_key(source, key)));
        }
        if all {
            keys.extend(Dates::keys(host));
        }
        return keys;
    }
    for series in touched.series.iter().filter(|series| rule.reads(&series.name)) {
        match series.labels.get(table) {
            Some(key) => {
                keys.insert(key.clone());
            }
            None => all = true,
        }
    }
    if all && let Some(table) = host.tables.get(table) {
        keys.extend(table.rows.keys().cloned());
    }
    keys
}

fn verdict(rule: &Rule, host: &HostView, subject: Subject, finding: Finding) -> Option<Verdict> {
    let identity = identity(&host.host.id, Kind::Policy, &rule.name, &subject);
    Some(match finding {
        Finding::Holds => Verdict::Holds(identity),
        Finding::Between => return None,
        Finding::Unknown(reason) => Verdict::Unknown(identity, reason),
        Finding::Moot => Verdict::Moot(identity),
        Finding::Broken { severity, at_once, title, expected, actual, hint } => Verdict::Drift(Box::new(Drift {
            identity,
            host: host.host.id,
            kind: Kind::Policy,
            severity,
            subject,
            rule: rule.name.clone(),
            title,
            expected,
            actual,
            cause: None,
            hint,
            hold: if at_once { std::time::Duration::ZERO } else { rule.hold },
            calm: rule.calm,
            since: None,
        })),
    })
}

#[cfg(test)]
mod tests;
