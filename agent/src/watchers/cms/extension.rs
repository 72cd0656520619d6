//! What extends an application, read from what each says of itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use plumb_proto::model::{ColumnType, Value};
use plumb_proto::untrusted::Untrusted;

use super::files::{Files, How, Words, add, word};
use super::{CMS_EXTENSION, files};
use crate::apps::php::assignments;
use crate::apps::{shown, text};
use crate::host::{Host, HostError, Kind};
use crate::watcher::Look;

/// Bytes of a file that WordPress looks for a header in (`get_file_data` in functions.php).
const HEADER: u64 = 8 << 10;
/// Bytes of a manifest.
const MANIFEST: u64 = 64 << 10;
/// Files of one folder that a plugin's header is looked for in.
const TRIED: usize = 40;

/// Something that may be an extension.
pub(super) struct Candidate {
    /// Key of what it extends.
    pub(super) cms: Untrusted,
    pub(super) path: PathBuf,
    pub(super) kind: &'static str,
    pub(super) form: Form,
}

/// Where it says what it is.
pub(super) enum Form {
    /// A file with a header of WordPress, or without one.
    Header,
    /// A file that is a plugin only if it has a header.
    Plugin,
    /// One of the files of a folder has the header of a plugin.
    PluginFolder,
    /// `style.css` of a theme.
    Theme,
    /// `NAME.info.yml` or `NAME.info` of Drupal.
    Info,
    /// A manifest of Joomla or PrestaShop.
    Manifest(PathBuf),
    /// `ext_emconf.php` of TYPO3.
    Emconf,
    /// `composer.json` of a plugin of Shopware.
    Composer,
    /// What Composer has installed.
    Known {
        /// `vendor/name`
        name: Box<str>,
        version: Box<str>,
    },
}

/// Tells an extension; `php`: the branch that it runs with. `false` if it is none.
pub(super) fn tell(look: &mut Look<'_>, files: &mut Files, candidate: &Candidate, php: Option<&String>) -> bool {
    let Candidate { path, form, .. } = candidate;
    let key = shown(path);
    let words = match read(look.host, files, path, form) {
        Ok(Some(words)) => words,
        Ok(None) => return false,
        Err(error) if error.is_absent() => return false,
        // A file that is there is an extension, whatever it says.
        Err(error) if matches!(form, Form::Header) => {
            tell_row(look, candidate, &Words::new());
            look.unknown(&CMS_EXTENSION, key, "version", &error, error.hint());
            return true;
        }
        Err(error) => {
            look.problem(&CMS_EXTENSION, key, error.path.clone(), &error.kind, error.hint());
            return false;
        }
    };
    tell_row(look, candidate, &words);
    if let (Some(php), Some(wanted)) = (php, word(&words, "requires_php")) {
        let fits = [("php_version", Value::Version(php.as_str().into())), ("php_fits", fits(php, wanted).into())];
        look.fact(&CMS_EXTENSION, key.clone(), &key.to_string(), &fits);
    }
    true
}

/// Whether a branch of PHP is new enough: of what is wanted only as much is compared as a branch says.
pub(super) fn fits(branch: &str, wanted: &str) -> bool {
    numbers(branch) >= numbers(wanted)
}

/// The numbers that tell a branch: 8 and 2 of `8.2.29`.
pub(super) fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).take(2).collect()
}

fn tell_row(look: &mut Look<'_>, Candidate { cms, path, kind, form }: &Candidate, words: &Words) {
    let (key, source) = (shown(path), shown(path).to_string());
    let name = path.file_name().unwrap_or_default();
    let product: Untrusted = match form {
        Form::Known { name, .. } => (&**name).into(),
        _ => Path::new(name)
            .file_stem()
            .filter(|_| path.extension().is_some_and(|end| end == "php"))
            .unwrap_or(name)
            .as_encoded_bytes()
            .into(),
    };
    let fields = [("cms", Value::Text(cms.clone())), ("product", Value::Text(product)), ("kind", (*kind).into())];
    look.fact(&CMS_EXTENSION, key.clone(), &source, &fields);
    for (name, value) in words {
        let Some(column) = CMS_EXTENSION.columns.iter().find(|column| column.name == *name) else { continue };
        let value =
            if column.kind == ColumnType::Version { Value::Version((&**value).into()) } else { (&**value).into() };
        look.fact(&CMS_EXTENSION, key.clone(), &source, &[(column.name, value)]);
    }
}

