//! WordPress, as it is usually installed, with its core in a folder of its own (Bedrock), and as Debian packages it: one
//! tree for many sites, each with a file of its own in /etc/wordpress.

use std::path::{Path, PathBuf};

use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use super::extension::{Candidate, Form};
use super::files::{How, Words, add, word};
use super::is_packaged;
use super::reading::Reading;
use crate::apps::php::{Value as Php, assignments};
use crate::apps::{lasting, look_at, shown};
use crate::host::pattern;
use crate::host::{Entry, Kind};

/// Bytes of version.php and of a configuration.
const SMALL: usize = 64 << 10;
const CONFIG: usize = 256 << 10;
/// Seconds after which WordPress takes no notice of its `.maintenance` any more (wp_is_maintenance_mode in load.php).
const MAINTENANCE: i64 = 600;
/// Configurations that share one tree.
const CONFIGS: usize = 100;
/// Files in wp-content that replace a part of WordPress (`_get_dropins` in its plugin.php).
const DROP_INS: [&str; 12] = [
    "advanced-cache.php",
    "blog-deleted.php",
    "blog-inactive.php",
    "blog-suspended.php",
    "db-error.php",
    "db.php",
    "fatal-error-handler.php",
    "install.php",
    "maintenance.php",
    "object-cache.php",
    "php-error.php",
    "sunrise.php",
];

pub(super) fn read(reading: &mut Reading<'_>) {
    let own_core = look_at(reading.host, &reading.path("wp-includes/version.php")).is_ok();
    let core = if own_core { reading.app.root.clone() } else { reading.path("wp") };
    let file = core.join("wp-includes/version.php");
    reading.watched.push(core.join("wp-includes"));
    if reading.take(&file, How::Whole(SMALL, version), "version").is_some_and(|words| word(&words, "version").is_none())
        && !reading.unknown.iter().any(|(column, _, _)| *column == "version")
    {
        reading.unknown.push(("version", format!("{} names no version", shown(&file)), ""));
    }
    maintenance(reading, &core.join(".maintenance"));
    let mut drop_ins = Vec::new();
    for content in configured(reading, own_core) {
        let content = look_at(reading.host, &content).map_or(content, |(real, _)| lasting(reading.host, &real));
        extensions(reading, &content, &mut drop_ins);
    }
    drop_ins.sort_unstable();
    drop_ins.dedup();
    reading.set("drop_ins", Value::List(drop_ins.into_iter().map(Into::into).collect()));
}

fn version(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| match (name, value.text()) {
        ("wp_version", Some(value)) => add(words, "version", value),
        ("required_php_version", Some(value)) => add(words, "requires_php", value),
        _ => {}
    });
}

/// Of a configuration, which holds secrets: switches, and where the content lies.
fn config(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| {
        let switch = || value.is_true().map_or("?", |yes| if yes { "true" } else { "false" });
        match (name, value) {
            ("WP_DEBUG", _) => add_switch(words, "debug", switch()),
            // `null` leaves it to php.ini.
            ("WP_DEBUG_DISPLAY", Php::Word(word)) if word.eq_ignore_ascii_case("null") => {
                add_switch(words, "shown", "?")
            }
            ("WP_DEBUG_DISPLAY", _) => add_switch(words, "shown", switch()),
            ("DISABLE_WP_CRON", _) => add_switch(words, "cron_disabled", switch()),
            ("AUTOMATIC_UPDATER_DISABLED", _) => add_switch(words, "no updates", switch()),
            ("WP_AUTO_UPDATE_CORE", Php::Text(text)) if text.eq_ignore_ascii_case("minor") => {
                add(words, "updates", "minor")
            }
            ("WP_AUTO_UPDATE_CORE", Php::Text(text))
                if matches!(text.as_str(), "beta" | "rc" | "development" | "branch-development") =>
            {
                add(words, "updates", "development");
            }
            ("WP_AUTO_UPDATE_CORE", _) => {
                add(words, "updates", value.is_true().map_or("?", |yes| if yes { "all" } else { "off" }));
            }
            ("WP_CONTENT_DIR", Php::Text(folder)) if folder.starts_with('/') => add(words, "content", folder),
            ("WP_CONTENT_DIR", Php::Below(folder)) => add(words, "content below", folder.trim_start_matches('/')),
            _ => {}
        }
    });
}

