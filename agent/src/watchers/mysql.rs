//! MySQL, MariaDB and Percona: the server's version without credentials, and whether it runs.
//!
//! By the package or the binary. Only when neither tells, a server is asked on its socket, once in its life: a visit
//! without a login raises its counter Aborted_connects, and MariaDB writes a line into its error log.
//!
//! Sizes of schemas and tables come from the names and sizes of their files. Where a login is configured, the server is
//! also asked what only it knows ([`ask`]).

mod ask;
mod config;
mod handshake;

use std::path::{Path, PathBuf};

use crate::databases::login::{Answer, Login, Wanted};
use crate::databases::{Binary, Instance, Layout, Product, Program, Refusal, Server, Watched};
use crate::host::binary::Mark;
use crate::host::{Host, HostError};
use crate::tables::{DATABASE, DATABASE_SCHEMA};
use crate::watcher::{Spec, seconds};
use config::Config;

/// The watcher `mysql`.
pub const SPEC: Spec = Spec::new::<Watched<Mysql>>(
    "mysql",
    seconds(5),
    &[&DATABASE, &DATABASE_SCHEMA],
    r#"
# Folders where the server lies; `*` stands for the name of one folder. What runs is found anywhere.
folders = [
    "/usr/sbin", "/usr/libexec", "/usr/bin", "/usr/local/sbin", "/usr/local/libexec", "/usr/local/bin",
    "/usr/local/mysql/bin", "/usr/local/mariadb/bin", "/opt/*/bin", "/opt/*/sbin", "/opt/rh/*/root/usr/libexec",
]
# A user of the server that may log in on its UNIX socket, once a minute, to ask for connections, slow queries, the lag of a
# replica and the autoloaded options of WordPress; empty: nobody logs in. It needs no right on any data. Without a password
# it is known by the user that the service runs as, so it has the same name. In MariaDB:
#   CREATE USER 'plumb-agent'@localhost IDENTIFIED VIA unix_socket;
#   GRANT REPLICA MONITOR ON *.* TO 'plumb-agent'@localhost;     -- only for the lag of a replica
# In MySQL and Percona:
#   INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';          -- once, where it is not loaded yet
#   CREATE USER 'plumb-agent'@localhost IDENTIFIED WITH auth_socket;
#   GRANT REPLICATION CLIENT ON *.* TO 'plumb-agent'@localhost;  -- only for the lag of a replica
# For the autoloaded options, in each schema of a WordPress (their length is read, not what they say):
#   GRANT SELECT (option_value, autoload) ON shop.wp_options TO 'plumb-agent'@localhost;
login = ""
# A file with the password of that user, if it has one (mysql_native_password or caching_sha2_password); not readable for all.
password_file = ""
"#,
);

const PROGRAM: Program = Program {
    files: &["mariadbd", "mysqld", "mysqld-debug"],
    aliases: &[],
    names: &["mariadbd", "mysqld"],
    hosted: &[],
    // mariadb-install-db, mysqld --initialize and questions at the command line
    passing: &["--bootstrap", "--initialize", "--initialize-insecure", "--help", "--verbose", "--version", "-V", "-?"],
    packages: &["mariadb", "MariaDB", "mysql", "percona", "Percona"],
    // MYSQL_SERVER_VERSION of MariaDB, as the server says it; MySQL's has no mark of its own.
    mark: Some(Mark::Behind(b"-MariaDB")),
};
/// Folders of configuration and of sockets, in every layout.
const WAKE: [&str; 9] = [
    "/etc/my.cnf",
    "/etc/my.cnf.d",
    "/etc/mysql",
    "/etc/mysql/conf.d",
    "/etc/mysql/mariadb.conf.d",
    "/etc/mysql/mysql.conf.d",
    "/run/mysqld",
    "/run/mariadb",
    "/var/lib/mysql/mysql.sock",
];
/// Where a server that is not configured otherwise keeps its data and its socket.
const DATADIR: &str = "/var/lib/mysql";
const SOCKETS: [&str; 3] = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

#[derive(Default)]
struct Mysql;

