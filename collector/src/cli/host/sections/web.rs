//! What serves the sites and what they are made of: web servers, sites, pools, runtimes, CMSs, certificates.

use std::collections::BTreeMap;

use plumb_proto::generated::query::{HostPart, Row};
use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use super::{ROWS, Section, Told, cell, int, rows, text, time, told};
use crate::cli::host::patched::support;
use crate::cli::printer::Style;
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::said;
use crate::cli::printer::words::{bytes, count, day};

const DAY: i64 = 86_400_000;
/// A certificate with so many days left is shown as a warning.
const NEAR: i64 = 14;

pub(super) fn servers(whole: &HostPart) -> Section {
    let columns = [column("").wraps(), column(""), column("").wraps(), column("").wraps().spare(1)];
    let mut table = Table::new(&columns).bare().indent(2);
    for row in rows(whole, "web_server").chain(rows(whole, "runtime")).take(ROWS) {
        let is = |column| told(row, column) == Told::Known(Value::Bool(true));
        let state = match told(row, "running") {
            Told::Known(Value::Bool(false)) if row.table == "web_server" => Cell::new("NOT running", Style::Critical),
            Told::Known(Value::Bool(false)) => Cell::new("not running", Style::Dim),
            Told::Known(Value::Bool(true)) if is("restart_needed") => {
                Cell::new("runs what was replaced: restart it", Style::Warning)
            }
            Told::Known(Value::Bool(true)) if is("reload_needed") => {
                Cell::new("its configuration waits for a reload", Style::Warning)
            }
            Told::Known(Value::Bool(true)) => "running".into(),
            Told::Unknown => Cell::new("? whether it runs", Style::Unknown),
            _ => Cell::default(),
        };
        table.row([said(&row.key).into(), cell(row, "version", Style::Bold), state, support(row)]);
    }
    let (servers, runtimes) = (rows(whole, "web_server").count(), rows(whole, "runtime").count());
    // servers come first: what is not shown are runtimes, mostly
    let left_out = if servers > ROWS { "web_server" } else { "runtime" };
    Section::new("Web servers and runtimes", table).more(servers + runtimes, left_out, whole)
}

pub(super) fn sites(whole: &HostPart) -> Section {
    let columns = [column("").wraps(), column(""), column("").spare(1), column("").wraps().spare(2)];
    let mut table = Table::new(&columns).bare().indent(2);
    for row in rows(whole, "site").take(ROWS) {
        let tls = match told(row, "tls") {
            Told::Known(Value::Bool(true)) => "https".into(),
            Told::Known(Value::Bool(false)) => Cell::new("http only", Style::Warning),
            _ => Cell::new("?", Style::Unknown),
        };
        let php = [text(row, "php_version"), text(row, "php_pool")].into_iter().find(|text| !text.is_empty());
        let php = php.map(|php| format!("PHP {php}")).unwrap_or_default();
        let made_of = [text(row, "cms"), text(row, "docroot")].join(" ").trim().to_owned();
        table.row([said(&row.key).into(), tls, php.into(), Cell::new(made_of, Style::Dim)]);
    }
    Section::new("Sites", table).more(rows(whole, "site").count(), "site", whole)
}

pub(super) fn pools(whole: &HostPart) -> Section {
    let columns = [column("").wraps(), column("").spare(1), column("").spare(2), column("").wraps()];
    let mut table = Table::new(&columns).bare().indent(2);
    for row in rows(whole, "php_pool").take(ROWS) {
        let children = match (text(row, "pm"), int(row, "max_children")) {
            (pm, Some(children)) => {
                format!("{pm}, {} at most", count(usize::try_from(children).unwrap_or(0), "worker", "workers"))
            }
            (pm, None) => pm,
        };
        #[allow(clippy::cast_precision_loss)] // one decimal is shown
        let memory = match told(row, "memory_limit_bytes") {
            Told::Known(Value::Int(-1)) => "no memory limit".to_owned(),
            Told::Known(Value::Int(limit)) => format!("{} each", bytes(limit as f64)),
            _ => String::new(),
        };
        let is = |column| told(row, column) == Told::Known(Value::Bool(true));
        let state = match (is("saturated"), is("reload_needed")) {
            (true, _) => Cell::new("all workers are busy", Style::Critical),
            (_, true) => Cell::new("its settings wait for a reload", Style::Warning),
            _ => Cell::default(),
        };
        table.row([said(&row.key).into(), children.trim_start_matches(", ").into(), memory.into(), state]);
    }
    Section::new("PHP pools", table).more(rows(whole, "php_pool").count(), "php_pool", whole)
}

pub(super) fn made_of(whole: &HostPart) -> Section {
    let columns =
        [column("").wraps(), column(""), column(""), column("").right().spare(2), column("").wraps().spare(1)];
    let mut table = Table::new(&columns).bare().indent(2);
    let mut extensions: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows(whole, "cms_extension") {
        *extensions.entry(text(row, "cms")).or_default() += 1;
    }
    for row in rows(whole, "cms").take(ROWS) {
        let key = said(&row.key);
        let extended = extensions.get(&key).map(|number| count(*number, "extension", "extensions"));
        table.row([
            key.into(),
            cell(row, "product", Style::Plain),
            cell(row, "version", Style::Bold),
            extended.unwrap_or_default().into(),
            support(row),
        ]);
    }
    Section::new("Made of", table).more(rows(whole, "cms").count(), "cms", whole)
}

/// Certificates, those that expire first at the top; of what is served and the file of it, the one that is served.
pub(super) fn certificates(whole: &HostPart, now: Timestamp) -> Section {
    let columns = [column(""), column("").right(), column("").wraps(), column("").wraps().spare(1)];
    let mut table = Table::new(&columns).bare().indent(2);
    let is_served = |row: &Row| text(row, "kind") == "served";
    let served: Vec<String> =
        rows(whole, "certificate").filter(|row| is_served(row)).map(|row| text(row, "file")).collect();
    let shown = |row: &&Row| is_served(row) || !served.contains(&said(&row.key));
    let mut all: Vec<&Row> = rows(whole, "certificate").filter(shown).collect();
    all.sort_by_key(|row| (time(row, "not_after"), row.key.clone()));
    for row in all.iter().take(ROWS) {
        let (until, left) = match time(row, "not_after") {
            None => (Cell::new("?", Style::Unknown), Cell::default()),
            Some(until) => {
                let days = (until.millis() - now.millis()).div_euclid(DAY);
                let style = if days < 0 {
                    Style::Critical
                } else if days <= NEAR {
                    Style::Warning
                } else {
                    Style::Plain
                };
                let left = match days {
                    ..0 => "expired".to_owned(),
                    days => count(usize::try_from(days).unwrap_or(0), "day", "days"),
                };
                (Cell::new(format!("until {}", day(until)), style), Cell::new(left, style))
            }
        };
        let note = match (told(row, "differs"), text(row, "renewed_by")) {
            (Told::Known(Value::Bool(true)), _) => Cell::new(text(row, "reason"), Style::Warning),
            (_, by) if by.is_empty() => "renewed by nobody that is known".into(),
            (_, by) => format!("renewed by {by}").into(),
        };
        table.row([until, left, said(&row.key).into(), note]);
    }
    Section::new("Certificates", table).more(all.len(), "certificate", whole)
}
