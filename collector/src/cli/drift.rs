//! `plumb drift`: what has drifted, since when, and why.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use plumb_proto::generated::model::{Label as SeriesLabel, Severity};
use plumb_proto::generated::query::subject::Kind as Of;
use plumb_proto::generated::query::{Drift, DriftsRequest, Host, HostsRequest, Subject};
use plumb_proto::model::Series;
use serde::Serialize;

use super::connect::Query;
use super::printer::table::{Cell, Table, column};
use super::printer::values::{at, said};
use super::printer::words::{ago, count, moment, span};
use super::printer::{Printer, Style};
use super::{DONE, FAILED, Only, state};

/// What has drifted, worst first: what, since when, expected and actual, likely cause, hint
#[derive(Args)]
#[command(
    after_help = "Examples:\n  plumb drift\n  plumb drift --group client=acme --severity warning\n  plumb drift \
                  --host web-1 --all\n  plumb drift --exit-code --severity critical || echo look"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    only: Only,
    /// Of this kind only
    #[arg(long, value_parser = ["changed", "policy", "silent"])]
    kind: Option<String>,
    /// At least this bad
    #[arg(long, value_parser = ["info", "warning", "critical"])]
    severity: Option<String>,
    /// Those that are over, too
    #[arg(long)]
    all: bool,
    /// Exit with 1 if there is any open drift among them
    #[arg(long)]
    exit_code: bool,
}

