//! Processes, read when asked. All of it is optional: a process may end, change or hide at any moment.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{ErrorKind, Host, HostError, Kind};

/// Bytes of a command line that are looked at.
const CMDLINE: usize = 4 << 10;
/// What the kernel puts behind the path of a program that was removed or replaced while it runs (proc_pid_exe(5)).
const DELETED: &[u8] = b" (deleted)";

/// The program that a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exe {
    /// Its path, as the process's own mount namespace has it.
    pub path: PathBuf,
    /// True when another file, or none, is at that path now.
    pub replaced: bool,
}

/// A process and its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What it runs, or why that cannot be told.
    pub exe: Result<Exe, ErrorKind>,
}

/// What tells one process from a later one of the same number, and whose child it is (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The process that started it, or took it over.
    pub parent: u32,
    /// When it started, in ticks of the kernel since boot.
    pub start: u64,
}

/// The list of processes as it was read last, and when, in monotonic time.
#[derive(Default)]
pub(super) struct Cache(Mutex<Option<(Duration, Arc<Vec<Process>>)>>);

impl Host {
    /// All processes, by number; kernel threads and what has just ended have no program (not found). Read once for all
    /// who ask within `max_age`: some microseconds for each process. A host in a folder is read anew each time.
    ///
    /// # Errors
    /// As [`Host::pids`].
    pub fn processes(&self, max_age: Duration) -> Result<Arc<Vec<Process>>, HostError> {
        let now = self.clock().monotonic();
        let mut cache = self.processes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, list)) = &*cache
            && self.is_live()
            && now.saturating_sub(*read) <= max_age
        {
            return Ok(Arc::clone(list));
        }
        let pids = self.pids()?;
        let list: Vec<Process> = if self.is_live() {
            let texts = self.link_texts("/proc".as_ref(), pids.iter().map(|pid| format!("{pid}/exe")).collect())?;
            pids.into_iter().zip(texts).map(|(pid, text)| Process { pid, exe: text.map(exe_of) }).collect()
        } else {
            pids.into_iter().map(|pid| Process { pid, exe: self.exe(pid).map_err(|error| error.kind) }).collect()
        };
        let list = Arc::new(list);
        *cache = Some((now, Arc::clone(&list)));
        Ok(list)
    }

    /// Numbers of all processes, ascending; none on a host in a folder that has no /proc.
    ///
    /// # Errors
    /// /proc cannot be listed, holds too many entries, or hides the processes of others.
    pub fn pids(&self) -> Result<Vec<u32>, HostError> {
        let mut pids = Vec::new();
        let mut add = |name: &OsStr| pids.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        match self.peek.as_ref().and_then(|peek| peek.names("/proc".as_ref())) {
            Some(Ok(names)) => names.iter().for_each(|name| add(name)),
            Some(Err(_)) | None => {
                let listed = self.entries("/proc", &mut |name, kind| {
                    if kind == Kind::Folder {
                        add(name);
                    }
                });
                match listed {
                    Err(error) if !error.is_absent() => return Err(error),
                    _ => {}
                }
            }
        }
        pids.sort_unstable();
        if self.is_live() {
            hides_nobody(&pids).map_err(|kind| kind.at("/proc".as_ref()))?;
        }
        Ok(pids)
    }

    /// What a process runs. Kernel threads have nothing: not found.
    ///
    /// # Errors
    /// It has ended, or the agent may not see (CAP_SYS_PTRACE would let it).
    pub fn exe(&self, pid: u32) -> Result<Exe, HostError> {
        Ok(exe_of(self.read_link(format!("/proc/{pid}/exe"))?))
    }

    /// The name of a process's program, at most 15 bytes of it; everybody may see it.
    ///
    /// # Errors
    /// It has ended.
    pub fn comm(&self, pid: u32) -> Result<Vec<u8>, HostError> {
        let mut name = self.read(format!("/proc/{pid}/comm"), CMDLINE)?;
        if name.last() == Some(&b'\n') {
            name.pop();
        }
        Ok(name)
    }

    /// The words that a process was started with, or has put in their place; at most 4 KiB of them.
    ///
    /// # Errors
    /// It has ended.
    pub fn cmdline(&self, pid: u32) -> Result<Vec<Vec<u8>>, HostError> {
        let mut bytes = Vec::new();
        let path = PathBuf::from(format!("/proc/{pid}/cmdline"));
        match self.open(&path) {
            Ok(file) => {
                let read = std::io::Read::read_to_end(&mut std::io::Read::take(file, CMDLINE as u64), &mut bytes);
                read.map_err(|error| ErrorKind::from_io(&error).at(&path))?;
            }
            Err(error) => {
                let read = self.peek_where(&error, |peek| peek.beginning(&path, CMDLINE)).ok_or(error)?;
                bytes = read.map_err(|kind| kind.at(&path))?;
            }
        }
        let words = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec);
        Ok(words.filter(|word| !word.is_empty()).collect())
    }

    /// The folder that a process is in, as its own mount namespace has it.
    ///
    /// # Errors
    /// It has ended, or the agent may not see (CAP_SYS_PTRACE would let it).
    pub fn working_folder(&self, pid: u32) -> Result<PathBuf, HostError> {
        self.read_link(format!("/proc/{pid}/cwd"))
    }

    /// When a process started, and by whom; everybody may see it.
    ///
    /// # Errors
    /// It has ended, or the kernel wrote something that is not understood.
    pub fn birth(&self, pid: u32) -> Result<Birth, HostError> {
        let path = format!("/proc/{pid}/stat");
        let stat = self.read(&path, CMDLINE)?;
        // The name in brackets may hold anything, brackets and blanks too.
        let end = stat.iter().rposition(|byte| *byte == b')').map_or(0, |end| end + 1);
        let rest = String::from_utf8_lossy(&stat[end..]);
        let mut fields = rest.split_ascii_whitespace();
        let (parent, start) = (fields.nth(1), fields.nth(17));
        let birth = || Some(Birth { parent: parent?.parse().ok()?, start: start?.parse().ok()? });
        birth().ok_or_else(|| ErrorKind::Io("not understood").at(path.as_ref()))
    }

    /// True when a process is in the network namespace that the agent sees (network_namespaces(7)), or that cannot be told.
    #[must_use]
    pub fn shares_network(&self, pid: u32) -> bool {
        let space = |pid: u32| self.read_link(format!("/proc/{pid}/ns/net"));
        // On a host in a folder the agent is nobody: what the first process sees is the host's.
        let own = if self.is_live() { std::process::id() } else { 1 };
        match (space(own), space(pid)) {
            (Ok(own), Ok(other)) => own == other,
            _ => true,
        }
    }

    /// True when a process is one of the host's own, not of a container: it is numbered among the processes that process 1
    /// sees (pid_namespaces(7)) or, where nobody may look into that one, that the agent sees. Mounts of its own say nothing:
    /// systemd gives them to sandboxed services. When it cannot be told, it is taken to be so: a container that can hide it
    /// from us can be seen by us only as root.
    #[must_use]
    pub fn is_of_the_host(&self, pid: u32) -> bool {
        let space = |pid: &str| self.read_link(format!("/proc/{pid}/ns/pid"));
        let ours = || if self.is_live() { space(&std::process::id().to_string()).ok() } else { None };
        match (space("1").ok().or_else(ours).ok_or(()), space(&pid.to_string())) {
            (Ok(first), Ok(own)) => first.as_os_str().as_bytes() == own.as_os_str().as_bytes(),
            _ => true,
        }
    }
}

