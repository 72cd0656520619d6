//! Sites and what they stand on: web servers, pools, runtimes, CMSs and their extensions, certificates.

use plumb_proto::model::{ColumnType, Role};

use super::*;

/// Tables that a test names, with the columns of its rows.
fn told_of(name: &str, before: Option<&Fact>, after: Option<&Fact>) -> Vec<String> {
    let mut view = host();
    let columns: BTreeSet<&String> = before.into_iter().chain(after).flat_map(|row| row.fields.keys()).collect();
    let columns: Vec<_> = columns.into_iter().map(|name| (name.as_str(), ColumnType::Text, Role::State)).collect();
    view.declare(&table(name, &columns));
    apply(&mut view, &full("w", 1, name, &before.cloned().into_iter().collect::<Vec<_>>()), at(0));
    let (_, touched) = apply(&mut view, &full("w", 2, name, &after.cloned().into_iter().collect::<Vec<_>>()), at(1));
    told(&view, &touched)
}

fn changed(name: &str, before: &[(&str, Value)], after: &[(&str, Value)]) -> Vec<String> {
    told_of(name, Some(&fact("k", before)), Some(&fact("k", after)))
}

fn of_version(name: &str, before: &str, after: &str) -> Vec<String> {
    changed(name, &[("version", version(before))], &[("version", version(after))])
}

#[test]
fn a_cms_or_extension_that_moved_upward_was_updated() {
    assert_eq!(
        of_version("cms", "6.8.1", "6.8.3"),
        ["version of cms k changed from 6.8.1 to 6.8.3 (updated from 6.8.1 to 6.8.3)"]
    );
    assert_eq!(
        of_version("cms_extension", "9.9", "9.10.1"),
        ["version of cms_extension k changed from 9.9 to 9.10.1 (updated from 9.9 to 9.10.1)"]
    );
}

#[test]
fn a_version_that_fell_or_has_no_order_is_a_drift() {
    assert_eq!(of_version("cms", "6.8.3", "6.8.1"), ["warning: version of cms k changed from 6.8.3 to 6.8.1"]);
    for (before, after) in [("6.8", "dev-main"), ("dev-main", "6.8"), ("3f9a0c11", "4b9a0c11")] {
        assert!(of_version("cms_extension", before, after).concat().starts_with("warning: "), "{before} {after}");
    }
    let gone = changed("cms_extension", &[("version", version("1.2"))], &[("name", "x".into())]);
    assert!(gone.contains(&"warning: version of cms_extension k is no longer set, was 1.2".to_owned()), "{gone:?}");
}

#[test]
fn a_cms_of_a_package_is_updated_by_the_package_manager_only() {
    let row = |of: &str, package: &str| {
        [("version", version(of)), ("package", "wordpress".into()), ("package_version", version(package))]
    };
    let upgraded = changed("cms", &row("6.1.1", "6.1.1+dfsg1-1"), &row("6.1.6", "6.1.6+dfsg1-0+deb12u1"));
    assert!(upgraded.iter().all(|line| line.contains("(package manager: wordpress ")), "{upgraded:?}");
    let alone = changed("cms", &row("6.1.1", "6.1.1+dfsg1-1"), &row("6.1.6", "6.1.1+dfsg1-1"));
    assert_eq!(alone, ["warning: version of cms k changed from 6.1.1 to 6.1.6"]);
}

#[test]
fn extensions_and_runtimes_come_and_go_and_sites_do_not() {
    let row = fact("k", &[("name", "x".into())]);
    for table in ["cms_extension", "runtime", "dependency_lock"] {
        assert_eq!(told_of(table, None, Some(&row)), [format!("info: {table} k has appeared")]);
        assert_eq!(told_of(table, Some(&row), None), [format!("info: {table} k is gone")]);
    }
    for table in ["site", "cms", "web_server", "php_pool"] {
        assert_eq!(told_of(table, None, Some(&row)), [format!("info: {table} k has appeared")]);
        assert_eq!(told_of(table, Some(&row), None), [format!("warning: {table} k is gone")]);
    }
}

