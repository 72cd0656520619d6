//! Where those who renew certificates keep them, and which files mail servers name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::pattern::expand_within;
use crate::host::{Host, HostError, Kind};

/// Folders and files that are looked at for one store, and for one user's.
const STORE: usize = 2_000;
const HOME: usize = 64;
/// Homes that are looked into.
const HOMES: usize = 2_000;
/// Lineages of one host.
const LINEAGES: usize = 2_000;
/// Bytes of a mail server's configuration file.
const CONFIG: usize = 1 << 20;

/// A certificate that is renewed again and again, and where its newest one lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lineage {
    /// Who keeps it: the key of a row of `certificate_renewal`.
    pub(super) actor: &'static str,
    /// The file that servers are told to read.
    pub(super) file: PathBuf,
    /// The newest one, if it lies somewhere else.
    pub(super) newest: Option<PathBuf>,
    /// False when nobody renews it any more.
    pub(super) is_renewed: bool,
}

/// Stores of the system: who keeps it, and a pattern of its files.
const SYSTEM: [(&str, &str); 13] = [
    ("certbot", "/etc/letsencrypt/live/*/fullchain.pem"),
    ("autossl", "/var/cpanel/ssl/apache_tls/*/combined"),
    ("plesk", "/usr/local/psa/var/certificates/*"),
    ("hestia", "/home/*/conf/web/*/ssl/*.pem"),
    ("caddy", "/var/lib/caddy/.local/share/caddy/certificates/*/*/*.crt"),
    ("caddy", "/root/.local/share/caddy/certificates/*/*/*.crt"),
    ("lego", "/var/lib/lego/certificates/*.crt"),
    ("lego", "/etc/lego/certificates/*.crt"),
    ("dehydrated", "/var/lib/dehydrated/certs/*/fullchain.pem"),
    ("dehydrated", "/etc/dehydrated/certs/*/fullchain.pem"),
    ("mod_md", "/etc/apache2/md/domains/*/pubcert.pem"),
    ("mod_md", "/var/lib/apache2/md/domains/*/pubcert.pem"),
    ("mod_md", "/etc/httpd/state/md/domains/*/pubcert.pem"),
];
/// Stores in homes. Each home is bounded by itself: none can hide another.
const IN_HOME: [(&str, &str); 2] = [("acme.sh", ".acme.sh/*/fullchain.cer"), ("lego", ".lego/certificates/*.crt")];
/// What to watch: the fixed parts of all patterns outside homes, and root's own.
pub(super) const WATCHED: [&str; 8] = [
    "/etc/letsencrypt/live",
    "/etc/letsencrypt/renewal",
    "/var/cpanel/ssl/apache_tls",
    "/usr/local/psa/var/certificates",
    "/var/lib/caddy/.local/share/caddy/certificates",
    "/var/lib/lego/certificates",
    "/var/lib/dehydrated/certs",
    "/root/.acme.sh",
];

/// All lineages of a host. What cannot be looked at is handed to `failed`.
pub(super) fn lineages(host: &Host, failed: &mut dyn FnMut(HostError)) -> Vec<Lineage> {
    let mut found = Vec::new();
    for (actor, pattern) in SYSTEM {
        let mut left = STORE;
        found.extend(of_pattern(host, actor, Path::new(pattern), &mut left, failed));
    }
    let homes = host.resolve("/home").and_then(|home| host.list(home)).unwrap_or_default();
    let homes = homes.into_iter().filter(|entry| entry.kind == Kind::Folder).take(HOMES);
    for home in std::iter::once(PathBuf::from("/root")).chain(homes.map(|home| Path::new("/home").join(home.name))) {
        for (actor, pattern) in IN_HOME {
            let mut left = HOME;
            found.extend(of_pattern(host, actor, &home.join(pattern), &mut left, failed));
        }
    }
    if found.len() > LINEAGES {
        failed(crate::host::ErrorKind::TooMany(LINEAGES).at("/".as_ref()));
        found.truncate(LINEAGES);
    }
    found
}