/// Each list of processes has process 1, of the machine or of the container (pid_namespaces(7)), unless it is hidden.
fn hides_nobody(pids: &[u32]) -> Result<(), ErrorKind> {
    if pids.first() == Some(&1) { Ok(()) } else { Err(ErrorKind::Hidden) }
}

fn exe_of(link: PathBuf) -> Exe {
    let mut path = link.into_os_string().into_vec();
    let replaced = path.ends_with(DELETED);
    if replaced {
        path.truncate(path.len() - DELETED.len());
    }
    Exe { path: PathBuf::from(std::ffi::OsString::from_vec(path)), replaced }
}

#[cfg(test)]
mod tests {
    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn processes_of_this_machine_are_listed_once_for_all_who_ask_within_a_moment() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        let host = Host::new("/", clock.clone());
        let second = Duration::from_secs(1);
        let first = host.processes(second).unwrap();
        assert!(first.iter().any(|process| process.pid == std::process::id() && process.exe.is_ok()));
        clock.advance(Duration::from_millis(900));
        assert!(Arc::ptr_eq(&first, &host.processes(second).unwrap()));
        assert!(!Arc::ptr_eq(&first, &host.processes(Duration::from_millis(100)).unwrap()), "too old for this one");
    }

    #[test]
    fn a_list_without_the_first_process_is_not_taken_for_all_of_them() {
        assert_eq!(hides_nobody(&[1, 7]), Ok(()));
        assert_eq!(hides_nobody(&[7]), Err(ErrorKind::Hidden));
        let said = ErrorKind::Hidden.at("/proc".as_ref()).to_string();
        assert_eq!(said, "/proc: it is mounted with hidepid, which hides the processes of others");
    }

    #[test]
    fn a_process_tells_its_words_its_folder_and_its_birth() {
        let host = Host::new("/", Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let own = std::process::id();
        let words: Vec<Vec<u8>> = std::env::args().map(String::into_bytes).filter(|word| !word.is_empty()).collect();
        assert!(host.cmdline(own).unwrap().starts_with(&words[..1]));
        assert_eq!(host.working_folder(own).unwrap(), std::env::current_dir().unwrap());
        let birth = host.birth(own).unwrap();
        assert_eq!(birth.parent, std::os::unix::process::parent_id());
        assert!(birth.start > host.birth(1).unwrap().start || own == 1);
        assert!(host.birth(u32::MAX).is_err_and(|error| error.is_absent()));
    }
}
