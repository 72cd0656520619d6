//! What a test needs of the machine. Missing: it says so in plain sight, and the CI fails on it.

use std::process::Command;

/// True if all `programs` answer and, if asked, the user is root. Otherwise prints why the test is skipped.
#[must_use]
pub fn has(test: &str, programs: &[&str], root: bool) -> bool {
    let absent = |program: &&&str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        !found.is_ok_and(|output| output.status.success())
    };
    if let Some(program) = programs.iter().find(absent) {
        eprintln!("skipped: {test} needs {program}");
        return false;
    }
    if root && !std::fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("\nUid:\t0\t0\t")) {
        eprintln!("skipped: {test} needs root");
        return false;
    }
    true
}
