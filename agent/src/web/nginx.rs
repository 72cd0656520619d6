//! nginx: servers of its `http` block, with what they inherit (ngx_http_core_module, ngx_http_fastcgi_module,
//! ngx_http_proxy_module, ngx_http_ssl_module, ngx_http_upstream_module).
//!
//! A level inherits a directive only if it has none of its own, wherever in the block it stands; so a server is made when
//! `http` is at its end. A variable is replaced if `set` gives it one value and nothing else does.

mod block;
mod site;
mod token;

use std::path::{Path, PathBuf};

use super::files::{Files, Included};
use super::places::Place;
use super::{Server, Site};
use crate::host::{ErrorKind, Kind};
use block::Block;
use site::Upstreams;
pub use token::{Token, Tokens, tokens};

/// Words of one directive that are looked at, and bytes of each.
const WORDS: usize = 1_000;
const WORD: usize = 4_096;
/// Blocks in blocks.
const BLOCKS: usize = 100;
/// Upstreams, and modules.
const NAMED: usize = 2_000;

/// Sites and faults that a text describes as the main file. Opens nothing: what it includes is left out.
#[must_use]
pub fn parse(text: &str) -> (Vec<Site>, Vec<String>) {
    let mut files = Files::new(None);
    let mut nginx = Nginx::new(Path::new("/etc/nginx/nginx.conf"));
    nginx.text(&mut files, text);
    let sites = nginx.sites(&mut files);
    (sites, files.faults)
}

/// Reads a configuration. `also`: files of sites that are read if the main file cannot be.
pub(super) fn read(files: &mut Files<'_>, place: &Place, also: &[&str]) -> (Server, Vec<Site>) {
    files.begin();
    let mut nginx = Nginx::new(&place.config);
    if !nginx.file(files, &place.config) {
        for pattern in also {
            nginx.include(files, pattern);
        }
    }
    let sites = nginx.sites(files);
    let (changed, faults) = (files.changed, std::mem::take(&mut files.faults));
    let (config, prefix, modules) = (place.config.clone(), place.prefix.clone(), nginx.modules);
    (Server { product: "nginx", prefix, config, modules, changed, faults, ..Server::default() }, sites)
}

struct Nginx {
    /// Where includes and certificates begin: the folder of the main file (`conf_prefix` in ngx_cycle.c).
    folder: PathBuf,
    /// Open blocks, the outermost first: it stands for the main file, and is never closed.
    blocks: Vec<Block>,
    upstreams: Upstreams,
    modules: Vec<String>,
    /// Servers of `http` blocks that are at their end.
    done: Vec<Site>,
}

impl Nginx {
    fn new(config: &Path) -> Self {
        let folder = config.parent().unwrap_or(config).to_owned();
        let blocks = vec![Block::default()];
        Self { folder, blocks, upstreams: Upstreams::new(), modules: Vec::new(), done: Vec::new() }
    }

    /// `false` if it cannot be read.
    fn file(&mut self, files: &mut Files<'_>, path: &Path) -> bool {
        let Some(text) = files.enter(path) else { return false };
        self.text(files, &text);
        files.leave();
        true
    }

    fn text(&mut self, files: &mut Files<'_>, text: &str) {
        let mut words: Vec<String> = Vec::new();
        let bottom = self.blocks.len();
        let here = files.here();
        for token in tokens(text) {
            match token {
                Token::Word(word) if words.len() < WORDS && word.len() <= WORD => words.push(word),
                Token::Word(_) => {}
                Token::End => self.directive(files, &std::mem::take(&mut words)),
                Token::Open if self.blocks.len() >= BLOCKS => {
                    files.problem(&here, ErrorKind::Io("more blocks lie in each other than are looked at"));
                    self.blocks.truncate(bottom);
                    return;
                }
                Token::Open => {
                    let block = Block::new(&std::mem::take(&mut words), &here);
                    self.blocks.push(block);
                }
                // A file cannot close what another one has opened.
                Token::Close if self.blocks.len() > bottom => self.close(files),
                Token::Close => files.fault(format!("{}: a block is closed that was not opened", here.display())),
            }
        }
        if !words.is_empty() {
            files.fault(format!("{}: \"{}\" is not closed with `;`", here.display(), shown(&words)));
        }
        if self.blocks.len() > bottom {
            files.fault(format!("{}: a block is not closed", here.display()));
            while self.blocks.len() > bottom {
                self.close(files);
            }
        }
    }

