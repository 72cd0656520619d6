//! Folders of the host: listed and walked without following a link.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use super::open::{Links, Want};
use super::{Entry, ErrorKind, Host, HostError, Kind};

/// Entries of one folder, and entries met by one walk.
pub(super) const MAX_ENTRIES: usize = 65_536;

/// What a walk meets: something at a path, or a folder that cannot be read.
pub type Step<'a> = Result<(&'a Path, Kind), HostError>;

impl Host {
    /// The entries of a folder, sorted by name. No link is followed on the way: [`Host::resolve`] the path first if
    /// the system's own links may be on it.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn list(&self, folder: impl AsRef<Path>) -> Result<Vec<Entry>, HostError> {
        let mut entries = Vec::new();
        self.entries(folder, &mut |name, kind| entries.push(Entry { name: name.to_owned(), kind }))?;
        entries.sort_unstable();
        Ok(entries)
    }

    /// Visits the entries of a folder in no order, keeping none of them in memory; as [`Host::list`] otherwise.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn entries(&self, folder: impl AsRef<Path>, visit: &mut dyn FnMut(&OsStr, Kind)) -> Result<(), HostError> {
        let path = folder.as_ref();
        let opened = match self.root.at(path, Links::Never, Want::Folder) {
            Ok(opened) => opened,
            Err(error) => {
                let names = self.peek_where(&error, |peek| peek.names(path)).ok_or(error)?;
                // All that it lists below a process are links.
                names.map_err(|kind| kind.at(path))?.iter().for_each(|name| visit(name, Kind::Link));
                return Ok(());
            }
        };
        let mounts = self.root.mounts_in(&opened.path);
        let read = || {
            let mut dir = Dir::from_fd(opened.fd).map_err(ErrorKind::from_errno)?;
            let fd = nix::unistd::dup(&dir).map_err(ErrorKind::from_errno)?;
            let mut met = 0;
            for entry in dir.iter() {
                let entry = entry.map_err(ErrorKind::from_errno)?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." {
                    continue;
                }
                met += 1;
                if met > MAX_ENTRIES {
                    return Err(ErrorKind::TooMany(MAX_ENTRIES));
                }
                let kind = match entry.file_type() {
                    Some(Type::File) => Kind::File,
                    Some(Type::Directory) => Kind::Folder,
                    Some(Type::Symlink) => Kind::Link,
                    Some(_) => Kind::Other,
                    // To ask it is to ask what is mounted on it.
                    None if mounts.iter().any(|mount| mount == name) => Kind::Folder,
                    // Some file systems do not tell in the entry itself.
                    None => match fstatat(&fd, entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                        Ok(stat) => Kind::of(&stat),
                        Err(_) => continue, // gone since
                    },
                };
                visit(name, kind);
            }
            Ok(())
        };
        read().map_err(|kind: ErrorKind| kind.at(path))
    }

    /// Visits everything below a folder, at most `depth` folders deep, following no link. What cannot be read is
    /// handed over as an error, and the walk goes on. A folder that is not there holds nothing.
    pub fn walk(&self, folder: impl AsRef<Path>, depth: usize, visit: &mut dyn FnMut(Step<'_>)) {
        let mut todo = vec![(folder.as_ref().to_owned(), depth)];
        let mut met = 0;
        while let Some((here, depth)) = todo.pop() {
            let entries = match self.list(&here) {
                Ok(entries) => entries,
                Err(error) if error.is_absent() => continue,
                Err(error) => {
                    visit(Err(error));
                    continue;
                }
            };
            met += entries.len();
            if met > MAX_ENTRIES {
                return visit(Err(ErrorKind::TooMany(MAX_ENTRIES).at(folder.as_ref())));
            }
            for Entry { name, kind } in entries.into_iter().rev() {
                let path = here.join(name);
                visit(Ok((&path, kind)));
                if kind == Kind::Folder && depth > 0 {
                    todo.push((path, depth - 1));
                }
            }
        }
    }

    /// Regular files of that name below a folder, at most `depth` folders deep, following no link; sorted.
    ///
    /// # Errors
    /// A folder on the way cannot be read. Where the rest is to be had nevertheless: [`Host::walk`].
    pub fn find(&self, folder: impl AsRef<Path>, depth: usize, name: &str) -> Result<Vec<PathBuf>, HostError> {
        let (mut found, mut failed) = (Vec::new(), None);
        self.walk(folder, depth, &mut |step| match step {
            Ok((path, Kind::File)) if path.file_name().is_some_and(|each| each == name) => found.push(path.to_owned()),
            Ok(_) => {}
            Err(error) => failed = failed.take().or(Some(error)),
        });
        found.sort_unstable();
        failed.map_or(Ok(found), Err)
    }
}
