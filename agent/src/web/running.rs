//! Web servers that run: their masters, and when these loaded what is configured.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::time::Timestamp;

use super::Server;
use super::command::{arguments, product, split};
use crate::host::grant::Right;
use crate::host::{ErrorKind, Host};

/// Age of a list of processes that is new enough.
const FRESH: Duration = Duration::from_secs(1);
/// What times of processes and files may seem to lie ahead by.
const AHEAD: Duration = Duration::from_secs(2);
/// Processes of web servers that are looked at, and workers of one whose titles are read.
const PROCESSES: usize = 4_096;
const MASTERS: usize = 64;
const WORKERS: usize = 256;
/// Bytes of the map of one process.
const MAPS: usize = 4 << 20;
/// Bytes of small files.
const SMALL: usize = 4 << 10;
/// Ticks in a second, as the kernel tells times of processes (proc_pid_stat(5): USER_HZ).
const TICKS: u64 = 100;

/// A server that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its process.
    pub pid: u32,
    /// When it started, in ticks since boot.
    pub start: u64,
    /// Its product, by the name of its program.
    pub product: &'static str,
    /// Its program.
    pub exe: PathBuf,
    /// True when another file, or none, is at that path now.
    pub replaced: bool,
    /// The main file that it was started with, if that was said.
    pub config: Option<PathBuf>,
    /// Names that were defined for Apache.
    pub defines: Vec<String>,
    /// Its children that run the same program: process and start.
    pub workers: Vec<(u32, u64)>,
}

