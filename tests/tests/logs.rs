//! Logs under torture: the small version of the program `log-torture`.

use plumb_tests::log_torture::{KINDS, Kind, run};

fn folder(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("plumb-log-torture-{name}-{}", std::process::id()))
}

#[test]
fn each_line_is_counted_once_or_the_gap_is_told_whatever_is_rotated_and_killed_when() {
    let folder = folder("all");
    for (seed, kind) in (1..).zip(KINDS) {
        let outcome = run(kind, 5, seed, &folder).unwrap();
        assert!(outcome.is_honest(), "{outcome:?}");
        assert_eq!(outcome.written.0, 10_000);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_log_whose_old_files_stay_loses_nothing() {
    let folder = folder("kept");
    for kind in [Kind::Rename, Kind::CopyTruncate] {
        let outcome = run(kind, 5, 99, &folder).unwrap();
        assert!(outcome.is_complete() && outcome.gaps.0 == 0, "{outcome:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
