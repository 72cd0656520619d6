//! Which panel manages a site, and the account that it belongs to: by where panels put configuration and documents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plumb_proto::untrusted::Untrusted;

use super::Site;
use crate::host::Host;
use crate::host::users::Users;

/// Bytes of cPanel's list of domains: a line of some 200 bytes for each.
const DOMAINS: usize = 4 << 20;
/// Domains whose account is kept.
const KEPT: usize = 20_000;

/// What is told by a path: how it begins, what follows the account's name, and the panel. `*` is the account.
const CONFIGS: [(&str, &str, &str, &str); 3] = [
    ("/usr/local/directadmin/data/users/", "", "directadmin", ""),
    ("/home/", "/conf/web/", "hestiacp", ""),
    ("/usr/local/hestia/data/users/", "", "hestiacp", ""),
];

/// Document roots: how they begin, what follows the account's name, the panel, and a path that only it has.
const ROOTS: [(&str, &str, &str, &str); 8] = [
    ("/home/", "/domains/", "directadmin", "/usr/local/directadmin"),
    ("/home/", "/web/", "hestiacp", "/usr/local/hestia"),
    ("/home/", "/htdocs/", "cloudpanel", "/home/clp"),
    ("/home/", "/webapps/", "runcloud", "/etc/nginx-rc"),
    ("/srv/users/", "/apps/", "serverpilot", ""),
    ("/home/", "", "cpanel", "/var/cpanel"),
    ("/var/www/vhosts/", "", "plesk", "/usr/local/psa"),
    ("/var/www/", "", "ispconfig", "/usr/local/ispconfig"),
];

/// Sets panel and account of each site.
pub(super) fn settle(host: &Host, sites: &mut [Site]) {
    let there: Vec<&str> = ROOTS.iter().map(|(_, _, _, mark)| *mark).filter(|mark| host.stat(mark).is_ok()).collect();
    let domains = if there.contains(&"/var/cpanel") { domains(host) } else { BTreeMap::new() };
    let mut users = Users::default();
    let mut named = false;
    for site in sites {
        let Some((panel, account)) = found(site, &there) else { continue };
        site.panel = Some(panel);
        let by_name = || site.names.iter().find_map(|name| domains.get(name).cloned());
        let by_path = account.filter(|_| panel != "plesk");
        site.account = by_name().or(site.user.clone()).or(by_path);
        // Plesk's folders are called after the subscription, and belong to its system user.
        if let Some(root) = site.docroot.as_ref().filter(|_| site.account.is_none()) {
            if !std::mem::replace(&mut named, true) {
                let _ = users.refresh(host); // without names there is no account to be told
            }
            let owner = host.stat(root).ok().filter(|meta| meta.uid != 0);
            site.account = owner.and_then(|meta| users.name(meta.uid)).and_then(Untrusted::as_text).map(str::to_owned);
        }
    }
}

fn found(site: &Site, there: &[&str]) -> Option<(&'static str, Option<String>)> {
    if let Some((panel, account)) = CONFIGS.iter().find_map(|place| between(&site.config, place)) {
        return Some((panel, Some(account)));
    }
    let config = site.config.as_path();
    if config.starts_with("/etc/nginx/plesk.conf.d") || config.starts_with("/var/www/vhosts/system") {
        return Some(("plesk", None));
    }
    let root: &Path = site.docroot.as_deref()?;
    let place = ROOTS.iter().filter(|(_, _, _, mark)| mark.is_empty() || there.contains(mark));
    let (panel, account) = place.filter_map(|place| between(root, place)).next()?;
    Some(match panel {
        // /var/www/clients/client1/web1/web, which /var/www/shop.example/web leads to.
        "ispconfig" => {
            let client = root.strip_prefix("/var/www/clients").ok().and_then(|rest| rest.iter().nth(1));
            if client.is_none() && config.extension().is_none_or(|end| end != "vhost") {
                return None;
            }
            (panel, client.map(|web| web.to_string_lossy().into_owned()))
        }
        _ => (panel, Some(account)),
    })
}

/// The account that a path names.
fn between(path: &Path, (begin, after, panel, _): &(&str, &str, &'static str, &str)) -> Option<(&'static str, String)> {
    let rest = path.to_str()?.strip_prefix(begin)?;
    let (account, rest) = rest.split_at(rest.find('/')?);
    let fine = !account.is_empty() && account.len() <= 253 && (after.is_empty() || rest.starts_with(after));
    fine.then(|| (*panel, account.to_owned()))
}

/// cPanel's accounts: `shop.example: user==reseller==main==shop.example==/home/user/public_html==...`.
fn domains(host: &Host) -> BTreeMap<String, String> {
    let text = host.read(PathBuf::from("/etc/userdatadomains"), DOMAINS).unwrap_or_default();
    parse_domains(&String::from_utf8_lossy(&text))
}

/// Accounts by domain, of cPanel's `/etc/userdatadomains`.
#[must_use]
pub fn parse_domains(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| {
        let (domain, rest) = line.split_once(": ")?;
        let account = rest.split("==").next()?;
        let fine = !account.is_empty() && account.len() <= 64 && domain.len() <= 253;
        fine.then(|| (domain.trim().to_ascii_lowercase(), account.to_owned()))
    });
    pairs.take(KEPT).collect()
}

/// Where panels keep what each account's sites are: read if the main file that includes them cannot be.
pub(super) fn places(product: &str) -> &'static [&'static str] {
    match product {
        "nginx" => &[
            "/etc/nginx/plesk.conf.d/vhosts/*.conf",
            "/etc/nginx/conf.d/users/*/*.conf",
            "/usr/local/directadmin/data/users/*/nginx.conf",
            "/home/*/conf/web/*/nginx.conf",
            "/home/*/conf/web/*/nginx.ssl.conf",
            "/etc/nginx/sites-enabled/*",
        ],
        "apache" => &[
            "/var/www/vhosts/system/*/conf/httpd.conf",
            "/usr/local/directadmin/data/users/*/httpd.conf",
            "/home/*/conf/web/*/apache2.conf",
            "/home/*/conf/web/*/apache2.ssl.conf",
            "/etc/apache2/sites-enabled/*",
        ],
        _ => &[],
    }
}
