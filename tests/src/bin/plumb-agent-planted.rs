//! The agent with one watcher more, which an intruder has taken over.

use std::process::ExitCode;

fn main() -> ExitCode {
    plumb_agent::cli::main(vec![plumb_tests::planted::SPEC])
}
