//! Rules for PHP that ship.

use super::*;

fn pool(fields: &[(&str, Value)]) -> (Vec<String>, Vec<Drift>) {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php_pool", &[fact("8.2/shop", fields)]), at(0));
    let policy = shipped();
    let drifts = policy.detect(&view, &all(&view), at(1)).into_iter().filter_map(|verdict| match verdict {
        Verdict::Drift(drift) => Some(*drift),
        _ => None,
    });
    (told(&policy, &view, at(1)), drifts.collect())
}

fn full_pool(queue: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("saturated", true.into()),
        ("queue", queue.into()),
        ("workers", 5.into()),
        ("max_children", 5.into()),
        ("listen", "/run/php/shop.sock".into()),
        ("display_errors", false.into()),
    ]
}

#[test]
fn a_full_pool_is_told_with_its_numbers_and_is_critical_when_as_many_wait_as_are_served() {
    let title =
        "php_pool_saturated: PHP pool 8.2/shop is full: all 5 workers are busy, 3 requests wait (max_children 5)";
    let (lines, drifts) = pool(&full_pool(3));
    assert_eq!(lines, ["holds".to_owned(), format!("warning {title}")]);
    assert_eq!(drifts[0].hold, Duration::from_secs(5));
    assert_eq!(drifts[0].actual.as_deref(), Some("5 workers, 3 requests in the queue of /run/php/shop.sock"));
    let (_, drifts) = pool(&full_pool(5));
    assert_eq!((drifts[0].severity, drifts[0].hold), (Severity::Critical, Duration::ZERO));
    assert_eq!(pool(&full_pool(0)).0, ["holds", "holds"], "nobody waits");
    let well = [("saturated", false.into()), ("display_errors", false.into())];
    assert_eq!(pool(&well).0, ["holds", "holds"]);
}

#[test]
fn a_configuration_that_was_not_loaded_is_told_with_what_is_on_disk_and_what_is_in_effect() {
    let pending = Value::List(vec!["memory_limit: 128M in effect, 256M on disk".into()]);
    let fields = |needed: bool| {
        vec![
            ("reload_needed", needed.into()),
            ("pending", pending.clone()),
            ("config_changed", at(0).into()),
            ("config_loaded", at(0).into()),
            ("display_errors", false.into()),
        ]
    };
    let (lines, drifts) = pool(&fields(true));
    let title = "php_config_not_loaded: PHP pool 8.2/shop does not run with what is configured: memory_limit: 128M in \
                 effect, 256M on disk";
    assert_eq!(lines, ["holds".to_owned(), format!("warning {title}")]);
    assert_eq!(drifts[0].hold, Duration::from_secs(600));
    let actual = drifts[0].actual.as_deref().unwrap();
    assert!(actual.ends_with("; memory_limit: 128M in effect, 256M on disk"), "{actual}");
    assert_eq!(pool(&fields(false)).0, ["holds", "holds"]);
}

#[test]
fn errors_that_visitors_see_are_told_and_what_is_not_known_is_not_judged() {
    let (lines, _) = pool(&[("display_errors", true.into())]);
    assert_eq!(lines, ["info php_display_errors: PHP pool 8.2/shop shows errors to visitors"]);
}

#[test]
fn pools_that_would_not_fit_into_memory_are_told() {
    let lines = |room: f64| {
        let mut view = host();
        let sizes = [("php_memory_if_full_bytes", 8.0), ("php_memory_room_bytes", room)];
        let samples_of = sizes.map(|(name, gib)| (series(name, &[]), gib * f64::from(1 << 30)));
        samples(&mut view, at(0), &samples_of);
        let mut lines = told(&shipped(), &view, at(1));
        lines.retain(|line| line.contains("php_memory") || line == "holds");
        lines
    };
    let title = "one PHP pool could use up all memory: 8.0 GiB needed if it is full, 6.0 GiB there";
    assert_eq!(lines(6.0), [format!("warning php_memory_does_not_fit: {title}")]);
    assert_eq!(lines(16.0), ["holds"]);
}

#[test]
fn a_php_that_runs_on_a_day_after_its_upgrade_is_told() {
    let mut row = php("8.2.29", "debian");
    row.fields.insert("restart_needed".to_owned(), true.into());
    let mut lines = told(&shipped(), &with_php(row), at(1));
    lines.retain(|line| line.contains("restart"));
    let title = "PHP 8.2.29 (fpm/8.2) still runs the program from before its upgrade";
    assert_eq!(lines, [format!("warning php_restart_needed: {title}")]);
}
