//! What the configuration of web servers says of document roots: nginx's `root` (ngx_http_core_module) and Apache's
//! `DocumentRoot` (mod core), with the files that are included. Narrow and tolerant: what is not understood is passed over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::pattern::expand_within;
use crate::host::{ErrorKind, Host, HostError};

/// Bytes of one file; cPanel keeps hundreds of sites in one.
const FILE: usize = 8 << 20;
/// Bytes of a file that is not the system's own.
const FOREIGN_FILE: usize = 1 << 20;
/// Bytes of all files of one server.
const BYTES: usize = 64 << 20;
/// Files that are read of one server.
const FILES: usize = 4_096;
/// Patterns of includes of one server.
const INCLUDES: usize = 1_000;
/// Folders and paths that these are looked for in.
const LOOKED_AT: usize = 20_000;
/// Document roots of one server.
const ROOTS: usize = 10_000;
/// Bytes of a path.
const PATH: usize = 4_096;

/// What is configured.
#[derive(Debug, Default)]
pub struct Configured {
    /// Every document root, as it is written.
    pub roots: BTreeSet<PathBuf>,
    /// What could not be read: roots that it names are missing.
    pub problems: Vec<HostError>,
}

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

/// Every document root that is configured.
#[must_use]
pub fn document_roots(host: &Host) -> Configured {
    let mut found = Configured::default();
    for server in &SERVERS {
        let mut reading = Reading {
            host,
            server,
            todo: Vec::new(),
            seen: BTreeSet::new(),
            bytes: BYTES,
            includes: INCLUDES,
            left: LOOKED_AT,
            roots: ROOTS,
        };
        reading.add(server.files.iter().map(PathBuf::from));
        while let Some(file) = reading.todo.pop() {
            match reading.read(&file, &mut found) {
                Ok(()) => {}
                // What is not there names nothing, and what is no file is nothing that a server reads either.
                Err(error) if error.is_absent() || error.kind == ErrorKind::NotRegular => {}
                Err(error) => found.problems.push(error),
            }
            if found.problems.len() >= 16 {
                break;
            }
        }
    }
    found
}

/// One server's configuration. Whoever runs a site may write parts of it, so all of it has an end.
struct Reading<'a> {
    host: &'a Host,
    server: &'a Server,
    todo: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    /// What may still be taken up.
    bytes: usize,
    includes: usize,
    left: usize,
    roots: usize,
}

impl Reading<'_> {
    /// Takes files up that were not met before; `false` if there are too many.
    fn add(&mut self, files: impl Iterator<Item = PathBuf>) -> bool {
        for file in files {
            if self.seen.contains(&file) {
                continue;
            }
            if self.seen.len() >= FILES {
                return false;
            }
            self.seen.insert(file.clone());
            self.todo.push(file);
        }
        true
    }

    fn read(&mut self, path: &Path, found: &mut Configured) -> Result<(), HostError> {
        let too_much = |what: &'static str| Err(ErrorKind::Io(what).at(path));
        let mut file = self.host.open(path)?;
        let uid = file.meta().uid;
        let system = uid == 0 || self.host.stat("/").is_ok_and(|root| root.uid == uid);
        let limit = if system { FILE } else { FOREIGN_FILE };
        let mut text = Vec::new();
        file.read_into(limit, &mut text)?;
        let Some(left) = self.bytes.checked_sub(text.len()) else {
            return too_much("more configuration is included than is read");
        };
        self.bytes = left;
        let text = String::from_utf8_lossy(&text);
        for (name, value) in directives(&text, self.server.root == "root") {
            if value.len() > PATH {
                continue;
            }
            if name == self.server.root && value.starts_with('/') && !value.contains(['$', '%']) {
                if found.roots.insert(PathBuf::from(value)) {
                    let Some(left) = self.roots.checked_sub(1) else {
                        return too_much("more document roots are named than are looked at");
                    };
                    self.roots = left;
                }
            } else if self.server.includes.contains(&name.as_str()) {
                let Some(left) = self.includes.checked_sub(1) else {
                    return too_much("it includes more than is looked at");
                };
                self.includes = left;
                let pattern = Path::new(self.server.base).join(value);
                let mut failed = Vec::new();
                let files = expand_within(self.host, &pattern, &mut self.left, &mut |error| failed.push(error));
                found.problems.extend(failed.into_iter().take(1));
                if !self.add(files.into_iter()) {
                    return too_much("more files are included than are read");
                }
            }
        }
        Ok(())
    }
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
        let Configured { roots, problems } = document_roots(&host);
        let roots = roots.iter().map(|root| root.display().to_string());
        roots.chain(problems.iter().take(3).map(ToString::to_string)).collect()
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

    #[test]
    fn hundreds_of_sites_in_one_file_are_all_found_and_what_is_too_big_is_a_problem() {
        let site = |number: usize| format!("DocumentRoot /srv/{number}\n# {}\n", "x".repeat(3_000));
        let text: String = (0..1_000).map(site).collect();
        assert_eq!(roots(&[("etc/httpd/conf/httpd.conf", &text)]).len(), 1_000);
        let text = text.repeat(3);
        assert_eq!(
            roots(&[("etc/httpd/conf/httpd.conf", &text)]),
            ["/etc/httpd/conf/httpd.conf: bigger than 8388608 bytes"]
        );
    }

    #[test]
    fn includes_without_number_have_an_end_and_are_a_problem() {
        let mut files: Vec<(String, String)> =
            (0..300).map(|number| (format!("usr/bin/{number}"), String::new())).collect();
        files.push(("etc/nginx/nginx.conf".to_owned(), "root /srv/a;\ninclude /usr/b*/*;\n".repeat(50_000)));
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let began = std::time::Instant::now();
        let found = roots(&files);
        assert_eq!(found[0], "/srv/a");
        assert!(found.iter().any(|line| line.contains("patterns stand for more than is looked at")), "{found:?}");
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
    }
}
