//! Parts of a host's screen, a subject each: short, the worst first, and where to read on. A subject that a host does not
//! have has no part.

mod backups;
mod databases;
mod files;
mod listeners;
mod logs;
mod services;
mod web;

use plumb_proto::generated::query::{HostPart, Row, Sample};
use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use crate::cli::printer::table::{Cell, Table};
use crate::cli::printer::values::{field, shown};
use crate::cli::printer::{Printer, Style};

/// Rows of one part.
const ROWS: usize = 12;
/// Tables that these parts show.
pub(super) const TABLES: [&str; 17] = [
    "database",
    "service",
    "failed_unit",
    "listener",
    "log_source",
    "log_failure",
    "backup",
    "tree",
    "package_file",
    "web_server",
    "runtime",
    "site",
    "php_pool",
    "cms",
    "cms_extension",
    "certificate",
    "certificate_renewal",
];

/// A part of the screen.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) table: Table,
    /// What stands below the table.
    pub(super) lines: Vec<(String, Style)>,
}

impl Section {
    fn new(name: &'static str, table: Table) -> Self {
        Self { name, table, lines: Vec::new() }
    }

    fn line(mut self, text: impl Into<String>, style: Style) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.lines.push((text, style));
        }
        self
    }

    /// Says that there are more rows than are shown.
    fn more(self, all: usize, table: &str, whole: &HostPart) -> Self {
        let host = whole.host.as_ref().map(|host| host.name.as_str()).unwrap_or_default();
        match all.saturating_sub(ROWS) {
            0 => self,
            more => self.line(format!("and {more} more: plumb facts {table} --host {host}"), Style::Dim),
        }
    }
}

/// The parts of this host.
pub(super) fn all(whole: &HostPart, printer: &Printer) -> Vec<Section> {
    let now = printer.now();
    let sections = [
        web::pools(whole),
        web::servers(whole),
        web::sites(whole),
        web::made_of(whole),
        web::certificates(whole, now),
        databases::section(whole),
        services::section(whole),
        listeners::section(whole),
        logs::section(whole, now),
        backups::section(whole, now),
        files::section(whole, now),
    ];
    sections.into_iter().filter(|section| !section.table.is_empty() || !section.lines.is_empty()).collect()
}

fn rows<'a>(whole: &'a HostPart, table: &'a str) -> impl Iterator<Item = &'a Row> {
    whole.rows.iter().filter(move |row| row.table == table)
}

/// A column: known, not known, or not set.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Known(Value),
    Unknown,
    Unset,
}

/// What is known of a column now. Of a row that the last look could not see, nothing is.
fn told(row: &Row, column: &str) -> Told {
    if row.unknown.iter().any(|each| each.column.is_empty() || each.column == column) {
        return Told::Unknown;
    }
    field(&row.fields, column).map_or(Told::Unset, Told::Known)
}

fn int(row: &Row, column: &str) -> Option<u64> {
    match told(row, column) {
        Told::Known(Value::Int(number)) => u64::try_from(number).ok(),
        _ => None,
    }
}

fn time(row: &Row, column: &str) -> Option<Timestamp> {
    match told(row, column) {
        Told::Known(Value::Time(at)) => Some(at),
        _ => None,
    }
}

/// A column as text; `?` where it could not be read, and behind what was known before.
fn text(row: &Row, column: &str) -> String {
    let known = field(&row.fields, column).map(|value| shown(column, &value)).unwrap_or_default();
    match told(row, column) {
        Told::Unknown if row.unknown.iter().any(|each| each.column == column) => "?".to_owned(),
        Told::Unknown if !known.is_empty() => format!("{known}?"),
        _ => known,
    }
}

/// A column in a style, or as one that is not known.
fn cell(row: &Row, column: &str, style: Style) -> Cell {
    match (told(row, column), text(row, column)) {
        (Told::Unknown, text) if text.is_empty() => Cell::new("?", Style::Unknown),
        (Told::Unknown, text) => Cell::new(text, Style::Unknown),
        (_, text) => Cell::new(text, style),
    }
}

/// The newest value of a series about one row.
fn sample<'a>(whole: &'a HostPart, name: &str, key: &[u8]) -> Option<&'a Sample> {
    whole.samples.iter().find(|sample| sample.name == name && sample.labels.iter().any(|label| label.value == key))
}

#[cfg(test)]
mod tests;
