//! `plumb changes`: what has changed, and when, as change sets.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use plumb_proto::generated::model as wire;
use plumb_proto::generated::query::{Change, ChangeSet, ChangesRequest};
use plumb_proto::time::Timestamp;
use plumb_proto::wire::value_from_wire;
use serde::Serialize;
use serde_json::Value;

use super::connect::Query;
use super::events::since;
use super::label;
use super::printer::table::{Cell, Table, column};
use super::printer::values::{at, json, said, shown};
use super::printer::words::{ago, moment};
use super::printer::{Printer, Style};

/// How many sets people are shown if they do not ask for a number.
const SHOWN: u32 = 100;
/// How many items of a set.
const ITEMS: usize = 50;

/// Everything that changed, newest last: rows that came, went or differ, and files; what belongs together on one line
///
/// ACTOR is `?` where nobody is known who did it. The ID is for `plumb approve --change-set ID`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  plumb changes\n  plumb changes web-1 --since 2h --items\n  plumb changes --since \
                        2026-11-21T10:00:00Z --json"
)]
pub(super) struct Arguments {
    /// Name of the host [default: all]
    host: Option<String>,
    /// Not before: a time span such as 2h or 7d, or a moment such as 2026-11-21T10:00:00Z
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// The newest N only [default: 100; with --json 1000, which is the most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: Option<u32>,
    /// Show what is in each set
    #[arg(long, short = 'v')]
    items: bool,
    /// Of hosts with this label only; may be given more than once
    #[arg(long, value_name = "K=V", value_parser = label)]
    group: Vec<plumb_proto::generated::query::Label>,
}

/// A set as `changes --json` prints it.
#[derive(Serialize)]
struct SetJson {
    id: String,
    host: String,
    start: String,
    end: String,
    actor: String,
    summary: String,
    counts: BTreeMap<String, u64>,
    items: Vec<ItemJson>,
    left_out: u64,
}

#[derive(Serialize)]
struct ItemJson {
    time: String,
    table: String,
    key: String,
    field: Option<String>,
    how: String,
    was: Option<Value>,
    is: Option<Value>,
    tree: Option<String>,
    count: u64,
}

impl From<&ChangeSet> for SetJson {
    fn from(set: &ChangeSet) -> Self {
        Self {
            id: set.id.clone(),
            host: set.host.clone(),
            start: at(set.start_ms).to_string(),
            end: at(set.end_ms).to_string(),
            actor: set.actor.clone(),
            summary: set.summary.clone(),
            counts: set.counts.iter().map(|each| (each.kind.clone(), each.number)).collect(),
            items: set.items.iter().map(ItemJson::from).collect(),
            left_out: set.left_out,
        }
    }
}

impl From<&Change> for ItemJson {
    fn from(item: &Change) -> Self {
        let value = |value: &Option<wire::Value>| value_from_wire(value.clone()).ok().map(|value| json(&value));
        Self {
            time: at(item.at_ms).to_string(),
            table: item.table.clone(),
            key: said(&item.key),
            field: item.field.clone(),
            how: item.how.clone(),
            was: value(&item.was),
            is: value(&item.is),
            tree: Some(said(&item.tree)).filter(|tree| !tree.is_empty()),
            count: item.count,
        }
    }
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let since = since(&arguments.since, printer.now())?;
    let request = ChangesRequest {
        host: arguments.host.clone().unwrap_or_default(),
        groups: arguments.group,
        since_ms: Some(since.millis()),
        limit: arguments.limit.unwrap_or(if printer.is_json() { 0 } else { SHOWN }),
    };
    let (sets, cut) = query.changes(request).await?;
    print(&sets, arguments.host.as_deref(), arguments.items, printer)?;
    if cut && arguments.limit.is_none() {
        let newest = sets.len();
        printer.note(format!("These are the newest {newest}; there are older ones: --limit N or a host's name."))?;
    }
    Ok(())
}

