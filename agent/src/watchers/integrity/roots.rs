//! Which trees there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Integrity;
use super::tree::Tree;
use crate::host::pattern::expand;
use crate::host::{Host, HostError, Kind};
use crate::web::{self, Web};

/// Folders that hold more than a website, whatever is configured.
const TOO_MUCH: [&str; 22] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/lib",
    "/usr/share",
    "/var",
    "/var/lib",
];
/// Trees, at most.
const MOST: usize = 2_000;

/// What was found.
#[derive(Default)]
pub(super) struct Roots {
    /// Sorted by name; none lies in another, by its place or by its name.
    pub(super) trees: Vec<Tree>,
    /// Configured roots that cannot be looked at; without a name, what may name more of them.
    pub(super) problems: Vec<(PathBuf, HostError)>,
}

impl Integrity {
    /// Finds the trees.
    pub(super) fn find_trees(&self, host: &Host) -> Roots {
        let mut found = Roots::default();
        let mut names: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for pattern in &self.configuration {
            names.extend(expand(host, pattern, &mut |_| {}).into_iter().map(|path| (path, false)));
        }
        let configured = if self.discover { web::read(host) } else { Web::default() };
        let named = configured.document_roots();
        found.problems.extend(configured.problems.into_iter().map(|error| (PathBuf::new(), error)));
        let code = self.roots.iter().flat_map(|pattern| expand(host, pattern, &mut |_| {})).chain(named);
        for path in code.filter(|path| !TOO_MUCH.iter().any(|each| path == Path::new(each))) {
            names.entry(path).or_insert(true);
        }
        let mut by_place: BTreeMap<PathBuf, Tree> = BTreeMap::new();
        for (name, code) in names {
            let real = match host.resolve(&name).and_then(|real| host.stat(&real).map(|meta| (real, meta.kind))) {
                Ok((real, Kind::Folder)) => real,
                Ok(_) => continue,
                Err(error) if error.is_absent() => continue,
                Err(error) => {
                    found.problems.push((name, error));
                    continue;
                }
            };
            if code && TOO_MUCH.iter().any(|each| real == Path::new(each)) {
                continue;
            }
            by_place.entry(real.clone()).or_insert(Tree { name, real, code, ..Tree::default() });
        }
        for (real, tree) in by_place {
            // Sorted, so what a tree lies in came before it.
            let inside = found.trees.iter().any(|other: &Tree| real.starts_with(&other.real));
            if !inside && found.trees.len() < MOST {
                found.trees.push(tree);
            }
        }
        unnest(&mut found.trees);
        found.trees.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }
}

/// A tree whose name lies in that of another, as a link in it does, is called by its place: what is kept is kept by name,
/// and what lies below a tree's name is the tree's. Places lie in no other tree, so it comes to an end.
fn unnest(trees: &mut [Tree]) {
    loop {
        let names: BTreeSet<PathBuf> = trees.iter().map(|tree| tree.name.clone()).collect();
        let nested = |tree: &&mut Tree| tree.name.ancestors().skip(1).any(|folder| names.contains(folder));
        let mut found = trees.iter_mut().filter(|tree| tree.name != tree.real).filter(nested).peekable();
        if found.peek().is_none() {
            return;
        }
        found.for_each(|tree| tree.name.clone_from(&tree.real));
    }
}
