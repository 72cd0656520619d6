//! MongoDB: the server's version, whether it runs, where it listens and how much it holds. Nothing is said to a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::databases::{Binary, Instance, Product, Program, Server, Watched, yaml};
use crate::host::{Host, HostError};
use crate::tables::DATABASE;
use crate::watcher::{Spec, seconds};

/// The watcher `mongodb`.
pub const SPEC: Spec = Spec::new::<Watched<Mongodb>>(
    "mongodb",
    seconds(15),
    &[&DATABASE],
    r#"
# Folders where the server lies; `*` stands for the name of one folder. What runs is found anywhere.
folders = ["/usr/bin", "/usr/local/bin", "/usr/local/*/bin", "/opt/*/bin"]
"#,
);

const PROGRAM: Program = Program {
    files: &["mongod"],
    aliases: &[],
    names: &["mongod"],
    hosted: &[],
    passing: &["--version", "--help", "-h", "--shutdown", "--repair", "--sysinfo"],
    packages: &["mongodb", "percona-server-mongodb"],
    // The version stands in the binary beside those of its libraries.
    mark: None,
};
/// Configuration of its makers' packages, and of older ones of distributions.
const CONFIGS: [&str; 2] = ["/etc/mongod.conf", "/etc/mongodb.conf"];
const WAKE: [&str; 4] = [CONFIGS[0], CONFIGS[1], "/run/mongodb", "/var/lib/mongodb"];
const PORT: &str = "27017";
/// Since 3.6 of 2017.
const ADDRESS: &str = "127.0.0.1";
/// Bytes of a file.
const LIMIT: usize = 256 << 10;

#[derive(Default)]
struct Mongodb;

impl Product for Mongodb {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    fn wake(&self) -> &'static [&'static str] {
        &WAKE
    }

    fn instances(&self, host: &Host, binaries: &[Binary], servers: &[Server]) -> Vec<Instance> {
        let mut found: Vec<Instance> = Vec::new();
        for server in servers {
            let mut instance = Config::read(host, Some(server)).instance(host, server.binary(binaries));
            if found.iter().any(|each| each.key == instance.key) {
                instance.key = format!("mongodb/{}", server.pid);
            }
            instance.server = Some(server.clone());
            found.push(instance);
        }
        if let (Some(binary), true) = (binaries.first(), found.is_empty()) {
            found.push(Config::read(host, None).instance(host, binary.path.clone()));
        }
        found
    }

    /// `7.0.5` of `mongodb-linux-x86_64-debian12-7.0.5/bin/mongod`: its makers' archives are unpacked to such a folder.
    fn beside(&self, _: &Host, binary: &Path) -> Option<String> {
        let folder = binary.parent()?.parent()?.file_name()?.to_str()?;
        let version = folder.strip_prefix("mongodb-")?.rsplit('-').next()?;
        version.starts_with(|first: char| first.is_ascii_digit()).then(|| version.to_owned())
    }
}

/// What a server is told.
#[derive(Default)]
struct Config {
    settings: BTreeMap<String, String>,
    failed: Option<HostError>,
}

impl Config {
    fn read(host: &Host, server: Option<&Server>) -> Self {
        let option = |names: &[&str]| server.and_then(|server| server.option(names)).map(str::to_owned);
        let told = option(&["--config", "-f"]);
        // Without such a word, one that runs has no file.
        let files = match (told, server) {
            (Some(file), _) => vec![file],
            (None, Some(_)) => Vec::new(),
            (None, None) => CONFIGS.map(str::to_owned).to_vec(),
        };
        let mut config = Self::default();
        for file in files {
            match host.read(&file, LIMIT) {
                Ok(bytes) => {
                    config.settings = yaml::settings(&String::from_utf8_lossy(&bytes));
                    break;
                }
                Err(error) if error.is_absent() => {}
                Err(error) => config.failed = Some(error),
            }
        }
        for (name, old) in [("storage.dbPath", "dbpath"), ("net.port", "port"), ("net.bindIp", "bind_ip")] {
            let old_one = config.settings.get(old).cloned();
            let word = option(&[&format!("--{old}")]);
            config.settings.extend(word.or(old_one).map(|value| (name.to_owned(), value)));
        }
        if server.is_some_and(|server| server.words.iter().any(|word| word == "--bind_ip_all")) {
            config.settings.insert("net.bindIpAll".to_owned(), "true".to_owned());
        }
        config
    }