    fn close(&mut self, files: &mut Files<'_>) {
        let other = self.blocks.iter().any(Block::is_other_protocol);
        let Some(block) = self.blocks.pop() else { return };
        match block.name.as_str() {
            _ if other => {}
            "upstream" => {
                if let Some(name) = block.arguments.first().filter(|_| self.upstreams.len() < NAMED) {
                    self.upstreams.insert(name.clone(), block.members);
                }
            }
            "server" => {
                // Without an `http` block around it, it is a file that is read by itself.
                let place = self.blocks.iter().rposition(|each| each.name == "http").unwrap_or(0);
                if files.has_room()
                    && let Some(outer) = self.blocks.get_mut(place)
                {
                    outer.servers.push(block);
                }
            }
            "http" => {
                // Not copied: it may hold thousands of servers, and there may be thousands of blocks.
                let blocks = std::mem::take(&mut self.blocks);
                if let Some(main) = blocks.first() {
                    self.finish(files, block, main);
                }
                self.blocks = blocks;
            }
            _ => {
                if let Some(server) = self.blocks.iter_mut().rfind(|each| each.name == "server") {
                    server.take(block);
                }
            }
        }
    }

    fn finish(&mut self, files: &mut Files<'_>, mut http: Block, main: &Block) {
        let servers = std::mem::take(&mut http.servers);
        if servers.is_empty() || files.is_full() {
            return;
        }
        http.inherit(main);
        for mut server in servers {
            server.inherit(&http);
            let site = site::make(files, server, &self.upstreams, &self.folder);
            if !files.may_hold(&site) {
                return;
            }
            self.done.push(site);
        }
    }

    fn sites(&mut self, files: &mut Files<'_>) -> Vec<Site> {
        let mut main = std::mem::take(&mut self.blocks).into_iter().next().unwrap_or_default();
        let outer = Block { servers: std::mem::take(&mut main.servers), ..Block::default() };
        self.finish(files, outer, &main);
        std::mem::take(&mut self.done)
    }

    fn include(&mut self, files: &mut Files<'_>, pattern: &str) {
        if pattern.contains('$') {
            return files.problem(Path::new(pattern), ErrorKind::Io("an include with a variable is not followed"));
        }
        match files.included(&self.folder.join(pattern)) {
            Included::Pattern(found) => found.iter().for_each(|path| {
                self.file(files, path);
            }),
            Included::One(path, Kind::File) => {
                self.file(files, &path);
            }
            Included::One(path, _) => files.problem(&path, ErrorKind::NotRegular),
            Included::Missing(path) => {
                let here = files.here();
                files.fault(format!("{}: includes {}, which is missing", here.display(), path.display()));
            }
        }
    }

    fn directive(&mut self, files: &mut Files<'_>, words: &[String]) {
        let Some((name, arguments)) = words.split_first() else { return };
        match (name.as_str(), arguments) {
            ("include", [pattern]) => self.include(files, pattern),
            ("load_module", [path]) if self.modules.len() < NAMED => {
                let name = Path::new(path).file_stem().unwrap_or_default();
                self.modules.push(name.to_string_lossy().into_owned());
            }
            _ => {
                let bytes = arguments.iter().map(String::len).sum();
                let inside = self.blocks.iter().filter(|each| each.name == "location").map(Block::weight).min();
                let conditional = self.blocks.last().is_some_and(|each| each.name == "if");
                if let Some(block) = self.blocks.last_mut()
                    && Block::knows(name)
                    && files.may_keep(bytes)
                {
                    block.directive(name, arguments, inside, conditional);
                }
            }
        }
    }
}

/// The beginning of a directive, short enough for a message.
fn shown(words: &[String]) -> String {
    let mut text = words.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
    text.truncate(text.floor_char_boundary(60));
    text
}
