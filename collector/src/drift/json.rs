//! A drift as JSON, as `plumb drift --json` and every alert tell it.

use serde_json::{Value, json};

use super::{KnownDrift, Subject};

/// The JSON of a drift; `host` is the host's name. Times are RFC 3339 in UTC, texts of the host are escaped.
#[must_use]
pub fn drift_json(known: &KnownDrift, host: &str) -> Value {
    let drift = &known.drift;
    json!({
        "id": known.id.to_string(),
        "host": host,
        "kind": drift.kind.as_str(),
        "severity": drift.severity.as_str(),
        "subject": subject_json(&drift.subject),
        "title": drift.title,
        "expected": drift.expected,
        "actual": drift.actual,
        "since": known.since.to_string(),
        "state": known.state.as_str(),
        "silenced": known.silenced,
        "unknown": known.unknown,
        "rule": drift.rule,
        "cause": drift.cause,
        "hint": drift.hint,
        "change_set": null,
    })
}

fn subject_json(subject: &Subject) -> Value {
    match subject {
        Subject::Row { table, key, field } => json!({ "table": table, "key": key.to_string(), "field": field }),
        Subject::Series(series) => json!({ "series": series.to_string() }),
        Subject::Watcher(name) => json!({ "watcher": name }),
        Subject::Host => json!({}),
    }
}
