//! What is kept for how long, by the time of receipt: a host's clock decides nothing. What is settings is in
//! `collector.toml`; certificates that were issued and the audit are kept for good.

use std::time::Duration;

use anyhow::Result;
use plumb_proto::time::Timestamp;

use crate::store::{Keep, Tx};

/// Payloads of records that hold facts or events: their rows are kept; the payload itself serves a second reading only.
pub const PAYLOADS: Duration = Duration::from_secs(24 * 3600);
/// Payloads of records that hold samples only: by then they are merged into hours.
pub const SAMPLE_PAYLOADS: Duration = Duration::from_secs(2 * 3600);

/// Makes the history smaller, by a bounded step; to be called in a transaction of its own until it answers `false`, and
/// again some minutes later.
///
/// # Errors
/// The store's.
pub fn sweep(tx: &mut dyn Tx, now: Timestamp, keep: &Keep) -> Result<bool> {
    tx.tidy(now, keep)
}
