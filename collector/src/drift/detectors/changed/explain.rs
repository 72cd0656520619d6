//! Changes that a trusted actor made: the package manager. Its database, which only it writes, is the evidence: a version
//! that moved with the package, to what the package brings, is the work of an upgrade; one that moved alone is not.
//! What sites are made of is updated in its folder, mostly by its own updater: a version that moved upward is an update. That
//! its files are those of the version is for the integrity of the files to say.

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
        ("cms" | "cms_extension", "version") if !row.fact.fields.contains_key("package") => updated(was?, is?),
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
        "running" if is == Some(&Value::Bool(false)) && serves(row) => RESTART,
        _ => Duration::ZERO,
    }
}

/// A server whose stop is told.
fn serves(row: Option<&Row>) -> bool {
    row.is_some_and(|row| matches!(row.table.as_str(), "database" | "web_server"))
}

/// A version that comes after the one before. Of what does not read as a version (a branch, a commit) nobody can say so.
fn updated(was: &Value, is: &Value) -> Option<String> {
    let is_ordered = |value: &Value| {
        let text = text(value).unwrap_or_default();
        let number = text.strip_prefix('v').unwrap_or(text);
        version::branch(number, 1).is_some_and(|first| first == number || number.contains('.'))
    };
    (is_ordered(was) && is_ordered(is) && newer(was, is)).then(|| format!("updated from {} to {}", clip(was), clip(is)))
}

/// True if a program of this version is what a package of that version brings.
fn is_brought(row: &Row, runs: &str, package: &str) -> bool {
    let brings = version::upstream(package);
    runs == brings || (row.table == "runtime" && row.fact.key.as_bytes().starts_with(b"java") && is_java(runs, brings))
}

/// Packages of Java write more numbers than Java does (`17.0.13.0.11` is 17.0.13), and older ones write them in another
/// way (`8u432-b06` and `1.8.0.432.b06` are 1.8.0_432).
fn is_java(runs: &str, brings: &str) -> bool {
    let goes_on =
        |start: &str| brings.strip_prefix(start).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    let update = runs
        .strip_prefix("1.")
        .and_then(|old| old.split_once(".0_"))
        .map(|(major, update)| format!("{major}u{update}"));
    goes_on(runs) || goes_on(&runs.replace('_', ".")) || update.is_some_and(|update| goes_on(&update))
}

/// The process was started from what its package brings: that comes after an upgrade, at once or some day.
fn restarted(row: &Row) -> Option<String> {
    let known = |column: &str| row.unknown(column).is_none().then(|| row.fact.fields.get(column)).flatten();
    let (package, version) = (known("package")?, known("package_version")?);
    let runs = text(known("running_version")?)?;
    is_brought(row, runs, text(version)?)
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
    (same_package && now != before && is_brought(row, runs, text(now)?))
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
