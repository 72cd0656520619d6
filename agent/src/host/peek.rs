//! What the kernel shows of other processes, for an agent that is locked up: one thread that was started ahead of the locks
//! reads on request, and can do nothing else (see `sandbox::reader`). Links and the list of processes are asked of it at once,
//! the rest only where this thread was denied, or sees nothing: a /proc that is mounted with hidepid hides processes from
//! whoever may not ptrace them (proc(5)), which is just what Landlock takes away.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use super::error::ErrorKind;
use super::walk::MAX_ENTRIES;

/// What is read of a process, beside what stands below fdinfo.
const FILES: [&str; 7] = ["maps", "smaps_rollup", "io", "stat", "comm", "cmdline", "mountinfo"];
/// Stack of the thread: it holds no buffer.
const STACK: usize = 64 << 10;

/// The way to the reading thread.
#[derive(Clone, Debug)]
pub struct Peek(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    ask: SyncSender<Question>,
    answers: Receiver<Result<Answer, ErrorKind>>,
}

enum Question {
    Links(Vec<PathBuf>),
    Bytes(PathBuf, usize),
    Names(PathBuf),
}

enum Answer {
    Links(Vec<Result<PathBuf, ErrorKind>>),
    Bytes(Vec<u8>),
    Names(Vec<OsString>),
}

