//! Finds the programs of a product, and the processes that run them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Instance, Program};
use crate::host::proc::{Birth, Exe, Process};
use crate::host::{ErrorKind, Host, HostError, Identity};

/// Processes of one product that are looked at.
const MAX_SERVERS: usize = 256;

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
    /// The program that stands for it, where what it runs is a virtual machine.
    pub hosted: Option<PathBuf>,
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
    /// All processes that go by the name of one of the programs, whatever they do.
    seen: BTreeSet<u32>,
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

    /// True when somebody runs one of the programs who was not there in the last look at all processes.
    pub(super) fn has_more(&self, host: &Host, program: &Program, max_age: Duration) -> bool {
        let Ok(processes) = host.processes(max_age) else { return false };
        let is_new = |process: &&Process| program.runs_in(process) && !self.seen.contains(&process.pid);
        let is_child = |pid| host.birth(pid).is_ok_and(|birth| self.seen.contains(&birth.parent));
        processes.iter().filter(is_new).any(|process| !is_child(process.pid))
    }

    /// Why it cannot be told what lies at a path, if so.
    pub(super) fn hides(&self, path: &Path) -> Option<&HostError> {
        self.problems.iter().find(|error| path.starts_with(OsStr::from_bytes(error.path.as_bytes())))
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
        let mut born: Vec<(&Process, Birth)> = Vec::new();
        for process in processes.iter() {
            match &process.exe {
                Ok(_) if program.runs_in(process) => {
                    self.seen.insert(process.pid);
                    born.extend(host.birth(process.pid).ok().map(|birth| (process, birth)));
                }
                // Where even the name is denied (hidepid=1), it may be one.
                Err(ErrorKind::Denied)
                    if host.comm(process.pid).map_or_else(|error| !error.is_absent(), |name| is_one(&name)) =>
                {
                    self.hidden = Some("what some processes run cannot be seen".to_owned());
                }
                Ok(_) | Err(_) => {}
            }
        }
        // Children of a server do its work: connections, checkpoints, snapshots. They may be many, so they are left out
        // before more is asked of anybody.
        born.retain(|(_, birth)| !self.seen.contains(&birth.parent));
        for (process, birth) in born {
            let Ok(exe) = &process.exe else { continue };
            // In a container the same path is another file.
            if self.servers.len() < MAX_SERVERS && host.is_of_the_host(process.pid) {
                self.servers.extend(server(host, program, (process.pid, birth), exe));
            }
        }
        self.servers.retain(|server| !server.words.iter().any(|word| program.passing.contains(&word.as_str())));
    }

    fn find_binaries(&mut self, host: &Host, program: &Program, folders: &[String]) {
        let problems = &mut self.problems;
        let folders = host.expand(folders, &mut |error| problems.push(error));
        let installed = program.files.iter().flat_map(|file| folders.iter().map(move |folder| folder.join(file)));
        let running = self.servers.iter().map(|server| server.hosted.as_ref().unwrap_or(&server.exe).clone());
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
        Found::named(binaries, self.hosted.as_ref().unwrap_or(&self.exe)).to_owned()
    }
}

impl Program {
    /// Whether that is what a process runs, by the name of its file.
    fn runs_in(&self, process: &Process) -> bool {
        let Ok(exe) = &process.exe else { return false };
        let file = exe.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.files.contains(&file) || self.aliases.contains(&file)
    }
}

fn server(host: &Host, program: &Program, (pid, birth): (u32, Birth), exe: &Exe) -> Option<Server> {
    let name = String::from_utf8_lossy(&host.comm(pid).ok()?).into_owned();
    let alias = exe.path.file_name().is_some_and(|file| program.aliases.iter().any(|each| file == *each));
    // Under an alias, the same file is a tool as well.
    if alias && !program.names.contains(&name.as_str()) {
        return None;
    }
    let words: Vec<String> =
        host.cmdline(pid).ok()?.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let home = |(start, below): &(&str, &str)| {
        let home = words.iter().find_map(|word| word.strip_prefix(start))?;
        Some(Path::new(home).join(below))
    };
    let hosted = program.hosted.iter().find_map(home);
    if hosted.is_none() && !program.hosted.is_empty() {
        return None; // it runs something else
    }
    let folder = host.working_folder(pid).ok();
    Some(Server { pid, birth, exe: exe.path.clone(), hosted, replaced: exe.replaced, name, words, folder })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::state::testing::Folder;

    const PROGRAM: Program = Program {
        files: &["based"],
        aliases: &[],
        names: &["based"],
        hosted: &[],
        passing: &[],
        packages: &[],
        mark: None,
    };

    fn start(root: &Path, pid: u32, parent: u32) {
        let folder = root.join(format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("comm"), "based\n").unwrap();
        fs::write(folder.join("cmdline"), "based\0").unwrap();
        fs::write(folder.join("stat"), format!("{pid} (based) S {parent}{}\n", " 7".repeat(30))).unwrap();
        symlink("/usr/bin/based", folder.join("exe")).unwrap();
    }

    #[test]
    fn a_server_that_came_since_is_seen_and_the_children_of_others_are_none() {
        let folder = Folder::new();
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let second = Duration::from_secs(1);
        start(folder.path(), 100, 1);
        let found = Found::look(&host, &PROGRAM, &[], second);
        start(folder.path(), 101, 100);
        assert!(!found.has_more(&host, &PROGRAM, second));
        start(folder.path(), 300, 1);
        assert!(found.has_more(&host, &PROGRAM, second));
    }

    #[test]
    fn children_of_one_server_keep_no_other_from_being_seen() {
        let folder = Folder::new();
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        start(folder.path(), 100, 1);
        (0..300).for_each(|child| start(folder.path(), 200 + child, 100));
        start(folder.path(), 900, 1);
        let found = Found::look(&host, &PROGRAM, &[], Duration::from_secs(1));
        assert_eq!(found.servers.iter().map(|server| server.pid).collect::<Vec<_>>(), [100, 900]);
    }
}
