//! Processes that run an application of their own: Python, Ruby, Node.js and Java, with the folder they work in, the virtual
//! environment or the jar that they run.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::look_at;
use crate::host::{Host, Kind};

/// Workers that are kept.
const WORKERS: usize = 256;
/// Processes of interpreters that are asked for more.
const ASKED: usize = 2_000;
/// Names of virtual environments beside an application.
const BESIDE: [&str; 4] = [".venv", "venv", "env", "virtualenv"];

/// What a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// CPython, or uWSGI, which may have it inside.
    Python,
    /// Ruby.
    Ruby,
    /// Node.js.
    Node,
    /// A Java virtual machine.
    Java,
}

/// A process that runs an application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worker {
    /// What it is written in.
    pub language: Language,
    /// The folder that it works in.
    pub folder: PathBuf,
    /// Its virtual environment (Python).
    pub venv: Option<PathBuf>,
    /// Its archive (Java, `-jar`).
    pub jar: Option<PathBuf>,
    /// Whether its command line names Flask, or a server that runs web applications.
    pub web: bool,
}

/// Workers that run on the host itself, each folder once. Nothing is told where processes cannot be seen: what lies on the
/// disk is found without them.
#[must_use]
pub fn workers(host: &Host, max_age: Duration) -> Vec<Worker> {
    let Ok(processes) = host.processes(max_age) else { return Vec::new() };
    let mut found = BTreeSet::new();
    let mut asked = 0;
    for process in processes.iter() {
        let Ok(exe) = &process.exe else { continue };
        let Some(language) = exe.path.file_name().and_then(language) else { continue };
        asked += 1;
        if found.len() >= WORKERS || asked > ASKED {
            break;
        }
        if host.is_of_the_host(process.pid)
            && let Ok(folder) = host.working_folder(process.pid)
            && folder != Path::new("/")
        {
            let words = host.cmdline(process.pid).unwrap_or_default();
            found.insert(worker(host, language, folder, &words));
        }
    }
    found.into_iter().collect()
}

fn language(name: &OsStr) -> Option<Language> {
    let name = name.to_str()?;
    let version = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is = |prefix: &str| name.strip_prefix(prefix).is_some_and(version);
    Some(match name {
        _ if is("python") || name.starts_with("uwsgi") => Language::Python,
        _ if is("ruby") => Language::Ruby,
        "node" | "nodejs" => Language::Node,
        "java" => Language::Java,
        _ => return None,
    })
}

fn worker(host: &Host, language: Language, folder: PathBuf, words: &[Vec<u8>]) -> Worker {
    let path = |word: &Vec<u8>| normal(&folder.join(OsStr::from_bytes(word)));
    let python = language == Language::Python;
    // `/srv/app/venv/bin/python /srv/app/venv/bin/gunicorn app:app`
    let named = words.iter().take(2).filter_map(|word| Some(path(word).parent()?.parent()?.to_owned()));
    let beside = BESIDE.iter().map(|name| folder.join(name));
    let is_venv =
        |folder: &PathBuf| look_at(host, &folder.join("pyvenv.cfg")).is_ok_and(|(_, meta)| meta.kind == Kind::File);
    let venv = named.chain(beside).filter(|_| python).find(is_venv);
    let jar = words.iter().skip_while(|word| *word != b"-jar").nth(1).filter(|_| language == Language::Java).map(path);
    let servers: [&[u8]; 6] = [b"gunicorn", b"uwsgi", b"flask", b"waitress", b"mod_wsgi", b"hypercorn"];
    let web =
        words.iter().take(3).any(|word| servers.iter().any(|server| memchr::memmem::find(word, server).is_some()));
    Worker { language, venv, jar, web, folder }
}

/// A path without `.` and `..`, as its text says.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

/// The folders that a virtual environment keeps its packages in.
#[must_use]
pub fn site_packages(host: &Host, venv: &Path) -> Vec<PathBuf> {
    // A folder that a link leads to is looked into as well.
    let Ok((venv, _)) = look_at(host, venv) else { return Vec::new() };
    let pattern = format!("{}/lib*/python*/site-packages", venv.display());
    let mut found: Vec<PathBuf> = Vec::new();
    for path in crate::host::pattern::expand(host, Path::new(&pattern), &mut |_| {}) {
        // lib64 is a link to lib.
        let real = look_at(host, &path).map(|(real, _)| real);
        found.extend(real.ok().filter(|real| !found.contains(real)));
    }
    found
}

/// The virtual environment beside an application, if there is one.
#[must_use]
pub fn venv_beside(host: &Host, folder: &Path) -> Option<PathBuf> {
    BESIDE.iter().map(|name| folder.join(name)).find(|venv| look_at(host, &venv.join("pyvenv.cfg")).is_ok())
}
