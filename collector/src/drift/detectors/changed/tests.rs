mod services;
mod sites;

use plumb_proto::model::{Fact, Outcome, Severity};

use super::*;
use crate::testing::*;

/// What is said of all rows and columns that were touched, one line each; what holds is left out.
fn told(view: &HostView, touched: &Touched) -> Vec<String> {
    let verdicts = Changed.detect(view, touched, at(0));
    let line = |verdict: &Verdict| match verdict {
        Verdict::Drift(drift) => Some(format!("{}: {}", drift.severity.as_str(), drift.title)),
        Verdict::Explained(drift) => Some(format!("{} ({})", drift.title, drift.cause.as_deref().unwrap())),
        Verdict::Unknown(_, reason) => Some(format!("unknown: {reason}")),
        Verdict::Holds(_) | Verdict::Moot(_) => None,
    };
    verdicts.iter().filter_map(line).collect()
}

/// One row of a table in the first look, another in the second.
fn moved(table: &str, before: &Fact, after: &Fact) -> Vec<String> {
    let mut view = host();
    let (_, touched) = apply(&mut view, &full("w", 1, table, std::slice::from_ref(before)), at(0));
    assert_eq!(told(&view, &touched), [""; 0], "the first look is the baseline");
    let (_, touched) = apply(&mut view, &delta("w", 2, table, std::slice::from_ref(after)), at(1));
    told(&view, &touched)
}

fn php(version: &str, package_version: &str) -> Fact {
    let versions =
        [("version", crate::testing::version(version)), ("package_version", crate::testing::version(package_version))];
    fact(
        "fpm/8.2",
        &[versions.as_slice(), &[("package", "php8.2-fpm".into()), ("binary", "/usr/sbin/php-fpm8.2".into())]].concat(),
    )
}

fn built(of: &str) -> Fact {
    fact("fpm/8.2", &[("version", version(of)), ("binary", "/usr/local/sbin/php-fpm".into())])
}

#[test]
fn a_changed_column_says_from_what_to_what() {
    assert_eq!(
        moved("php", &built("8.2.29"), &built("8.2.30")),
        ["warning: version of php fpm/8.2 changed from 8.2.29 to 8.2.30"]
    );
    let set = fact("fpm/8.2", &[("version", version("8.2.29")), ("binary", "/opt/x\n".into())]);
    let unset = fact("fpm/8.2", &[("version", version("8.2.29"))]);
    assert_eq!(moved("php", &unset, &set), [r"warning: binary of php fpm/8.2 is now /opt/x\n, was not set"]);
    assert_eq!(moved("php", &set, &unset), [r"warning: binary of php fpm/8.2 is no longer set, was /opt/x\n"]);
}

#[test]
fn a_list_says_what_came_and_what_went() {
    let mount = |options: &[&str]| fact("/srv", &[("options", list(options))]);
    assert_eq!(
        moved("mount", &mount(&["noatime", "nosuid"]), &mount(&["noatime", "noexec"])),
        ["warning: options of mount /srv changed: now without nosuid, with noexec"]
    );
}

#[test]
fn a_column_that_moves_by_itself_is_no_drift() {
    let before = fact("/srv", &[("fstype", "ext4".into()), ("size_bytes", 5.into())]);
    let after = fact("/srv", &[("fstype", "ext4".into()), ("size_bytes", 6.into())]);
    assert_eq!(moved("mount", &before, &after), [""; 0]);
}

#[test]
fn a_file_system_that_nothing_can_be_written_to_is_critical() {
    let mount = |read_only: bool| fact("/srv", &[("read_only", read_only.into()), ("responding", true.into())]);
    assert_eq!(
        moved("mount", &mount(false), &mount(true)),
        ["critical: read_only of mount /srv changed from false to true"]
    );
    assert_eq!(
        moved("mount", &mount(true), &mount(false)),
        ["info: read_only of mount /srv changed from true to false"]
    );
    let silent = fact("/srv", &[("read_only", false.into()), ("responding", false.into())]);
    assert_eq!(moved("mount", &mount(false), &silent), [""; 0]); // a shipped rule says so
}

#[test]
fn rows_that_appear_and_rows_that_go_are_told_once_each() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &[built("8.2.29")]), at(0));
    let cli = fact("cli/8.3", &[("version", version("8.3.1"))]);
    let (_, touched) = apply(&mut view, &delta("php", 2, "php", &[cli]), at(1));
    assert_eq!(told(&view, &touched), ["info: php cli/8.3 has appeared"]);
    let (_, touched) = apply(&mut view, &full("php", 3, "php", &[]), at(2));
    assert_eq!(told(&view, &touched), ["warning: php fpm/8.2 is gone"]);
    let mounts = full("disk", 1, "mount", &[fact("/srv", &[])]);
    apply(&mut view, &mounts, at(3));
    let (_, touched) = apply(&mut view, &report("disk", 2, Outcome::Absent, vec![]), at(4));
    assert_eq!(told(&view, &touched), ["critical: mount /srv is gone"]);
}

