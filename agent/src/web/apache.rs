//! Apache: virtual hosts with what they inherit from the main server (mod_core, mod_ssl, mod_proxy, mod_mime,
//! mod_fcgid, mod_suexec), and LiteSpeed Enterprise, which reads the same files.
//!
//! `IfModule` is taken if its module was loaded before, as Apache itself goes by; where nothing is loaded by `LoadModule`
//! the modules are built in, and each section that asks for one is taken. `If` depends on the request: it is taken, too.
//! What `Use` makes of a macro is not followed: a problem says so.

mod condition;
mod host;
mod site;
mod word;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::{Files, Included};
use super::places::Place;
use super::{Server, Site};
use crate::host::{ErrorKind, Kind};
use host::VirtualHost;
use site::is_php;
pub use word::words;

/// A line with all that continue it.
const LINE: usize = 64 << 10;
/// Bytes of a value.
const VALUE: usize = 4_096;
/// Sections in sections.
const SECTIONS: usize = 100;
/// Variables, modules, handlers, balancers: of each.
const NAMED: usize = 2_000;

/// Sites and faults that a text describes as the main file. Opens nothing: what it includes is left out.
#[must_use]
pub fn parse(text: &str) -> (Vec<Site>, Vec<String>) {
    let mut files = Files::new(None);
    let place = Place { product: "apache", config: PathBuf::from("/etc/apache2/apache2.conf"), ..Place::default() };
    let mut apache = Apache::new(&place);
    apache.text(&mut files, text);
    let sites = apache.sites(&mut files);
    (sites, files.faults)
}

/// Reads a configuration. `also`: files of sites that are read if the main file cannot be.
pub(super) fn read(files: &mut Files<'_>, place: &Place, also: &[&str]) -> (Server, Vec<Site>) {
    files.begin();
    let mut apache = Apache::new(place);
    let folder = place.config.parent().unwrap_or(&place.config);
    if let Some(text) = files.enter(&folder.join("envvars")) {
        apache.variables(files, &text);
        files.leave();
    }
    if !apache.file(files, &place.config) {
        for pattern in also {
            apache.include(files, pattern, true);
        }
    }
    let sites = apache.sites(files);
    let (changed, faults) = (files.changed, std::mem::take(&mut files.faults));
    let pid_file = apache.pid_file.map(|path| apache.root.join(path));
    let (config, prefix, modules) = (place.config.clone(), place.prefix.clone(), apache.modules);
    let php_module = apache.php_module.map(|path| apache.root.join(path));
    (Server { product: place.product, prefix, config, modules, changed, pid_file, php_module, faults }, sites)
}

/// An open section.
struct Section {
    name: String,
    /// False: what stands in it does not hold.
    taken: bool,
    /// What it is about: a folder, a path, a balancer.
    about: String,
}

/// All that is known while a configuration is read.
struct Apache {
    product: &'static str,
    config: PathBuf,
    /// Where relative paths begin: `ServerRoot`.
    root: PathBuf,
    variables: BTreeMap<String, String>,
    defined: BTreeSet<String>,
    modules: Vec<String>,
    pid_file: Option<String>,
    /// The file of the module that runs PHP.
    php_module: Option<String>,
    sections: Vec<Section>,
    main: VirtualHost,
    /// The virtual host that is being read.
    host: Option<VirtualHost>,
    hosts: Vec<VirtualHost>,
    /// Handlers that are programs (`Action`).
    actions: BTreeMap<String, String>,
    /// Addresses by the name of a balancer.
    balancers: BTreeMap<String, Vec<String>>,
}

impl Apache {
    fn new(place: &Place) -> Self {
        let folder = place.config.parent().unwrap_or(&place.config);
        // Red Hat and cPanel have conf/httpd.conf below the server's root.
        let root = if folder.ends_with("conf") { folder.parent().unwrap_or(folder) } else { folder };
        Self {
            product: place.product,
            config: place.config.clone(),
            root: root.to_owned(),
            variables: BTreeMap::new(),
            defined: place.defines.iter().cloned().collect(),
            modules: Vec::new(),
            pid_file: None,
            php_module: None,
            sections: Vec::new(),
            main: VirtualHost::default(),
            host: None,
            hosts: Vec::new(),
            actions: BTreeMap::new(),
            balancers: BTreeMap::new(),
        }
    }

