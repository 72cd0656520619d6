//! Finds the programs of a product, and the processes that run them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Instance, Program};
use crate::host::proc::Birth;
use crate::host::{ErrorKind, Host, HostError, Identity};

/// Processes of one product that are looked at.
const MAX_SERVERS: usize = 256;
/// Package managers, by the names of their processes: some of them are scripts, so their programs do not tell.
const MANAGERS: [&[u8]; 8] = [b"dpkg", b"rpm", b"dnf", b"dnf5", b"yum", b"microdnf", b"zypper", b"packagekitd"];

/// A program that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The name that it is installed under.
    pub path: PathBuf,
    /// Where that really leads.
    pub real: PathBuf,
    /// The file as it is now.
    pub identity: Identity,
}

/// A process that is a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its number.
    pub pid: u32,
    /// Tells it from a later one of the same number.
    pub birth: Birth,
    /// What it runs.
    pub exe: PathBuf,
    /// True when another file, or none, is at that path now.
    pub replaced: bool,
    /// Its name, as the kernel has it.
    pub name: String,
    /// Its command line, or what it has put in its place.
    pub words: Vec<String>,
    /// The folder that it is in: database servers go to their data folder.
    pub folder: Option<PathBuf>,
}

impl Server {
    /// The value of `--name=value`, `-name value` or the like on the command line; the last one counts.
    #[must_use]
    pub fn option(&self, names: &[&str]) -> Option<&str> {
        let mut found = None;
        for (place, word) in self.words.iter().enumerate() {
            for name in names {
                match word.strip_prefix(name) {
                    Some("") => found = self.words.get(place + 1).map(String::as_str).or(found),
                    Some(rest) => found = rest.strip_prefix('=').or(found),
                    None => {}
                }
            }
        }
        found
    }
}

/// All that was found of a product.
#[derive(Default)]
pub(super) struct Found {
    pub(super) binaries: Vec<Binary>,
    pub(super) servers: Vec<Server>,
    /// Why not all processes can be seen, if so.
    pub(super) hidden: Option<String>,
    /// Folders that cannot be looked at.
    pub(super) problems: Vec<HostError>,
}

impl Found {
    pub(super) fn look(host: &Host, program: &Program, folders: &[String], max_age: Duration) -> Self {
        let mut found = Self::default();
        found.find_servers(host, program, max_age);
        found.find_binaries(host, program, folders);
        found
    }

    /// True while each server runs that was found, and has not been replaced since.
    pub(super) fn still_runs(&self, host: &Host, instances: &[Instance]) -> bool {
        instances.iter().filter_map(|each| each.server.as_ref()).all(|server| {
            host.exe(server.pid).is_ok_and(|exe| exe.path == server.exe && exe.replaced == server.replaced)
                && host.birth(server.pid).is_ok_and(|birth| birth.start == server.birth.start)
        })
    }

    fn find_servers(&mut self, host: &Host, program: &Program, max_age: Duration) {
        let processes = match host.processes(max_age) {
            Ok(processes) if processes.is_empty() => {
                self.hidden = Some("no processes can be seen".to_owned());
                return;
            }
            Ok(processes) => processes,
            Err(error) => {
                self.hidden = Some(error.to_string());
                return;
            }
        };
        let is_one = |name: &[u8]| program.names.iter().any(|each| each.as_bytes() == name);
        for process in processes.iter() {
            match &process.exe {
                Ok(exe) => {
                    let file = exe.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let known = program.files.contains(&file) || program.aliases.contains(&file);
                    // In a container the same path is another file.
                    if known && self.servers.len() < MAX_SERVERS && host.is_of_the_host(process.pid) {
                        self.servers.extend(server(host, program, process.pid, &exe.path, exe.replaced));
                    }
                }
                Err(ErrorKind::Denied) if host.comm(process.pid).is_ok_and(|name| is_one(&name)) => {
                    self.hidden = Some("what some processes run cannot be seen".to_owned());
                }
                Err(_) => {}
            }
        }
        // Children of a server do its work: connections, checkpoints, snapshots.
        let pids: BTreeSet<u32> = self.servers.iter().map(|server| server.pid).collect();
        self.servers.retain(|server| !pids.contains(&server.birth.parent));
        self.servers.retain(|server| !server.words.iter().any(|word| program.passing.contains(&word.as_str())));
    }

    fn find_binaries(&mut self, host: &Host, program: &Program, folders: &[String]) {
        let problems = &mut self.problems;
        let folders = host.expand(folders, &mut |error| problems.push(error));
        let installed = program.files.iter().flat_map(|file| folders.iter().map(move |folder| folder.join(file)));
        let running = self.servers.iter().map(|server| server.exe.clone());
        for path in installed.chain(running) {
            let Some(real) = host.real(path.clone(), &mut |error| problems.push(error)) else { continue };
            // One file may go by several names: the first, best one stands.
            if self.binaries.iter().any(|binary| binary.real == real) {
                continue;
            }
            match host.stat(&real) {
                Ok(meta) if meta.is_executable() => {
                    self.binaries.push(Binary { path, real, identity: meta.identity });
                }
                _ => {} // no program, or gone since
            }
        }
    }

    /// The name under which a program is installed that runs.
    pub(super) fn named<'a>(binaries: &'a [Binary], exe: &'a Path) -> &'a Path {
        binaries.iter().find(|binary| binary.real == exe).map_or(exe, |binary| &binary.path)
    }
}

impl Server {
    /// The name under which its program is installed.
    #[must_use]
    pub fn binary(&self, binaries: &[Binary]) -> PathBuf {
        Found::named(binaries, &self.exe).to_owned()
    }
}

fn server(host: &Host, program: &Program, pid: u32, exe: &Path, replaced: bool) -> Option<Server> {
    let name = String::from_utf8_lossy(&host.comm(pid).ok()?).into_owned();
    let alias = exe.file_name().is_some_and(|file| program.aliases.iter().any(|each| file == *each));
    // Under an alias, the same file is a tool as well.
    if alias && !program.names.contains(&name.as_str()) {
        return None;
    }
    let words = host.cmdline(pid).ok()?.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let birth = host.birth(pid).ok()?;
    let folder = host.working_folder(pid).ok();
    Some(Server { pid, birth, exe: exe.to_owned(), replaced, name, words, folder })
}

/// Whether a package manager is at work.
pub(super) fn packages_move(host: &Host) -> bool {
    let pids = host.pids().unwrap_or_default();
    pids.into_iter().any(|pid| host.comm(pid).is_ok_and(|name| MANAGERS.contains(&name.as_slice())))
}
