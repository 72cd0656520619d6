//! `plumb-agent`: the command line with all watchers.

use std::process::ExitCode;

fn main() -> ExitCode {
    plumb_agent::cli::main(plumb_agent::watchers::ALL.to_vec())
}
