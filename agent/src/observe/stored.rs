//! Cursors and kept rows as the next record will leave them.

use std::cell::RefCell;

use super::Pending;
use crate::kept::Row;
use crate::state::{State, StateError};
use crate::watcher::Stored;

/// What one watcher left behind: what is pending lies over what is written.
pub(super) struct Committed<'a> {
    pub(super) pending: &'a Pending,
    pub(super) state: &'a State,
    pub(super) watcher: &'a str,
    /// Why something could not be read: what the watcher says then is worth nothing.
    pub(super) broken: &'a RefCell<Option<StateError>>,
}

impl Committed<'_> {
    fn read<T>(&self, read: Result<Option<T>, StateError>) -> Option<T> {
        read.unwrap_or_else(|error| {
            self.broken.replace(Some(error));
            None
        })
    }
}

impl Stored for Committed<'_> {
    fn cursor(&self, name: &str) -> Option<Vec<u8>> {
        let pending = self.pending.cursor(self.watcher, name);
        pending.or_else(|| self.read(self.state.cursor(self.watcher, name)))
    }

    fn kept(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.pending.kept_under(self.watcher, key) {
            Some(pending) => pending.map(<[u8]>::to_vec),
            None => self.read(self.state.kept(self.watcher, key)),
        }
    }

    fn kept_after(&self, key: &[u8]) -> Option<Row> {
        self.pending.kept_after(self.watcher, key, &mut |key| self.read(self.state.kept_after(self.watcher, key)))
    }

    fn keeps(&self) -> bool {
        true
    }
}
