//! `plumb calendar`: what ends its support or expires within the next months, over the fleet, and what is over already and
//! still in use.

mod entries;

use anyhow::Result;
use clap::Args;
use plumb_proto::generated::query::{FactsRequest, Row};
use plumb_proto::time::Timestamp;
use serde::Serialize;

use super::Only;
use super::connect::Query;
use super::printer::table::{Cell, Table, column};
use super::printer::words::{count, day};
use super::printer::{Printer, Style};
use entries::{Calendar, Entry, Kind};

/// Names of hosts that are shown of one entry on a narrow and on a wide screen; a pipe gets all.
const HOSTS: (usize, usize) = (2, 5);
/// What is so near is shown as a warning.
const NEAR: i64 = 30;

/// What ends its support or expires in the next twelve months, and what is over already and still in use
///
/// Support is judged by who patches each program (`plumb schema support`). A certificate that renews itself, and has not
/// missed a run, is listed when less than a third of its time is left.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  plumb calendar\n  plumb calendar --months 3 --group client=acme\n  plumb calendar \
                        --json | jq '.[] | select(.state == \"over\") | .subject'"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    only: Only,
    /// How many months ahead
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
}

/// An entry as `calendar --json` prints it.
#[derive(Serialize)]
struct EntryJson<'a> {
    /// The last moment; none: it is over, and the day is not known.
    date: Option<String>,
    /// Whole days until then, negative once it is over.
    days_left: Option<i64>,
    /// `over` or `due`.
    state: &'static str,
    /// `support` or `certificate`.
    kind: &'static str,
    subject: &'a str,
    what: &'a str,
    hosts: Vec<&'a str>,
    items: Vec<ItemJson<'a>>,
}

#[derive(Serialize)]
struct ItemJson<'a> {
    host: &'a str,
    table: &'a str,
    key: &'a str,
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let Only { host, group } = arguments.only;
    let mut tables: [Vec<Row>; 3] = Default::default();
    for (rows, table) in tables.iter_mut().zip(["support", "certificate", "certificate_renewal"]) {
        let request = FactsRequest {
            table: table.to_owned(),
            host: host.clone().unwrap_or_default(),
            groups: group.clone(),
            ..FactsRequest::default()
        };
        *rows = query.facts(request).await?.0;
    }
    let [support, certificates, renewals] = tables;
    let calendar = Calendar::of(&support, &certificates, &renewals, printer.now(), arguments.months);
    print(&calendar, arguments.months, printer)
}

fn print(calendar: &Calendar, months: u32, printer: &mut Printer) -> Result<()> {
    let now = printer.now();
    if printer.is_json() {
        return printer.json_rows(calendar.entries.iter().map(|entry| json(entry, now)));
    }
    let (over, due): (Vec<&Entry>, Vec<&Entry>) = calendar.entries.iter().partition(|entry| entry.is_over(now));
    let ahead = format!("In the next {}", count(months as usize, "month", "months"));
    let mut is_first = true;
    for (title, entries) in [("Over since", over), (ahead.as_str(), due)] {
        if entries.is_empty() {
            continue;
        }
        if !is_first {
            printer.line("")?;
        }
        is_first = false;
        printer.line(printer.styled(title, Style::Bold))?;
        let table = table(&entries, printer);
        printer.table(&table)?;
    }
    if is_first {
        printer.note(format!(
            "Nothing ends its support or expires in the next {}.",
            count(months as usize, "month", "months")
        ))?;
    }
    match calendar.untold {
        0 => Ok(()),
        untold => {
            let programs = count(untold, "program is", "programs are");
            printer.note(format!("{programs} not in it: support is not judged or not known."))?;
            printer.note("`plumb facts support` says why.")
        }
    }
}

fn table(entries: &[&Entry], printer: &Printer) -> Table {
    let columns = [column(""), column("").right(), column("").wraps(), column("").wraps().least(16)];
    let mut table = Table::new(&columns).bare().indent(2);
    for entry in entries {
        let days = entry.days_left(printer.now());
        let style = match days {
            Some(days) if days > NEAR => Style::Plain,
            Some(days) if days >= 0 => Style::Warning,
            _ => Style::Critical,
        };
        let away = match days {
            None => String::new(),
            Some(0) => "today".to_owned(),
            Some(days) if days < 0 => format!("{} ago", count(days.unsigned_abs() as usize, "day", "days")),
            Some(days) => format!("in {}", count(days.unsigned_abs() as usize, "day", "days")),
        };
        let date = entry.date.map_or_else(|| "not known".to_owned(), day);
        table.row([
            Cell::new(date, style),
            Cell::new(away, style),
            format!("{}: {}", entry.subject, entry.what(printer.now())).into(),
            Cell::new(hosts(&entry.hosts(), printer), Style::Bold),
        ]);
    }
    table
}

/// The first names, and how many there are besides.
fn hosts(names: &[&str], printer: &Printer) -> String {
    let shown = match printer.width() {
        None => names.len(),
        Some(_) if printer.is_wide() => HOSTS.1,
        Some(_) => HOSTS.0,
    };
    let first = names.iter().take(shown).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(shown) {
        0 => first,
        more => format!("{first} (+{more})"),
    }
}

fn json(entry: &Entry, now: Timestamp) -> EntryJson<'_> {
    EntryJson {
        date: entry.date.map(|date| date.to_string()),
        days_left: entry.days_left(now),
        state: if entry.is_over(now) { "over" } else { "due" },
        kind: match entry.kind {
            Kind::Support => "support",
            Kind::Certificate => "certificate",
        },
        subject: &entry.subject,
        what: entry.what(now),
        hosts: entry.hosts(),
        items: entry
            .items
            .iter()
            .map(|item| ItemJson { host: &item.host, table: &item.table, key: &item.key })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
