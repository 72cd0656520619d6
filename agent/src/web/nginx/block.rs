//! A block of nginx's configuration while it is read: what stands in it that matters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Values of one directive in one server.
const EACH: usize = 256;

/// How well a place in a server speaks for the whole of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// A part of it.
    #[default]
    Part,
    /// All of it, or its scripts.
    Whole,
}

/// What was set in a block and in those within it.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) config: PathBuf,
    pub(super) root: Option<String>,
    /// `None`: no directive, so they are inherited; empty: off.
    pub(super) access_logs: Option<Vec<String>>,
    pub(super) error_logs: Option<Vec<String>>,
    pub(super) certificates: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) encrypted: Option<bool>,
    pub(super) names: Vec<String>,
    pub(super) listen: Vec<Vec<String>>,
    /// It answers each request by itself, as one that redirects does.
    pub(super) returns: bool,
    pub(super) scripts: Vec<(Weight, String)>,
    pub(super) proxies: Vec<(Weight, String)>,
    /// Roots and logs of locations.
    pub(super) roots: Vec<(Weight, String)>,
    pub(super) more_access: Vec<String>,
    pub(super) more_errors: Vec<String>,
    /// By name; `None`: more than one value.
    pub(super) sets: BTreeMap<String, Option<String>>,
    /// Addresses of an upstream.
    pub(super) members: Vec<String>,
    /// Servers of a block `http`.
    pub(super) servers: Vec<Block>,
}

impl Block {
    pub(super) fn new(words: &[String], config: &Path) -> Self {
        let mut words = words.iter();
        let name = words.next().cloned().unwrap_or_default();
        // Of others nobody asks where they stand.
        let config = if name == "server" { config.to_owned() } else { PathBuf::new() };
        Self { name, arguments: words.take(8).cloned().collect(), config, ..Self::default() }
    }

    /// `server` in these is none that serves sites.
    pub(super) fn is_other_protocol(&self) -> bool {
        matches!(self.name.as_str(), "stream" | "mail")
    }

    /// Of a location.
    pub(super) fn weight(&self) -> Weight {
        let whole = |word: &String| word == "/" || word.starts_with('@') || is_for_scripts(word);
        if self.arguments.iter().any(whole) { Weight::Whole } else { Weight::Part }
    }

    pub(super) fn knows(name: &str) -> bool {
        matches!(
            name,
            "root"
                | "access_log"
                | "error_log"
                | "ssl_certificate"
                | "ssl_certificate_key"
                | "ssl"
                | "server_name"
                | "listen"
                | "return"
                | "set"
                | "server"
                | "fastcgi_pass"
                | "proxy_pass"
                | "uwsgi_pass"
                | "scgi_pass"
                | "grpc_pass"
        )
    }

    /// Takes a directive up. `inside`: the weight of the location that it stands in.
    pub(super) fn directive(&mut self, name: &str, arguments: &[String], inside: Option<Weight>, conditional: bool) {
        let weight = inside.unwrap_or(Weight::Whole);
        match (name, arguments) {
            ("root", [path]) => self.root = Some(path.clone()),
            ("access_log", [path, ..]) => log(self.access_logs.get_or_insert_default(), path),
            ("error_log", [path, ..]) => log(self.error_logs.get_or_insert_default(), path),
            ("ssl_certificate", [path]) => push(&mut self.certificates, path.clone()),
            ("ssl_certificate_key", [path]) => push(&mut self.keys, path.clone()),
            ("ssl", [word]) => self.encrypted = Some(word == "on"),
            ("server_name", names) => names.iter().for_each(|name| push(&mut self.names, name.clone())),
            ("listen", words) => push(&mut self.listen, words.iter().take(32).cloned().collect()),
            ("return", [_, ..]) => self.returns |= self.name == "server",
            ("set", [name, value]) => self.set(name, (!conditional).then_some(value)),
            ("server", [address, rest @ ..])
                if self.name == "upstream" && !rest.iter().any(|word| word == "backup" || word == "down") =>
            {
                push(&mut self.members, address.clone());
            }
            ("fastcgi_pass", [to]) => push(&mut self.scripts, (weight, to.clone())),
            ("proxy_pass", [to]) => push(&mut self.proxies, (weight, to.clone())),
            ("uwsgi_pass" | "scgi_pass" | "grpc_pass", [to]) => {
                let scheme = name.trim_end_matches("_pass");
                let to = if to.contains("://") { to.clone() } else { format!("{scheme}://{to}") };
                push(&mut self.proxies, (weight, to));
            }
            _ => {}
        }
    }

