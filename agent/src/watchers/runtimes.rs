//! Every Node.js, Python, Ruby, Java and .NET of the host: what is installed in the usual folders and by version managers,
//! and whatever runs. By reading only: the version is what files beside the program, the folder of a version manager, the
//! package, or the program itself say.

mod version;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::{ColumnType, Value};

use crate::apps::shown;
use crate::host::grant::Right;
use crate::host::packages::{DATABASES, Package, PackagesError};
use crate::host::{Host, HostError, Identity, Kind};
use crate::provenance::System;
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, minutes};
use version::{Reason, branch, find, product_of};

/// The watcher `runtimes`.
pub const SPEC: Spec = Spec::new::<Runtimes>(
    "runtimes",
    minutes(30),
    &[&RUNTIME],
    r#"
# Folders where programs lie; `*` stands for the name of one folder. What runs is found anywhere.
folders = [
    "/usr/bin", "/usr/local/bin", "/opt/*/bin", "/usr/lib/jvm/*/bin", "/usr/lib/jvm/*/jre/bin", "/usr/java/*/bin",
    "/opt/java/*/bin", "/opt/rh/*/root/usr/bin",
    "/root/.nvm/versions/node/*/bin", "/home/*/.nvm/versions/node/*/bin",               # nvm
    "/root/.pyenv/versions/*/bin", "/home/*/.pyenv/versions/*/bin", "/opt/pyenv/versions/*/bin",
    "/root/.rbenv/versions/*/bin", "/home/*/.rbenv/versions/*/bin", "/usr/local/rbenv/versions/*/bin", "/opt/rbenv/versions/*/bin",
    "/usr/local/rvm/rubies/*/bin", "/home/*/.rvm/rubies/*/bin",
    "/opt/plesk/node/*/bin", "/opt/plesk/ruby/*/bin", "/opt/cpanel/*/bin", "/opt/alt/*/bin", "/opt/alt/*/root/usr/bin",
]
# Folders that .NET is installed in.
dotnet = [
    "/usr/share/dotnet", "/usr/lib/dotnet", "/usr/lib64/dotnet", "/usr/local/share/dotnet", "/opt/dotnet", "/root/.dotnet", "/home/*/.dotnet",
]
"#,
);

/// Beginnings of the names of packages that they come in.
const PACKAGES: [&str; 12] = [
    "nodejs",
    "python",
    "libpython",
    "ruby",
    "openjdk",
    "java-",
    "temurin",
    "zulu",
    "dotnet",
    "aspnetcore",
    "ea-nodejs",
    "alt-",
];
/// Programs of one host.
const MOST: usize = 256;
/// Bytes of programs that are read in one slice of a look.
const SLICE: u64 = 16 << 20;
/// Age of a list of processes that is new enough.
const FRESH: Duration = Duration::from_secs(60);
/// Where a .NET keeps the versions of itself.
const SHARED: &str = "shared/Microsoft.NETCore.App";

/// Languages that applications are written in.
const RUNTIME: Table = Table {
    name: "runtime",
    doc: "Node.js, Python, Ruby, Java and .NET. Key: product/branch, with @prefix when it is not in the system's own folders.",
    columns: &[
        Column::state("version", ColumnType::Version, "Its version."),
        Column::state("binary", ColumnType::Text, "Where the program lies."),
        Column::state(
            "package",
            ColumnType::Text,
            "The package it belongs to; none when nobody updates it with packages.",
        ),
        Column::state("package_version", ColumnType::Version, "Version of that package, with epoch and release."),
        Column::state(
            "provenance",
            ColumnType::Text,
            "Who patches it: a word of the table `php`, or nodesource, deadsnakes, adoptium, corretto, azul, brightbox: the \
             makers' own packages.",
        ),
        Column::moving("running", ColumnType::Bool, "Whether a process runs it."),
        Column::moving(
            "restart_needed",
            ColumnType::Bool,
            "Whether a process still runs the program as it was before it was replaced.",
        ),
    ],
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Runtimes {
    folders: Vec<String>,
    dotnet: Vec<String>,
    /// What programs said, as long as they stay as they are.
    #[serde(skip)]
    known: BTreeMap<PathBuf, (Identity, Result<String, Reason>)>,
    #[serde(skip)]
    begun: Option<Begun>,
}

/// A program, and the version of it where its folder tells.
struct Program {
    product: &'static str,
    path: PathBuf,
    version: Option<String>,
    /// It starts other versions as well.
    several: bool,
}

/// A look between two slices.
struct Begun {
    todo: VecDeque<Program>,
    keys: BTreeSet<String>,
    owners: Result<BTreeMap<PathBuf, Package>, PackagesError>,
    system: System,
    running: Running,
    /// Some folders could not be looked at.
    hidden: bool,
}

/// Programs that run: whether a process still has an older one in memory.
struct Running {
    programs: BTreeMap<PathBuf, bool>,
    blind: Option<Reason>,
}

impl Watcher for Runtimes {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin(look)?,
        };
        let mut read = 0;
        while let Some(program) = begun.todo.pop_front() {
            read += self.tell(look, &mut begun, &program);
            if read >= SLICE && !begun.todo.is_empty() {
                self.begun = Some(begun);
                return Ok(Progress::More);
            }
        }
        Ok(if begun.keys.is_empty() && !begun.hidden { Progress::Absent } else { Progress::Done })
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        DATABASES.iter().map(PathBuf::from).collect()
    }
}

