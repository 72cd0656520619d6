//! Which of the binaries are in use.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fpm::places::{Sapi, parse_name};
use crate::host::grant::Right;
use crate::host::proc::Exe;
use crate::host::{ErrorKind, Host};

/// Age of a list of processes that is new enough.
const FRESH: Duration = Duration::from_secs(1);
/// Bytes of the map of one process.
const MAPS: usize = 4 << 20;
const HIDDEN: &str = "what some processes run cannot be seen";
/// Processes of Apache whose maps are read: all have the modules of the first.
const APACHES: usize = 4;

/// Why something cannot be told, and what can be done about it, if anything.
type Reason = (String, &'static str);

/// What runs at the moment.
#[derive(Default)]
pub(super) struct Running {
    /// Whether a process runs a file that is not there any more.
    binaries: BTreeMap<PathBuf, bool>,
    apaches: Vec<u32>,
    /// Kinds of PHP that run, but cannot be seen.
    hidden: BTreeSet<Sapi>,
    apache_hidden: bool,
    /// No process at all can be seen.
    blind: Option<Reason>,
}

impl Running {
    pub(super) fn find(host: &Host) -> Self {
        let mut found = Self::default();
        let processes = match host.processes(FRESH) {
            Ok(processes) if processes.is_empty() => {
                found.blind = Some(("no processes can be seen".to_owned(), Right::Processes.hint(host)));
                return found;
            }
            Ok(processes) => processes,
            Err(error) => {
                found.blind = Some((error.to_string(), error.hint()));
                return found;
            }
        };
        for process in processes.iter() {
            match &process.exe {
                Ok(exe) => found.seen(host, process.pid, exe),
                Err(ErrorKind::Denied) => found.hidden(host, process.pid),
                Err(_) => {}
            }
        }
        found
    }

    pub(super) fn binaries(&self) -> impl Iterator<Item = &PathBuf> {
        self.binaries.keys()
    }

    /// Whether a process runs it, and whether its file was replaced since; the error says why it cannot be told.
    pub(super) fn is_running(&self, host: &Host, path: &Path, sapi: Sapi) -> Result<Option<bool>, Reason> {
        if let Some(reason) = &self.blind {
            return Err(reason.clone());
        }
        if sapi == Sapi::Apache {
            return self.is_loaded(host, path);
        }
        match self.binaries.get(path) {
            Some(replaced) => Ok(Some(*replaced)),
            None if self.hidden.contains(&sapi) => Err((HIDDEN.to_owned(), Right::Processes.hint(host))),
            None => Ok(None),
        }
    }

    fn seen(&mut self, host: &Host, pid: u32, exe: &Exe) {
        let Some(name) = exe.path.file_name() else { return };
        if is_apache(name.as_bytes()) && self.apaches.len() < APACHES {
            self.apaches.push(pid);
        }
        // In a container the same path is another file.
        if parse_name(name).is_some() && host.is_of_the_host(pid) {
            *self.binaries.entry(exe.path.clone()).or_default() |= exe.replaced;
        }
    }

    fn hidden(&mut self, host: &Host, pid: u32) {
        let comm = match host.comm(pid) {
            Ok(comm) => comm,
            Err(error) if error.is_absent() => return,
            // With hidepid=1 even the name is denied: it may be any.
            Err(_) => {
                self.blind = Some((HIDDEN.to_owned(), Right::Processes.hint(host)));
                return;
            }
        };
        if is_apache(&comm) {
            self.apache_hidden = true;
        }
        if let Some((sapi, _)) = parse_name(std::ffi::OsStr::from_bytes(&comm)) {
            self.hidden.insert(sapi);
        }
    }

    fn is_loaded(&self, host: &Host, module: &Path) -> Result<Option<bool>, Reason> {
        let mut maps = Vec::new();
        let mut reason = self
            .apache_hidden
            .then(|| ("what Apache has loaded cannot be seen".to_owned(), Right::Processes.hint(host)));
        for pid in &self.apaches {
            match host.read_into(format!("/proc/{pid}/maps"), MAPS, &mut maps) {
                Ok(()) => {
                    let mut lines = maps.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
                    let replaced = lines.find_map(|line| {
                        let path = line.strip_suffix(b" (deleted)");
                        path.unwrap_or(line).ends_with(module.as_os_str().as_bytes()).then_some(path.is_some())
                    });
                    if replaced.is_some() {
                        return Ok(replaced);
                    }
                }
                Err(error) if error.is_absent() => {}
                Err(error) => reason = Some((error.to_string(), error.hint())),
            }
        }
        reason.map_or(Ok(None), Err)
    }
}

fn is_apache(name: &[u8]) -> bool {
    matches!(name, b"apache2" | b"httpd" | b"httpd.worker" | b"httpd.event")
}