    /// `export APACHE_LOG_DIR=/var/log/apache2$SUFFIX`; the suffix is empty but for further instances.
    fn variables(&mut self, files: &mut Files<'_>, text: &str) {
        for line in text.lines() {
            let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')) else {
                continue;
            };
            let value = value.trim_matches(['"', '\'']).replace("${SUFFIX}", "").replace("$SUFFIX", "");
            if !value.contains(['$', '`']) {
                self.define(files, name.trim(), value);
            }
        }
    }

    fn define(&mut self, files: &mut Files<'_>, name: &str, value: String) {
        if self.variables.len() < NAMED && value.len() <= VALUE && files.may_keep(name.len() + value.len()) {
            self.variables.insert(name.to_owned(), value);
        }
    }

    /// `false` if it cannot be read.
    fn file(&mut self, files: &mut Files<'_>, path: &Path) -> bool {
        let Some(text) = files.enter(path) else { return false };
        self.text(files, &text);
        files.leave();
        true
    }

    fn text(&mut self, files: &mut Files<'_>, text: &str) {
        let bottom = self.sections.len();
        let here = files.here();
        let mut whole = String::new();
        for line in text.lines() {
            if whole.len() + line.len() > LINE {
                files.problem(&here, ErrorKind::Io("a line is longer than what is looked at"));
                whole.clear();
                continue;
            }
            if let Some(begin) = line.strip_suffix('\\') {
                whole.push_str(begin);
                continue;
            }
            whole.push_str(line);
            let line = std::mem::take(&mut whole);
            let line = line.trim();
            if let Some(name) = line.strip_prefix("</") {
                self.close(files, &here, name.trim_end_matches('>').trim(), bottom);
            } else if let Some(inner) = line.strip_prefix('<') {
                if self.sections.len() >= SECTIONS {
                    files.problem(&here, ErrorKind::Io("more sections lie in each other than are looked at"));
                    break;
                }
                self.open(files, &here, &words(inner.strip_suffix('>').unwrap_or(inner)));
            } else if self.sections.iter().all(|section| section.taken) {
                let words = words(line);
                if let Some((name, arguments)) = words.split_first() {
                    self.directive(files, &name.to_ascii_lowercase(), arguments);
                }
            }
        }
        if self.sections.len() > bottom {
            if let Some(section) = self.sections.get(bottom) {
                files.fault(format!("{}: <{}> is not closed", here.display(), section.name));
            }
            while self.sections.len() > bottom {
                self.pop();
            }
        }
    }

    fn open(&mut self, files: &mut Files<'_>, here: &Path, words: &[String]) {
        let Some((name, arguments)) = words.split_first() else { return };
        let mut name = name.to_ascii_lowercase();
        name.truncate(name.floor_char_boundary(40));
        let holds = self.sections.iter().all(|section| section.taken);
        let about = arguments.last().and_then(|about| self.expanded(about).ok()).unwrap_or_default();
        let taken = holds && self.is_taken(files, &name, arguments);
        if taken && name == "virtualhost" {
            self.end_host();
            let listen = arguments.iter().take(64).filter_map(|each| self.expanded(each).ok());
            let listen: Vec<String> = listen.map(|each| each.replace("_default_", "*")).collect();
            let fits = files.has_room() && files.may_keep(listen.iter().map(String::len).sum());
            let host = VirtualHost { config: here.to_owned(), listen, ..VirtualHost::default() };
            self.host = fits.then_some(host);
        }
        self.sections.push(Section { name, taken, about });
    }

    fn close(&mut self, files: &mut Files<'_>, here: &Path, name: &str, bottom: usize) {
        let name = name.to_ascii_lowercase();
        let Some(place) = self.sections.iter().skip(bottom).rposition(|section| section.name == name) else {
            let mut name = name;
            name.truncate(name.floor_char_boundary(40));
            return files.fault(format!("{}: </{name}> closes nothing", here.display()));
        };
        let place = bottom + place;
        if place + 1 < self.sections.len() {
            files.fault(format!("{}: a section within <{name}> is not closed", here.display()));
        }
        while self.sections.len() > place {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if self.sections.pop().is_some_and(|section| section.taken && section.name == "virtualhost") {
            self.end_host();
        }
    }

    fn end_host(&mut self) {
        self.hosts.extend(self.host.take());
    }

    /// Includes files; `optional`: that there are none is no fault.
    fn include(&mut self, files: &mut Files<'_>, pattern: &str, optional: bool) {
        let pattern = match self.expanded(pattern) {
            Ok(pattern) => self.root.join(pattern),
            Err(_) => {
                return files
                    .problem(Path::new(pattern), ErrorKind::Io("an include with an unknown variable is not followed"));
            }
        };
        let here = files.here();
        let is_missing = |path: &Path| format!("{}: includes {}, which is missing", here.display(), path.display());
        match files.included(&pattern) {
            Included::Pattern(found) if found.is_empty() && !optional => files.fault(is_missing(&pattern)),
            Included::Pattern(found) => {
                for path in found {
                    self.file_or_folder(files, &path);
                }
            }
            Included::One(path, Kind::Folder) => self.file_or_folder(files, &path.join("*")),
            Included::One(path, Kind::File) => {
                self.file(files, &path);
            }
            Included::One(path, _) => files.problem(&path, ErrorKind::NotRegular),
            Included::Missing(path) if !optional => files.fault(is_missing(&path)),
            Included::Missing(_) => {}
        }
    }

    /// All files of a folder are included with it.
    fn file_or_folder(&mut self, files: &mut Files<'_>, path: &Path) {
        if path.ends_with("*") {
            if let Included::Pattern(found) = files.included(path) {
                found.iter().for_each(|path| self.file_or_folder(files, path));
            }
            return;
        }
        match files.host.map(|host| host.stat(path)) {
            Some(Ok(meta)) if meta.kind == Kind::Folder && path.components().count() < 32 => {
                self.file_or_folder(files, &path.join("*"));
            }
            _ => {
                self.file(files, path);
            }
        }
    }

    /// With variables replaced; or the name of the first that is not known.
    fn expanded(&self, text: &str) -> Result<String, String> {
        let (mut found, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, next)) = after.split_once('}') else { break };
            found.push_str(before);
            // `${name:...}` is a map of RewriteMap, and %{...} is another thing.
            let value = self.variables.get(name).ok_or_else(|| format!("it depends on the variable ${{{name}}}"))?;
            found.push_str(value);
            rest = next;
            if found.len() > VALUE {
                break;
            }
        }
        found.push_str(rest);
        if found.len() > VALUE { Err("it is longer than any path".to_owned()) } else { super::address::text(found) }
    }

    fn directive(&mut self, files: &mut Files<'_>, name: &str, arguments: &[String]) {
        match (name, arguments) {
            ("include", [pattern, ..]) => self.include(files, pattern, false),
            ("includeoptional", [pattern, ..]) => self.include(files, pattern, true),
            ("serverroot", [path]) => self.root = self.expanded(path).map_or_else(|_| self.root.clone(), PathBuf::from),
            ("pidfile", [path]) => self.pid_file = self.expanded(path).ok(),
            ("define", [name]) if self.defined.len() < NAMED => {
                self.defined.insert(name.clone());
            }
            ("define", [name, value, ..]) => {
                if let Ok(value) = self.expanded(value) {
                    self.define(files, name, value);
                    self.defined.insert(name.clone());
                }
            }
            ("undefine", [name]) => {
                self.variables.remove(name);
                self.defined.remove(name);
            }
            ("loadmodule", [name, file @ ..]) if self.modules.len() < NAMED && !self.modules.contains(name) => {
                self.modules.push(name.clone());
                if is_php(name) {
                    self.php_module = file.first().and_then(|file| self.expanded(file).ok());
                }
            }
            ("use", [_, ..]) => {
                let here = files.here();
                files.problem(&here, ErrorKind::Io("sites that Use makes of a macro are not told"));
            }
            ("action", [handler, script, ..]) if self.actions.len() < NAMED => {
                self.actions.insert(handler.clone(), script.clone());
            }
            ("balancermember", arguments) => self.member(arguments),
            _ if VirtualHost::knows(name) => {
                // What variables stand for counts, and the section that a value is kept with.
                let mut bytes = self.sections.iter().map(|section| section.about.len()).max().unwrap_or(0);
                let mut whole = Vec::new();
                for each in arguments {
                    let text = self.expanded(each).unwrap_or_else(|_| each.clone());
                    bytes += text.len();
                    if bytes > LINE {
                        let here = files.here();
                        return files.problem(&here, ErrorKind::Io("a line is longer than what is looked at"));
                    }
                    whole.push(text);
                }
                if files.may_keep(bytes) {
                    self.host_directive(name, &whole);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, arguments: &[String]) {
        let (name, member) = match arguments {
            [name, member, ..] if name.starts_with("balancer://") => (name.clone(), member),
            [member, ..] => {
                let Some(proxy) = self.sections.iter().rfind(|section| section.name == "proxy") else { return };
                (proxy.about.clone(), member)
            }
            [] => return,
        };
        if self.balancers.len() < NAMED {
            let members = self.balancers.entry(name).or_default();
            if members.len() < 64 {
                members.push(member.clone());
            }
        }
    }
}