    /// A variable has one value if all that set it say the same; under a condition nobody knows.
    fn set(&mut self, name: &str, value: Option<&String>) {
        if self.sets.len() < EACH || self.sets.contains_key(name) {
            let known = self.sets.entry(name.to_owned()).or_insert_with(|| value.cloned());
            if known.as_ref() != value {
                *known = None;
            }
        }
    }

    /// Takes up what a block within says: a location, a condition, a limit.
    pub(super) fn take(&mut self, block: Block) {
        // What answers the questions of certificate authorities says nothing about the site.
        if block.arguments.iter().any(|word| word.contains(".well-known")) {
            return;
        }
        // In an expression everything may be the path.
        let weight = if block.name == "location" && block.arguments != ["/"] { Weight::Part } else { Weight::Whole };
        let conditional = block.name == "if";
        let root = block.root.map(|root| (if conditional { Weight::Part } else { weight }, root));
        extend(&mut self.roots, root.into_iter().chain(block.roots));
        extend(&mut self.scripts, block.scripts);
        extend(&mut self.proxies, block.proxies);
        extend(&mut self.more_access, block.access_logs.into_iter().flatten().chain(block.more_access));
        extend(&mut self.more_errors, block.error_logs.into_iter().flatten().chain(block.more_errors));
        for (name, value) in block.sets {
            self.set(&name, value.as_ref());
        }
    }

    /// What is not set here comes from the block around it.
    pub(super) fn inherit(&mut self, outer: &Block) {
        let inherited = |own: &mut Vec<String>, outer: &Vec<String>| {
            if own.is_empty() {
                own.clone_from(outer);
            }
        };
        self.root = self.root.take().or_else(|| outer.root.clone());
        self.access_logs = self.access_logs.take().or_else(|| outer.access_logs.clone());
        self.error_logs = self.error_logs.take().or_else(|| outer.error_logs.clone());
        self.encrypted = self.encrypted.or(outer.encrypted);
        inherited(&mut self.certificates, &outer.certificates);
        inherited(&mut self.keys, &outer.keys);
    }
}

/// `\.php$` and `^/index\.php(/|$)` are for the scripts of a site; `/phpmyadmin` and `^/pma/(.+\.php)$` are not.
fn is_for_scripts(path: &str) -> bool {
    let is_end = |(at, _): (usize, &str)| !path[at + 3..].starts_with(|c: char| c.is_ascii_alphabetic());
    if !path.match_indices("php").any(is_end) {
        return false;
    }
    // Below a folder: its name is whole before the slash that ends it.
    let folder = path.trim_start_matches('^').strip_prefix('/').and_then(|rest| rest.split_once('/'));
    folder.is_none_or(|(name, _)| {
        name.contains("php") && name.contains('.') || name.matches('(').count() != name.matches(')').count()
    })
}

fn log(logs: &mut Vec<String>, path: &str) {
    let elsewhere = ["syslog:", "memory:", "/dev/"].iter().any(|begin| path.starts_with(begin));
    if !elsewhere && !matches!(path, "off" | "stderr" | "") {
        push(logs, path.to_owned());
    }
}

fn push<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if values.len() < EACH && !values.contains(&value) {
        values.push(value);
    }
}

fn extend<T: PartialEq>(values: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    more.into_iter().for_each(|value| push(values, value));
}
