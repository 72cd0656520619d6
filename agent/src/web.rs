//! What the configuration of web servers says: servers, and the sites that they serve, in whatever layout they were
//! installed. By reading only. Of each format that is understood what matters here, and the rest is passed over; a value
//! that cannot be told from the text alone (a variable, a program that is asked) is unknown with its reason, never wrong.
//!
//! Parts of a configuration are written by whoever runs a site, so all of it is bounded: files, bytes, includes, sites.
//! Parsers are functions of a text (`nginx::parse` and its like) and open nothing; [`read`] gives them files.

mod address;
pub mod apache;
pub mod caddy;
mod command;
mod files;
pub mod litespeed;
mod merge;
pub mod nginx;
pub mod panel;
pub mod places;
pub mod running;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use crate::host::{Host, HostError, Identity};
use files::Files;
use places::Place;

/// Sites of one host; of more a problem tells.
pub const SITES: usize = 2_000;

/// What is configured on a host.
#[derive(Debug, Default)]
pub struct Web {
    /// Every server whose main file is there.
    pub servers: Vec<Server>,
    /// What they serve, each key once.
    pub sites: Vec<Site>,
    /// What could not be read: sites that it names are missing.
    pub problems: Vec<HostError>,
    /// Where configurations begin.
    places: Vec<Place>,
    /// What was looked at, as it was.
    seen: Vec<(PathBuf, Option<Identity>)>,
}

/// A server's configuration as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// `nginx`, `apache`, `caddy` or `litespeed`.
    pub product: &'static str,
    /// The folder that this installation has for itself; `None`: it is the system's own.
    pub prefix: Option<PathBuf>,
    /// The file that it begins with.
    pub config: PathBuf,
    /// Modules that are loaded, by the server's own names for them.
    pub modules: Vec<String>,
    /// The newest of its files; `None` if none could be read.
    pub changed: Option<Timestamp>,
    /// Where it writes the number of its process, if that is configured.
    pub pid_file: Option<PathBuf>,
    /// The module of PHP that Apache loads.
    pub php_module: Option<PathBuf>,
    /// What in it cannot work: blocks that are not closed, named files that are missing.
    pub faults: Vec<String>,
}

/// A site of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The server's product.
    pub server: &'static str,
    /// Its names, the one of its key first; none for a catch-all.
    pub names: Vec<String>,
    /// Where it is listened for it (`*:443 ssl`, `unix:/run/x.sock`), with the words `ssl`, `quic`, `proxy_protocol`,
    /// `default_server`.
    pub listen: Vec<String>,
    /// Its document root.
    pub docroot: Option<PathBuf>,
    /// Document roots of parts of it.
    pub other_roots: Vec<PathBuf>,
    /// Whether connections to it are encrypted.
    pub encrypted: bool,
    /// Its certificates, as far as they are files that are named.
    pub tls: Vec<Tls>,
    /// What runs its PHP.
    pub php: Option<Php>,
    /// Where it passes requests to: addresses, without user names, passwords and queries.
    pub proxy: Option<String>,
    /// Logs of requests.
    pub access_logs: Vec<PathBuf>,
    /// Logs of errors.
    pub error_logs: Vec<PathBuf>,
    /// The panel that manages it: `cpanel`, `plesk`, `directadmin`, `hestiacp`, `ispconfig`, `cloudpanel`, `runcloud`,
    /// `serverpilot`.
    pub panel: Option<&'static str>,
    /// The panel's account that it belongs to.
    pub account: Option<String>,
    /// The file that describes it.
    pub config: PathBuf,
    /// What cannot be told (a name of a column of the table `site`), and why.
    pub unknown: Vec<(&'static str, String)>,
    /// How much it says of itself: of two with the same key the one that says more counts.
    weight: u8,
    /// Who runs its scripts, if its configuration says so.
    user: Option<String>,
}

