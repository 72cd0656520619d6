//! Finds the configurations of FPM: those of masters that run, and those in the places that each layout has for them.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::places::{self, Sapi, parse_name};
use super::{Instance, Master, Pools};
use crate::host::binary::{Finding, Mark};
use crate::host::grant::Right;
use crate::host::pattern::{expand, fixed_part};
use crate::host::{ErrorKind, Host};

/// Age of a list of processes that is new enough.
const FRESH: Duration = Duration::from_secs(1);
/// Configurations of one host.
const MAX_INSTANCES: usize = 128;
/// What a master has in the place of its command line (fpm_env.c of PHP's source).
const TITLE: &[u8] = b"php-fpm: master process (";
/// The header that every PHP carries (SAPI_PHP_VERSION_HEADER in main/SAPI.h).
const HEADER: Mark = Mark::Before(b"X-Powered-By: PHP/");
/// Beginnings of the names of packages that FPM comes in.
const PACKAGES: [&str; 3] = ["php", "plesk-php", "ea-php"];

/// Where configuration begins in each layout, and the program that reads it; `{}` is what `*` stood for.
const KNOWN: [(&str, &str); 15] = [
    ("/etc/php/*/fpm/php-fpm.conf", "/usr/sbin/php-fpm{}"), // Debian, Ubuntu, sury; HestiaCP, ISPConfig, CloudPanel
    ("/etc/php-fpm.conf", "/usr/sbin/php-fpm"),             // Red Hat
    ("/etc/php*/php-fpm.conf", "/usr/sbin/php-fpm{}"),      // Alpine, Arch
    ("/etc/php*/fpm/php-fpm.conf", "/usr/sbin/php-fpm"),    // SUSE
    ("/etc/opt/remi/*/php-fpm.conf", "/opt/remi/{}/root/usr/sbin/php-fpm"),
    ("/etc/opt/rh/*/php-fpm.conf", "/opt/rh/{}/root/usr/sbin/php-fpm"),
    ("/opt/cpanel/*/root/etc/php-fpm.conf", "/opt/cpanel/{}/root/usr/sbin/php-fpm"),
    ("/opt/alt/*/etc/php-fpm.conf", "/opt/alt/{}/usr/sbin/php-fpm"),
    ("/opt/plesk/php/*/etc/php-fpm.conf", "/opt/plesk/php/{}/sbin/php-fpm"),
    ("/usr/local/etc/php-fpm.conf", "/usr/local/sbin/php-fpm"),
    ("/usr/local/php*/etc/php-fpm.conf", "/usr/local/php{}/sbin/php-fpm{}"), // DirectAdmin
    ("/etc/php*rc/php-fpm.conf", "/RunCloud/Packages/php{}rc/sbin/php-fpm"),
    ("/etc/php*-sp/php-fpm.conf", "/opt/sp/php{}/sbin/php-fpm"), // ServerPilot
    ("/www/server/php/*/etc/php-fpm.conf", "/www/server/php/{}/sbin/php-fpm"), // aaPanel
    ("/opt/bitnami/php/etc/php-fpm.conf", "/opt/bitnami/php/sbin/php-fpm"),
];

/// Folders in which configuration may come to lie: to be watched.
pub(super) fn folders() -> impl Iterator<Item = PathBuf> {
    let folders = KNOWN.iter().map(|(pattern, _)| fixed_part(pattern));
    // In /etc itself too much changes that is nobody's configuration here.
    folders.filter(|folder| folder != Path::new("/etc"))
}

/// Adds all instances, sorted by the path of their configuration.
pub(super) fn instances(host: &Host, found: &mut Pools) {
    let mut all = Vec::new();
    for (pattern, program) in KNOWN {
        for config in expand(host, Path::new(pattern), &mut |error| found.problems.push(error)) {
            let binary = PathBuf::from(program.replace("{}", &starred(pattern, &config)));
            // What a removed package leaves behind configures nothing.
            if host.stat(&binary).is_ok_and(|meta| meta.is_executable()) {
                all.push(instance(host, config, binary, None, true));
            }
        }
    }
    for (config, binary, master) in masters(host, found) {
        match all.iter_mut().find(|each: &&mut Instance| each.config == config) {
            Some(known) if known.master.is_none() => known.master = Some(master),
            _ => all.push(instance(host, config, binary, Some(master), false)),
        }
    }
    all.sort_by(|one, other| one.config.cmp(&other.config));
    all.dedup_by(|one, other| one.config == other.config);
    if all.len() > MAX_INSTANCES {
        all.truncate(MAX_INSTANCES);
        found.problems.push(ErrorKind::TooMany(MAX_INSTANCES).at(Path::new("php-fpm")));
    }
    found.instances = all;
}

