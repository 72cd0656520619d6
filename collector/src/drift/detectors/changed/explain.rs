//! Changes that a trusted actor made: the package manager. Its database, which only it writes, is the evidence: a version
//! that moved with the package, to what the package brings, is the work of an upgrade; one that moved alone is not.

use std::cmp::Ordering;
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use crate::drift::text::clip;
use crate::drift::version;
use crate::view::{Row, TableView};

/// Systems that are Red Hat Enterprise Linux or made from it: a minor release comes with ordinary updates.
const RED_HAT: [&str; 7] = ["rhel", "centos", "almalinux", "rocky", "ol", "cloudlinux", "fedora"];

/// Unpacking and configuring one package takes seconds; a look in between must not cry.
const UPGRADE: Duration = Duration::from_secs(120);

/// A restart by hand takes a moment. What takes longer is a stop. (While a package manager is at work the agent does not
/// call a server stopped, so upgrades need no patience here.)
const RESTART: Duration = Duration::from_secs(4);

/// Who made a column change, and by what evidence; `None`: nobody that is known.
pub(super) fn cause(
    table: &TableView,
    key: &Untrusted,
    field: &str,
    was: Option<&Value>,
    is: Option<&Value>,
) -> Option<String> {
    let row = table.rows.get(key)?;
    match (row.table.as_str(), field) {
        ("os", "kernel") => newer(was?, is?).then(|| "the host was restarted into a newer kernel".to_owned()),
        ("os", "version") if is_red_hat(row) => {
            let same_major = major(was?) == major(is?);
            (same_major && newer(was?, is?)).then(|| "a minor release, which comes with package updates".to_owned())
        }
        // What had failed, or was just starting, when it was approved runs now, or was put away.
        ("service", "active") if !matches!(text(was?), Some("active" | "inactive")) => {
            Some(format!("it was {} when it was approved", clip(was?)))
        }
        (_, "version" | "package_version") => upgraded(table, row, key),
        (_, "running_version") => restarted(row),
        _ => None,
    }
}

/// How long a change may wait for its explanation: in the middle of an upgrade, files and package database differ.
pub(super) fn patience(table: &TableView, key: &Untrusted, field: &str, is: Option<&Value>) -> Duration {
    let row = table.rows.get(key);
    let has_package = row.is_some_and(|row| row.fact.fields.contains_key("package"));
    match field {
        "version" | "package_version" | "running_version" if has_package => UPGRADE,
        "running" if is == Some(&Value::Bool(false)) && row.is_some_and(|row| row.table == "database") => RESTART,
        _ => Duration::ZERO,
    }
}

/// The process was started from what its package brings: that comes after an upgrade, at once or some day.
fn restarted(row: &Row) -> Option<String> {
    let known = |column: &str| row.unknown(column).is_none().then(|| row.fact.fields.get(column)).flatten();
    let (package, version) = (known("package")?, known("package_version")?);
    let runs = text(known("running_version")?)?;
    (runs == version::upstream(text(version)?))
        .then(|| format!("restarted into what the package {} {} brings", clip(package), clip(version)))
}

/// The row belongs to a package whose version moved since the baseline, and what runs is what the package brings.
fn upgraded(table: &TableView, row: &Row, key: &Untrusted) -> Option<String> {
    let known = |column: &str| row.unknown(column).is_none().then(|| row.fact.fields.get(column)).flatten();
    let (package, now) = (known("package")?, known("package_version")?);
    let baseline = table.baseline.get(key)?;
    let before = baseline.get("package_version")?.as_ref()?;
    let same_package = baseline.get("package").and_then(Option::as_ref) == Some(package);
    let runs = text(known("version")?)?;
    let brings = version::upstream(text(now)?);
    (same_package && now != before && runs == brings)
        .then(|| format!("package manager: {} {} -> {}", clip(package), clip(before), clip(now)))
}

fn is_red_hat(row: &Row) -> bool {
    let is_one = |word: &Untrusted| RED_HAT.iter().any(|each| each.as_bytes() == word.as_bytes());
    let id = row.fact.fields.get("id").is_some_and(|id| matches!(id, Value::Text(id) if is_one(id)));
    id || matches!(row.fact.fields.get("id_like"), Some(Value::List(words)) if words.iter().any(is_one))
}

fn newer(was: &Value, is: &Value) -> bool {
    matches!((text(was), text(is)), (Some(was), Some(is)) if version::compare(was, is) == Ordering::Less)
}

fn major(value: &Value) -> Option<&str> {
    version::branch(text(value)?, 1)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Version(text) => text.as_text(),
        _ => None,
    }
}