/// A certificate that a site presents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tls {
    /// The file with the certificate and mostly its chain.
    pub certificate: PathBuf,
    /// The file with its key; `None`: it lies beside the certificate in the same file, or it is not told.
    pub key: Option<PathBuf>,
}

/// What runs the PHP of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Php {
    /// A pool of PHP-FPM: the path of its socket, or `address:port`.
    Fpm(String),
    /// The module of Apache.
    Module,
    /// LiteSpeed's own interface: its socket, address, or the name of its handler.
    Lsapi(String),
    /// CGI or plain FastCGI: the program or wrapper, or the name of its handler.
    Cgi(String),
}

impl Server {
    /// Key of its row: `nginx`, or `nginx@/opt/bitnami/nginx` for one that is not the system's own.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("{}@{}", self.product, prefix.display()),
            None => self.product.to_owned(),
        }
    }
}

impl Site {
    /// Key of its row: `nginx/shop.example`, or `nginx/_@*:80` for a catch-all without a name.
    #[must_use]
    pub fn key(&self) -> String {
        if let Some(name) = self.names.first() {
            return format!("{}/{name}", self.server);
        }
        let listen = self.listen.first().and_then(|listen| listen.split(' ').next());
        format!("{}/_@{}", self.server, listen.unwrap_or("*"))
    }

    /// Gives back room that lists have kept for more.
    fn shrink(&mut self) {
        self.names.shrink_to_fit();
        self.listen.shrink_to_fit();
        self.tls.shrink_to_fit();
        self.other_roots.shrink_to_fit();
        self.access_logs.shrink_to_fit();
        self.error_logs.shrink_to_fit();
    }

    /// Notes that a column cannot be told; the first reason stands.
    fn unknown(&mut self, column: &'static str, why: impl Into<String>) {
        if self.unknown.iter().all(|(each, _)| *each != column) {
            self.unknown.push((column, why.into()));
        }
    }
}

impl Web {
    /// Every document root, of whole sites and of parts of them.
    #[must_use]
    pub fn document_roots(&self) -> BTreeSet<PathBuf> {
        self.sites.iter().flat_map(|site| site.docroot.iter().chain(&site.other_roots)).cloned().collect()
    }

    /// False when there is another server, or when a file or folder has changed that this was read from: costs a `stat` of
    /// each.
    #[must_use]
    pub fn is_current(&self, host: &Host) -> bool {
        self.places == places::find(host)
            && self.seen.iter().all(|(path, was)| host.stat(path).ok().map(|meta| meta.identity) == *was)
    }

    /// What was read and listed: its change makes this out of date.
    pub fn seen(&self) -> impl Iterator<Item = &Path> {
        self.seen.iter().map(|(path, _)| path.as_path())
    }
}

/// Reads the configuration of every web server of a host.
#[must_use]
pub fn read(host: &Host) -> Web {
    let mut web = Web::default();
    let mut files = Files::new(Some(host));
    web.places = places::find(host);
    for place in &web.places {
        let (server, sites) = match place.product {
            "litespeed" => litespeed::read(&mut files, place),
            "caddy" => caddy::read(&mut files, place),
            "apache" => apache::read(&mut files, place, panel::places("apache")),
            _ => nginx::read(&mut files, place, panel::places("nginx")),
        };
        web.servers.push(server);
        web.sites.extend(sites);
    }
    // LiteSpeed Enterprise stands in for Apache and serves its sites, unless both run.
    let stands_in = web.servers.iter().any(|server| server.config.extension().is_some_and(|end| end == "xml"))
        && web.sites.iter().any(|site| site.server == "litespeed");
    if stands_in && running::masters(host).is_ok_and(|masters| masters.iter().all(|each| each.product != "apache")) {
        web.servers.retain(|server| server.product != "apache");
        web.sites.retain(|site| site.server != "apache");
    }
    web.sites = merge::merge(std::mem::take(&mut web.sites), &mut files);
    panel::settle(host, &mut web.sites);
    (web.problems, web.seen) = files.finish();
    web
}
#[cfg(test)]
mod tests;
