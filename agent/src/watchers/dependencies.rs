//! Whether what an application has installed is what its lock file names: of Composer, npm, pip, Poetry, uv and Bundler.
//! A lock that was changed without an install, or an install past the lock, is a drift that no version number shows.
//!
//! Both are read as streams, and again only when one of them has changed; what stays in memory is the row.

mod read;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plumb_proto::model::{ColumnType, Value};

use crate::apps::{Search, around, look_at, shown, venv_beside};
use crate::host::{HostError, Kind};
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, minutes};
use read::{LOCKS, Lock, State};

/// The watcher `dependencies`.
pub const SPEC: Spec = Spec::new::<Dependencies>(
    "dependencies",
    minutes(15),
    &[&DEPENDENCY_LOCK],
    r#"
# Folders with lock files, beside the document roots of web servers and the folders that workers run in; `*` stands for the
# name of one folder.
folders = []
"#,
);

/// Lock files of one host.
const MOST: usize = 2_000;
/// Bytes that are read in one slice of a look.
const SLICE: u64 = 2 << 20;
/// Lock files whose change is not waited for until the next look; the watches of the agent are counted.
const WAKING: usize = 100;
/// Places that are looked at in one slice.
const PLACES: usize = 30;

/// Lock files.
const DEPENDENCY_LOCK: Table = Table {
    name: "dependency_lock",
    doc: "Lock files of package managers, against what is installed. Key: the path of the lock file.",
    columns: &[
        Column::state("manager", ColumnType::Text, "Whose it is: composer, npm, yarn, pnpm, pip, poetry, uv or gem."),
        Column::moving("locked", ColumnType::Int, "Packages that it names."),
        Column::moving(
            "installed",
            ColumnType::Int,
            "Packages that are installed; none where nothing is, as in a checkout.",
        ),
        Column::moving("in_step", ColumnType::Bool, "Whether what is installed is what it names."),
        Column::moving("differing", ColumnType::List, "Packages of another version than it names: the first twenty."),
        Column::moving(
            "missing",
            ColumnType::List,
            "Packages that it names and that are not installed: the first twenty.",
        ),
        Column::moving(
            "abandoned",
            ColumnType::List,
            "Packages that their makers have given up, and what they recommend.",
        ),
        Column::moving("changed", ColumnType::Time, "When it was last written."),
        Column::moving("installed_at", ColumnType::Time, "When something was last installed."),
    ],
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependencies {
    folders: Vec<String>,
    /// What was told of each lock file, as long as it and what is installed stay as they are.
    #[serde(skip)]
    known: BTreeMap<PathBuf, (State, Lock)>,
    #[serde(skip)]
    begun: Option<Begun>,
}

/// A look between two slices.
struct Begun {
    search: Search,
    /// Lock files, with the virtual environment of whoever works there; `None` until all places were looked at.
    todo: Option<VecDeque<(PathBuf, Option<PathBuf>)>>,
    seen: BTreeSet<PathBuf>,
    /// Some places could not be looked at.
    hidden: bool,
}

impl Watcher for Dependencies {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => {
                look.host.check()?;
                Begun {
                    search: Search::begin(look.host, &self.folders),
                    todo: None,
                    seen: BTreeSet::new(),
                    hidden: false,
                }
            }
        };
        if begun.todo.is_none() {
            for _ in 0..PLACES {
                if !begun.search.step(look.host) {
                    begun.hidden = !begun.search.problems.is_empty();
                    begun.todo = Some(find(look, &mut begun.search));
                    break;
                }
            }
        }
        let mut read = 0;
        while read < SLICE
            && let Some((path, venv)) = begun.todo.as_mut().and_then(VecDeque::pop_front)
        {
            read += self.tell(look, &path, venv.as_deref());
            begun.seen.insert(path);
        }
        if begun.todo.as_ref().is_none_or(|todo| !todo.is_empty()) {
            self.begun = Some(begun);
            return Ok(Progress::More);
        }
        self.known.retain(|path, _| begun.seen.contains(path));
        Ok(if begun.seen.is_empty() && !begun.hidden { Progress::Absent } else { Progress::Done })
    }

    /// Composer and npm write down what is installed at the end of their work: then, and when a lock is changed, it is time.
    fn wake_on(&self) -> Vec<PathBuf> {
        let known = self.known.iter().take(WAKING);
        known.flat_map(|(lock, (state, _))| state.records().chain([lock.as_path()]).map(Path::to_owned)).collect()
    }
}

