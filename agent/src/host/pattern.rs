//! Patterns of paths, as shells have them: `*` stands for any run of bytes within a name, `?` for one byte.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{Entry, ErrorKind, Host, HostError, Kind};

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

/// The part of a pattern before the first name that is not fixed: what to watch.
#[must_use]
pub fn fixed_part(pattern: &str) -> PathBuf {
    Path::new(pattern).components().take_while(|part| is_fixed(part.as_os_str())).collect()
}

fn is_fixed(part: &OsStr) -> bool {
    !part.as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?'))
}

/// Whether a part of a pattern stands for a name. A leading dot is matched by a dot only (glob(7)).
fn fits(part: &OsStr, name: &OsStr) -> bool {
    let (part, name) = (part.as_bytes(), name.as_bytes());
    (part.starts_with(b".") || !name.starts_with(b".")) && matches(part, name)
}

/// The paths of a host that a pattern stands for, sorted. What cannot be looked at is handed to `failed`.
#[must_use]
pub fn expand(host: &Host, pattern: &Path, failed: &mut dyn FnMut(HostError)) -> Vec<PathBuf> {
    let mut left = usize::MAX;
    expand_within(host, pattern, &mut left, failed)
}

/// As [`expand`], for patterns that somebody else wrote: takes off from `left` each folder that is listed and each
/// path that is found, and stops at zero, which is handed to `failed`.
#[must_use]
pub fn expand_within(host: &Host, pattern: &Path, left: &mut usize, failed: &mut dyn FnMut(HostError)) -> Vec<PathBuf> {
    let mut tell = |error: HostError| {
        if !error.is_absent() {
            failed(error);
        }
    };
    let mut found = vec![PathBuf::from("/")];
    let mut parts = pattern.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else { continue };
        if is_fixed(part) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let inner = parts.peek().is_some();
        let wanted =
            |entry: &Entry| fits(part, &entry.name) && (!inner || matches!(entry.kind, Kind::Folder | Kind::Link));
        let mut next = Vec::new();
        for path in found {
            if *left == 0 {
                tell(ErrorKind::Io("patterns stand for more than is looked at").at(pattern));
                break;
            }
            *left -= 1;
            match host.resolve(&path).and_then(|real| host.list(&real)) {
                Ok(entries) => next.extend(entries.into_iter().filter(wanted).map(|entry| path.join(entry.name))),
                Err(error) => tell(error),
            }
            next.truncate(MOST);
        }
        found = next;
    }
    if found.len() > *left {
        tell(ErrorKind::Io("patterns stand for more than is looked at").at(pattern));
        found.truncate(*left);
    }
    *left -= found.len();
    found.retain(|path| match host.stat(path) {
        Ok(meta) => meta.kind != Kind::Other,
        Err(error) => {
            tell(error);
            false
        }
    });
    found
}

impl Host {
    /// Where the paths that there are for these patterns really lead, so that none comes twice. What cannot be looked
    /// at is handed to `failed`.
    pub fn expand(&self, patterns: &[String], failed: &mut dyn FnMut(HostError)) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for pattern in patterns {
            for path in expand(self, Path::new(pattern), failed) {
                found.extend(self.real(path, failed));
            }
        }
        found
    }

    /// Where a path really leads, if there is something; what stands in the way is handed to `failed`.
    pub fn real(&self, path: PathBuf, failed: &mut dyn FnMut(HostError)) -> Option<PathBuf> {
        match self.resolve(&path) {
            Ok(path) => Some(path),
            Err(error) => {
                if !error.is_absent() {
                    failed(error);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::state::testing::Folder;

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
    fn patterns_stand_for_what_is_there_with_links_replaced_once() {
        let folder = Folder::new();
        for path in ["opt/php81/bin", "opt/php82/bin", "opt/.php83/bin", "opt/other/bin"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("opt/php80"), "no folder").unwrap();
        std::os::unix::fs::symlink("php82", folder.path().join("opt/php-default")).unwrap();
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let mut failed = Vec::new();
        let patterns = ["/opt/php*/bin".to_owned(), "/opt/php81/bin".to_owned(), "/none/*/bin".to_owned()];
        let real = host.expand(&patterns, &mut |error| failed.push(error));
        assert_eq!(real.iter().collect::<Vec<_>>(), [Path::new("/opt/php81/bin"), Path::new("/opt/php82/bin")]);
        let named = expand(&host, Path::new("/opt/php*/bin"), &mut |error| failed.push(error));
        let three = ["/opt/php-default/bin", "/opt/php81/bin", "/opt/php82/bin"].map(PathBuf::from);
        assert_eq!(BTreeSet::from_iter(named), BTreeSet::from(three));
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(fixed_part("/opt/php*/bin"), Path::new("/opt"));
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
