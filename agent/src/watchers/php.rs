//! Every PHP of the host: FPM, command line, CGI, LiteSpeed and Apache module, in whatever layout it was installed.
//!
//! By reading only: nothing is run. The version is what the binary itself would say in its `X-Powered-By` header, which
//! is compiled into it; the package database says where it comes from. A binary is read once, until it changes.
//!
//! All of that is gone through every ten minutes, when something has woken the watcher, and when a master of FPM has started
//! or ended. The looks in between tell it again, and are at the workers and queues of pools only.

mod loaded;
mod pools;
mod running;
mod saturation;
mod table;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use crate::fpm::layout;
use crate::fpm::places::{self, Sapi, parse_name};
use crate::fpm::settings::Configured;
use crate::host::binary::{Finding, Mark};
use crate::host::packages::{DATABASES, Package, PackagesError};
use crate::host::{HostError, Identity, Kind, Meta, pattern};
use crate::provenance::System;
use crate::watcher::{Again, Look, Progress, Spec, Watcher, minutes, seconds};
use pools::Pools;
use running::Running;
use table::{PHP, PHP_POOL};

/// The watcher `php`.
pub const SPEC: Spec = Spec::new::<Php>(
    "php",
    seconds(5),
    &[&PHP, &PHP_POOL],
    r#"
# Folders where binaries and Apache modules of PHP lie; `*` stands for the name of one folder. What runs is found anywhere.
folders = [
    "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin",               # distributions, sury; own builds
    "/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib64/apache2/modules",
    "/opt/remi/*/root/usr/bin", "/opt/remi/*/root/usr/sbin", "/opt/remi/*/root/usr/lib64/httpd/modules",
    "/opt/cpanel/*/root/usr/bin", "/opt/cpanel/*/root/usr/sbin",                # cPanel EasyApache 4
    "/opt/alt/*/usr/bin", "/opt/alt/*/usr/sbin",                                # CloudLinux
    "/opt/plesk/php/*/bin", "/opt/plesk/php/*/sbin",
    "/usr/local/lsws/*/bin",                                                    # LiteSpeed, CyberPanel
    "/RunCloud/Packages/*/bin", "/RunCloud/Packages/*/sbin",
    "/opt/sp/*/bin", "/opt/sp/*/sbin",                                          # ServerPilot
    "/usr/local/*/bin", "/usr/local/*/sbin",                                    # DirectAdmin
    "/opt/*/bin", "/opt/*/sbin", "/opt/bitnami/php/bin", "/opt/bitnami/php/sbin", "/opt/rh/*/root/usr/bin", "/opt/rh/*/root/usr/sbin",
]
"#,
);

/// Beginnings of the names of packages that PHP comes in.
const PACKAGES: [&str; 7] = ["php", "libapache2-mod-php", "plesk-php", "ea-php", "alt-php", "lsphp", "sp-php"];
/// Every PHP carries the header that it sends (SAPI_PHP_VERSION_HEADER in main/SAPI.h of its source).
const HEADER: Mark = Mark::Before(b"X-Powered-By: PHP/");
/// Bytes of binaries that are read in one slice of a look.
const SLICE: u64 = 16 << 20;
/// Time between two looks at all of it.
const FULL: Duration = minutes(10);
/// Binaries of one host.
const MAX_BINARIES: usize = 256;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Php {
    folders: Vec<String>,
    /// What binaries said, as long as they stay as they are.
    #[serde(skip)]
    known: BTreeMap<PathBuf, (Identity, Finding)>,
    /// Keys of what was told, by binary.
    #[serde(skip)]
    rows: BTreeMap<PathBuf, String>,
    /// A look that is not at its end.
    #[serde(skip)]
    begun: Option<Begun>,
    /// Folders of the last look.
    #[serde(skip)]
    watched: BTreeSet<PathBuf>,
    /// When a look at all of it ended, in monotonic time.
    #[serde(skip)]
    full: Option<Duration>,
    /// What it told.
    #[serde(skip)]
    again: Again,
    /// There was nothing to be told, and nothing that can be hidden.
    #[serde(skip)]
    absent: bool,
    #[serde(skip)]
    pools: Pools,
}

/// A look between two slices.
struct Begun {
    todo: VecDeque<(PathBuf, Sapi)>,
    keys: BTreeSet<String>,
    owners: Result<BTreeMap<PathBuf, Package>, PackagesError>,
    running: Running,
    system: System,
}

