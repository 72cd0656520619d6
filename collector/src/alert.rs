//! What opens, repeats, resolves. Pure: known drifts and new verdicts in, decisions out.
//!
//! A drift closes only by a verdict that says so; not knowing leaves it as it is, with the reason beside it. What a
//! host delivers late moves drifts at its own time; people are told only what still stands once it has caught up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use plumb_proto::limits;
use plumb_proto::model::Severity;
use plumb_proto::time::Timestamp;

use crate::drift::FLOOD;
use crate::drift::json::drift_json;
use crate::drift::{Drift, DriftState, Identity, Kind, KnownDrift, Subject, Verdict, identity};
use crate::store::rows::{Alert, HostRow, TransitionKind};

/// Drifts of one host that are kept open or pending at a time.
pub const LIVE: usize = 1_000;

/// What was decided, to be kept in the transaction of the record that led to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transitions {
    /// Drifts that are new or have changed.
    pub drifts: Vec<KnownDrift>,
    /// Drifts that came to nothing before they were ever told: to be deleted.
    pub forgotten: Vec<u64>,
    /// Alerts for the outbox.
    pub alerts: Vec<Alert>,
}

impl Transitions {
    /// True when nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drifts.is_empty() && self.forgotten.is_empty() && self.alerts.is_empty()
    }
}

/// In which situation is decided.
pub struct Situation<'a> {
    /// The host, as its alerts name it.
    pub host: &'a HostRow,
    /// The time that is judged: of the record, skew-corrected, or of the tick.
    pub at: Timestamp,
    /// The collector's wall time: alerts carry it, repeats go by it.
    pub now: Timestamp,
    /// After how long an open drift is told again.
    pub repeat: Duration,
    /// The host still drains a backlog: people are not told yet.
    pub late: bool,
}

/// Decides what the verdicts mean for the drifts that are not over. `next_id` answers the number of a new drift.
///
/// # Errors
/// What `next_id` says.
pub fn transitions(
    known: &[KnownDrift],
    verdicts: Vec<Verdict>,
    situation: &Situation<'_>,
    next_id: &mut dyn FnMut() -> Result<u64>,
) -> Result<Transitions> {
    let verdicts = within_bounds(known, verdicts, situation);
    let as_known: BTreeMap<Identity, &KnownDrift> =
        known.iter().filter(|each| each.state.is_live()).map(|each| (each.drift.identity, each)).collect();
    let mut live: BTreeMap<Identity, KnownDrift> =
        as_known.iter().map(|(identity, known)| (*identity, (*known).clone())).collect();
    let mut decided = Transitions::default();
    for verdict in verdicts {
        let identity = verdict.identity();
        let before = live.remove(&identity);
        let after = match (verdict, before) {
            (Verdict::Drift(drift), before) => Some(found(*drift, before, situation, next_id)?),
            (_, None) => None,
            (Verdict::Unknown(_, reason), Some(before)) => {
                Some(KnownDrift { unknown: Some(reason), calm_since: None, ..before })
            }
            (Verdict::Holds(_), Some(before)) => holds(before, situation, &mut decided),
            (Verdict::Moot(_), Some(before)) => over(before, DriftState::Expired, situation, &mut decided),
            (Verdict::Explained(drift), Some(before)) => {
                let before = KnownDrift { drift: *drift, ..before };
                over(before, DriftState::Explained, situation, &mut decided)
            }
        };
        if let Some(after) = after {
            live.insert(identity, after);
        }
    }
    for mut drift in live.into_values() {
        let before = as_known.get(&drift.drift.identity).copied();
        let got_worse = before.is_some_and(|before| drift.drift.severity > before.drift.severity);
        if let Some(kind) = to_tell(&drift, got_worse, situation) {
            decided.alerts.push(tell(&mut drift, kind, situation));
        }
        if before != Some(&drift) {
            decided.drifts.push(drift);
        }
    }
    Ok(decided)
}

/// Ends drifts that no verdict will reach any more: their rule, their host is gone, or a person approved them.
#[must_use]
pub fn end(known: &[KnownDrift], state: DriftState, note: Option<&str>, situation: &Situation<'_>) -> Transitions {
    let mut decided = Transitions::default();
    for each in known.iter().filter(|each| each.state.is_live()) {
        let note = note.map(str::to_owned).or_else(|| each.note.clone());
        over(KnownDrift { note, ..each.clone() }, state, situation, &mut decided);
    }
    decided
}

