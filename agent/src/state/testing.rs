//! A folder of its own for each test, and a disk that has room.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::{Ask, Room};

/// A folder that goes when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("plumb-agent-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A disk with 50 of 100 GiB free.
pub(crate) fn roomy() -> Ask {
    Arc::new(|_: &Path| Ok(Room { free: 50 << 30, total: 100 << 30 }))
}

impl super::State {
    /// From now on the database cannot grow, as on a full disk. Answers what [`State::free_disk`] needs.
    pub(crate) fn fill_disk(&self) -> i64 {
        self.db.execute_batch("PRAGMA incremental_vacuum").unwrap();
        let pages = |pragma: &str| self.db.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap();
        let before = pages("PRAGMA max_page_count");
        let now = pages("PRAGMA page_count");
        pages(&format!("PRAGMA max_page_count = {now}"));
        // Fills the free places of the pages that are there.
        while self.db.execute("INSERT INTO cursors VALUES ('', random(), zeroblob(200))", []).is_ok() {}
        before
    }

    /// It is as if it could be opened by giving the reserve up only.
    pub(crate) fn open_on_reserve(&mut self) {
        self.on_reserve = true;
    }

    /// There is room again.
    pub(crate) fn free_disk(&self, pages: i64) {
        self.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    }

    /// Makes it as an agent before format 2 left it.
    pub(crate) fn age_to_format_1(&self) {
        self.db.execute_batch("DROP TABLE kept; PRAGMA user_version = 1;").unwrap();
    }

    /// Changes what was written.
    pub(crate) fn damage(&self) {
        self.db.execute_batch("UPDATE records SET payload = zeroblob(length(payload))").unwrap();
    }
}
