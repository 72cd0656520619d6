mod certificates;
mod php;
mod services;
mod support;

use std::time::Duration;

use plumb_proto::model::{Fact, Outcome, Severity, Value};

use super::*;
use crate::drift::policy::Source;
use crate::testing::*;

fn policy(text: &str) -> Policy {
    let source = Source { name: "test.toml".to_owned(), text: text.to_owned() };
    Policy::load_only(&[source], &[]).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn shipped() -> Policy {
    Policy::load(&[], &[]).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// Everything touched.
fn all(view: &HostView) -> Touched {
    let rows = view.tables.iter().map(|(name, table)| (name.clone(), table.rows.keys().cloned().collect()));
    let series = view.series.values().flat_map(|of_name| of_name.keys().cloned());
    Touched { rows: rows.collect(), series: series.collect(), watchers: BTreeSet::new() }
}

/// What each rule says of each subject, one line each; `Moot` is left out.
fn told(policy: &Policy, view: &HostView, now: Timestamp) -> Vec<String> {
    let verdicts = policy.detect(view, &all(view), now);
    let mut lines: Vec<String> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Drift(drift) => Some(format!("{} {}: {}", drift.severity.as_str(), drift.rule, drift.title)),
            Verdict::Unknown(_, reason) => Some(format!("unknown: {reason}")),
            Verdict::Holds(_) => Some("holds".to_owned()),
            Verdict::Moot(_) | Verdict::Explained(_) => None,
        })
        .collect();
    lines.sort();
    lines
}

fn with_php(row: Fact) -> HostView {
    let mut view = host();
    let os = fact("os", &[("id", "debian".into()), ("version", version("12")), ("name", "Debian GNU/Linux".into())]);
    apply(&mut view, &full("system", 1, "os", &[os]), at(0));
    apply(&mut view, &full("php", 1, "php", &[row]), at(0));
    view
}

fn php(of: &str, provenance: &str) -> Fact {
    fact("fpm/8.2", &[("version", version(of)), ("provenance", provenance.into()), ("running", true.into())])
}

const IS_82: &str = "[r]\non = 'php'\nseverity = 'warning'\nok = \"version_at_least(php.version, '8.2')\"\ntitle = '{key} is {php.version}'\n";

#[test]
fn a_rule_that_does_not_hold_says_so_in_its_own_words() {
    let rule = policy(IS_82);
    assert_eq!(told(&rule, &with_php(php("8.2.29", "debian")), at(1)), ["holds"]);
    assert_eq!(told(&rule, &with_php(php("8.1.9", "debian")), at(1)), ["warning r: fpm/8.2 is 8.1.9"]);
}

#[test]
fn what_is_not_known_or_not_set_is_neither_true_nor_false() {
    let rule = policy(IS_82);
    let unread = unknown(php("8.1.9", "debian"), "version", "permission denied");
    assert_eq!(told(&rule, &with_php(unread), at(1)), ["unknown: version is not known: permission denied"]);
    let mut unset = php("8.1.9", "debian");
    unset.fields.remove("version");
    assert_eq!(told(&rule, &with_php(unset), at(1)), ["unknown: version of php fpm/8.2 is not set"]);
    let mut view = with_php(php("8.1.9", "debian"));
    apply(&mut view, &report("php", 2, Outcome::Failed, vec![]), at(10));
    assert_eq!(told(&rule, &view, at(11)), ["unknown: watcher php failed"]);
}

#[test]
fn has_asks_for_what_is_not_set_but_not_for_what_is_not_known() {
    let rule = policy("[r]\non = 'php'\nseverity = 'info'\nok = '!has(php.module)'\ntitle = 'module {php.module}'\n");
    assert_eq!(told(&rule, &with_php(php("8.2.1", "debian")), at(1)), ["holds"]);
    let mut set = php("8.2.1", "debian");
    set.fields.insert("module".to_owned(), "php:8.2".into());
    assert_eq!(told(&rule, &with_php(set.clone()), at(1)), ["info r: module php:8.2"]);
    let unread = unknown(set, "module", "no rights");
    assert_eq!(told(&rule, &with_php(unread), at(1)), ["unknown: module is not known: no rights"]);
}

#[test]
fn what_decides_anyway_needs_no_other_column() {
    let rule = policy("[r]\non = 'php'\nseverity = 'info'\nok = \"php.running || php.module == 'x'\"\ntitle = 't'\n");
    let unread = unknown(php("8.2.1", "debian"), "module", "no rights");
    assert_eq!(told(&rule, &with_php(unread.clone()), at(1)), ["holds"]);
    let mut idle = unread;
    idle.fields.insert("running".to_owned(), false.into());
    assert_eq!(told(&rule, &with_php(idle), at(1)), ["unknown: module is not known: no rights"]);
}

