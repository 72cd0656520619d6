//! Backups: how old, how big, how often, and whether the newest is whole.

use std::time::Duration;

use plumb_proto::generated::query::{HostPart, Row};
use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use super::{ROWS, Section, Told, int, rows, text, time, told};
use crate::cli::printer::Style;
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::said;
use crate::cli::printer::words::{ago, bytes, span};

pub(super) fn section(whole: &HostPart, now: Timestamp) -> Section {
    let mut backups: Vec<&Row> = rows(whole, "backup").collect();
    backups.sort_by_key(|row| (rank(row, now), &row.key));
    let mut table = Table::new(&[
        column("").wraps().least(34),
        column(""),
        column("").right().spare(2),
        column("").spare(1),
        column("").wraps(),
    ])
    .bare()
    .indent(2);
    for row in backups.iter().take(ROWS) {
        table.row([said(&row.key).into(), newest(row, now), size(row), rhythm(row), whether_whole(row)]);
    }
    Section::new("Backups", table).more(backups.len(), "backup", whole)
}

/// What is broken comes first, then what is late, then what cannot be told.
fn rank(row: &Row, now: Timestamp) -> u8 {
    match told(row, "valid") {
        Told::Known(Value::Bool(false)) => 0,
        _ if is_late(row, now) => 1,
        Told::Known(Value::Bool(true)) if time(row, "newest").is_some() => 3,
        _ => 2,
    }
}

fn is_late(row: &Row, now: Timestamp) -> bool {
    match (time(row, "newest"), int(row, "late_after_seconds")) {
        (Some(newest), Some(after)) => now.since(newest) > Duration::from_secs(after),
        _ => false,
    }
}

fn newest(row: &Row, now: Timestamp) -> Cell {
    match (time(row, "newest"), told(row, "newest")) {
        (Some(newest), _) if is_late(row, now) => Cell::new(format!("{}: late", ago(newest, now)), Style::Warning),
        (Some(newest), _) => ago(newest, now).into(),
        (None, Told::Unset) => Cell::new("none yet", Style::Unknown),
        (None, _) => Cell::new("?", Style::Unknown),
    }
}

fn size(row: &Row) -> Cell {
    #[allow(clippy::cast_precision_loss)] // one decimal is shown
    match (int(row, "size"), told(row, "size")) {
        (Some(size), _) => bytes(size as f64).into(),
        (None, Told::Unset) => Cell::default(),
        (None, _) => Cell::new("?", Style::Unknown),
    }
}

fn rhythm(row: &Row) -> Cell {
    match (int(row, "interval_seconds"), told(row, "interval_seconds")) {
        (Some(seconds), _) => format!("every {}", span(Duration::from_secs(seconds))).into(),
        (None, Told::Unset) => Cell::new("no rhythm yet", Style::Dim),
        (None, _) => Cell::new("?", Style::Unknown),
    }
}

fn whether_whole(row: &Row) -> Cell {
    let because = |word: &str| match text(row, "reason") {
        why if why.is_empty() => word.to_owned(),
        why => format!("{word}: {why}"),
    };
    match told(row, "valid") {
        Told::Known(Value::Bool(true)) => Cell::new("complete", Style::Good),
        Told::Known(Value::Bool(false)) => Cell::new(because("INCOMPLETE"), Style::Critical),
        _ => Cell::new(because("not judged"), Style::Unknown),
    }
}
