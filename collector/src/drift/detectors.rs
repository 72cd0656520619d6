//! The detectors, one kind of drift each.

pub mod changed;
pub mod silent;
