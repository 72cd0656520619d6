//! What is done, and in which order: what changed just now, what is new, packages, and the sweep through everything.

mod events;
mod sweep;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use plumb_proto::model::Severity;

use super::code::is_any;
use super::compare::{Compared, Comparison, Place, below};
use super::effort::Effort;
use super::entry::Row;
use super::packages::{Packages, is_packaged, owned};
use super::reading::{BUFFER, digest};
use super::tree::{Totals, Tree, folder_key};
use super::walk::{Step, Walk};
use super::{Integrity, PACKAGE_FILE, TREE, tell_tree};
use crate::host::ErrorKind;
use crate::host::tree_events::TreeEvents;
use crate::watcher::{Look, Progress};
use events::Changed;
use sweep::Sweep;

/// Counts the writes of this watcher: tells whether what is kept is what memory believes.
const GENERATION: &[u8] = b"g";
/// Every file is read again within so many days, whatever it says of itself: times can be forged.
const ROTATION: u64 = 30;
/// How soon a package is judged again that was being replaced.
const SETTLE: Duration = Duration::from_secs(15);

/// Time from one sweep after lost changes to the next.
const OVERFLOWS: Duration = Duration::from_mins(1);

/// Who asked for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Event,
    Fresh,
    Sweep,
}

/// See the module.
pub(super) struct Scan {
    generation: u64,
    trees: Vec<Tree>,
    events: Result<TreeEvents, String>,
    changed: Changed,
    /// Folders that are new, with all below them.
    fresh: Vec<Walk>,
    /// Number of a tree, and the row of a folder that is not there any more.
    gone: Vec<(usize, Vec<u8>)>,
    comparing: Option<(Why, Comparison)>,
    packages: Packages,
    sweep: Option<Sweep>,
    /// When the last one ended.
    swept: Option<Duration>,
    /// A look goes on.
    begun: bool,
    buffer: Vec<u8>,
    again: Option<Duration>,
    /// When that is.
    due: Option<Duration>,
}

impl Scan {
    pub(super) fn new(look: &Look<'_>) -> Self {
        Self {
            generation: generation(look),
            trees: Vec::new(),
            events: TreeEvents::new(look.host),
            changed: Changed::default(),
            fresh: Vec::new(),
            gone: Vec::new(),
            comparing: None,
            packages: Packages::default(),
            sweep: None,
            swept: None,
            begun: false,
            buffer: Vec::new(),
            again: None,
            due: None,
        }
    }

    /// True if what is kept is what this remembers.
    pub(super) fn is_of(&self, look: &Look<'_>) -> bool {
        self.generation == generation(look)
    }

