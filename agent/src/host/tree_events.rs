//! Changes in big trees: which folders had one, told by inotify(7) with a watch on each folder.
//!
//! A folder is known by its watch, its parent's watch and its name, some 30 bytes together, so a folder that is renamed
//! takes those below it along. Which file it was is not kept: whoever asks looks at the folder.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::Host;

/// What is asked of a folder. Appends are left out (`IN_MODIFY`): the file is told when its writer closes it.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_ONLYDIR);
/// Changed folders that are told at once; more are an overflow.
const CHANGED: usize = 4_096;
/// Folders on the way to the root, at most.
const DEPTH: usize = 128;
/// Watches that a system gives one user where it does not say (`fs.inotify.max_user_watches` of old kernels).
const WATCHES: usize = 8_192;

/// A watched folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watch(i32);

#[cfg(test)]
impl Watch {
    /// One that no folder has.
    pub(crate) fn numbered(number: i32) -> Self {
        Self(number)
    }
}

/// What came since the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Folders in which something changed.
    pub folders: BTreeSet<Watch>,
    /// More happened than is known: look at everything.
    pub lost: bool,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    watch: WatchDescriptor,
    /// Zero: the name is a whole path.
    parent: i32,
    name: u32,
    length: u16,
}

/// See the module.
#[derive(Debug)]
pub struct TreeEvents {
    inotify: Inotify,
    /// Sorted by watch: the kernel counts upwards.
    nodes: Vec<Node>,
    names: Vec<u8>,
    /// Bytes of `names` that nobody needs.
    dead: usize,
    most: usize,
    degraded: Option<String>,
}

