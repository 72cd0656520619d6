//! LiteSpeed: OpenLiteSpeed's own configuration (`httpd_config.conf` and the files of its virtual hosts). LiteSpeed
//! Enterprise is configured in XML, which names the configuration of Apache that it serves (`loadApacheConf`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::address::{named, text as checked};
use super::files::Files;
use super::places::Place;
use super::{Php, Server, Site, Tls};
use crate::host::ErrorKind;

/// Where LiteSpeed lies, which paths without a slash in front begin at (`$SERVER_ROOT`).
const ROOT: &str = "/usr/local/lsws";
/// Blocks in blocks; blocks and values of all files of one server.
const DEPTH: usize = 20;

/// A block: its name and argument, what stands in it, and the blocks in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// What kind of block it is, in small letters.
    pub name: String,
    /// Its own name.
    pub argument: String,
    /// Keys in small letters, with their values.
    pub values: Vec<(String, String)>,
    /// Blocks in it.
    pub blocks: Vec<Block>,
}

impl Block {
    fn value(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(each, _)| each == key).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.name == name)
    }
}

/// What a text says, and whether all its blocks are closed. Values over several lines (`<<<END`) are passed over.
#[must_use]
pub fn parse(text: &str) -> (Block, bool) {
    let mut open = vec![Block::default()];
    let mut until: Option<String> = None;
    let mut closed = true;
    for line in text.lines().map(str::trim) {
        if let Some(end) = &until {
            if line == end {
                until = None;
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "}" {
            if open.len() == 1 {
                closed = false;
            } else if let (Some(block), Some(outer)) = (open.pop(), open.last_mut()) {
                outer.blocks.push(block);
            }
            continue;
        }
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim();
        if let Some(begin) = line.strip_suffix('{') {
            let (name, argument) = begin.trim().split_once(char::is_whitespace).unwrap_or((begin.trim(), ""));
            if open.len() >= DEPTH {
                return (Block::default(), false);
            }
            open.push(Block {
                name: name.to_ascii_lowercase(),
                argument: argument.trim().to_owned(),
                ..Block::default()
            });
        } else if let Some(end) = value.strip_prefix("<<<") {
            until = Some(end.to_owned());
        } else if let Some(block) = open.last_mut() {
            block.values.push((key.to_ascii_lowercase(), value.to_owned()));
        }
    }
    closed &= open.len() == 1 && until.is_none();
    while open.len() > 1 {
        if let (Some(block), Some(outer)) = (open.pop(), open.last_mut()) {
            outer.blocks.push(block);
        }
    }
    (open.pop().unwrap_or_default(), closed)
}

/// The configuration of Apache that the XML of LiteSpeed Enterprise says it serves.
#[must_use]
pub fn apache_of(xml: &str) -> Option<PathBuf> {
    let element = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.trim())
    };
    let path = element("apacheConfFile").filter(|path| path.starts_with('/'))?;
    (element("loadApacheConf") == Some("1")).then(|| PathBuf::from(path))
}

/// Reads a configuration.
pub(super) fn read(files: &mut Files<'_>, place: &Place) -> (Server, Vec<Site>) {
    files.begin();
    if place.config.extension().is_some_and(|end| end == "xml") {
        return enterprise(files, place);
    }
    let mut sites = Vec::new();
    if let Some(main) = file(files, &place.config) {
        files.leave();
        for host in main.all("virtualhost") {
            let root = root_of(host);
            let config = host.value("configfile").map(|path| absolute(&replaced(path, host, &root)));
            let own = config.as_ref().and_then(|path| file(files, path));
            if own.is_some() {
                files.leave();
            }
            let config = config.unwrap_or_else(|| place.config.clone());
            if files.has_room() {
                let site = site(files, &main, (host, &own.unwrap_or_default()), (&root, config));
                if !files.may_hold(&site) {
                    break;
                }
                sites.push(site);
            }
        }
    }
    let (changed, faults) = (files.changed, std::mem::take(&mut files.faults));
    let server = Server {
        product: "litespeed",
        prefix: place.prefix.clone(),
        config: place.config.clone(),
        ..Server::default()
    };
    (Server { changed, faults, ..server }, sites)
}

/// What Apache's configuration says, served by LiteSpeed.
fn enterprise(files: &mut Files<'_>, place: &Place) -> (Server, Vec<Site>) {
    let text = files.enter(&place.config);
    files.leave();
    let (own, apache) = (files.changed, text.as_deref().and_then(apache_of));
    let server = Server {
        product: "litespeed",
        prefix: place.prefix.clone(),
        config: place.config.clone(),
        ..Server::default()
    };
    let Some(config) = apache else {
        files.problem(&place.config, ErrorKind::Io("sites in the XML of LiteSpeed itself are not read"));
        return (Server { changed: own, ..server }, Vec::new());
    };
    let of_apache = Place { product: "litespeed", config, ..Place::default() };
    let (read, sites) = super::apache::read(files, &of_apache, super::panel::places("apache"));
    let changed = own.max(read.changed);
    (Server { changed, faults: read.faults, modules: read.modules, ..server }, sites)
}

/// What a file says; leave it, if there is one.
fn file(files: &mut Files<'_>, path: &Path) -> Option<Block> {
    let text = files.enter(path)?;
    let (block, closed) = parse(&text);
    if !closed {
        files.fault(format!("{}: a block is not closed", path.display()));
    }
    Some(block)
}

