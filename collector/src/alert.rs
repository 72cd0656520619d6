//! What opens, repeats, resolves. Pure: known drifts and new verdicts in, decisions out.

use crate::drift::KnownDrift;
use crate::store::rows::Alert;

/// What was decided, to be kept in the transaction of the record that led to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transitions {
    /// Drifts that are new or have changed.
    pub drifts: Vec<KnownDrift>,
    /// Alerts for the outbox.
    pub alerts: Vec<Alert>,
}
