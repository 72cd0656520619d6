//! The row of one application.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use plumb_proto::model::{ColumnType, Value};
use plumb_proto::time::Timestamp;

use super::extension::{self, Candidate};
use super::files::{Files, How, Words};
use super::{Begun, CMS, CMS_EXTENSION, Cms, composer, drupal, framework, is_packaged, joomla, python, wordpress};
use crate::apps::{App, look_at, shown};
use crate::host::{Host, HostError};
use crate::watcher::Look;

/// Sites of one application that are told.
const SITES: usize = 50;

/// What an application's files said, and what they led to.
pub(super) struct Reading<'a> {
    pub(super) host: &'a Host,
    pub(super) files: &'a mut Files,
    pub(super) app: &'a App,
    pub(super) now: Timestamp,
    pub(super) fields: Vec<(&'static str, Value)>,
    /// Column, reason, hint.
    pub(super) unknown: Vec<(&'static str, String, &'static str)>,
    pub(super) extensions: Vec<Candidate>,
    /// Places whose extensions could not be looked at.
    pub(super) hidden: Vec<HostError>,
    /// What changes when it is updated.
    pub(super) watched: Vec<PathBuf>,
    /// It is not what it was taken for.
    pub(super) nothing: bool,
}

impl Reading<'_> {
    /// A path below the application's folder.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.app.root.join(below)
    }

    pub(super) fn set(&mut self, column: &'static str, value: impl Into<Value>) {
        self.fields.retain(|(each, _)| *each != column);
        self.fields.push((column, value.into()));
    }

    pub(super) fn fail(&mut self, column: &'static str, error: &HostError) {
        self.unknown.push((column, error.to_string(), error.hint()));
    }

    /// Reads a file; of its words, those that are called like columns are told. `None`: it is not there. What cannot be
    /// read makes `column` unknown.
    pub(super) fn take(&mut self, file: &Path, how: How, column: &'static str) -> Option<Words> {
        match self.files.read(self.host, file, how) {
            Ok((words, _)) => {
                let words = words.clone();
                self.tell_words(file, &words);
                Some(words)
            }
            Err(error) if error.is_absent() => None,
            Err(error) => {
                self.fail(column, &error);
                Some(Words::new())
            }
        }
    }

    fn tell_words(&mut self, file: &Path, words: &Words) {
        for (name, value) in words {
            let Some(column) = CMS.columns.iter().find(|column| column.name == *name) else { continue };
            let told = match column.kind {
                ColumnType::Version => Some(Value::Version((&**value).into())),
                ColumnType::Text => Some(Value::Text((&**value).into())),
                ColumnType::Bool => value.parse().ok().map(Value::Bool),
                ColumnType::Time => value.parse().ok().map(|at| Value::Time(Timestamp::from_secs(at))),
                _ => None,
            };
            match told {
                Some(told) => self.set(column.name, told),
                None => {
                    let reason = format!("{} works it out when it runs", shown(file));
                    self.unknown.push((column.name, reason, ""));
                }
            }
        }
    }

    /// The version that the first of these files names, all of which may be missing.
    pub(super) fn version(&mut self, files: &[(&str, How)]) {
        for (file, how) in files {
            let path = self.path(file);
            if self.take(&path, *how, "version").is_some() && self.has_version() {
                return;
            }
        }
        if !self.has_version() {
            let first = files.first().map_or("", |(file, _)| file);
            self.unknown.push(("version", format!("{} names no version", shown(&self.path(first))), ""));
        }
    }

    fn has_version(&self) -> bool {
        self.fields.iter().any(|(column, _)| *column == "version")
            || self.unknown.iter().any(|(column, _, _)| *column == "version")
    }

    /// A file that stands for maintenance mode while it is there.
    pub(super) fn switched_off_by(&mut self, file: &str) {
        match look_at(self.host, &self.path(file)) {
            Ok((_, meta)) => {
                self.set("maintenance", Value::Time(meta.identity.modified()));
                self.set("down", true);
            }
            Err(error) if error.is_absent() => self.set("down", false),
            Err(error) => self.fail("down", &error),
        }
    }

    /// The names of what lies in a folder of the application, as far as it can be listed.
    pub(super) fn list(&mut self, folder: &Path) -> Vec<crate::host::Entry> {
        self.files.work += 5;
        let listed = look_at(self.host, folder).and_then(|(real, _)| self.host.list(real));
        match listed {
            Ok(entries) => entries,
            Err(error) if error.is_absent() => Vec::new(),
            Err(error) => {
                self.hidden.push(error);
                Vec::new()
            }
        }
    }
}