/// Why something cannot be told, and what can be done about it, if anything.
pub type Reason = (String, &'static str);

/// The web servers that run on the host itself, not in containers.
///
/// # Errors
/// Processes cannot be seen.
pub fn masters(host: &Host) -> Result<Vec<Master>, Reason> {
    let processes = host.processes(FRESH).map_err(|error| (error.to_string(), error.hint()))?;
    if processes.is_empty() {
        return Err(("no processes can be seen".to_owned(), Right::Processes.hint(host)));
    }
    let known = processes.iter().filter_map(|process| {
        let exe = process.exe.as_ref().ok()?;
        Some((process.pid, product(&exe.path)?, exe))
    });
    let born: BTreeMap<u32, _> = known
        .take(PROCESSES)
        .filter_map(|(pid, product, exe)| Some((pid, (product, exe, host.birth(pid).ok()?))))
        .collect();
    let mut masters = Vec::new();
    for (pid, (product, exe, birth)) in &born {
        // Workers are children of their master, and are not asked for more. A master of nginx that replaces another is its
        // child too, until that one has ended.
        let words = |pid: u32| host.cmdline(pid).unwrap_or_default();
        let is_master = || words(*pid).first().is_some_and(|title| title.starts_with(b"nginx: master process"));
        let is_child = born.get(&birth.parent).is_some_and(|(parent, ..)| parent == product);
        if masters.len() == MASTERS || is_child && !(*product == "nginx" && is_master()) || !host.is_of_the_host(*pid) {
            continue;
        }
        let words = split(&words(*pid));
        let (config, defines) = arguments(product, &words);
        let folder = || host.working_folder(*pid).unwrap_or_else(|_| PathBuf::from("/"));
        let config = config.map(|config| folder().join(OsStr::from_bytes(&config)));
        let children = born.iter().filter(|(_, (.., each))| each.parent == *pid);
        let workers = children.map(|(child, (.., birth))| (*child, birth.start)).collect();
        let (start, exe, replaced) = (birth.start, exe.path.clone(), exe.replaced);
        masters.push(Master { pid: *pid, start, product, exe, replaced, config, defines, workers });
    }
    let hidden = processes.iter().any(|process| {
        let is_one = |name: Vec<u8>| product(Path::new(OsStr::from_bytes(&name))).is_some();
        process.exe == Err(ErrorKind::Denied) && host.comm(process.pid).is_ok_and(is_one)
    });
    match masters.is_empty() && hidden {
        true => Err(("what some processes run cannot be seen".to_owned(), Right::Processes.hint(host))),
        false => Ok(masters),
    }
}

impl Master {
    /// Whether it runs this configuration.
    #[must_use]
    pub fn runs(&self, host: &Host, server: &Server) -> bool {
        if self.product != server.product {
            return false;
        }
        if let Some(config) = &self.config {
            let inode = |path: &Path| host.stat(path).ok().map(|meta| meta.identity.inode());
            return *config == server.config || inode(config).is_some_and(|own| inode(&server.config) == Some(own));
        }
        let name = self.exe.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let special = ["-rc", "-sp"].into_iter().find(|end| name.ends_with(end));
        match (&server.prefix, special) {
            (Some(prefix), Some(end)) => prefix.to_string_lossy().ends_with(end),
            (Some(prefix), None) => self.exe.starts_with(prefix),
            (None, Some(_)) => false,
            (None, None) => ["/usr/sbin", "/usr/bin", "/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/lsws"]
                .iter()
                .any(|own| self.exe.starts_with(own)),
        }
    }

    /// When it loaded its configuration last, as far as can be seen from outside; to some ten milliseconds.
    ///
    /// nginx starts all workers anew when it does, and those of before say in their title that they shut down. Apache
    /// writes the file with its number anew (`ap_log_pid`); Caddy writes down what it has loaded (autosave.json). Where
    /// that cannot be read it is no later than the start of the oldest worker.
    ///
    /// # Errors
    /// What the kernel tells of times cannot be read.
    pub fn loaded(&self, host: &Host, server: &Server, now: Timestamp) -> Result<Timestamp, Reason> {
        let path = "/proc/uptime";
        let uptime = host.read_text(path, SMALL).map_err(|error| (error.to_string(), error.hint()))?;
        let uptime = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
        let uptime = uptime.ok_or_else(|| (format!("{path}: not understood"), ""))?;
        #[allow(clippy::cast_possible_truncation)]
        let boot = now.millis() - (uptime * 1_000.0) as i64;
        let at = |ticks: u64| {
            let millis = i64::try_from(ticks.saturating_mul(1_000 / TICKS)).unwrap_or(i64::MAX);
            Timestamp::from_millis(boot.saturating_add(millis))
        };
        let written = |file: &Path| host.stat(file).ok().map(|meta| meta.identity.modified());
        let current = |(pid, _): &&(u32, u64)| {
            let title = host.cmdline(*pid).unwrap_or_default().concat();
            self.product != "nginx" || title.starts_with(b"nginx: worker") && !title.ends_with(b"is shutting down")
        };
        let oldest = self.workers.iter().take(WORKERS).filter(current).map(|(_, start)| *start).min();
        let oldest = at(oldest.unwrap_or(self.start));
        let loaded = match self.product {
            "apache" => self.pid_file(host, server).and_then(|file| written(&file)).unwrap_or(oldest),
            "caddy" => written(Path::new("/var/lib/caddy/.config/caddy/autosave.json"))
                .max(Some(at(self.start)))
                .unwrap_or(oldest),
            _ => oldest,
        };
        // Containers may tell an uptime of their own, and starts of processes since the start of the machine.
        match loaded > now && loaded.since(now) > AHEAD {
            true => Err(("by the uptime that the system tells, its processes are still to be started".to_owned(), "")),
            false => Ok(loaded),
        }
    }

    /// The file with its number, if it is that of this process.
    fn pid_file(&self, host: &Host, server: &Server) -> Option<PathBuf> {
        let usual = ["/run/apache2/apache2.pid", "/run/httpd/httpd.pid", "/run/apache2/httpd.pid", "/run/httpd.pid"];
        let usual = usual.iter().map(PathBuf::from);
        server.pid_file.clone().into_iter().chain(usual).find(|file| {
            let text = host.read_text(file, SMALL).unwrap_or_default();
            text.trim().parse() == Ok(self.pid)
        })
    }

    /// A module or library that it has loaded and whose file was replaced since; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be seen.
    pub fn stale_library(&self, host: &Host) -> Result<Option<PathBuf>, Reason> {
        let read = host.read(format!("/proc/{}/maps", self.pid), MAPS);
        let maps = read.map_err(|error| (error.to_string(), error.hint()))?;
        let stale = maps.split(|byte| *byte == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b" (deleted)")?;
            let path = &line[line.iter().position(|byte| *byte == b'/')?..];
            let name = &path[path.iter().rposition(|byte| *byte == b'/')?..];
            name.windows(3).any(|part| part == b".so").then(|| PathBuf::from(OsStr::from_bytes(path)))
        });
        Ok(stale.take(1).next())
    }
}
