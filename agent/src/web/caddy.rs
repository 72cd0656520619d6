//! Caddy: the Caddyfile, with its snippets and imports. Its JSON is what programs write; it is not read, and a problem
//! says so.

mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::address::{local, named, target};
use super::files::{Files, Included};
use super::places::Place;
use super::{Php, Server, Site, Tls};
use crate::host::{ErrorKind, Kind};
pub use token::lines;

/// Where Caddy keeps what it gets from certificate authorities: a folder for each of them, in it one for each name.
const CERTIFICATES: &str = "/var/lib/caddy/.local/share/caddy/certificates";
/// Blocks in blocks.
const BLOCKS: usize = 100;
/// Snippets, and the lines of all, with what imports make of them.
const SNIPPETS: usize = 500;
const LINES: usize = 200_000;

/// Logs of one site, and certificates.
const EACH: usize = 256;

/// A line: its words, and what the line opens.
type Line = (Vec<String>, bool);

/// Sites and faults that a text describes. Opens nothing: what it imports from files is left out.
#[must_use]
pub fn parse(text: &str) -> (Vec<Site>, Vec<String>) {
    let mut files = Files::new(None);
    let mut caddy = Caddy::new(Path::new("/etc/caddy/Caddyfile"));
    caddy.text(&mut files, text);
    (caddy.sites, files.faults)
}

/// Reads a configuration.
pub(super) fn read(files: &mut Files<'_>, place: &Place) -> (Server, Vec<Site>) {
    files.begin();
    let mut caddy = Caddy::new(&place.config);
    if place.config.extension().is_some_and(|end| end == "json") {
        files.problem(&place.config, ErrorKind::Io("configuration of Caddy in JSON is not read"));
    } else {
        caddy.file(files, &place.config);
    }
    for site in &mut caddy.sites {
        automatic(files, site);
    }
    let (changed, faults) = (files.changed, std::mem::take(&mut files.faults));
    let server =
        Server { product: "caddy", prefix: place.prefix.clone(), config: place.config.clone(), ..Server::default() };
    (Server { changed, faults, ..server }, caddy.sites)
}

/// Certificates that Caddy got by itself, as far as there are any yet.
fn automatic(files: &mut Files<'_>, site: &mut Site) {
    if !site.encrypted || !site.tls.is_empty() {
        return;
    }
    for name in site.names.clone().iter().take(16) {
        // Names of files have no `*` (certmagic, StorageKeys.Safe).
        let name = name.replace('*', "wildcard_");
        let pattern = Path::new(CERTIFICATES).join("*").join(&name).join(format!("{name}.crt"));
        if let Included::Pattern(found) = files.included(&pattern) {
            let pairs = found.into_iter().filter(|path| files.exists(path) == Some(true));
            site.tls.extend(pairs.map(|path| Tls { key: Some(path.with_extension("key")), certificate: path }));
        }
    }
}

struct Caddy {
    folder: PathBuf,
    /// Shared: each of thousands of imports goes through one.
    snippets: BTreeMap<String, Rc<[Line]>>,
    /// Lines that may still be looked at.
    left: usize,
    sites: Vec<Site>,
}

impl Caddy {
    fn new(config: &Path) -> Self {
        let folder = config.parent().unwrap_or(config).to_owned();
        Self { folder, snippets: BTreeMap::new(), left: LINES, sites: Vec::new() }
    }

    fn file(&mut self, files: &mut Files<'_>, path: &Path) {
        let Some(text) = files.enter(path) else { return };
        self.text(files, &text);
        files.leave();
    }

