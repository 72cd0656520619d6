//! A folder with what each of its entries says about itself.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use super::open::{Links, Want};
use super::tree_events::{TreeEvents, Watch};
use super::{ErrorKind, Host, HostError, Meta};

/// Entries of one folder.
const MAX_ENTRIES: usize = 65_536;

/// An entry of a folder, and what it says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: OsString,
    /// What it says; links are not followed.
    pub meta: Meta,
}

/// A folder as it was when it was looked at.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The folder itself.
    pub meta: Meta,
    /// Its entries, sorted by name.
    pub items: Vec<Item>,
    /// Entries on which a file system lies that may hang: they were not asked.
    pub mounts: Vec<OsString>,
    /// Under what changes in it are told, if they are.
    pub watch: Option<Watch>,
}

impl Host {
    /// Visits the entries of a folder with what each says about itself, in no order, keeping none of them in memory; no link
    /// is followed. Those that may hang are passed over.
    ///
    /// # Errors
    /// See [`ErrorKind`]; what was visited until then was visited.
    pub fn each(&self, folder: &Path, visit: &mut dyn FnMut(&OsStr, &Meta)) -> Result<(), HostError> {
        let opened = self.root.at(folder, Links::Never, Want::Folder)?;
        let mut read = || {
            let mut dir = Dir::from_fd(opened.fd.try_clone().map_err(|e| ErrorKind::from_io(&e))?)
                .map_err(ErrorKind::from_errno)?;
            // To ask an entry is to ask what is mounted on it.
            let mounts = self.root.mounts_in(&opened.path);
            let mut met = 0;
            for entry in dir.iter() {
                let entry = entry.map_err(ErrorKind::from_errno)?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." || mounts.iter().any(|mount| mount == name) {
                    continue;
                }
                met += 1;
                if met > MAX_ENTRIES {
                    return Err(ErrorKind::TooMany(MAX_ENTRIES));
                }
                // One that cannot be asked is gone since.
                if let Ok(stat) = fstatat(&opened.fd, entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                    visit(name, &Meta::from(&stat));
                }
            }
            Ok(())
        };
        read().map_err(|kind: ErrorKind| kind.at(folder))
    }

    /// Lists a folder and asks each entry, but for those that may hang; no link is followed on the way. Changes that come
    /// later are told through `events`, as of the folder `name` below `parent` or, without a parent, of that path.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn examine(
        &self,
        folder: &Path,
        events: Option<(&mut TreeEvents, Option<Watch>)>,
    ) -> Result<Folder, HostError> {
        let opened = self.root.at(folder, Links::Never, Want::Folder)?;
        let read = || {
            // Watched before it is listed, so that nothing falls between.
            let watch = events.and_then(|(events, parent)| events.watch(self, folder, parent, opened.fd.as_fd()));
            let meta = Meta::from(&opened.stat);
            let mut dir = Dir::from_fd(opened.fd.try_clone().map_err(|e| ErrorKind::from_io(&e))?)
                .map_err(ErrorKind::from_errno)?;
            // To ask an entry is to ask what is mounted on it.
            let mounts = self.root.mounts_in(&opened.path);
            let mut items = Vec::new();
            for entry in dir.iter() {
                let entry = entry.map_err(ErrorKind::from_errno)?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." || mounts.iter().any(|mount| mount == name) {
                    continue;
                }
                if items.len() == MAX_ENTRIES {
                    return Err(ErrorKind::TooMany(MAX_ENTRIES));
                }
                match fstatat(&opened.fd, entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Ok(stat) => items.push(Item { name: name.to_owned(), meta: Meta::from(&stat) }),
                    Err(_) => continue, // gone since
                }
            }
            items.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(Folder { meta, items, mounts, watch })
        };
        read().map_err(|kind: ErrorKind| kind.at(folder))
    }
}