fn site(files: &mut Files<'_>, main: &Block, (host, own): (&Block, &Block), (root, config): (&str, PathBuf)) -> Site {
    let mut site = Site { server: "litespeed", config, weight: 1, ..Site::default() };
    let replace = |value: &str| replaced(value, host, root);
    let mut names: Vec<String> = Vec::new();
    for key in ["vhdomain", "vhaliases"] {
        let words = own.value(key).unwrap_or_default().split([',', ' ']);
        names.extend(words.filter(|name| !name.is_empty()).map(replace));
    }
    let mut secure = false;
    for listener in main.all("listener") {
        let maps = listener.values.iter().filter(|(key, _)| key == "map");
        for (_, map) in maps {
            let (name, domains) = map.split_once(char::is_whitespace).unwrap_or((map, ""));
            if name != host.argument {
                continue;
            }
            names.extend(domains.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned));
            let encrypted = listener.value("secure") == Some("1");
            secure |= encrypted;
            let address = listener.value("address").unwrap_or("*:80");
            let address = if encrypted { format!("{address} ssl") } else { address.to_owned() };
            if !site.listen.contains(&address) && site.listen.len() < 64 {
                site.listen.push(address);
            }
        }
    }
    site.names = named(names.iter().map(String::as_str));
    site.encrypted = secure;
    match own.value("docroot").map(|path| checked(replace(path))) {
        Some(Ok(path)) if path.contains('$') => site.unknown("docroot", format!("it depends on a variable: {path}")),
        Some(Ok(path)) => site.docroot = Some(absolute(&path)),
        Some(Err(why)) => site.unknown("docroot", why),
        None => {}
    }
    // Without certificates of its own it has those of the listener.
    let listeners = main.all("listener").filter(|each| each.value("secure") == Some("1"));
    for block in own.all("vhssl").chain(listeners).filter(|_| secure) {
        if let Some(certificate) = block.value("certfile").filter(|_| site.tls.is_empty()) {
            let certificate = absolute(&replace(certificate));
            let key = block.value("keyfile").map(|key| absolute(&replace(key)));
            let here = site.config.display().to_string();
            files.needs(&certificate, &format!("{here}: the certificate"));
            site.tls.push(Tls { certificate, key });
        }
    }
    site.php = php(own, &[own, main]).or_else(|| php(main, &[main]));
    let log = |name: &'static str| {
        let paths = own.all(name).chain(main.all(name)).take(1).map(|log| absolute(&replace(&log.argument)));
        paths.filter(|path| !path.to_string_lossy().contains('$')).collect::<Vec<_>>()
    };
    (site.access_logs, site.error_logs) = (log("accesslog"), log("errorlog"));
    site
}

/// What the handler for scripts of PHP is: `add lsapi:lsphp php`.
fn php(of: &Block, known: &[&Block]) -> Option<Php> {
    let added = of.all("scripthandler").flat_map(|block| &block.values).filter(|(key, _)| key == "add");
    let handler =
        added.map(|(_, value)| value.as_str()).find(|value| value.split([' ', ',']).skip(1).any(|end| end == "php"))?;
    let (kind, name) = handler.split(' ').next()?.split_once(':')?;
    let program = known.iter().flat_map(|block| block.all("extprocessor")).find(|each| each.argument == name);
    let address = program.and_then(|program| program.value("address")).unwrap_or(name);
    // uds:// begins at the root, in capitals too.
    let socket = address.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("uds://"));
    let address = socket.map_or_else(|| address.to_owned(), |_| format!("/{}", address[6..].trim_start_matches('/')));
    let path = program.and_then(|program| program.value("path")).map(str::to_owned);
    Some(match kind {
        "fcgi" => Php::Fpm(address),
        // The program says which PHP it is.
        "lsapi" => Php::Lsapi(path.unwrap_or(address)),
        _ => Php::Cgi(path.unwrap_or(address)),
    })
}

fn root_of(host: &Block) -> String {
    let root = host.value("vhroot").unwrap_or_default().replace("$VH_NAME", &host.argument);
    absolute(&root.replace("$SERVER_ROOT", ROOT)).to_string_lossy().into_owned()
}

/// With LiteSpeed's own variables replaced.
fn replaced(value: &str, host: &Block, root: &str) -> String {
    let variables = BTreeMap::from([("$VH_ROOT", root), ("$VH_NAME", &host.argument), ("$SERVER_ROOT", ROOT)]);
    let mut value = value.to_owned();
    for (name, with) in variables {
        if value.len() + with.len() < 4_096 {
            value = value.replacen(name, with, 4);
        }
    }
    value.replace("//", "/")
}

fn absolute(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_and_texts_over_several_lines_are_passed_over() {
        let (block, closed) = parse("a 1\nb x {\n  C  two words\n  rules <<<END\n}\nEND\n  d {\n  }\n}\n");
        assert!(closed);
        assert_eq!(block.value("a"), Some("1"));
        assert_eq!((block.blocks[0].argument.as_str(), block.blocks[0].value("c")), ("x", Some("two words")));
        assert_eq!(block.blocks[0].blocks[0].name, "d");
        assert!(!parse("b {\n").1 && !parse("}\n").1 && !parse(&"a {\n".repeat(100_000)).1);
    }

    #[test]
    fn the_xml_of_enterprise_names_the_configuration_of_apache() {
        let xml = |load: u8| {
            format!(
                "<httpServerConfig><loadApacheConf>{load}</loadApacheConf><apacheConfFile>/etc/apache2/conf/httpd.conf</apacheConfFile>"
            )
        };
        assert_eq!(apache_of(&xml(1)), Some(PathBuf::from("/etc/apache2/conf/httpd.conf")));
        assert_eq!(apache_of(&xml(0)), None);
    }
}
