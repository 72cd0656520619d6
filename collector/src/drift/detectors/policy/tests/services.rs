//! Units that failed, services that flap, and a network that is used up.

use super::*;

fn drifts(policy: &Policy, view: &HostView) -> Vec<String> {
    told(policy, view, at(1)).into_iter().filter(|line| line != "holds").collect()
}

#[test]
fn a_unit_that_failed_is_a_drift_and_critical_if_sites_need_it() {
    let policy = shipped();
    let failed = |unit: &str, fields: &[(&str, plumb_proto::model::Value)]| {
        let mut view = host();
        apply(&mut view, &full("services", 1, "failed_unit", &[fact(unit, fields)]), at(0));
        drifts(&policy, &view)
    };
    let by_timer = [("result", "exit-code".into()), ("triggered_by", "certbot.timer".into())];
    assert_eq!(failed("certbot.service", &by_timer), ["warning service_failed: certbot.service has failed"]);
    for unit in ["nginx.service", "php8.2-fpm.service", "mariadb.service", "postgresql@15-main.service", "ssh.service"]
    {
        assert_eq!(failed(unit, &[]), [format!("critical service_failed: {unit} has failed")]);
    }
    assert_eq!(failed("run-u12.service", &[]), [""; 0]);
}

#[test]
fn what_a_failed_unit_is_runs_by_is_told() {
    let mut view = host();
    let row = fact("job.service", &[("result", "signal".into()), ("triggered_by", "job.timer".into())]);
    apply(&mut view, &full("services", 1, "failed_unit", &[row, fact("x.mount", &[])]), at(0));
    let verdicts = shipped().detect(&view, &all(&view), at(1));
    let actual =
        verdicts.iter().filter_map(|each| if let Verdict::Drift(drift) = each { drift.actual.clone() } else { None });
    let mut actual: Vec<String> = actual.collect();
    actual.sort();
    assert_eq!(actual, ["failed", "signal, started by job.timer"]);
}

#[test]
fn a_service_that_is_restarted_again_and_again_flaps() {
    let policy = shipped();
    let flaps = |restarts: i64| {
        let mut view = host();
        let row = fact("worker.service", &[("active", "active".into()), ("recent_restarts", restarts.into())]);
        apply(&mut view, &full("services", 1, "service", &[row]), at(0));
        drifts(&policy, &view)
    };
    assert_eq!(flaps(2), [""; 0]);
    assert_eq!(flaps(3), ["warning service_flapping: worker.service was restarted 3 times within ten minutes"]);
}

#[test]
fn a_database_that_the_world_can_reach_is_told() {
    let policy = shipped();
    let listens = |user: &str, exposure: &str| {
        let mut view = host();
        let row = fact("tcp/0.0.0.0:3306", &[("user", user.into()), ("exposure", exposure.into())]);
        let row = unknown(row, "process", "cannot be seen");
        apply(&mut view, &full("network", 1, "listener", &[row]), at(0));
        drifts(&policy, &view)
    };
    assert_eq!(
        listens("mysql", "public"),
        ["warning database_public: a database listens on all networks: tcp/0.0.0.0:3306, opened by mysql"]
    );
    assert_eq!(listens("mysql", "private").len(), 0);
    assert_eq!(listens("root", "public"), ["unknown: process is not known: cannot be seen"]);
    assert_eq!(listens("root", "private").len(), 0, "who it is does not matter there");
    let mut view = host();
    let row = [("user", "mysql".into()), ("exposure", "public".into()), ("process", "mariadbd".into())];
    apply(&mut view, &full("network", 1, "listener", &[fact("tcp/0.0.0.0:3306", &row)]), at(0));
    assert_eq!(drifts(&policy, &view), listens("mysql", "public"), "one listener is one drift");
    let mut view = host();
    let by_systemd = |key: &str, process: &str| {
        fact(key, &[("user", "root".into()), ("exposure", "public".into()), ("process", process.into())])
    };
    let rows = [by_systemd("tcp/[::]:3306", "mariadbd"), by_systemd("tcp/[::]:22", "sshd")];
    apply(&mut view, &full("network", 1, "listener", &rows), at(0));
    let told =
        ["warning database_public_socket: a database listens on all networks: tcp/[::]:3306, mariadbd, opened by root"];
    assert_eq!(drifts(&policy, &view), told, "what systemd opened for it");
}

#[test]
fn connection_tracking_that_is_nearly_full_is_told() {
    let policy = shipped();
    let mut view = host();
    let entries = (series("conntrack_entries", &[]), 900.0);
    samples(&mut view, at(0), &[(series("conntrack_used_ratio", &[]), 0.9), entries]);
    assert_eq!(drifts(&policy, &view), ["warning conntrack: connection tracking is 90 % full"]);
}