    fn instance(&self, host: &Host, binary: PathBuf) -> Instance {
        let port = self.settings.get("net.port").map_or(PORT, String::as_str);
        let listen = match &self.failed {
            Some(error) => Err((error.to_string(), error.hint())),
            None => Ok(self.listen(port)),
        };
        let folder = self.settings.get("storage.dbPath").map_or("/data/db", String::as_str);
        let datadir = host.real(PathBuf::from(folder), &mut |_| {});
        Instance { key: format!("mongodb/{port}"), binary, server: None, listen, datadir, sockets: Vec::new() }
    }

    fn listen(&self, port: &str) -> Vec<String> {
        let all = self.settings.get("net.bindIpAll").is_some_and(|all| all == "true");
        let addresses = if all { "*" } else { self.settings.get("net.bindIp").map_or(ADDRESS, String::as_str) };
        let at = |address: &str| match address {
            socket if socket.starts_with('/') => socket.to_owned(),
            address if address.contains(':') => format!("[{address}]:{port}"),
            address => format!("{address}:{port}"),
        };
        let mut found: Vec<String> =
            addresses.split(',').map(str::trim).filter(|each| !each.is_empty()).map(at).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watcher::testing::{Stage, stage};

    fn running(stage: Stage, exe: &str, words: &[&str]) -> Stage {
        stage
            .file(exe, "\x7fELF")
            .mode(exe, 0o755)
            .link("/proc/70/exe", exe)
            .link("/proc/70/cwd", "/")
            .file("/proc/70/comm", "mongod\n")
            .file("/proc/70/stat", "70 (mongod) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1\n")
            .file("/proc/70/cmdline", words.iter().map(|word| format!("{word}\0")).collect::<String>())
    }

    #[test]
    fn a_host_without_mongodb_is_no_error() {
        assert_eq!(stage(&SPEC).folder("/usr/bin").look(), "absent");
    }

    #[test]
    fn a_server_of_its_makers_packages_is_told_with_its_data() {
        let stage = stage(&SPEC)
            .file(
                "/etc/mongod.conf",
                "storage:\n  dbPath: /var/lib/mongodb\nnet:\n  port: 27017\n  bindIp: 127.0.0.1,10.0.0.5\n",
            )
            .file("/var/lib/mongodb/WiredTiger", "12345")
            .file(
                "/var/lib/dpkg/status",
                "Package: mongodb-org-server\nStatus: install ok installed\nVersion: 7.0.14\n\n",
            )
            .file("/var/lib/dpkg/info/mongodb-org-server.list", "/usr/bin/mongod\n");
        let stage = running(stage, "/usr/bin/mongod", &["/usr/bin/mongod", "--config", "/etc/mongod.conf"]);
        assert_eq!(
            stage.look(),
            "fact database mongodb/27017 version=7.0.14 running_version=7.0.14 binary=/usr/bin/mongod \
             package=mongodb-org-server package_version=7.0.14 provenance=mongodb running=true restart_needed=false \
             listen=10.0.0.5:27017,127.0.0.1:27017 datadir=/var/lib/mongodb from /usr/bin/mongod\n\
             sample database_size_bytes{database=\"mongodb/27017\"} 5\n"
        );
    }

    #[test]
    fn one_of_an_archive_is_known_by_its_folder_and_its_command_line() {
        let exe = "/opt/mongodb-linux-x86_64-debian12-7.0.5/bin/mongod";
        let stage =
            stage(&SPEC).file("/var/lib/dpkg/status", "Package: x\n").folder("/var/lib/dpkg/info").folder("/srv/m");
        let stage = running(stage, exe, &[exe, "--dbpath", "/srv/m", "--port=27018", "--bind_ip_all"]);
        let told = stage.look();
        assert!(told.starts_with("fact database mongodb/27018 version=7.0.5 running_version=7.0.5 "), "{told}");
        assert!(told.contains(" listen=*:27018 datadir=/srv/m "), "{told}");
    }
}
