//! PHP-FPM: its pools, in whatever layout it was installed, and what PHP's settings are in each of them.
//!
//! Where configuration begins says the title of each master that runs, `php-fpm: master process (<path>)`; of those that do
//! not run, the places where each layout has it. What is read is what FPM itself would read at its next start.

mod config;
mod find;
pub mod ini;
pub mod layout;
pub mod places;
pub mod settings;
pub mod status;
pub mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::time::Timestamp;

use crate::host::proc::Birth;
use crate::host::{Host, HostError, sockets};

/// Pools of one host.
pub const MAX_POOLS: usize = 2_000;

/// A pool, as it is configured on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Key of its row in the table `php_pool`: `branch/name`, with `@prefix` as in the table `php`.
    pub key: String,
    /// Its name: that of its section.
    pub name: String,
    /// Branch of the PHP that runs it, such as `8.2`; `unknown` if that cannot be told.
    pub branch: String,
    /// The folder that the installation has for itself, or the file that configures a master beside the usual one.
    pub prefix: Option<PathBuf>,
    /// Where it takes requests, in the form of [`comparable`]; empty if it is not configured, or unknown.
    pub listen: String,
    /// The account that it runs as.
    pub user: Option<String>,
    /// The file that it is configured in.
    pub config: PathBuf,
    /// When the newest file was changed that its directives stand in.
    pub changed: Option<Timestamp>,
    /// Its directives by name: those of FPM, and of PHP those of [`settings::KNOWN`] as `php_admin_value[..]` and the like.
    pub values: BTreeMap<String, String>,
    /// Directives whose value cannot be told, and why.
    pub unknown: BTreeMap<String, &'static str>,
    /// Tells whether any other directive of it has changed.
    pub other: u64,
    /// Its place in [`Pools::instances`].
    pub instance: usize,
}

/// A master that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its process.
    pub pid: u32,
    /// Tells it from a later one of the same number.
    pub birth: Birth,
}

/// One configuration of FPM, with all its pools; one master runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where it begins: `php-fpm.conf`.
    pub config: PathBuf,
    /// When that file was last changed.
    pub changed: Option<Timestamp>,
    /// The program.
    pub binary: PathBuf,
    /// Branch of PHP, as in [`Pool::branch`].
    pub branch: String,
    /// As in [`Pool::prefix`].
    pub prefix: Option<PathBuf>,
    /// The master, if it is seen to run.
    pub master: Option<Master>,
    /// Where the master writes its number when it starts and when it has loaded its configuration anew.
    pub pid_file: Option<PathBuf>,
    /// Folders that files are included from.
    pub folders: Vec<PathBuf>,
}

/// All pools of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools {
    /// The pools, by instance.
    pub pools: Vec<Pool>,
    /// What they belong to.
    pub instances: Vec<Instance>,
    /// What could not be read: pools that are configured there are missing.
    pub problems: Vec<HostError>,
    /// Why masters may run that were not seen, and what can be done about it.
    pub hidden: Option<(String, &'static str)>,
}

/// All pools that are configured on a host: bounded, and what cannot be read is a problem that hides no other.
#[must_use]
pub fn pools(host: &Host) -> Pools {
    let mut found = Pools::default();
    find::instances(host, &mut found);
    for at in 0..found.instances.len() {
        config::read(host, at, &mut found);
    }
    found
}

impl Pools {
    /// The pool that answers on a socket, which is written as in the configuration of a web server.
    #[must_use]
    pub fn at(&self, host: &Host, socket: &str) -> Option<&Pool> {
        let socket = comparable(host, socket);
        let exact = self.pools.iter().find(|pool| pool.listen == socket);
        exact.or_else(|| {
            let (_, port) = socket.rsplit_once(':').filter(|_| !socket.starts_with('/'))?;
            let everywhere = |pool: &&Pool| {
                pool.listen.strip_suffix(port).is_some_and(|rest| matches!(rest, "*:" | "0.0.0.0:" | "[::]:"))
            };
            self.pools.iter().find(everywhere)
        })
    }
}

/// True when a master runs that is none of `known`.
#[must_use]
pub fn has_other_masters(host: &Host, known: &BTreeSet<u32>, max_age: Duration) -> bool {
    find::has_other_masters(host, known, max_age)
}

/// Folders in which configuration of FPM may come to lie, or a new installation of it: to be watched.
pub fn folders() -> impl Iterator<Item = PathBuf> {
    find::folders()
}

/// A socket in one form: an absolute path with the system's links replaced (`/var/run` is `/run`), or `address:port` with
/// `*` for all addresses. `unix:` and `tcp://` in front, as web servers write it, are left out.
#[must_use]
pub fn comparable(host: &Host, socket: &str) -> String {
    let socket = socket.trim();
    let socket = ["unix:", "tcp://", "fcgi://"].iter().find_map(|start| socket.strip_prefix(start)).unwrap_or(socket);
    if socket.starts_with('/') {
        let path = Path::new(socket);
        let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or(OsStr::new("")));
        // The socket itself is there only while somebody listens; its folder mostly is at any time.
        let real = host.resolve(path).or_else(|_| host.resolve(folder).map(|folder| folder.join(name)));
        return real.unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned();
    }
    let (address, port) = socket.rsplit_once(':').unwrap_or(("*", socket));
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return socket.to_owned();
    }
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    match sockets::address(bare) {
        Some(address) if address.is_ipv6() => format!("[{address}]:{port}"),
        Some(address) => format!("{address}:{port}"),
        None if bare.eq_ignore_ascii_case("localhost") => format!("127.0.0.1:{port}"),
        None => format!("{address}:{port}"),
    }
}

#[cfg(test)]
mod tests;
