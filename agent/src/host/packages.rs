//! What is installed, and which package a file belongs to: from the databases of dpkg and rpm themselves.
//!
//! Nothing is kept of them but the answers that were asked for, until the database changes. A scan streams; a package
//! list never lies in memory as a whole.

pub mod berkeley;
mod digests;
mod dpkg;
pub mod header;
mod lines;
mod rpm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use plumb_proto::untrusted::Untrusted;

use super::{Host, HostError, Identity};
pub use digests::{Digests, MD5SUMS};

/// Files and folders that change when packages do: for `wake_on`.
pub const DATABASES: [&str; 7] = [
    dpkg::STATUS,
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/Packages",
];
/// The database of rpm, if there is one that is not empty.
#[must_use]
pub fn rpm_database(host: &Host) -> Option<&'static str> {
    let of_rpm = DATABASES.into_iter().filter(|path| *path != dpkg::STATUS);
    of_rpm.into_iter().find(|path| host.stat(path).is_ok_and(|meta| meta.size > 0))
}

/// Answers that are kept.
const MAX_ANSWERS: usize = 512;

/// Who installs packages on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Debian and its relatives.
    Dpkg,
    /// Red Hat, SUSE and their relatives.
    Rpm,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Whose database it is in.
    pub manager: Manager,
    /// Its name, without architecture.
    pub name: Untrusted,
    /// Its whole version: `[epoch:]version-release`.
    pub version: Untrusted,
    /// Who built it, in the database's words; empty when it does not say.
    pub vendor: Untrusted,
    /// The module and stream it comes from, such as `php:8.2`; empty when it comes from none.
    pub module: Untrusted,
}

impl Package {
    /// The version of what is packaged, as its makers number it: no epoch, no release.
    #[must_use]
    pub fn upstream(&self) -> Untrusted {
        let whole = self.version.as_bytes();
        let start = whole.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
        let end = whole.iter().rposition(|byte| *byte == b'-').unwrap_or(whole.len()).max(start);
        let version = &whole[start..end];
        // A version that was taken back goes by a higher number: 3.1.7+really3.1.2 is 3.1.2 (Debian's developers' reference).
        let really = memchr::memmem::find(version, b"+really");
        let version = really.map_or(version, |at| &version[at + b"+really".len()..]);
        // Debian marks what it left out or added: 1.2+dfsg, 1.2+ds.
        let end = version.iter().position(|byte| matches!(byte, b'+' | b'~')).unwrap_or(version.len());
        version[..end].into()
    }
}

/// Why packages are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackagesError {
    /// There is none of the databases that are understood.
    #[error("there is no package database of dpkg or rpm")]
    NoDatabase,
    /// A database cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A database is not understood.
    #[error("{path}: {what}")]
    Format {
        /// The database.
        path: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl PackagesError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Host(error) => error.hint(),
            _ => "",
        }
    }

    fn format(path: &'static str, what: impl ToString) -> Self {
        Self::Format { path, what: what.to_string() }
    }
}

/// Answers, and the state of the databases that gave them.
#[derive(Default)]
pub(super) struct Cache(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    state: Vec<(&'static str, Identity)>,
    owners: BTreeMap<PathBuf, Option<Package>>,
}

impl Host {
    /// Which package each of these files belongs to; those of none are left out. `likely` are beginnings of the names
    /// of packages that are looked into first. Costs nothing while the databases stay as they are.
    ///
    /// # Errors
    /// There is no database, or one cannot be read.
    pub fn owners(&self, files: &[PathBuf], likely: &[&str]) -> Result<BTreeMap<PathBuf, Package>, PackagesError> {
        let state = self.database_state()?;
        let mut answers = self.packages.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.state != state || answers.owners.len() > MAX_ANSWERS {
            answers.owners.clear();
        }
        let asked: Vec<&Path> =
            files.iter().map(PathBuf::as_path).filter(|file| !answers.owners.contains_key(*file)).collect();
        if !asked.is_empty() {
            let mut found = BTreeMap::new();
            if state.iter().any(|(path, _)| *path == dpkg::STATUS) {
                dpkg::owners(self, &asked, likely, &mut found)?;
            }
            if let Some((path, _)) = state.iter().find(|(path, _)| *path != dpkg::STATUS) {
                rpm::owners(self, path, &asked, likely, &mut found)?;
            }
            // While a package manager was at work the answers may be half old, half new: they are told, not kept.
            if self.database_state()? == state {
                answers.state = state;
                answers.owners.extend(asked.iter().map(|file| ((*file).to_owned(), found.get(*file).cloned())));
            } else {
                answers.owners.clear();
                return Ok(found);
            }
        }
        let known = files.iter().filter_map(|file| Some((file.clone(), answers.owners.get(file)?.clone()?)));
        Ok(known.collect())
    }

    /// The installed packages among these names.
    ///
    /// # Errors
    /// There is no database, or one cannot be read.
    pub fn installed(&self, names: &[&str]) -> Result<Vec<Package>, PackagesError> {
        let state = self.database_state()?;
        let wanted: Vec<Untrusted> = names.iter().map(|name| Untrusted::from(*name)).collect();
        let mut found = Vec::new();
        for (path, _) in state {
            if path == dpkg::STATUS {
                found.extend(dpkg::installed(self, &wanted)?);
            } else {
                found.extend(rpm::installed(self, path, names)?);
            }
        }
        Ok(found)
    }

    fn database_state(&self) -> Result<Vec<(&'static str, Identity)>, PackagesError> {
        let mut state = Vec::new();
        for path in DATABASES {
            match self.stat(path) {
                // An empty database is what an unused package manager leaves.
                Ok(meta) if meta.size > 0 => state.push((path, meta.identity)),
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if state.is_empty() { Err(PackagesError::NoDatabase) } else { Ok(state) }
    }
}

#[cfg(test)]
mod tests;