#[test]
fn drifts_of_single_columns_end_with_their_row() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &[built("8.2.29")]), at(0));
    let (_, touched) = apply(&mut view, &delta("php", 2, "php", &[built("8.2.30")]), at(1));
    let changed = Changed.detect(&view, &touched, at(1)).into_iter().find(|each| matches!(each, Verdict::Drift(_)));
    let (_, touched) = apply(&mut view, &full("php", 3, "php", &[]), at(2));
    let after = Changed.detect(&view, &touched, at(2));
    assert!(after.contains(&Verdict::Moot(changed.unwrap().identity())));
}

#[test]
fn what_cannot_be_seen_is_unknown_and_never_holds() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &[built("8.2.29")]), at(0));
    let hidden = unknown(built("8.2.29"), "version", "permission denied\x07");
    let (_, touched) = apply(&mut view, &delta("php", 2, "php", &[hidden]), at(1));
    assert_eq!(told(&view, &touched), [r"unknown: permission denied\x07"]);
    let (_, touched) = apply(&mut view, &report("php", 3, Outcome::Failed, vec![]), at(2));
    let verdicts = Changed.detect(&view, &touched, at(2));
    assert!(!verdicts.is_empty());
    assert!(verdicts.iter().all(|each| matches!(each, Verdict::Unknown(_, reason) if reason == "watcher php failed")));
}

#[test]
fn an_upgrade_by_the_package_manager_is_explained() {
    assert_eq!(
        moved("php", &php("8.2.29", "8.2.29-1~deb12u1"), &php("8.2.30", "8.2.30-1~deb12u1")),
        [
            "version of php fpm/8.2 changed from 8.2.29 to 8.2.30 \
             (package manager: php8.2-fpm 8.2.29-1~deb12u1 -> 8.2.30-1~deb12u1)",
            "package_version of php fpm/8.2 changed from 8.2.29-1~deb12u1 to 8.2.30-1~deb12u1 \
             (package manager: php8.2-fpm 8.2.29-1~deb12u1 -> 8.2.30-1~deb12u1)",
        ]
    );
    // only the distribution's own revision moved
    assert_eq!(moved("php", &php("8.2.29", "8.2.29-1~deb12u1"), &php("8.2.29", "8.2.29-1~deb12u2")).len(), 1);
}

#[test]
fn a_binary_that_changed_without_its_package_is_not_explained() {
    assert_eq!(
        moved("php", &php("8.2.29", "8.2.29-1~deb12u1"), &php("8.2.31", "8.2.29-1~deb12u1")),
        ["warning: version of php fpm/8.2 changed from 8.2.29 to 8.2.31"]
    );
    assert_eq!(
        moved("php", &php("8.2.29", "8.2.29-1~deb12u1"), &php("8.2.31", "8.2.30-1~deb12u1")),
        [
            "warning: version of php fpm/8.2 changed from 8.2.29 to 8.2.31",
            "warning: package_version of php fpm/8.2 changed from 8.2.29-1~deb12u1 to 8.2.30-1~deb12u1",
        ]
    );
}

