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
    /// What is not the same and may rightly be so: the first one.
    pub open: Option<String>,
}

impl Difference {
    /// Whether both are the same; `None` if that cannot be told.
    #[must_use]
    pub fn is_none(&self) -> Option<bool> {
        let differs = !self.differing.is_empty() || !self.missing.is_empty();
        (differs || self.open.is_none()).then_some(!differs)
    }

    /// What is missing may rightly be so.
    pub fn forgive_missing(&mut self) {
        let first = self.missing.first().map(|name| format!("{name} is not installed"));
        self.open = self.open.take().or(first);
        self.missing.clear();
    }
}

/// Compares, by what a package manager takes for the same version. What may rightly be missing is not told as missing;
/// neither is what is for development where none of it is installed.
#[must_use]
pub fn compare(locked: &Packages, installed: &Packages, same: fn(&str, &str) -> bool) -> Difference {
    let has_dev = || locked.by_name.iter().any(|(name, package)| package.dev && installed.by_name.contains_key(name));
    let with_dev = installed.with_dev.unwrap_or_else(has_dev);
    let mut difference = Difference::default();
    for (name, package) in &locked.by_name {
        match installed.by_name.get(name) {
            Some(there) if package.versions().any(|version| same(version, &there.version)) => {}
            Some(there) => {
                let versions: Vec<&str> = package.versions().collect();
                let told = format!("{name}: {} locked, {} installed", versions.join(" or "), there.version);
                if package.loose {
                    difference.open.get_or_insert(told);
                } else if difference.differing.len() < LISTED {
                    difference.differing.push(told);
                }
            }
            None if package.optional || package.dev && !with_dev || installed.cut => {}
            None if package.loose => _ = difference.open.get_or_insert_with(|| format!("{name} is not installed")),
            None if difference.missing.len() >= LISTED => {}
            None => difference.missing.push(name.to_string()),
        }
    }
    difference
}

/// Versions are written in one way only.
#[must_use]
pub fn same_text(locked: &str, installed: &str) -> bool {
    locked == installed
}

/// Composer takes `v1.2` and `1.2` for one version, and installs a branch anew when its commit is another one, as far as
/// both name one.
#[must_use]
pub fn same_php(locked: &str, installed: &str) -> bool {
    let parts = |version: &str| {
        let (version, commit) = version.split_once(' ').unwrap_or((version, ""));
        (version.trim_start_matches(['v', 'V']).to_ascii_lowercase(), commit.to_owned())
    };
    let (locked, installed) = (parts(locked), parts(installed));
    locked.0 == installed.0 && (locked.1 == installed.1 || locked.1.is_empty() || installed.1.is_empty())
}

/// Versions of Python packages are written in many ways (PEP 440): `4.2` is `4.2.0`, `1.0-RC.1` is `1.0rc1`, and what was
/// built in a special way, `2.1+cpu`, is taken for a plain `2.1`.
#[must_use]
pub fn same_python(locked: &str, installed: &str) -> bool {
    let (locked, local) = python(locked);
    let (installed, special) = python(installed);
    locked == installed && (local.is_empty() || local == special)
}

fn python(version: &str) -> (String, String) {
    let version = version.trim().to_ascii_lowercase();
    let (public, local) = version.split_once('+').unwrap_or((&version, ""));
    let public = public.trim_start_matches('v');
    let end = public.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(public.len());
    let (release, rest) = public.split_at(end);
    let mut release = release.trim_end_matches('.');
    while let Some(shorter) = release.strip_suffix(".0") {
        release = shorter;
    }
    let mut rest = rest.replace(['.', '-', '_'], "");
    for (long, short) in [("alpha", "a"), ("beta", "b"), ("preview", "rc"), ("post", "r"), ("rev", "r")] {
        rest = rest.replace(long, short);
    }
    (format!("{release} {rest}"), local.replace(['-', '_'], "."))
}
