use plumb_proto::model::Severity;

use super::*;
use crate::testing::{at, host_row};

const REPEAT: Duration = Duration::from_secs(86_400);

/// Drifts of one host through time.
#[derive(Default)]
struct Life {
    known: Vec<KnownDrift>,
    over: Vec<KnownDrift>,
    late: bool,
    next: u64,
}

impl Life {
    /// Judges at a second; answers the alerts as `kind#drift.transition`.
    fn judge(&mut self, second: i64, verdicts: Vec<Verdict>) -> Vec<String> {
        let host = host_row();
        let now = if self.late { at(1_000_000) } else { at(second) };
        let situation = Situation { host: &host, at: at(second), now, repeat: REPEAT, late: self.late };
        let decided = transitions(&self.known, verdicts, &situation, &mut || {
            self.next += 1;
            Ok(self.next)
        });
        self.keep(decided.unwrap())
    }

    /// What a store does.
    fn keep(&mut self, decided: Transitions) -> Vec<String> {
        self.known.retain(|each| !decided.forgotten.contains(&each.id));
        for drift in decided.drifts {
            self.known.retain(|each| each.id != drift.id);
            if drift.state.is_live() { self.known.push(drift) } else { self.over.push(drift) }
        }
        decided.alerts.iter().map(|each| format!("{}#{}.{}", each.kind.as_str(), each.drift, each.transition)).collect()
    }

    fn states(&self) -> Vec<&'static str> {
        self.known.iter().chain(&self.over).map(|each| each.state.as_str()).collect()
    }
}

fn drift(kind: Kind) -> Drift {
    let host = host_row().id;
    Drift {
        identity: identity(&host, kind, "r", &Subject::Host),
        host,
        kind,
        severity: Severity::Warning,
        subject: Subject::Host,
        rule: "r".to_owned(),
        title: "something".to_owned(),
        expected: None,
        actual: None,
        cause: None,
        hint: None,
        hold: Duration::ZERO,
        calm: Duration::ZERO,
        since: None,
    }
}

fn patient(hold: u64, calm: u64) -> Drift {
    Drift { hold: Duration::from_secs(hold), calm: Duration::from_secs(calm), ..drift(Kind::Policy) }
}

fn is(drift: &Drift) -> Vec<Verdict> {
    vec![Verdict::Drift(Box::new(drift.clone()))]
}

fn holds(drift: &Drift) -> Vec<Verdict> {
    vec![Verdict::Holds(drift.identity)]
}

fn unknown(drift: &Drift) -> Vec<Verdict> {
    vec![Verdict::Unknown(drift.identity, "no rights".to_owned())]
}

#[test]
fn a_drift_opens_once_and_resolves_once() {
    let (mut life, drift) = (Life::default(), drift(Kind::Policy));
    assert_eq!(life.judge(0, is(&drift)), ["opened#1.1"]);
    assert_eq!(life.judge(10, is(&drift)), [""; 0]);
    assert_eq!(life.judge(20, vec![]), [""; 0]);
    assert_eq!(life.judge(30, holds(&drift)), ["resolved#1.2"]);
    assert_eq!(life.judge(40, holds(&drift)), [""; 0]);
    assert_eq!(life.states(), ["resolved"]);
    let over = &life.over[0];
    assert_eq!((over.since, over.opened, over.closed), (at(0), Some(at(0)), Some(at(30))));
}

#[test]
fn a_drift_that_comes_back_is_a_new_one() {
    let (mut life, drift) = (Life::default(), drift(Kind::Policy));
    life.judge(0, is(&drift));
    life.judge(10, holds(&drift));
    assert_eq!(life.judge(20, is(&drift)), ["opened#2.1"]);
    assert_eq!(life.known[0].since, at(20));
}

#[test]
fn a_change_that_went_back_is_reverted() {
    let (mut life, drift) = (Life::default(), drift(Kind::Changed));
    life.judge(0, is(&drift));
    life.judge(10, holds(&drift));
    assert_eq!(life.states(), ["reverted"]);
}

#[test]
fn not_knowing_never_closes_and_says_why() {
    let (mut life, drift) = (Life::default(), drift(Kind::Policy));
    assert_eq!(life.judge(0, unknown(&drift)), [""; 0]);
    assert!(life.known.is_empty(), "not knowing opens nothing");
    life.judge(10, is(&drift));
    assert_eq!(life.judge(20, unknown(&drift)), [""; 0]);
    assert_eq!(life.known[0].unknown.as_deref(), Some("no rights"));
    assert_eq!(life.states(), ["open"]);
    life.judge(30, is(&drift));
    assert_eq!(life.known[0].unknown, None);
}