impl Product for Mysql {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    fn wake(&self) -> &'static [&'static str] {
        &WAKE
    }

    fn instances(&self, host: &Host, binaries: &[Binary], servers: &[Server]) -> Vec<Instance> {
        let mut found: Vec<Instance> = Vec::new();
        for server in servers {
            let config = Config::read(host, Some(server));
            let binary = server.binary(binaries);
            let datadir = server.folder.clone().or_else(|| config.datadir());
            let product = product(host, &binary);
            let names = names(host, server, &config, datadir.as_deref(), servers.len());
            let free = names.into_iter().find(|name| found.iter().all(|each| each.key != format!("{product}/{name}")));
            let key = format!("{product}/{}", free.unwrap_or_else(|| server.pid.to_string()));
            let (listen, mut sockets) = (config.listen(), config.sockets());
            if sockets.is_empty() && datadir.as_deref().is_none_or(|folder| folder == Path::new(DATADIR)) {
                sockets.extend(SOCKETS.map(PathBuf::from));
            }
            found.push(Instance { key, binary, server: Some(server.clone()), listen, datadir, sockets });
        }
        // The usual one is there as well when it does not run.
        let (idle, datadir) = usual(host);
        let is_there = servers.is_empty() || datadir.is_some();
        if let Some(binary) = binaries.first().filter(|_| is_there) {
            let key = format!("{}/main", product(host, &binary.path));
            if !found.iter().any(|each| each.key == key || each.datadir == datadir) {
                let (listen, sockets) = (idle.listen(), idle.sockets());
                found.push(Instance { key, binary: binary.path.clone(), server: None, listen, datadir, sockets });
            }
        }
        found
    }

    fn greeted(&self, host: &Host, socket: &Path) -> Option<Result<String, Refusal>> {
        let said = host.greeting(socket, &handshake::is_whole);
        Some(said.map_err(|error| refused(&error)).and_then(|said| handshake::version(&said)))
    }

    fn layout(&self) -> Layout {
        Layout::Mysql
    }

    fn ask(&self, host: &Host, socket: &Path, login: &Login, wanted: &[Wanted]) -> Result<Answer, Refusal> {
        ask::ask(host, socket, login, wanted)
    }
}

/// A socket on which nobody could be asked.
fn refused(error: &HostError) -> Refusal {
    if error.is_unanswered() { Refusal::Away(error.to_string()) } else { Refusal::Silent(error.to_string()) }
}

/// What the server is called: by its file, its package, and where it lies.
fn product(host: &Host, binary: &Path) -> &'static str {
    let owners = host.owners(std::slice::from_ref(&binary.to_owned()), PROGRAM.packages);
    let package = owners.ok().and_then(|mut owners| owners.remove(binary)).map(|package| package.name.to_string());
    let words = format!("{} {}", binary.display(), package.unwrap_or_default()).to_ascii_lowercase();
    ["mariadb", "percona"].into_iter().find(|name| words.contains(name)).unwrap_or("mysql")
}

/// What a server is told that is started without a word, and where its data is.
fn usual(host: &Host) -> (Config, Option<PathBuf>) {
    let config = Config::read(host, None);
    let datadir = config.datadir().or_else(|| host.real(PathBuf::from(DATADIR), &mut |_| {}));
    (config, datadir)
}

/// Names that an instance may go by, the best one first.
fn names(host: &Host, server: &Server, config: &Config, datadir: Option<&Path>, servers: usize) -> Vec<String> {
    let mut names = Vec::new();
    // Of mysqld@NAME.service and mariadb@NAME.service.
    let suffix = server.option(&["--defaults-group-suffix"]).map(|name| name.trim_start_matches(['.', '@', '-']));
    names.extend(suffix.filter(|name| !name.is_empty()).map(str::to_owned));
    let (_, usual) = usual(host);
    if names.is_empty() && (servers == 1 && usual.is_none() || datadir.is_none() || usual.as_deref() == datadir) {
        names.push("main".to_owned());
    }
    let apart = server.option(&["--port"]).map(str::to_owned).or_else(|| config.own_port());
    names.extend(apart.filter(|port| port != "0"));
    names.extend(datadir.map(|folder| folder.display().to_string()));
    names
}

#[cfg(test)]
mod tests;
