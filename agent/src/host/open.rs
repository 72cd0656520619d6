//! The only place that opens files of the host. Everything is opened relative to the root folder and checked after it
//! was opened, so no link, rename or `..` leads out of the root, and nothing that hangs or acts when opened (FIFO,
//! device, dead mount) is opened.
//!
//! Two ways in. [`Links::Trusted`] follows links by hand, one part at a time, and asks whose they are: somebody who may
//! place a link must not make the agent read what that person could not. [`Links::Never`] follows none.
//! openat2(2) answers the usual case, a path without links, in one call; kernels before 5.6 take the long way.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::error::{ErrorKind, HostError};

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// Parts of a path, links replaced.
const MAX_DEPTH: usize = 64;
/// Bytes of a path (PATH_MAX).
const MAX_PATH: usize = 4_096;
/// Mounts below which the system itself lives: if these hang, so does all else.
const SYSTEM: [&str; 5] = ["/", "/usr", "/etc", "/var", "/proc"];

/// Which links are followed on the way to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// None.
    Never,
    /// Those of the system's owner to the system's files; given the owner of the file that named the path, also
    /// that owner's links to that owner's files, and the system's links to them.
    Trusted(Option<u32>),
}

/// What is expected at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// A regular file, to be read.
    File,
    /// A folder, to be listed.
    Folder,
    /// Whatever there is, to be asked about.
    Place,
}

/// Something of the host that was opened and passed all checks.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fd: OwnedFd,
    pub(super) stat: FileStat,
    /// Where it really lies below the root, all links replaced.
    pub(super) path: PathBuf,
}

/// The root folder and what is never opened below it.
#[derive(Debug)]
pub(super) struct Root {
    folder: Result<(OwnedFd, u32), Errno>,
    /// openat2(2) is not to be had here.
    long_way: AtomicBool,
    own: Vec<PathBuf>,
    may_hang: RwLock<Vec<PathBuf>>,
}

impl Root {
    pub(super) fn open(path: &Path) -> Self {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = open(path, flags, Mode::empty()).and_then(|fd| fstat(&fd).map(|stat| (fd, stat.st_uid)));
        Self { folder, long_way: AtomicBool::new(false), own: Vec::new(), may_hang: RwLock::new(Vec::new()) }
    }

    /// Whether there is a root at all.
    pub(super) fn check(&self) -> Result<(), ErrorKind> {
        self.folder().map(drop)
    }

    /// Goes part by part even where the kernel could do it in one call.
    #[cfg(test)]
    pub(super) fn take_the_long_way(&self, yes: bool) {
        self.long_way.store(yes, Ordering::Relaxed);
    }

    /// Never opens anything at or below `path` from now on.
    pub(super) fn never(&mut self, path: PathBuf) {
        self.own.push(path);
    }

    /// Replaces the list of mounts that are not touched.
    pub(super) fn avoid(&self, mounts: impl Iterator<Item = PathBuf>) {
        let mut list = self.may_hang.write().unwrap_or_else(PoisonError::into_inner);
        list.clear();
        list.extend(mounts.filter(|mount| !SYSTEM.iter().any(|system| mount == Path::new(system))));
    }

    /// Names of the mounts in a folder that are not touched, links on the way to it replaced.
    pub(super) fn mounts_in(&self, folder: &Path) -> Vec<OsString> {
        let may_hang = self.may_hang.read().unwrap_or_else(PoisonError::into_inner);
        let here = may_hang.iter().filter(|mount| mount.parent() == Some(folder));
        here.filter_map(|mount| mount.file_name().map(OsStr::to_owned)).collect()
    }

    pub(super) fn at(&self, path: &Path, links: Links, want: Want) -> Result<Opened, HostError> {
        self.find(path, links, want).map_err(|kind| kind.at(path))
    }

