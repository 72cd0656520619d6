//! `plumb`: asks the collector.

use std::process::ExitCode;

use plumb_proto::time::SystemClock;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(plumb_collector::cli::run(std::env::args_os(), &SystemClock::new())).into(),
        Err(error) => {
            eprintln!("plumb: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
