//! A virtual host of Apache, or the main server, while it is read.

use std::path::PathBuf;

use super::Apache;

/// Values of one directive in one host.
const EACH: usize = 256;

/// What runs scripts, and where that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// The folder, if it holds in one only.
    pub(super) folder: Option<PathBuf>,
    pub(super) how: How,
}

/// A directive that says what runs scripts, the strongest last: `SetHandler` goes before the rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// `FcgidWrapper`: a program.
    Wrapper(String),
    /// `ProxyPass` and the like, to FastCGI.
    Pass(String),
    /// `AddHandler`, `AddType`: a handler's name.
    Added(String),
    /// `SetHandler`: a handler's name.
    Set(String),
}

/// What was set in it.
#[derive(Clone, Debug, Default)]
pub(super) struct VirtualHost {
    pub(super) config: PathBuf,
    pub(super) listen: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) docroot: Option<Result<String, String>>,
    pub(super) encrypted: Option<bool>,
    pub(super) certificates: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) scripts: Vec<Script>,
    /// Whether all of it is passed on, and where to.
    pub(super) proxies: Vec<(bool, String)>,
    pub(super) access_logs: Vec<String>,
    pub(super) error_logs: Vec<String>,
    pub(super) user: Option<String>,
    /// It sends everybody elsewhere.
    pub(super) redirects: bool,
}

impl VirtualHost {
    pub(super) fn knows(name: &str) -> bool {
        matches!(
            name,
            "listen"
                | "servername"
                | "serveralias"
                | "documentroot"
                | "virtualdocumentroot"
                | "sslengine"
                | "sslcertificatefile"
                | "sslcertificatekeyfile"
                | "sethandler"
                | "addhandler"
                | "addtype"
                | "fcgidwrapper"
                | "fcgiwrapper"
                | "proxypass"
                | "proxypassmatch"
                | "rewriterule"
                | "customlog"
                | "transferlog"
                | "errorlog"
                | "suexecusergroup"
                | "assignuserid"
                | "ruidgid"
                | "suphp_usergroup"
                | "redirect"
                | "redirectpermanent"
        )
    }
}

impl Apache {
    /// Takes up what is said of the virtual host that is read, or of the main server; variables are replaced.
    pub(super) fn host_directive(&mut self, name: &str, arguments: &[String]) {
        // A part of a path may be served by anybody.
        let is_location = |each: &&super::Section| each.name.starts_with("location");
        let in_location = self.sections.iter().any(|each| is_location(&each));
        let part = self.sections.iter().filter(is_location).any(|each| each.about != "/");
        let folder = self.sections.iter().rfind(|each| each.name.starts_with("directory"));
        let folder = folder.map(|each| match each.name.as_str() {
            "directory" if !each.about.contains(['*', '?', '[']) => PathBuf::from(&each.about),
            // A pattern is taken to be of the host that it stands in, and of no other.
            _ => PathBuf::new(),
        });
        let unknown = |text: &str| text.find("${").map(|at| format!("it depends on the variable {}", &text[at..]));
        let inside = self.host.is_some();
        let host = self.host.as_mut().unwrap_or(&mut self.main);
        let folder = folder.filter(|folder| !inside || !folder.as_os_str().is_empty());
        let mut script = |how| push(&mut host.scripts, Script { folder: folder.clone(), how });
        match (name, arguments) {
            ("sethandler", [handler]) if !part => match handler.strip_prefix("proxy:") {
                Some(to) if !is_fastcgi(to) => push(&mut host.proxies, (true, to.to_owned())),
                _ if is_script(handler) => script(How::Set(handler.clone())),
                _ => {}
            },
            ("addhandler" | "addtype", [handler, ..]) if !part && is_script(handler) => {
                script(How::Added(handler.clone()));
            }
            ("fcgidwrapper" | "fcgiwrapper", [wrapper, rest @ ..])
                if rest.is_empty() || rest.iter().any(|end| end.contains("php") || end == "virtual") =>
            {
                script(How::Wrapper(wrapper.clone()));
            }
            // In a section it has the path from there.
            ("proxypass" | "proxypassmatch", [to, ..]) if in_location => {
                if is_fastcgi(to) {
                    script(How::Pass(to.clone()));
                } else if to != "!" {
                    push(&mut host.proxies, (!part, to.clone()));
                }
            }
            ("proxypass" | "proxypassmatch", [from, to, ..]) => {
                if is_fastcgi(to) {
                    script(How::Pass(to.clone()));
                } else if to != "!" && !from.contains(".well-known") {
                    let all = matches!(from.as_str(), "/" | "^/(.*)$" | "^/(.*)" | "^(.*)$");
                    push(&mut host.proxies, (all, to.clone()));
                }
            }
            ("rewriterule", [_, to, flags]) if to.contains("://") => {
                let passes = flags.trim_matches(['[', ']']).split(',').any(|flag| matches!(flag.trim(), "P" | "proxy"));
                if passes && is_fastcgi(to) {
                    script(How::Pass(to.clone()));
                } else if passes {
                    push(&mut host.proxies, (to.starts_with("http"), to.clone()));
                }
            }
            ("listen", [address, ..]) => push(&mut self.main.listen, address.clone()),
            ("servername", [name, ..]) => host.name = Some(bare_name(name)),
            ("serveralias", names) => names.iter().for_each(|name| push(&mut host.aliases, name.clone())),
            ("documentroot", [path]) => {
                let value = unknown(path).map_or_else(|| Ok(path.clone()), Err);
                host.docroot = Some(value);
            }
            ("virtualdocumentroot", [_]) => {
                host.docroot = Some(Err("it depends on the name (mod_vhost_alias)".to_owned()))
            }
            ("sslengine", [word]) => host.encrypted = Some(!word.eq_ignore_ascii_case("off")),
            ("sslcertificatefile", [path]) => push(&mut host.certificates, path.clone()),
            ("sslcertificatekeyfile", [path]) => push(&mut host.keys, path.clone()),
            ("customlog" | "transferlog", [path, ..]) => log(&mut host.access_logs, path),
            ("errorlog", [path, ..]) => log(&mut host.error_logs, path),
            ("suexecusergroup" | "assignuserid" | "ruidgid" | "suphp_usergroup", [user, ..]) => {
                host.user = Some(user.trim_start_matches('#').to_owned());
            }
            ("redirect" | "redirectpermanent", words) => {
                host.redirects |= words.len() > 1 && words.iter().any(|word| word == "/");
            }
            _ => {}
        }
    }
}

/// Programs and syslog are no files.
fn log(logs: &mut Vec<String>, path: &str) {
    if !path.starts_with('|') && !path.starts_with("syslog") && !path.starts_with("/dev/") && !path.is_empty() {
        push(logs, path.to_owned());
    }
}

/// `https://shop.example:443` is `shop.example`.
fn bare_name(name: &str) -> String {
    let name = name.rsplit_once("://").map_or(name, |(_, name)| name);
    name.split(':').next().unwrap_or_default().to_owned()
}

fn is_fastcgi(to: &str) -> bool {
    to.contains("fcgi://")
}

/// Whether a handler runs PHP.
fn is_script(handler: &str) -> bool {
    let handler = handler.to_ascii_lowercase();
    is_fastcgi(&handler) || handler.contains("php") && !handler.contains("php-source") && !handler.ends_with("-phps")
}

fn push<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if values.len() < EACH && !values.contains(&value) {
        values.push(value);
    }
}
