//! Services that stop, fail and come back, and what listens.

use super::*;

fn service(unit: &str, active: &str) -> Fact {
    fact(unit, &[("active", active.into()), ("sub", active.into()), ("enabled", "enabled".into())])
}

fn went(unit: &str, before: &str, after: &str) -> Vec<String> {
    moved("service", &service(unit, before), &service(unit, after))
}

#[test]
fn a_service_that_is_stopped_is_one_drift_and_worse_if_sites_need_it() {
    let stopped = |unit: &str| went(unit, "active", "inactive");
    assert_eq!(stopped("cron.service"), ["warning: active of service cron.service changed from active to inactive"]);
    for unit in [
        "nginx.service",
        "php8.2-fpm.service",
        "ea-php82-php-fpm.service",
        "postgresql@15-main.service",
        "redis-server.service",
    ] {
        assert!(stopped(unit).concat().starts_with("critical: "), "{unit}");
    }
    for unit in ["nginx-exporter.service", "phpsessionclean.service", "mysql-backup.service"] {
        assert!(stopped(unit).concat().starts_with("warning: "), "{unit}");
    }
    assert_eq!(
        went("nginx.service", "inactive", "active"),
        ["info: active of service nginx.service changed from inactive to active"]
    );
}

#[test]
fn a_failure_is_left_to_the_rule() {
    assert_eq!(went("nginx.service", "active", "failed"), [""; 0]);
    let mut view = host();
    apply(&mut view, &full("w", 1, "service", &[service("nginx.service", "active")]), at(0));
    let (_, touched) = apply(&mut view, &delta("w", 2, "service", &[service("nginx.service", "inactive")]), at(1));
    let stopped = Changed.detect(&view, &touched, at(1)).into_iter().find(|each| matches!(each, Verdict::Drift(_)));
    let (_, touched) = apply(&mut view, &delta("w", 3, "service", &[service("nginx.service", "failed")]), at(2));
    let after = Changed.detect(&view, &touched, at(2));
    assert!(after.contains(&Verdict::Moot(stopped.unwrap().identity())), "the other drift is over: there is one");
}

#[test]
fn what_had_failed_when_it_was_approved_and_runs_again_is_no_drift() {
    assert_eq!(
        went("nginx.service", "failed", "active"),
        ["active of service nginx.service changed from failed to active (it was failed when it was approved)"]
    );
}

#[test]
fn a_restart_has_the_time_to_end() {
    let mut view = host();
    apply(&mut view, &full("w", 1, "service", &[service("nginx.service", "active")]), at(0));
    apply(&mut view, &full("n", 1, "listener", &[fact("tcp/0.0.0.0:80", &[("process", "nginx".into())])]), at(0));
    let hold = |verdicts: Vec<Verdict>| {
        let drifts = verdicts
            .into_iter()
            .filter_map(|each| if let Verdict::Drift(drift) = each { Some(drift.hold.as_secs()) } else { None });
        drifts.collect::<Vec<_>>()
    };
    let (_, touched) = apply(&mut view, &delta("w", 2, "service", &[service("nginx.service", "inactive")]), at(1));
    assert_eq!(hold(Changed.detect(&view, &touched, at(1))), [5]);
    let disabled = [("active", "active".into()), ("sub", "active".into()), ("enabled", "disabled".into())];
    let row = fact("nginx.service", &disabled);
    let (_, touched) = apply(&mut view, &delta("w", 3, "service", &[row]), at(1));
    assert_eq!(hold(Changed.detect(&view, &touched, at(1))), [60], "as long as systemd may read its files anew");
    let (_, touched) = apply(&mut view, &full("n", 2, "listener", &[]), at(1));
    assert_eq!(hold(Changed.detect(&view, &touched, at(1))), [5]);
}

#[test]
fn who_answers_on_a_socket_of_systemd_may_come_and_go() {
    let listens = |process: &str| fact("tcp/[::]:22", &[("process", process.into())]);
    let went = |before: &str, after: &str| moved("listener", &listens(before), &listens(after));
    assert_eq!(went("sshd", "systemd"), [""; 0]);
    assert_eq!(went("systemd", "sshd"), [""; 0]);
    assert_eq!(went("sshd", "nc"), ["warning: process of listener tcp/[::]:22 changed from sshd to nc"]);
}