/// Leaves out deviations beyond [`LIVE`], and says so by a drift of its own: one host must not bury the others, and what
/// is not kept must not look as if it were not there.
fn within_bounds(known: &[KnownDrift], verdicts: Vec<Verdict>, situation: &Situation<'_>) -> Vec<Verdict> {
    let live: BTreeSet<Identity> =
        known.iter().filter(|each| each.state.is_live()).map(|each| each.drift.identity).collect();
    let is_new = |verdict: &Verdict| matches!(verdict, Verdict::Drift(drift) if !live.contains(&drift.identity));
    let mut room = LIVE.saturating_sub(live.len());
    let before = verdicts.len();
    let mut kept: Vec<Verdict> = verdicts
        .into_iter()
        .filter(|verdict| {
            let fits = !is_new(verdict) || room > 0;
            room -= usize::from(is_new(verdict) && room > 0);
            fits
        })
        .collect();
    let subject = Subject::Host;
    let identity = identity(&situation.host.id, Kind::Policy, FLOOD, &subject);
    if kept.len() < before {
        kept.push(Verdict::Drift(Box::new(Drift {
            identity,
            host: situation.host.id,
            kind: Kind::Policy,
            severity: Severity::Critical,
            subject,
            rule: FLOOD.to_owned(),
            title: format!("more than {LIVE} drifts: the rest is not listed"),
            expected: None,
            actual: None,
            cause: None,
            hint: Some("approve what is meant to be so, table by table; the rest is listed within an hour".to_owned()),
            hold: Duration::ZERO,
            calm: Duration::from_secs(3600), // by then a sweep has found what there was no room for
            since: None,
        })));
    } else if live.contains(&identity) {
        kept.push(Verdict::Holds(identity));
    }
    kept
}

/// A deviation was found: new, or known.
fn found(
    drift: Drift,
    before: Option<KnownDrift>,
    situation: &Situation<'_>,
    next_id: &mut dyn FnMut() -> Result<u64>,
) -> Result<KnownDrift> {
    let mut known = match before {
        Some(before) => KnownDrift { drift, unknown: None, calm_since: None, ..before },
        None => KnownDrift {
            id: next_id()?,
            since: drift.since.unwrap_or(situation.at),
            drift,
            state: DriftState::Pending,
            opened: None,
            closed: None,
            calm_since: None,
            unknown: None,
            transition: 0,
            alerted: None,
            silenced: false,
            note: None,
        },
    };
    if known.state == DriftState::Pending && situation.at.since(known.since) >= known.drift.hold {
        known.state = DriftState::Open;
        known.opened = Some(situation.at);
    }
    Ok(known)
}

/// It is as it should be again: the drift ends, once that has lasted for its `calm`.
fn holds(before: KnownDrift, situation: &Situation<'_>, decided: &mut Transitions) -> Option<KnownDrift> {
    let calm_since = before.calm_since.unwrap_or(situation.at);
    if before.state == DriftState::Open && situation.at.since(calm_since) < before.drift.calm {
        return Some(KnownDrift { calm_since: Some(calm_since), unknown: None, ..before });
    }
    let state = match before.drift.kind {
        Kind::Changed => DriftState::Reverted,
        Kind::Policy | Kind::Silent => DriftState::Resolved,
    };
    over(before, state, situation, decided)
}

/// Ends a drift. Whoever was told of it is told that it is over, also late: no later verdict would come back to it.
fn over(
    before: KnownDrift,
    state: DriftState,
    situation: &Situation<'_>,
    decided: &mut Transitions,
) -> Option<KnownDrift> {
    if before.state == DriftState::Pending {
        decided.forgotten.push(before.id);
        return None;
    }
    let mut drift = KnownDrift { state, closed: Some(situation.at), calm_since: None, unknown: None, ..before };
    if drift.transition > 0 && !drift.silenced {
        decided.alerts.push(tell(&mut drift, TransitionKind::Resolved, situation));
    }
    decided.drifts.push(drift);
    None
}

/// Whether an open drift has to be told now.
fn to_tell(drift: &KnownDrift, got_worse: bool, situation: &Situation<'_>) -> Option<TransitionKind> {
    if drift.state != DriftState::Open || drift.silenced || situation.late {
        return None;
    }
    match drift.alerted {
        None => Some(TransitionKind::Opened),
        Some(last) if got_worse || situation.now.since(last) >= situation.repeat => Some(TransitionKind::Repeated),
        Some(_) => None,
    }
}

fn tell(drift: &mut KnownDrift, kind: TransitionKind, situation: &Situation<'_>) -> Alert {
    drift.transition += 1;
    drift.alerted = Some(situation.now);
    Alert {
        drift: drift.id,
        transition: drift.transition,
        kind,
        at: situation.now,
        host: situation.host.name.clone(),
        groups: situation.host.groups.clone(),
        severity: drift.drift.severity,
        body: body(drift, &situation.host.name),
    }
}

/// The drift as JSON. Its texts are short already; should it pass the limit nevertheless, what explains it goes.
fn body(drift: &KnownDrift, host: &str) -> String {
    let whole = drift_json(drift, host).to_string();
    if whole.len() <= limits::ALERT_TEXT {
        return whole;
    }
    let mut short = drift.clone();
    (short.drift.cause, short.drift.hint, short.drift.expected, short.drift.actual) = (None, None, None, None);
    drift_json(&short, host).to_string()
}

#[cfg(test)]
mod tests;