/// For how long the first drift must last that comes when a row, if any, is told after another.
fn hold(name: &str, before: &Fact, after: Option<&Fact>) -> Option<Duration> {
    let mut view = host();
    let columns: Vec<_> = before.fields.keys().map(|name| (name.as_str(), ColumnType::Text, Role::State)).collect();
    view.declare(&table(name, &columns));
    apply(&mut view, &full("w", 1, name, std::slice::from_ref(before)), at(0));
    let (_, touched) = apply(&mut view, &full("w", 2, name, &after.cloned().into_iter().collect::<Vec<_>>()), at(1));
    let verdicts = Changed.detect(&view, &touched, at(1));
    verdicts.iter().find_map(|each| if let Verdict::Drift(drift) = each { Some(drift.hold) } else { None })
}

#[test]
fn an_extension_that_an_updater_takes_away_for_a_moment_is_not_gone() {
    let row = fact("/srv/wp-content/plugins/x", &[("version", version("1.0"))]);
    assert_eq!(hold("cms_extension", &row, None), Some(Duration::from_secs(1200)));
}

#[test]
fn a_site_whose_configuration_is_written_at_the_moment_is_not_gone_and_not_another() {
    let site = |listen: &str| fact("nginx/a.example", &[("listen", listen.into())]);
    let (https, challenge) = (site("*:443 ssl"), site("*:80"));
    assert_eq!(hold("site", &https, None), Some(Duration::from_secs(120)));
    assert_eq!(hold("site", &https, Some(&challenge)), Some(Duration::from_secs(120)));
    assert_eq!(hold("web_server", &fact("nginx", &[("running", true.into())]), None), Some(Duration::from_secs(120)));
}

#[test]
fn a_pool_that_is_gone_while_fpm_is_restarted_or_half_written_for_a_moment_is_no_drift_yet() {
    let mut view = host();
    view.declare(&table("php_pool", &[("pm", ColumnType::Text, Role::State)]));
    let row = |pm: &str| fact("8.2/shop", &[("pm", pm.into())]);
    apply(&mut view, &full("php", 1, "php_pool", &[row("static")]), at(0));
    let holds = |rows: &[Fact], view: &mut HostView, number: u64| {
        let (_, touched) = apply(view, &full("php", number, "php_pool", rows), at(1));
        let verdicts = Changed.detect(view, &touched, at(1));
        verdicts.iter().find_map(|each| if let Verdict::Drift(drift) = each { Some(drift.hold) } else { None })
    };
    assert_eq!(holds(&[row("dynamic")], &mut view, 2), Some(Duration::from_secs(10)));
    assert_eq!(holds(&[], &mut view, 3), Some(Duration::from_secs(120)));
}

#[test]
fn settings_of_a_pool_are_good_to_know_and_locks_that_were_taken_off_more_than_that() {
    let bytes = |bytes: i64| [("memory_limit_bytes", Value::from(bytes))];
    assert_eq!(
        changed("php_pool", &bytes(134_217_728), &bytes(268_435_456)),
        ["info: memory_limit_bytes of php_pool k changed from 134217728 to 268435456"]
    );
    let with = |field: &'static str, value: Value| [(field, value), ("pm", "dynamic".into())];
    let without = [("pm", Value::from("dynamic"))];
    let open = with("open_basedir", "/srv/shop".into());
    assert!(changed("php_pool", &open, &without).concat().starts_with("warning: "));
    assert!(changed("php_pool", &without, &open).concat().starts_with("info: "));
    let functions = |names: &[&str]| with("disabled_functions", list(names));
    let severity = |before: &[&str], after: &[&str]| {
        changed("php_pool", &functions(before), &functions(after)).concat().split(':').next().unwrap().to_owned()
    };
    assert_eq!(severity(&["exec", "system"], &["exec"]), "warning");
    assert_eq!(severity(&["exec"], &["exec", "system"]), "info");
    let include = |on: bool| with("allow_url_include", on.into());
    assert!(changed("php_pool", &include(false), &include(true)).concat().starts_with("warning: "));
    assert!(changed("php_pool", &include(true), &include(false)).concat().starts_with("info: "));
}