#[test]
fn what_a_package_owns_is_given_time_to_be_upgraded() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &[php("8.2.29", "8.2.29-1")]), at(0));
    let (_, touched) = apply(&mut view, &delta("php", 2, "php", &[php("8.2.30", "8.2.29-1")]), at(1));
    let holds = |view: &HostView, touched: &Touched| {
        let verdicts = Changed.detect(view, touched, at(1)).into_iter();
        verdicts
            .filter_map(|each| if let Verdict::Drift(drift) = each { Some(drift.hold.as_secs()) } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(holds(&view, &touched), [120]);
    let mut own = host();
    apply(&mut own, &full("php", 1, "php", &[built("8.2.29")]), at(0));
    let (_, touched) = apply(&mut own, &delta("php", 2, "php", &[built("8.2.30")]), at(1));
    assert_eq!(holds(&own, &touched), [0]);
}

#[test]
fn a_newer_kernel_and_a_minor_release_of_red_hat_are_no_news() {
    let os = |id: &str, release: &str, kernel: &str| {
        fact("os", &[("id", id.into()), ("version", version(release)), ("kernel", version(kernel))])
    };
    let restarted =
        ["kernel of os os changed from 6.1.0-40-amd64 to 6.1.0-41-amd64 (the host was restarted into a newer kernel)"];
    assert_eq!(moved("os", &os("debian", "12", "6.1.0-40-amd64"), &os("debian", "12", "6.1.0-41-amd64")), restarted);
    assert_eq!(
        moved("os", &os("debian", "12", "6.1.0-41-amd64"), &os("debian", "12", "6.1.0-40-amd64")),
        ["warning: kernel of os os changed from 6.1.0-41-amd64 to 6.1.0-40-amd64"]
    );
    assert_eq!(
        moved("os", &os("rocky", "9.4", "5"), &os("rocky", "9.5", "5")),
        ["version of os os changed from 9.4 to 9.5 (a minor release, which comes with package updates)"]
    );
    assert_eq!(
        moved("os", &os("rocky", "9.5", "5"), &os("rocky", "10.0", "5")),
        ["warning: version of os os changed from 9.5 to 10.0"]
    );
    assert_eq!(
        moved("os", &os("ubuntu", "24.04", "5"), &os("ubuntu", "24.10", "5")),
        ["warning: version of os os changed from 24.04 to 24.10"]
    );
}

#[test]
fn the_drift_tells_what_was_expected_and_what_is() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &[built("8.2.29")]), at(0));
    let (_, touched) = apply(&mut view, &delta("php", 2, "php", &[built("8.2.30")]), at(1));
    let verdicts = Changed.detect(&view, &touched, at(1));
    let Some(Verdict::Drift(drift)) = verdicts.iter().find(|each| matches!(each, Verdict::Drift(_))) else {
        panic!("{verdicts:?}")
    };
    assert_eq!((drift.expected.as_deref(), drift.actual.as_deref()), (Some("8.2.29"), Some("8.2.30")));
    assert_eq!((drift.severity, drift.kind, drift.rule.as_str()), (Severity::Warning, Kind::Changed, "changed"));
}

/// Debian's MariaDB: what is installed, and what runs; `None`: nothing does.
fn mariadb(version: &str, runs: Option<&str>) -> Fact {
    let package_version = format!("1:{version}-0+deb12u1");
    let mut fields = vec![
        ("version", crate::testing::version(version)),
        ("package", "mariadb-server-core".into()),
        ("package_version", crate::testing::version(&package_version)),
        ("running", runs.is_some().into()),
    ];
    fields.extend(runs.map(|runs| ("running_version", crate::testing::version(runs))));
    fact("mariadb/main", &fields)
}

#[test]
fn a_database_that_has_stopped_is_critical_and_told_once() {
    let (runs, stopped) = (mariadb("10.11.14", Some("10.11.14")), mariadb("10.11.14", None));
    assert_eq!(
        moved("database", &runs, &stopped),
        ["critical: running of database mariadb/main changed from true to false"]
    );
    assert_eq!(
        moved("database", &stopped, &runs),
        [
            "running_version of database mariadb/main is now 10.11.14, was not set (restarted into what the package \
             mariadb-server-core 1:10.11.14-0+deb12u1 brings)",
            "info: running of database mariadb/main changed from false to true",
        ]
    );
}

#[test]
fn a_restart_of_a_database_is_given_a_moment() {
    let mut view = host();
    apply(&mut view, &full("mysql", 1, "database", &[mariadb("10.11.14", Some("10.11.14"))]), at(0));
    let (_, touched) = apply(&mut view, &delta("mysql", 2, "database", &[mariadb("10.11.14", None)]), at(1));
    let verdicts = Changed.detect(&view, &touched, at(1));
    let holds: Vec<u64> = verdicts
        .iter()
        .filter_map(|each| if let Verdict::Drift(drift) = each { Some(drift.hold.as_secs()) } else { None })
        .collect();
    assert_eq!(holds, [4]);
}

#[test]
fn a_database_that_is_upgraded_and_restarted_some_day_is_no_news() {
    let old = mariadb("10.11.11", Some("10.11.11"));
    let waits = mariadb("10.11.14", Some("10.11.11"));
    let upgraded = moved("database", &old, &waits);
    assert!(upgraded.len() == 2 && upgraded.iter().all(|line| line.contains("(package manager: ")), "{upgraded:?}");
    assert_eq!(
        moved("database", &waits, &mariadb("10.11.14", Some("10.11.14"))),
        [
            "running_version of database mariadb/main changed from 10.11.11 to 10.11.14 (restarted into what the package \
          mariadb-server-core 1:10.11.14-0+deb12u1 brings)"
        ]
    );
    assert_eq!(
        moved("database", &waits, &mariadb("10.11.14", Some("10.11.9"))),
        ["warning: running_version of database mariadb/main changed from 10.11.11 to 10.11.9"]
    );
}
