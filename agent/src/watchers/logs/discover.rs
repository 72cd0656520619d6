//! Which logs there are: those that the configuration of web servers names, and those in the usual places.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::conf::Conf;
use super::extract::Extractor;
use super::glob::{self, Seen};
use super::rotated::rotated;
use super::source::{Pattern, Source};
use super::{apache, nginx};
use crate::host::Host;

/// Logs that are followed.
pub(super) const MAX_LOGS: usize = 256;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// By path.
    pub(super) sources: BTreeMap<String, Source>,
    /// What could not be looked at: a path, and why.
    pub(super) problems: Vec<(PathBuf, String)>,
    /// How many logs are not followed because there are too many, and the first of them.
    pub(super) beyond: Option<(usize, String)>,
    /// Those that are links, and where they lead.
    links: BTreeMap<String, String>,
    /// Those that only a `*` stands for.
    guessed: BTreeSet<String>,
    /// What it was found by.
    pub(super) seen: Seen,
}

/// Looks for logs.
pub(super) fn discover(host: &Host, places: &[Pattern], nginxes: &[PathBuf], apaches: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut seen = Seen::default();
    let mut conf = Conf::new(host, &mut seen);
    nginxes.iter().for_each(|path| nginx::read(&mut conf, path));
    apaches.iter().for_each(|path| apache::read(&mut conf, path));
    let Conf { named, problems, .. } = conf;
    found.problems = problems;
    for (path, source) in named.into_sources() {
        found.add(host, Path::new(&path), source);
    }
    let usual = Extractor::usual();
    for Pattern { what, path: place } in places {
        let problems = &mut found.problems;
        let paths = glob::expand(host, place, &mut seen, &mut |error| {
            problems.push((place.clone(), error.to_string()));
        });
        for (path, site) in paths {
            let formats = if what.origin().is_none() { usual.clone() } else { Vec::new() };
            let guessed = site.is_none() && path != *place;
            let Some(key) = found.add(host, &path, Source { what: *what, site, formats, named_by: None }) else {
                continue;
            };
            if guessed {
                found.guessed.insert(key);
            }
        }
    }
    found.drop_links();
    found.drop_copies();
    found.seen = seen;
    found
}

impl Found {
    /// A `*` may stand for rotated copies, too (`redis-20261121.log`): they are read as part of their log.
    fn drop_copies(&mut self) {
        let copies: Vec<String> = self.guessed.iter().filter(|path| self.is_copy(Path::new(path))).cloned().collect();
        for path in copies {
            self.sources.remove(&path);
        }
    }

    fn is_copy(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return false;
        };
        self.sources.keys().map(Path::new).filter(|other| other.parent() == Some(folder)).any(|other| {
            other.file_name().and_then(|base| base.to_str()).is_some_and(|base| rotated(base, name).is_some())
        })
    }

    /// A log that is named both by a link and by itself is followed by its own name.
    fn drop_links(&mut self) {
        let mut met = BTreeSet::new();
        for (link, real) in std::mem::take(&mut self.links) {
            if self.sources.contains_key(&real) || !met.insert(real) {
                self.sources.remove(&link);
            }
        }
    }

    /// Takes a log up, with the links replaced on the way to it; the last one stays, as it is what leads from one file
    /// to the next where each day has its own (`access.log -> 20261121-access.log`). The path is answered unless it was
    /// taken up before: who named it first is right.
    fn add(&mut self, host: &Host, path: &Path, source: Source) -> Option<String> {
        let place = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => host.resolve(folder).map(|folder| folder.join(name)).ok(),
            _ => None,
        };
        // One that is not there yet, or that cannot be reached, is told of when it is.
        let path = place.unwrap_or_else(|| path.to_owned());
        let Some(path) = path.to_str() else {
            self.problems.push((path.clone(), "its name is not UTF-8".to_owned()));
            return None;
        };
        if self.sources.len() >= MAX_LOGS && !self.sources.contains_key(path) {
            let (count, _) = self.beyond.get_or_insert_with(|| (0, path.to_owned()));
            *count += 1;
            return None;
        }
        if self.sources.contains_key(path) {
            return None;
        }
        self.sources.insert(path.to_owned(), source);
        let real = host.resolve(path).ok().and_then(|real| Some(real.to_str()?.to_owned()));
        if let Some(real) = real.filter(|real| real != path) {
            self.links.insert(path.to_owned(), real);
        }
        Some(path.to_owned())
    }
}
