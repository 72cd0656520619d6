//! Tells the servers: what is installed, what runs, and whether that is what is configured.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::{WEB_SERVER, Watch};
use crate::fpm::places::{branch, parse_name};
use crate::host::binary::{Finding, Mark};
use crate::host::packages::Package;
use crate::host::{Host, Kind};
use crate::provenance::System;
use crate::watcher::Look;
use crate::web::running::{Master, Reason, masters};
use crate::web::{Server, Web};

/// Beginnings of the names of packages that web servers come in.
const PACKAGES: [&str; 11] = [
    "nginx",
    "apache2",
    "httpd",
    "ea-apache",
    "ea-nginx",
    "caddy",
    "openlitespeed",
    "openresty",
    "sw-nginx",
    "sp-nginx",
    "sp-apache",
];
/// A file that is written within this after a configuration was loaded may still have been part of it: times of files and
/// of processes are not equally fine.
const SLACK: Duration = Duration::from_secs(2);
/// What every PHP has before its version (SAPI_PHP_VERSION_HEADER in main/SAPI.h of its source).
const HEADER: Mark = Mark::Before(b"X-Powered-By: PHP/");
/// Bytes of LiteSpeed's file with its version.
const VERSION: usize = 1_024;

impl Watch {
    /// Tells each server that is installed or runs; answers the products of these.
    pub(super) fn tell_servers(&mut self, look: &mut Look<'_>, web: &Web) -> BTreeSet<&'static str> {
        let running = masters(look.host);
        let system = System::read(look.host);
        let mut told: Vec<(&Server, Option<Master>, PathBuf)> = Vec::new();
        for server in &web.servers {
            // While nginx replaces itself (its signal USR2) two of them run: the newer one is what stays.
            let of_it = |masters: &Vec<Master>| {
                let all = masters.iter().filter(|master| master.runs(look.host, server));
                all.max_by_key(|master| (!master.replaced, master.start)).cloned()
            };
            let master = running.as_ref().ok().and_then(of_it);
            // Configuration that a package left behind serves nothing.
            let binary = master.as_ref().map(|master| master.exe.clone()).or_else(|| installed(look.host, server));
            if let Some(binary) = binary {
                told.push((server, master, binary));
            }
        }
        let binaries: Vec<PathBuf> = told.iter().map(|(.., binary)| binary.clone()).collect();
        let owners = look.host.owners(&binaries, &PACKAGES);
        let is_module = |path: &PathBuf| web.servers.iter().any(|server| server.php_module.as_ref() == Some(path));
        self.known.retain(|path, _| binaries.contains(path) || is_module(path));
        let born = |master: &Master| (master.pid, master.start);
        self.running.retain(|known, _| told.iter().any(|(_, master, _)| master.as_ref().map(born) == Some(*known)));
        let products = told.iter().map(|(server, ..)| server.product).collect();
        for (server, master, binary) in told {
            let key = server.key();
            let source = Untrusted::from(server.config.as_os_str().as_bytes()).to_string();
            let text = |path: &Path| Value::Text(path.as_os_str().as_bytes().into());
            let fields = [("binary", text(&binary)), ("config", text(&server.config))];
            look.fact(&WEB_SERVER, &*key, &source, &fields);
            let package = owners.as_ref().map(|owners| owners.get(&binary));
            system.tell(look, (&WEB_SERVER, &key, &source), package);
            let version = self.version(look.host, server, &binary, package.ok().flatten());
            match &version {
                Ok(version) => look.fact(&WEB_SERVER, &*key, &source, &[("version", Value::Version(version.clone()))]),
                Err((why, hint)) => look.unknown(&WEB_SERVER, &*key, "version", why, hint),
            }
            tell_config(look, server, (&key, &source));
            match (&running, master) {
                (Err((why, hint)), _) => {
                    for column in ["running", "running_version", "restart_needed", "config_loaded", "reload_needed"] {
                        look.unknown(&WEB_SERVER, &*key, column, why, hint);
                    }
                }
                // Package managers stop a server and start it again; after a boot it is started later than we are.
                (Ok(_), None) => match look.host.settles() {
                    Some(why) => look.unknown(&WEB_SERVER, &*key, "running", format!("it does not run, but {why}"), ""),
                    None => look.fact(&WEB_SERVER, &*key, &source, &[("running", false.into())]),
                },
                (Ok(_), Some(master)) => self.tell_running(look, (server, &master), (&key, &source), version.ok()),
            }
        }
        products
    }

    fn tell_running(
        &mut self,
        look: &mut Look<'_>,
        (server, master): (&Server, &Master),
        (key, source): (&str, &str),
        installed: Option<Untrusted>,
    ) {
        look.fact(&WEB_SERVER, key, source, &[("running", true.into())]);
        match self.running_version(master, installed) {
            Ok(version) => look.fact(&WEB_SERVER, key, source, &[("running_version", Value::Version(version))]),
            Err(why) => look.unknown(&WEB_SERVER, key, "running_version", why, ""),
        }
        let stale = if master.replaced { Ok(true) } else { master.stale_library(look.host).map(|it| it.is_some()) };
        match stale {
            Ok(needed) => look.fact(&WEB_SERVER, key, source, &[("restart_needed", needed.into())]),
            Err((why, hint)) => look.unknown(&WEB_SERVER, key, "restart_needed", why, hint),
        }
        let now = look.host.clock().now();
        match master.loaded(look.host, server, now) {
            Ok(loaded) => {
                look.fact(&WEB_SERVER, key, source, &[("config_loaded", loaded.into())]);
                let is_ahead = server.changed.is_some_and(|changed| changed > now && changed.since(now) > SLACK);
                if is_ahead {
                    // However often it is loaded, such a file would always seem to be newer.
                    let why = "one of its files carries a time that has not come yet";
                    look.unknown(&WEB_SERVER, key, "reload_needed", why, "`touch` the file, and set the clock right");
                } else if let Some(changed) = server.changed {
                    let needed = changed > loaded && changed.since(loaded) > SLACK;
                    look.fact(&WEB_SERVER, key, source, &[("reload_needed", needed.into())]);
                }
            }
            Err((why, hint)) => {
                look.unknown(&WEB_SERVER, key, "config_loaded", &why, hint);
                look.unknown(&WEB_SERVER, key, "reload_needed", &why, hint);
            }
        }
    }

    fn version(
        &mut self,
        host: &Host,
        server: &Server,
        binary: &Path,
        package: Option<&Package>,
    ) -> Result<Untrusted, Reason> {
        if let Some(package) = package {
            return Ok(package.upstream());
        }
        if server.product == "litespeed" {
            let said = host.read_text("/usr/local/lsws/VERSION", VERSION);
            return said.map(|said| said.trim().into()).map_err(|error| (error.to_string(), error.hint()));
        }
        self.version_in(host, binary, mark(server.product, binary))
    }

    /// Branch of a module of PHP: by its name where distributions write it there, else by what is compiled into it.
    pub(super) fn module_branch(&mut self, host: &Host, module: &Path) -> Result<String, Reason> {
        let named = module.file_name().and_then(parse_name).and_then(|(_, branch)| branch);
        match named {
            Some(named) => Ok(named),
            None => {
                let version = self.version_in(host, module, HEADER)?;
                branch(&version).ok_or_else(|| (format!("{}: not understood", module.display()), ""))
            }
        }
    }

    fn version_in(&mut self, host: &Host, binary: &Path, mark: Mark) -> Result<Untrusted, Reason> {
        let identity = host.stat(binary).map_err(|error| (error.to_string(), error.hint()))?.identity;
        let finding = match self.known.get(binary) {
            Some((known, finding)) if *known == identity => finding.clone(),
            _ => {
                let finding = host.version_in(binary, mark).0;
                if !matches!(finding, Finding::Unreadable(..)) {
                    self.known.insert(binary.to_owned(), (identity, finding.clone()));
                }
                finding
            }
        };
        match finding {
            Finding::Version(version) => Ok(version),
            Finding::Nothing => Err(("neither a package nor the program tells it".to_owned(), "")),
            Finding::Unreadable(why, hint) => Err((why, hint)),
        }
    }

    fn running_version(&mut self, master: &Master, installed: Option<Untrusted>) -> Result<Untrusted, &'static str> {
        let born = (master.pid, master.start);
        if master.replaced {
            return self.running.get(&born).cloned().ok_or("its program was replaced before it was first seen");
        }
        let version = installed.ok_or("the version of its program is not known")?;
        self.running.insert(born, version.clone());
        Ok(version)
    }
}