    /// The text of a link; the link itself is not followed, the folders on the way under the rule for links.
    pub(super) fn link_text(&self, path: &Path) -> Result<PathBuf, HostError> {
        let read = || {
            let (parent, name) = (path.parent(), path.file_name());
            let (Some(parent), Some(name)) = (parent, name) else { return Err(ErrorKind::NotFound) };
            let folder = self.find(parent, Links::Trusted(None), Want::Place)?;
            self.permitted(&folder.path.join(name))?;
            match readlinkat(&folder.fd, name) {
                Ok(text) => Ok(PathBuf::from(text)),
                Err(Errno::EINVAL) => Err(ErrorKind::NotRegular),
                Err(errno) => Err(ErrorKind::from_errno(errno)),
            }
        };
        read().map_err(|kind| kind.at(path))
    }

    /// The texts of links below a folder that is opened once for all of them. Below /proc only: the kernel makes what lies
    /// there, so no link can be in the way.
    pub(super) fn link_texts(
        &self,
        folder: &Path,
        links: &[String],
    ) -> Result<Vec<Result<PathBuf, ErrorKind>>, HostError> {
        let folder = self.at(folder, Links::Never, Want::Place)?;
        let text =
            |link: &String| readlinkat(&folder.fd, link.as_str()).map(PathBuf::from).map_err(ErrorKind::from_errno);
        Ok(links.iter().map(text).collect())
    }

    fn folder(&self) -> Result<(BorrowedFd<'_>, u32), ErrorKind> {
        match &self.folder {
            Ok((fd, owner)) => Ok((fd.as_fd(), *owner)),
            Err(errno) => Err(ErrorKind::NoRoot(errno.desc())),
        }
    }

    fn find(&self, path: &Path, links: Links, want: Want) -> Result<Opened, ErrorKind> {
        if path.as_os_str().len() > MAX_PATH {
            return Err(ErrorKind::Io(Errno::ENAMETOOLONG.desc()));
        }
        let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
        if plain && !self.long_way.load(Ordering::Relaxed) {
            let relative = path.strip_prefix("/").unwrap_or(path);
            let canonical = Path::new("/").join(relative);
            self.permitted(&canonical)?;
            let name = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
            let resolve = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH;
            let how = OpenHow::new().flags(flags(want)).resolve(resolve);
            match openat2(self.folder()?.0, name, how) {
                Ok(fd) => return checked(fd, canonical, want),
                // There is a link on the way (or a mount or rename is just happening): one part at a time.
                Err(Errno::ELOOP | Errno::EXDEV | Errno::EAGAIN) => {}
                Err(Errno::ENOSYS) => self.long_way.store(true, Ordering::Relaxed),
                // Either a filter forbids the call, or the file is forbidden: the long way tells which.
                Err(Errno::EPERM) => {}
                Err(errno) => return Err(ErrorKind::from_errno(errno)),
            }
        }
        self.step_by_step(path, links, want)
    }

    /// Refuses what is never opened. `path` has no links left.
    fn permitted(&self, path: &Path) -> Result<(), ErrorKind> {
        if self.own.iter().any(|own| path.starts_with(own)) {
            return Err(ErrorKind::OwnState);
        }
        if path.starts_with("/dev") && path != Path::new("/dev") {
            return Err(ErrorKind::NotRegular); // opening a device may act: a watchdog starts, a tape rewinds
        }
        let may_hang = self.may_hang.read().unwrap_or_else(PoisonError::into_inner);
        if may_hang.iter().any(|mount| path.starts_with(mount)) {
            return Err(ErrorKind::MayHang);
        }
        Ok(())
    }

