//! What the configuration of web servers says of document roots: nginx's `root` (ngx_http_core_module) and Apache's
//! `DocumentRoot` (mod core), with the files that are included. Narrow and tolerant: what is not understood is passed over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::host::pattern::expand;

/// Bytes of one file.
const FILE: usize = 1 << 20;
/// Files that are read of one server.
const FILES: usize = 2_000;

/// A server: where its configuration begins, and how it is written.
struct Server {
    files: &'static [&'static str],
    /// What relative paths of includes begin at.
    base: &'static str,
    root: &'static str,
    includes: &'static [&'static str],
}

const SERVERS: [Server; 3] = [
    Server { files: &["/etc/nginx/nginx.conf"], base: "/etc/nginx", root: "root", includes: &["include"] },
    Server {
        files: &["/etc/apache2/apache2.conf", "/etc/apache2/httpd.conf"],
        base: "/etc/apache2",
        root: "documentroot",
        includes: &["include", "includeoptional"],
    },
    Server {
        files: &["/etc/httpd/conf/httpd.conf"],
        base: "/etc/httpd",
        root: "documentroot",
        includes: &["include", "includeoptional"],
    },
];

/// Every document root that is configured, as it is written there.
#[must_use]
pub fn document_roots(host: &Host) -> BTreeSet<PathBuf> {
    let mut roots = BTreeSet::new();
    for server in &SERVERS {
        let mut todo: Vec<PathBuf> = server.files.iter().map(PathBuf::from).collect();
        let mut seen = BTreeSet::new();
        while let Some(file) = todo.pop() {
            if seen.len() >= FILES || !seen.insert(file.clone()) {
                continue;
            }
            let text = host.read(&file, FILE).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            for (name, value) in directives(&text, server.root == "root") {
                if name == server.root && value.starts_with('/') && !value.contains(['$', '%']) {
                    roots.insert(PathBuf::from(value));
                } else if server.includes.contains(&name.as_str()) {
                    todo.extend(expand(host, &Path::new(server.base).join(value), &mut |_| {}));
                }
            }
        }
    }
    roots
}

/// Names, in small letters, with their first value. In nginx a directive ends with `;`, in Apache with the line.
fn directives(text: &str, nginx: bool) -> impl Iterator<Item = (String, String)> + '_ {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let parts = lines.flat_map(move |line| line.split(move |letter| nginx && matches!(letter, ';' | '{' | '}')));
    parts.filter_map(|part| {
        let (name, rest) = part.trim().split_once(char::is_whitespace)?;
        let rest = rest.trim();
        let value = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest.get(1..)?.split(quote).next()?,
            _ => rest.split_whitespace().next()?,
        };
        Some((name.to_ascii_lowercase(), value.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::state::testing::Folder;

    fn roots(files: &[(&str, &str)]) -> Vec<String> {
        let folder = Folder::new();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        document_roots(&host).iter().map(|root| root.display().to_string()).collect()
    }

    #[test]
    fn roots_of_nginx_are_found_through_includes() {
        let main = "http {\n  include /etc/nginx/conf.d/*.conf; include sites-enabled/*;\n # root /no;\n}";
        let one = "server { listen 80; root /srv/one; location / { root \"/srv/two\"; } }";
        let two = "server {\n  root /srv/$host;\n  root relative;\n\troot   /srv/three/public ;\n}";
        let files = [
            ("etc/nginx/nginx.conf", main),
            ("etc/nginx/conf.d/one.conf", one),
            ("etc/nginx/conf.d/old.bak", "root /srv/old;"),
            ("etc/nginx/sites-enabled/two", two),
        ];
        assert_eq!(roots(&files), ["/srv/one", "/srv/three/public", "/srv/two"]);
    }

    #[test]
    fn roots_of_apache_are_found_in_quotes_and_out_of_them() {
        let files = [
            ("etc/apache2/apache2.conf", "IncludeOptional sites-enabled/*.conf\ninclude apache2.conf\n"),
            ("etc/apache2/sites-enabled/a.conf", "<VirtualHost *:80>\n DocumentRoot \"/srv/a b\"\n</VirtualHost>\n"),
            ("etc/apache2/sites-enabled/b.conf", "documentroot /srv/b\n"),
            ("etc/httpd/conf/httpd.conf", "DocumentRoot '/var/www/html'"),
        ];
        assert_eq!(roots(&files), ["/srv/a b", "/srv/b", "/var/www/html"]);
    }
}