/// Two values stand in the branches of a condition: which of them holds only running it would tell.
fn add_switch(words: &mut Words, name: &'static str, value: &'static str) {
    match words.iter_mut().find(|(each, _)| *each == name) {
        Some((_, known)) if **known != *value => *known = "?".into(),
        Some(_) => {}
        None => words.push((name, value.into())),
    }
}

/// Reads the configuration; answers the folders of content that it names.
fn configured(reading: &mut Reading<'_>, own_core: bool) -> Vec<PathBuf> {
    let root = reading.app.root.clone();
    let mut groups: Vec<Vec<PathBuf>> = Vec::new();
    let mut usual = root.join(if own_core { "wp-content" } else { "app" });
    if is_packaged(&root) {
        let sites = pattern::expand(reading.host, Path::new("/etc/wordpress/config-*.php"), &mut |_| {});
        // Debian's own file, which is read behind that of the site.
        groups.extend(sites.into_iter().take(CONFIGS).map(|site| vec![site, root.join("wp-config.php")]));
        if groups.is_empty() {
            groups.push(vec![root.join("wp-config.php")]);
        }
    } else {
        // It may lie one folder up, if that is not another WordPress (wp-load.php).
        let above = root.parent().filter(|above| look_at(reading.host, &above.join("wp-settings.php")).is_err());
        let here = look_at(reading.host, &root.join("wp-config.php")).is_ok();
        let file = above.filter(|_| !here).unwrap_or(&root).join("wp-config.php");
        let bedrock = above.filter(|_| !own_core).map(|above| above.join("config/application.php"));
        groups.push([file].into_iter().chain(bedrock).collect());
    }
    if !own_core && look_at(reading.host, &usual).is_err() {
        usual = root.join("wp-content");
    }
    let mut contents = Vec::new();
    let (mut all, mut read) = (Words::new(), false);
    for group in groups {
        let mut words = Words::new();
        for file in &group {
            match reading.files.read(reading.host, file, How::Whole(CONFIG, config)) {
                Ok((found, _)) => {
                    read = true;
                    for (name, value) in found {
                        let below = file.parent().map(|folder| folder.join(&**value).display().to_string());
                        match (*name, below) {
                            ("content below", Some(path)) => add(&mut words, "content", &path),
                            _ => add(&mut words, name, value),
                        }
                    }
                }
                Err(error) if error.is_absent() => {}
                Err(error) => {
                    for column in ["debug", "cron_disabled"] {
                        reading.fail(column, &error);
                    }
                }
            }
        }
        // What goes wrong is written down, and not shown to visitors.
        let hidden = match word(&words, "shown") {
            Some("false") => Some("false"),
            Some("?") if word(&words, "debug") == Some("true") => Some("?"),
            _ => None,
        };
        if let (Some(hidden), Some((_, debug))) = (hidden, words.iter_mut().find(|(name, _)| *name == "debug")) {
            *debug = hidden.into();
        }
        let content = word(&words, "content").map_or_else(|| usual.clone(), PathBuf::from);
        if !contents.contains(&content) {
            contents.push(content);
        }
        // One site of many that shows its insides is one too many.
        for name in ["debug", "cron_disabled", "updates", "no updates"] {
            let value = word(&words, name).unwrap_or_default();
            if !value.is_empty() && (value != "false" || word(&all, name).is_none()) {
                all.retain(|(each, _)| *each != name);
                all.push((name, value.into()));
            }
        }
    }
    if read {
        tell_switches(reading, &all);
    }
    contents
}