/// A drift as `drift --json` and every alert print it.
#[derive(Serialize)]
pub struct DriftJson {
    id: String,
    host: String,
    kind: String,
    severity: &'static str,
    subject: SubjectJson,
    title: String,
    expected: Option<String>,
    actual: Option<String>,
    since: String,
    state: String,
    silenced: bool,
    unknown: Option<String>,
    rule: String,
    cause: Option<String>,
    hint: Option<String>,
    change_set: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum SubjectJson {
    Row { table: String, key: String, field: Option<String> },
    Series { series: String },
    Watcher { watcher: String },
    Host {},
}

impl From<&Drift> for DriftJson {
    fn from(drift: &Drift) -> Self {
        Self {
            id: drift.id.to_string(),
            host: drift.host.clone(),
            kind: drift.kind.clone(),
            severity: severity(drift.severity()).0,
            subject: subject(drift.subject.as_ref()),
            title: drift.title.clone(),
            expected: drift.expected.clone(),
            actual: drift.actual.clone(),
            since: at(drift.since_ms).to_string(),
            state: drift.state.clone(),
            silenced: drift.silenced,
            unknown: drift.unknown.clone(),
            rule: drift.rule.clone(),
            cause: drift.cause.clone(),
            hint: drift.hint.clone(),
            change_set: None,
        }
    }
}

pub(super) fn subject(subject: Option<&Subject>) -> SubjectJson {
    match subject.and_then(|subject| subject.kind.clone()) {
        Some(Of::Row(row)) => SubjectJson::Row { table: row.table, key: said(&row.key), field: row.field },
        Some(Of::Series(of)) => SubjectJson::Series { series: series(of.name, of.labels).to_string() },
        Some(Of::Watcher(watcher)) => SubjectJson::Watcher { watcher },
        Some(Of::Host(_)) | None => SubjectJson::Host {},
    }
}

/// A series of the wire.
pub(super) fn series(name: String, labels: Vec<SeriesLabel>) -> Series {
    let labels: BTreeMap<_, _> = labels.into_iter().map(|label| (label.name, label.value.into())).collect();
    Series { name, labels }
}

/// The word for a severity, and how it is shown.
pub(super) fn severity(severity: Severity) -> (&'static str, Style) {
    match severity {
        Severity::Critical => ("critical", Style::Critical),
        Severity::Warning => ("warning", Style::Warning),
        Severity::Info | Severity::Unspecified => ("info", Style::Plain),
    }
}

/// The severity of a word that clap has checked.
fn parse(word: &str) -> Severity {
    match word {
        "critical" => Severity::Critical,
        "warning" => Severity::Warning,
        _ => Severity::Info,
    }
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<u8> {
    let narrowed = arguments.only.host.is_some()
        || !arguments.only.group.is_empty()
        || arguments.kind.is_some()
        || arguments.severity.is_some();
    let request = DriftsRequest {
        host: arguments.only.host.unwrap_or_default(),
        groups: arguments.only.group,
        kind: arguments.kind.unwrap_or_default(),
        severity: arguments.severity.as_deref().map_or(Severity::Unspecified, parse).into(),
        all: arguments.all,
    };
    let drifts = query.drifts(request).await?;
    print(&drifts, printer)?;
    if drifts.is_empty() && !printer.is_json() {
        match narrowed {
            true => printer.note("No drift matches.")?,
            false => nothing(&query.hosts(HostsRequest::default()).await?, printer)?,
        }
    }
    let open = drifts.iter().any(|drift| is_open(drift) && !drift.silenced);
    Ok(if arguments.exit_code && open { FAILED } else { DONE })
}

fn is_open(drift: &Drift) -> bool {
    drift.state == "open"
}

/// No drift is good news only where everything could be seen.
fn nothing(hosts: &[Host], printer: &mut Printer) -> Result<()> {
    let dark: Vec<&Host> = hosts.iter().filter(|host| !matches!(state(host).0, "ok" | "drifting")).collect();
    match (hosts.len(), dark.as_slice()) {
        (0, _) => {
            printer.note("No host has enrolled yet. `plumb-collector token create` prints the line to paste on one.")
        }
        (all, []) => printer.note(format!("No open drift on {}.", count(all, "host", "hosts"))),
        (all, [one]) => printer.note(format!(
            "No open drift on {}, but not everything is known: {} is {} ({}). See: plumb host {}",
            count(all, "host", "hosts"),
            one.name,
            state(one).0,
            one.reason,
            one.name
        )),
        (all, dark) => printer.note(format!(
            "No open drift on {}, but not everything is known: {} of them are unknown or silent. See: plumb hosts",
            count(all, "host", "hosts"),
            dark.len()
        )),
    }
}

fn print(drifts: &[Drift], printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(drifts.iter().map(DriftJson::from));
    }
    if printer.width().is_none() {
        return lines(drifts, printer);
    }
    for (position, drift) in drifts.iter().enumerate() {
        if position > 0 {
            printer.line("")?;
        }
        block(drift, printer, true)?;
    }
    Ok(())
}

/// A line a drift, for `grep` and the like.
fn lines(drifts: &[Drift], printer: &mut Printer) -> Result<()> {
    let mut table = Table::new(&[
        column("ID").right(),
        column("SEVERITY"),
        column("STATE"),
        column("HOST"),
        column("KIND"),
        column("SINCE"),
        column("WHAT"),
        column("EXPECTED"),
        column("ACTUAL"),
    ]);
    for drift in drifts {
        let text = |text: &Option<String>| Cell::from(text.clone().unwrap_or_else(|| "-".to_owned()));
        table.row([
            drift.id.to_string().into(),
            severity(drift.severity()).0.into(),
            told_state(drift).into(),
            drift.host.clone().into(),
            drift.kind.clone().into(),
            at(drift.since_ms).to_string().into(),
            drift.title.clone().into(),
            text(&drift.expected),
            text(&drift.actual),
        ]);
    }
    if drifts.is_empty() { Ok(()) } else { printer.table(&table) }
}

/// The state in a word or a few.
fn told_state(drift: &Drift) -> String {
    let silenced = if drift.silenced { ", silenced" } else { "" };
    let unknown = if drift.unknown.is_some() && is_open(drift) { ", unknown" } else { "" };
    format!("{}{unknown}{silenced}", drift.state)
}

/// A drift for reading: what, then since when and why. `host`: say whose.
pub(super) fn block(drift: &Drift, printer: &mut Printer, host: bool) -> Result<()> {
    let (word, style) = severity(drift.severity());
    let word = format!("{:<8}", word.to_uppercase());
    let id = format!("#{}", drift.id);
    let head: &[(&str, Style)] =
        if host { &[(&word, style), ("  ", Style::Plain), (&drift.host, Style::Bold)] } else { &[(&word, style)] };
    printer.ends(head, &format!("{} {id}", drift.kind))?;
    let mut pairs = Table::new(&[column("").wraps()]).bare().indent(2);
    pairs.row([Cell::new(drift.title.clone(), Style::Bold)]);
    printer.table(&pairs)?;
    let mut pairs = Table::pairs();
    let mut pair = |name: &str, value: Cell| pairs.row([Cell::new(name, Style::Dim), value]);
    if let Some(expected) = &drift.expected {
        pair("expected", expected.clone().into());
    }
    if let Some(actual) = &drift.actual {
        pair("actual", actual.clone().into());
    }
    pair("since", since(drift, printer).into());
    if !is_open(drift) {
        let closed = drift.closed_ms.map(|closed| format!(", {}", ago(at(closed), printer.now()))).unwrap_or_default();
        pair("state", Cell::new(format!("{}{closed}", drift.state), Style::Good));
    }
    if let Some(why) = &drift.unknown {
        pair("unknown", Cell::new(format!("? {why}"), Style::Unknown));
    }
    if drift.silenced {
        pair("silenced", "yes".into());
    }
    // What to do is of no use once it is over.
    let hint = drift.hint.as_ref().filter(|_| is_open(drift));
    for (name, text) in [("cause", drift.cause.as_ref()), ("hint", hint), ("note", drift.note.as_ref())] {
        if let Some(text) = text {
            pair(name, text.clone().into());
        }
    }
    printer.table(&pairs)
}

fn since(drift: &Drift, printer: &Printer) -> String {
    let since = at(drift.since_ms);
    let end = drift.closed_ms.map_or(printer.now(), at);
    let long = span(end.since(since).max(Duration::from_secs(1)));
    match (printer.is_wide(), drift.closed_ms) {
        (true, None) => format!("{long}, from {} on", moment(since)),
        (true, Some(_)) => format!("{long}, from {} to {}", moment(since), moment(end)),
        (false, None) => format!("{long} ({})", moment(since)),
        (false, Some(_)) => format!("{}, for {long}", moment(since)),
    }
}

#[cfg(test)]
pub(super) mod tests;
