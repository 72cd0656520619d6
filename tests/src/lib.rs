//! What the stories in `tests/` are told with: fleets in one process, whole programs in a folder, kill loops.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods)]

pub mod eventually;
pub mod fleet;
pub mod kills;
pub mod lab;
pub mod lines;
pub mod needs;
