//! The agent with one watcher more: numbered lines of a file, for the kill loop.

use std::process::ExitCode;

fn main() -> ExitCode {
    plumb_agent::cli::main([plumb_agent::watchers::ALL, &[plumb_tests::lines::SPEC]].concat())
}
