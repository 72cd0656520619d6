//! How bad a change is, by table and column.

use plumb_proto::model::{Severity, Value};

/// Something new: good to know.
pub(super) const APPEARED: Severity = Severity::Info;

/// Columns of state that a shipped rule judges, whatever they were before: no second drift for the same thing.
pub(super) fn is_judged_by_policy(table: &str, field: &str) -> bool {
    (table, field) == ("mount", "responding")
}

/// Columns that are empty because another one says so: a server that has stopped runs no version. Told once, there.
pub(super) fn goes_with_another(table: &str, field: &str, is: Option<&Value>) -> bool {
    (table, field) == ("database", "running_version") && is.is_none()
}

/// A row that is gone. Data that is no longer there is worse than a program that is not.
pub(super) fn of_gone(table: &str) -> Severity {
    if table == "mount" { Severity::Critical } else { Severity::Warning }
}

/// A column that changed.
pub(super) fn of_field(table: &str, field: &str, is: Option<&Value>) -> Severity {
    match (table, field) {
        ("mount", "read_only") if is == Some(&Value::Bool(true)) => Severity::Critical,
        // Sites without their database are down.
        ("database", "running") if is != Some(&Value::Bool(true)) => Severity::Critical,
        ("database", "running") => Severity::Info,
        // Names of disks come in the order in which they are found at boot.
        ("mount", "device" | "read_only") | ("os", "name" | "id_like") => Severity::Info,
        _ => Severity::Warning,
    }
}
