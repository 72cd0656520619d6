//! Where the configuration of a web server begins: the places that distributions, panels and makers use, and what a
//! running server was started with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::Host;

/// Servers of one host.
const SERVERS: usize = 16;

/// A configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The server's product.
    pub product: &'static str,
    /// The file that it begins with.
    pub config: PathBuf,
    /// The folder that this installation has for itself.
    pub prefix: Option<PathBuf>,
    /// Names that Apache was started with (`-D`).
    pub defines: Vec<String>,
}

/// Product and main file. One whose path begins with none of [`OWN`] is not the system's own.
const KNOWN: [(&str, &str); 18] = [
    ("nginx", "/etc/nginx/nginx.conf"),
    ("nginx", "/etc/nginx-rc/nginx.conf"),         // RunCloud
    ("nginx", "/etc/nginx-sp/nginx.conf"),         // ServerPilot
    ("nginx", "/usr/local/nginx/conf/nginx.conf"), // built with the default prefix
    ("nginx", "/usr/local/openresty/nginx/conf/nginx.conf"),
    ("nginx", "/opt/nginx/conf/nginx.conf"),
    ("nginx", "/opt/bitnami/nginx/conf/nginx.conf"),
    ("apache", "/etc/apache2/apache2.conf"),    // Debian
    ("apache", "/etc/apache2/conf/httpd.conf"), // cPanel
    ("apache", "/etc/apache2/httpd.conf"),      // SUSE
    ("apache", "/etc/httpd/conf/httpd.conf"),   // Red Hat, DirectAdmin
    ("apache", "/etc/apache2-rc/apache2.conf"),
    ("apache", "/usr/local/apache2/conf/httpd.conf"),
    ("apache", "/opt/bitnami/apache/conf/httpd.conf"),
    ("caddy", "/etc/caddy/Caddyfile"),
    ("caddy", "/etc/caddy/caddy.json"),
    ("litespeed", "/usr/local/lsws/conf/httpd_config.conf"),
    ("litespeed", "/usr/local/lsws/conf/httpd_config.xml"),
];
const OWN: [&str; 6] =
    ["/etc/nginx/", "/etc/apache2/", "/etc/httpd/", "/etc/caddy/", "/usr/local/lsws/", "/etc/sysconfig/"];

/// The folder that an installation has for itself, by its main file or its program; `None`: the system's own.
#[must_use]
pub fn prefix(path: &Path) -> Option<PathBuf> {
    if OWN.iter().any(|own| path.starts_with(own)) {
        return None;
    }
    let mut folder = path.parent()?;
    while folder
        .file_name()
        .is_some_and(|name| name == "conf" || name == "nginx" && folder.ends_with("openresty/nginx"))
    {
        folder = folder.parent()?;
    }
    Some(folder.to_owned())
}

/// Every configuration whose main file is there, or may be; none twice.
#[must_use]
pub fn find(host: &Host) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    let mut met = BTreeSet::new();
    let masters = super::running::masters(host).unwrap_or_default();
    let started = masters.iter().filter_map(|master| Some((master.product, master.config.clone()?)));
    let defines: BTreeSet<&String> = masters.iter().flat_map(|master| &master.defines).collect();
    let known = KNOWN.iter().map(|(product, path)| (*product, PathBuf::from(path)));
    for (product, config) in known.chain(started) {
        match host.stat(&config) {
            Ok(meta) if !met.insert(meta.identity.inode()) => continue,
            Ok(_) => {}
            Err(error) if error.is_absent() => continue,
            // That it cannot be read is told where it is read.
            Err(_) => {}
        }
        let of_apache = defines.iter().filter(|_| product == "apache").map(|name| (*name).clone()).collect();
        let prefix = prefix(&config);
        found.push(Place { product, config, prefix, defines: of_apache });
        if found.len() == SERVERS {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_systems_own_has_a_prefix() {
        let told = |path: &str| prefix(Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(told("/etc/nginx/nginx.conf"), None);
        assert_eq!(told("/usr/local/lsws/conf/httpd_config.conf"), None);
        assert_eq!(told("/opt/bitnami/nginx/conf/nginx.conf").as_deref(), Some("/opt/bitnami/nginx"));
        assert_eq!(told("/usr/local/openresty/nginx/conf/nginx.conf").as_deref(), Some("/usr/local/openresty"));
        assert_eq!(told("/etc/nginx-rc/nginx.conf").as_deref(), Some("/etc/nginx-rc"));
    }
}
