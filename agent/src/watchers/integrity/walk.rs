//! The way through a tree: a folder, then those in it, by name.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::host::tree_events::Watch;

/// Folders one in the other.
const DEPTH: usize = 64;

/// A folder to look at.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) real: PathBuf,
    pub(super) shown: PathBuf,
    pub(super) parent: Option<Watch>,
}

#[derive(Debug)]
struct Level {
    real: PathBuf,
    shown: PathBuf,
    watch: Option<Watch>,
    /// Those that are to come, the next one last.
    rest: Vec<OsString>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Walk {
    /// Number of the tree.
    pub(super) tree: usize,
    first: Option<Step>,
    levels: Vec<Level>,
}

impl Walk {
    pub(super) fn new(tree: usize, first: Step) -> Self {
        Self { tree, first: Some(first), levels: Vec::new() }
    }

    /// The next folder.
    pub(super) fn next(&mut self) -> Option<Step> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.rest.pop() else {
                self.levels.pop();
                continue;
            };
            return Some(Step { real: level.real.join(&name), shown: level.shown.join(&name), parent: level.watch });
        }
    }

    /// Goes into the folder that was looked at last. Answers `false` where it is too deep.
    pub(super) fn enter(
        &mut self,
        real: PathBuf,
        shown: PathBuf,
        watch: Option<Watch>,
        folders: Vec<OsString>,
    ) -> bool {
        if self.levels.len() >= DEPTH {
            return folders.is_empty();
        }
        let rest = folders.into_iter().rev().collect();
        self.levels.push(Level { real, shown, watch, rest });
        true
    }
}
