//! What a watcher left behind in earlier looks: cursors, and rows that it keeps.

use super::Look;
use crate::kept::Row;

/// Cursors and kept rows, as of the last committed record and what waits to be written.
pub trait Stored {
    /// The place where a durable source was left.
    fn cursor(&self, name: &str) -> Option<Vec<u8>>;

    /// What is kept under a key.
    fn kept(&self, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// The next kept row, in the order of bytes, strictly after a key.
    fn kept_after(&self, _key: &[u8]) -> Option<Row> {
        None
    }

    /// False where nothing outlives the look, such as in `plumb-agent once`.
    fn keeps(&self) -> bool {
        false
    }
}

/// Cursors only.
impl<F: Fn(&str) -> Option<Vec<u8>>> Stored for F {
    fn cursor(&self, name: &str) -> Option<Vec<u8>> {
        self(name)
    }
}

impl Look<'_> {
    /// What the watcher keeps under a key, as of the last committed record, or as set in this look.
    #[must_use]
    pub fn kept(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.told.kept.get(key) {
            Some(fresh) => fresh.map(<[u8]>::to_vec),
            None => self.stored.kept(key),
        }
    }

    /// The next row that the watcher keeps, in the order of bytes, strictly after `key`.
    #[must_use]
    pub fn kept_after(&self, key: &[u8]) -> Option<Row> {
        self.told.kept.after(key, &mut |key| self.stored.kept_after(key))
    }

    /// Keeps a value under a key, in the same transaction as what was told in this look.
    pub fn keep(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.told.kept.set(key, Some(value));
    }

    /// Keeps nothing under a key any more.
    pub fn drop_kept(&mut self, key: Vec<u8>) {
        self.told.kept.set(key, None);
    }

    /// Bytes that this slice of the look keeps so far, about: end the slice when they are many.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.told.kept.bytes()
    }

    /// True where what is kept outlives the look. In `plumb-agent once` nothing does.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.stored.keeps()
    }
}
