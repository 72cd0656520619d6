//! The way through all trees, in the order of their rows, so that rows of folders that are gone are met on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::changes::Changes;
use super::super::compare::below;
use super::super::effort::Effort;
use super::super::entry::Row;
use super::super::packages::WATCHED;
use super::super::tree::{Totals, folder_key, folder_path, is_within};
use super::super::walk::{Step, Walk};
use super::{Integrity, Scan, Why};
use crate::watcher::Look;

/// Where it is.
pub(super) struct Sweep {
    walk: Option<Walk>,
    /// Trees that are to come, the next one last.
    rest: Vec<usize>,
    /// Up to where rows were met.
    at: Vec<u8>,
    /// Up to where rows outside all trees were looked for.
    tidied: Vec<u8>,
}

impl Sweep {
    pub(super) fn walk(&mut self) -> Option<&mut Walk> {
        self.walk.as_mut()
    }

    /// Leaves a folder and all below it as they are kept.
    pub(super) fn pass_over(&mut self, key: &[u8]) {
        self.at = end_of(key);
    }
}

impl Scan {
    /// Begins anew: finds the trees, and looks at everything. Nothing else is at work.
    pub(super) fn sweep(&mut self, look: &mut Look<'_>, settings: &Integrity) {
        // What was mounted since may hang; a host without mountinfo has nothing of the kind.
        let _ = look.host.mounts();
        let found = settings.find_trees(look.host);
        self.changed.problems = found.problems;
        self.changed.lost = false;
        (self.fresh, self.gone, self.comparing) = (Vec::new(), Vec::new(), None);
        self.trees = found.trees;
        for tree in &mut self.trees {
            tree.totals = look.kept(&tree.key()).and_then(|row| Totals::decode(&row)).unwrap_or_default();
        }
        if !self.may_have_more_trees() {
            // What comes back later begins anew.
            forget_totals(look, &self.trees.iter().map(super::Tree::key).collect());
        }
        let rest = (0..self.trees.len()).rev().collect();
        self.sweep = Some(Sweep { walk: None, rest, at: b"d".to_vec(), tidied: b"d".to_vec() });
        if settings.packages {
            self.packages.scan(look);
            if let Ok(events) = &mut self.events {
                for folder in WATCHED {
                    // Their files are judged by package; here only that something happens is of interest.
                    let _ = look.host.examine(folder.as_ref(), Some((&mut *events, None)));
                }
            }
        }
    }

    /// Goes on; `false` if there is no sweep, or it is over.
    pub(super) fn sweep_on(
        &mut self,
        look: &mut Look<'_>,
        settings: &Integrity,
        effort: &mut Effort,
        now: Duration,
    ) -> bool {
        let Some(sweep) = &mut self.sweep else { return false };
        let Some(walk) = &mut sweep.walk else {
            let Some(number) = sweep.rest.last().copied() else { return self.tidy(look, effort, now) };
            if let Some(tree) = self.trees.get(number) {
                // Its rows are of a tree that it was part of, or that was part of it: they are in the sums of that one.
                if look.kept(&tree.key()).is_none() && !forget_below(look, &folder_key(&tree.name), effort) {
                    return true;
                }
                let first = Step { real: tree.real.clone(), shown: tree.name.clone(), parent: None };
                sweep.walk = Some(Walk::new(number, first));
            }
            sweep.rest.pop();
            return true;
        };
        let number = walk.tree;
        match walk.next() {
            Some(step) => {
                let key = folder_key(&step.shown);
                self.meet(look, number, &key, effort);
                if let Some(sweep) = &mut self.sweep {
                    sweep.at = key;
                }
                self.compare(look, settings, (Why::Sweep, number), step, effort);
            }
            None => {
                let Some(tree) = self.trees.get_mut(number) else { return true };
                let end = end_of(&folder_key(&tree.name));
                if !tree.totals.complete {
                    tree.totals.complete = true;
                    look.keep(tree.key(), tree.totals.encode());
                }
                self.meet(look, number, &end, effort);
                if let Some(sweep) = &mut self.sweep {
                    sweep.walk = None;
                }
            }
        }
        true
    }

