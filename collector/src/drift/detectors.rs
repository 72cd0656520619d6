//! The detectors, one kind of drift each. Silence is judged by the pipeline: it knows when a host was last heard of.

pub mod changed;
mod policy;
pub mod silent;

use std::sync::Arc;

use super::detector::Detector;
use super::policy::Policy;

/// All of them, with the rules in force.
#[must_use]
pub fn all(policy: &Arc<Policy>) -> Vec<Box<dyn Detector>> {
    vec![Box::new(changed::Changed), Box::new(Arc::clone(policy))]
}
