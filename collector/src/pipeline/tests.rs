use std::time::Duration;

use plumb_proto::model::{Fact, Payload, Report};
use plumb_proto::record::{Class, Encoding, Epoch, Header, Record};
use plumb_proto::time::ManualClock;
use plumb_proto::untrusted::Untrusted;

mod backups;
mod desk;
mod ticks;

use super::*;
use crate::drift::detectors::changed::Changed;
use crate::store::rows::*;
use crate::testing::*;
use desk::Desk;

struct Stage {
    pipeline: Pipeline,
    clock: Arc<ManualClock>,
    desk: Desk,
    seq: u64,
    skew_ms: i64,
    caught_up: bool,
}

fn stage() -> Stage {
    let clock = Arc::new(ManualClock::at(at(0)));
    let mut view = host();
    view.host.last_seen = None;
    Stage {
        pipeline: Pipeline::new(vec![Box::new(Changed)], Silent::default(), Duration::from_secs(86_400), clock.clone()),
        clock,
        desk: Desk {
            view,
            drifts: vec![],
            alerts: vec![],
            events: vec![],
            critical: vec![],
            seen: vec![],
            viewed: 0,
            next: 0,
        },
        seq: 0,
        skew_ms: 0,
        caught_up: true,
    }
}

impl Stage {
    /// A record that was sealed at a second (by the host's clock) and is received now.
    fn receive(&mut self, sealed: i64, report: Report) -> bool {
        self.seq += 1;
        self.receive_again(sealed, report)
    }

    fn receive_again(&mut self, sealed: i64, mut report: Report) -> bool {
        report.at = at(sealed);
        let header = Header {
            epoch: Epoch([1; 16]),
            seq: self.seq,
            boot_id: [0; 16],
            t_boot_ns: 0,
            t_wall_ns: at(sealed).millis() * 1_000_000,
            class: Class::Facts,
            encoding: Encoding::Plain,
            raw_len: 0,
            payload_len: 0,
        };
        let record = Record { header, prev: plumb_proto::record::Hash::default(), payload: Vec::new() };
        let payload = Payload { reports: vec![report], ..Payload::default() };
        let incoming = Incoming {
            host: &HostId([7; 16]),
            record: &record,
            payload: Ok(&payload),
            declared: None,
            received: self.clock.now(),
            skew_ms: self.skew_ms,
        };
        self.pipeline.take(&mut self.desk, &incoming, self.caught_up).unwrap()
    }

    fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn tick(&mut self) {
        self.pipeline.tick(&mut self.desk, &HostId([7; 16]), self.clock.now(), false).unwrap();
    }

    fn alerts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.desk.alerts)
    }

    fn states(&self) -> Vec<&'static str> {
        self.desk.drifts.iter().map(|each| each.state.as_str()).collect()
    }
}

fn php(of: &str) -> Fact {
    fact("fpm/8.2", &[("version", version(of))])
}

fn packaged(of: &str) -> Fact {
    let package = version(&format!("{of}-1~deb12u1"));
    fact("fpm/8.2", &[("version", version(of)), ("package", "php8.2-fpm".into()), ("package_version", package)])
}

const CHANGED: &str = "version of php fpm/8.2 changed from 8.2.29 to 8.2.30";

#[test]
fn a_change_goes_from_the_record_to_the_outbox() {
    let mut stage = stage();
    assert!(stage.receive(0, full("php", 1, "php", &[php("8.2.29")])));
    assert_eq!(stage.alerts(), [""; 0]);
    stage.pass(10);
    assert!(stage.receive(10, delta("php", 2, "php", &[php("8.2.30")])));
    assert_eq!(stage.alerts(), [format!("opened {CHANGED}")]);
    stage.pass(10);
    assert!(stage.receive(20, delta("php", 3, "php", &[php("8.2.29")])));
    assert_eq!(stage.alerts(), [format!("resolved {CHANGED}")]);
    assert_eq!(stage.states(), ["reverted"]);
}

#[test]
fn a_record_that_was_sent_twice_says_nothing_twice() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    let change = delta("php", 2, "php", &[php("8.2.30")]);
    assert!(stage.receive(10, change.clone()));
    assert!(!stage.receive_again(10, change));
    assert_eq!(stage.alerts().len(), 1);
}

#[test]
fn an_upgrade_by_the_package_manager_moves_the_baseline_and_is_written_down() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[packaged("8.2.29")]));
    stage.receive(10, delta("php", 2, "php", &[packaged("8.2.30")]));
    assert_eq!(stage.alerts(), [""; 0]);
    assert_eq!(stage.states(), [""; 0]);
    let of_version = stage.desk.events.iter().find(|event| event.contains("version of")).unwrap();
    assert_eq!(
        of_version,
        &format!("explained_change {CHANGED} (package manager: php8.2-fpm 8.2.29-1~deb12u1 -> 8.2.30-1~deb12u1)")
    );
    assert_eq!(stage.desk.events.len(), 2);
    stage.receive(20, full("php", 3, "php", &[packaged("8.2.30")]));
    assert_eq!((stage.desk.events.len(), stage.states().len()), (2, 0));
}

