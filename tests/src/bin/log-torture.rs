//! Rotates a log 200 times in each way while its watcher dies, and prints which lines were counted. Arguments: rotations
//! of each kind, seed. Exit status 1 if a line was counted twice, or lost without a word.

use std::process::ExitCode;

use plumb_tests::log_torture::{KINDS, run};

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let rotations = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let seed = arguments.next().map_or(Ok(7), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("plumb-log-torture-{}", std::process::id()));
    println!(
        "{:<18} {:>9} {:>6} {:>9} {:>9} {:>8} {:>5} {:>10}  verdict",
        "kind", "rotations", "kills", "written", "counted", "missing", "gaps", "gap bytes"
    );
    let mut fine = true;
    for kind in KINDS {
        let outcome = run(kind, rotations, seed, &folder)?;
        let verdict = match (outcome.is_complete(), outcome.is_honest()) {
            (true, _) => "each line once",
            (false, true) => "each line once or told",
            (false, false) => "WRONG",
        };
        fine &= outcome.is_honest();
        println!(
            "{:<18} {:>9} {:>6} {:>9} {:>9} {:>8} {:>5} {:>10}  {verdict}",
            format!("{kind:?}"),
            outcome.rotations,
            outcome.kills,
            outcome.written.0,
            outcome.counted.0,
            outcome.written.0.saturating_sub(outcome.counted.0),
            outcome.gaps.0,
            outcome.gaps.1,
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
