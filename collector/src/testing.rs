//! Hosts and reports for the tests of this crate.

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::model::{
    Block, ColumnDecl, ColumnType, Fact, MetricType, Outcome, Problem, Report, Role, Series, Slice, TableDecl, Tell,
    Value,
};
use plumb_proto::record::HostId;
use plumb_proto::time::Timestamp;

use crate::store::rows::{Groups, HostRow, HostState};
use crate::view::{Change, HostView, Touched};

/// 2026-11-21.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_date(2026, 11, 21).unwrap() + Duration::from_secs(u64::try_from(seconds).unwrap())
}

pub fn host_row() -> HostRow {
    HostRow {
        id: HostId([7; 16]),
        name: "web1".to_owned(),
        state: HostState::Active,
        groups: Groups::from([("role".to_owned(), "web".to_owned())]),
        enrolled: at(0),
        last_seen: Some(at(0)),
        skew_ms: 0,
        build: "0.1.0".to_owned(),
        generation: 1,
    }
}

/// A host that knows the tables of the agent.
pub fn host() -> HostView {
    let mut view = HostView::new(host_row());
    let tables = [
        database_table(),
        php_table(),
        mount_table(),
        os_table(),
        service_table(),
        failed_unit_table(),
        listener_table(),
    ];
    for decl in tables {
        view.declare(&decl);
    }
    view
}

pub fn table(name: &str, columns: &[(&str, ColumnType, Role)]) -> TableDecl {
    let column = |(name, kind, role): &(&str, ColumnType, Role)| ColumnDecl {
        name: (*name).to_owned(),
        kind: *kind,
        role: *role,
        doc: String::new(),
    };
    TableDecl { name: name.to_owned(), doc: String::new(), columns: columns.iter().map(column).collect() }
}

fn database_table() -> TableDecl {
    use {ColumnType::Bool, ColumnType::Version, Role::State};
    table(
        "database",
        &[
            ("version", Version, State),
            ("running_version", Version, State),
            ("package", ColumnType::Text, State),
            ("package_version", Version, State),
            ("running", Bool, State),
            ("restart_needed", Bool, Role::Moving),
        ],
    )
}

fn php_table() -> TableDecl {
    use {ColumnType::Text, ColumnType::Version, Role::State};
    table(
        "php",
        &[
            ("version", Version, State),
            ("binary", Text, State),
            ("package", Text, State),
            ("package_version", Version, State),
            ("module", Text, State),
            ("provenance", Text, State),
            ("running", ColumnType::Bool, Role::Moving),
        ],
    )
}

fn mount_table() -> TableDecl {
    use {ColumnType::Bool, ColumnType::Text, Role::State};
    table(
        "mount",
        &[
            ("device", Text, State),
            ("fstype", Text, State),
            ("options", ColumnType::List, State),
            ("read_only", Bool, State),
            ("responding", Bool, State),
            ("size_bytes", ColumnType::Int, Role::Moving),
        ],
    )
}

fn os_table() -> TableDecl {
    use {ColumnType::Text, ColumnType::Version, Role::State};
    table(
        "os",
        &[
            ("id", Text, State),
            ("id_like", ColumnType::List, State),
            ("name", Text, State),
            ("version", Version, State),
            ("kernel", Version, State),
            ("reboot_required", ColumnType::Bool, Role::Moving),
        ],
    )
}

fn service_table() -> TableDecl {
    use {ColumnType::Int, ColumnType::Text, Role::Moving, Role::State};
    table(
        "service",
        &[
            ("active", Text, State),
            ("sub", Text, Moving),
            ("enabled", Text, State),
            ("restarts", Int, Moving),
            ("recent_restarts", Int, Moving),
        ],
    )
}

fn failed_unit_table() -> TableDecl {
    use {ColumnType::Text, Role::Moving};
    table("failed_unit", &[("result", Text, Moving), ("triggered_by", Text, Moving)])
}

fn listener_table() -> TableDecl {
    use {ColumnType::Text, Role::State};
    table("listener", &[("process", Text, State), ("user", Text, State), ("exposure", Text, State)])
}

pub fn version(text: &str) -> Value {
    Value::Version(text.into())
}

pub fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| (*item).into()).collect())
}

pub fn fact(key: &str, fields: &[(&str, Value)]) -> Fact {
    Fact {
        key: key.into(),
        source: "/source".into(),
        fields: fields.iter().map(|(column, value)| ((*column).to_owned(), value.clone())).collect(),
        unknown: BTreeMap::new(),
    }
}

pub fn unknown(mut fact: Fact, column: &str, reason: &str) -> Fact {
    fact.fields.remove(column);
    fact.unknown.insert(column.to_owned(), reason.to_owned());
    fact
}

pub fn problem(table: &str, prefix: &str, error: &str) -> Problem {
    Problem {
        table: table.to_owned(),
        key_prefix: prefix.into(),
        path: "/path".into(),
        error: error.to_owned(),
        hint: String::new(),
    }
}

pub fn slice(table: &str, tell: Tell, facts: &[Fact]) -> Slice {
    Slice { table: table.to_owned(), tell, facts: facts.to_vec(), gone: Vec::new() }
}

pub fn gone(table: &str, keys: &[&str]) -> Slice {
    let gone = keys.iter().map(|key| (*key).into()).collect();
    Slice { table: table.to_owned(), tell: Tell::Delta, facts: Vec::new(), gone }
}

/// What the watcher of that name says in one look.
pub fn report(watcher: &str, look: u64, outcome: Outcome, slices: Vec<Slice>) -> Report {
    Report { watcher: watcher.to_owned(), look, at: at(0), outcome, slices, events: Vec::new(), problems: Vec::new() }
}

/// A complete look that tells all rows of one table.
pub fn full(watcher: &str, look: u64, table: &str, facts: &[Fact]) -> Report {
    report(watcher, look, Outcome::Done, vec![slice(table, Tell::FullOnly, facts)])
}

/// A complete look that tells rows that changed.
pub fn delta(watcher: &str, look: u64, table: &str, facts: &[Fact]) -> Report {
    report(watcher, look, Outcome::Done, vec![slice(table, Tell::Delta, facts)])
}

pub fn apply(view: &mut HostView, report: &Report, at: Timestamp) -> (Vec<Change>, Touched) {
    let mut touched = Touched::default();
    let changes = view.apply(report, at, &mut touched);
    (changes, touched)
}

pub fn series(name: &str, labels: &[(&str, &str)]) -> Series {
    let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).into())).collect();
    Series { name: name.to_owned(), labels }
}

/// Samples of one moment: gauges, or counters by their name.
pub fn samples(view: &mut HostView, at: Timestamp, values: &[(Series, f64)]) -> Touched {
    let kind = |name: &str| if name.ends_with("_total") { MetricType::Counter } else { MetricType::Gauge };
    let columns =
        values.iter().map(|(series, value)| (series.clone(), kind(&series.name), vec![Some(*value)])).collect();
    let mut touched = Touched::default();
    view.take_block(&Block { watcher: "system".to_owned(), times: vec![at], columns }, &[at], &mut touched);
    touched
}
