//! Lock files of package managers, and what they leave behind of what is installed: names and versions of both, read as
//! streams, and compared. Formats: Composer (getcomposer.org/doc/01-basic-usage.md), npm (docs.npmjs.com, package-lock-json),
//! pip's requirement files (PEP 508, pins only), poetry.lock and uv.lock, Gemfile.lock of Bundler; of yarn and pnpm the
//! number of packages only.

mod compare;
mod lines;
mod node;
mod php;

use std::collections::BTreeMap;

pub use compare::{Difference, compare};
pub use lines::{bundler, dist_info, each_line, gemspec, pnpm, python_name, requirements, toml_packages, yarn};
pub use node::npm;
pub use php::{Extension, composer};

/// Packages of one file that are kept.
pub const PACKAGES: usize = 20_000;

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its version as it is written.
    pub version: Box<str>,
    /// It may rightly be missing: wanted on other systems, for development, or only if it can be had.
    pub optional: bool,
    /// It is wanted for development only.
    pub dev: bool,
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
}

#[cfg(test)]
mod tests;
