//! Reads php-fpm.conf and what it includes, as fpm_conf.c of PHP's source does. Whoever runs a site may write parts of it,
//! so all of it has an end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use super::{Instance, MAX_POOLS, Pool, Pools, comparable, ini, settings};
use crate::host::pattern::{expand_within, matches};
use crate::host::{ErrorKind, Host, HostError, Kind};

/// Bytes of one file.
const FILE: usize = 1 << 20;
/// Bytes of all files of one instance.
const BYTES: usize = 32 << 20;
/// Files of one instance.
const FILES: usize = 8_192;
/// Files one inside the other, as many as FPM itself reads.
const DEPTH: usize = 5;
/// Folders and paths that patterns are looked for in.
const LOOKED_AT: usize = 20_000;
/// Directives that are kept of one pool.
const DIRECTIVES: usize = 128;

/// What is known of a pool while files are read.
#[derive(Default)]
struct Draft {
    config: PathBuf,
    changed: Option<Timestamp>,
    values: BTreeMap<String, String>,
    unknown: BTreeMap<String, &'static str>,
    other: u64,
}

struct Reading<'a> {
    host: &'a Host,
    base: PathBuf,
    /// By name, in the order in which they are met.
    drafts: Vec<(String, Draft)>,
    places: BTreeMap<String, usize>,
    section: String,
    pid_file: Option<String>,
    folders: BTreeSet<PathBuf>,
    problems: Vec<HostError>,
    bytes: usize,
    files: usize,
    left: usize,
    /// Pools that may still be told.
    room: usize,
    full: bool,
}

/// Reads one instance, and adds its pools.
pub(super) fn read(host: &Host, at: usize, found: &mut Pools) {
    let Some(instance) = found.instances.get_mut(at) else { return };
    let mut reading = Reading {
        host,
        base: base(&instance.binary),
        drafts: Vec::new(),
        places: BTreeMap::new(),
        section: String::new(),
        pid_file: None,
        folders: BTreeSet::new(),
        problems: Vec::new(),
        bytes: BYTES,
        files: FILES,
        left: LOOKED_AT,
        room: MAX_POOLS.saturating_sub(found.pools.len()),
        full: false,
    };
    instance.changed = host.stat(&instance.config).ok().map(|meta| meta.identity.modified());
    if let Err(error) = reading.file(&instance.config, 0) {
        reading.problems.push(error);
    }
    if reading.full {
        reading.problems.push(ErrorKind::Io("more pools than are told: the rest is not").at(&instance.config));
    }
    // A relative path begins in the folder for what varies (PHP_LOCALSTATEDIR).
    let state = if reading.base == Path::new("/usr") { PathBuf::from("/var") } else { reading.base.join("var") };
    instance.pid_file = reading.pid_file.take().filter(|path| !path.is_empty()).map(|path| state.join(path));
    instance.folders = reading.folders.iter().cloned().collect();
    let (drafts, base) = (std::mem::take(&mut reading.drafts), reading.base.clone());
    found.problems.append(&mut reading.problems);
    let mut pools: Vec<Pool> =
        drafts.into_iter().map(|(name, draft)| pool(host, (at, instance), &base, name, draft)).collect();
    pools.sort_by(|one, other| one.key.cmp(&other.key));
    found.pools.append(&mut pools);
}

/// What relative paths begin at: the prefix that PHP was built with (PHP_PREFIX).
fn base(binary: &Path) -> PathBuf {
    let folder =
        binary.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "sbin" || name == "bin"));
    folder.and_then(Path::parent).unwrap_or(Path::new("/usr")).to_owned()
}

fn pool(host: &Host, (at, instance): (usize, &Instance), base: &Path, name: String, draft: Draft) -> Pool {
    let Draft { config, changed, mut values, unknown, other } = draft;
    for value in values.values_mut() {
        if value.contains("$pool") {
            *value = value.replace("$pool", &name);
        }
    }
    let prefix = values.get("prefix").map_or_else(|| base.to_owned(), |prefix| base.join(prefix));
    let listen = match values.get("listen").map(String::as_str) {
        None | Some("") => String::new(),
        Some(listen) => {
            let listen = listen.replace("$prefix", &prefix.to_string_lossy());
            // as FPM tells them apart (fpm_sockets_domain_from_address in its source)
            let is_address = listen.contains(':') || listen.bytes().all(|byte| byte.is_ascii_digit());
            let is_path = !is_address && !listen.starts_with('/');
            let listen = if is_path { prefix.join(listen).to_string_lossy().into_owned() } else { listen };
            values.insert("listen".to_owned(), listen.clone());
            comparable(host, &listen)
        }
    };
    let suffix = instance.prefix.as_ref().map(|prefix| format!("@{}", prefix.display())).unwrap_or_default();
    Pool {
        key: format!("{}/{name}{suffix}", instance.branch),
        branch: instance.branch.clone(),
        prefix: instance.prefix.clone(),
        listen,
        user: values.get("user").filter(|user| !user.is_empty()).cloned(),
        config,
        changed,
        values,
        unknown,
        other,
        instance: at,
        name,
    }
}