#[test]
fn a_drift_waits_for_its_time_before_it_opens() {
    let (mut life, drift) = (Life::default(), patient(300, 0));
    assert_eq!(life.judge(0, is(&drift)), [""; 0]);
    assert_eq!(life.judge(299, is(&drift)), [""; 0]);
    assert_eq!(life.states(), ["pending"]);
    assert_eq!(life.judge(300, is(&drift)), ["opened#1.1"]);
    assert_eq!((life.known[0].since, life.known[0].opened), (at(0), Some(at(300))));
}

#[test]
fn a_spike_that_passes_leaves_no_trace() {
    let (mut life, drift) = (Life::default(), patient(300, 0));
    life.judge(0, is(&drift));
    assert_eq!(life.judge(100, holds(&drift)), [""; 0]);
    assert_eq!(life.states(), [""; 0]);
    life.judge(200, is(&drift));
    assert_eq!(life.judge(400, is(&drift)), [""; 0], "the time begins anew");
}

#[test]
fn a_drift_closes_only_after_its_calm() {
    let (mut life, drift) = (Life::default(), patient(0, 60));
    life.judge(0, is(&drift));
    assert_eq!(life.judge(10, holds(&drift)), [""; 0]);
    assert_eq!(life.judge(69, holds(&drift)), [""; 0]);
    assert_eq!(life.judge(70, holds(&drift)), ["resolved#1.2"]);
}

#[test]
fn flapping_is_one_drift_and_not_knowing_is_no_calm() {
    let (mut life, drift) = (Life::default(), patient(0, 60));
    life.judge(0, is(&drift));
    for round in 1..20 {
        assert_eq!(life.judge(round * 40, holds(&drift)), [""; 0]);
        assert_eq!(life.judge(round * 40 + 20, is(&drift)), [""; 0]);
    }
    life.judge(1000, holds(&drift));
    life.judge(1030, unknown(&drift));
    assert_eq!(life.judge(1070, holds(&drift)), [""; 0], "the calm begins anew");
    assert_eq!(life.judge(1130, holds(&drift)), ["resolved#1.2"]);
}

#[test]
fn between_open_and_clear_nothing_moves() {
    let (mut life, drift) = (Life::default(), patient(0, 60));
    life.judge(0, is(&drift));
    life.judge(10, holds(&drift));
    assert_eq!(life.judge(30, vec![]), [""; 0]);
    assert_eq!(life.states(), ["open"]);
}

#[test]
fn what_stays_open_is_told_again() {
    let (mut life, drift) = (Life::default(), drift(Kind::Policy));
    life.judge(0, is(&drift));
    assert_eq!(life.judge(86_399, vec![]), [""; 0]);
    assert_eq!(life.judge(86_400, vec![]), ["repeated#1.2"]);
    assert_eq!(life.judge(86_401, unknown(&drift)), [""; 0]);
    assert_eq!(life.judge(172_800, unknown(&drift)), ["repeated#1.3"]);
}

#[test]
fn what_gets_worse_is_told_at_once() {
    let (mut life, drift) = (Life::default(), drift(Kind::Policy));
    life.judge(0, is(&drift));
    let worse = Drift { severity: Severity::Critical, ..drift.clone() };
    assert_eq!(life.judge(10, is(&worse)), ["repeated#1.2"]);
    assert_eq!(life.judge(20, is(&worse)), [""; 0]);
    assert_eq!(life.judge(30, is(&drift)), [""; 0], "better, but not over");
}

#[test]
fn late_records_tell_nobody_until_the_host_has_caught_up() {
    let (mut life, drift) = (Life { late: true, ..Life::default() }, drift(Kind::Policy));
    assert_eq!(life.judge(0, is(&drift)), [""; 0]);
    assert_eq!(life.states(), ["open"]);
    assert_eq!(life.judge(10, holds(&drift)), [""; 0], "nobody was told of it");
    assert_eq!(life.judge(20, is(&drift)), [""; 0]);
    life.late = false;
    assert_eq!(life.judge(1_000_000, vec![]), ["opened#2.1"], "it still stands");
    assert_eq!(life.known[0].since, at(20), "since its own time");
    life.late = true;
    assert_eq!(life.judge(30, holds(&drift)), ["resolved#2.2"], "whoever was told is told that it is over");
}

#[test]
fn a_silenced_drift_tells_nobody() {
    let (mut life, drift) = (Life { late: true, ..Life::default() }, drift(Kind::Policy));
    life.judge(0, is(&drift));
    life.known[0].silenced = true;
    life.late = false;
    assert_eq!(life.judge(10, is(&drift)), [""; 0]);
    assert_eq!(life.judge(20, holds(&drift)), [""; 0]);
    assert_eq!(life.states(), ["resolved"]);
}

