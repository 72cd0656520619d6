//! Logs: how much is read, and the known failures that they told of late.

use std::cmp::Reverse;

use plumb_proto::generated::query::{HostPart, Row};
use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use super::{ROWS, Section, Told, int, rows, text, time, told};
use crate::cli::printer::Style;
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::words::{ago, count};

pub(super) fn section(whole: &HostPart, now: Timestamp) -> Section {
    let mut failures: Vec<&Row> = rows(whole, "log_failure").collect();
    failures.sort_by_key(|row| (rank(row), Reverse(time(row, "last")), &row.key));
    let mut table = Table::new(&[
        column(""),
        column("").right(),
        column("").spare(1),
        column("").wraps(),
        column("").wraps().spare(2),
    ])
    .bare()
    .indent(2);
    for row in failures.iter().take(ROWS) {
        let word = text(row, "severity");
        let style = match rank(row) {
            0 => Style::Critical,
            1 => Style::Warning,
            2 => Style::Plain,
            _ => Style::Unknown,
        };
        let times = int(row, "count").map_or_else(|| Cell::new("?", Style::Unknown), |many| format!("{many}x").into());
        let last = time(row, "last").map_or_else(|| Cell::new("?", Style::Unknown), |last| ago(last, now).into());
        let what = match text(row, "title") {
            title if title.is_empty() => text(row, "kind"),
            title => title,
        };
        table.row([
            Cell::new(if word.is_empty() { "?".to_owned() } else { word }, style),
            times,
            last,
            what.into(),
            Cell::new(text(row, "text"), Style::Dim),
        ]);
    }
    Section::new("Logs", table).more(failures.len(), "log_failure", whole).line(read(whole), Style::Plain)
}

/// The worst first; what is not known behind all.
fn rank(row: &Row) -> u8 {
    match told(row, "severity") {
        Told::Known(Value::Text(word)) => match word.as_bytes() {
            b"critical" => 0,
            b"warning" => 1,
            b"info" => 2,
            _ => 3,
        },
        _ => 3,
    }
}

/// How many logs are read, and how much is written there.
fn read(whole: &HostPart) -> String {
    let logs = rows(whole, "log_source").count();
    if logs == 0 {
        return String::new();
    }
    let series: Vec<Option<f64>> =
        whole.samples.iter().filter(|sample| sample.name == "log_lines_total").map(|sample| sample.rate).collect();
    let lines: f64 = series.iter().flatten().sum::<f64>() * 60.0;
    let read = count(logs, "log is read", "logs are read");
    match series.iter().flatten().count() {
        0 => read,
        known => {
            let least = if known < series.len() { "at least " } else { "" };
            // A little is not nothing.
            let lines = if lines > 0.0 && lines < 1.0 { "less than 1".to_owned() } else { format!("{lines:.0}") };
            format!("{read}, {least}{lines} lines a minute")
        }
    }
}
