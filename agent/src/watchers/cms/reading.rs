//! What the files of one application come to.

use std::path::{Path, PathBuf};

use plumb_proto::model::{ColumnType, Value};
use plumb_proto::time::Timestamp;

use super::CMS;
use super::extension::Candidate;
use super::files::{Files, How, Words};
use crate::apps::{App, look_at, shown};
use crate::host::{Host, HostError};

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