impl Peek {
    /// Starts the thread and waits until `lock` has locked it.
    ///
    /// # Errors
    /// The thread does not start, or cannot be locked: then there is none.
    pub fn start(lock: fn() -> Result<(), String>) -> Result<Self, String> {
        let (ask, questions) = sync_channel::<Question>(1);
        let (reply, answers) = sync_channel(1);
        let (ready, locked) = sync_channel(1);
        let work = move || {
            let answer = lock();
            let ends = answer.is_err();
            // whoever started it waits for this
            let _ = ready.send(answer);
            while let Some(question) = (!ends).then(|| questions.recv().ok()).flatten() {
                let answer = match question {
                    Question::Links(paths) => Ok(Answer::Links(paths.iter().map(|path| text(path)).collect())),
                    Question::Bytes(path, limit) => bytes(&path, limit).map(Answer::Bytes),
                    Question::Names(path) => names(&path).map(Answer::Names),
                };
                if reply.send(answer).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name("peek".to_owned()).stack_size(STACK).spawn(work);
        thread.map_err(|error| error.to_string())?;
        locked.recv().map_err(|error| error.to_string())??;
        Ok(Self(Arc::new(Mutex::new(Line { ask, answers }))))
    }

    /// The text of a link of a process.
    pub(super) fn link(&self, path: &Path) -> Option<Result<PathBuf, ErrorKind>> {
        self.links(vec![path.to_owned()])?.pop()
    }

    /// The texts of links of processes, in their order, asked for together; `None` if one is anything else.
    pub(super) fn links(&self, paths: Vec<PathBuf>) -> Option<Vec<Result<PathBuf, ErrorKind>>> {
        match self.answer(paths.iter().all(|path| is_link(path)), Question::Links(paths))? {
            Ok(Answer::Links(texts)) => Some(texts),
            _ => None,
        }
    }

    /// All of a file of a process.
    pub(super) fn bytes(&self, path: &Path, limit: usize) -> Option<Result<Vec<u8>, ErrorKind>> {
        let bytes = self.beginning(path, limit.saturating_add(1))?;
        let ceiling = u64::try_from(limit).unwrap_or(u64::MAX);
        Some(bytes.and_then(|bytes| if bytes.len() > limit { Err(ErrorKind::TooBig(ceiling)) } else { Ok(bytes) }))
    }

    /// The first bytes of a file of a process, at most so many.
    pub(super) fn beginning(&self, path: &Path, most: usize) -> Option<Result<Vec<u8>, ErrorKind>> {
        match self.answer(is_file(path), Question::Bytes(path.to_owned(), most))? {
            Ok(Answer::Bytes(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(kind) => Some(Err(kind)),
        }
    }

    /// What /proc holds, or the folder of a process's descriptors.
    pub(super) fn names(&self, path: &Path) -> Option<Result<Vec<OsString>, ErrorKind>> {
        match self.answer(is_folder(path), Question::Names(path.to_owned()))? {
            Ok(Answer::Names(names)) => Some(Ok(names)),
            Ok(_) => None,
            Err(kind) => Some(Err(kind)),
        }
    }

    fn answer(&self, may: bool, question: Question) -> Option<Result<Answer, ErrorKind>> {
        if !may {
            return None;
        }
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        line.ask.send(question).ok()?;
        line.answers.recv().ok()
    }
}

/// What stands behind /proc/PID/; `None` for any other path.
fn of_a_process(path: &Path) -> Option<&str> {
    let (pid, rest) = path.to_str()?.strip_prefix("/proc/")?.split_once('/')?;
    pid.bytes().all(|digit| digit.is_ascii_digit()).then_some(rest)
}

/// Links whose text is read; they are never followed.
fn is_link(path: &Path) -> bool {
    let numbered = |rest: &str| {
        let name = rest.strip_prefix("fd/").or_else(|| rest.strip_prefix("ns/"));
        name.is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    of_a_process(path).is_some_and(|rest| matches!(rest, "exe" | "cwd" | "root") || numbered(rest))
}

/// Files of the kernel's own, behind which there is no other.
fn is_file(path: &Path) -> bool {
    let numbered = |rest: &str| {
        let number = rest.strip_prefix("fdinfo/");
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    of_a_process(path).is_some_and(|rest| FILES.contains(&rest) || numbered(rest))
}

/// Folders that are listed.
fn is_folder(path: &Path) -> bool {
    path.as_os_str() == "/proc" || of_a_process(path) == Some("fd")
}

fn text(path: &Path) -> Result<PathBuf, ErrorKind> {
    std::fs::read_link(path).map_err(|error| ErrorKind::from_io(&error))
}

fn bytes(path: &Path, most: usize) -> Result<Vec<u8>, ErrorKind> {
    let failed = |error: std::io::Error| ErrorKind::from_io(&error);
    // A file of the kernel's own: what is opened by this name can be no link and no device.
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn names(path: &Path) -> Result<Vec<OsString>, ErrorKind> {
    let failed = |error: std::io::Error| ErrorKind::from_io(&error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        if names.len() >= MAX_ENTRIES {
            return Err(ErrorKind::TooMany(MAX_ENTRIES));
        }
        names.push(entry.map_err(failed)?.file_name());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_shows_of_a_process_is_asked_for() {
        for link in ["/proc/1/exe", "/proc/12/fd/3", "/proc/12/ns/mnt"] {
            assert!(is_link(Path::new(link)) && !is_file(Path::new(link)), "{link}");
        }
        assert!(is_file(Path::new("/proc/12/maps")) && !is_link(Path::new("/proc/12/maps")));
        assert!(is_folder(Path::new("/proc")) && is_folder(Path::new("/proc/12/fd")));
        for no in [
            "/etc/shadow",
            "/proc/1/root/etc/shadow",
            "/proc/1/cwd/x",
            "/proc/self/exe",
            "/proc/1",
            "/proc/1/fd/../exe",
            "/proc/1/environ",
            "/proc/1/task",
        ] {
            let path = Path::new(no);
            assert!(!is_link(path) && !is_file(path) && !is_folder(path), "{no}");
        }
    }

    #[test]
    fn a_thread_that_cannot_be_locked_does_not_stay() {
        assert_eq!(Peek::start(|| Err("no seccomp".to_owned())).err().as_deref(), Some("no seccomp"));
    }

    #[test]
    fn it_reads_links_files_and_lists_of_a_process_on_request() {
        let peek = Peek::start(|| Ok(())).unwrap();
        let pid = std::process::id();
        let exe = peek.link(Path::new(&format!("/proc/{pid}/exe"))).unwrap().unwrap();
        assert_eq!(exe, std::env::current_exe().unwrap());
        let maps = peek.bytes(Path::new(&format!("/proc/{pid}/maps")), 4 << 20).unwrap().unwrap();
        assert!(maps.ends_with(b"\n"));
        assert!(matches!(peek.bytes(Path::new(&format!("/proc/{pid}/maps")), 10), Some(Err(ErrorKind::TooBig(10)))));
        assert_eq!(peek.beginning(Path::new(&format!("/proc/{pid}/maps")), 10).unwrap().unwrap().len(), 10);
        assert!(peek.link(Path::new("/etc/mtab")).is_none());
        assert!(peek.names(Path::new("/proc")).unwrap().unwrap().contains(&pid.to_string().into()));
        assert!(peek.names(Path::new(&format!("/proc/{pid}/fd"))).unwrap().unwrap().contains(&"0".into()));
        assert!(peek.names(Path::new("/etc")).is_none());
    }
}
