//! The kill loop as a campaign: `kill-loop [KILLS] [SEED]` kills agent and collector so often each (300) and prints what
//! was lost or doubled. Needs the programs that `run-tests` builds, by the same environment.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let kills = arguments.next().and_then(Result::ok).unwrap_or(300);
    let seed = arguments.next().and_then(Result::ok).unwrap_or(1);
    let Ok(own) = std::env::current_exe() else { return ExitCode::FAILURE };
    let outcome = plumb_tests::kills::run(&own.with_file_name("plumb-agent-lines"), kills, seed.into(), |done| {
        if done % 50 == 0 {
            eprintln!("{done} kills");
        }
    });
    eprintln!("{outcome:#?}");
    if outcome.lost == 0 && outcome.doubled == 0 && outcome.chain_holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
