//! What a server block of nginx comes to, once all of its configuration was read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::block::{Block, Weight};
use crate::web::address::{local, named, target};
use crate::web::files::Files;
use crate::web::{Php, Site, Tls};

/// Addresses by the name of the upstream.
pub(super) type Upstreams = BTreeMap<String, Vec<String>>;

/// Where distributions let relative roots and logs begin; makers and own builds begin at the configuration's folder or above.
const PREFIX: &str = "/usr/share/nginx";

/// Makes the site. Certificates that are missing are faults.
pub(super) fn make(files: &mut Files<'_>, server: Block, upstreams: &Upstreams, folder: &Path) -> Site {
    let mut site = Site { server: "nginx", config: server.config.clone(), ..Site::default() };
    site.names = named(server.names.iter().map(String::as_str));
    site.listen = server.listen.iter().filter_map(|words| listen(words)).collect();
    if site.listen.is_empty() {
        site.listen.push("*:80".to_owned());
    }
    site.encrypted = server.encrypted == Some(true)
        || site.listen.iter().any(|each| each.ends_with(" ssl") || each.contains(" ssl ") || each.contains(" quic"));
    let resolve = |text: &str| resolved(text, &server.sets);
    let mut part = Vec::new();
    let mut whole = server.root.as_deref();
    for (weight, root) in &server.roots {
        match weight {
            Weight::Whole if whole.is_none() => whole = Some(root),
            _ => part.push(root.as_str()),
        }
    }
    match whole.map(|root| resolve(root).and_then(|root| root_path(files, folder, &root))) {
        Some(Ok(root)) => site.docroot = Some(root),
        Some(Err(why)) => site.unknown("docroot", why),
        None => {}
    }
    for root in part.into_iter().filter_map(|root| root_path(files, folder, &resolve(root).ok()?).ok()) {
        if site.docroot.as_ref() != Some(&root) && !site.other_roots.contains(&root) {
            site.other_roots.push(root);
        }
    }
    if site.encrypted {
        for (place, certificate) in server.certificates.iter().enumerate() {
            match (resolve(certificate), server.keys.get(place).map(|key| resolve(key)).transpose()) {
                (Ok(certificate), Ok(key)) if !is_no_file(&certificate) => {
                    let certificate = folder.join(certificate);
                    let key = key.filter(|key| !is_no_file(key)).map(|key| folder.join(key));
                    let here = site.config.display().to_string();
                    files.needs(&certificate, &format!("{here}: the certificate"));
                    key.iter().for_each(|key| files.needs(key, &format!("{here}: the key")));
                    site.tls.push(Tls { certificate, key });
                }
                (Err(why), _) | (_, Err(why)) => site.unknown("certificates", why),
                _ => {}
            }
        }
    }
    if let Some(to) = best(&server.scripts) {
        match resolve(to) {
            Ok(to) => {
                site.php = Some(Php::Fpm(local(upstreams.get(&to).and_then(|found| found.first()).unwrap_or(&to))))
            }
            Err(why) => site.unknown("php", why),
        }
    }
    if let Some(to) = best(&server.proxies) {
        match resolve(to) {
            Ok(to) => site.proxy = Some(passed(&to, upstreams)),
            Err(why) => site.unknown("proxy", why),
        }
    }
    let mut logs = |own: Option<Vec<String>>, more: Vec<String>, column| {
        let mut found: Vec<PathBuf> = Vec::new();
        for path in own.into_iter().flatten().chain(more) {
            match resolve(&path) {
                Ok(path) => found.push(Path::new(PREFIX).join(path)),
                Err(why) => site.unknown(column, why),
            }
        }
        found.dedup();
        found
    };
    let access = logs(server.access_logs.clone(), server.more_access.clone(), "access_logs");
    let errors = logs(server.error_logs.clone(), server.more_errors.clone(), "error_logs");
    (site.access_logs, site.error_logs) = (access, errors);
    let answers = site.php.is_some() || site.proxy.is_some() || !server.returns;
    site.weight = u8::from(answers) * (1 + u8::from(site.docroot.is_some()));
    site
}

/// That of the whole before that of a part, the first of each.
fn best(found: &[(Weight, String)]) -> Option<&str> {
    let whole = found.iter().find(|(weight, _)| *weight == Weight::Whole);
    whole.or(found.first()).map(|(_, to)| to.as_str())
}

/// `443 ssl http2 default_server` is `*:443 ssl default_server`. `None`: a variable, or nothing.
fn listen(words: &[String]) -> Option<String> {
    let (address, rest) = words.split_first()?;
    let mut text = match address.as_str() {
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => format!("*:{port}"),
        address if address.starts_with("unix:") || has_port(address) => address.to_owned(),
        address => format!("{address}:80"),
    };
    for word in ["ssl", "quic", "proxy_protocol", "default_server"] {
        if rest.iter().any(|each| each == word || word == "default_server" && each == "default") {
            text.push(' ');
            text.push_str(word);
        }
    }
    Some(text)
}

fn has_port(address: &str) -> bool {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
    port.is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// With what `set` gave to variables; or why it is not known.
fn resolved(text: &str, sets: &BTreeMap<String, Option<String>>) -> Result<String, String> {
    let mut text = text.to_owned();
    // A value may have variables itself.
    for _ in 0..4 {
        let Some(start) = text.find('$') else { break };
        let rest = &text[start + 1..];
        let (name, end) = match rest.strip_prefix('{') {
            Some(inner) => {
                let length = inner.find('}').unwrap_or(inner.len());
                (&inner[..length], (start + length + 3).min(text.len()))
            }
            None => {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (&rest[..length], start + 1 + length)
            }
        };
        match sets.get(&format!("${name}")) {
            Some(Some(value)) if text.len() + value.len() <= super::WORD => {
                text = format!("{}{value}{}", &text[..start], &text[end..]);
            }
            _ => return Err(format!("it depends on the variable ${name}")),
        }
    }
    if text.contains('$') {
        Err("its variables lead to one another".to_owned())
    } else {
        crate::web::address::text(text)
    }
}

/// A root, which may be relative to the folder that nginx was built for.
fn root_path(files: &mut Files<'_>, folder: &Path, root: &str) -> Result<PathBuf, String> {
    if root.starts_with('/') {
        return Ok(PathBuf::from(root));
    }
    let above = folder.parent().filter(|_| folder.ends_with("conf"));
    for base in [Some(Path::new(PREFIX)), above, Some(folder)].into_iter().flatten() {
        let path = base.join(root);
        if files.exists(&path) == Some(true) {
            return Ok(path);
        }
    }
    Err(format!("\"{root}\" is relative to the folder that nginx was built for"))
}

/// Keys in hardware, and certificates in variables (ssl_certificate of ngx_http_ssl_module).
fn is_no_file(value: &str) -> bool {
    ["data:", "engine:", "store:"].iter().any(|begin| value.starts_with(begin))
}

/// Where a request is passed to, by the addresses of the upstream if it is one.
fn passed(to: &str, upstreams: &Upstreams) -> String {
    let shown = target(to);
    let (scheme, rest) = shown.split_once("://").unwrap_or(("http", &shown));
    let name = rest.split('/').next().unwrap_or_default();
    match upstreams.get(name).filter(|members| !members.is_empty()) {
        Some(members) => {
            let members = members.iter().take(8).map(|member| format!("{scheme}://{member}"));
            members.collect::<Vec<_>>().join(" ")
        }
        None => shown,
    }
}
