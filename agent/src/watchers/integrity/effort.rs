//! How much one slice of a look may do.

use std::time::Duration;

use crate::watcher::Look;

/// Microseconds of work in a slice, as it is reckoned here: what is done counts, so that a slice ends on a clock that
/// stands still, too.
const SLICE: u64 = 40_000;
/// Time that a slice takes at most, but for one read.
const LONGEST: Duration = Duration::from_millis(50);
/// Bytes of kept rows after which a slice ends.
const KEPT: usize = 256 << 10;

/// See the module.
pub(super) struct Effort {
    done: u64,
    until: Duration,
}

impl Effort {
    pub(super) fn new(look: &Look<'_>) -> Self {
        Self { done: 0, until: look.host.clock().monotonic() + LONGEST }
    }

    /// An entry was asked, or a row compared.
    pub(super) fn asked(&mut self, count: usize) {
        self.done += 3 * u64::try_from(count).unwrap_or(u64::MAX);
    }

    /// A file was opened.
    pub(super) fn opened(&mut self) {
        self.done += 20;
    }

    /// Bytes were read and hashed.
    pub(super) fn read(&mut self, bytes: usize) {
        self.done += u64::try_from(bytes / 1_000).unwrap_or(u64::MAX);
    }

    pub(super) fn is_spent(&self, look: &Look<'_>) -> bool {
        self.done >= SLICE || look.kept_bytes() >= KEPT || look.host.clock().monotonic() >= self.until
    }
}