#[test]
fn an_explanation_opens_nothing_and_closes_what_was_open() {
    let (mut life, drift) = (Life::default(), patient(120, 0));
    let explained = Drift { cause: Some("package manager".to_owned()), ..drift.clone() };
    let explained = || vec![Verdict::Explained(Box::new(explained.clone()))];
    assert_eq!(life.judge(0, explained()), [""; 0]);
    assert!(life.states().is_empty());
    life.judge(10, is(&drift));
    assert_eq!(life.judge(20, explained()), [""; 0], "it was pending");
    assert!(life.states().is_empty());
    life.judge(30, is(&drift));
    life.judge(150, is(&drift));
    assert_eq!(life.judge(160, explained()), ["resolved#2.2"]);
    assert_eq!((life.states(), life.over[0].drift.cause.as_deref()), (vec!["explained"], Some("package manager")));
}

#[test]
fn what_is_gone_expires_without_calm() {
    let (mut life, drift) = (Life::default(), patient(0, 60));
    life.judge(0, is(&drift));
    assert_eq!(life.judge(10, vec![Verdict::Moot(drift.identity)]), ["resolved#1.2"]);
    assert_eq!(life.states(), ["expired"]);
}

#[test]
fn a_person_and_a_removed_rule_end_drifts_from_outside() {
    let (mut life, drift) = (Life::default(), drift(Kind::Changed));
    life.judge(0, is(&drift));
    let host = host_row();
    let situation = Situation { host: &host, at: at(5), now: at(5), repeat: REPEAT, late: false };
    let decided = end(&life.known, DriftState::Approved, Some("planned"), &situation);
    assert_eq!(life.keep(decided), ["resolved#1.2"]);
    assert_eq!((life.states(), life.over[0].note.as_deref()), (vec!["approved"], Some("planned")));
    assert!(end(&life.over, DriftState::Expired, None, &situation).is_empty());
}

#[test]
fn a_silent_host_was_silent_since_it_was_last_heard_of() {
    let (mut life, mut drift) = (Life::default(), drift(Kind::Silent));
    drift.since = Some(at(100));
    life.judge(250, is(&drift));
    assert_eq!((life.known[0].since, life.known[0].opened), (at(100), Some(at(250))));
}

#[test]
fn the_alert_carries_the_drift_as_the_command_line_prints_it() {
    let (mut life, drift) = (Life::default(), drift(Kind::Policy));
    let host = host_row();
    let situation = Situation { host: &host, at: at(0), now: at(0), repeat: REPEAT, late: false };
    let decided = transitions(&[], is(&drift), &situation, &mut || Ok(7)).unwrap();
    let [alert] = &decided.alerts[..] else { panic!("{decided:?}") };
    assert_eq!((alert.host.as_str(), alert.groups["role"].as_str(), alert.drift), ("web1", "web", 7));
    assert_eq!(
        alert.body,
        r#"{"actual":null,"cause":null,"change_set":null,"expected":null,"hint":null,"host":"web1","id":"7","kind":"policy","rule":"r","severity":"warning","silenced":false,"since":"2026-11-21T00:00:00Z","state":"open","subject":{},"title":"something","unknown":null}"#
    );
    life.keep(decided);
    let huge = Drift { hint: Some("x".repeat(10_000)), ..drift };
    let decided = transitions(&[], is(&huge), &situation, &mut || Ok(8)).unwrap();
    assert!(decided.alerts[0].body.len() < limits::ALERT_TEXT);
}

#[test]
fn a_flood_of_one_host_is_bounded_and_says_so() {
    let mut life = Life::default();
    let drifts = |range: std::ops::Range<usize>| -> Vec<Verdict> {
        let make = |number: usize| {
            let subject = Subject::Watcher(number.to_string());
            let host = host_row().id;
            Drift { identity: identity(&host, Kind::Changed, "r", &subject), subject, ..drift(Kind::Changed) }
        };
        range.map(|number| Verdict::Drift(Box::new(make(number)))).collect()
    };
    assert_eq!(life.judge(0, drifts(0..LIVE + 500)).len(), LIVE + 1);
    let flood = life.known.iter().find(|each| each.drift.rule == FLOOD).unwrap();
    assert_eq!(
        (flood.drift.title.as_str(), flood.state),
        ("more than 1000 drifts: the rest is not listed", DriftState::Open)
    );
    let over = drifts(0..LIVE).iter().map(|each| Verdict::Holds(each.identity())).collect();
    assert_eq!(life.judge(10, over).len(), LIVE);
    assert_eq!(life.judge(3609, drifts(0..3)).len(), 3, "there is room again");
    assert!(life.known.iter().any(|each| each.drift.rule == FLOOD));
    assert_eq!(life.judge(3610, vec![]).len(), 1);
    assert!(life.known.iter().all(|each| each.drift.rule != FLOOD));
}