#[test]
fn a_look_in_the_middle_of_an_upgrade_does_not_cry() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[packaged("8.2.29")]));
    let mut half = packaged("8.2.29");
    half.fields.insert("version".to_owned(), version("8.2.30"));
    stage.pass(10);
    stage.receive(10, delta("php", 2, "php", &[half]));
    assert_eq!(stage.states(), ["pending"]);
    stage.pass(30);
    stage.receive(40, delta("php", 3, "php", &[packaged("8.2.30")]));
    assert_eq!((stage.alerts(), stage.states()), (vec![], vec![]));
}

#[test]
fn what_waits_for_time_opens_by_a_tick() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[packaged("8.2.29")]));
    let mut moved = packaged("8.2.29");
    moved.fields.insert("version".to_owned(), version("8.2.30"));
    stage.receive(0, delta("php", 2, "php", &[moved]));
    stage.pass(119);
    stage.tick();
    assert_eq!(stage.states(), ["pending"]);
    stage.pass(1);
    stage.tick();
    assert_eq!((stage.alerts(), stage.states()), (vec![format!("opened {CHANGED}")], vec!["open"]));
}

#[test]
fn a_backlog_moves_history_and_tells_only_what_still_stands() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[php("8.2.29"), fact("cli/8.2", &[("version", version("1"))])]));
    stage.pass(100_000);
    stage.caught_up = false;
    stage.receive(10, delta("php", 2, "php", &[php("8.2.30")]));
    stage.receive(20, delta("php", 3, "php", &[php("8.2.29")]));
    stage.receive(30, delta("php", 4, "php", &[fact("cli/8.2", &[("version", version("2"))])]));
    assert_eq!(stage.alerts(), [""; 0]);
    assert_eq!(stage.states(), ["reverted", "open"]);
    let reverted = &stage.desk.drifts[0];
    assert_eq!((reverted.since, reverted.closed), (at(10), Some(at(20))), "at its own time");
    stage.caught_up = true;
    stage.receive(100_000, report("php", 5, plumb_proto::model::Outcome::Done, vec![]));
    assert_eq!(stage.alerts(), ["opened version of php cli/8.2 changed from 1 to 2"]);
}

#[test]
fn times_are_corrected_by_the_skew_and_never_lie_ahead() {
    let mut stage = stage();
    stage.skew_ms = 3_600_000;
    stage.receive(3600, full("php", 1, "php", &[php("8.2.29")]));
    stage.pass(10);
    stage.receive(3605, delta("php", 2, "php", &[php("8.2.30")]));
    assert_eq!(stage.desk.drifts[0].since, at(5));
    stage.receive(9000, delta("php", 3, "php", &[php("8.2.29")]));
    assert_eq!(stage.desk.drifts[0].closed, Some(at(10)));
}

#[test]
fn a_host_that_falls_silent_is_told_and_told_when_it_speaks() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    stage.pass(149);
    stage.tick();
    assert_eq!(stage.alerts(), [""; 0]);
    stage.pass(1);
    stage.tick();
    assert_eq!(stage.alerts(), ["opened web1 is silent"]);
    assert_eq!(stage.desk.drifts[0].since, at(0));
    stage.pass(100);
    stage.receive(250, report("php", 2, plumb_proto::model::Outcome::Done, vec![]));
    assert_eq!(stage.alerts(), ["resolved web1 is silent"]);
}

#[test]
fn a_jump_of_the_collectors_clock_silences_nobody() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    stage.clock.jump_to(at(1_000_000));
    stage.pass(10);
    stage.tick();
    assert_eq!(stage.states(), [""; 0]);
}

#[test]
fn after_its_own_start_the_collector_waits_before_it_calls_a_host_silent() {
    let mut stage = stage();
    stage.desk.view.host.last_seen = Some(at(0));
    stage.clock.jump_to(at(1_000_000)); // it was away for long
    stage.tick();
    stage.pass(149);
    stage.tick();
    assert_eq!(stage.alerts(), [""; 0]);
    stage.pass(1);
    stage.tick();
    assert_eq!(stage.alerts(), ["opened web1 is silent"]);
}

#[test]
fn a_suspended_host_is_unknown_and_a_retired_one_is_not_judged() {
    let mut stage = stage();
    stage.pass(200);
    stage.tick();
    assert_eq!(stage.states(), ["open"]);
    stage.desk.view.host.state = HostState::Suspended;
    stage.pass(60);
    stage.tick();
    assert_eq!(stage.desk.drifts[0].unknown.as_deref(), Some("the host is suspended"));
    stage.desk.view.host.state = HostState::Retired;
    stage.pass(60);
    stage.tick();
    assert_eq!(stage.states(), ["expired"]);
}

