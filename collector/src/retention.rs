//! What is kept for how long, by the time of receipt: a host's clock decides nothing.

use std::time::Duration;

use anyhow::Result;
use plumb_proto::time::Timestamp;

use crate::store::Tx;

/// Payloads of records that hold facts or events: their rows are kept; the payload itself serves a second reading only.
pub const PAYLOADS: Duration = Duration::from_secs(24 * 3600);

/// Drops what is older than it need be, a bounded part of it; to be called in a transaction of its own until it answers
/// `false`, and again some minutes later.
///
/// # Errors
/// The store's.
pub fn sweep(tx: &mut dyn Tx, now: Timestamp) -> Result<bool> {
    tx.drop_payloads(now - PAYLOADS)
}
