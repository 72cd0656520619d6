//! Files of units: which services start with the machine, and what kind of service each is (systemd.unit(5)).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::host::{Host, Identity, Kind};

/// Where unit files lie, the more important first (systemd.unit(5), "Unit File Load Path").
const FOLDERS: [&str; 9] = [
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
    "/run/systemd/transient",
];
/// Folders with links that enable units, and the word for what such a link makes of a unit (systemctl(1), is-enabled).
const ENABLING: [(&str, &str); 5] = [
    ("/etc/systemd/system", "enabled"),
    ("/run/systemd/system", "enabled-runtime"),
    ("/run/systemd/generator.early", "generated"),
    ("/run/systemd/generator", "generated"),
    ("/run/systemd/generator.late", "generated"),
];
/// Bytes of a unit file.
const LIMIT: usize = 256 << 10;
/// Services that are enabled, at most.
const MAX_ENABLED: usize = 1_000;

/// What the file of a service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitFile {
    pub(super) path: PathBuf,
    /// It stays: neither oneshot nor started by a name on the bus.
    pub(super) is_long_running: bool,
    /// Started when somebody asks for its name on the bus.
    pub(super) is_on_bus: bool,
    /// It says what would enable it.
    has_install: bool,
    identity: Identity,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Files {
    enabled: BTreeMap<String, &'static str>,
    files: BTreeMap<String, UnitFile>,
}

/// True if a host in a folder was made for systemd.
pub(super) fn are_there(host: &Host) -> bool {
    FOLDERS.iter().any(|folder| host.stat(folder).is_ok_and(|meta| meta.kind == Kind::Folder))
}

impl Files {
    /// Finds the links again that enable services.
    pub(super) fn look_through(&mut self, host: &Host) {
        self.enabled.clear();
        for (folder, word) in ENABLING {
            // A folder that cannot be listed enables nothing that can be seen.
            for entry in host.list(folder).unwrap_or_default() {
                let name = entry.name.to_string_lossy();
                if entry.kind == Kind::Folder && (name.ends_with(".wants") || name.ends_with(".requires")) {
                    self.links(host, &Path::new(folder).join(&entry.name), word);
                }
            }
        }
        let enabled = &self.enabled;
        self.files.retain(|name, _| enabled.contains_key(name));
    }

    fn links(&mut self, host: &Host, folder: &Path, word: &'static str) {
        for entry in host.list(folder).unwrap_or_default() {
            let name = entry.name.to_string_lossy();
            if entry.kind != Kind::Link || !name.ends_with(".service") || self.enabled.len() >= MAX_ENABLED {
                continue;
            }
            // An alias leads to the file of another name; an instance to its template.
            let target = host.read_link(folder.join(&entry.name)).ok();
            let target = target.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
            let real = target.filter(|target| target.ends_with(".service") && !target.contains('@'));
            self.enabled.entry(real.unwrap_or(&name).to_owned()).or_insert(word);
        }
    }

    /// Services that start with the machine.
    pub(super) fn enabled(&self) -> Vec<String> {
        self.enabled.keys().cloned().collect()
    }

    /// True if it starts with the machine.
    pub(super) fn is_enabled(&self, name: &str) -> bool {
        self.enabled.contains_key(name)
    }

    /// In the words of `systemctl is-enabled`.
    pub(super) fn enablement(&self, host: &Host, name: &str, file: &UnitFile) -> &'static str {
        let masked =
            |folder: &str| host.read_link(Path::new(folder).join(name)).is_ok_and(|to| to == Path::new("/dev/null"));
        if masked("/etc/systemd/system") || masked("/run/systemd/system") {
            return "masked";
        }
        match self.enabled.get(name) {
            Some(word) => word,
            None if file.has_install => "disabled",
            None => "static",
        }
    }

    /// The file of a service; `None` if there is none. Read again when it has changed.
    pub(super) fn get(&mut self, host: &Host, name: &str) -> Option<&UnitFile> {
        let known = self.files.get(name);
        let same = known.is_some_and(|file| host.stat(&file.path).is_ok_and(|meta| meta.identity == file.identity));
        if !same {
            self.files.remove(name);
            self.files.insert(name.to_owned(), find(host, name)?);
        }
        self.files.get(name)
    }
}

fn find(host: &Host, name: &str) -> Option<UnitFile> {
    let template = name.split_once('@').map(|(prefix, _)| format!("{prefix}@.service"));
    let names = std::iter::once(name).chain(template.as_deref());
    names.flat_map(|name| FOLDERS.iter().map(move |folder| Path::new(folder).join(name))).find_map(|path| {
        // What is masked leads to a device, which is not opened: the file behind says what it is.
        let mut file = host.open(&path).ok()?;
        let identity = file.meta().identity;
        let mut text = Vec::new();
        file.read_into(LIMIT, &mut text).ok()?;
        Some(parse(&text, path, identity))
    })
}

fn parse(text: &[u8], path: PathBuf, identity: Identity) -> UnitFile {
    let (mut section, mut kind, mut on_bus, mut has_install) = (&b""[..], &b"simple"[..], false, false);
    for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        match line.first() {
            Some(b'[') => section = line,
            None | Some(b'#' | b';') => {}
            Some(_) => {
                let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
                let (key, value) = (line[..equals].trim_ascii(), line[equals + 1..].trim_ascii());
                match (section, key) {
                    (b"[Service]", b"Type") => kind = value,
                    (b"[Service]", b"BusName") => on_bus = true,
                    (b"[Install]", b"WantedBy" | b"RequiredBy" | b"Also" | b"Alias" | b"UpheldBy") => {
                        has_install = true
                    }
                    _ => {}
                }
            }
        }
    }
    let is_on_bus = on_bus || kind == b"dbus";
    UnitFile { path, is_long_running: kind != b"oneshot", is_on_bus, has_install, identity }
}
