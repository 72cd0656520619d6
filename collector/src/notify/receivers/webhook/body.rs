//! What a webhook sends: one fixed JSON document. Nothing in it is a template.

use plumb_proto::limits;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::notify::receiver::Outgoing;
use crate::store::rows::{Alert, Groups};

#[derive(Serialize)]
struct Body<'a> {
    /// Of this format; a change that breaks readers raises it.
    version: u32,
    key: &'a str,
    receiver: &'a str,
    /// True if somebody only tries whether messages arrive.
    test: bool,
    alerts: Vec<AlertBody<'a>>,
}

#[derive(Serialize)]
struct AlertBody<'a> {
    transition: u32,
    kind: &'static str,
    at: String,
    host: &'a str,
    groups: &'a Groups,
    severity: &'static str,
    drift: Drift<'a>,
}

/// The drift as `drift --json` shows it. One that is too long for a message, or is no JSON, travels as its number only.
#[derive(Serialize)]
#[serde(untagged)]
enum Drift<'a> {
    Whole(&'a RawValue),
    Number { id: u64 },
}

/// The message as JSON.
pub(super) fn body(message: &Outgoing<'_>) -> String {
    let body = Body {
        version: 1,
        key: message.key,
        receiver: message.receiver,
        test: message.alerts.is_empty(),
        alerts: message.alerts.iter().map(alert).collect(),
    };
    // Cannot fail: all keys are texts, and raw values were parsed. An empty body would be refused by any receiver.
    serde_json::to_string(&body).unwrap_or_default()
}

fn alert(alert: &Alert) -> AlertBody<'_> {
    let whole = (alert.body.len() <= limits::ALERT_TEXT).then(|| serde_json::from_str(&alert.body).ok()).flatten();
    AlertBody {
        transition: alert.transition,
        kind: alert.kind.as_str(),
        at: alert.at.to_string(),
        host: &alert.host,
        groups: &alert.groups,
        severity: alert.severity.as_str(),
        drift: whole.map_or(Drift::Number { id: alert.drift }, Drift::Whole),
    }
}