#[test]
fn where_chooses_and_a_row_that_is_gone_is_not_judged() {
    let rule = policy(&format!("{IS_82}where = \"group.role == 'web' && host == 'web1'\"\n"));
    let mut view = with_php(php("8.1.9", "debian"));
    assert_eq!(told(&rule, &view, at(1)), ["warning r: fpm/8.2 is 8.1.9"]);
    view.host.groups.insert("role".to_owned(), "db".to_owned());
    assert!(matches!(rule.detect(&view, &all(&view), at(1))[..], [Verdict::Moot(_)]));
    view.host.groups.clear();
    assert_eq!(told(&rule, &view, at(1)), ["unknown: the host has no group role"]);
    let (_, touched) = apply(&mut view, &full("php", 2, "php", &[]), at(2));
    assert!(matches!(rule.detect(&view, &touched, at(2))[..], [Verdict::Moot(_)]));
}

#[test]
fn a_hostile_name_is_escaped_in_every_text() {
    let rule = policy(IS_82);
    let row = fact("fpm/\x1b[2J", &[("version", version("1\n2"))]);
    assert_eq!(told(&rule, &with_php(row), at(1)), [r"warning r: fpm/\x1b[2J is 1\n2"]);
}

#[test]
fn php_is_judged_by_who_patches_it() {
    let now = Timestamp::from_date(2027, 1, 10).unwrap();
    let policy = shipped();
    let told = |row| -> Vec<String> {
        let mut lines = told(&policy, &with_php(row), now);
        lines.retain(|line| line.contains("php_support") || line.starts_with("unknown"));
        lines
    };
    assert_eq!(told(php("8.2.29", "debian")), [""; 0]);
    assert_eq!(
        told(php("8.2.29", "self-built")),
        ["warning php_support_ended: PHP 8.2.29 (fpm/8.2) gets no more security fixes"]
    );
    let newer = "unknown: PHP 8.9.1 is newer than the table (2026-08-22)";
    assert_eq!(told(php("8.9.1", "sury")), [newer, newer]);
}

fn with_disk(size: f64, free: f64) -> HostView {
    let mut view = host();
    let row = fact("/srv", &[("read_only", false.into()), ("responding", true.into()), ("fstype", "ext4".into())]);
    apply(&mut view, &full("disk", 1, "mount", &[row]), at(0));
    disk(&mut view, at(0), size, free);
    view
}

fn disk(view: &mut HostView, at: Timestamp, size: f64, free: f64) -> Touched {
    let labels = [("mount", "/srv")];
    samples(
        view,
        at,
        &[
            (series("disk_size_bytes", &labels), size),
            (series("disk_available_bytes", &labels), free),
            (series("disk_inodes", &labels), 1000.0),
            (series("disk_inodes_used", &labels), 10.0),
        ],
    )
}

const GIB: f64 = 1_073_741_824.0;

#[test]
fn a_disk_is_judged_by_share_and_by_size() {
    let policy = shipped();
    let told = |size: f64, free: f64| told(&policy, &with_disk(size * GIB, free * GIB), at(30));
    assert_eq!(told(100.0, 50.0), ["holds", "holds", "holds"]);
    assert_eq!(told(4000.0, 100.0), ["holds", "holds", "holds"]); // 2.5 %, and yet a lot
    assert_eq!(told(100.0, 5.5)[2], "warning disk_space: /srv is nearly full: 5.5 GiB left");
    assert_eq!(told(100.0, 1.0)[0], "critical disk_space: /srv is nearly full: 1.0 GiB left");
    assert_eq!(told(0.015, 0.0)[0], "critical disk_space: /srv is nearly full: 0 B left");
}

#[test]
fn what_is_open_closes_only_when_it_is_clear() {
    let policy = shipped();
    let touched = |view: &HostView| {
        let mut touched = all(view);
        touched.rows.clear();
        touched.series.retain(|series| series.name == "disk_available_bytes");
        touched
    };
    let verdicts = |free: f64| {
        let view = with_disk(100.0 * GIB, free * GIB);
        let verdicts = policy.detect(&view, &touched(&view), at(1));
        verdicts.iter().map(|verdict| matches!(verdict, Verdict::Holds(_))).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(9.0), [false]); // below the threshold
    assert_eq!(verdicts(11.0), [true; 0]); // between: no verdict
    assert_eq!(verdicts(13.0), [true]);
}