impl Runtimes {
    fn begin(&mut self, look: &mut Look<'_>) -> anyhow::Result<Begun> {
        look.host.check()?;
        let running = Running::find(look.host);
        let mut hidden: Vec<HostError> = Vec::new();
        let mut programs: BTreeMap<PathBuf, &'static str> = BTreeMap::new();
        for folder in look.host.expand(&self.folders, &mut |error| hidden.push(error)) {
            list(look.host, &folder, &mut programs, &mut hidden);
        }
        programs
            .extend(running.programs.keys().filter_map(|path| Some((path.clone(), product_of(path.file_name()?)?))));
        let mut todo: VecDeque<Program> = VecDeque::new();
        let mut inodes = BTreeSet::new();
        // What was seen to run and lies there still: a program that comes and goes is no change of the host.
        programs.extend(self.known.keys().filter_map(|path| Some((path.clone(), product_of(path.file_name()?)?))));
        // One `dotnet` starts several versions: its folders tell which.
        for (path, product) in programs.into_iter().filter(|(_, product)| *product != "dotnet") {
            let Ok(meta) = look.host.stat(&path) else { continue };
            if meta.is_executable() && inodes.insert(meta.identity.inode()) {
                todo.push_back(Program { product, path, version: None, several: false });
            }
        }
        for root in look.host.expand(&self.dotnet, &mut |error| hidden.push(error)) {
            let Ok(entries) = look.host.list(root.join(SHARED)) else { continue };
            let versions: Vec<&str> = entries
                .iter()
                .filter(|entry| entry.kind == Kind::Folder)
                .filter_map(|entry| entry.name.to_str())
                .collect();
            todo.extend(versions.iter().map(|version| Program {
                product: "dotnet",
                path: root.join("dotnet"),
                version: Some((*version).to_owned()),
                several: versions.len() > 1,
            }));
        }
        for error in hidden.iter().take(16) {
            look.problem(&RUNTIME, error.path.clone(), error.path.clone(), &error.kind, error.hint());
        }
        if todo.len() > MOST {
            look.problem(&RUNTIME, "", "", format!("more than {MOST} programs: the rest is not told"), "");
            todo.truncate(MOST);
        }
        self.known.retain(|path, _| todo.iter().any(|program| program.path == *path));
        let paths: Vec<PathBuf> = todo.iter().map(|program| program.path.clone()).collect();
        let owners = look.host.owners(&paths, &PACKAGES);
        Ok(Begun {
            todo,
            keys: BTreeSet::new(),
            owners,
            system: System::read(look.host),
            running,
            hidden: !hidden.is_empty(),
        })
    }

    /// Tells one program; answers how many bytes of it were read.
    fn tell(&mut self, look: &mut Look<'_>, begun: &mut Begun, program: &Program) -> u64 {
        let Program { product, path, version, several } = program;
        let package = begun.owners.as_ref().map(|owners| owners.get(path));
        let mut read = 0;
        let version = match (version, look.host.stat(path)) {
            (Some(version), _) => Ok(version.clone()),
            (None, Err(_)) => return 0, // gone since the look began
            (None, Ok(meta)) => match self.known.get(path) {
                // An update of the package replaces the program.
                Some((identity, answer)) if *identity == meta.identity => answer.clone(),
                _ => {
                    let (answer, bytes) = find(look.host, product, path, package.ok().flatten());
                    read = bytes;
                    self.known.insert(path.clone(), (meta.identity, answer.clone()));
                    answer
                }
            },
        };
        let named = version.as_deref().ok().and_then(|version| branch(product, version));
        let named = named.or_else(|| version::of_name(path)).unwrap_or_else(|| "unknown".to_owned());
        let Some(key) = key(&mut begun.keys, product, &named, path) else { return read };
        let source = shown(path).to_string();
        look.fact(&RUNTIME, key.as_str(), &source, &[("binary", Value::Text(shown(path)))]);
        match version {
            Ok(version) => {
                look.fact(&RUNTIME, key.as_str(), &source, &[("version", Value::Version(version.as_str().into()))])
            }
            Err((reason, hint)) => look.unknown(&RUNTIME, key.as_str(), "version", reason, hint),
        }
        begun.system.tell(look, (&RUNTIME, &key, &source), package);
        match (&begun.running.blind, begun.running.programs.get(path)) {
            (Some((reason, hint)), None) => look.unknown(&RUNTIME, key.as_str(), "running", reason, hint),
            (_, Some(_)) if *several => {
                look.unknown(&RUNTIME, key.as_str(), "running", "which of the versions runs cannot be told", "");
            }
            (_, None) => look.fact(&RUNTIME, key.as_str(), &source, &[("running", false.into())]),
            (_, Some(replaced)) => {
                let fields = [("running", true.into()), ("restart_needed", (*replaced).into())];
                look.fact(&RUNTIME, key.as_str(), &source, &fields);
            }
        }
        read
    }
}

