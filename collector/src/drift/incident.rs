//! What the collector or an agent told about itself with severity critical: a fork, a broken chain, a copied identity, a
//! damaged spool. Such an event is a moment, a drift is a state; so it stands as a drift for an hour after it was last
//! told, long enough to be seen, and closes by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plumb_proto::model::{Event, Severity};
use plumb_proto::record::HostId;

use super::{Drift, Kind, KnownDrift, Subject, Verdict, identity};

/// For how long an event stands as a drift.
pub const STANDS: Duration = Duration::from_secs(3600);
/// What the rules of such drifts begin with; no rule of a policy may.
const PREFIX: &str = "event:";

/// True for a drift that stands for an event.
#[must_use]
pub fn is_incident(drift: &Drift) -> bool {
    drift.rule.starts_with(PREFIX)
}

/// Verdicts on the critical events of the last hour (oldest first), and on drifts of events that are older.
#[must_use]
pub fn verdicts(host: &HostId, recent: &[Event], known: &[KnownDrift]) -> Vec<Verdict> {
    let newest: BTreeMap<&str, &Event> = recent.iter().map(|event| (event.kind.as_str(), event)).collect();
    let over = known.iter().filter(|each| is_incident(&each.drift));
    let over = over.filter(|each| !newest.contains_key(&each.drift.rule[PREFIX.len()..]));
    let over: Vec<Verdict> = over.map(|each| Verdict::Holds(each.drift.identity)).collect();
    newest.values().map(|event| Verdict::Drift(Box::new(incident(host, event)))).chain(over).collect()
}

/// True if there is an event for which no drift stands, or a drift whose event is over.
#[must_use]
pub fn has_news(recent: &[Event], known: &[KnownDrift]) -> bool {
    let standing: BTreeSet<&str> = known.iter().filter_map(|each| each.drift.rule.strip_prefix(PREFIX)).collect();
    let recent: BTreeSet<&str> = recent.iter().map(|event| event.kind.as_str()).collect();
    standing != recent
}

fn incident(host: &HostId, event: &Event) -> Drift {
    let rule = format!("{PREFIX}{}", event.kind);
    Drift {
        identity: identity(host, Kind::Policy, &rule, &Subject::Host),
        host: *host,
        kind: Kind::Policy,
        severity: Severity::Critical,
        subject: Subject::Host,
        title: event.text.to_string(),
        expected: None,
        actual: None,
        cause: None,
        hint: Some(hint(&event.kind).to_owned()),
        since: Some(event.at),
        hold: Duration::ZERO,
        calm: Duration::ZERO,
        rule,
    }
}

fn hint(kind: &str) -> &'static str {
    match kind {
        "fork" | "chain_break" | "epoch_forked" => {
            "expected after a restore from a snapshot; otherwise look who else may hold this host's state folder"
        }
        "identity_conflict" => "if this host was cloned, revoke it and enrol both anew",
        "token_reused" => "somebody has the token: revoke the host if that was not you",
        "state_replaced" => "what was not delivered is lost; look at the host's disk",
        "disk_full" => "make room on the host: until then samples are dropped",
        _ => "see `plumb events` of this host",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::time::Timestamp;

    const HOST: HostId = HostId([7; 16]);

    fn event(kind: &str, text: &str, at: i64) -> Event {
        let (at, kind) = (Timestamp::from_secs(at), kind.to_owned());
        Event { at, kind, severity: Severity::Critical, text: text.into(), fields: BTreeMap::new(), count: 1 }
    }

    fn said(verdicts: &[Verdict]) -> Vec<String> {
        let said = |verdict: &Verdict| match verdict {
            Verdict::Drift(drift) => format!("{}: {}", drift.rule, drift.title),
            Verdict::Holds(_) => "holds".to_owned(),
            other => format!("{other:?}"),
        };
        verdicts.iter().map(said).collect()
    }

    #[test]
    fn the_newest_event_of_a_kind_stands_for_all_and_is_escaped() {
        let recent = [event("fork", "one", 1), event("fork", "two\x1b[2J", 2), event("state_replaced", "three", 3)];
        assert_eq!(said(&verdicts(&HOST, &recent, &[])), ["event:fork: two\\x1b[2J", "event:state_replaced: three"]);
    }

    #[test]
    fn a_drift_whose_event_is_an_hour_old_holds_again_and_others_are_left_alone() {
        let known = |drift: Drift| KnownDrift {
            id: 1,
            drift,
            state: super::super::DriftState::Open,
            since: Timestamp::from_secs(1),
            opened: None,
            closed: None,
            calm_since: None,
            unknown: None,
            transition: 1,
            alerted: None,
            silenced: false,
            note: None,
        };
        let old = incident(&HOST, &event("fork", "one", 1));
        let other = Drift { rule: "disk_space".into(), ..old.clone() };
        assert_eq!(said(&verdicts(&HOST, &[], &[known(old), known(other)])), ["holds"]);
    }
}
