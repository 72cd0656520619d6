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
mod tests {
    use super::*;
    use crate::state::testing::Folder;
    use plumb_proto::time::{ManualClock, Timestamp};
    use std::fs;
    use std::sync::Arc;

    struct Scene {
        folder: Folder,
        host: Host,
        wake: Wake,
    }

    impl Scene {
        fn new(folders: &[&str], asked: &[&str]) -> Self {
            let folder = Folder::new();
            folders.iter().for_each(|each| fs::create_dir_all(folder.path().join(each)).unwrap());
            let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
            let mut wake = Wake::new().unwrap();
            asked.iter().enumerate().for_each(|(number, path)| wake.ask(&host, number, vec![path.into()]));
            assert_eq!(wake.degraded(), None);
            Self { folder, host, wake }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        fn changed(&mut self) -> Vec<usize> {
            self.wake.take(&self.host).into_iter().map(|(watcher, _)| watcher).collect()
        }
    }

    #[test]
    fn a_file_that_is_written_or_replaced_wakes_who_asked_for_it_and_nobody_else() {
        let mut scene = Scene::new(&["etc"], &["/etc/a", "/etc/b"]);
        fs::write(scene.at("etc/a"), "1").unwrap();
        assert_eq!(scene.changed(), [0]);
        assert!(scene.changed().is_empty());
        for _ in 0..3 {
            fs::write(scene.at("etc/new"), "2").unwrap();
            assert!(scene.changed().is_empty());
            fs::rename(scene.at("etc/new"), scene.at("etc/b")).unwrap();
            assert_eq!(scene.changed(), [1]);
        }
        fs::remove_file(scene.at("etc/a")).unwrap();
        assert_eq!(scene.changed(), [0]);
    }

    #[test]
    fn everything_in_a_folder_that_was_asked_for_matters() {
        let mut scene = Scene::new(&["etc/php"], &["/etc/php"]);
        fs::write(scene.at("etc/php/any.ini"), "1").unwrap();
        assert_eq!(scene.changed(), [0]);
        fs::write(scene.at("etc/other"), "1").unwrap();
        assert!(scene.changed().is_empty());
    }

    #[test]
    fn a_path_that_is_not_there_is_found_when_it_appears_step_by_step() {
        let mut scene = Scene::new(&["var"], &["/var/lib/dpkg/status"]);
        fs::create_dir(scene.at("var/lib")).unwrap();
        assert_eq!(scene.changed(), [0]);
        fs::create_dir(scene.at("var/lib/dpkg")).unwrap();
        assert_eq!(scene.changed(), [0]);
        fs::write(scene.at("var/lib/dpkg/status"), "x").unwrap();
        assert_eq!(scene.changed(), [0]);
    }

    #[test]
    fn a_folder_that_is_replaced_is_watched_again() {
        let mut scene = Scene::new(&["srv/site"], &["/srv/site/version"]);
        fs::rename(scene.at("srv/site"), scene.at("srv/old")).unwrap();
        fs::create_dir(scene.at("srv/site")).unwrap();
        scene.changed();
        fs::write(scene.at("srv/old/version"), "1").unwrap();
        assert!(scene.changed().is_empty());
        fs::write(scene.at("srv/site/version"), "2").unwrap();
        assert_eq!(scene.changed(), [0]);
    }

    #[test]
    fn only_what_is_on_a_path_makes_it_lead_elsewhere() {
        let scene = Scene::new(&["run/units", "etc"], &["/run/units", "/etc/a", "/etc/later/b"]);
        let moves =
            || scene.wake.inotify.read_events().unwrap().iter().any(|event| scene.wake.may_lead_elsewhere(event));
        fs::write(scene.at("run/units/one"), "1").unwrap();
        fs::remove_file(scene.at("run/units/one")).unwrap();
        fs::write(scene.at("etc/other"), "1").unwrap();
        assert!(!moves());
        fs::create_dir(scene.at("etc/later")).unwrap();
        assert!(moves());
        fs::rename(scene.at("etc/other"), scene.at("etc/a")).unwrap();
        assert!(moves());
        fs::remove_dir(scene.at("run/units")).unwrap();
        assert!(moves());
    }

    #[test]
    fn what_is_asked_for_no_more_wakes_nobody() {
        let mut scene = Scene::new(&["etc"], &["/etc/a"]);
        scene.wake.ask(&scene.host, 0, vec!["/etc/b".into()]);
        fs::write(scene.at("etc/a"), "1").unwrap();
        assert!(scene.changed().is_empty());
        fs::write(scene.at("etc/b"), "1").unwrap();
        assert_eq!(scene.changed(), [0]);
    }

    #[test]
    fn a_trusted_link_is_watched_at_both_ends() {
        let mut scene = Scene::new(&["etc", "usr/lib"], &[]);
        fs::write(scene.at("usr/lib/os-release"), "1").unwrap();
        std::os::unix::fs::symlink("../usr/lib/os-release", scene.at("etc/os-release")).unwrap();
        scene.wake.ask(&scene.host, 0, vec!["/etc/os-release".into()]);
        fs::write(scene.at("usr/lib/os-release"), "2").unwrap();
        assert_eq!(scene.changed(), [0]);
        fs::remove_file(scene.at("etc/os-release")).unwrap();
        assert_eq!(scene.changed(), [0]);
    }

    #[test]
    fn the_table_of_mounts_of_this_machine_is_polled() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        let host = Host::new("/", clock);
        let mut wake = Wake::new().unwrap();
        wake.ask(&host, 4, vec!["/proc/self/mountinfo".into()]);
        assert!(wake.mounts().is_some());
        assert_eq!(wake.mounts_changed(), Changed::from([(4, "/proc/self/mountinfo".into())]));
    }
}