    pub(super) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().ok().map(TreeEvents::bell)
    }

    pub(super) fn again(&self) -> Option<Duration> {
        self.again
    }

    /// One slice.
    pub(super) fn slice(&mut self, look: &mut Look<'_>, settings: &Integrity) -> Progress {
        let now = look.host.clock().monotonic();
        let mut effort = Effort::new(look);
        self.hear(look, now);
        if !self.begun {
            self.begin(look, settings, now);
        }
        self.buffer.resize(BUFFER, 0);
        let mut more = true;
        while more && !effort.is_spent(look) {
            more = self.step(look, settings, &mut effort, now);
        }
        if look.kept_bytes() > 0 {
            self.generation += 1;
            look.keep(GENERATION.to_vec(), self.generation.to_le_bytes().to_vec());
        }
        if more {
            return Progress::More;
        }
        self.end(look, settings, now)
    }

    /// A look begins. One that comes by time says that somebody still looks, and is a sweep when the last was long ago.
    fn begin(&mut self, look: &mut Look<'_>, settings: &Integrity, now: Duration) {
        self.begun = true;
        let woken = !look.trigger.is_empty() || self.changed.any() || self.due.take().is_some_and(|due| due <= now);
        if settings.packages && (!look.trigger.is_empty() || self.packages.postponed) {
            self.packages.scan(look);
        }
        let rested = |swept| now.saturating_sub(swept) >= OVERFLOWS;
        let lost = self.changed.lost && self.swept.is_none_or(rested);
        // What wakes it all the time must not keep it from ever going through everything.
        let patience = Duration::from_hours(settings.sweep_hours + u64::from(woken));
        if lost || self.swept.is_none_or(|swept| now.saturating_sub(swept) >= patience) {
            self.sweep(look, settings);
        }
    }

    /// Everything was looked at: tells what stands.
    fn end(&mut self, look: &mut Look<'_>, settings: &Integrity, now: Duration) -> Progress {
        self.begun = false;
        self.buffer = Vec::new();
        let postponed = self.packages.postponed.then_some(SETTLE);
        let lost = self.changed.lost.then_some(OVERFLOWS);
        self.again = self.changed.next(now).into_iter().chain(postponed).chain(lost).min();
        self.due = self.again.map(|again| now + again);
        // A folder without files is no tree yet.
        let holds = |tree: &Tree| tree.totals.files > 0 || !tree.problems.is_empty();
        let nothing = !self.trees.iter().any(holds);
        if nothing && !self.packages.known && self.changed.problems.is_empty() {
            return Progress::Absent;
        }
        for (path, error) in &self.changed.problems {
            look.problem(&TREE, path.as_os_str().as_bytes(), error.path.clone(), error, error.hint());
        }
        let mode = match &self.events {
            Ok(events) => events.degraded().map_or_else(|| "events".to_owned(), |why| format!("sweeps: {why}")),
            Err(why) => format!("sweeps: {why}"),
        };
        for tree in &self.trees {
            // New files count as nobody's until it is known whose they are.
            let unsettled = self.packages.postponed && is_packaged(look, &tree.real);
            tell_tree(look, tree, &mode, unsettled);
        }
        if settings.packages {
            self.packages.tell(look, &PACKAGE_FILE);
        }
        Progress::Done
    }

    /// Does the next thing; `false` if there is none.
    fn step(&mut self, look: &mut Look<'_>, settings: &Integrity, effort: &mut Effort, now: Duration) -> bool {
        if let Some((why, mut comparison)) = self.comparing.take() {
            match comparison.step(look, &settings.ignore, &mut self.buffer, effort) {
                true => self.compared(look, why, comparison.finish()),
                false => self.comparing = Some((why, comparison)),
            }
            return true;
        }
        if let Some((tree, folder)) = self.gone.pop() {
            if self.remove_next(look, tree, &folder, effort) {
                self.gone.push((tree, folder));
            }
            return true;
        }
        if let Some(folder) = self.changed.take(now) {
            self.look_at_changed(look, settings, &folder, effort);
            return true;
        }
        if let Some(walk) = self.fresh.last_mut() {
            let tree = walk.tree;
            match walk.next() {
                Some(step) => self.compare(look, settings, (Why::Fresh, tree), step, effort),
                None => drop(self.fresh.pop()),
            }
            return true;
        }
        if settings.packages && self.packages.step(look, &self.trees, &mut self.buffer, effort) {
            return true;
        }
        if let Some(folder) = self.packages.next_changed() {
            self.look_again(look, settings, folder, effort);
            return true;
        }
        self.sweep_on(look, settings, effort, now) || (settings.packages && self.packages.catch_up(look))
    }

    /// Begins to compare a folder.
    fn compare(
        &mut self,
        look: &mut Look<'_>,
        settings: &Integrity,
        (why, number): (Why, usize),
        step: Step,
        effort: &mut Effort,
    ) {
        let Some(tree) = self.trees.get_mut(number) else { return };
        effort.opened();
        let inside = below(&tree.name, &step.shown);
        let is_cache = |path: &Path| is_any(&settings.caches, path);
        let cache = tree.code && inside.ancestors().any(|part| !part.as_os_str().is_empty() && is_cache(part));
        // What is made anew all the time would wake the agent all the time.
        let events = self.events.as_mut().ok().filter(|_| !cache).map(|events| (events, step.parent));
        let folder = match look.host.examine(&step.real, events) {
            Ok(folder) => folder,
            Err(error) if error.is_absent() => return, // the folder it was in tells
            Err(error) => {
                match error.kind {
                    ErrorKind::MayHang => tree.is_beyond(&step.shown, &error.kind),
                    _ => tree.cannot(&step.shown, &error.kind, error.hint()),
                }
                if let Some(sweep) = self.sweep.as_mut().filter(|_| why == Why::Sweep) {
                    sweep.pass_over(&folder_key(&step.shown));
                }
                return;
            }
        };
        tree.problems.remove(&step.shown);
        effort.asked(folder.items.len());
        let key = folder_key(&step.shown);
        let row = look.kept(&key).and_then(|row| Row::decode(&row));
        let owned = if tree.code { owned(look, &step.real) } else { BTreeSet::new() };
        let place = Place {
            tree: number,
            shown: step.shown,
            real: step.real,
            below: inside,
            cache,
            code: tree.code && !cache,
            first: !tree.totals.complete,
        };
        let today = u64::try_from(look.now.millis() / 86_400_000).unwrap_or(0);
        let turn = u64::from(digest(&key)[0]) % ROTATION;
        let today = Some(today).filter(|today| today % ROTATION == turn);
        self.comparing = Some((why, Comparison::new(place, folder, row, owned, today)));
    }

    /// A folder was compared: keeps it, and tells what changed.
    fn compared(&mut self, look: &mut Look<'_>, why: Why, compared: Compared) {
        let Compared { place, watch, row, totals, changes, folders, gone, beyond } = compared;
        let Some(tree) = self.trees.get_mut(place.tree) else { return };
        let key = folder_key(&place.shown);
        if let Some(row) = row {
            look.keep(key.clone(), row.encode());
        }
        if totals != Totals::default() {
            tree.totals.merge(&totals);
            look.keep(tree.key(), tree.totals.encode());
        }
        beyond.iter().for_each(|(name, why)| tree.is_beyond(&place.shown.join(name), why));
        changes.tell(look, &tree.name, &place.shown, place.cache);
        if changes.count() > 0 && why != Why::Sweep {
            self.packages.judge_folder(look, &place.real);
        }
        for name in gone {
            if let (Ok(events), Some(watch)) = (&mut self.events, watch) {
                events.forget(watch, &name);
            }
            self.gone.push((place.tree, [&key[..], &[0], name.as_bytes()].concat()));
        }
        let enter = |walk: &mut Walk, folders: Vec<OsString>| {
            walk.enter(place.real.clone(), place.shown.clone(), watch, folders)
        };
        let all = |folders: Vec<(OsString, bool)>| folders.into_iter().map(|(name, _)| name).collect();
        let entered = match why {
            Why::Event => {
                for (name, _) in folders.into_iter().filter(|(_, fresh)| *fresh) {
                    let (real, shown) = (place.real.join(&name), place.shown.join(&name));
                    self.fresh.push(Walk::new(place.tree, Step { real, shown, parent: watch }));
                }
                true
            }
            Why::Fresh => self.fresh.last_mut().is_none_or(|walk| enter(walk, all(folders))),
            Why::Sweep => {
                self.sweep.as_mut().is_none_or(|sweep| sweep.walk().is_none_or(|walk| enter(walk, all(folders))))
            }
        };
        if !entered {
            tree.cannot(&place.shown, &"too many folders one in the other", "");
        }
    }

    /// Tells that changes were missed, and that everything is looked at again.
    fn tell_lost(look: &mut Look<'_>) {
        let text = "more changes at once than the system told: all files are looked at again";
        look.event(look.now, "events_lost", Severity::Info, text);
    }
}

fn generation(look: &Look<'_>) -> u64 {
    look.kept(GENERATION).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
