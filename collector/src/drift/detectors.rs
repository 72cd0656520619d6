//! The detectors, one kind of drift each.

pub mod changed;
mod policy;
pub mod silent;