impl Reading<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<(), HostError> {
        let Some(files) = self.files.checked_sub(1) else {
            return Err(ErrorKind::Io("more files are included than are read").at(path));
        };
        self.files = files;
        let mut file = self.host.open(path)?;
        let changed = file.meta().identity.modified();
        let mut text = Vec::new();
        file.read_into(FILE.min(self.bytes), &mut text)?;
        self.bytes -= text.len();
        let mut entries = Vec::new();
        ini::parse(&text, &mut |section, name, value| {
            if entries.len() < MAX_POOLS * DIRECTIVES {
                // What a pool puts into the environment of a site may be a secret: of that is known that it changed.
                let entry =
                    if wanted(name) { Ok((name.to_owned(), value)) } else { Err(settings::digest(name, &value)) };
                entries.push((section.to_owned(), entry));
            }
        });
        drop(text);
        for (section, entry) in entries {
            // Before its first section, an included file goes on in the one of the file that includes it.
            if !section.is_empty() {
                self.section = section;
            }
            let (name, value) = match entry {
                Ok(entry) => entry,
                Err(digest) => {
                    if let Some(draft) = self.draft(path, changed) {
                        draft.other = draft.other.rotate_left(1) ^ digest;
                    }
                    continue;
                }
            };
            match (name.as_str(), value) {
                ("include", Ok(pattern)) => self.include(path, &pattern, depth),
                ("include", Err(why)) => self.problems.push(ErrorKind::Io(why).at(path)),
                (_, value) if self.section.is_empty() || self.section.eq_ignore_ascii_case("global") => {
                    if name == "pid" {
                        self.pid_file = value.ok();
                    }
                }
                (_, value) => self.take(path, changed, name, value),
            }
        }
        Ok(())
    }

    /// The pool whose section is read; `None`: there is no room for it.
    fn draft(&mut self, path: &Path, changed: Timestamp) -> Option<&mut Draft> {
        let at = match self.places.get(&self.section) {
            Some(at) => *at,
            None if self.drafts.len() >= self.room => {
                self.full = true;
                return None;
            }
            None => {
                self.places.insert(self.section.clone(), self.drafts.len());
                self.drafts.push((self.section.clone(), Draft { config: path.to_owned(), ..Draft::default() }));
                self.drafts.len() - 1
            }
        };
        let (_, draft) = self.drafts.get_mut(at)?;
        draft.changed = draft.changed.max(Some(changed));
        Some(draft)
    }

    /// A directive of the pool whose section it stands in.
    fn take(&mut self, path: &Path, changed: Timestamp, name: String, value: ini::Value) {
        let Some(draft) = self.draft(path, changed) else { return };
        if draft.values.len() + draft.unknown.len() >= DIRECTIVES {
            return;
        }
        match value {
            Ok(value) => {
                draft.unknown.remove(&name);
                draft.values.insert(name, value);
            }
            Err(why) => {
                draft.values.remove(&name);
                draft.unknown.insert(name, why);
            }
        }
    }

    fn include(&mut self, from: &Path, pattern: &str, depth: usize) {
        if depth + 1 >= DEPTH {
            let why = "it includes files one inside the other, deeper than FPM itself reads";
            self.problems.push(ErrorKind::Io(why).at(from));
            return;
        }
        let pattern = self.base.join(pattern);
        let mut failed = Vec::new();
        let files = expand_within(self.host, &pattern, &mut self.left, &mut |error| failed.push(error));
        self.problems.append(&mut failed);
        if let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) {
            self.folders.insert(folder.to_owned());
            self.tell_odd(folder, name.as_encoded_bytes());
        }
        let section = self.section.clone();
        for file in files {
            match self.file(&file, depth + 1) {
                Ok(()) => {}
                Err(error) if error.is_absent() => {} // gone since
                Err(error) => self.problems.push(error),
            }
            if self.problems.len() > 64 {
                break;
            }
        }
        self.section = section;
    }

    /// What is no file and goes by the name of one keeps FPM from starting: it waits for it.
    fn tell_odd(&mut self, folder: &Path, pattern: &[u8]) {
        let mut odd = Vec::new();
        // That it cannot be listed was told with the pattern.
        let _ = self.host.resolve(folder).and_then(|real| {
            self.host.entries(&real, &mut |name, kind| {
                if kind == Kind::Other && matches(pattern, name.as_encoded_bytes()) && odd.len() < 8 {
                    odd.push(folder.join(name));
                }
            })
        });
        self.problems.extend(odd.iter().map(|path| ErrorKind::NotRegular.at(path)));
    }
}

/// The directives that are kept.
fn wanted(name: &str) -> bool {
    match name.split_once('[') {
        None => true,
        Some((kind, rest)) => {
            let php = ["php_value", "php_flag", "php_admin_value", "php_admin_flag"].contains(&kind);
            php && settings::is_known(rest.trim_end_matches(']'))
        }
    }
}
