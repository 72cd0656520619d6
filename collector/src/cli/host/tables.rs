//! The tables on a host's screen: what is mounted, what PHP there is, and how much of the rest.

use std::collections::BTreeMap;

use plumb_proto::generated::query::{HostPart, Row};
use plumb_proto::model::Value;

use super::figures::{Figure, Space, spaces};
use super::patched::support;
use super::sections::TABLES;
use crate::cli::hosts::fullness;
use crate::cli::printer::bar::{bar, percent};
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::{at, field, said, shown};
use crate::cli::printer::words::{ago, bytes, count};
use crate::cli::printer::{Printer, Style};

/// Tables that have a part of the screen of their own.
const SHOWN: [&str; 3] = ["os", "mount", "php"];

/// A column as text; one that could not be read as `?`.
pub(super) fn told(row: &Row, name: &str) -> Option<String> {
    if row.unknown.iter().any(|each| each.column == name) {
        return Some("?".to_owned());
    }
    field(&row.fields, name).map(|value| shown(name, &value))
}

pub(super) fn bar_width(printer: &Printer) -> usize {
    if printer.is_wide() { 30 } else { 14 }
}

pub(super) fn disks(whole: &HostPart, printer: &Printer) -> Table {
    let spaces = spaces(whole);
    let mounts: BTreeMap<&[u8], &Row> =
        whole.rows.iter().filter(|row| row.table == "mount").map(|row| (row.key.as_slice(), row)).collect();
    let mut table = Table::new(&[
        column("").wraps().least(44),
        column(""),
        column("").right(),
        column(""),
        column("").spare(1),
        column("").spare(2),
        column("").wraps().spare(3),
    ])
    .bare()
    .indent(2);
    for (mount, row) in &mounts {
        let name = Cell::from(said(mount));
        let fstype = told(row, "fstype").unwrap_or_default();
        let device = told(row, "device").unwrap_or_default();
        let read_only = if field(&row.fields, "read_only") == Some(Value::Bool(true)) { "read-only" } else { "" };
        let space = spaces.get(*mount);
        match (space.and_then(Space::share), space) {
            (Some(share), Some(space)) => {
                let style = fullness(share);
                let told = |figure: Figure| figure.known().map_or_else(|| "?".to_owned(), bytes);
                let room = format!("{} free of {}", told(space.available), told(space.size));
                let inodes = space.inode_share().map(|share| format!("inodes {}", percent(share)));
                table.row([
                    name,
                    Cell::new(bar(share, bar_width(printer)), style),
                    Cell::new(percent(share), style),
                    room.into(),
                    inodes.unwrap_or_default().into(),
                    [fstype.as_str(), read_only].join(" ").trim().to_owned().into(),
                    device.into(),
                ]);
            }
            _ => {
                // Why is told below, with everything that is not known.
                let why = if row.unknown.is_empty() { "no size told" } else { "not known, see below" };
                table.row([
                    name,
                    Cell::default(),
                    Cell::new("?", Style::Unknown),
                    Cell::new(why, Style::Unknown),
                    Cell::default(),
                    fstype.into(),
                    device.into(),
                ]);
            }
        }
    }
    table
}

pub(super) fn php(whole: &HostPart) -> Table {
    let mut table = Table::new(&[column(""), column(""), column("").wraps(), column("").wraps(), column("").spare(1)])
        .bare()
        .indent(2);
    for row in whole.rows.iter().filter(|row| row.table == "php") {
        let version = match told(row, "version") {
            Some(version) if version != "?" => Cell::new(version, Style::Bold),
            _ => Cell::new("?", Style::Unknown),
        };
        let package = match (told(row, "package"), told(row, "package_version")) {
            (Some(package), Some(version)) => format!("{package} {version}"),
            (Some(package), None) => package,
            (None, _) => "no package".to_owned(),
        };
        let running = match field(&row.fields, "running") {
            Some(Value::Bool(true)) => "running",
            Some(Value::Bool(false)) => "not running",
            _ => "",
        };
        table.row([said(&row.key).into(), version, package.into(), support(row), running.into()]);
    }
    table
}

/// Tables without a part of their own: how many rows. A new watcher needs no new screen.
pub(super) fn others(whole: &HostPart, printer: &Printer) -> Table {
    let mut tables: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for row in
        whole.rows.iter().filter(|row| !SHOWN.contains(&row.table.as_str()) && !TABLES.contains(&row.table.as_str()))
    {
        let entry = tables.entry(&row.table).or_insert((0, i64::MAX));
        *entry = (entry.0 + 1, entry.1.min(row.confirmed_ms));
    }
    let mut table = Table::pairs();
    for (name, (rows, confirmed)) in tables {
        let text = format!("{}, confirmed {}", count(rows, "row", "rows"), ago(at(confirmed), printer.now()));
        table.row([name.into(), text.into()]);
    }
    table
}
