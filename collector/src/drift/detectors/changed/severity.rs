//! How bad a change is, by table and column.

use plumb_proto::model::{Severity, Value};
use plumb_proto::untrusted::Untrusted;

/// Something new: good to know.
pub(super) const APPEARED: Severity = Severity::Info;

/// Web servers, databases, and the way in.
const SERVING: [&str; 18] = [
    "apache2",
    "caddy",
    "haproxy",
    "httpd",
    "lighttpd",
    "lshttpd",
    "lsws",
    "mariadb",
    "mysql",
    "mysqld",
    "nginx",
    "openresty",
    "postgresql",
    "redis",
    "ssh",
    "sshd",
    "valkey",
    "varnish",
];

/// Columns of state that a shipped rule judges, whatever they were before: no second drift for the same thing.
pub(super) fn is_judged_by_policy(table: &str, field: &str) -> bool {
    matches!((table, field), ("mount", "responding") | ("cms", "debug") | ("php_pool", "display_errors"))
}

/// Columns that are empty because another one says so: a server that has stopped runs no version. Told once, there. And a
/// socket that systemd keeps: whom it starts to answer comes and goes, as its service does.
pub(super) fn goes_with_another(table: &str, field: &str, was: Option<&Value>, is: Option<&Value>) -> bool {
    match (table, field) {
        ("database" | "web_server", "running_version") => is.is_none(),
        ("listener", "process") => is_word(was, "systemd") || is_word(is, "systemd"),
        _ => false,
    }
}

/// A value that a shipped rule judges: a service that fails is the rule's, in whatever state it was approved. One that is
/// stopped is not.
pub(super) fn is_told_by_a_rule(table: &str, field: &str, is: Option<&Value>) -> bool {
    (table, field) == ("service", "active") && is_word(is, "failed")
}

/// A row that is gone. Data that is no longer there is worse than a program that is not; what a site is extended by, and
/// runtimes that nothing runs on any more, come and go.
pub(super) fn of_gone(table: &str) -> Severity {
    match table {
        "mount" => Severity::Critical,
        "cms_extension" | "runtime" | "dependency_lock" => Severity::Info,
        _ => Severity::Warning,
    }
}

/// A column that changed.
pub(super) fn of_field(
    table: &str,
    key: &Untrusted,
    field: &str,
    (was, is): (Option<&Value>, Option<&Value>),
) -> Severity {
    match (table, field) {
        ("mount", "read_only") if is == Some(&Value::Bool(true)) => Severity::Critical,
        // Sites without their database or their web server are down.
        ("database" | "web_server", "running") if is != Some(&Value::Bool(true)) => Severity::Critical,
        ("database" | "web_server", "running") => Severity::Info,
        ("php_pool", field) => of_pool(field, was, is),
        // A certificate is made anew with the names that are needed now; whether it is good is a rule's business.
        ("certificate", "names" | "issuer" | "subject" | "key_type") => Severity::Info,
        // Names of disks come in the order in which they are found at boot.
        ("mount", "device" | "read_only") | ("os", "name" | "id_like") => Severity::Info,
        ("service", "active") if is_word(is, "active") => Severity::Info,
        ("service", "active") if serves_sites(key) => Severity::Critical,
        _ => Severity::Warning,
    }
}

/// Settings of a pool are what somebody tuned; what keeps its sites apart, or holds an intruder back, is more than that.
fn of_pool(field: &str, was: Option<&Value>, is: Option<&Value>) -> Severity {
    let is_weaker = match field {
        // from a place to everywhere, or to another place: only a first restriction is surely one
        "open_basedir" => was.is_some(),
        "disabled_functions" => match (was, is) {
            (Some(Value::List(was)), Some(Value::List(is))) => was.iter().any(|function| !is.contains(function)),
            (Some(_), _) => true,
            _ => false,
        },
        "allow_url_include" => is == Some(&Value::Bool(true)),
        "php" | "user" | "listen" | "config" => true,
        _ => false,
    };
    if is_weaker { Severity::Warning } else { Severity::Info }
}

fn is_word(value: Option<&Value>, word: &str) -> bool {
    matches!(value, Some(Value::Text(text)) if text.as_bytes() == word.as_bytes())
}

/// Without these no site answers, or nobody gets in to see why; the rule `service_failed` has the same list.
fn serves_sites(unit: &Untrusted) -> bool {
    let name = unit.as_text().unwrap_or_default();
    let stem = name.split(['.', '@']).next().unwrap_or_default();
    let is_php = name.split_once("php").is_some_and(|(_, rest)| rest.contains("fpm"));
    is_php || SERVING.contains(&stem.trim_end_matches("-server"))
}