#[test]
fn a_value_that_is_old_or_could_not_be_read_is_not_known() {
    let policy = shipped();
    let view = with_disk(100.0 * GIB, 1.0 * GIB);
    assert_eq!(
        told(&policy, &view, at(601)),
        [
            "holds",
            "unknown: disk_available_bytes has had no value since 2026-11-21T00:00:00Z",
            "unknown: disk_inodes has had no value since 2026-11-21T00:00:00Z",
        ]
    );
    let mut view = view;
    view.series.remove("disk_available_bytes");
    assert_eq!(told(&policy, &view, at(1))[2], "unknown: there is no disk_available_bytes yet");
}

#[test]
fn only_the_rows_whose_metrics_moved_are_judged() {
    let policy = shipped();
    let mut view = with_disk(100.0 * GIB, 50.0 * GIB);
    let other = fact("/var", &[("read_only", false.into()), ("responding", true.into())]);
    apply(&mut view, &delta("disk", 2, "mount", &[other]), at(1));
    let touched = disk(&mut view, at(10), 100.0 * GIB, 40.0 * GIB);
    assert_eq!(policy.detect(&view, &touched, at(10)).len(), 2); // disk_space and disk_inodes of /srv
}

#[test]
fn a_kill_for_want_of_memory_is_told_for_an_hour() {
    let policy = shipped();
    let mut view = host();
    let kills = series("oom_kills_total", &[]);
    for (second, count) in [(0, 3.0), (10, 3.0)] {
        samples(&mut view, at(second), &[(kills.clone(), count)]);
    }
    assert_eq!(told(&policy, &view, at(10)), ["holds"]);
    samples(&mut view, at(20), &[(kills.clone(), 4.0)]);
    assert_eq!(told(&policy, &view, at(140)), ["warning oom_kill: the kernel has killed processes for want of memory"]);
    samples(&mut view, at(3600), &[(kills.clone(), 4.0)]);
    assert_eq!(
        told(&policy, &view, at(3620)),
        ["warning oom_kill: the kernel has killed processes for want of memory"]
    );
    assert_eq!(told(&policy, &view, at(3621)), ["holds"]);
    samples(&mut view, at(3700), &[(kills, 0.0)]); // a reboot is no kill
    assert_eq!(told(&policy, &view, at(3701)), ["holds"]);
}

#[test]
fn a_failure_in_a_log_is_a_drift_while_its_row_is_there() {
    let policy = shipped();
    let row = |severity: &str, site: &[(&str, Value)]| {
        let fields: [(&str, Value); 7] = [
            ("severity", severity.into()),
            ("title", "PHP stops with a fatal error".into()),
            ("source", "/var/log/php.log".into()),
            ("text", "PHP Fatal error".into()),
            ("first", at(0).into()),
            ("last", at(60).into()),
            ("count", 3_i64.into()),
        ];
        fact("php_fatal@/var/log/php.log", &[&fields, site].concat())
    };
    for (severity, site, expected) in [
        ("warning", &[("site", Value::from("shop"))][..], "warning log_failure: PHP stops with a fatal error (shop)"),
        ("critical", &[], "critical log_failure: PHP stops with a fatal error (/var/log/php.log)"),
        ("info", &[], "holds"),
    ] {
        let mut view = host();
        apply(&mut view, &full("logs", 1, "log_failure", &[row(severity, site)]), at(60));
        assert_eq!(told(&policy, &view, at(120)), [expected]);
        if let [Verdict::Drift(drift)] = &policy.detect(&view, &all(&view), at(120))[..] {
            let actual = "3 times in 2 min, last 60 s ago: PHP Fatal error";
            assert_eq!((drift.actual.as_deref(), drift.hold), (Some(actual), Duration::ZERO));
        }
        let over = report("logs", 2, Outcome::Done, vec![gone("log_failure", &["php_fatal@/var/log/php.log"])]);
        let (_, touched) = apply(&mut view, &over, at(960));
        assert!(matches!(policy.detect(&view, &touched, at(960))[..], [Verdict::Moot(_)]));
    }
}

#[test]
fn pressure_is_the_share_of_time_lately() {
    let policy = shipped();
    let mut view = host();
    let stalled = series("pressure_memory_stalled_seconds_total", &[]);
    samples(&mut view, at(0), &[(stalled.clone(), 1000.0)]);
    let unknown = "unknown: how pressure_memory_stalled_seconds_total moves is not known yet";
    assert_eq!(told(&policy, &view, at(0)), [unknown]);
    let mut total = 1000.0;
    for tick in 1..=120 {
        total += 2.0; // 2 of 10 seconds
        samples(&mut view, at(tick * 10), &[(stalled.clone(), total)]);
    }
    assert_eq!(
        told(&policy, &view, at(1200)),
        ["warning pressure_memory: everything waits for memory 20 % of the time"]
    );
    for tick in 121..=360 {
        samples(&mut view, at(tick * 10), &[(stalled.clone(), total)]);
    }
    assert_eq!(told(&policy, &view, at(3600)), ["holds"]);
}