impl TreeEvents {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The system gives no inotify instance.
    pub fn new(host: &Host) -> Result<Self, String> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let inotify = Inotify::init(flags).map_err(|error| format!("inotify: {error}"))?;
        let limit = host.read_text("/proc/sys/fs/inotify/max_user_watches", 64).ok();
        let limit = limit.and_then(|text| text.trim().parse().ok()).unwrap_or(WATCHES);
        // A fifth is left to others.
        let most = limit / 5 * 4;
        Ok(Self { inotify, nodes: Vec::new(), names: Vec::new(), dead: 0, most, degraded: None })
    }

    /// Readable when there are changes.
    #[must_use]
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Why some folders are not watched, if there are such.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Folders that are watched.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.nodes.len()
    }

    /// Where a watched folder lies, if that is known.
    #[must_use]
    pub fn path(&self, watch: Watch) -> Option<PathBuf> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = watch.0;
        for _ in 0..DEPTH {
            let node = self.nodes.get(self.place(at).ok()?)?;
            names.push(self.name(node));
            if node.parent == 0 {
                return Some(names.iter().rev().map(|name| OsStr::from_bytes(name)).collect());
            }
            at = node.parent;
        }
        None
    }

    /// The watch of a folder, if it has one.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<Watch> {
        self.nodes.iter().filter(|node| node.parent == 0).find_map(|root| {
            let rest = path.strip_prefix(OsStr::from_bytes(self.name(root))).ok()?;
            let mut at = root.watch.as_raw();
            for part in rest {
                let is = |node: &&Node| node.parent == at && self.name(node) == part.as_bytes();
                at = self.nodes.iter().find(is)?.watch.as_raw();
            }
            Some(Watch(at))
        })
    }

    /// The folder that a watched one lies in, if that is watched, too.
    #[must_use]
    pub fn parent(&self, watch: Watch) -> Option<Watch> {
        let node = self.nodes.get(self.place(watch.0).ok()?)?;
        Some(Watch(node.parent)).filter(|parent| parent.0 != 0)
    }

    /// Everything that changed since the last time.
    pub fn take(&mut self) -> Changes {
        let mut changes = Changes::default();
        loop {
            match self.inotify.read_events() {
                Ok(events) if events.is_empty() => break,
                Ok(events) => {
                    for event in events {
                        changes.lost |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                        let watch = event.wd.as_raw();
                        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                            self.remove(watch);
                        } else if changes.folders.len() < CHANGED {
                            changes.folders.insert(Watch(watch));
                        } else {
                            changes.lost |= !changes.folders.contains(&Watch(watch));
                        }
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    self.degraded = Some(format!("inotify: {error}"));
                    break;
                }
            }
        }
        changes
    }

    /// Watches a folder that was opened. The kernel answers the same watch for the same folder wherever it lies.
    pub(super) fn watch(
        &mut self,
        host: &Host,
        path: &Path,
        parent: Option<Watch>,
        folder: BorrowedFd<'_>,
    ) -> Option<Watch> {
        let name = match parent {
            Some(_) => path.file_name()?.as_bytes(),
            None => path.as_os_str().as_bytes(),
        };
        if self.nodes.len() >= self.most {
            self.degraded = Some(format!("more than {} folders (fs.inotify.max_user_watches)", self.most));
            return None;
        }
        // By descriptor, so that it is the very folder that is listed, however deep it lies.
        let raw: RawFd = folder.as_raw_fd();
        let added = match self.inotify.add_watch(format!("/proc/self/fd/{raw}").as_str(), EVENTS) {
            Err(Errno::ENOENT) => self.inotify.add_watch(&host.full_path(path), EVENTS),
            other => other,
        };
        match added {
            Ok(watch) => {
                self.add(watch, parent.map_or(0, |parent| parent.0), name);
                Some(Watch(watch.as_raw()))
            }
            Err(error) => {
                let why = match error {
                    Errno::ENOSPC => "the system's watches are used up (fs.inotify.max_user_watches)".to_owned(),
                    other => format!("inotify: {other}"),
                };
                self.degraded = Some(why);
                None
            }
        }
    }

    /// No more of the folder `name` below a watched one, nor of what is below it.
    pub fn forget(&mut self, parent: Watch, name: &OsStr) {
        let is = |node: &&Node| node.parent == parent.0 && self.name(node) == name.as_bytes();
        let Some(first) = self.nodes.iter().find(is).map(|node| node.watch.as_raw()) else { return };
        let mut gone = BTreeSet::from([first]);
        // A folder may have a smaller number than its parent, if it was moved there.
        loop {
            let before = gone.len();
            let below = self.nodes.iter().filter(|node| gone.contains(&node.parent));
            let below: Vec<i32> = below.map(|node| node.watch.as_raw()).collect();
            gone.extend(below);
            if gone.len() == before {
                break;
            }
        }
        for watch in gone {
            if let Some(node) = self.place(watch).ok().and_then(|place| self.nodes.get(place)) {
                let _ = self.inotify.rm_watch(node.watch); // fails if the folder itself has gone
            }
            self.remove(watch);
        }
    }

    fn place(&self, watch: i32) -> Result<usize, usize> {
        self.nodes.binary_search_by_key(&watch, |node| node.watch.as_raw())
    }

    fn name(&self, node: &Node) -> &[u8] {
        let start = node.name as usize;
        self.names.get(start..start + usize::from(node.length)).unwrap_or_default()
    }

    fn add(&mut self, watch: WatchDescriptor, parent: i32, name: &[u8]) {
        let found = self.place(watch.as_raw());
        if let Ok(place) = found
            && let Some(node) = self.nodes.get(place)
            && node.parent == parent
            && self.name(node) == name
        {
            return;
        }
        let (Ok(start), Ok(length)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else { return };
        self.names.extend_from_slice(name);
        let node = Node { watch, parent, name: start, length };
        match found {
            Ok(place) => {
                if let Some(old) = self.nodes.get_mut(place) {
                    self.dead += usize::from(old.length);
                    *old = node;
                }
            }
            Err(place) => self.nodes.insert(place, node),
        }
        self.tidy();
    }

    fn remove(&mut self, watch: i32) {
        if let Ok(place) = self.place(watch) {
            self.dead += usize::from(self.nodes.remove(place).length);
            self.tidy();
        }
    }

    /// Gives back names that nobody needs.
    fn tidy(&mut self) {
        if self.dead < 16 << 10 || self.dead < self.names.len() / 2 {
            return;
        }
        let mut names = Vec::with_capacity(self.names.len() - self.dead);
        for node in &mut self.nodes {
            let start = node.name as usize;
            node.name = u32::try_from(names.len()).unwrap_or(u32::MAX);
            names.extend_from_slice(self.names.get(start..start + usize::from(node.length)).unwrap_or_default());
        }
        (self.names, self.dead) = (names, 0);
    }
}

#[cfg(test)]
mod tests;
