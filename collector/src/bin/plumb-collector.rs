//! `plumb-collector`: runs the collector and what belongs to it.

use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};

fn main() -> ExitCode {
    // Whatever is made is for nobody else; the socket says for itself whom it lets in.
    umask(Mode::from_bits_truncate(0o077));
    plumb_collector::log::start();
    plumb_collector::admin::run(std::env::args_os()).into()
}
