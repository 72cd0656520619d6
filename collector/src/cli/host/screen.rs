//! One host on one screen. What could not be read is a `?` with its reason, never a blank that looks like fine.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::generated::model::Outcome;
use plumb_proto::generated::query::{Host, HostPart, Row, Watcher};
use plumb_proto::model::Value;

use super::figures::{Figure, figure};
use super::groups;
use super::patched::support;
use super::sections;
use super::tables::{bar_width, disks, others, php, told};
use crate::cli::drift::block;
use crate::cli::hosts::fullness;
use crate::cli::printer::bar::{bar, percent};
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::{at, field, said};
use crate::cli::printer::words::{ago, bytes, count, moment, span};
use crate::cli::printer::{Printer, Style};
use crate::cli::{events, state};

/// Rows that are named where one reason holds for many.
const KEYS: usize = 3;

pub(super) fn print(whole: &HostPart, printer: &mut Printer) -> Result<()> {
    let host = whole.host.clone().unwrap_or_default();
    head(&host, printer)?;
    printer.table(&identity(&host, whole, printer))?;
    let load = figures(whole, printer);
    if !load.is_empty() {
        printer.line("")?;
        printer.table(&load)?;
    }
    section("Disks", &disks(whole, printer), printer)?;
    section("PHP", &php(whole), printer)?;
    for part in sections::all(whole, printer) {
        title(part.name, printer)?;
        printer.table(&part.table)?;
        for (text, style) in part.lines {
            printer.line(format!("  {}", printer.styled(text, style)))?;
        }
    }
    section("Other tables", &others(whole, printer), printer)?;
    section("Watchers", &watchers(whole, printer), printer)?;
    section("Not known", &unknowns(whole), printer)?;
    if !whole.drifts.is_empty() {
        title(&format!("Open drifts ({})", whole.drifts.len()), printer)?;
        for (position, drift) in whole.drifts.iter().enumerate() {
            if position > 0 {
                printer.line("")?;
            }
            block(drift, printer, false)?;
        }
    }
    section("Last events", &events::table(&whole.events, printer).bare().indent(2), printer)
}

fn head(host: &Host, printer: &mut Printer) -> Result<()> {
    let (word, style) = state(host);
    let seen = match host.last_seen_ms.map(at) {
        None => "never heard of".to_owned(),
        Some(seen) if printer.is_wide() => format!("seen {} ({})", ago(seen, printer.now()), moment(seen)),
        Some(seen) => format!("seen {}", ago(seen, printer.now())),
    };
    let name = host.name.clone();
    printer.ends(&[(&name, Style::Bold), ("  ", Style::Plain), (word, style)], &seen)?;
    if host.reason.is_empty() { Ok(()) } else { printer.line(format!("  {}", printer.styled(&host.reason, style))) }
}

fn title(text: &str, printer: &mut Printer) -> Result<()> {
    printer.line("")?;
    printer.line(printer.styled(text, Style::Bold))
}

fn section(name: &str, table: &Table, printer: &mut Printer) -> Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    title(name, printer)?;
    printer.table(table)
}

fn identity(host: &Host, whole: &HostPart, printer: &Printer) -> Table {
    let mut pairs = Table::pairs();
    let mut pair = |name: &str, value: Cell| pairs.row([Cell::new(name, Style::Dim), value]);
    if let Some(os) = whole.rows.iter().find(|row| row.table == "os") {
        let told = |name: &str| told(os, name);
        let mut system = told("name").unwrap_or_else(|| "?".to_owned());
        if let Some(version) = told("version").filter(|version| !system.contains(version.as_str())) {
            system = format!("{system} {version}");
        }
        pair("system", system.into());
        if os.support.is_some() {
            pair("support", support(os));
        }
        let kernel: Vec<String> = ["kernel", "arch", "virtualization"].into_iter().filter_map(told).collect();
        pair("kernel", kernel.join(", ").into());
        if field(&os.fields, "reboot_required") == Some(Value::Bool(true)) {
            pair("restart", Cell::new("an update waits for a restart to take effect", Style::Warning));
        }
        let boot = match field(&os.fields, "boot_time") {
            Some(Value::Time(boot)) => Some(format!("{}, since {}", span(printer.now().since(boot)), moment(boot))),
            _ => figure(whole, "uptime_seconds")
                .known()
                .map(|seconds| span(Duration::try_from_secs_f64(seconds).unwrap_or_default())),
        };
        pair("up", boot.map_or_else(|| Cell::new("?", Style::Unknown), Cell::from));
    }
    let labels = groups(host);
    if !labels.is_empty() {
        pair("groups", labels.into());
    }
    let build = if host.build.is_empty() { "?".to_owned() } else { said(host.build.as_bytes()) };
    let since = moment(at(host.enrolled_ms));
    pair("agent", format!("{build}, enrolled {since}").into());
    if host.skew_ms.unsigned_abs() > 5_000 {
        let by = span(Duration::from_millis(host.skew_ms.unsigned_abs()));
        let way = if host.skew_ms > 0 { "ahead" } else { "behind" };
        pair("clock", Cell::new(format!("{by} {way} of the collector's"), Style::Warning));
    }
    if host.admission != "active" && !host.admission.is_empty() {
        pair("admission", Cell::new(host.admission.clone(), Style::Critical));
    }
    if printer.is_wide() {
        pair("id", super::super::hosts::id(host).into());
    }
    pairs
}

