//! Lock files of package managers, and what they leave behind of what is installed: names and versions of both, read as
//! streams, and compared. Formats: Composer (getcomposer.org/doc/01-basic-usage.md), npm (docs.npmjs.com, package-lock-json),
//! pip's requirement files (PEP 508, pins only), poetry.lock and uv.lock, Gemfile.lock of Bundler; of yarn and pnpm the
//! number of packages only.

mod compare;
mod lines;
mod node;
mod php;

use std::collections::BTreeMap;

pub use compare::{Difference, compare, same_php, same_python, same_text};
pub use lines::{bundler, dist_info, each_line, gemspec, pnpm, python_name, requirements, toml_packages, yarn};
pub use node::npm;
pub use php::{Extension, composer};

/// Packages of one file that are kept.
pub const PACKAGES: usize = 20_000;
/// Versions of one package that are kept beside its first.
const VERSIONS: usize = 16;

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its version as it is written.
    pub version: Box<str>,
    /// Versions that are wanted in its place on other systems.
    pub others: Vec<Box<str>>,
    /// It may rightly be missing: wanted on other systems, for development, or only if it can be had.
    pub optional: bool,
    /// It is wanted for development only.
    pub dev: bool,
    /// Whether it is wanted here, or in this version, cannot be told.
    pub loose: bool,
}

impl Package {
    /// Every version that it may have.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        [&self.version].into_iter().chain(&self.others).map(|version| &**version)
    }
}

/// What a file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// By name, or by the folder that they are installed in (npm).
    pub by_name: BTreeMap<Box<str>, Package>,
    /// Packages that their makers have given up, and what they recommend instead, if anything.
    pub abandoned: Vec<String>,
    /// Whether what is for development is installed, as far as the file says.
    pub with_dev: Option<bool>,
    /// Extensions of a CMS or shop among them.
    pub extensions: Vec<Extension>,
    /// It names more packages than are kept.
    pub cut: bool,
}

impl Packages {
    pub(crate) fn add(&mut self, name: &str, package: Package) {
        if self.by_name.len() < PACKAGES {
            self.by_name.insert(name.into(), package);
        } else {
            self.cut = true;
        }
    }

    /// Adds a package, or another version of one, which is wanted on other systems.
    pub(crate) fn add_version(&mut self, name: &str, package: Package) {
        match self.by_name.get_mut(name) {
            None => self.add(name, package),
            Some(known) => {
                let is_new = known.versions().all(|version| *version != *package.version);
                if is_new && known.others.len() < VERSIONS {
                    known.others.push(package.version);
                } else if is_new {
                    known.loose = true;
                }
                (known.optional, known.loose) = (known.optional && package.optional, known.loose || package.loose);
            }
        }
    }
}

#[cfg(test)]
mod tests;
