//! `once`: what is on this host, now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use plumb_proto::model::Fact;
use plumb_proto::time::SystemClock;
use serde::Serialize;

use super::gather::{Seen, gather};
use super::table::{Table, pair, wrap};
use super::terminal::{Style, Terminal};
use super::{Done, json, units};
use crate::config::Config;
use crate::host::Host;
use crate::status::Problem;
use crate::watcher::Spec;

/// How to look once.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Only this watcher looks.
    #[arg(long, value_name = "NAME")]
    watcher: Option<String>,
}

/// Why it could not.
pub(super) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// Something else is.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

pub(super) fn run(args: &Args, root: &Path, specs: &[Spec], terminal: &Terminal) -> Result<Done, Failure> {
    let wanted = |spec: &&Spec| args.watcher.as_ref().is_none_or(|name| name == spec.name);
    let chosen: Vec<Spec> = specs.iter().filter(wanted).copied().collect();
    if let Some(name) = args.watcher.as_ref().filter(|_| chosen.is_empty()) {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
        return Err(Failure::Usage(format!("there is no watcher {name}; there are {}", names.join(", "))));
    }
    let host = Host::new(root, Arc::new(SystemClock::new()));
    host.check()?;
    let seen = gather(&host, Config::defaults(&chosen)?.assigned()?);
    let text = if args.json { json::document(&Document::of(&host, &seen))? } else { page(&host, &seen, terminal) };
    terminal.print(&text)?;
    Ok(Done::Well)
}

#[derive(Serialize)]
struct Document<'a> {
    host: About,
    facts: Vec<Row<'a>>,
    samples: Vec<Sample<'a>>,
    events: Vec<Happened<'a>>,
    problems: &'a [Problem],
}

#[derive(Serialize)]
struct About {
    name: Option<String>,
    os: Option<String>,
    version: Option<String>,
    kernel: Option<String>,
    arch: Option<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    table: &'a str,
    key: String,
    fields: BTreeMap<&'a str, serde_json::Value>,
    unknown: &'a BTreeMap<String, String>,
    source: String,
}

#[derive(Serialize)]
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: f64,
    time: String,
}

#[derive(Serialize)]
struct Happened<'a> {
    time: String,
    kind: &'a str,
    severity: &'a str,
    text: String,
    fields: BTreeMap<&'a str, serde_json::Value>,
    count: u64,
}

impl<'a> Document<'a> {
    fn of(host: &Host, seen: &'a Seen) -> Self {
        fn fields(fields: &BTreeMap<String, plumb_proto::model::Value>) -> BTreeMap<&str, serde_json::Value> {
            fields.iter().map(|(name, value)| (name.as_str(), json::value(value))).collect()
        }
        let row = |(table, fact): &'a (&'static crate::watcher::Table, Fact)| Row {
            table: table.name,
            key: json::text(&fact.key),
            fields: fields(&fact.fields),
            unknown: &fact.unknown,
            source: json::text(&fact.source),
        };
        Self {
            host: About {
                name: host.name(),
                os: seen.os("name"),
                version: seen.os("version"),
                kernel: seen.os("kernel"),
                arch: seen.os("arch"),
            },
            facts: seen.facts.iter().map(row).collect(),
            samples: seen
                .samples
                .iter()
                .map(|(series, value, time)| Sample {
                    name: &series.name,
                    labels: series.labels.iter().map(|(label, value)| (label.as_str(), json::text(value))).collect(),
                    value: *value,
                    time: time.to_string(),
                })
                .collect(),
            events: seen
                .events
                .iter()
                .map(|event| Happened {
                    time: event.at.to_string(),
                    kind: &event.kind,
                    severity: event.severity.as_str(),
                    text: json::text(&event.text),
                    fields: fields(&event.fields),
                    count: event.count,
                })
                .collect(),
            problems: &seen.problems,
        }
    }
}

/// All of it for people.
fn page(host: &Host, seen: &Seen, terminal: &Terminal) -> String {
    let mut text = headline(host, seen, terminal);
    let tables: BTreeSet<&str> = seen.facts.iter().map(|(table, _)| table.name).collect();
    for name in tables {
        text += &facts(name, seen, terminal);
    }
    text += &samples(seen, terminal);
    if !seen.events.is_empty() {
        let mut table = Table::new(["time", "severity", "kind", "text", ">count"]);
        for event in &seen.events {
            let severity = event.severity.as_str().to_owned();
            let text = event.text.to_string();
            table.row(vec![event.at.to_string(), severity, event.kind.clone(), text, event.count.to_string()]);
        }
        text += &format!("\n{}\n{}", terminal.paint("events", Style::Heading), table.render(terminal));
    }
    text + &problems(&seen.problems, terminal)
}