/// A file of an application that its package owns, if it has one.
pub(super) fn packaged_file(app: &App) -> PathBuf {
    app.root.join(if app.product == "wordpress" { "wp-includes/version.php" } else { "index.php" })
}

impl Cms {
    pub(super) fn tell_app(&mut self, look: &mut Look<'_>, begun: &mut Begun, app: &App, led: &[PathBuf]) {
        let mut reading = Reading {
            host: look.host,
            files: &mut self.files,
            app,
            now: look.now,
            fields: Vec::new(),
            unknown: Vec::new(),
            extensions: Vec::new(),
            hidden: Vec::new(),
            watched: Vec::new(),
            nothing: false,
        };
        match app.product {
            "wordpress" => wordpress::read(&mut reading),
            "drupal" => drupal::read(&mut reading),
            "joomla" => joomla::read(&mut reading),
            "django" | "flask" => python::read(&mut reading, &begun.search),
            "laravel" | "symfony" | "rails" | "spring-boot" => framework::read(&mut reading),
            _ => composer::read(&mut reading),
        }
        let Reading { fields, unknown, extensions, hidden, watched, nothing, .. } = reading;
        if nothing {
            return;
        }
        begun.told += 1;
        // The links of a deployment cannot be watched: where they lead can.
        begun.watched.extend(watched.iter().filter_map(|path| Some(look_at(look.host, path).ok()?.0)));
        let (key, source) = (shown(&app.root), shown(&app.root).to_string());
        let what = [("product", app.product.into()), ("kind", app.kind.into())];
        look.fact(&CMS, key.clone(), &source, &what);
        look.fact(&CMS, key.clone(), &source, &fields);
        // What one file could not tell another one may have told.
        let told = |column: &str| fields.iter().any(|(each, _)| *each == column);
        for (column, reason, hint) in unknown.into_iter().filter(|(column, _, _)| !told(column)) {
            look.unknown(&CMS, key.clone(), column, reason, hint);
        }
        // A root that belongs to no site that is known, and the folder of a worker, stand for themselves.
        let mut sites = BTreeSet::new();
        for root in led {
            match begun.search.sites.get(root) {
                Some(keys) => sites.extend(keys.iter().map(|key| key.as_str().into())),
                None => _ = sites.insert(shown(root)),
            }
        }
        let branches = led.iter().filter_map(|root| begun.search.php.get(root)).flatten();
        let number =
            |branch: &String| -> Vec<u32> { branch.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
        if let Some(php) = branches.min_by_key(|branch| number(branch)).cloned() {
            look.fact(&CMS, key.clone(), &source, &[("php_version", Value::Version(php.as_str().into()))]);
            let wanted = fields.iter().find(|(column, _)| *column == "requires_php");
            if let Some((_, Value::Version(wanted))) = wanted {
                let fits = extension::fits(&php, &wanted.to_string());
                look.fact(&CMS, key.clone(), &source, &[("php_fits", fits.into())]);
            }
            begun.php.insert(key.clone(), php);
        }
        let sites = sites.into_iter().take(SITES).collect();
        look.fact(&CMS, key.clone(), &source, &[("sites", Value::List(sites))]);
        match look_at(look.host, &app.root) {
            Ok((_, meta)) => {
                let name = self.users.name(meta.uid).cloned().unwrap_or_else(|| meta.uid.to_string().into());
                look.fact(&CMS, key.clone(), &source, &[("owner", Value::Text(name))]);
            }
            Err(error) => look.unknown(&CMS, key.clone(), "owner", &error, error.hint()),
        }
        let text = key.to_string();
        if is_packaged(&app.root) {
            let package = begun.owners.as_ref().map(|owners| owners.get(&packaged_file(app)));
            begun.system.tell(look, (&CMS, &text, &source), package);
        } else {
            look.fact(&CMS, key, &source, &[("provenance", begun.system.provenance(None).into())]);
        }
        for error in hidden {
            look.problem(&CMS_EXTENSION, error.path.clone(), error.path.clone(), &error.kind, error.hint());
        }
        if extensions.len() > MOST {
            let why = format!("more than {MOST} extensions: the rest is not told");
            look.problem(&CMS_EXTENSION, shown(&app.root), shown(&app.root), why, "");
        }
        begun.extensions.extend(extensions.into_iter().take(MOST).collect::<VecDeque<_>>());
    }
}

/// Extensions of one application.
const MOST: usize = 1_000;