#[test]
fn settings_that_wait_for_a_reload_are_asked_about_once_they_are_loaded() {
    let row = |bytes: i64, waits: bool| [("memory_limit_bytes", Value::from(bytes)), ("reload_needed", waits.into())];
    let drifts = |after| changed("php_pool", &row(134_217_728, false), &row(268_435_456, after));
    assert!(drifts(true).iter().all(|line| !line.contains("memory_limit_bytes")), "{:?}", drifts(true));
    assert!(drifts(false).iter().any(|line| line.contains("memory_limit_bytes")));
}

#[test]
fn a_certificate_with_other_names_is_good_to_know() {
    let row = |names: &[&str], issuer: &str| [("names", list(names)), ("issuer", issuer.into())];
    assert_eq!(
        changed("certificate", &row(&["a.example"], "R10"), &row(&["a.example", "b.example"], "E5")),
        [
            "info: issuer of certificate k changed from R10 to E5",
            "info: names of certificate k changed: now with b.example",
        ]
    );
}

fn nginx(of: &str, runs: Option<&str>) -> Vec<(&'static str, Value)> {
    let package = format!("{of}-9+deb12u2");
    let mut fields = vec![
        ("version", version(of)),
        ("package", "nginx".into()),
        ("package_version", version(&package)),
        ("running", runs.is_some().into()),
    ];
    fields.extend(runs.map(|runs| ("running_version", version(runs))));
    fields
}

#[test]
fn a_web_server_that_has_stopped_is_critical_and_told_once() {
    let (runs, stopped) = (nginx("1.22.1", Some("1.22.1")), nginx("1.22.1", None));
    assert_eq!(
        changed("web_server", &runs, &stopped),
        ["critical: running of web_server k changed from true to false"]
    );
    let back = changed("web_server", &stopped, &runs);
    assert_eq!(
        back.last().map(String::as_str),
        Some(
            "running_version of web_server k is now 1.22.1, was not set (restarted into what the package nginx 1.22.1-9+deb12u2 brings)"
        )
    );
    assert!(back.iter().all(|line| !line.starts_with("warning") && !line.starts_with("critical")), "{back:?}");
}

#[test]
fn an_upgrade_of_a_web_server_by_its_package_is_silent_from_unpacking_to_restart() {
    let silent = |lines: Vec<String>| lines.iter().all(|line| line.ends_with(')') && !line.starts_with("warning"));
    let (old, waits, new) =
        (nginx("1.22.1", Some("1.22.1")), nginx("1.22.3", Some("1.22.1")), nginx("1.22.3", Some("1.22.3")));
    for (before, after) in [(&old, &waits), (&waits, &new), (&old, &new)] {
        assert!(silent(changed("web_server", before, after)), "{:?}", changed("web_server", before, after));
    }
}

#[test]
fn an_upgrade_of_java_is_silent_though_its_packages_write_versions_in_their_own_way() {
    let row = |of: &str, package: &str| {
        fact("java/17", &[("version", version(of)), ("package", "java".into()), ("package_version", version(package))])
    };
    for (before, after) in [
        (("17.0.12", "17.0.12+7-2~deb12u1"), ("17.0.13", "17.0.13+11-2~deb12u1")),
        (("17.0.12", "1:17.0.12.0.7-2.el9"), ("17.0.13", "1:17.0.13.0.11-3.el9")),
        (("1.8.0_422", "8u422-b05-1~deb11u1"), ("1.8.0_432", "8u432-b06-2~deb11u1")),
        (("1.8.0_422", "1:1.8.0.422.b05-2.el9"), ("1.8.0_432", "1:1.8.0.432.b06-3.el9")),
    ] {
        let lines = told_of("runtime", Some(&row(before.0, before.1)), Some(&row(after.0, after.1)));
        assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("(package manager: ")), "{lines:?}");
    }
    let other = told_of("runtime", Some(&row("17.0.1", "17.0.1+1-1")), Some(&row("17.0.1", "17.0.13+11-2")));
    assert!(other.concat().starts_with("warning: "), "{other:?}");
}

#[test]
fn what_a_shipped_rule_judges_is_not_told_a_second_time() {
    for (name, column) in [("cms", "debug"), ("php_pool", "display_errors")] {
        assert_eq!(changed(name, &[(column, false.into())], &[(column, true.into())]), [""; 0], "{name} {column}");
    }
}