fn of_pattern<'a>(
    host: &'a Host,
    actor: &'static str,
    pattern: &Path,
    left: &mut usize,
    failed: &mut dyn FnMut(HostError),
) -> impl Iterator<Item = Lineage> + 'a {
    let files = expand_within(host, pattern, left, failed).into_iter();
    // lego keeps the certificate of the issuer beside it.
    let files = files.filter(|file| !file.to_string_lossy().ends_with(".issuer.crt"));
    files.map(move |file| {
        let (newest, is_renewed) = match actor {
            "certbot" => certbot(host, &file),
            "mod_md" => (staged(host, &file), true),
            _ => (None, true),
        };
        Lineage { actor, file, newest, is_renewed }
    })
}

/// The newest one of certbot's archive, and whether it is to be renewed (certbot's documentation, "Where are my
/// certificates?"): `live/NAME/fullchain.pem` is a link to `archive/NAME/fullchain7.pem`.
fn certbot(host: &Host, live: &Path) -> (Option<PathBuf>, bool) {
    let Some(name) = live.parent().and_then(Path::file_name) else { return (None, false) };
    let renewal = Path::new("/etc/letsencrypt/renewal").join(format!("{}.conf", name.to_string_lossy()));
    let archive = Path::new("/etc/letsencrypt/archive").join(name);
    let number = |entry: &crate::host::Entry| {
        entry.name.to_str()?.strip_prefix("fullchain")?.strip_suffix(".pem")?.parse::<u32>().ok()
    };
    let entries = host.list(&archive).unwrap_or_default();
    let newest = entries.iter().filter_map(number).max();
    (newest.map(|number| archive.join(format!("fullchain{number}.pem"))), host.stat(renewal).is_ok())
}

/// What mod_md has fetched, and Apache takes over when it is restarted next (mod_md, "MDRenewMode").
fn staged(host: &Host, file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    let store = folder.parent()?.parent()?;
    let path = store.join("staging").join(folder.file_name()?).join("pubcert.pem");
    host.stat(&path).is_ok().then_some(path)
}

impl Lineage {
    /// The places by which a file that a server reads is known as one of it: folders, where each certificate has its own,
    /// and else names without their ends.
    pub(super) fn places(&self) -> impl Iterator<Item = PathBuf> {
        let files = [Some(&self.file), self.newest.as_ref()].into_iter().flatten();
        files.map(|file| match self.actor {
            "certbot" | "acme.sh" | "dehydrated" | "mod_md" | "autossl" => file.parent().unwrap_or(file).to_owned(),
            _ => file.with_extension(""),
        })
    }

    /// The folder of acme.sh that it is in.
    pub(super) fn home(&self) -> Option<&Path> {
        self.file.parent()?.parent().filter(|_| self.actor == "acme.sh")
    }
}

/// Files with certificates that mail servers present, with the name of the server.
pub(super) fn of_mail(host: &Host, failed: &mut dyn FnMut(HostError)) -> BTreeSet<(PathBuf, &'static str)> {
    let mut files = vec![(PathBuf::from("/etc/postfix/main.cf"), "postfix")];
    let mut left = 100;
    for pattern in ["/etc/dovecot/dovecot.conf", "/etc/dovecot/conf.d/*.conf"] {
        let found = expand_within(host, Path::new(pattern), &mut left, failed);
        files.extend(found.into_iter().map(|file| (file, "dovecot")));
    }
    let mut found = BTreeSet::new();
    for (file, server) in files {
        match host.read(&file, CONFIG) {
            Ok(text) => {
                let text = String::from_utf8_lossy(&text);
                let named = text.lines().flat_map(named).filter(|path| path.is_absolute());
                found.extend(named.take(32).map(|path| (path, server)));
            }
            Err(error) if error.is_absent() => {}
            Err(error) => failed(error),
        }
    }
    found
}

/// postconf(5) `smtpd_tls_cert_file`, `smtpd_tls_chain_files`; Dovecot's `ssl_cert = <path`, `ssl_server_cert_file` since 2.4.
fn named(line: &str) -> Vec<PathBuf> {
    let Some((name, value)) = line.trim().split_once('=') else { return Vec::new() };
    let value = value.trim();
    match name.trim() {
        "smtpd_tls_cert_file" | "ssl_server_cert_file" => vec![PathBuf::from(value)],
        "smtpd_tls_chain_files" => {
            let files = value.split([',', ' ']).filter(|file| !file.is_empty() && !file.ends_with(".key"));
            files.map(PathBuf::from).collect()
        }
        "ssl_cert" => value.strip_prefix('<').map(|path| PathBuf::from(path.trim())).into_iter().collect(),
        _ => Vec::new(),
    }
}
