//! PostgreSQL: every cluster of this host, its server's version and whether it runs. Nothing is said to a server: its
//! protocol tells no version before the login. Where one is configured, it is asked what only it knows ([`ask`]).

mod ask;
mod config;

use std::path::{Path, PathBuf};

use crate::databases::login::{Answer, Login, Wanted};
use crate::databases::{Binary, Instance, Layout, Product, Program, Refusal, Server, Watched};
use crate::host::binary::Mark;
use crate::host::{Host, Kind};
use crate::tables::{DATABASE, DATABASE_SCHEMA};
use crate::watcher::{Spec, seconds};
use config::Config;

/// The watcher `postgresql`.
pub const SPEC: Spec = Spec::new::<Watched<Postgresql>>(
    "postgresql",
    seconds(5),
    &[&DATABASE, &DATABASE_SCHEMA],
    r#"
# Folders where the server lies; `*` stands for the name of one folder. What runs is found anywhere.
folders = [
    "/usr/lib/postgresql/*/bin", "/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin", "/opt/*/bin", "/opt/postgresql/*/bin",
    "/usr/pgsql-9.6/bin", "/usr/pgsql-10/bin", "/usr/pgsql-11/bin", "/usr/pgsql-12/bin", "/usr/pgsql-13/bin",
    "/usr/pgsql-14/bin", "/usr/pgsql-15/bin", "/usr/pgsql-16/bin", "/usr/pgsql-17/bin", "/usr/pgsql-18/bin",
]
# A role that may log in on the UNIX socket without a password (`peer`), once a minute, to ask for connections, the lag of a
# standby and the names of databases; empty: nobody logs in. It needs no right on any data. It has the name of the user that
# the service runs as:
#   CREATE ROLE "plumb-agent" LOGIN;
# and is let in by a line of pg_hba.conf as Debian and Red Hat ship it: `local all all peer`.
login = ""
"#,
);

const PROGRAM: Program = Program {
    files: &["postgres"],
    aliases: &[],
    names: &["postgres", "postmaster"],
    hosted: &[],
    // initdb, single-user mode, and questions at the command line
    passing: &["--boot", "--single", "--check", "--describe-config", "-C", "--version", "-V", "--help", "-?"],
    packages: &["postgresql"],
    // PG_BACKEND_VERSIONSTR
    mark: Some(Mark::Before(b"postgres (PostgreSQL) ")),
};
const WAKE: [&str; 3] = ["/etc/postgresql", "/run/postgresql", "/var/lib/pgsql"];
/// Debian's clusters: a folder for each version, and in it one for each cluster.
const DEBIAN: &str = "/etc/postgresql";
/// Red Hat's data folders: of the distribution, and of yum.postgresql.org.
const REDHAT: &str = "/var/lib/pgsql";

#[derive(Default)]
struct Postgresql;

impl Product for Postgresql {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    fn wake(&self) -> &'static [&'static str] {
        &WAKE
    }

    fn instances(&self, host: &Host, binaries: &[Binary], servers: &[Server]) -> Vec<Instance> {
        let mut found: Vec<Instance> = Vec::new();
        for server in servers {
            let config = Config::of(host, server);
            let binary = server.binary(binaries);
            let datadir = server.folder.clone().or_else(|| config.datadir(host));
            let short = debian(config.path()).unwrap_or_else(|| cluster(datadir.as_deref(), &binary));
            let taken = found.iter().any(|each| each.key == short);
            let key = match &datadir {
                Some(folder) if taken => format!("{short}@{}", folder.display()),
                _ => short,
            };
            let (listen, sockets) = (config.listen(), config.sockets());
            found.push(Instance { key, binary, server: Some(server.clone()), listen, datadir, sockets });
        }
        let used: Vec<PathBuf> = found.iter().map(|each| each.binary.clone()).collect();
        for (key, binary, config) in idle(host, binaries, &used) {
            let datadir = config.datadir(host);
            let runs = |each: &Instance| each.key == key || datadir.is_some() && each.datadir == datadir;
            if !found.iter().any(runs) {
                let listen = config.listen();
                found.push(Instance { key, binary, server: None, listen, datadir, sockets: Vec::new() });
            }
        }
        found
    }

    fn layout(&self) -> Layout {
        Layout::Postgresql
    }

    fn ask(&self, host: &Host, socket: &Path, login: &Login, _: &[Wanted]) -> Result<Answer, Refusal> {
        ask::ask(host, socket, login)
    }
}

/// `postgresql/16/main` of `/etc/postgresql/16/main/postgresql.conf`, wherever its data lies.
fn debian(file: &Path) -> Option<String> {
    let folder = file.strip_prefix(DEBIAN).ok()?.parent()?;
    let (version, name) = folder.to_str()?.split_once('/')?;
    (is_version(version) && !name.contains('/')).then(|| format!("postgresql/{version}/{name}"))
}

/// `postgresql/16/main`: by the data folder, `.../16/main`, else by the version that the program lies under.
fn cluster(datadir: Option<&Path>, binary: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let last = datadir.map_or_else(|| "main".to_owned(), name);
    let of_folder = datadir.and_then(Path::parent).map(name).filter(|name| is_version(name));
    match of_folder.or_else(|| version_of(binary)) {
        Some(version) => format!("postgresql/{version}/{last}"),
        None => format!("postgresql/{last}"),
    }
}

/// `16` of `/usr/lib/postgresql/16/bin/postgres` and of `/usr/pgsql-16/bin/postgres`.
fn version_of(binary: &Path) -> Option<String> {
    let folder = binary.parent()?.parent()?.file_name()?.to_str()?;
    let version = folder.strip_prefix("pgsql-").unwrap_or(folder);
    is_version(version).then(|| version.to_owned())
}

fn is_version(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Clusters that could be started, and programs that have none and are not `used`.
fn idle(host: &Host, binaries: &[Binary], used: &[PathBuf]) -> Vec<(String, PathBuf, Config)> {
    let mut found = Vec::new();
    let folders = |folder: &Path| {
        let entries = host.list(folder).unwrap_or_default().into_iter().filter(|entry| entry.kind == Kind::Folder);
        entries.filter_map(|entry| entry.name.into_string().ok()).collect::<Vec<_>>()
    };
    for binary in binaries {
        let version = version_of(&binary.path);
        let before = found.len();
        if let Some(version) = &version {
            let of_version = Path::new(DEBIAN).join(version);
            for cluster in folders(&of_version) {
                let config = Config::read(host, &of_version.join(&cluster).join("postgresql.conf"), None);
                found.push((format!("postgresql/{version}/{cluster}"), binary.path.clone(), config));
            }
        }
        let data = Path::new(REDHAT).join(version.as_deref().unwrap_or_default()).join("data");
        if host.stat(data.join("PG_VERSION")).is_ok() {
            let config = Config::read(host, &data.join("postgresql.conf"), Some(&data));
            found.push((cluster(Some(&data), &binary.path), binary.path.clone(), config));
        }
        if found.len() == before && !used.contains(&binary.path) {
            let key = version.map_or_else(|| "postgresql/main".to_owned(), |version| format!("postgresql/{version}"));
            found.push((key, binary.path.clone(), Config::default()));
        }
    }
    found
}

#[cfg(test)]
mod tests;
