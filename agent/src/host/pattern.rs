//! Paths with `*` for the name of one folder.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{Host, HostError, Kind};

/// Folders that all patterns together may lead to.
const MAX_FOLDERS: usize = 1_024;

/// The part of a pattern before its first `*`: what to watch.
#[must_use]
pub fn fixed_part(pattern: &str) -> PathBuf {
    Path::new(pattern).components().take_while(|part| part.as_os_str() != "*").collect()
}

impl Host {
    /// The folders that there are for these patterns, all links replaced, so that none comes twice. What cannot be
    /// looked at is handed to `failed`.
    pub fn expand(&self, patterns: &[String], failed: &mut dyn FnMut(HostError)) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for pattern in patterns {
            let mut here = vec![PathBuf::from("/")];
            for part in Path::new(pattern).components() {
                let Component::Normal(part) = part else { continue };
                let mut next = Vec::new();
                for folder in here {
                    if part != "*" {
                        next.extend(self.real(folder.join(part), failed));
                        continue;
                    }
                    match self.list(&folder) {
                        Ok(entries) => {
                            let inner =
                                entries.into_iter().filter(|entry| matches!(entry.kind, Kind::Folder | Kind::Link));
                            next.extend(inner.filter_map(|entry| self.real(folder.join(entry.name), failed)));
                        }
                        Err(error) if error.is_absent() => {}
                        Err(error) => failed(error),
                    }
                    next.truncate(MAX_FOLDERS);
                }
                here = next;
            }
            folders.extend(here);
        }
        folders
    }

    /// Where a path really leads, if there is something; what stands in the way is handed to `failed`.
    pub fn real(&self, path: PathBuf, failed: &mut dyn FnMut(HostError)) -> Option<PathBuf> {
        match self.resolve(&path) {
            Ok(path) => Some(path),
            Err(error) => {
                if !error.is_absent() {
                    failed(error);
                }
                None
            }
        }
    }
}
