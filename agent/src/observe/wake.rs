//! File events for all: a path that changed, and the watchers that asked for it.
//!
//! inotify(7) watches folders, not files: most files are replaced by rename, and a watch on a file would stay with the
//! old one. A path that is not there is watched through the nearest folder that is. Appends to an open file are no
//! events (`IN_MODIFY` is left out): a busy log would keep the agent awake, and every look comes by time as well.
//! The table of mounts is no file that inotify sees; poll(2) tells when it has changed (proc_pid_mountinfo(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use crate::host::{Host, HostFile, Kind};

/// What is asked of a folder.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);
/// What may mean that a path now leads elsewhere.
const MOVES: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_IGNORED)
    .union(AddWatchFlags::IN_UNMOUNT);
/// Folders that are watched, at most.
const WATCHES: usize = 1_024;

/// What changed: a watcher by number, and the path that it had asked for.
pub type Changed = BTreeSet<(usize, PathBuf)>;

/// What each watcher, by number, has asked for.
type Asked = BTreeMap<usize, Vec<PathBuf>>;

/// See the module.
#[derive(Debug)]
pub struct Wake {
    inotify: Inotify,
    asked: Asked,
    watches: BTreeMap<WatchDescriptor, Vec<Interest>>,
    mounts: Option<HostFile>,
    /// Why some paths are only looked at by time.
    degraded: Option<String>,
}

/// What somebody wants to know of a watched folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interest {
    /// The watcher by number, and the path that it asked for.
    asked: (usize, PathBuf),
    /// The entry that matters; all of them if none.
    entry: Option<OsString>,
}

impl Wake {
    /// Nobody has asked for anything yet.
    ///
    /// # Errors
    /// The system gives no inotify instance: looks come by time only.
    pub fn new() -> nix::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        Ok(Self { inotify, asked: Asked::new(), watches: BTreeMap::new(), mounts: None, degraded: None })
    }

    /// From now on this is what a watcher asks for.
    pub fn ask(&mut self, host: &Host, watcher: usize, paths: Vec<PathBuf>) {
        if self.asked.get(&watcher).map_or(paths.is_empty(), |known| *known == paths) {
            return;
        }
        if self.mounts.is_none() && host.is_live() {
            self.mounts = paths.iter().find(|path| is_mounts(path)).and_then(|path| host.open(path).ok());
        }
        self.asked.insert(watcher, paths);
        self.arm(host);
    }

    /// Readable when [`Wake::take`] has something.
    #[must_use]
    pub fn events(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Has POLLPRI when mounts have changed; then call [`Wake::mounts_changed`].
    #[must_use]
    pub fn mounts(&self) -> Option<BorrowedFd<'_>> {
        self.mounts.as_ref().map(HostFile::descriptor)
    }

    /// Why some paths are only looked at by time, if there are such.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Who asked for the table of mounts.
    #[must_use]
    pub fn mounts_changed(&self) -> Changed {
        self.everything().filter(|(_, path)| is_mounts(path)).collect()
    }

    fn everything(&self) -> impl Iterator<Item = (usize, PathBuf)> {
        self.asked.iter().flat_map(|(watcher, paths)| paths.iter().map(|path| (*watcher, path.clone())))
    }

    /// What has changed since the last time. After an overflow everything counts as changed.
    pub fn take(&mut self, host: &Host) -> Changed {
        let (mut changed, mut moved) = (Changed::new(), false);
        loop {
            match self.inotify.read_events() {
                Ok(events) if events.is_empty() => break,
                Ok(events) => {
                    for event in events {
                        moved |= self.may_lead_elsewhere(&event);
                        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                            moved = true;
                            changed.extend(self.everything());
                        }
                        self.note(event.wd, event.name.as_ref(), &mut changed);
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    self.degraded = Some(format!("inotify: {error}"));
                    break;
                }
            }
        }
        if moved {
            self.arm(host);
        }
        changed
    }

    /// Whether one of the paths may lead elsewhere now. Most of what comes and goes in a folder is nobody's path: in
    /// /run/systemd/units that is each start and stop of a unit.
    fn may_lead_elsewhere(&self, event: &InotifyEvent) -> bool {
        let interests = self.watches.get(&event.wd);
        let concerns = match &event.name {
            Some(_) => interests.into_iter().flatten().any(|interest| interest.entry == event.name),
            None => interests.is_some(), // the folder itself
        };
        concerns && event.mask.intersects(MOVES)
    }

    fn note(&self, of: WatchDescriptor, name: Option<&OsString>, changed: &mut Changed) {
        for interest in self.watches.get(&of).into_iter().flatten() {
            let matters = interest.entry.is_none() || name.is_none() || interest.entry.as_ref() == name;
            if matters {
                changed.insert(interest.asked.clone());
            }
        }
    }

    /// Watches where the paths lead now. The kernel answers a second watch on the same folder with the same number, so
    /// asking again is cheap, and what is not asked for again is let go.
    fn arm(&mut self, host: &Host) {
        let mut wanted: BTreeMap<PathBuf, Vec<Interest>> = BTreeMap::new();
        let is_folder = |path: &Path| host.stat(path).is_ok_and(|meta| meta.kind == Kind::Folder);
        for asked in self.everything().filter(|(_, path)| !is_mounts(path)) {
            let resolved = host.resolve(&asked.1).ok().filter(|real| *real != asked.1);
            for path in std::iter::once(asked.1.clone()).chain(resolved) {
                for (folder, entry) in folders(&path, &is_folder) {
                    // Without links, so that nothing outside the root is watched.
                    let folder = host.resolve(&folder).unwrap_or(folder);
                    wanted.entry(folder).or_default().push(Interest { asked: asked.clone(), entry });
                }
            }
        }
        let mut watches: BTreeMap<WatchDescriptor, Vec<Interest>> = BTreeMap::new();
        self.degraded = None;
        for (position, (folder, interests)) in wanted.into_iter().enumerate() {
            if position >= WATCHES {
                self.degraded = Some(format!("more than {WATCHES} folders to watch"));
                break;
            }
            match self.inotify.add_watch(&host.full_path(&folder), EVENTS) {
                Ok(watch) => watches.entry(watch).or_default().extend(interests),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {} // gone since
                Err(Errno::ENOSPC) => {
                    self.degraded =
                        Some("the system's inotify watches are used up (fs.inotify.max_user_watches)".to_owned());
                }
                Err(error) => self.degraded = Some(format!("cannot watch {}: {error}", folder.display())),
            }
        }
        for gone in self.watches.keys().filter(|watch| !watches.contains_key(watch)) {
            let _ = self.inotify.rm_watch(*gone); // fails if the folder itself has gone
        }
        self.watches = watches;
    }
}

/// The folders that tell of a path, and the entry in them that matters: what is in it, if it is a folder; that it is
/// replaced; that it appears.
fn folders(path: &Path, is_folder: &dyn Fn(&Path) -> bool) -> Vec<(PathBuf, Option<OsString>)> {
    let mut found = Vec::new();
    if is_folder(path) {
        found.push((path.to_owned(), None));
    }
    let mut below = path;
    for folder in path.ancestors().skip(1) {
        if is_folder(folder) {
            found.push((folder.to_owned(), below.file_name().map(OsString::from)));
            break;
        }
        below = folder;
    }
    found
}

fn is_mounts(path: &Path) -> bool {
    path.starts_with("/proc") && path.file_name().is_some_and(|name| name == "mountinfo" || name == "mounts")
}

#[cfg(test)]
mod tests;
