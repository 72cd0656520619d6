//! The only door to the system: files below a root, and what comes by system call.
//!
//! With the root `/` it is this machine. With any other root it is a whole host in a folder, for images, chroots and
//! tests: files are read below that folder only, and what comes by system call is unknown unless it was staged
//! ([`sys`]). Nothing of the running machine leaks in.

pub mod addresses;
pub mod binary;
pub mod bus;
pub mod descriptors;
mod error;
mod examine;
mod file;
pub mod grant;
pub mod journal;
mod locks;
mod meta;
pub mod mounts;
mod open;
pub mod packages;
pub mod pattern;
mod peek;
pub mod proc;
mod settling;
mod socket;
pub mod sockets;
pub mod sys;
pub mod tls;
pub mod tree_events;
pub mod users;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plumb_proto::time::Clock;

pub use error::{ErrorKind, HostError};
pub use examine::{Folder, Item};
pub use file::HostFile;
pub use meta::{Entry, Identity, Kind, Meta};
pub use open::Links;
use open::{Root, Want};
pub use peek::Peek;
pub use socket::Talk;
pub use walk::Step;

/// A host: this machine, or one in a folder.
pub struct Host {
    root: Root,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    system: sys::System,
    probes: mounts::Probes,
    packages: packages::Cache,
    peek: Option<Peek>,
    processes: proc::Cache,
}