/// Programs of a folder, links replaced.
fn list(host: &Host, folder: &Path, programs: &mut BTreeMap<PathBuf, &'static str>, hidden: &mut Vec<HostError>) {
    let mut links = Vec::new();
    let listed = host.entries(folder, &mut |name, kind| match product_of(name) {
        Some(product) if kind == Kind::File => _ = programs.insert(folder.join(name), product),
        Some(product) if kind == Kind::Link => links.push((folder.join(name), product)),
        _ => {}
    });
    match listed {
        Err(error) if error.is_absent() => {} // a file of that name, or gone since
        Err(error) => hidden.push(error),
        Ok(()) => {
            // A link to something else (an alternative, a wrapper) is what it leads to.
            let real = |(link, product)| Some((host.resolve_owned(link).ok()?, product));
            programs.extend(links.into_iter().filter_map(real));
        }
    }
}

/// `python/3.11`, `node/20@/home/web/.nvm/versions/node/v20.11.1`. `None`: told already.
fn key(taken: &mut BTreeSet<String>, product: &str, branch: &str, path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let own =
        folder == Path::new("/usr/bin") || path.starts_with("/usr/lib/jvm") || path.starts_with("/usr/lib/dotnet");
    let prefix = if folder.ends_with("bin") { folder.parent()? } else { folder };
    let plain = format!("{product}/{branch}");
    let long = format!("{plain}@{}", prefix.display());
    let whole = format!("{plain}@{}", path.display());
    let key = [Some(plain).filter(|_| own), Some(long), Some(whole)]
        .into_iter()
        .flatten()
        .find(|key| !taken.contains(key))?;
    taken.insert(key.clone());
    Some(key)
}

impl Running {
    fn find(host: &Host) -> Self {
        let mut found = Self { programs: BTreeMap::new(), blind: None };
        match host.processes(FRESH) {
            Ok(processes) if processes.is_empty() => {
                found.blind = Some(("no processes can be seen".to_owned(), Right::Processes.hint(host)));
            }
            Ok(processes) => {
                for process in processes.iter() {
                    let Ok(exe) = &process.exe else { continue };
                    let known = exe.path.file_name().and_then(product_of).is_some();
                    // In a container the same path is another file.
                    if known && host.is_of_the_host(process.pid) {
                        let replaced = exe.replaced && !is_of_the_system(host, process.pid);
                        *found.programs.entry(exe.path.clone()).or_default() |= replaced;
                    }
                }
                if processes.iter().any(|process| process.exe == Err(crate::host::ErrorKind::Denied)) {
                    found.blind =
                        Some(("what some processes run cannot be seen".to_owned(), Right::Processes.hint(host)));
                }
            }
            Err(error) => found.blind = Some((error.to_string(), error.hint())),
        }
        found
    }
}

/// Whether a process runs a tool of the system itself (`/usr/bin/python3 /usr/share/unattended-upgrades/...`), as every host
/// has some: updates do not restart them, and no visitor reaches them. Applications work in a folder of their own.
fn is_of_the_system(host: &Host, pid: u32) -> bool {
    let works_anywhere = host.working_folder(pid).is_ok_and(|folder| folder == Path::new("/"));
    let words = host.cmdline(pid).unwrap_or_default();
    let script = words.iter().skip(1).find(|word| !word.starts_with(b"-"));
    works_anywhere && script.is_some_and(|word| word.starts_with(b"/usr/") && !word.starts_with(b"/usr/local/"))
}

#[cfg(test)]
mod tests;
