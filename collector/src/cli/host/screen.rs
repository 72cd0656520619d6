//! One host on one screen. What could not be read is a `?` with its reason, never a blank that looks like fine.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::generated::model::Outcome;
use plumb_proto::generated::query::{Host, HostPart, Row, Watcher};
use plumb_proto::model::Value;

use super::figures::{Figure, Space, figure, spaces};
use super::groups;
use crate::cli::drift::block;
use crate::cli::hosts::fullness;
use crate::cli::printer::bar::{bar, percent};
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::{at, field, said};
use crate::cli::printer::words::{ago, bytes, count, moment, span};
use crate::cli::printer::{Printer, Style};
use crate::cli::{events, state};

/// Tables that have a part of the screen of their own.
const SHOWN: [&str; 3] = ["os", "mount", "php"];

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

/// A column as text; one that could not be read as `?`.
fn told(row: &Row, name: &str) -> Option<String> {
    if row.unknown.iter().any(|each| each.column == name) {
        return Some("?".to_owned());
    }
    field(&row.fields, name).map(|value| crate::cli::printer::values::shown(name, &value))
}

fn bar_width(printer: &Printer) -> usize {
    if printer.is_wide() { 30 } else { 14 }
}

fn figures(whole: &HostPart, printer: &Printer) -> Table {
    let mut table = Table::new(&[column(""), column(""), column("").right(), column("").wraps()]).bare().indent(2);
    let width = bar_width(printer);
    let mut row = |name: &str, share: f64, text: String| {
        let style = fullness(share);
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

fn disks(whole: &HostPart, printer: &Printer) -> Table {
    let spaces = spaces(whole);
    let mounts: BTreeMap<&[u8], &Row> =
        whole.rows.iter().filter(|row| row.table == "mount").map(|row| (row.key.as_slice(), row)).collect();
    let mut table = Table::new(&[
        column("").wraps(),
        column(""),
        column("").right(),
        column("").wraps(),
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
                let size = space.size.known().map_or_else(|| "?".to_owned(), bytes);
                let used = space.used.known().map_or_else(|| "?".to_owned(), bytes);
                let inodes = space.inode_share().map(|share| format!("inodes {}", percent(share)));
                table.row([
                    name,
                    Cell::new(bar(share, bar_width(printer)), style),
                    Cell::new(percent(share), style),
                    format!("{used} of {size}").into(),
                    inodes.unwrap_or_default().into(),
                    [fstype.as_str(), read_only].join(" ").trim().to_owned().into(),
                    device.into(),
                ]);
            }
            _ => {
                let why = reason(row).unwrap_or_else(|| "no size told".to_owned());
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

/// Why something of a row is not known; the row as such first.
fn reason(row: &Row) -> Option<String> {
    let whole = row.unknown.iter().find(|each| each.column.is_empty());
    whole.or_else(|| row.unknown.first()).map(|each| said(each.reason.as_bytes()))
}

fn php(whole: &HostPart) -> Table {
    let mut table = Table::new(&[column(""), column(""), column("").wraps(), column("").wraps(), column("").spare(1)])
        .bare()
        .indent(2);
    for row in whole.rows.iter().filter(|row| row.table == "php") {
        let text = |name: &str| told(row, name).unwrap_or_default();
        let version = match told(row, "version") {
            Some(version) if version != "?" => Cell::new(version, Style::Bold),
            _ => Cell::new("?", Style::Unknown),
        };
        let package = match (told(row, "package"), told(row, "package_version")) {
            (Some(package), Some(version)) => format!("{package} {version}"),
            (Some(package), None) => package,
            (None, _) => "no package".to_owned(),
        };
        let patched = match text("provenance").as_str() {
            "" => String::new(),
            "self-built" => "patched by nobody but you".to_owned(),
            "?" => "? who patches it".to_owned(),
            provenance => format!("patched by {provenance}"),
        };
        let running = match field(&row.fields, "running") {
            Some(Value::Bool(true)) => "running",
            Some(Value::Bool(false)) => "not running",
            _ => "",
        };
        table.row([said(&row.key).into(), version, package.into(), patched.into(), running.into()]);
    }
    table
}

/// Tables without a part of their own: how many rows. A new watcher needs no new screen.
fn others(whole: &HostPart, printer: &Printer) -> Table {
    let mut tables: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for row in whole.rows.iter().filter(|row| !SHOWN.contains(&row.table.as_str())) {
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
    for fact in &whole.rows {
        for unknown in &fact.unknown {
            let what = [fact.table.as_str(), &said(&fact.key), &unknown.column].join(" ");
            row(what.trim().to_owned(), &unknown.reason, "");
        }
    }
    for sample in whole.samples.iter().filter(|sample| sample.value.is_none()) {
        let series = crate::cli::drift::series(sample.name.clone(), sample.labels.clone());
        row(series.to_string(), "could not be read", "");
    }
    table
}
