//! Database servers: what runs, and whether it runs what is installed.

use plumb_proto::generated::query::{HostPart, Row};
use plumb_proto::model::Value;

use super::{ROWS, Section, Told, cell, rows, sample, text, told};
use crate::cli::host::patched::support;
use crate::cli::printer::Style;
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::said;
use crate::cli::printer::words::bytes;

pub(super) fn section(whole: &HostPart) -> Section {
    let mut table = Table::new(&[
        column("").wraps(),
        column(""),
        column("").wraps(),
        column("").right(),
        column("").wraps().spare(2),
        column("").wraps().spare(1),
    ])
    .bare()
    .indent(2);
    for row in rows(whole, "database").take(ROWS) {
        table.row([said(&row.key).into(), version(row), running(row), size(whole, row), package(row), support(row)]);
    }
    Section::new("Databases", table).more(rows(whole, "database").count(), "database", whole)
}

fn version(row: &Row) -> Cell {
    match told(row, "version") {
        Told::Unset => Cell::new("?", Style::Unknown),
        _ => cell(row, "version", Style::Bold),
    }
}

fn running(row: &Row) -> Cell {
    let is_other = |running: &Value| match told(row, "version") {
        Told::Known(version) => version != *running,
        _ => false,
    };
    match told(row, "running") {
        Told::Known(Value::Bool(false)) => Cell::new("NOT running", Style::Critical),
        Told::Known(Value::Bool(true)) => match (told(row, "running_version"), told(row, "restart_needed")) {
            (Told::Known(running), _) if is_other(&running) => {
                Cell::new(format!("still runs {running}: restart it"), Style::Warning)
            }
            (_, Told::Known(Value::Bool(true))) => Cell::new("runs what was replaced: restart it", Style::Warning),
            _ => "running".into(),
        },
        _ => Cell::new("? whether it runs", Style::Unknown),
    }
}

fn package(row: &Row) -> Cell {
    let name = [text(row, "package"), text(row, "package_version")].join(" ").trim().to_owned();
    match (told(row, "package"), told(row, "package_version")) {
        (Told::Unset, _) => "no package".into(),
        (Told::Unknown, _) | (_, Told::Unknown) if name.is_empty() => Cell::new("?", Style::Unknown),
        (Told::Unknown, _) | (_, Told::Unknown) => Cell::new(name, Style::Unknown),
        _ => name.into(),
    }
}

fn size(whole: &HostPart, row: &Row) -> Cell {
    match sample(whole, "database_size_bytes", &row.key).map(|sample| sample.value) {
        None => Cell::default(),
        Some(None) => Cell::new("?", Style::Unknown),
        Some(Some(size)) => bytes(size).into(),
    }
}