#[test]
fn a_drift_of_a_rule_carries_its_severity_and_its_patience() {
    let policy = shipped();
    let drift = |free: f64| {
        let view = with_disk(100.0 * GIB, free * GIB);
        let verdicts = policy.detect(&view, &all(&view), at(1));
        let found = verdicts.into_iter().find_map(|verdict| match verdict {
            Verdict::Drift(drift) => Some(*drift),
            _ => None,
        });
        found.unwrap()
    };
    let (warning, critical) = (drift(5.5), drift(1.0));
    assert_eq!((warning.severity, warning.hold), (Severity::Warning, Duration::from_secs(300)));
    assert_eq!((critical.severity, critical.hold), (Severity::Critical, Duration::ZERO));
    assert_eq!(warning.identity, critical.identity);
    assert_eq!(warning.actual.as_deref(), Some("5.5 GiB of 100.0 GiB available (5.5 %)"));
}

#[test]
fn a_series_that_ended_a_day_ago_is_not_judged() {
    let policy = policy("[r]\non = 'load1'\nseverity = 'info'\nok = 'value < 1.0'\ntitle = 'load {value}'\n");
    let mut view = host();
    samples(&mut view, at(0), &[(series("load1", &[]), 5.0)]);
    assert_eq!(told(&policy, &view, at(1)), ["info r: load 5"]);
    assert_eq!(told(&policy, &view, at(90_000)), ["unknown: load1 has had no value since 2026-11-21T00:00:00Z"]);
    view.host.last_seen = Some(at(90_000)); // the host speaks, and does not speak of it
    assert_eq!(told(&policy, &view, at(90_000)), [""; 0]);
}

#[test]
fn a_database_that_runs_on_a_day_after_its_upgrade_is_told() {
    let rule = |restart_needed: Option<bool>| {
        let mut view = host();
        let fields: Vec<(&str, plumb_proto::model::Value)> =
            restart_needed.iter().map(|needed| ("restart_needed", (*needed).into())).collect();
        apply(&mut view, &full("mysql", 1, "database", &[fact("mariadb/main", &fields)]), at(0));
        let policy = shipped();
        (told(&policy, &view, at(1)), policy.detect(&view, &all(&view), at(1)))
    };
    // The other rule is that it lets somebody in.
    assert_eq!(rule(Some(false)).0, ["holds", "holds"]);
    let (lines, verdicts) = rule(Some(true));
    let title = "warning database_restart_needed: mariadb/main still runs the program from before its upgrade";
    assert_eq!(lines, ["holds", title]);
    assert!(
        verdicts.iter().any(|each| matches!(each, Verdict::Drift(drift) if drift.hold == Duration::from_secs(86_400)))
    );
    assert_eq!(rule(None).0, ["holds"], "a server that does not run needs no restart");
}

#[test]
fn a_database_that_lets_nobody_in_or_has_grown_is_told() {
    let mut view = host();
    let refuses = [("refuses", "1040 Too many connections".into())];
    apply(&mut view, &full("mysql", 1, "database", &[fact("mariadb/main", &refuses)]), at(0));
    let bloat = vec!["wp_actionscheduler_logs 1.2 GiB".into()];
    let fields = [("size_bytes", (3_i64 << 30).into()), ("bloat", plumb_proto::model::Value::List(bloat))];
    apply(&mut view, &full("mysql", 2, "database_schema", &[fact("mariadb/main/shop", &fields)]), at(0));
    let database = [("database", "mariadb/main")];
    let autoload = [("database", "mariadb/main"), ("schema", "shop")];
    let values = [
        (series("database_connections", &database), 140.0),
        (series("database_connections_limit", &database), 151.0),
        (series("database_replication_lag_seconds", &database), 3_600.0),
        (series("database_autoload_bytes", &autoload), 4_000_000.0),
    ];
    samples(&mut view, at(0), &values);
    let mut lines = told(&shipped(), &view, at(1));
    lines.sort();
    assert_eq!(
        lines,
        [
            "critical database_refuses: mariadb/main lets nobody in: 1040 Too many connections",
            "info database_autoload: a WordPress in shop loads 3.8 MiB of options with every page",
            "info database_bloat: tables of mariadb/main/shop have grown that need not: wp_actionscheduler_logs 1.2 GiB",
            "warning database_connections: 92.7 % of the connections of mariadb/main are taken",
            "warning database_replication_lag: the replica mariadb/main lags behind by 60 min",
        ]
    );
}
