//! What the clock judges, and when it leaves a host to its records.

use super::*;

#[test]
fn nothing_that_is_known_of_a_revoked_host_comes_back() {
    let mut stage = stage();
    let fields = std::collections::BTreeMap::new();
    let (kind, text) = ("fork".to_owned(), "record 7 is forged".into());
    stage.desk.critical.push(Event { at: at(0), kind, severity: Severity::Critical, text, fields, count: 1 });
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    stage.receive(10, full("php", 2, "php", &[php("8.2.30")]));
    assert_eq!(stage.states(), ["open", "open"]);
    stage.desk.view.host.state = HostState::Revoked;
    stage.pipeline.tick(&mut stage.desk, &HostId([7; 16]), stage.clock.now(), true).unwrap();
    assert_eq!(stage.states(), ["expired", "expired"]);
    stage.pipeline.tick(&mut stage.desk, &HostId([7; 16]), stage.clock.now(), true).unwrap();
    stage.tick();
    assert_eq!(stage.states(), ["expired", "expired"]);
}

#[test]
fn the_view_of_a_host_for_which_the_clock_has_nothing_to_say_is_not_loaded() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    let viewed = stage.desk.viewed;
    stage.pass(100);
    stage.tick();
    assert_eq!(stage.desk.viewed - viewed, 0, "nothing is known against it");
    stage.receive(100, full("php", 2, "php", &[php("8.2.30")]));
    let viewed = stage.desk.viewed;
    (0..12).for_each(|_| {
        stage.pass(5);
        stage.tick();
    });
    assert_eq!(stage.desk.viewed - viewed, 1, "a drift that stands open is judged once a minute");
    stage.pass(100);
    stage.tick();
    assert_eq!(stage.states(), ["open", "open"], "it is silent");
}

#[test]
fn a_tick_in_the_middle_of_a_backlog_tells_nothing() {
    let mut stage = stage();
    stage.receive(0, full("php", 1, "php", &[packaged("8.2.29")]));
    let mut half = packaged("8.2.29");
    half.fields.insert("version".to_owned(), version("8.2.30"));
    stage.pass(100_000);
    stage.caught_up = false;
    stage.receive(10, delta("php", 2, "php", &[half]));
    stage.pass(5);
    stage.tick();
    stage.pipeline.tick(&mut stage.desk, &HostId([7; 16]), stage.clock.now(), true).unwrap();
    assert_eq!((stage.alerts(), stage.states()), (vec![], vec!["pending"]));
    assert!(!stage.pipeline.may_judge(&HostId([7; 16])));
    stage.caught_up = true;
    stage.receive(20, delta("php", 3, "php", &[packaged("8.2.30")]));
    stage.tick();
    assert_eq!((stage.alerts(), stage.states()), (vec![], vec![]));
    assert!(stage.pipeline.may_judge(&HostId([7; 16])));
}

#[test]
fn a_host_that_falls_silent_over_its_backlog_is_told() {
    let mut stage = stage();
    stage.caught_up = false;
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    stage.pass(150);
    stage.tick();
    assert_eq!(stage.alerts(), ["opened web1 is silent"]);
}

#[test]
fn after_its_own_start_the_collector_judges_no_host_by_how_it_stood_before_it_had_time_to_speak() {
    let mut stage = stage();
    let host = HostId([7; 16]);
    assert!(!stage.pipeline.may_judge(&host));
    stage.receive(0, full("php", 1, "php", &[php("8.2.29")]));
    assert!(stage.pipeline.may_judge(&host));
    assert!(!stage.pipeline.may_judge(&HostId([8; 16])));
    stage.pass(150);
    assert!(stage.pipeline.may_judge(&HostId([8; 16])));
}