fn figures(whole: &HostPart, printer: &Printer) -> Table {
    let mut table = Table::new(&[column(""), column(""), column("").right(), column("").wraps()]).bare().indent(2);
    let width = bar_width(printer);
    let mut row = |name: &str, share: f64, text: String| {
        // Work that waits is no fault as such.
        let style = if share >= 2.0 { Style::Warning } else { Style::Plain };
        table.row([
            Cell::new(name, Style::Dim),
            Cell::new(bar(share, width), style),
            Cell::new(percent(share), style),
            text.into(),
        ]);
    };
    let cpus = whole.rows.iter().find(|row| row.table == "os").and_then(|os| match field(&os.fields, "cpus") {
        Some(Value::Int(cpus)) if cpus > 0 => Some(cpus),
        _ => None,
    });
    let loads: Vec<Figure> = ["load1", "load5", "load15"].iter().map(|name| figure(whole, name)).collect();
    if loads.iter().any(|load| *load != Figure::Untold) {
        let each = |load: &Figure| load.known().map_or_else(|| "?".to_owned(), |load| format!("{load:.2}"));
        let text = loads.iter().map(each).collect::<Vec<_>>().join(" ");
        match (loads[0].known(), cpus) {
            #[allow(clippy::cast_precision_loss)] // a number of processors
            (Some(load), Some(cpus)) => {
                let on = count(usize::try_from(cpus).unwrap_or(0), "processor", "processors");
                row("load", load / cpus as f64, format!("{text} on {on}"));
            }
            _ => table.row([Cell::new("load", Style::Dim), Cell::default(), Cell::default(), text.into()]),
        }
    }
    for (name, total, free, word) in [
        ("memory", "memory_total_bytes", "memory_available_bytes", "available"),
        ("swap", "swap_total_bytes", "swap_free_bytes", "free"),
    ] {
        let (total, free) = (figure(whole, total), figure(whole, free));
        match (total, free) {
            (Figure::Untold, _) => {}
            (Figure::Known(0.0), _) => {}
            (Figure::Known(total), Figure::Known(free)) => {
                let share = (total - free).max(0.0) / total;
                let text = format!("{} of {} used, {} {word}", bytes(total - free), bytes(total), bytes(free));
                let style = fullness(share);
                table.row([
                    Cell::new(name, Style::Dim),
                    Cell::new(bar(share, width), style),
                    Cell::new(percent(share), style),
                    text.into(),
                ]);
            }
            _ => table.row([
                Cell::new(name, Style::Dim),
                Cell::default(),
                Cell::new("?", Style::Unknown),
                Cell::default(),
            ]),
        }
    }
    table
}

/// The word for how a look ended, and how it is shown.
pub(super) fn outcome(watcher: &Watcher) -> (&'static str, Style) {
    match watcher.outcome() {
        Outcome::Done if watcher.problems.is_empty() => ("ok", Style::Good),
        Outcome::Done => ("partial", Style::Warning),
        Outcome::More => ("looking", Style::Plain),
        Outcome::Absent => ("absent", Style::Dim),
        Outcome::Failed | Outcome::Unspecified => ("failed", Style::Critical),
    }
}

fn watchers(whole: &HostPart, printer: &Printer) -> Table {
    let mut table = Table::new(&[column(""), column(""), column("").wraps()]).bare().indent(2);
    for watcher in &whole.watchers {
        let (word, style) = outcome(watcher);
        let looked = format!("looked {}", ago(at(watcher.at_ms), printer.now()));
        let text = match watcher.problems.len() {
            0 if word == "failed" => {
                let last = watcher.complete_ms.map_or_else(|| "never".to_owned(), |last| ago(at(last), printer.now()));
                format!("{looked}, last saw everything: {last}")
            }
            0 => looked,
            problems => format!("{looked}, {}", count(problems, "problem", "problems")),
        };
        table.row([watcher.name.clone().into(), Cell::new(word, style), text.into()]);
    }
    table
}

/// Everything that could not be read, why, and what would let it.
fn unknowns(whole: &HostPart) -> Table {
    let mut table = Table::new(&[column("").wraps(), column("").wraps()]).bare().indent(2);
    let mut row = |what: String, why: &str, hint: &str| {
        let why = said(why.as_bytes());
        let text = if hint.is_empty() { why } else { format!("{why}; {}", said(hint.as_bytes())) };
        table.row([Cell::new(format!("? {what}"), Style::Unknown), text.into()]);
    };
    for problem in whole.watchers.iter().flat_map(|watcher| &watcher.problems) {
        row(format!("{} {}", problem.table, said(&problem.path)).trim().to_owned(), &problem.error, &problem.hint);
    }
    // the same reason holds for many rows, where a host lets nobody see something: it is told once
    let mut alike: BTreeMap<(&str, &str, &str), Vec<&Row>> = BTreeMap::new();
    for fact in &whole.rows {
        for unknown in &fact.unknown {
            alike.entry((&fact.table, &unknown.column, &unknown.reason)).or_default().push(fact);
        }
    }
    for ((table, column, reason), rows) in alike {
        let keys = rows.iter().take(KEYS).map(|row| said(&row.key)).collect::<Vec<_>>();
        let what = match rows.len().saturating_sub(keys.len()) {
            0 if keys.len() == 1 => [table, &keys[0], column].join(" "),
            0 => format!("{table} {column}: {}", keys.join(", ")),
            more => format!("{table} {column}: {} and {more} more", keys.join(", ")),
        };
        row(what.trim().to_owned(), reason, "");
    }
    for sample in whole.samples.iter().filter(|sample| sample.value.is_none()) {
        let series = crate::cli::drift::series(sample.name.clone(), sample.labels.clone());
        row(series.to_string(), "could not be read", "");
    }
    table
}