fn tell_switches(reading: &mut Reading<'_>, words: &Words) {
    for column in ["debug", "cron_disabled"] {
        match word(words, column) {
            // A configuration that could not be read may say otherwise.
            None if reading.unknown.iter().any(|(each, _, _)| *each == column) => {}
            None | Some("false") => reading.set(column, false),
            Some("true") => reading.set(column, true),
            Some(_) => reading.unknown.push((column, "its configuration works it out when it runs".to_owned(), "")),
        }
    }
    match (word(words, "no updates"), word(words, "updates")) {
        (Some("true"), _) => reading.set("auto_updates", "off"),
        (_, Some("?")) => {
            reading.unknown.push(("auto_updates", "its configuration works it out when it runs".to_owned(), ""));
        }
        (_, Some(updates)) => reading.set("auto_updates", updates),
        (_, None) => {}
    }
}

/// An update puts the file there and takes it away again. Where the time in it is worked out (`time()`), a person has put
/// it there, and it holds for as long as it is there.
fn maintenance(reading: &mut Reading<'_>, file: &Path) {
    let parse = |source: &[u8], words: &mut Words| {
        assignments(source, &mut |name, value| {
            if name == "upgrading" {
                add(words, "since", value.text().unwrap_or("?"));
            }
        });
    };
    let (since, holds) = match reading.files.read(reading.host, file, How::Whole(SMALL, parse)) {
        Ok((words, meta)) => match word(words, "since").map(str::parse::<i64>) {
            Some(Ok(since)) => {
                let since = Timestamp::from_secs(since);
                (since, reading.now.millis().saturating_sub(since.millis()) < MAINTENANCE * 1000)
            }
            Some(Err(_)) => (meta.identity.modified(), true),
            // Without a time in it WordPress takes no notice of it.
            None => (meta.identity.modified(), false),
        },
        Err(error) if error.is_absent() => return reading.set("down", false),
        Err(error) => return reading.fail("down", &error),
    };
    reading.set("maintenance", Value::Time(since));
    reading.set("down", holds);
}

fn extensions(reading: &mut Reading<'_>, content: &Path, drop_ins: &mut Vec<String>) {
    let cms = shown(&reading.app.root);
    let add = |reading: &mut Reading<'_>, path: PathBuf, kind: &'static str, form: Form| {
        reading.extensions.push(Candidate { cms: cms.clone(), path, kind, form });
    };
    let is_php =
        |entry: &Entry| Path::new(&entry.name).extension().is_some_and(|end| end == "php") && entry.name != "index.php";
    for entry in reading.list(content) {
        if let Some(name) = DROP_INS.iter().find(|name| entry.name == **name) {
            drop_ins.push((*name).to_owned());
            add(reading, content.join(name), "drop-in", Form::Header);
        }
    }
    for (folder, kind) in [("plugins", "plugin"), ("mu-plugins", "must-use")] {
        let folder = content.join(folder);
        reading.watched.extend(look_at(reading.host, &folder).is_ok().then(|| folder.clone()));
        for entry in reading.list(&folder) {
            let path = folder.join(&entry.name);
            match entry.kind {
                Kind::Folder => add(reading, path, kind, Form::PluginFolder),
                Kind::Link | Kind::File if is_php(&entry) => {
                    // Every file in mu-plugins runs; of the others only those with a header.
                    add(reading, path, kind, if kind == "plugin" { Form::Plugin } else { Form::Header });
                }
                Kind::Link => add(reading, path, kind, Form::PluginFolder),
                Kind::File | Kind::Other => {}
            }
        }
    }
    let themes = content.join("themes");
    for entry in reading.list(&themes) {
        if matches!(entry.kind, Kind::Folder | Kind::Link) {
            add(reading, themes.join(&entry.name), "theme", Form::Theme);
        }
    }
}