/// What it says of itself; `None` where it is no extension.
fn read(host: &Host, files: &mut Files, path: &Path, form: &Form) -> Result<Option<Words>, HostError> {
    let mut one = |file: &Path, how: How| files.read(host, file, how).map(|(words, _)| words.clone());
    Ok(match form {
        Form::Header => Some(one(path, How::Head(HEADER, plugin))?),
        Form::Plugin => Some(one(path, How::Head(HEADER, plugin))?).filter(named),
        Form::Theme => Some(one(&path.join("style.css"), How::Head(HEADER, theme))?).filter(named),
        Form::Manifest(file) => {
            Some(one(file, How::Head(MANIFEST, manifest))?).filter(|words| word(words, "own").is_none())
        }
        Form::Emconf => Some(one(&path.join("ext_emconf.php"), How::Head(MANIFEST, emconf))?),
        Form::Composer => Some(one(&path.join("composer.json"), How::Head(MANIFEST, package))?),
        Form::Known { version, .. } => Some(vec![("version", version.clone())]),
        Form::Info => {
            let name = path.file_name().unwrap_or_default();
            let file = |end: &str| path.join([name, end.as_ref()].into_iter().collect::<OsString>());
            match one(&file(".info.yml"), How::Head(MANIFEST, info)) {
                Err(error) if error.is_absent() => Some(one(&file(".info"), How::Head(MANIFEST, old_info))?),
                other => Some(other?),
            }
        }
        Form::PluginFolder => {
            let slug = path.file_name().unwrap_or_default().to_owned();
            let main =
                files.work_out(host, path, &mut |folder, words, work| main_file(host, folder, &slug, words, work))?;
            let Some(main) = word(main.0, "main").map(|main| path.join(main)) else { return Ok(None) };
            Some(files.read(host, &main, How::Head(HEADER, plugin))?.0.clone()).filter(named)
        }
    })
}

fn named(words: &Words) -> bool {
    word(words, "name").is_some()
}

/// The file of a plugin's folder that has the header; mostly it is called like the folder.
fn main_file(
    host: &Host,
    folder: &Path,
    slug: &OsString,
    words: &mut Words,
    work: &mut usize,
) -> Result<(), HostError> {
    let mut likely = slug.clone();
    likely.push(".php");
    let mut names: Vec<String> = Vec::new();
    host.entries(folder, &mut |name, kind| {
        let Some(name) = name.to_str().filter(|name| name.ends_with(".php")) else { return };
        if kind == Kind::File && names.len() < TRIED || name == likely.as_os_str() {
            names.push(name.to_owned());
        }
    })?;
    names.sort_by_key(|name| (name.as_str() != likely.as_os_str(), name.clone()));
    for name in names {
        *work += 5;
        let found = files::words(host, &folder.join(&name), How::Head(HEADER, plugin));
        if found.is_ok_and(|found| named(&found)) {
            words.push(("main", name.into()));
            break;
        }
    }
    Ok(())
}

fn plugin(bytes: &[u8], words: &mut Words) {
    header(bytes, words, "Plugin Name");
}

fn theme(bytes: &[u8], words: &mut Words) {
    header(bytes, words, "Theme Name");
}

fn header(bytes: &[u8], words: &mut Words, title: &'static str) {
    let names = [title, "Version", "Requires at least", "Requires PHP", "Update URI"];
    text::header(&String::from_utf8_lossy(bytes), &names, &mut |name, value| {
        let column = match name {
            "Version" => "version",
            "Requires at least" => "requires_cms",
            "Requires PHP" => "requires_php",
            "Update URI" => "update_uri",
            _ => "name",
        };
        if !value.is_empty() {
            words.push((column, value.into()));
        }
    });
}

fn info(bytes: &[u8], words: &mut Words) {
    lines(&String::from_utf8_lossy(bytes), ':', words);
}

fn old_info(bytes: &[u8], words: &mut Words) {
    lines(&String::from_utf8_lossy(bytes), '=', words);
}

fn lines(text: &str, sign: char, words: &mut Words) {
    let columns = [
        ("name", "name"),
        ("version", "version"),
        ("core_version_requirement", "requires_cms"),
        ("core", "requires_cms"),
        ("php", "requires_php"),
    ];
    for (key, column) in columns {
        // A module that comes with Drupal itself has Drupal's version.
        if let Some(value) = text::value(text, key, sign).filter(|value| *value != "VERSION") {
            add(words, column, value);
        }
    }
}

/// What belongs to Joomla itself is no extension of it.
fn manifest(bytes: &[u8], words: &mut Words) {
    let xml = String::from_utf8_lossy(bytes);
    if text::element(&xml, "author").is_some_and(|author| author == "Joomla! Project") {
        return words.push(("own", "".into()));
    }
    for (element, column) in [("displayName", "name"), ("name", "name"), ("version", "version")] {
        if let Some(value) = text::element(&xml, element) {
            add(words, column, value);
        }
    }
}

fn emconf(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| match (name, value.text()) {
        ("title", Some(value)) => add(words, "name", value),
        ("version", Some(value)) => add(words, "version", value),
        _ => {}
    });
}

fn package(bytes: &[u8], words: &mut Words) {
    use crate::apps::json::{Event, Json};
    let mut from = bytes;
    let mut json = Json::new(&mut from);
    // What is cut ends too early: what was told before stands.
    while let Ok(Some(event)) = json.event() {
        let column = match json.text() {
            "name" => "name",
            "version" => "version",
            _ => continue,
        };
        if event == Event::Key && json.depth() == 1 && json.event() == Ok(Some(Event::Text)) {
            let value = json.text().to_owned();
            add(words, column, &value);
        }
    }
}
