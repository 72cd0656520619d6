//! The contract of a detector: it finds one kind of drift. Pure: no clock, no store, no network.

use std::sync::Arc;

use plumb_proto::time::Timestamp;

use super::Verdict;
use crate::view::{HostView, Touched};

/// Finds one kind of drift.
pub trait Detector: Send + Sync {
    /// Judges what was touched, as the host stands at `now` (the time of the record, or of the tick).
    fn detect(&self, host: &HostView, touched: &Touched, now: Timestamp) -> Vec<Verdict>;
}

impl<T: Detector + ?Sized> Detector for Arc<T> {
    fn detect(&self, host: &HostView, touched: &Touched, now: Timestamp) -> Vec<Verdict> {
        T::detect(self, host, touched, now)
    }
}