    fn step_by_step(&self, path: &Path, links: Links, want: Want) -> Result<Opened, ErrorKind> {
        let (root, owner) = self.folder()?;
        let mut trust = Trust { links, system: [0, owner, nix::unistd::geteuid().as_raw()], foreign: None, met: 0 };
        let mut todo: VecDeque<OsString> = parts(path).collect();
        let mut way: Vec<OwnedFd> = Vec::new();
        let mut canonical = PathBuf::from("/");
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                way.pop();
                canonical.pop();
                continue;
            }
            let here = way.last().map_or(root, AsFd::as_fd);
            canonical.push(&part);
            self.permitted(&canonical)?;
            if way.len() >= MAX_DEPTH {
                return Err(ErrorKind::Io(Errno::ENAMETOOLONG.desc()));
            }
            let stat = fstatat(here, part.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW).map_err(ErrorKind::from_errno)?;
            if kind_of(&stat) == SFlag::S_IFLNK {
                if is_magic(&canonical) {
                    return Err(ErrorKind::Link);
                }
                trust.follow(&stat)?;
                let target = PathBuf::from(readlinkat(here, part.as_os_str()).map_err(ErrorKind::from_errno)?);
                canonical.pop();
                if target.is_absolute() {
                    way.clear();
                    canonical = PathBuf::from("/");
                }
                for each in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    todo.push_front(each);
                }
                continue;
            }
            let last = todo.is_empty();
            if last && want == Want::File && kind_of(&stat) != SFlag::S_IFREG {
                return Err(ErrorKind::NotRegular);
            }
            let flags = if last { flags(want) } else { flags(Want::Place) | OFlag::O_DIRECTORY };
            let fd = openat(here, part.as_os_str(), flags | OFlag::O_NOFOLLOW, Mode::empty());
            way.push(fd.map_err(ErrorKind::from_errno)?);
        }
        let fd = match way.pop() {
            Some(fd) => fd,
            None => openat(root, ".", flags(want), Mode::empty()).map_err(ErrorKind::from_errno)?,
        };
        let opened = checked(fd, canonical, want)?;
        trust.arrive(opened.stat.st_uid)?;
        Ok(opened)
    }
}

/// Whose links were followed so far.
struct Trust {
    links: Links,
    /// The system's owner (root, or whoever owns a staged root), and the agent itself (its files in /proc/self).
    system: [u32; 3],
    foreign: Option<u32>,
    met: usize,
}

impl Trust {
    fn follow(&mut self, link: &FileStat) -> Result<(), ErrorKind> {
        let Links::Trusted(named_by) = self.links else { return Err(ErrorKind::Link) };
        self.met += 1;
        if self.met > MAX_LINKS {
            return Err(ErrorKind::TooManyLinks);
        }
        let owner = link.st_uid;
        if self.system.contains(&owner) {
            return Ok(());
        }
        if named_by != Some(owner) {
            return Err(ErrorKind::ForeignLink { link: owner, target: owner });
        }
        self.foreign = Some(owner);
        Ok(())
    }

    fn arrive(&self, target: u32) -> Result<(), ErrorKind> {
        let Links::Trusted(named_by) = self.links else { return Ok(()) };
        let fine = match self.foreign {
            // Somebody's link leads only to that person's own files, never to the system's.
            Some(owner) => owner == target,
            None => self.met == 0 || self.system.contains(&target) || named_by == Some(target),
        };
        let link = self.foreign.unwrap_or(self.system[0]);
        if fine { Ok(()) } else { Err(ErrorKind::ForeignLink { link, target }) }
    }
}

/// Links of a process (`/proc/7/root`, `/proc/7/fd/3`) do not lead where their text says: in another mount namespace it
/// names another file.
fn is_magic(link: &Path) -> bool {
    link.starts_with("/proc") && link.components().count() > 3
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
        _ => None,
    })
}

fn flags(want: Want) -> OFlag {
    OFlag::O_CLOEXEC
        | match want {
            Want::File => OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
            Want::Folder => OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_DIRECTORY,
            Want::Place => OFlag::O_PATH,
        }
}

pub(super) fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn checked(fd: OwnedFd, path: PathBuf, want: Want) -> Result<Opened, ErrorKind> {
    let stat = fstat(&fd).map_err(ErrorKind::from_errno)?;
    if want == Want::File && kind_of(&stat) != SFlag::S_IFREG {
        return Err(ErrorKind::NotRegular);
    }
    Ok(Opened { fd, stat, path })
}
