//! What is locked against what is installed.

use super::Packages;

/// Names that a list of differences holds.
const LISTED: usize = 20;

/// Where the two are not the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// `name: 2.0 locked, 1.9 installed`, the first twenty.
    pub differing: Vec<String>,
    /// Names of what is locked and not installed, the first twenty.
    pub missing: Vec<String>,
}

impl Difference {
    /// Whether both are the same.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.differing.is_empty() && self.missing.is_empty()
    }
}

/// Compares. What may rightly be missing is not told as missing; neither is what is for development where none of it is
/// installed.
#[must_use]
pub fn compare(locked: &Packages, installed: &Packages) -> Difference {
    let has_dev = || locked.by_name.iter().any(|(name, package)| package.dev && installed.by_name.contains_key(name));
    let with_dev = installed.with_dev.unwrap_or_else(has_dev);
    let mut difference = Difference::default();
    for (name, package) in &locked.by_name {
        match installed.by_name.get(name) {
            Some(there) if there.version == package.version => {}
            Some(_) if difference.differing.len() >= LISTED => {}
            Some(there) => {
                let versions = format!("{} locked, {} installed", package.version, there.version);
                difference.differing.push(format!("{name}: {versions}"));
            }
            None if package.optional || package.dev && !with_dev || installed.cut => {}
            None if difference.missing.len() >= LISTED => {}
            None => difference.missing.push(name.to_string()),
        }
    }
    difference
}
