//! Logs as nginx's configuration names them: `access_log`, `error_log`, `log_format`, `include`, `server_name`.
//!
//! A server without a log of its own writes to the one of `http` (ngx_http_log_module). Logs whose path has variables,
//! or that go to syslog, memory or a compressed stream, are no files that can be followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::conf::{Conf, Text, site_name};
use super::extract::{Extractor, NGINX_COMBINED};
use super::source::{Entry, What};
use crate::web::nginx::{Token, tokens};

/// Formats by name; `None` for what is not understood.
type Formats = BTreeMap<String, Option<Arc<Extractor>>>;

/// Words of one directive that are looked at.
const MAX_WORDS: usize = 1_000;
/// Blocks in blocks.
const MAX_BLOCKS: usize = 100;
/// Where relative paths of logs begin, as distributions build nginx.
const PREFIX: &str = "/usr/share/nginx";

/// Reads the configuration that begins at `path`.
pub(super) fn read(conf: &mut Conf<'_>, path: &Path) {
    let formats = BTreeMap::from([("combined".to_owned(), Some(NGINX_COMBINED.to_owned()))]);
    let base = path.parent().unwrap_or(path).to_owned();
    let mut nginx =
        Nginx { base, formats, blocks: vec![Block::new("main", None)], whole: Vec::new(), servers: Vec::new() };
    nginx.file(conf, path, 0);
    let Nginx { formats, servers, mut whole, blocks, .. } = nginx;
    let ready = |format: Option<String>| Extractor::nginx(&format?).map(Arc::new);
    let formats: Formats = formats.into_iter().map(|(name, format)| (name, ready(format))).collect();
    whole.extend(blocks.into_iter().flat_map(|block| block.lines)); // outside of every block
    let mut outer = conf.outer(path, whole.into_iter().map(|line| line.entry(&formats)));
    for (site, lines) in servers {
        let own: Vec<Entry> = lines.into_iter().map(|line| line.entry(&formats)).collect();
        conf.site(site.as_deref(), &own, &mut outer);
    }
    for (entry, _) in outer.iter().filter(|(_, used)| !used) {
        conf.named.add(entry, None);
    }
}

struct Nginx {
    base: PathBuf,
    /// By name; `None` for one that is defined in more than one way.
    formats: BTreeMap<String, Option<String>>,
    blocks: Vec<Block>,
    whole: Vec<Line>,
    servers: Vec<(Option<String>, Vec<Line>)>,
}

struct Block {
    name: String,
    site: Option<String>,
    lines: Vec<Line>,
}

impl Block {
    fn new(name: &str, site: Option<String>) -> Self {
        Self { name: name.to_owned(), site, lines: Vec::new() }
    }
}

/// An `access_log` (with the name of its format) or an `error_log`.
struct Line {
    path: String,
    format: Option<String>,
    named_by: Option<u32>,
}

impl Line {
    fn entry(self, formats: &Formats) -> Entry {
        let Self { path, format, named_by } = self;
        let what = if format.is_some() { What::NginxAccess } else { What::NginxError };
        let format = format.and_then(|name| formats.get(&name)?.clone());
        Entry { what, path, format, named_by }
    }
}

impl Nginx {
    fn file(&mut self, conf: &mut Conf<'_>, path: &Path, depth: usize) {
        let Some(Text { text, owner }) = conf.read(path, depth) else { return };
        let mut words: Vec<String> = Vec::new();
        let bottom = self.blocks.len();
        for token in tokens(&text) {
            match token {
                Token::Word(word) if words.len() < MAX_WORDS => words.push(word),
                Token::Word(_) => {}
                Token::Open if self.blocks.len() >= MAX_BLOCKS => {
                    conf.problem(path, "more blocks lie in each other than are looked at");
                    break;
                }
                Token::End => {
                    self.directive(conf, &std::mem::take(&mut words), owner, depth);
                }
                Token::Open => {
                    let name = std::mem::take(&mut words).into_iter().next().unwrap_or_default();
                    self.blocks.push(Block::new(&name, None));
                }
                // A file cannot close what another one has opened.
                Token::Close if self.blocks.len() > bottom => self.close(conf, path),
                Token::Close => conf.problem(path, "a block is closed that was not opened"),
            }
        }
        if self.blocks.len() > bottom {
            conf.problem(path, "a block is not closed");
            while self.blocks.len() > bottom {
                self.close(conf, path);
            }
        }
    }

    fn close(&mut self, conf: &mut Conf<'_>, path: &Path) {
        let Some(block) = self.blocks.pop() else { return };
        match block.name.as_str() {
            "server" if self.in_other_protocol() || !conf.has_room(path, 0) => {}
            "server" => self.servers.push((block.site, block.lines)),
            "http" => self.whole.extend(block.lines),
            _ => {}
        }
    }

    fn in_other_protocol(&self) -> bool {
        self.blocks.iter().any(|each| matches!(each.name.as_str(), "stream" | "mail" | "upstream"))
    }

    fn directive(&mut self, conf: &mut Conf<'_>, words: &[String], owner: Option<u32>, depth: usize) {
        let Some((name, arguments)) = words.split_first() else { return };
        match (name.as_str(), arguments) {
            ("include", [pattern]) => {
                for path in conf.included(&self.base.join(pattern)) {
                    self.file(conf, &path, depth + 1);
                }
            }
            ("log_format", [name, parts @ ..]) => {
                let parts = parts.strip_prefix(&["escape=json".to_owned()]).unwrap_or(parts);
                let parts = parts.strip_prefix(&["escape=default".to_owned()]).unwrap_or(parts);
                let format = parts.concat();
                if !conf.has_room(Path::new(name), name.len() + format.len()) {
                    return;
                }
                let known = self.formats.entry(name.clone()).or_insert_with(|| Some(format.clone()));
                if known.as_ref() != Some(&format) {
                    *known = None;
                }
            }
            ("server_name", names) => {
                let site = names.iter().find_map(|name| site_name(name));
                if let Some(server) = self.blocks.last_mut().filter(|block| block.name == "server") {
                    server.site = server.site.take().or(site);
                }
            }
            ("access_log", [path, rest @ ..]) => {
                if rest.iter().any(|word| word.starts_with("gzip")) {
                    return;
                }
                let format = rest.iter().find(|word| !word.contains('=')).map_or("combined", String::as_str);
                self.log(conf, path, Some(format.to_owned()), owner);
            }
            ("error_log", [path, ..]) => self.log(conf, path, None, owner),
            _ => {}
        }
    }

    fn log(&mut self, conf: &mut Conf<'_>, path: &str, format: Option<String>, named_by: Option<u32>) {
        let elsewhere = ["syslog:", "memory:", "/dev/"].iter().any(|begin| path.starts_with(begin));
        if elsewhere || self.in_other_protocol() || path.contains('$') || matches!(path, "off" | "stderr" | "") {
            return;
        }
        let path = Path::new(PREFIX).join(path).to_string_lossy().into_owned();
        if !conf.has_room(Path::new(&path), path.len() + format.as_ref().map_or(0, String::len)) {
            return;
        }
        // What a location writes is the server's.
        let place = self.blocks.iter().rposition(|block| block.name == "server").unwrap_or(self.blocks.len() - 1);
        if let Some(block) = self.blocks.get_mut(place) {
            block.lines.push(Line { path, format, named_by });
        }
    }
}

#[cfg(test)]
mod tests;
