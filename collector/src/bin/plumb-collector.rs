//! `plumb-collector`: runs the collector and what belongs to it.

use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    // Whatever is made is for nobody else; the socket says for itself whom it lets in.
    umask(Mode::from_bits_truncate(0o077));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::INFO)
        .with_target(false)
        .with_ansi(false)
        .init();
    plumb_collector::admin::run(std::env::args_os()).into()
}
