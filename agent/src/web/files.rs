//! The files of a configuration: read within bounds, with what includes stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use plumb_proto::time::Timestamp;

use super::{SITES, Site};
use crate::host::pattern::{expand_within, matches};
use crate::host::{ErrorKind, Host, HostError, Identity, Kind};

/// Bytes of one file; cPanel keeps hundreds of sites in one.
const FILE: usize = 8 << 20;
/// Bytes of a file that is not the system's own.
const FOREIGN_FILE: usize = 1 << 20;
/// Bytes of all files of one server.
const BYTES: usize = 32 << 20;
/// Files that are read of one server.
const FILES: usize = 4_096;
/// Includes of one server.
const INCLUDES: usize = 20_000;
/// Folders and paths that these are looked for in, and files that are asked whether they are there.
const LOOKED_AT: usize = 40_000;
/// Files that include one another.
const DEPTH: usize = 10;
/// Places whose change is noticed.
const SEEN: usize = 10_000;
/// Problems and faults that are kept.
const TOLD: usize = 16;
/// Servers of one configuration that are kept until they are put together: most sites have two.
const RAW: usize = 4 * SITES;
/// Bytes of the values of all.
const KEPT: usize = 4 << 20;
/// Bytes of the sites that are made of them: each has a copy of what it inherits, and of what variables stand for.
const HELD: usize = 32 << 20;

/// Reads for one server after the other. Without a host there are no files, and parsing is a function of the text.
pub struct Files<'a> {
    pub(super) host: Option<&'a Host>,
    problems: Vec<HostError>,
    seen: BTreeMap<PathBuf, Option<Identity>>,
    /// What is read at the moment, one including the next.
    open: Vec<PathBuf>,
    files: usize,
    bytes: usize,
    includes: usize,
    left: usize,
    raw: usize,
    kept: usize,
    held: usize,
    pub(super) changed: Option<Timestamp>,
    pub(super) faults: Vec<String>,
}

/// What an include stands for.
pub(super) enum Included {
    /// These files, of which there may be none.
    Pattern(Vec<PathBuf>),
    /// One file or folder that is there.
    One(PathBuf, Kind),
    /// One that is not.
    Missing(PathBuf),
}

impl<'a> Files<'a> {
    pub(super) fn new(host: Option<&'a Host>) -> Self {
        Self {
            host,
            problems: Vec::new(),
            seen: BTreeMap::new(),
            open: Vec::new(),
            files: 0,
            bytes: 0,
            includes: 0,
            left: LOOKED_AT,
            raw: 0,
            kept: 0,
            held: 0,
            changed: None,
            faults: Vec::new(),
        }
    }

    /// The next server begins: its bounds are its own.
    pub(super) fn begin(&mut self) {
        (self.files, self.bytes, self.includes, self.left, self.raw, self.kept) = (0, 0, 0, LOOKED_AT, 0, 0);
        self.held = 0;
        self.open.clear();
        self.changed = None;
        self.faults.clear();
    }

    pub(super) fn finish(self) -> (Vec<HostError>, Vec<(PathBuf, Option<Identity>)>) {
        (self.problems, self.seen.into_iter().collect())
    }

