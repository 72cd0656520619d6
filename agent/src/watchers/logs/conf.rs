//! Reading configuration of web servers: bounded, and tolerant of what it does not know.

use std::path::{Path, PathBuf};

use super::glob::{self, Seen};
use super::source::{Entry, Named};
use crate::host::{Host, HostError};

/// Files of one server's configuration.
const MAX_FILES: usize = 2_000;
/// Bytes of one file; cPanel keeps hundreds of sites in one.
const MAX_FILE: usize = 8 << 20;
/// Bytes of all.
const MAX_BYTES: usize = 32 << 20;
/// Bytes of a file that is not the system's own.
const MAX_FOREIGN: usize = 1 << 20;
/// Includes with a pattern.
const MAX_PATTERNS: usize = 1_000;
/// Logs, servers, formats and variables, and their bytes.
const MAX_KEPT: usize = 20_000;
const MAX_KEPT_BYTES: usize = 16 << 20;
const FULL: &str = "more logs are configured than are looked at";
/// Logs that are named outside of every site: each site without its own may write there.
const MAX_OUTER: usize = 64;
/// Files that include one another.
const MAX_DEPTH: usize = 10;

/// A reader of configuration.
pub(super) struct Conf<'a> {
    pub(super) host: &'a Host,
    pub(super) seen: &'a mut Seen,
    pub(super) named: Named,
    /// What could not be read, so that logs may be missing.
    pub(super) problems: Vec<(PathBuf, String)>,
    files: usize,
    bytes: usize,
    patterns: usize,
    kept: usize,
    kept_bytes: usize,
}

/// A file of configuration.
pub(super) struct Text {
    pub(super) text: String,
    /// Its owner, unless that is the system.
    pub(super) owner: Option<u32>,
}

impl<'a> Conf<'a> {
    pub(super) fn new(host: &'a Host, seen: &'a mut Seen) -> Self {
        Self {
            host,
            seen,
            named: Named::default(),
            problems: Vec::new(),
            files: 0,
            bytes: 0,
            patterns: 0,
            kept: 0,
            kept_bytes: 0,
        }
    }

    /// Whether one more thing may be kept, of so many bytes. Parts of a configuration are written by whoever runs a site.
    pub(super) fn has_room(&mut self, path: &Path, bytes: usize) -> bool {
        self.kept += 1;
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        let fits = self.kept <= MAX_KEPT && self.kept_bytes <= MAX_KEPT_BYTES;
        let told = self.problems.iter().any(|(_, what)| what == FULL);
        if !fits && !told {
            self.problem(path, FULL);
        }
        fits
    }

    /// Logs that are named outside of every site, none of which was used yet.
    pub(super) fn outer(&mut self, path: &Path, entries: impl Iterator<Item = Entry>) -> Vec<(Entry, bool)> {
        let mut found: Vec<(Entry, bool)> = Vec::new();
        for entry in entries {
            if found.iter().any(|(each, _)| *each == entry) {
                continue;
            }
            if found.len() >= MAX_OUTER {
                self.problem(path, "more logs are named outside of every site than are looked at");
                break;
            }
            found.push((entry, false));
        }
        found
    }

    /// A file's text. `None`: it is not there, or cannot be read, which is then told.
    pub(super) fn read(&mut self, path: &Path, depth: usize) -> Option<Text> {
        if depth > MAX_DEPTH || self.files >= MAX_FILES || self.bytes >= MAX_BYTES {
            self.problem(path, "more configuration is included than is read");
            return None;
        }
        self.files += 1;
        self.seen.note(self.host, path);
        let read = || -> Result<(Vec<u8>, u32), HostError> {
            let mut file = self.host.open(path)?;
            let mut bytes = Vec::new();
            let uid = file.meta().uid;
            file.read_into(if is_system(self.host, uid) { MAX_FILE } else { MAX_FOREIGN }, &mut bytes)?;
            Ok((bytes, uid))
        };
        match read() {
            Ok((bytes, uid)) => {
                self.bytes += bytes.len();
                let owner = (!is_system(self.host, uid)).then_some(uid);
                Some(Text { text: String::from_utf8_lossy(&bytes).into_owned(), owner })
            }
            Err(error) if error.is_absent() => None,
            Err(error) => {
                self.problem(path, &error.kind.to_string());
                None
            }
        }
    }

    /// The files that an include names.
    pub(super) fn included(&mut self, pattern: &Path) -> Vec<PathBuf> {
        let text = pattern.to_string_lossy();
        if text.contains(['[', '$']) {
            self.problem(pattern, "a pattern of another kind than * and ?");
            return Vec::new();
        }
        if !glob::is_pattern(&text) {
            return vec![pattern.to_owned()];
        }
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            self.problem(pattern, "more configuration is included than is read");
            return Vec::new();
        }
        let mut failed = Vec::new();
        let found = glob::expand(self.host, pattern, self.seen, &mut |error| failed.push(error));
        for error in failed {
            self.problem(pattern, &error.to_string());
        }
        found.into_iter().map(|(path, _)| path).collect()
    }

    pub(super) fn problem(&mut self, path: &Path, what: &str) {
        if self.problems.len() < 16 {
            self.problems.push((path.to_owned(), what.to_owned()));
        }
    }

    /// What a site writes to: its own logs, or else those of the whole server.
    pub(super) fn site(&mut self, site: Option<&str>, own: &[Entry], whole: &mut [(Entry, bool)]) {
        for entry in own {
            self.named.add(entry, site.map(str::to_owned));
        }
        let is_request = |entry: &Entry| entry.what.origin().is_none();
        let has = |requests: bool| own.iter().any(|each| is_request(each) == requests);
        let has = (has(true), has(false));
        for (entry, used) in whole {
            if !(if is_request(entry) { has.0 } else { has.1 }) {
                *used = true;
                // What goes wrong there may be the server's own trouble.
                self.named.add(entry, site.filter(|_| is_request(entry)).map(str::to_owned));
            }
        }
    }
}

/// Whether files of this owner are the system's.
pub(super) fn is_system(host: &Host, uid: u32) -> bool {
    uid == 0 || host.stat("/").is_ok_and(|root| root.uid == uid)
}

/// A name of a site as people know it: neither a catch-all nor a pattern.
pub(super) fn site_name(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    (name != "_" && !name.is_empty() && name.len() <= 253 && name.chars().all(fine)).then_some(name)
}