fn headline(host: &Host, seen: &Seen, terminal: &Terminal) -> String {
    let name = host.name().map(|name| plumb_proto::untrusted::Untrusted::from(name).to_string());
    let name = terminal.paint(name.as_deref().unwrap_or("a host without a name"), Style::Heading);
    let system = [seen.os("name"), seen.os("version")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let parts = [Some(system).filter(|system| !system.is_empty()), seen.os("kernel"), seen.os("arch")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let about = if parts.is_empty() { String::new() } else { format!("  {}", parts.join(", ")) };
    format!("{name}{about}\n")
}

fn facts(name: &str, seen: &Seen, terminal: &Terminal) -> String {
    let rows: Vec<(&'static crate::watcher::Table, &Fact)> =
        seen.facts.iter().filter(|(table, _)| table.name == name).map(|(table, fact)| (*table, fact)).collect();
    let Some((declared, first)) = rows.first() else { return String::new() };
    let said = |column: &str| {
        rows.iter().any(|(_, fact)| fact.fields.contains_key(column) || fact.unknown.contains_key(column))
    };
    let columns: Vec<&str> = declared.columns.iter().map(|column| column.name).filter(|column| said(column)).collect();
    let cell = |fact: &Fact, column: &str| match fact.fields.get(column) {
        Some(value) => units::value(column, value),
        None if fact.unknown.contains_key(column) || fact.unknown.contains_key("") => "?".to_owned(),
        None => String::new(),
    };
    let count = if rows.len() == 1 { String::new() } else { format!("  {} rows", rows.len()) };
    let mut text = format!("\n{}{}\n", terminal.paint(name, Style::Heading), terminal.paint(&count, Style::Dim));
    if rows.len() == 1 {
        let room = columns.iter().map(|column| column.len()).max().unwrap_or(0);
        if first.key.as_bytes() != name.as_bytes() {
            text += &format!("  {}\n", first.key);
        }
        columns.iter().for_each(|column| text += &pair(column, &cell(first, column), room, terminal));
    } else {
        let is_number = |column: &&str| column.ends_with("_bytes");
        let marked: Vec<String> =
            columns.iter().map(|column| format!("{}{column}", if is_number(column) { ">" } else { "" })).collect();
        let mut table = Table::new(std::iter::once("key").chain(marked.iter().map(String::as_str)));
        for (_, fact) in &rows {
            let key = std::iter::once(fact.key.to_string());
            table.row(key.chain(columns.iter().map(|column| cell(fact, column))).collect());
        }
        text += &table.render(terminal);
    }
    text + &unknowns(&rows.iter().map(|(_, fact)| *fact).collect::<Vec<_>>(), terminal)
}

/// Why each `?` is one; the same reason is told once.
fn unknowns(rows: &[&Fact], terminal: &Terminal) -> String {
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (column, reason) in rows.iter().flat_map(|fact| &fact.unknown) {
        reasons.entry(reason).or_default().insert(if column.is_empty() { "row" } else { column });
    }
    let mut text = String::new();
    for (reason, columns) in reasons {
        let columns: Vec<&str> = columns.into_iter().collect();
        let reason = plumb_proto::untrusted::Untrusted::from(reason);
        let line = format!("? {}: {reason}", columns.join(", "));
        let width = terminal.width.map_or(usize::MAX, |width| width.saturating_sub(4).max(20));
        for (number, line) in wrap(&line, width).iter().enumerate() {
            text += &format!("  {}{}\n", if number == 0 { "" } else { "  " }, terminal.paint(line, Style::Warning));
        }
    }
    text
}

fn samples(seen: &Seen, terminal: &Terminal) -> String {
    if seen.samples.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["series", "labels", ">value"]);
    // Series of one name together, in the order in which the names came.
    let mut names: Vec<&str> = Vec::new();
    seen.samples.iter().for_each(|(series, ..)| {
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    });
    for name in names {
        let mut shown = name;
        for (series, value, _) in seen.samples.iter().filter(|(series, ..)| series.name == name) {
            let labels: Vec<String> = series.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
            table.row(vec![std::mem::take(&mut shown).to_owned(), labels.join(" "), units::sample(name, *value)]);
        }
    }
    format!("\n{}\n{}", terminal.paint("samples", Style::Heading), table.render(terminal))
}

/// What could not be seen, and what would help.
pub(super) fn problems(problems: &[Problem], terminal: &Terminal) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", terminal.paint("problems", Style::Heading));
    let room = problems.iter().map(|problem| problem.watcher.len()).max().unwrap_or(0);
    for problem in problems {
        // A path is often in the error already.
        let what = if problem.error.contains(&problem.subject) {
            problem.error.clone()
        } else {
            format!("{}: {}", problem.subject, problem.error)
        };
        text += &pair(&problem.watcher, &what, room, terminal);
        if !problem.hint.is_empty() {
            text += &pair("", &format!("-> {}", problem.hint), room, terminal);
        }
    }
    text
}