    /// Text of a file that is read now, until [`Files::leave`]. `None`: it is not there, or cannot be read, which is told.
    pub(super) fn enter(&mut self, path: &Path) -> Option<String> {
        let host = self.host?;
        if self.open.iter().any(|each| each == path) {
            self.fault(format!("{} includes itself", path.display()));
            return None;
        }
        if self.open.len() >= DEPTH || self.files >= FILES || self.bytes >= BYTES {
            self.problem(path, ErrorKind::Io("more configuration is included than is read"));
            return None;
        }
        self.files += 1;
        self.note(path);
        let read = || -> Result<(Vec<u8>, Timestamp), HostError> {
            let mut file = host.open(path)?;
            let meta = file.meta();
            let system = meta.uid == 0 || host.stat("/").is_ok_and(|root| root.uid == meta.uid);
            let mut bytes = Vec::new();
            file.read_into(if system { FILE } else { FOREIGN_FILE }, &mut bytes)?;
            Ok((bytes, meta.identity.modified()))
        };
        match read() {
            Ok((bytes, modified)) => {
                self.bytes += bytes.len();
                self.changed = self.changed.max(Some(modified));
                self.open.push(path.to_owned());
                Some(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
            }
            Err(error) => {
                if !error.is_absent() {
                    self.problem(path, error.kind);
                }
                None
            }
        }
    }

    /// The file that was entered last is at its end.
    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    /// The file that is read at the moment.
    pub(super) fn here(&self) -> PathBuf {
        self.open.last().cloned().unwrap_or_default()
    }

    /// What an include stands for: a path, or a pattern with `*`, `?` and `[..]`.
    pub(super) fn included(&mut self, pattern: &Path) -> Included {
        let Some(host) = self.host else { return Included::Pattern(Vec::new()) };
        self.includes += 1;
        if self.includes > INCLUDES {
            self.problem(pattern, ErrorKind::Io("it includes more than is looked at"));
            return Included::Pattern(Vec::new());
        }
        let bytes = pattern.as_os_str().as_encoded_bytes();
        if !bytes.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
            self.note(pattern);
            return match host.stat(pattern) {
                Ok(meta) => Included::One(pattern.to_owned(), meta.kind),
                Err(error) if error.is_absent() => Included::Missing(pattern.to_owned()),
                Err(error) => {
                    self.problem(pattern, error.kind);
                    Included::Pattern(Vec::new())
                }
            };
        }
        let (wide, narrow) = widened(pattern);
        let mut failed = Vec::new();
        let mut found = expand_within(host, &wide, &mut self.left, &mut |error| failed.push(error));
        if narrow {
            found.retain(|path| fits_all(pattern, path));
        }
        for error in failed {
            self.problem(pattern, error.kind);
        }
        let fixed: PathBuf = wide
            .components()
            .take_while(|part| !part.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?')))
            .collect();
        self.note(&fixed);
        // Folders between the fixed part and what was found may get more.
        let between: BTreeSet<&Path> =
            found.iter().flat_map(|path| path.ancestors().skip(1)).filter(|path| path.starts_with(&fixed)).collect();
        between.into_iter().for_each(|folder| self.note(folder));
        Included::Pattern(found)
    }

    /// Tells that a file that is named is not there. What must not be looked at, or is no path, is taken to be there.
    pub(super) fn needs(&mut self, path: &Path, what: &str) {
        let Some(host) = self.host.filter(|_| self.left > 0) else { return };
        self.left -= 1;
        if host.stat(path).is_err_and(|error| error.is_absent()) {
            self.note(path);
            self.fault(format!("{what} {} is missing", path.display()));
        }
    }

    /// Whether something is there, if it can be told.
    pub(super) fn exists(&mut self, path: &Path) -> Option<bool> {
        let host = self.host.filter(|_| self.left > 0)?;
        self.left -= 1;
        self.note(path);
        match host.stat(path) {
            Ok(_) => Some(true),
            Err(error) if error.is_absent() => Some(false),
            Err(_) => None,
        }
    }

    /// Whether one more server may be kept.
    pub(super) fn has_room(&mut self) -> bool {
        self.raw += 1;
        if self.raw > RAW {
            let here = self.here();
            self.problem(&here, ErrorKind::Io("more sites are configured than are looked at"));
        }
        self.raw <= RAW
    }

    /// Whether so many more bytes of values may be kept.
    pub(super) fn may_keep(&mut self, bytes: usize) -> bool {
        self.kept = self.kept.saturating_add(bytes + 32);
        if self.kept > KEPT {
            let here = self.here();
            self.problem(&here, ErrorKind::Io("more is configured than is looked at"));
        }
        self.kept <= KEPT
    }

    /// Whether a site that was made may be held. After the first one that may not, no other may.
    pub(super) fn may_hold(&mut self, site: &Site) -> bool {
        let certificates = site.tls.iter().map(|tls| &tls.certificate);
        let paths = [&site.other_roots, &site.access_logs, &site.error_logs].into_iter().flatten().chain(certificates);
        let reasons = site.unknown.iter().map(|(_, why)| why);
        let texts = site.names.iter().chain(&site.listen).chain(&site.proxy).chain(reasons);
        let bytes = paths.map(|path| path.as_os_str().len()).chain(texts.map(String::len)).sum::<usize>();
        self.held = self.held.saturating_add(bytes);
        if self.is_full() {
            let here = self.here();
            self.problem(&here, ErrorKind::Io("more is configured than is looked at"));
        }
        !self.is_full()
    }

    /// Whether a site was made that may not be held.
    pub(super) fn is_full(&self) -> bool {
        self.held > HELD
    }

    /// Notes that what is configured is not known in full.
    pub(super) fn problem(&mut self, path: &Path, kind: ErrorKind) {
        let error = kind.at(path);
        if self.problems.len() < TOLD
            && !self.problems.iter().any(|each| each.kind == error.kind && each.path == error.path)
        {
            self.problems.push(error);
        }
    }

    /// Notes that something cannot work.
    pub(super) fn fault(&mut self, what: String) {
        if self.faults.len() < TOLD && !self.faults.contains(&what) {
            self.faults.push(what);
        }
    }

    fn note(&mut self, path: &Path) {
        let Some(host) = self.host else { return };
        if self.seen.len() < SEEN && !self.seen.contains_key(path) {
            self.seen.insert(path.to_owned(), host.stat(path).ok().map(|meta| meta.identity));
        }
    }
}

/// A pattern in which `?` stands for each `[..]`, and whether there was any.
fn widened(pattern: &Path) -> (PathBuf, bool) {
    let text = pattern.to_string_lossy();
    let (mut wide, mut rest, mut narrow) = (String::new(), &*text, false);
    while let Some((before, after)) = rest.split_once('[') {
        // `]` right behind the bracket belongs to the set (glob(7)).
        let skip = after.char_indices().nth(1).map_or(after.len(), |(at, _)| at);
        let Some(end) = after.get(skip..).and_then(|set| set.find(']')) else { break };
        wide.push_str(before);
        wide.push('?');
        rest = &after[skip + end + 1..];
        narrow = true;
    }
    wide.push_str(rest);
    (PathBuf::from(wide), narrow)
}

fn fits_all(pattern: &Path, path: &Path) -> bool {
    let names = |path: &Path| -> Vec<Vec<u8>> {
        let normal = path.components().filter(|part| matches!(part, Component::Normal(_)));
        normal.map(|part| part.as_os_str().as_encoded_bytes().to_vec()).collect()
    };
    let (patterns, names) = (names(pattern), names(path));
    patterns.len() == names.len() && patterns.iter().zip(&names).all(|(pattern, name)| fits(pattern, name))
}

/// As [`matches`], with sets (glob(7)); a `*` is tried again at the last one only, so no pattern takes exponential time.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if !pattern.contains(&b'[') {
        return matches(pattern, name);
    }
    let (mut at, mut taken) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while taken < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, taken));
            at += 1;
            continue;
        }
        match one(&pattern[at..], name[taken]) {
            Some(length) => (at, taken) = (at + length, taken + 1),
            None => {
                let Some((place, from)) = star else { return false };
                star = Some((place, from + 1));
                (at, taken) = (place + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How long the beginning of a pattern is that stands for this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'[', set @ ..] => match set.iter().skip(1).position(|each| *each == b']') {
            Some(end) => in_set(&set[..=end], byte).then_some(end + 3),
            None => (byte == b'[').then_some(1),
        },
        [first, ..] => (*first == b'?' || *first == byte).then_some(1),
        [] => None,
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let (not, set) = match set.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut at = 0;
    let mut is_in = false;
    while at < set.len() {
        if set.get(at + 1) == Some(&b'-') && at + 2 < set.len() {
            is_in |= (set[at]..=set[at + 2]).contains(&byte);
            at += 3;
        } else {
            is_in |= set[at] == byte;
            at += 1;
        }
    }
    is_in != not
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_in_patterns_stand_for_one_byte_each() {
        for (pattern, name, expected) in [
            ("[a-z]*.conf", "shop.conf", true),
            ("[a-z]*.conf", "1.conf", false),
            ("[!a-z]*.conf", "1.conf", true),
            ("*[^~]", "site", true),
            ("*[^~]", "site~", false),
            ("[]x]y", "]y", true),
            ("*.c[ao]nf[", "a.conf[", true),
            ("a[b", "a[b", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        assert_eq!(widened(Path::new("/etc/n/*.[ch]onf[1-9]")), (PathBuf::from("/etc/n/*.?onf?"), true));
        assert_eq!(widened(Path::new("/etc/n/a[b")), (PathBuf::from("/etc/n/a[b"), false));
    }
}