/// What stands before the version in a program: what it answers as `Server` (nginx.h, ap_release.h), or for Caddy the
/// list of modules that Go builds in.
fn mark(product: &str, binary: &Path) -> Mark {
    match product {
        "nginx" if binary.ends_with("openresty") => Mark::Before(b"openresty/"),
        "nginx" => Mark::Before(b"nginx/"),
        "apache" => Mark::Before(b"Apache/"),
        _ => Mark::Before(b"github.com/caddyserver/caddy/v2\tv"),
    }
}

/// What is said of the configuration itself.
fn tell_config(look: &mut Look<'_>, server: &Server, (key, source): (&str, &str)) {
    if !server.modules.is_empty() {
        let modules = server.modules.iter().map(|module| module.as_str().into()).collect();
        look.fact(&WEB_SERVER, key, source, &[("modules", Value::List(modules))]);
    }
    let Some(changed) = server.changed else {
        for column in ["config_ok", "config_changed", "reload_needed"] {
            look.unknown(&WEB_SERVER, key, column, "its configuration cannot be read", "");
        }
        return;
    };
    let ok = server.faults.is_empty();
    look.fact(&WEB_SERVER, key, source, &[("config_changed", changed.into()), ("config_ok", ok.into())]);
    if !ok {
        look.fact(&WEB_SERVER, key, source, &[("config_fault", Value::Text(server.faults.join("; ").as_str().into()))]);
    }
}

/// Its program, where it is installed, all links replaced.
fn installed(host: &Host, server: &Server) -> Option<PathBuf> {
    let names: &[&str] = match server.product {
        "nginx" => &["nginx", "openresty", "nginx-rc", "nginx-sp"],
        "apache" => &["apache2", "httpd"],
        "caddy" => &["caddy"],
        _ => &["litespeed", "openlitespeed", "lshttpd"],
    };
    let own = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/lsws/bin"].map(PathBuf::from);
    let folders = match &server.prefix {
        Some(prefix) => [prefix.join("sbin"), prefix.join("bin"), prefix.join("nginx/sbin")].to_vec(),
        None => own.to_vec(),
    };
    let paths = folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    let is_program = |path: &PathBuf| host.stat(path).is_ok_and(|meta| meta.kind == Kind::File && meta.is_executable());
    paths.filter_map(|path| host.resolve(&path).ok()).find(is_program)
}
