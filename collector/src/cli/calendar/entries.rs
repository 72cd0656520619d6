//! What stands in a calendar: rows of the fleet, grouped by day and subject. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plumb_proto::generated::query::Row;
use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use crate::cli::printer::values::{field, said, shown};

const DAY: i64 = 86_400_000;
/// A certificate that renews itself is listed when less than this part of its time is left.
const LEFT: i64 = 3;
/// The time of a certificate whose beginning is not known: that of most that renew themselves.
const LIFE: i64 = 90 * DAY;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Support,
    Certificate,
}

/// A row that an entry is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) host: String,
    pub(super) table: String,
    pub(super) key: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The last moment; `None`: it is over, and the day is not known.
    pub(super) date: Option<Timestamp>,
    pub(super) kind: Kind,
    pub(super) subject: String,
    pub(super) items: BTreeSet<Item>,
}

impl Entry {
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.date.is_none_or(|date| date < now)
    }

    /// Whole days, zero on the last one.
    pub(super) fn days_left(&self, now: Timestamp) -> Option<i64> {
        self.date.map(|date| (date.millis() - now.millis()).div_euclid(DAY))
    }

    pub(super) fn what(&self, now: Timestamp) -> &'static str {
        match (self.kind, self.is_over(now)) {
            (Kind::Support, false) => "security fixes end",
            (Kind::Support, true) => "security fixes ended",
            (Kind::Certificate, false) => "expires",
            (Kind::Certificate, true) => "expired",
        }
    }

    /// Names of its hosts, each once.
    pub(super) fn hosts(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.items.iter().map(|item| item.host.as_str()).collect();
        names.dedup();
        names
    }
}

/// All entries, what is over first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    pub(super) entries: Vec<Entry>,
    /// Programs of which no day can be told: not judged, not known.
    pub(super) untold: usize,
}

impl Calendar {
    /// From rows of the tables `support`, `certificate` and `certificate_renewal`.
    pub(super) fn of(support: &[Row], certificates: &[Row], renewals: &[Row], now: Timestamp, months: u32) -> Self {
        let end = ahead(now, months);
        let mut entries: BTreeMap<(Option<Timestamp>, Kind, String), BTreeSet<Item>> = BTreeMap::new();
        let mut add = |date: Option<Timestamp>, kind, subject, item| {
            if date.is_none_or(|date| date <= end) {
                entries.entry((date, kind, subject)).or_default().insert(item);
            }
        };
        let mut untold = 0;
        for row in support {
            match text(row, "verdict").as_deref() {
                Some("ended") => add(time(row, "until"), Kind::Support, program(row), program_item(row)),
                Some("supported" | "ends soon") => {
                    if let Some(until) = time(row, "until") {
                        add(Some(until), Kind::Support, program(row), program_item(row));
                    }
                }
                Some("courtesy") => {}
                _ => untold += 1,
            }
        }
        let reliable = reliable(renewals);
        for row in certificates {
            let Some(until) = time(row, "not_after") else { continue };
            let renews_itself = text(row, "renewed_by").is_some_and(|by| reliable.contains(&(row.host.clone(), by)));
            let life = time(row, "not_before").map_or(LIFE, |from| until.millis() - from.millis());
            if renews_itself && (until.millis() - now.millis()) * LEFT >= life {
                continue;
            }
            let item = Item { host: row.host.clone(), table: row.table.clone(), key: said(&row.key) };
            add(Some(until), Kind::Certificate, certificate(row), item);
        }
        // of what is over, the day that is not known comes first
        let entries = entries.into_iter().map(|((date, kind, subject), items)| Entry { date, kind, subject, items });
        Self { entries: entries.collect(), untold }
    }
}

/// What renews certificates by itself and has missed no run: host and key.
fn reliable(renewals: &[Row]) -> BTreeSet<(String, String)> {
    let runs = |row: &&Row| {
        let values: HashMap<&str, Value> =
            ["missed", "enabled"].into_iter().filter_map(|name| Some((name, known(row, name)?))).collect();
        values.get("missed") == Some(&Value::Int(0)) && values.get("enabled") != Some(&Value::Bool(false))
    };
    renewals.iter().filter(runs).map(|row| (row.host.clone(), said(&row.key))).collect()
}

/// A program as a line of the calendar names it.
fn program(row: &Row) -> String {
    let part = |column| text(row, column).unwrap_or_default();
    let (product, cycle, by) = (part("product"), part("cycle"), part("patched_by"));
    if row.key.starts_with(b"os/") {
        return by;
    }
    let by = by.strip_prefix(product.as_str()).map_or(by.as_str(), |own| own.strip_prefix(" upstream").unwrap_or(own));
    match text(row, "provenance").as_deref() {
        Some("self-built") => format!("{product} {cycle} self-built"),
        // by its own makers, perhaps by way of others
        _ if by.is_empty() || by.starts_with(' ') => format!("{product} {cycle}{by}"),
        _ => format!("{product} {cycle} ({by})"),
    }
}

/// The row of the program behind a row of the table `support`, whose key is `table/key`.
fn program_item(row: &Row) -> Item {
    let key = said(&row.key);
    let (table, key) = key.split_once('/').unwrap_or(("", &key));
    Item { host: row.host.clone(), table: table.to_owned(), key: key.to_owned() }
}

/// A certificate as a line of the calendar names it.
fn certificate(row: &Row) -> String {
    let names = match known(row, "names") {
        Some(Value::List(names)) => names.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let first = names.first().cloned().or_else(|| text(row, "subject")).unwrap_or_else(|| said(&row.key));
    let word =
        if known(row, "self_signed") == Some(Value::Bool(true)) { "self-signed certificate" } else { "certificate" };
    match names.len().saturating_sub(1) {
        0 => format!("{word} of {first}"),
        more => format!("{word} of {first} (+{more})"),
    }
}

/// The same day so many months later, or the last one of a shorter month, to its end.
fn ahead(now: Timestamp, months: u32) -> Timestamp {
    let (year, month, day) = now.date();
    let month = month - 1 + months;
    let (year, month) = (year + i64::from(month / 12), month % 12 + 1);
    let start = (28..=day).rev().chain([day.min(28)]).find_map(|day| Timestamp::from_date(year, month, day));
    Timestamp::from_millis(start.unwrap_or(now).millis() + DAY - 1)
}

fn known(row: &Row, column: &str) -> Option<Value> {
    if row.unknown.iter().any(|each| each.column == column) {
        return None;
    }
    field(&row.fields, column)
}

fn text(row: &Row, column: &str) -> Option<String> {
    known(row, column).map(|value| shown(column, &value))
}

fn time(row: &Row, column: &str) -> Option<Timestamp> {
    match known(row, column)? {
        Value::Time(at) => Some(at),
        _ => None,
    }
}
