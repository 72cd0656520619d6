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
mod tests {
    use plumb_proto::generated::query::Count;
    use plumb_proto::wire::value_to_wire;

    use super::*;
    use crate::cli::printer::testing::{NOW, printed, screen};

    fn set(id: &str, host: &str, seconds: i64, summary: &str) -> ChangeSet {
        ChangeSet {
            id: id.to_owned(),
            host: host.to_owned(),
            start_ms: NOW.millis() - seconds * 1000 - 40_000,
            end_ms: NOW.millis() - seconds * 1000,
            actor: "unknown".to_owned(),
            summary: summary.to_owned(),
            ..ChangeSet::default()
        }
    }

    fn sets() -> Vec<ChangeSet> {
        let mut upgrade = set("3f2a90c14be7", "web-1.example.org", 7_300, "version of php fpm/8.2: 8.2.29 -> 8.2.30");
        upgrade.actor = "package manager".to_owned();
        upgrade.counts = vec![Count { kind: "php_changed".to_owned(), number: 1 }];
        let version = |text: &str| Some(value_to_wire(&plumb_proto::model::Value::Version(text.into())));
        upgrade.items.push(Change {
            at_ms: upgrade.start_ms,
            table: "php".to_owned(),
            key: b"fpm/8.2".to_vec(),
            field: Some("version".to_owned()),
            how: "changed".to_owned(),
            was: version("8.2.29"),
            is: version("8.2.30"),
            tree: Vec::new(),
            count: 1,
        });
        let summary = "service smtp added; files in /var/www/shop.example.org/current: 12 added, 5000 changed";
        let mut deploy = set("9b01d2e3f4a5", "web-2", 60, summary);
        let file = |key: &[u8], how: &str, count| Change {
            at_ms: deploy.end_ms,
            table: "file".to_owned(),
            key: key.to_vec(),
            how: how.to_owned(),
            tree: b"/var/www/shop.example.org/current".to_vec(),
            count,
            ..Change::default()
        };
        deploy.items = vec![file(b"/var/www/a\x1b[2J.php", "added", 1), file(b"/var/www/lib", "changed", 4_000)];
        deploy.left_out = 1_012;
        vec![upgrade, deploy]
    }

    #[test]
    fn a_terminal_of_80_columns_shows_a_set_on_a_line_or_two() {
        assert_eq!(
            screen(80, |printer| print(&sets(), None, false, printer).unwrap()),
            "\
WHEN       HOST               ACTOR            WHAT
2 h ago    web-1.example.org  package manager  version of php fpm/8.2: 8.2.29 ->
                                               8.2.30
1 min ago  web-2              ?                service smtp added; files in /var
                                               /www/shop.example.org/current: 12
                                               added, 5000 changed
"
        );
    }

    #[test]
    fn a_wide_terminal_shows_from_when_to_when_and_the_number() {
        assert_eq!(
            screen(140, |printer| print(&sets(), Some("web-1"), false, printer).unwrap()),
            "\
WHEN                                 ACTOR            WHAT                                                                ID
2026-11-21 07:58:42 to 07:59:22 UTC  package manager  version of php fpm/8.2: 8.2.29 -> 8.2.30                            3f2a90c14be7
2026-11-21 09:59:22 to 10:00:02 UTC  ?                service smtp added; files in /var/www/shop.example.org/current: 12  9b01d2e3f4a5
                                                      added, 5000 changed
"
        );
    }

    #[test]
    fn what_is_in_a_set_is_shown_escaped() {
        assert_eq!(
            screen(80, |printer| print(&sets(), None, true, printer).unwrap()),
            "\
web-1.example.org  2 h ago  package manager                         3f2a90c14be7
  php fpm/8.2 version  8.2.29 -> 8.2.30

web-2  1 min ago  by: not known                                     9b01d2e3f4a5
  /var/www/a\\x1b[2J.php  added
  /var/www/lib           4000 changed
  and 1012 more
"
        );
    }

    #[test]
    fn a_pipe_gets_whole_lines() {
        let (out, _) = printed(false, None, |printer| print(&sets(), None, false, printer).unwrap());
        assert_eq!(
            out,
            "\
WHEN                  HOST               ACTOR            WHAT                                                                                    ID
2026-11-21T07:59:22Z  web-1.example.org  package manager  version of php fpm/8.2: 8.2.29 -> 8.2.30                                                3f2a90c14be7
2026-11-21T10:00:02Z  web-2              ?                service smtp added; files in /var/www/shop.example.org/current: 12 added, 5000 changed  9b01d2e3f4a5
"
        );
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let (out, _) = printed(true, None, |printer| print(&sets()[..1], None, false, printer).unwrap());
        assert_eq!(
            out,
            "[\n{\"id\":\"3f2a90c14be7\",\"host\":\"web-1.example.org\",\"start\":\"2026-11-21T07:58:42Z\",\
             \"end\":\"2026-11-21T07:59:22Z\",\"actor\":\"package manager\",\
             \"summary\":\"version of php fpm/8.2: 8.2.29 -> 8.2.30\",\"counts\":{\"php_changed\":1},\
             \"items\":[{\"time\":\"2026-11-21T07:58:42Z\",\"table\":\"php\",\"key\":\"fpm/8.2\",\"field\":\"version\",\
             \"how\":\"changed\",\"was\":\"8.2.29\",\"is\":\"8.2.30\",\"tree\":null,\"count\":1}],\"left_out\":0}\n]\n"
        );
        assert_eq!(printed(true, None, |printer| print(&[], None, false, printer).unwrap()).0, "[]\n");
    }

    #[test]
    fn that_nothing_has_changed_is_told() {
        let (out, talk) = printed(false, Some(80), |printer| print(&[], None, false, printer).unwrap());
        assert_eq!((out.as_str(), talk.as_str()), ("", "Nothing has changed in this time.\n"));
    }
}