    /// Rows of a tree before `key` that were not met are of folders that are gone, unless they came just now.
    fn meet(&mut self, look: &mut Look<'_>, number: usize, key: &[u8], effort: &mut Effort) {
        let Some(tree) = self.trees.get(number) else { return };
        let root = folder_key(&tree.name);
        let mut at = self.sweep.as_ref().map_or_else(Vec::new, |sweep| sweep.at.clone());
        at = at.max(root.clone());
        while let Some((met, _)) = look.kept_after(&at) {
            effort.asked(3);
            if met.as_slice() >= key || !is_within(&met, &root) {
                break;
            }
            if is_listed(look, &met) {
                at = met;
            } else {
                at = end_of(&met);
                self.gone.push((number, met));
            }
        }
    }

    /// Removes the first row of a folder or below it; `false` if there is none left.
    pub(super) fn remove_next(
        &mut self,
        look: &mut Look<'_>,
        number: usize,
        folder: &[u8],
        effort: &mut Effort,
    ) -> bool {
        let Some(tree) = self.trees.get_mut(number) else { return false };
        let found = match look.kept(folder) {
            Some(row) => Some((folder.to_vec(), row)),
            None => look.kept_after(folder).filter(|(key, _)| is_within(key, folder)),
        };
        let Some((key, row)) = found else { return false };
        let shown = folder_path(&key);
        let mut changes = Changes::default();
        let inside = below(&tree.name, &shown);
        for entry in Row::decode(&row).unwrap_or_default().entries {
            effort.asked(1);
            tree.totals.subtract(&inside, &entry);
            changes.note(Some(entry), None);
        }
        changes.tell(look, &tree.name, &shown, false);
        look.keep(tree.key(), tree.totals.encode());
        look.drop_kept(key);
        true
    }

    /// Whether there may be trees that are not known: what names them could not be read.
    fn may_have_more_trees(&self) -> bool {
        self.changed.problems.iter().any(|(name, _)| name.as_os_str().is_empty())
    }

    /// Rows of what is no tree any more go without a word: the tree's own row is gone.
    fn tidy(&mut self, look: &mut Look<'_>, effort: &mut Effort, now: Duration) -> bool {
        if self.may_have_more_trees() {
            (self.sweep, self.swept) = (None, Some(now));
            return false;
        }
        let Some(sweep) = &mut self.sweep else { return false };
        while !effort.is_spent(look) {
            effort.asked(1);
            let next = look.kept_after(&sweep.tidied).filter(|(key, _)| key.starts_with(b"d"));
            let Some((key, _)) = next else {
                (self.sweep, self.swept) = (None, Some(now));
                return false;
            };
            let tree = self.trees.iter().map(|tree| folder_key(&tree.name)).find(|root| is_within(&key, root));
            match tree {
                Some(root) => sweep.tidied = end_of(&root),
                None => {
                    look.drop_kept(key.clone());
                    sweep.tidied = key;
                }
            }
        }
        true
    }
}

/// After every row of a folder and below it.
fn end_of(key: &[u8]) -> Vec<u8> {
    [key, &[0], &[0xff; 16]].concat()
}

/// True if the row of the folder that a folder is in says that it is there.
fn is_listed(look: &Look<'_>, key: &[u8]) -> bool {
    let Some(cut) = key.iter().rposition(|byte| *byte == 0) else { return false };
    let (parent, name) = (&key[..cut], &key[cut + 1..]);
    let row = look.kept(parent).and_then(|row| Row::decode(&row)).unwrap_or_default();
    row.entries.iter().any(|entry| entry.is_folder() && entry.name == name)
}

/// Drops the rows of a folder and of those below it without a word; `false` if there are more.
fn forget_below(look: &mut Look<'_>, folder: &[u8], effort: &mut Effort) -> bool {
    if look.kept(folder).is_some() {
        look.drop_kept(folder.to_vec());
    }
    while let Some((key, _)) = look.kept_after(folder).filter(|(key, _)| is_within(key, folder)) {
        if effort.is_spent(look) {
            return false;
        }
        effort.asked(1);
        look.drop_kept(key);
    }
    true
}

fn forget_totals(look: &mut Look<'_>, trees: &BTreeSet<Vec<u8>>) {
    let mut last = b"t".to_vec();
    while let Some((key, _)) = look.kept_after(&last).filter(|(key, _)| key.starts_with(b"t")) {
        if !trees.contains(&key) {
            look.drop_kept(key.clone());
        }
        last = key;
    }
}
