//! Patterns of paths: `*` and `?` within a name, and `{site}`, which is a `*` that names the site.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::host::pattern::matches;
use crate::host::{ErrorKind, Host, HostError, Identity, Kind};

/// Paths that one pattern may lead to.
const MAX_PATHS: usize = 1_024;
/// Folders that all patterns together may list, and paths that they may ask for.
const MAX_ASKED: usize = 50_000;
/// Places whose change is noticed.
const MAX_NOTED: usize = 10_000;
const TOO_MUCH: &str = "patterns stand for more than is looked at";
const SITE: &str = "{site}";

/// What was looked at to find logs, as it was: when none of it has changed, there is nothing new to find.
#[derive(Debug, Default)]
pub(super) struct Seen {
    paths: BTreeMap<PathBuf, Option<Identity>>,
    /// Folders that were listed, and paths that were asked for.
    asked: usize,
}

impl Seen {
    /// Notes a file or folder that there may be.
    pub(super) fn note(&mut self, host: &Host, path: &Path) {
        // What is beyond is found when everything is looked for anyway.
        if self.paths.len() < MAX_NOTED && !self.paths.contains_key(path) {
            self.paths.insert(path.to_owned(), host.stat(path).ok().map(|meta| meta.identity));
        }
    }

    /// All of it.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.keys().map(PathBuf::as_path)
    }

    /// Whether so much more may be asked.
    fn may_ask(&mut self, count: usize) -> bool {
        self.asked = self.asked.saturating_add(count);
        self.asked <= MAX_ASKED
    }

    /// Whether anything is not as it was.
    pub(super) fn has_changed(&self, host: &Host) -> bool {
        self.paths.iter().any(|(path, was)| host.stat(path).ok().map(|meta| meta.identity) != *was)
    }
}

/// The paths that there are for a pattern, sorted, with the site that the pattern tells.
pub(super) fn expand(
    host: &Host,
    pattern: &Path,
    seen: &mut Seen,
    failed: &mut dyn FnMut(HostError),
) -> Vec<(PathBuf, Option<String>)> {
    let mut here: Vec<(PathBuf, Option<String>)> = vec![(PathBuf::from("/"), None)];
    for part in pattern.components() {
        let Component::Normal(part) = part else { continue };
        let part = part.to_string_lossy();
        if !is_pattern(&part) {
            here.iter_mut().for_each(|(path, _)| path.push(&*part));
            continue;
        }
        let mut next = Vec::new();
        for (folder, site) in here {
            if next.len() >= MAX_PATHS || !seen.may_ask(1) {
                failed(ErrorKind::Io(TOO_MUCH).at(pattern));
                break;
            }
            let listed = host.resolve(&folder).and_then(|real| {
                seen.note(host, &real);
                host.list(&real)
            });
            let entries = match listed {
                Ok(entries) => entries,
                Err(error) => {
                    seen.note(host, &folder);
                    if !error.is_absent() {
                        failed(error);
                    }
                    continue;
                }
            };
            for entry in entries.into_iter().filter(|entry| entry.kind != Kind::Other) {
                let Some(found) = entry.name.to_str().and_then(|name| fits(&part, name)) else { continue };
                next.push((folder.join(OsString::from(&entry.name)), found.or_else(|| site.clone())));
            }
        }
        if next.len() > MAX_PATHS {
            failed(ErrorKind::Io(TOO_MUCH).at(pattern));
            next.truncate(MAX_PATHS);
        }
        here = next;
    }
    if !seen.may_ask(here.len()) {
        failed(ErrorKind::Io(TOO_MUCH).at(pattern));
        return Vec::new();
    }
    here.retain(|(path, _)| {
        let found = host.stat(path);
        if found.is_err() {
            path.parent().into_iter().for_each(|folder| seen.note(host, folder));
        }
        found.map_or_else(|error| !error.is_absent(), |meta| meta.kind == Kind::File)
    });
    here
}

/// Whether a part of a path stands for several names.
pub(super) fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?']) || part.contains(SITE)
}

/// Whether a name fits a pattern, and the site that it names.
fn fits(pattern: &str, name: &str) -> Option<Option<String>> {
    if let Some((before, after)) = pattern.split_once(SITE) {
        let site = name.strip_prefix(before)?.strip_suffix(after)?;
        return (!site.is_empty() && !site.starts_with('.')).then(|| Some(site.to_owned()));
    }
    // A leading dot is matched by a dot only (glob(7)).
    if name.starts_with('.') && !pattern.starts_with('.') {
        return None;
    }
    matches(pattern.as_bytes(), name.as_bytes()).then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("a*b*c", "aXbXbc", true),
            ("a?c", "abc", true),
            ("*", ".hidden", false),
            ("***", "", true),
            ("php*-fpm.log", "php8.2-fpm.log", true),
        ] {
            assert_eq!(fits(pattern, name).is_some(), expected, "{pattern} {name}");
        }
        assert_eq!(fits("{site}.log", "example.org.log"), Some(Some("example.org".to_owned())));
        assert_eq!(fits("{site}.log", ".log"), None);
        assert_eq!(fits("{site}-ssl_log", "example.org-ssl_log"), Some(Some("example.org".to_owned())));
    }
}
