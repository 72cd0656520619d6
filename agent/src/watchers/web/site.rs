//! Tells a site, with the pool that runs its PHP and the application that lies in its document root.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::{Begun, SITE};
use crate::apps::{self, App};
use crate::fpm::Pools;
use crate::host::{Host, Identity};
use crate::watcher::Look;
use crate::web::{Php, Site, Web};

/// A document root that stays the same is looked into again after so long.
const AGAIN: Duration = Duration::from_secs(1_800);

/// What lies in document roots, as it was when they were looked into.
#[derive(Default)]
pub(super) struct Apps(BTreeMap<PathBuf, (Option<Identity>, Duration, Option<App>)>);

impl Apps {
    fn at(&mut self, host: &Host, root: &Path) -> Option<App> {
        let now = host.clock().monotonic();
        let identity = host.stat(root).ok().map(|meta| meta.identity);
        if let Some((known, looked, app)) = self.0.get(root)
            && *known == identity
            && now < *looked + AGAIN
        {
            return app.clone();
        }
        let app = apps::find(host, root).app;
        self.0.insert(root.to_owned(), (identity, now, app.clone()));
        app
    }

    /// Forgets all others.
    pub(super) fn keep(&mut self, roots: &BTreeSet<&Path>) {
        self.0.retain(|root, _| roots.contains(root.as_path()));
    }
}

/// Tells one site.
pub(super) fn tell(look: &mut Look<'_>, apps: &mut Apps, (web, begun): (&Web, &Begun), site: &Site) {
    let key = site.key();
    let text = |path: &Path| Value::Text(path.as_os_str().as_bytes().into());
    let paths = |paths: &[PathBuf]| list(paths.iter().map(|path| path.as_os_str().as_bytes().into()));
    let words = |words: &[String]| list(words.iter().map(|word| word.as_str().into()));
    let certificates: BTreeSet<&Path> = site.tls.iter().map(|tls| tls.certificate.as_path()).collect();
    let certificates = list(certificates.iter().map(|path| path.as_os_str().as_bytes().into()));
    let word = |word: &str| Value::Text(word.into());
    let (php, socket) = match &site.php {
        Some(Php::Fpm(socket)) => (Some("fpm"), Some(socket)),
        Some(Php::Module) => (Some("module"), None),
        Some(Php::Lsapi(at)) => (Some("lsapi"), Some(at)),
        Some(Php::Cgi(at)) => (Some("cgi"), Some(at)),
        None if is_passed_on(web, site) => (Some("proxy"), None),
        None => (None, None),
    };
    let branch = match &site.php {
        Some(Php::Lsapi(at) | Php::Cgi(at)) => branch_in(at),
        Some(Php::Module) => begun.module.as_ref().ok().filter(|branch| !branch.is_empty()).cloned(),
        _ => None,
    };
    let fields = [
        ("server", Some(word(site.server))),
        ("names", words(&site.names)),
        ("listen", words(&site.listen)),
        ("docroot", site.docroot.as_deref().map(text)),
        ("tls", Some(site.encrypted.into())),
        ("certificates", certificates),
        ("php", php.map(word)),
        ("php_socket", socket.map(|socket| word(socket))),
        ("php_version", branch.map(|branch| Value::Version(branch.as_str().into()))),
        ("proxy", site.proxy.as_deref().map(word)),
        ("access_logs", paths(&site.access_logs)),
        ("error_logs", paths(&site.error_logs)),
        ("panel", site.panel.map(word)),
        ("account", site.account.as_deref().map(word)),
        ("config", Some(text(&site.config))),
    ];
    let fields: Vec<(&str, Value)> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let source = Untrusted::from(site.config.as_os_str().as_bytes()).to_string();
    look.fact(&SITE, &*key, &source, &fields);
    if let Some(Php::Fpm(socket)) = &site.php {
        tell_pool(look, (&key, &source), &begun.pools, socket);
    }
    if let (Some(Php::Module), Err((why, hint))) = (&site.php, &begun.module) {
        look.unknown(&SITE, &*key, "php_version", why, hint);
    }
    if let Some(app) = site.docroot.as_ref().and_then(|root| apps.at(look.host, root)) {
        let fields = [("cms", word(app.product)), ("cms_path", text(&app.root))];
        look.fact(&SITE, &*key, &source, &fields);
    }
    for (column, why) in &site.unknown {
        let also: &[&str] = match *column {
            "php" => &["php", "php_socket", "php_pool", "php_version"],
            "docroot" => &["docroot", "cms", "cms_path"],
            _ => &[],
        };
        let own = [*column];
        for column in if also.is_empty() { &own } else { also } {
            look.unknown(&SITE, &*key, column, why, "");
        }
    }
}

fn tell_pool(look: &mut Look<'_>, (key, source): (&str, &str), pools: &Pools, socket: &str) {
    if let Some(pool) = pools.at(look.host, socket) {
        let branch = Value::Version(pool.branch.as_str().into());
        let pool = Value::Text(pool.key.as_str().into());
        return look.fact(&SITE, key, source, &[("php_pool", pool), ("php_version", branch)]);
    }
    let why = match pools.problems.first() {
        Some(problem) => format!("not all pools of PHP-FPM can be seen: {problem}"),
        None => format!("no pool of PHP-FPM on this host is configured to answer at {socket}"),
    };
    for column in ["php_pool", "php_version"] {
        look.unknown(&SITE, key, column, &why, "");
    }
}

/// True when another web server of this host, which knows the site by one of its names, gets its requests.
fn is_passed_on(web: &Web, site: &Site) -> bool {
    let mut others = web.sites.iter().filter(|other| other.server != site.server && other.php.is_some());
    site.proxy.is_some() && others.any(|other| other.names.iter().any(|name| site.names.contains(name)))
}

/// `8.1` of `/opt/cpanel/ea-php81`, `application/x-httpd-ea-php81`, `lsphp8.1`.
fn branch_in(text: &str) -> Option<String> {
    let rest = text.rsplit("php").find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').filter(char::is_ascii_digit);
    let digits: String = digits.collect();
    let (major, minor) = digits.split_at_checked(1).filter(|(_, minor)| !minor.is_empty() && minor.len() < 3)?;
    Some(format!("{major}.{minor}"))
}

/// `None` if there is nothing in it.
fn list(items: impl Iterator<Item = Untrusted>) -> Option<Value> {
    let items: Vec<Untrusted> = items.collect();
    (!items.is_empty()).then_some(Value::List(items))
}