impl Watcher for Php {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let now = look.host.clock().monotonic();
        let due = self.full.is_none_or(|full| now >= full + FULL) || !look.host.is_live();
        if self.begun.is_none() && !due && look.trigger.is_empty() && !self.pools.have_moved(look.host, now) {
            look.tell_again(&self.again);
            return Ok(self.look_at_pools(look, now));
        }
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => {
                self.again.clear();
                self.begin(look)?
            }
        };
        let mut read = 0;
        while let Some((path, sapi)) = begun.todo.pop_front() {
            read += self.tell(look, &mut begun, &path, sapi);
            if read >= SLICE && !begun.todo.is_empty() {
                self.begun = Some(begun);
                self.again.add(look);
                return Ok(Progress::More);
            }
        }
        self.absent &= !self.pools.read(look, &self.rows);
        self.again.add(look);
        self.full = Some(now);
        Ok(self.look_at_pools(look, now))
    }

    fn again(&self) -> Option<Duration> {
        self.pools.again()
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        let databases = DATABASES.iter().map(PathBuf::from);
        let folders = self.folders.iter().map(|pattern| pattern::fixed_part(pattern));
        let all = databases.chain(folders).chain(self.watched.iter().cloned()).chain(self.pools.folders());
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl Php {
    /// Workers and queues, as they are now.
    fn look_at_pools(&mut self, look: &mut Look<'_>, now: Duration) -> Progress {
        self.pools.look(look, now);
        if self.absent { Progress::Absent } else { Progress::Done }
    }

    /// Finds the binaries.
    fn begin(&mut self, look: &mut Look<'_>) -> anyhow::Result<Begun> {
        look.host.check()?;
        let mut hidden: Vec<HostError> = Vec::new();
        self.watched = look.host.expand(&self.folders, &mut |error| hidden.push(error));
        let running = Running::find(look.host);
        let mut found: BTreeMap<PathBuf, (Sapi, Meta)> = BTreeMap::new();
        let candidates: Vec<PathBuf> = running.binaries().cloned().collect();
        let listed = places::candidates(look.host, &self.watched, &mut |error| hidden.push(error));
        for path in listed.into_iter().chain(candidates) {
            let Some((sapi, _)) = path.file_name().and_then(parse_name) else { continue };
            match look.host.stat(&path) {
                Ok(meta) if meta.kind == Kind::File && (sapi == Sapi::Apache || meta.is_executable()) => {
                    found.insert(path, (sapi, meta));
                }
                Ok(_) => {}
                Err(error) if error.is_absent() => {} // removed while it runs, or just now
                Err(error) => hidden.push(error),
            }
        }
        for error in &hidden {
            self.tell_hidden(look, error);
        }
        let is_hidden = |path: &Path| hidden.iter().any(|error| is_below(path, error));
        self.rows.retain(|path, _| found.contains_key(path) || is_hidden(path));
        self.known.retain(|path, _| found.contains_key(path));
        self.absent = found.is_empty() && hidden.is_empty();
        if found.is_empty() {
            return Ok(Begun::empty(running));
        }
        let mut inodes = BTreeSet::new();
        found.retain(|_, (_, meta)| inodes.insert(meta.identity.inode())); // hard links: one binary, several names
        if found.len() > MAX_BINARIES {
            look.problem(&PHP, "", "", format!("more than {MAX_BINARIES} binaries: the rest is not told"), "");
        }
        let paths: Vec<PathBuf> = found.keys().take(MAX_BINARIES).cloned().collect();
        Ok(Begun {
            owners: look.host.owners(&paths, &PACKAGES),
            todo: found.into_iter().take(MAX_BINARIES).map(|(path, (sapi, _))| (path, sapi)).collect(),
            keys: BTreeSet::new(),
            running,
            system: System::read(look.host),
        })
    }

    /// Tells that a place cannot be looked at. What was told of below it is unknown; no other row is.
    fn tell_hidden(&self, look: &mut Look<'_>, error: &HostError) {
        let below: Vec<&String> =
            self.rows.iter().filter(|(path, _)| is_below(path, error)).map(|(_, key)| key).collect();
        for key in &below {
            look.problem(&PHP, key.as_str(), error.path.clone(), &error.kind, error.hint());
        }
        if below.is_empty() {
            look.problem(&PHP, error.path.clone(), error.path.clone(), &error.kind, error.hint());
        }
    }

    /// Tells one binary; answers how many bytes of it were read.
    fn tell(&mut self, look: &mut Look<'_>, begun: &mut Begun, path: &Path, sapi: Sapi) -> u64 {
        let meta = match look.host.stat(path) {
            Ok(meta) => meta,
            Err(_) => return 0, // gone since the look began
        };
        let (finding, read) = match self.known.get(path) {
            Some((identity, finding)) if *identity == meta.identity => (finding.clone(), 0),
            _ => {
                let (finding, read) = look.host.version_in(path, HEADER);
                // What could not be read is tried again: permissions of the agent change without a trace in the file.
                if !matches!(finding, Finding::Unreadable(..)) {
                    self.known.insert(path.to_owned(), (meta.identity, finding.clone()));
                }
                (finding, read)
            }
        };
        let package = begun.owners.as_ref().ok().and_then(|owners| owners.get(path));
        let version = match &finding {
            Finding::Version(version) => Some(version.clone()),
            Finding::Nothing => return read, // a wrapper that goes by the name
            // The package says what was installed; its own word is not to be had.
            Finding::Unreadable(..) => package.map(Package::upstream),
        };
        let name = path.file_name().and_then(parse_name);
        let branch = version.as_ref().and_then(places::branch).or_else(|| name.and_then(|(_, branch)| branch));
        let branch = branch.unwrap_or_else(|| "unknown".to_owned());
        let key = key(&mut begun.keys, sapi, &branch, path);
        self.rows.insert(path.to_owned(), key.clone());
        let source = Untrusted::from(path.as_os_str().as_bytes()).to_string();
        look.fact(&PHP, &*key, &source, &[("binary", Value::Text(path.as_os_str().as_bytes().into()))]);
        match (version, &finding) {
            (Some(version), _) => look.fact(&PHP, &*key, &source, &[("version", Value::Version(version))]),
            (None, Finding::Unreadable(why, hint)) => look.unknown(&PHP, &*key, "version", why, hint),
            (None, _) => {}
        }
        tell_package(look, begun, &key, &source, path);
        match layout::ini(look.host, path, sapi, &branch) {
            Ok(Some(ini)) => look.fact(&PHP, &*key, &source, &[("ini", ini.into())]),
            Ok(None) => {}
            Err(error) => look.unknown(&PHP, &*key, "ini", &error, error.hint()),
        }
        match begun.running.is_running(look.host, path, sapi) {
            Ok(None) => look.fact(&PHP, &*key, &source, &[("running", false.into())]),
            Ok(Some(replaced)) => {
                let fields = [("running", true.into()), ("restart_needed", replaced.into())];
                look.fact(&PHP, &*key, &source, &fields);
            }
            Err((reason, hint)) => look.unknown(&PHP, &*key, "running", reason, hint),
        }
        let configured = Configured::read(look.host, path, sapi, &branch);
        match configured.problems.first() {
            Some(error) => look.unknown(&PHP, &*key, "extensions", error, error.hint()),
            None if configured.extensions.is_empty() => {}
            None => {
                let names = configured.extensions.iter().map(|name| name.as_str().into()).collect();
                look.fact(&PHP, &*key, &source, &[("extensions", Value::List(names))]);
            }
        }
        read
    }
}

impl Begun {
    fn empty(running: Running) -> Self {
        let owners = Ok(BTreeMap::new());
        Self { todo: VecDeque::new(), keys: BTreeSet::new(), owners, running, system: System::default() }
    }
}

fn is_below(path: &Path, error: &HostError) -> bool {
    path.starts_with(OsStr::from_bytes(error.path.as_bytes()))
}

/// `fpm/8.2`, `fpm/8.3@/opt/plesk/php/8.3`; two of the same kind in one prefix are told apart by their whole path.
fn key(taken: &mut BTreeSet<String>, sapi: Sapi, branch: &str, path: &Path) -> String {
    let short = match places::prefix(path) {
        Some(prefix) => format!("{}/{branch}@{}", sapi.as_str(), prefix.display()),
        None => format!("{}/{branch}", sapi.as_str()),
    };
    let key = if taken.contains(&short) { format!("{}/{branch}@{}", sapi.as_str(), path.display()) } else { short };
    taken.insert(key.clone());
    key
}

fn tell_package(look: &mut Look<'_>, begun: &Begun, key: &str, source: &str, path: &Path) {
    let package = begun.owners.as_ref().map(|owners| owners.get(path));
    begun.system.tell(look, (&PHP, key, source), package);
    if let Ok(Some(package)) = package
        && !package.module.is_empty()
    {
        look.fact(&PHP, key, source, &[("module", package.module.clone().into())]);
    }
}

#[cfg(test)]
mod tests;