/// The lock files of all places that were looked at.
fn find(look: &mut Look<'_>, search: &mut Search) -> VecDeque<(PathBuf, Option<PathBuf>)> {
    for error in std::mem::take(&mut search.problems) {
        hidden(look, &error);
    }
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for (root, apps) in &search.found {
        folders.extend(around(look.host, root));
        folders.extend(apps.iter().map(|app| app.root.clone()));
    }
    let mut found = VecDeque::new();
    for folder in folders {
        for (name, _) in LOCKS {
            let path = folder.join(name);
            match look_at(look.host, &path) {
                Ok((_, meta)) if meta.kind == Kind::File && found.len() < MOST => {
                    let working = search.workers.iter().find(|worker| worker.folder == folder);
                    let venv = working.and_then(|worker| worker.venv.clone());
                    found.push_back((path, venv.or_else(|| venv_beside(look.host, &folder))));
                }
                Ok((_, meta)) if meta.kind == Kind::File => {
                    look.problem(
                        &DEPENDENCY_LOCK,
                        "",
                        "",
                        format!("more than {MOST} lock files: the rest is not told"),
                        "",
                    );
                    return found;
                }
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => hidden(look, &error),
            }
        }
    }
    found
}

fn hidden(look: &mut Look<'_>, error: &HostError) {
    look.problem(&DEPENDENCY_LOCK, error.path.clone(), error.path.clone(), &error.kind, error.hint());
}

impl Dependencies {
    /// Tells one lock file; answers how many bytes were read for it.
    fn tell(&mut self, look: &mut Look<'_>, path: &Path, venv: Option<&Path>) -> u64 {
        let Some((_, manager)) =
            LOCKS.iter().find(|(name, _)| path.file_name() == Some(OsStr::from_bytes(name.as_bytes())))
        else {
            return 0;
        };
        let state = match State::of(look.host, path, *manager, venv) {
            Ok(state) => state,
            Err(error) => {
                if !error.is_absent() {
                    hidden(look, &error);
                }
                return 0;
            }
        };
        let mut read = 0;
        if self.known.get(path).is_none_or(|(before, _)| *before != state) {
            read = state.bytes();
            let lock = Lock::read(look.host, *manager, &state);
            self.known.insert(path.to_owned(), (state, lock));
        }
        if let Some((state, lock)) = self.known.get(path) {
            tell_row(look, path, manager.word(), state, lock);
            // What could not be read is tried again: permissions of the agent change without a trace in the file.
            if lock.failed {
                self.known.remove(path);
            }
        }
        read
    }
}

fn tell_row(look: &mut Look<'_>, path: &Path, manager: &'static str, state: &State, lock: &Lock) {
    let (key, source) = (shown(path), shown(path).to_string());
    let changed = [("manager", manager.into()), ("changed", Value::Time(state.changed()))];
    look.fact(&DEPENDENCY_LOCK, key.clone(), &source, &changed);
    match &lock.locked {
        Ok(count) => look.fact(&DEPENDENCY_LOCK, key.clone(), &source, &[("locked", count_of(*count))]),
        Err((reason, hint)) => look.unknown(&DEPENDENCY_LOCK, key.clone(), "locked", reason, hint),
    }
    if let Some(count) = lock.installed {
        look.fact(&DEPENDENCY_LOCK, key.clone(), &source, &[("installed", count_of(count))]);
    }
    if let Some(at) = state.installed_at() {
        look.fact(&DEPENDENCY_LOCK, key.clone(), &source, &[("installed_at", Value::Time(at))]);
    }
    if !lock.abandoned.is_empty() {
        look.fact(&DEPENDENCY_LOCK, key.clone(), &source, &[("abandoned", list(&lock.abandoned))]);
    }
    match &lock.difference {
        Ok(difference) => {
            let fields = [("differing", list(&difference.differing)), ("missing", list(&difference.missing))];
            look.fact(&DEPENDENCY_LOCK, key.clone(), &source, &fields);
            match difference.is_none() {
                Some(same) => look.fact(&DEPENDENCY_LOCK, key, &source, &[("in_step", same.into())]),
                None => {
                    let what = difference.open.as_deref().unwrap_or_default();
                    let reason = format!("{what}, which may be right: the lock file does not say where it is wanted");
                    look.unknown(&DEPENDENCY_LOCK, key, "in_step", reason, "");
                }
            }
        }
        Err((reason, hint)) => look.unknown(&DEPENDENCY_LOCK, key, "in_step", reason, hint),
    }
}

fn count_of(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn list(items: &[String]) -> Value {
    Value::List(items.iter().map(|item| item.as_str().into()).collect())
}

#[cfg(test)]
mod tests;
