//! Folders in which something changed, and when each is looked at: at once, then less and less often while it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::effort::Effort;
use super::super::packages::WATCHED;
use super::super::tree::folder_key;
use super::super::walk::Step;
use super::{Integrity, Scan, Why};
use crate::host::HostError;
use crate::host::tree_events::Watch;
use crate::watcher::Look;

/// Pause after a second change of a folder, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));
/// Folders whose pauses are remembered.
const BUSY: usize = 512;

/// See the module.
#[derive(Default)]
pub(super) struct Changed {
    folders: BTreeSet<Watch>,
    /// Until when a folder is left alone, and how long it was.
    busy: BTreeMap<Watch, (Duration, Duration)>,
    /// More happened than is known.
    pub(super) lost: bool,
    /// Roots that cannot be looked at, as of the last sweep.
    pub(super) problems: Vec<(PathBuf, HostError)>,
}

impl Changed {
    pub(super) fn any(&self) -> bool {
        !self.folders.is_empty() || self.lost
    }

    /// The next folder whose pause is over.
    pub(super) fn take(&mut self, now: Duration) -> Option<Watch> {
        let ready = |watch: &&Watch| self.busy.get(*watch).is_none_or(|(until, _)| *until <= now);
        let watch = *self.folders.iter().find(ready)?;
        self.folders.remove(&watch);
        let (first, longest) = PAUSES;
        let pause = match self.busy.get(&watch) {
            // Quiet for as long as its pause: it begins anew.
            Some((until, pause)) if *until + *pause > now => (*pause * 2).min(longest),
            _ => first,
        };
        if self.busy.len() >= BUSY {
            self.busy.retain(|_, (until, pause)| *until + *pause > now);
        }
        if self.busy.len() < BUSY {
            self.busy.insert(watch, (now + pause, pause));
        }
        Some(watch)
    }

    /// How long until the next one is to be looked at.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        let until = |watch| self.busy.get(watch).map_or(Duration::ZERO, |(until, _)| until.saturating_sub(now));
        self.folders.iter().map(until).min()
    }
}

impl Scan {
    /// Takes in what the system told.
    pub(super) fn hear(&mut self, look: &mut Look<'_>, _now: Duration) {
        let Ok(events) = &mut self.events else { return };
        let changes = events.take();
        self.changed.folders.extend(changes.folders);
        if changes.lost && !std::mem::replace(&mut self.changed.lost, true) {
            Self::tell_lost(look);
        }
    }

    /// Looks at a folder that changed.
    pub(super) fn look_at_changed(
        &mut self,
        look: &mut Look<'_>,
        settings: &Integrity,
        watch: &Watch,
        effort: &mut Effort,
    ) {
        let Some(real) = self.events.as_ref().ok().and_then(|events| events.path(*watch)) else { return };
        if settings.packages && WATCHED.iter().any(|folder| real == Path::new(folder)) {
            self.packages.judge_folder(look, &real);
        }
        let found = self.trees.iter().enumerate().find_map(|(number, tree)| Some((number, tree.shown(&real)?)));
        let Some((number, shown)) = found else { return };
        let parent = self.events.as_ref().ok().and_then(|events| events.parent(*watch));
        self.compare(look, settings, (Why::Event, number), Step { real, shown, parent }, effort);
    }

    /// Looks again at a folder whose files are of other packages now; one that nobody has looked at yet has time.
    pub(super) fn look_again(&mut self, look: &mut Look<'_>, settings: &Integrity, real: PathBuf, effort: &mut Effort) {
        effort.asked(1);
        let found = self.trees.iter().enumerate().find_map(|(number, tree)| Some((number, tree.shown(&real)?)));
        let Some((number, shown)) = found.filter(|(_, shown)| look.kept(&folder_key(shown)).is_some()) else { return };
        let parent = self.events.as_ref().ok().and_then(|events| events.parent(events.find(&real)?));
        self.compare(look, settings, (Why::Event, number), Step { real, shown, parent }, effort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_changes_all_the_time_is_looked_at_less_and_less_often_and_at_once_after_a_rest() {
        let watch = Watch::numbered(1);
        let mut changed = Changed::default();
        let (mut now, mut looks) = (Duration::ZERO, Vec::new());
        while now < Duration::from_mins(20) {
            changed.folders.insert(watch);
            if changed.take(now).is_some() {
                looks.push(now.as_secs());
            }
            now += Duration::from_secs(1);
        }
        assert_eq!(looks[..6], [0, 2, 6, 14, 30, 62]);
        assert!(looks.len() < 13, "{looks:?}");
        assert!(changed.next(now).is_some_and(|wait| wait <= Duration::from_mins(5)));
        now += Duration::from_mins(11);
        assert_eq!(changed.take(now), Some(watch));
        changed.folders.insert(watch);
        assert_eq!(changed.next(now), Some(Duration::from_secs(2)));
    }
}
