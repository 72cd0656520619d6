//! `postgresql.conf`, as far as it says where the data is and what is listened on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::databases::Server;
use crate::host::{Host, HostError};

/// Bytes of one file.
const LIMIT: usize = 256 << 10;
/// Files that include each other.
const MAX_FILES: usize = 100;
/// Settings that are of interest.
const SETTINGS: [&str; 4] = ["data_directory", "listen_addresses", "port", "unix_socket_directories"];

/// What a server is told.
#[derive(Default)]
pub(super) struct Config {
    settings: BTreeMap<&'static str, String>,
    folder: Option<PathBuf>,
    /// The first of its files.
    path: PathBuf,
    /// The first file that cannot be read: then nothing of it is sure.
    failed: Option<HostError>,
    files: usize,
}

impl Config {
    /// Of a server that runs.
    pub(super) fn of(host: &Host, server: &Server) -> Self {
        let told = server.option(&["-D"]).map(PathBuf::from);
        let set = |name: &str| {
            let words = server.words.iter().map(|word| word.trim_start_matches("-c").trim_start_matches('-'));
            words
                .filter_map(|word| word.split_once('='))
                .find(|(each, _)| *each == name)
                .map(|(_, value)| value.to_owned())
        };
        let folder = server.folder.clone().or_else(|| told.clone());
        let file =
            set("config_file").map(PathBuf::from).or_else(|| folder.as_ref().map(|each| each.join("postgresql.conf")));
        let mut config = file.map_or_else(Self::default, |file| Self::read(host, &file, folder.as_deref()));
        for setting in SETTINGS {
            config.settings.extend(set(setting).map(|value| (setting, value)));
        }
        config.settings.extend(server.option(&["-p"]).map(|port| ("port", port.to_owned())));
        config.settings.extend(server.option(&["-k"]).map(|folder| ("unix_socket_directories", folder.to_owned())));
        config.settings.extend(server.option(&["-h"]).map(|address| ("listen_addresses", address.to_owned())));
        config
    }

    /// From a file, and from what ALTER SYSTEM has written into the data folder.
    pub(super) fn read(host: &Host, file: &Path, folder: Option<&Path>) -> Self {
        let mut config = Self { folder: folder.map(Path::to_owned), path: file.to_owned(), ..Self::default() };
        config.file(host, file, true);
        if let Some(data) =
            config.settings.get("data_directory").map(PathBuf::from).or_else(|| folder.map(Path::to_owned))
        {
            config.file(host, &data.join("postgresql.auto.conf"), false);
        }
        config
    }

    /// Its first file; empty if it has none.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The data folder, links replaced, if it is known and there.
    pub(super) fn datadir(&self, host: &Host) -> Option<PathBuf> {
        let set = self.settings.get("data_directory").map(PathBuf::from).or_else(|| self.folder.clone());
        host.real(set?, &mut |_| {})
    }

    /// Addresses and sockets, sorted.
    pub(super) fn listen(&self) -> Result<Vec<String>, (String, &'static str)> {
        if let Some(error) = &self.failed {
            return Err((error.to_string(), error.hint()));
        }
        let port = self.port();
        let parts = |name: &str| self.parts(name);
        let mut found = Vec::new();
        if self.files > 0 || !self.settings.is_empty() {
            let addresses = match self.settings.contains_key("listen_addresses") {
                true => parts("listen_addresses"),
                false => vec!["localhost".to_owned()],
            };
            let at = |address: &String| {
                if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
            };
            found.extend(addresses.iter().map(at));
        }
        found.extend(self.of_folders().iter().map(|socket| socket.display().to_string()));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Sockets on which it may be met: as configured, else where the packages of Debian and Red Hat, and its makers, put it.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        let set = self.of_folders();
        let usual =
            ["/run/postgresql", "/tmp"].map(|folder| Path::new(folder).join(format!(".s.PGSQL.{}", self.port())));
        if set.is_empty() { usual.to_vec() } else { set }
    }

    fn of_folders(&self) -> Vec<PathBuf> {
        let port = self.port();
        let folders = self.parts("unix_socket_directories").into_iter().map(PathBuf::from);
        folders.map(|folder| folder.join(format!(".s.PGSQL.{port}"))).collect()
    }

    fn port(&self) -> &str {
        self.settings.get("port").map_or("5432", String::as_str)
    }

    fn parts(&self, name: &str) -> Vec<String> {
        let value = self.settings.get(name).map_or("", String::as_str);
        value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    }

    fn file(&mut self, host: &Host, path: &Path, needed: bool) {
        if self.files >= MAX_FILES {
            return;
        }
        let bytes = match host.read(path, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absent() => return,
            Err(error) => {
                if needed || !error.is_absent() {
                    self.failed.get_or_insert(error);
                }
                return;
            }
        };
        self.files += 1;
        let here = path.parent().unwrap_or(Path::new("/"));
        for line in String::from_utf8_lossy(&bytes).lines() {
            let Some((name, value)) = setting(line) else { continue };
            match name.as_str() {
                "include" | "include_if_exists" => self.file(host, &here.join(value), false),
                "include_dir" => {
                    let folder = here.join(value);
                    for entry in host.list(&folder).unwrap_or_default() {
                        let file = folder.join(entry.name);
                        if file.extension().is_some_and(|end| end == "conf") {
                            self.file(host, &file, false);
                        }
                    }
                }
                name => {
                    let known = SETTINGS.iter().find(|each| **each == name);
                    self.settings.extend(known.map(|name| (*name, value)));
                }
            }
        }
    }
}

/// `name = 'value' # comment`; the equals sign may be left out.
fn setting(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start().trim_start_matches('=').trim_start();
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap_or_default(),
        None => rest.split(|c: char| c.is_whitespace() || c == '#').next().unwrap_or_default(),
    };
    (!name.starts_with('#')).then(|| (name.to_ascii_lowercase(), value.to_owned()))
}
