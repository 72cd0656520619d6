//! Joomla and its extensions, each with a manifest. Those that come with it are told from others by their author.

use std::path::PathBuf;

use super::extension::{Candidate, Form};
use super::files::{How, Words, add};
use super::reading::Reading;
use crate::apps::php::assignments;
use crate::apps::{shown, text};
use crate::host::{Entry, Kind};

/// Bytes of a manifest, of index.php, and of a configuration.
const FILE: usize = 256 << 10;

pub(super) fn read(reading: &mut Reading<'_>) {
    reading.version(&[
        ("administrator/manifests/files/joomla.xml", How::Head(8 << 10, manifest)),
        ("libraries/src/Version.php", How::Whole(FILE, version)),
    ]);
    reading.watched.push(reading.path("administrator/manifests/files"));
    let (index, config_file) = (reading.path("index.php"), reading.path("configuration.php"));
    reading.take(&index, How::Whole(FILE, index_php), "requires_php");
    reading.take(&config_file, How::Whole(FILE, config), "debug");
    for (folder, kind) in [
        ("administrator/components", "component"),
        ("modules", "module"),
        ("administrator/modules", "module"),
        ("templates", "template"),
        ("administrator/templates", "template"),
    ] {
        let folder = reading.path(folder);
        for entry in folders(reading, &folder) {
            let path = folder.join(&entry.name);
            let name = entry.name.to_string_lossy();
            let file = match kind {
                "component" => format!("{}.xml", name.strip_prefix("com_").unwrap_or(&name)),
                "template" => "templateDetails.xml".to_owned(),
                _ => format!("{name}.xml"),
            };
            add_one(reading, path.join(file), path, kind);
        }
    }
    let plugins = reading.path("plugins");
    for group in folders(reading, &plugins) {
        let group = plugins.join(&group.name);
        for entry in folders(reading, &group) {
            let path = group.join(&entry.name);
            add_one(reading, path.join(format!("{}.xml", entry.name.to_string_lossy())), path, "plugin");
        }
    }
}

fn folders(reading: &mut Reading<'_>, folder: &std::path::Path) -> Vec<Entry> {
    let mut entries = reading.list(folder);
    entries.retain(|entry| matches!(entry.kind, Kind::Folder | Kind::Link));
    entries
}

fn add_one(reading: &mut Reading<'_>, manifest: PathBuf, path: PathBuf, kind: &'static str) {
    let cms = shown(&reading.app.root);
    reading.extensions.push(Candidate { cms, path, kind, form: Form::Manifest(manifest) });
}

fn manifest(bytes: &[u8], words: &mut Words) {
    if let Some(version) = text::element(&String::from_utf8_lossy(bytes), "version") {
        add(words, "version", version);
    }
}

fn version(source: &[u8], words: &mut Words) {
    let mut parts = [None, None, None];
    assignments(source, &mut |name, value| {
        let place = ["MAJOR_VERSION", "MINOR_VERSION", "PATCH_VERSION"].iter().position(|each| *each == name);
        if let Some(place) = place {
            parts[place] = value.text().map(str::to_owned);
        }
    });
    if let [Some(major), Some(minor), Some(patch)] = parts {
        add(words, "version", &format!("{major}.{minor}.{patch}"));
    }
}

fn index_php(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| {
        if name == "JOOMLA_MINIMUM_PHP"
            && let Some(value) = value.text()
        {
            add(words, "requires_php", value);
        }
    });
}

/// Of a configuration, which holds secrets: two switches.
fn config(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| {
        let switch = || value.is_true().map_or("?", |yes| if yes { "true" } else { "false" });
        match name {
            "debug" => add(words, "debug", switch()),
            "offline" => add(words, "down", switch()),
            _ => {}
        }
    });
}
