//! Which logs there are: those that the configuration of web servers names, and those in the usual places.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::conf::Conf;
use super::extract::Extractor;
use super::glob::{self, Seen};
use super::source::{Pattern, Source};
use super::{apache, nginx};
use crate::host::Host;

/// Logs that are followed.
pub(super) const MAX_LOGS: usize = 256;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// By path, all links replaced.
    pub(super) sources: BTreeMap<String, Source>,
    /// What could not be looked at: a path, and why.
    pub(super) problems: Vec<(PathBuf, String)>,
    /// How many logs are not followed because there are too many, and the first of them.
    pub(super) beyond: Option<(usize, String)>,
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
    for Pattern { what, path } in places {
        let problems = &mut found.problems;
        let paths = glob::expand(host, path, &mut seen, &mut |error| {
            problems.push((path.clone(), error.to_string()));
        });
        for (path, site) in paths {
            let formats = if what.origin().is_none() { usual.clone() } else { Vec::new() };
            found.add(host, &path, Source { what: *what, site, formats, named_by: None });
        }
    }
    found.seen = seen;
    found
}

impl Found {
    /// Takes a log up under its real path; who named it first is right.
    fn add(&mut self, host: &Host, path: &Path, source: Source) {
        let real = host.resolve(path).or_else(|error| match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => host.resolve(folder).map(|folder| folder.join(name)),
            _ => Err(error),
        });
        // One that is not there yet, or that cannot be reached, is told of when it is.
        let path = real.unwrap_or_else(|_| path.to_owned());
        let Some(path) = path.to_str() else {
            return self.problems.push((path.clone(), "its name is not UTF-8".to_owned()));
        };
        if self.sources.len() >= MAX_LOGS && !self.sources.contains_key(path) {
            let (count, _) = self.beyond.get_or_insert_with(|| (0, path.to_owned()));
            *count += 1;
            return;
        }
        self.sources.entry(path.to_owned()).or_insert(source);
    }
}
