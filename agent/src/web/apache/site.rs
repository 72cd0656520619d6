//! What a virtual host of Apache comes to, once all of its configuration was read.

use std::path::{Path, PathBuf};

use super::Apache;
use super::host::{How, Script, VirtualHost};
use crate::web::address::{local, named, target};
use crate::web::files::Files;
use crate::web::{Php, Site, Tls};

/// Modules that run PHP themselves, without what their names have in common.
const PHP_MODULES: [&str; 4] = ["php", "php5", "php7", "php8"];

/// Whether a module runs PHP.
pub(super) fn is_php(module: &str) -> bool {
    PHP_MODULES.iter().any(|php| module.strip_suffix("_module") == Some(php))
}

impl Apache {
    /// The sites of all virtual hosts, and that of the main server if it has a document root of its own and a request can
    /// still come to it: what comes in where a virtual host takes all addresses of a port is that host's
    /// (Apache's "VirtualHost Examples", `*:80`).
    pub(super) fn sites(&mut self, files: &mut Files<'_>) -> Vec<Site> {
        self.end_host();
        let mut sites = Vec::new();
        let hosts = std::mem::take(&mut self.hosts);
        for host in &hosts {
            let site = self.site(files, host);
            if !files.may_hold(&site) {
                return sites;
            }
            sites.push(site);
        }
        let taken = |port: &str| {
            let mut listens = hosts.iter().flat_map(|host| &host.listen);
            listens.any(|each| each == "*" || each == "*:*" || each.strip_prefix("*:") == Some(port))
        };
        let all = self.main.listen.iter().map(|each| address(each));
        let left: Vec<String> = all
            .filter(|each| each.rsplit(':').next().is_none_or(|port| !taken(port.split(' ').next().unwrap_or(port))))
            .collect();
        if self.main.docroot.is_some() && (!left.is_empty() || self.main.listen.is_empty()) {
            let main = VirtualHost { config: self.config.clone(), ..self.main.clone() };
            let mut site = self.site(files, &main);
            site.listen = left;
            site.weight = 0; // it answers for what no virtual host does
            sites.push(site);
        }
        sites
    }

    fn site(&self, files: &mut Files<'_>, host: &VirtualHost) -> Site {
        let mut site = Site { server: self.product, config: host.config.clone(), ..Site::default() };
        site.names = named(host.name.iter().chain(&host.aliases).map(String::as_str));
        site.listen.clone_from(&host.listen);
        site.user = host.user.clone().filter(|user| user.len() <= 64);
        match host.docroot.as_ref().or(self.main.docroot.as_ref()) {
            Some(Ok(root)) => site.docroot = Some(self.root.join(root)),
            Some(Err(why)) => site.unknown("docroot", why.clone()),
            None => {}
        }
        site.encrypted = host.encrypted.or(self.main.encrypted).unwrap_or(false);
        if site.encrypted {
            self.certificates(files, host, &mut site);
        }
        site.php = self.php(host, site.docroot.as_deref());
        let proxies = if host.proxies.is_empty() { &self.main.proxies } else { &host.proxies };
        let whole = proxies.iter().find(|(whole, _)| *whole).or(proxies.first());
        site.proxy = whole.map(|(_, to)| self.passed(to));
        let logs = |own: &Vec<String>, main: &Vec<String>, site: &mut Site, column| {
            let mut found = Vec::new();
            for path in if own.is_empty() { main } else { own } {
                match path.find("${") {
                    Some(at) => site.unknown(column, format!("it depends on the variable {}", &path[at..])),
                    None => found.push(self.root.join(path)),
                }
            }
            found
        };
        site.access_logs = logs(&host.access_logs, &self.main.access_logs, &mut site, "access_logs");
        site.error_logs = logs(&host.error_logs, &self.main.error_logs, &mut site, "error_logs");
        site.weight = if host.redirects { 0 } else { 1 + u8::from(host.docroot.is_some()) };
        site
    }

