//! The suite that every engine passes: what may be relied on, verb by verb. Each test runs once per engine.

pub mod bench;
mod changes;
mod hosts;
mod judged;
mod questions;
mod records;
mod users;