fn instance(host: &Host, config: PathBuf, binary: PathBuf, master: Option<Master>, known: bool) -> Instance {
    let own = places::prefix(&binary).map(Path::to_owned);
    let is_inside = own.as_ref().is_some_and(|folder| config.starts_with(folder));
    // A second master of one program is told apart by what it was started with.
    let prefix = if known || is_inside { own } else { Some(config.clone()) };
    let branch = branch(host, &binary);
    Instance { config, changed: None, branch, binary, prefix, master, pid_file: None, folders: Vec::new() }
}

/// By the names of the file and its folder, else by its package, else by what it says itself.
fn branch(host: &Host, binary: &Path) -> String {
    let name = binary.file_name().and_then(parse_name).and_then(|(_, branch)| branch);
    let folder = || {
        let name = places::prefix(binary)?.file_name()?.to_str()?;
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(digits.len());
        parse_name(format!("php{}", digits.get(..end)?).as_ref())?.1
    };
    let package = || {
        let owners = host.owners(std::slice::from_ref(&binary.to_owned()), &PACKAGES).ok()?;
        places::branch(&owners.get(binary)?.upstream())
    };
    let itself = || match host.version_in(binary, HEADER) {
        (Finding::Version(version), _) => places::branch(&version),
        _ => None,
    };
    name.or_else(folder).or_else(package).or_else(itself).unwrap_or_else(|| "unknown".to_owned())
}

/// What the one `*` of a pattern stood for.
fn starred(pattern: &str, path: &Path) -> String {
    let path = path.to_string_lossy();
    let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
    path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or_default().to_owned()
}

/// The masters that run, each with its configuration and its program.
fn masters(host: &Host, found: &mut Pools) -> Vec<(PathBuf, PathBuf, Master)> {
    let mut all = Vec::new();
    let processes = match host.processes(FRESH) {
        Ok(processes) => processes,
        Err(error) => {
            found.hidden = Some((error.to_string(), error.hint()));
            return all;
        }
    };
    if processes.is_empty() {
        found.hidden = Some(("no processes can be seen".to_owned(), Right::Processes.hint(host)));
    }
    for process in processes.iter() {
        let exe = match &process.exe {
            Ok(exe) => &exe.path,
            Err(ErrorKind::Denied) if host.comm(process.pid).map_or(true, |name| name.starts_with(b"php-fpm")) => {
                found.hidden = Some(("what some processes run cannot be seen".to_owned(), Right::Processes.hint(host)));
                continue;
            }
            Err(_) => continue,
        };
        let is_fpm = exe.file_name().and_then(parse_name).is_some_and(|(sapi, _)| sapi == Sapi::Fpm);
        if !is_fpm {
            continue;
        }
        let Some(config) = configured(host, process.pid) else { continue };
        // In a container the same path is another file.
        if let (Ok(birth), true) = (host.birth(process.pid), host.is_of_the_host(process.pid)) {
            let config = host.resolve(&config).unwrap_or(config);
            all.push((config, exe.clone(), Master { pid: process.pid, birth }));
        }
    }
    all
}

/// See [`super::has_other_masters`]. Workers are told apart by their title, which is asked of few: most are children.
pub(super) fn has_other_masters(host: &Host, known: &BTreeSet<u32>, max_age: Duration) -> bool {
    let Ok(processes) = host.processes(max_age) else { return false };
    let mut new = processes.iter().filter(|process| {
        let exe = process.exe.as_ref().ok().and_then(|exe| exe.path.file_name()).and_then(parse_name);
        exe.is_some_and(|(sapi, _)| sapi == Sapi::Fpm) && !known.contains(&process.pid)
    });
    new.any(|process| {
        let is_child = host.birth(process.pid).is_ok_and(|birth| known.contains(&birth.parent));
        !is_child && configured(host, process.pid).is_some() && host.is_of_the_host(process.pid)
    })
}

/// The path in the title of a master. `None`: it is none.
fn configured(host: &Host, pid: u32) -> Option<PathBuf> {
    let words = host.cmdline(pid).ok()?;
    let path = words.first()?.strip_prefix(TITLE)?.trim_ascii_end().strip_suffix(b")")?;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    path.is_absolute().then(|| path.to_owned())
}