    fn certificates(&self, files: &mut Files<'_>, host: &VirtualHost, site: &mut Site) {
        let (certificates, keys) = match host.certificates.is_empty() {
            true => (&self.main.certificates, &self.main.keys),
            false => (&host.certificates, &host.keys),
        };
        for (place, certificate) in certificates.iter().enumerate() {
            let key = keys.get(place);
            if let Some(value) = [Some(certificate), key].into_iter().flatten().find(|value| value.contains("${")) {
                site.unknown("certificates", format!("it depends on a variable: {value}"));
                continue;
            }
            let certificate = self.root.join(certificate);
            // pkcs11:... is a key in hardware (mod_ssl).
            let key = key.filter(|key| !key.starts_with("pkcs11:")).map(|key| self.root.join(key));
            let here = site.config.display().to_string();
            files.needs(&certificate, &format!("{here}: the certificate"));
            key.iter().for_each(|key| files.needs(key, &format!("{here}: the key")));
            site.tls.push(Tls { certificate, key });
        }
    }

    /// What the host itself says goes before what the main server says, a handler that is set before one that is added.
    fn php(&self, host: &VirtualHost, docroot: Option<&Path>) -> Option<Php> {
        let strongest = |scripts: &[Script]| {
            let holds = |script: &&Script| match (&script.folder, docroot) {
                (None, _) => true,
                (Some(folder), Some(docroot)) => {
                    let folder: PathBuf = folder.components().collect();
                    folder == Path::new("/") || docroot.starts_with(&folder) && !folder.as_os_str().is_empty()
                }
                (Some(_), None) => false,
            };
            let mut holding: Vec<&Script> = scripts.iter().filter(holds).collect();
            // Stable: of equals, the last one counts.
            holding.sort_by_key(|script| {
                matches!(script.how, How::Set(_)) as u8 * 2 + matches!(script.how, How::Added(_)) as u8
            });
            holding.into_iter().rev().find_map(|script| self.script(&script.how, scripts))
        };
        // A host that passes everything on runs nothing that only the main server says.
        let passes = host.proxies.iter().any(|(whole, _)| *whole);
        strongest(&host.scripts).or_else(|| strongest(&self.main.scripts).filter(|_| !passes))
    }

    fn script(&self, how: &How, beside: &[Script]) -> Option<Php> {
        match how {
            How::Wrapper(wrapper) => Some(Php::Cgi(wrapper.split(' ').next().unwrap_or_default().to_owned())),
            How::Pass(to) => fastcgi(to),
            How::Added(handler) | How::Set(handler) => {
                if let Some(found) = fastcgi(handler.strip_prefix("proxy:").unwrap_or(handler)) {
                    return Some(found);
                }
                let own =
                    handler.ends_with("/x-httpd-php") || handler.starts_with("php") && handler.ends_with("-script");
                if own && self.modules.iter().any(|module| is_php(module)) {
                    return Some(Php::Module);
                }
                if handler.contains("lsphp") || self.has_module(&["lsapi"]) || self.product == "litespeed" {
                    return Some(Php::Lsapi(handler.clone()));
                }
                if let Some(program) = self.actions.get(handler) {
                    return Some(Php::Cgi(program.clone()));
                }
                let wrapped = beside.iter().any(|each| matches!(each.how, How::Wrapper(_)));
                // Without anything that runs it, the handler does nothing.
                (!wrapped && !own).then(|| Php::Cgi(handler.clone()))
            }
        }
    }

    fn passed(&self, to: &str) -> String {
        if let Some((socket, _)) = to.split_once('|') {
            return target(socket);
        }
        let name = to.find("://").and_then(|at| to[at + 3..].find('/').map(|end| &to[..at + 3 + end])).unwrap_or(to);
        match self.balancers.get(name).or_else(|| self.balancers.get(to)) {
            Some(members) => members.iter().take(8).map(|member| target(member)).collect::<Vec<_>>().join(" "),
            None => target(to),
        }
    }
}

/// `unix:/run/x.sock|fcgi://localhost`, or `fcgi://127.0.0.1:9000/var/www/$1`.
fn fastcgi(to: &str) -> Option<Php> {
    let (before, after) = to.split_once("fcgi://")?;
    if let Some(socket) = before.strip_suffix('|').filter(|socket| socket.starts_with("unix:")) {
        return Some(Php::Fpm(local(socket)));
    }
    let address = after.split(['/', '$']).next().unwrap_or_default();
    before.is_empty().then(|| Php::Fpm(address.to_owned()))
}

/// `Listen 80` listens at every address.
fn address(listen: &str) -> String {
    if listen.bytes().all(|byte| byte.is_ascii_digit()) { format!("*:{listen}") } else { listen.to_owned() }
}
