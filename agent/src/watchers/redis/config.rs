//! `redis.conf`, as far as it says where the data is and what is listened on.

use std::path::{Path, PathBuf};

use super::PORT;
use crate::host::Host;

/// Folders of configuration files, and single files.
const PLACES: [&str; 5] = ["/etc/redis", "/etc/valkey", "/etc/keydb", "/etc/redis.conf", "/etc/valkey.conf"];
/// Bytes of one file: the one that is shipped holds 100 KB of comments.
const LIMIT: usize = 512 << 10;

/// What a server is told.
#[derive(Debug, Default)]
pub(super) struct Config {
    bind: Vec<String>,
    port: Option<String>,
    socket: Option<String>,
    folder: Option<PathBuf>,
    hidden: bool,
}

/// All that are configured on a host; those of sentinels, which hold no data, are left out.
pub(super) fn all(host: &Host) -> Vec<Config> {
    let mut files = Vec::new();
    for place in PLACES.map(Path::new) {
        match host.list(place) {
            Ok(entries) => files.extend(entries.into_iter().map(|entry| place.join(entry.name))),
            Err(_) => files.push(place.to_owned()),
        }
    }
    let of_server = |file: &&PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".conf") && !name.contains("sentinel")
    };
    files.iter().filter(of_server).filter_map(|file| Config::read(host, file)).collect()
}

impl Config {
    /// `None`: there is no such file.
    fn read(host: &Host, file: &Path) -> Option<Self> {
        let mut config = Self::default();
        let bytes = match host.read(file, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absent() => return None,
            Err(_) => {
                config.hidden = true;
                return Some(config);
            }
        };
        for line in String::from_utf8_lossy(&bytes).lines() {
            let mut words = line.split_ascii_whitespace().map(|word| word.trim_matches(['"', '\'']));
            match words.next().map(str::to_ascii_lowercase).as_deref() {
                // A dash says that the address may be missing.
                Some("bind") => config.bind = words.map(|word| word.trim_start_matches('-').to_owned()).collect(),
                Some("port") => config.port = words.next().map(str::to_owned),
                Some("unixsocket") => config.socket = words.next().map(str::to_owned),
                Some("dir") => config.folder = words.next().map(PathBuf::from),
                _ => {}
            }
        }
        Some(config)
    }

    /// True when it cannot be read.
    pub(super) fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// What an instance of it is called: its port, else its socket.
    pub(super) fn name(&self) -> String {
        let socket = self.socket.as_deref().filter(|_| self.port() == "0").and_then(|path| path.rsplit('/').next());
        socket.map_or_else(|| self.port().to_owned(), |name| name.split('.').next().unwrap_or(name).to_owned())
    }

    /// Whether a server that is seen to listen on these was told by it.
    pub(super) fn is_of(&self, seen: &[String]) -> bool {
        let own = self.listen();
        let port = |address: &str| address.rsplit(':').next().map(str::to_owned);
        !self.hidden
            && seen
                .iter()
                .any(|each| own.contains(each) || !each.starts_with('/') && port(each).as_deref() == Some(self.port()))
    }

    /// Addresses and the socket, sorted.
    pub(super) fn listen(&self) -> Vec<String> {
        let mut found: Vec<String> = self.socket.iter().cloned().collect();
        if self.port() != "0" && !self.hidden {
            let all = ["*".to_owned()];
            let addresses = if self.bind.is_empty() { all.as_slice() } else { self.bind.as_slice() };
            let at = |address: &String| match address.contains(':') {
                true => format!("[{address}]:{}", self.port()),
                false => format!("{address}:{}", self.port()),
            };
            found.extend(addresses.iter().map(at));
        }
        found.sort_unstable();
        found
    }

    /// The data folder, links replaced, if it is known and there.
    pub(super) fn datadir(&self, host: &Host) -> Option<PathBuf> {
        host.real(self.folder.clone()?, &mut |_| {})
    }

    fn port(&self) -> &str {
        self.port.as_deref().unwrap_or(PORT)
    }
}