    fn text(&mut self, files: &mut Files<'_>, text: &str) {
        let here = files.here();
        let lines: Vec<Line> = lines(text).take(self.left).collect();
        self.left -= lines.len();
        let mut at = 0;
        while let Some((words, opens)) = lines.get(at) {
            at += 1;
            let first = words.first().map(String::as_str);
            let end = if *opens { end_of(&lines, at) } else { Some(at) };
            let end = end.unwrap_or_else(|| {
                files.fault(format!("{}: a block is not closed", here.display()));
                lines.len()
            });
            let inner = lines.get(at..end).unwrap_or_default();
            match first {
                // Options of the whole server.
                None | Some("{") => {}
                Some("}") => files.fault(format!("{}: a block is closed that was not opened", here.display())),
                Some("import") if !opens => self.import(files, words),
                Some(name) if name.starts_with('(') && self.snippets.len() < SNIPPETS => {
                    self.snippets.insert(name.trim_matches(['(', ')']).to_owned(), inner.into());
                }
                Some(name) if name.starts_with("&(") => {}
                Some(_) if *opens => self.site(files, &here, words, inner),
                // Without braces all of the file is one site.
                Some(_) => {
                    let rest = lines.get(at..).unwrap_or_default();
                    return self.site(files, &here, words, rest);
                }
            }
            at = if *opens { end + 1 } else { end };
        }
    }

    fn import(&mut self, files: &mut Files<'_>, words: &[String]) {
        let Some(what) = words.get(1).filter(|what| !self.snippets.contains_key(*what)) else { return };
        match files.included(&self.folder.join(what)) {
            Included::Pattern(found) => found.iter().for_each(|path| self.file(files, path)),
            Included::One(path, Kind::File) => self.file(files, &path),
            Included::One(path, _) => files.problem(&path, ErrorKind::NotRegular),
            Included::Missing(path) => {
                let here = files.here();
                files.fault(format!("{}: imports {}, which is missing", here.display(), path.display()));
            }
        }
    }

    fn site(&mut self, files: &mut Files<'_>, here: &Path, addresses: &[String], lines: &[Line]) {
        if files.is_full() || !files.has_room() {
            return;
        }
        let mut site = Site { server: "caddy", config: here.to_owned(), weight: 1, ..Site::default() };
        let (mut names, mut plain) = (Vec::new(), true);
        for address in addresses.iter().flat_map(|word| word.split(',')).filter(|address| !address.is_empty()).take(256)
        {
            let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
            let host = rest.split('/').next().unwrap_or_default();
            let (name, port) = match host.rsplit_once(':') {
                Some((name, port)) if !port.contains(']') => (name, Some(port)),
                _ => (host, None),
            };
            if host.contains("{$") {
                site.unknown("names", format!("it depends on the environment: {host}"));
                continue;
            }
            // A name without a scheme and a port gets a certificate by itself, and so does nothing that is no name.
            let encrypted =
                scheme == "https" || port == Some("443") || scheme.is_empty() && port != Some("80") && !name.is_empty();
            plain &= !encrypted;
            let port = port.unwrap_or(if encrypted { "443" } else { "80" });
            let listen = format!("*:{port}");
            if !site.listen.contains(&listen) {
                site.listen.push(listen);
            }
            names.push(name.to_owned());
        }
        site.names = named(names.iter().map(String::as_str));
        site.encrypted = !plain;
        self.body(files, &mut site, lines, 0);
        if files.may_hold(&site) {
            self.sites.push(site);
        }
    }

    /// What stands in a site, or in a part of it.
    fn body(&mut self, files: &mut Files<'_>, site: &mut Site, lines: &[Line], depth: usize) {
        let mut at = 0;
        while let Some((words, opens)) = lines.get(at) {
            at += 1;
            if self.left == 0 || depth > BLOCKS {
                let here = files.here();
                return files.problem(&here, ErrorKind::Io("more configuration is imported than is looked at"));
            }
            self.left -= 1;
            let end = if *opens { end_of(lines, at).unwrap_or(lines.len()) } else { at };
            let inner = lines.get(at..end).unwrap_or_default();
            let before = self.left;
            self.directive(files, site, (words, inner), depth);
            // What is passed over was looked at as well, to find where it ends.
            self.left = self.left.min(before.saturating_sub(inner.len()));
            at = if *opens { end + 1 } else { end };
        }
    }

