//! Option files of MySQL and MariaDB, as far as they say where the data is and what is listened on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::databases::Server;
use crate::host::{Host, HostError};

/// Read when nothing else was asked for; a later file wins.
const FILES: [&str; 2] = ["/etc/my.cnf", "/etc/mysql/my.cnf"];
/// Bytes of one file.
const LIMIT: usize = 256 << 10;
/// Files that include each other, and how deep.
const MAX_FILES: usize = 100;
const DEPTH: usize = 5;
/// Groups that a server of any version reads.
const GROUPS: [&str; 6] = ["mysqld", "server", "mariadb", "mariadbd", "client-server", "mysqld_safe"];
/// Options that are of interest.
const OPTIONS: [&str; 5] = ["datadir", "port", "socket", "bind-address", "skip-networking"];

/// What a server is told.
#[derive(Default)]
pub(super) struct Config {
    options: BTreeMap<&'static str, String>,
    /// The first file that cannot be read: then nothing of it is sure.
    failed: Option<HostError>,
    files: usize,
    suffix: String,
    resolved_datadir: Option<PathBuf>,
}

impl Config {
    /// Of a server that runs, or as the next one would be started.
    pub(super) fn read(host: &Host, server: Option<&Server>) -> Self {
        let mut config = Self::default();
        let option = |names: &[&str]| server.and_then(|server| server.option(names)).map(PathBuf::from);
        config.suffix =
            server.and_then(|each| each.option(&["--defaults-group-suffix"])).unwrap_or_default().to_owned();
        let none = server.is_some_and(|server| server.words.iter().any(|word| word == "--no-defaults"));
        let files: Vec<PathBuf> = match option(&["--defaults-file"]) {
            Some(file) => vec![file],
            None if none => Vec::new(),
            None => FILES.iter().map(PathBuf::from).chain(option(&["--defaults-extra-file"])).collect(),
        };
        files.iter().for_each(|file| config.file(host, file, 0));
        for word in server.iter().flat_map(|server| &server.words) {
            if let Some(word) = word.strip_prefix("--") {
                config.line(word);
            }
        }
        config.resolved_datadir =
            config.options.get("datadir").and_then(|folder| host.real(PathBuf::from(folder), &mut |_| {}));
        config
    }

    /// The data folder, links replaced, if it is there.
    pub(super) fn datadir(&self) -> Option<PathBuf> {
        self.resolved_datadir.clone()
    }

    /// The port, if one is set.
    pub(super) fn own_port(&self) -> Option<String> {
        self.options.get("port").cloned()
    }

    /// The socket, if one is set.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        self.options.get("socket").map(PathBuf::from).into_iter().collect()
    }

    /// Addresses and the socket, sorted.
    pub(super) fn listen(&self) -> Result<Vec<String>, (String, &'static str)> {
        if let Some(error) = &self.failed {
            return Err((error.to_string(), error.hint()));
        }
        let mut found: Vec<String> = self.options.get("socket").cloned().into_iter().collect();
        let is_off = |value: &String| matches!(value.to_ascii_lowercase().as_str(), "" | "1" | "on" | "true");
        if !self.options.get("skip-networking").is_some_and(is_off) {
            let port = self.options.get("port").map_or("3306", String::as_str);
            let addresses = self.options.get("bind-address").map_or("*", String::as_str);
            found.extend(addresses.split(',').map(|address| at(address.trim(), port)));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn file(&mut self, host: &Host, path: &Path, depth: usize) {
        if depth > DEPTH || self.files >= MAX_FILES {
            return;
        }
        self.files += 1;
        let bytes = match host.read(path, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absent() => return,
            Err(error) => {
                self.failed.get_or_insert(error);
                return;
            }
        };
        let mut of_server = false;
        for line in String::from_utf8_lossy(&bytes).lines().map(str::trim) {
            if let Some(group) = line.strip_prefix('[') {
                of_server = self.is_read(group.split(']').next().unwrap_or_default().trim());
            } else if let Some(folder) = line.strip_prefix("!includedir") {
                self.folder(host, Path::new(folder.trim()), depth);
            } else if let Some(file) = line.strip_prefix("!include") {
                self.file(host, Path::new(file.trim()), depth + 1);
            } else if of_server && !line.starts_with(['#', ';']) {
                self.line(line);
            }
        }
    }

    fn folder(&mut self, host: &Host, folder: &Path, depth: usize) {
        let folder = host.real(folder.to_owned(), &mut |_| {}).unwrap_or_else(|| folder.to_owned());
        match host.list(&folder) {
            Ok(entries) => {
                let files = entries.into_iter().map(|entry| folder.join(entry.name));
                let files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|e| e == "cnf")).collect();
                files.iter().for_each(|file| self.file(host, file, depth + 1));
            }
            Err(error) if error.is_absent() => {}
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Whether a server reads a group: by its name, with a version behind it, or with the suffix it was given.
    fn is_read(&self, group: &str) -> bool {
        let group = if self.suffix.is_empty() { group } else { group.strip_suffix(&self.suffix).unwrap_or(group) };
        let base = group.rsplit_once('-').filter(|(_, end)| end.starts_with(|c: char| c.is_ascii_digit()));
        GROUPS.contains(&base.map_or(group, |(base, _)| base))
    }

    fn line(&mut self, line: &str) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let name = name.trim().replace('_', "-");
        if let Some(option) = OPTIONS.iter().find(|option| **option == name) {
            let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            self.options.insert(option, value.to_owned());
        }
    }
}

/// `127.0.0.1:3306`, `[::1]:3306`.
fn at(address: &str, port: &str) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
