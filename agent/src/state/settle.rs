//! What is given back to a disk that is short of room, and what is held in reserve for it.

use super::{State, StateError};

impl State {
    /// Some pages at a time, one a step; what is left is there at the next commit.
    fn give_back(&self) -> Result<(), StateError> {
        let mut vacuum = self.db.prepare_cached("PRAGMA incremental_vacuum(256)")?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
        Ok(())
    }

    /// After a commit: pages that became free go back to a disk that is short of room, and the reserve is refilled, there
    /// too if it fits: it is for the next time that the disk is full.
    pub(super) fn settle(&mut self) {
        if self.allowed() < self.options.bound
            && let Err(error) = self.give_back()
        {
            tracing::debug!("free pages stay in state.db: {error}");
        }
        self.disk.refill();
    }

    /// Gives the reserve up, so that "disk full" can be written; `false` if it was used before.
    pub fn use_reserve(&mut self) -> bool {
        self.disk.use_reserve()
    }

    /// True while the reserve is there.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.disk.is_reserved()
    }
}