    fn directive(
        &mut self,
        files: &mut Files<'_>,
        site: &mut Site,
        (words, inner): (&[String], &[Line]),
        depth: usize,
    ) {
        let Some((name, arguments)) = words.split_first() else { return };
        // What a matcher in front of it says of the request.
        let is_matcher = |word: &String| word == "*" || word.starts_with('@') || word.starts_with('/');
        let matched =
            if name != "tls" && arguments.len() > 1 && arguments.first().is_some_and(is_matcher) { 1 } else { 0 };
        let whole = arguments.first().is_none_or(|word| matched == 0 || word == "*");
        let rest = arguments.get(matched..).unwrap_or_default();
        let environment = |value: &str| value.contains("{$").then(|| "it depends on the environment".to_owned());
        let placeholder = |value: &str| value.contains('{').then(|| format!("it depends on the request: {value}"));
        match (name.as_str(), rest) {
            ("root", [path, ..]) if whole => match environment(path).or_else(|| placeholder(path)) {
                Some(why) => site.unknown("docroot", why),
                None if path.starts_with('/') => site.docroot = Some(PathBuf::from(path)),
                None => site.unknown("docroot", format!("\"{path}\" is relative to the folder that Caddy runs in")),
            },
            ("php_fastcgi", [to, ..]) => match environment(to) {
                Some(why) => site.unknown("php", why),
                None => site.php = Some(Php::Fpm(socket(to))),
            },
            ("reverse_proxy", to) => {
                let more = inner.iter().filter(|(words, _)| words.first().is_some_and(|word| word == "to"));
                let more = more.flat_map(|(words, _)| words.iter().skip(1));
                let to: Vec<String> = to.iter().chain(more).take(8).map(|to| target(to)).collect();
                if site.proxy.is_none() && !to.is_empty() {
                    site.proxy = Some(to.join(" "));
                }
            }
            ("tls", [word]) if word == "internal" || word.contains('@') => site.encrypted = true,
            ("tls", [certificate, key]) => {
                site.encrypted = true;
                let pair = [certificate, key].map(|path| self.folder.join(path));
                let here = site.config.display().to_string();
                files.needs(&pair[0], &format!("{here}: the certificate"));
                files.needs(&pair[1], &format!("{here}: the key"));
                let [certificate, key] = pair;
                let tls = Tls { certificate, key: Some(key) };
                if site.tls.len() < EACH && !site.tls.contains(&tls) {
                    site.tls.push(tls);
                }
            }
            ("log", _) => {
                let output = inner.iter().find(
                    |(words, _)| matches!(words.as_slice(), [output, file, ..] if output == "output" && file == "file"),
                );
                let path = output
                    .and_then(|(words, _)| words.get(2))
                    .filter(|path| path.starts_with('/') && !path.contains('{'));
                let path = path.map(PathBuf::from).filter(|path| !site.access_logs.contains(path));
                site.access_logs.extend(path.filter(|_| site.access_logs.len() < EACH));
            }
            ("import", [what, ..]) if depth < BLOCKS => {
                if let Some(lines) = self.snippets.get(what).map(Rc::clone) {
                    self.body(files, site, &lines, depth + 10);
                } else {
                    self.part(files, site, what, depth);
                }
            }
            ("handle" | "handle_path" | "route" | "handle_errors", _) => self.body(files, site, inner, depth + 1),
            _ => {}
        }
    }

    /// Files that are imported in the middle of a site.
    fn part(&mut self, files: &mut Files<'_>, site: &mut Site, what: &str, depth: usize) {
        let found = match files.included(&self.folder.join(what)) {
            Included::Pattern(found) => found,
            Included::One(path, Kind::File) => vec![path],
            Included::One(path, _) => return files.problem(&path, ErrorKind::NotRegular),
            Included::Missing(path) => {
                let here = files.here();
                return files.fault(format!("{}: imports {}, which is missing", here.display(), path.display()));
            }
        };
        for path in found {
            let Some(text) = files.enter(&path) else { continue };
            let lines: Vec<Line> = lines(&text).take(self.left).collect();
            self.body(files, site, &lines, depth + 10);
            files.leave();
        }
    }
}

/// Where the block ends that begins at a line: the line with its `}`.
fn end_of(lines: &[Line], from: usize) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, (words, opens)) in lines.iter().enumerate().skip(from) {
        depth += usize::from(*opens);
        if words.first().is_some_and(|word| word == "}") {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

fn socket(to: &str) -> String {
    match to.strip_prefix("unix/") {
        Some(path) => format!("/{}", path.trim_start_matches('/')),
        None => local(to),
    }
}