impl Host {
    /// The host whose file system begins at `root`. That there is no such folder is told by [`Host::check`] and by
    /// every later call.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        let path: PathBuf = root.into();
        let live = path.canonicalize().is_ok_and(|real| real == Path::new("/"));
        let mut host = Self {
            root: Root::open(&path),
            path,
            clock,
            system: sys::System::Live,
            probes: mounts::Probes::new(Arc::new(|mount: &Path| sys::statvfs(mount))),
            packages: packages::Cache::default(),
            peek: None,
            processes: proc::Cache::default(),
        };
        if !live {
            host.system = sys::System::staged(&host);
            let staged = host.system.clone();
            host.probes = mounts::Probes::new(Arc::new(move |mount: &Path| staged.statvfs(mount)));
        }
        // Learns which mounts may hang before anything below them is touched; a host without mountinfo has none.
        let _ = host.mounts();
        host
    }

    /// Asks `statvfs` instead of the system, so that tests can make a mount hang.
    #[must_use]
    pub fn with_statvfs(mut self, statvfs: Arc<mounts::Statvfs>) -> Self {
        self.probes = mounts::Probes::new(statvfs);
        self
    }

    /// Asks this thread for what the kernel shows of other processes, where this one is denied. For the running machine only.
    #[must_use]
    pub fn with_peek(mut self, peek: Option<Peek>) -> Self {
        self.peek = peek.filter(|_| self.is_live());
        // It may see the mounts of all where this thread saw its own.
        let _ = self.mounts();
        self
    }

    /// Never opens anything at or below `folder` (the agent's own state) from now on.
    #[must_use]
    pub fn without(mut self, folder: &Path) -> Self {
        let real = self.resolve(folder).unwrap_or_else(|_| folder.to_owned());
        self.root.never(real);
        self
    }

    /// Whether there is a host at the root at all.
    ///
    /// # Errors
    /// The root folder cannot be opened.
    pub fn check(&self) -> Result<(), HostError> {
        self.root.check().map_err(|kind| kind.at(&self.path))
    }

    /// True when this is the running machine, not one in a folder.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.system, sys::System::Live)
    }

    /// The clock that the host's watchers go by.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What comes by system call.
    #[must_use]
    pub fn system(&self) -> &sys::System {
        &self.system
    }

    /// Where `path` lies for this process: for inotify and poll only, everything else goes through the door.
    #[must_use]
    pub fn full_path(&self, path: &Path) -> PathBuf {
        if self.is_live() {
            return path.to_owned();
        }
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The host's name: of the running machine, or as `/etc/hostname` has it; `None` if neither tells.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let staged = || self.read_text("/etc/hostname", 1_024).ok();
        let name = self.system.uname().map(|uname| uname.nodename).or_else(staged)?;
        let name = name.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
        Some(name.to_owned())
    }

    /// Opens a regular file; trusted links are followed, below the root only.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<HostFile, HostError> {
        self.open_by(path, Links::Trusted(None))
    }

    /// Opens a regular file under a rule for links: [`Links::Trusted`] with the owner of the file that named the path.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn open_by(&self, path: impl AsRef<Path>, links: Links) -> Result<HostFile, HostError> {
        Ok(HostFile::new(self.root.at(path.as_ref(), links, Want::File)?))
    }

    /// All bytes of a regular file.
    ///
    /// # Errors
    /// See [`ErrorKind`]; it holds more than `limit` bytes.
    pub fn read(&self, path: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>, HostError> {
        let mut bytes = Vec::new();
        self.read_into(path, limit, &mut bytes)?;
        Ok(bytes)
    }

    /// All bytes of a regular file, into a buffer that is used again and again.
    ///
    /// # Errors
    /// See [`ErrorKind`]; it holds more than `limit` bytes.
    pub fn read_into(&self, path: impl AsRef<Path>, limit: usize, buffer: &mut Vec<u8>) -> Result<(), HostError> {
        let path = path.as_ref();
        let read = self.open(path).and_then(|mut file| file.read_into(limit, buffer));
        let Err(error) = read else { return Ok(()) };
        match self.peek_where(&error, |peek| peek.bytes(path, limit)) {
            Some(Ok(bytes)) => *buffer = bytes,
            Some(Err(kind)) => return Err(kind.at(path)),
            None => return Err(error),
        }
        Ok(())
    }

    /// What the other thread answers where this one met an error that says that it may not see.
    fn peek_where<T>(&self, error: &HostError, ask: impl FnOnce(&Peek) -> Option<T>) -> Option<T> {
        // With hidepid=2, what is hidden is not there (proc(5)).
        let hidden = matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound);
        self.peek.as_ref().filter(|_| hidden).and_then(ask)
    }

    /// All of a regular file, which must be UTF-8.
    ///
    /// # Errors
    /// See [`ErrorKind`]; it holds more than `limit` bytes.
    pub fn read_text(&self, path: impl AsRef<Path>, limit: usize) -> Result<String, HostError> {
        let path = path.as_ref();
        String::from_utf8(self.read(path, limit)?).map_err(|_| ErrorKind::NotText.at(path))
    }

    /// What lies at a path, trusted links followed.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Meta, HostError> {
        let opened = self.root.at(path.as_ref(), Links::Trusted(None), Want::Place)?;
        Ok(Meta::from(&opened.stat))
    }

    /// Where a path really leads below the root, trusted links replaced.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn resolve(&self, path: impl AsRef<Path>) -> Result<PathBuf, HostError> {
        Ok(self.root.at(path.as_ref(), Links::Trusted(None), Want::Place)?.path)
    }

    /// As [`Host::resolve`], where somebody's own links to that person's own files are followed as well: a site's
    /// `current -> releases/7`, made by whoever runs the site.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn resolve_owned(&self, path: impl AsRef<Path>) -> Result<PathBuf, HostError> {
        let path = path.as_ref();
        match self.resolve(path) {
            // The link was not followed at all: now it is, to files of its own owner only.
            Err(HostError { kind: ErrorKind::ForeignLink { link, target }, .. }) if link == target => {
                Ok(self.root.at(path, Links::Trusted(Some(link)), Want::Place)?.path)
            }
            other => other,
        }
    }

    /// The texts of links of processes below a folder of /proc, asked for together.
    fn link_texts(&self, folder: &Path, links: Vec<String>) -> Result<Vec<Result<PathBuf, ErrorKind>>, HostError> {
        let paths = || links.iter().map(|link| folder.join(link)).collect();
        match self.peek.as_ref().and_then(|peek| peek.links(paths())) {
            Some(texts) => Ok(texts),
            None => self.root.link_texts(folder, &links),
        }
    }

    /// The text of a link, which is not followed. Links of /proc are read this way, and followed nowhere.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf, HostError> {
        let path = path.as_ref();
        // Behind Landlock asking here would be denied, so the other thread is asked first.
        match self.peek.as_ref().and_then(|peek| peek.link(path)) {
            Some(answer) => answer.map_err(|kind| kind.at(path)),
            None => self.root.link_text(path),
        }
    }
}

#[cfg(test)]
mod tests;