fn print(sets: &[ChangeSet], host: Option<&str>, items: bool, printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(sets.iter().map(SetJson::from));
    }
    if sets.is_empty() {
        return printer.note("Nothing has changed in this time.");
    }
    if !items {
        let table = table(sets, host.is_none(), printer);
        printer.table(&table)?;
        return match table.left_out(printer.width()) {
            0 => Ok(()),
            _ => printer.note("Not everything has room: --items, a wider terminal or --json shows it."),
        };
    }
    for (position, set) in sets.iter().enumerate() {
        if position > 0 {
            printer.line("")?;
        }
        whole(set, printer)?;
    }
    Ok(())
}

fn when(set: &ChangeSet, printer: &Printer) -> String {
    let (start, end) = (at(set.start_ms), at(set.end_ms));
    match printer.width() {
        None => end.to_string(),
        Some(_) if printer.is_wide() => span(start, end),
        Some(_) => ago(end, printer.now()),
    }
}

/// A moment, or the time from one to the other.
fn span(start: Timestamp, end: Timestamp) -> String {
    let (from, to) = (moment(start), moment(end));
    if from == to {
        return to;
    }
    // The day is told once if both are of the same.
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((day, from)), Some((other, to))) if day == other => {
            format!("{day} {} to {to}", from.trim_end_matches(" UTC"))
        }
        _ => format!("{from} to {to}"),
    }
}

fn actor(set: &ChangeSet) -> Cell {
    match set.actor.as_str() {
        "unknown" | "" => Cell::new("?", Style::Unknown),
        known => Cell::new(known, Style::Good),
    }
}

fn table(sets: &[ChangeSet], with_host: bool, printer: &Printer) -> Table {
    let host = if with_host { "HOST" } else { "" };
    let mut table = Table::new(&[
        column("WHEN"),
        column(host).spare(1),
        column("ACTOR").spare(2),
        column("WHAT").wraps(),
        column("ID").spare(3),
    ]);
    for set in sets {
        table.row([
            Cell::new(when(set, printer), Style::Dim),
            if with_host { Cell::new(set.host.clone(), Style::Bold) } else { Cell::default() },
            actor(set),
            set.summary.clone().into(),
            Cell::new(set.id.clone(), Style::Dim),
        ]);
    }
    table
}

/// A set with what is in it.
fn whole(set: &ChangeSet, printer: &mut Printer) -> Result<()> {
    let who = match set.actor.as_str() {
        "unknown" | "" => "by: not known",
        known => known,
    };
    let left = format!("{}  {}", set.host, when(set, printer));
    printer.ends(&[(&left, Style::Bold), ("  ", Style::Plain), (who, Style::Dim)], &set.id)?;
    let mut table = Table::pairs();
    for item in set.items.iter().take(ITEMS) {
        let key = said(&item.key);
        let what = match &item.field {
            Some(field) => format!("{} {key} {field}", item.table),
            None if item.table == "file" => key,
            None => format!("{} {key}", item.table),
        };
        table.row([what.into(), change(item).into()]);
    }
    printer.table(&table)?;
    let unshown = set.items.len().saturating_sub(ITEMS);
    match (unshown as u64).saturating_add(set.left_out) {
        0 => Ok(()),
        more if unshown == 0 => printer.line(format!("  and {more} more")),
        more => printer.line(format!("  and {more} more: --json")),
    }
}

/// What happened to one thing.
fn change(item: &Change) -> String {
    let Some(field) = &item.field else {
        return if item.count > 1 { format!("{} {}", item.count, item.how) } else { item.how.clone() };
    };
    let value = |value: &Option<wire::Value>| match value_from_wire(value.clone()) {
        Ok(value) => shown(field, &value),
        Err(_) => "not set".to_owned(),
    };
    format!("{} -> {}", value(&item.was), value(&item.is))
}

#[cfg(test)]
mod tests;
