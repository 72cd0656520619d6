//! Patterns of paths, as shells have them: `*` stands for any run of bytes within a name, `?` for one byte.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::host::{Host, Kind};

/// Paths that one pattern may stand for.
const MOST: usize = 4_096;

/// Whether a name is one of those that a pattern stands for. A `*` is tried again at the last one only, so no pattern
/// takes exponential time.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[in_name] => (at, in_name) = (at + 1, in_name + 1),
            _ => match star {
                // The last star takes one byte more.
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, in_name) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// A pattern for whole paths (`/etc/mtab`) or, without a slash in front, for their last parts (`var/cache`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "String")]
pub struct Pattern {
    parts: Vec<Vec<u8>>,
    whole: bool,
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        let parts = text.split('/').filter(|part| !part.is_empty()).map(|part| part.as_bytes().to_vec()).collect();
        Self { parts, whole: text.starts_with('/') }
    }
}

impl Pattern {
    /// Whether it stands for a path.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        let mut names = path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.as_bytes()),
            _ => None,
        });
        let fits = |pattern: &Vec<u8>| names.next().is_some_and(|name| matches(pattern, name));
        !self.parts.is_empty() && self.parts.iter().rev().all(fits) && (!self.whole || names.next().is_none())
    }
}

/// The paths of a host that a pattern stands for, sorted. What cannot be read stands for nothing.
#[must_use]
pub fn expand(host: &Host, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components() {
        let Component::Normal(part) = part else { continue };
        let mut next = Vec::new();
        for path in found {
            if !part.as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?')) {
                next.push(path.join(part));
                continue;
            }
            let real = host.resolve(&path).unwrap_or_else(|_| path.clone());
            let entries = host.list(&real).unwrap_or_default();
            let fits = |name: &OsStr| {
                let hidden = name.as_bytes().starts_with(b".") && !part.as_bytes().starts_with(b".");
                !hidden && matches(part.as_bytes(), name.as_bytes())
            };
            next.extend(entries.into_iter().filter(|entry| fits(&entry.name)).map(|entry| path.join(entry.name)));
            if next.len() > MOST {
                break;
            }
        }
        found = next;
    }
    found.retain(|path| host.stat(path).is_ok_and(|meta| meta.kind != Kind::Other));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("", "a", false),
            ("**", "anything", true),
            ("backup*", "backup", true),
            ("backup*", "my-backup", false),
            ("*-db*.gz", "a-db-db1.gz", true),
            ("a*b*c", "aXbXbXd", false),
            ("*getty@*", "serial-getty@ttyS0.service", true),
            ("getty@*", "serial-getty@ttyS0.service", false),
            ("*ttyS0*S0.service", "serial-getty@ttyS0.service", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_without_a_slash_in_front_stands_for_the_last_parts() {
        let pattern = |text: &str| Pattern::from(text.to_owned());
        assert!(pattern("var/cache").matches(Path::new("/srv/shop/var/cache")));
        assert!(!pattern("var/cache").matches(Path::new("/srv/shop/var/cache/x")));
        assert!(pattern("/etc/mtab").matches(Path::new("/etc/mtab")));
        assert!(!pattern("/etc/mtab").matches(Path::new("/srv/etc/mtab")));
        assert!(pattern("*.log").matches(Path::new("/srv/a.log")));
        assert!(!pattern("").matches(Path::new("/srv")));
    }
}