#[test]
fn a_watcher_that_fails_for_long_is_told_and_so_is_one_that_stopped() {
    let mut stage = stage();
    let failed = |look| report("php", look, plumb_proto::model::Outcome::Failed, vec![]);
    let fine = |look| report("disk", look, plumb_proto::model::Outcome::Done, vec![]);
    stage.receive(0, failed(1));
    stage.pass(600);
    stage.receive(600, failed(2));
    assert_eq!(stage.alerts(), ["opened watcher php fails"]);
    stage.pass(10);
    stage.receive(610, report("php", 3, plumb_proto::model::Outcome::Done, vec![]));
    assert_eq!(stage.alerts(), ["resolved watcher php fails"]);
    for (look, minute) in (1..).zip((10..=71).step_by(1)) {
        stage.clock.jump_to(at(minute * 60));
        stage.receive(minute * 60, fine(look));
    }
    assert_eq!(stage.alerts(), ["opened watcher php has stopped looking"]);
}

#[test]
fn approving_ends_what_it_settles_and_nothing_else() {
    let mut stage = stage();
    let cli = |of: &str| fact("cli/8.2", &[("version", version(of))]);
    stage.receive(0, full("php", 1, "php", &[php("8.2.29"), cli("1")]));
    stage.receive(10, full("php", 2, "php", &[php("8.2.30"), cli("2"), fact("fpm/8.3", &[])]));
    stage.alerts();
    let host = HostId([7; 16]);
    let key = Untrusted::from("fpm/8.2");
    let field = Approval::Field("php", &key, Some("version"));
    let ended = stage.pipeline.approve(&mut stage.desk, &host, &field, Some("planned"), at(20)).unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].state, ended[0].note.as_deref()), (DriftState::Approved, Some("planned")));
    assert_eq!(stage.alerts(), [format!("resolved {CHANGED}")]);
    // what is unknown now is not approved
    stage.receive(30, delta("php", 3, "php", &[unknown(cli("2"), "version", "no rights")]));
    let ended = stage.pipeline.approve(&mut stage.desk, &host, &Approval::Host, None, at(40)).unwrap();
    assert_eq!(ended.iter().map(|each| each.drift.title.as_str()).collect::<Vec<_>>(), ["php fpm/8.3 has appeared"]);
    assert_eq!(stage.states().iter().filter(|state| **state == "open").count(), 1);
}

#[test]
fn drifts_of_removed_rules_expire() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    stage.receive(10, delta("php", 2, "php", &[php("8.2.30")]));
    stage.alerts();
    let host = HostId([7; 16]);
    stage.pipeline.expire(&mut stage.desk, &host, at(20), &|drift| drift.rule == "other").unwrap();
    assert_eq!(stage.states(), ["open"]);
    stage.pipeline.expire(&mut stage.desk, &host, at(20), &|drift| drift.rule == "changed").unwrap();
    assert_eq!((stage.states(), stage.alerts()), (vec!["expired"], vec![format!("resolved {CHANGED}")]));
}

#[test]
fn a_sweep_judges_all_that_is_known() {
    let mut stage = stage();
    let mut touched = Touched::default();
    stage.desk.view.apply(&full("php", 1, "php", &[php("8.2.29")]), at(0), &mut touched);
    stage.desk.view.apply(&delta("php", 2, "php", &[php("8.2.30")]), at(0), &mut touched);
    stage.tick();
    assert_eq!(stage.states(), [""; 0]);
    stage.pipeline.tick(&mut stage.desk, &HostId([7; 16]), at(1), true).unwrap();
    assert_eq!(stage.states(), ["open"]);
    assert_eq!(stage.alerts().len(), 1);
}

#[test]
fn a_critical_event_about_plumb_itself_is_told_within_a_tick_and_stands_for_an_hour() {
    let mut stage = stage();
    let fields = std::collections::BTreeMap::new();
    let (kind, text) = ("chain_break".to_owned(), "record 7 is forged".into());
    stage.desk.critical.push(Event { at: at(0), kind, severity: Severity::Critical, text, fields, count: 1 });
    for (seconds, look) in [(5, 1), (3000, 2)] {
        stage.pass(seconds);
        stage.receive(0, full("php", look, "php", &[php("8.2.29")]));
        stage.tick();
        assert_eq!(stage.desk.alerts, ["opened record 7 is forged"]);
    }
    stage.pass(700);
    stage.receive(0, full("php", 3, "php", &[php("8.2.29")]));
    assert_eq!(stage.desk.alerts, ["opened record 7 is forged", "resolved record 7 is forged"]);
}
