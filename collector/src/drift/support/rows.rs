//! The table `support`: a row for every program of a host, derived from the rows that tell of it whenever it is asked for.
//! It is nowhere stored: the day counts, and the dates may be renewed.

use std::sync::LazyLock;

use plumb_proto::model::{ColumnDecl, ColumnType, Fact, Role, TableDecl, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use super::{Dates, Program, Unjudged, Verdict, Window, products};
use crate::view::{HostView, Row};

/// Its name.
pub const TABLE: &str = "support";
/// Tables whose rows are programs, systems, or what sites are made of.
pub const SOURCES: [&str; 6] = ["cms", "database", "os", "php", "runtime", "web_server"];

/// What tells most comes first: narrow screens leave out the rest.
const COLUMNS: [(&str, ColumnType, &str); 10] = [
    (
        "verdict",
        ColumnType::Text,
        "supported, ends soon (within 180 days), ended, courtesy (patched without a promise), newer than the table, not judged.",
    ),
    (
        "until",
        ColumnType::Time,
        "The end of the last day on which it is patched; not set where none has been announced.",
    ),
    ("product", ColumnType::Text, "The product."),
    ("version", ColumnType::Version, "The version that the row of the program tells."),
    ("patched_by", ColumnType::Text, "Who patches it, and by whose dates it is therefore judged."),
    ("note", ColumnType::Text, "What else is to be known, or why it is not judged."),
    ("upstream_until", ColumnType::Time, "The end of the last day on which the product's own makers patch it."),
    ("provenance", ColumnType::Text, "Where the program came from, as its row tells."),
    ("days_left", ColumnType::Int, "Whole days until then: 0 on the last day, negative once it is over."),
    ("cycle", ColumnType::Text, "The line of releases that is patched together, such as 8.2."),
];

/// Its declaration, for `plumb schema` and for rules. `dates`: by which it is judged.
#[must_use]
pub fn decl(dates: &Dates) -> TableDecl {
    TableDecl {
        name: TABLE.to_owned(),
        doc: format!(
            "Until when each program gets security fixes, by who patches it. The collector makes it. Key: table/key of the \
             program. Dates as of {}, from endoflife.date (MIT, Copyright (c) 2020 endoflife.date contributors; the notice is \
             in /usr/share/doc/plumb-collector/support-dates.md).",
            dates.as_of()
        ),
        columns: columns().to_vec(),
    }
}

/// Its columns.
#[must_use]
pub fn columns() -> &'static [ColumnDecl] {
    static DECLARED: LazyLock<Vec<ColumnDecl>> = LazyLock::new(|| {
        let column = |(name, kind, doc): &(&str, ColumnType, &str)| ColumnDecl {
            name: (*name).to_owned(),
            kind: *kind,
            role: Role::Moving,
            doc: (*doc).to_owned(),
        };
        COLUMNS.iter().map(column).collect()
    });
    &DECLARED
}

/// True for a table whose rows have rows here.
#[must_use]
pub fn is_source(table: &str) -> bool {
    SOURCES.contains(&table)
}

/// The key here of a row there.
#[must_use]
pub fn derived_key(table: &str, key: &Untrusted) -> Untrusted {
    [table.as_bytes(), b"/", key.as_bytes()].concat().as_slice().into()
}

/// The row there of a key here.
fn source_of<'a>(view: &'a HostView, key: &Untrusted) -> Option<&'a Row> {
    let bytes = key.as_bytes();
    let slash = bytes.iter().position(|byte| *byte == b'/')?;
    let table = std::str::from_utf8(&bytes[..slash]).ok().filter(|table| is_source(table))?;
    view.row(table, &Untrusted::from(&bytes[slash + 1..]))
}

impl Dates {
    /// Keys of a host's rows.
    pub fn keys<'a>(view: &'a HostView) -> impl Iterator<Item = Untrusted> + 'a {
        let tables = SOURCES.iter().filter_map(|name| view.tables.get(*name));
        tables.flat_map(|table| table.rows.values()).map(|row| derived_key(&row.table, &row.fact.key))
    }

    /// One row of a host; `None`: there is no such program.
    #[must_use]
    pub fn row(&self, view: &HostView, key: &Untrusted, now: Timestamp) -> Option<Row> {
        let os = view.tables.get("os").and_then(|table| table.rows.values().next());
        self.row_of(os, source_of(view, key)?, now)
    }

    /// The row of a program's row; `None`: it is none. `os`: the host's row of table `os`.
    #[must_use]
    pub fn row_of(&self, os: Option<&Row>, row: &Row, now: Timestamp) -> Option<Row> {
        let product = product_of(row)?;
        let mut fact = Fact {
            key: derived_key(&row.table, &row.fact.key),
            source: row.fact.source.clone(),
            fields: [("product".to_owned(), Value::from(products::label(products::name(product)).as_str()))].into(),
            unknown: row.fact.unknown.get("").map(|why| (String::new(), why.clone())).into_iter().collect(),
        };
        if product == "os" {
            fact.fields.extend(text(row, "name").map(|name| ("product".to_owned(), name.into())));
        }
        let mut copied = |column: &str| {
            fact.fields.extend(row.fact.fields.get(column).map(|value| (column.to_owned(), value.clone())));
        };
        copied("version");
        copied("provenance");
        match self.judged(os, row, product, now) {
            Ok(window) => tell(&mut fact, &window, now),
            Err(unjudged) => tell_why(&mut fact, unjudged),
        }
        Some(Row {
            table: TABLE.to_owned(),
            owner: TABLE.to_owned(),
            fact,
            since: row.since,
            confirmed: row.confirmed,
            stale: row.stale.clone(),
            look: row.look,
        })
    }

    /// The support window of a row; `os`: the host's row of table `os`.
    fn judged(&self, os: Option<&Row>, row: &Row, product: &str, now: Timestamp) -> Result<Window, Unjudged> {
        let needed: &[&str] = match row.table.as_str() {
            "os" => &["id", "version"],
            "cms" => &["product", "version", "provenance", "support_until"],
            _ => &["version", "provenance"],
        };
        for column in needed {
            if let Some(why) = row.fact.unknown.get(*column) {
                return Err(Unjudged::unknown(format!("{column} is not known: {why}")));
            }
        }
        let known = |row: Option<&'_ Row>, column: &str| {
            row.filter(|row| row.unknown(column).is_none()).and_then(|row| text(row, column)).map(str::to_owned)
        };
        let (id, release) = (known(os, "id"), known(os, "version"));
        if product == "os" {
            return self.system(text(row, "id"), text(row, "version"));
        }
        let own_end = match row.fact.fields.get("support_until") {
            Some(Value::Time(at)) => Some(*at),
            _ => None,
        };
        let asked = Program {
            product,
            version: text(row, "version"),
            provenance: text(row, "provenance"),
            module: text(row, "module"),
            package: text(row, "package"),
            package_version: text(row, "package_version"),
            kind: (row.table == "cms").then(|| text(row, "kind").unwrap_or("cms")),
            own_end,
            os: id.as_deref(),
            os_version: release.as_deref(),
        };
        self.program(&asked, now)
    }

    /// The support window of a row that is a program with dates, for its host's screen; `None` for other rows.
    #[must_use]
    pub fn window_of(&self, view: &HostView, row: &Row, now: Timestamp) -> Option<Result<Window, Unjudged>> {
        let product = product_of(row)?;
        let os = view.tables.get("os").and_then(|table| table.rows.values().next());
        Some(self.judged(os, row, product, now))
    }
}

/// Plumb's word for what a row is; `None`: it is no program.
fn product_of(row: &Row) -> Option<&str> {
    let word = products::word(row.fact.key.as_text().unwrap_or_default());
    match row.table.as_str() {
        "os" | "php" => Some(row.table.as_str()),
        "cms" => Some(text(row, "product").unwrap_or_default()),
        // a file of one site: the library that reads it belongs to whoever opens it
        "database" if word == "sqlite" => None,
        table => is_source(table).then_some(word),
    }
}

fn tell(fact: &mut Fact, window: &Window, now: Timestamp) {
    if fact.key.as_bytes() != b"os/os" {
        fact.fields.insert("product".to_owned(), window.product.as_str().into());
    }
    let fields = [
        ("cycle", Some(Value::from(window.cycle.as_str()))),
        ("patched_by", Some(window.by.as_str().into())),
        ("until", window.until.map(last_moment)),
        ("upstream_until", window.upstream_until.map(last_moment)),
        ("days_left", window.days_left(now).map(Value::Int)),
        ("verdict", Some(window.verdict(now).as_str().into())),
        ("note", Some(window.note.as_str()).filter(|note| !note.is_empty()).map(Value::from)),
    ];
    fact.fields.extend(fields.into_iter().filter_map(|(column, value)| Some((column.to_owned(), value?))));
}

/// What is not judged says so; what cannot be told at the moment is not known.
fn tell_why(fact: &mut Fact, unjudged: Unjudged) {
    match unjudged.verdict {
        None => {
            let columns = ["cycle", "patched_by", "until", "upstream_until", "days_left", "verdict"];
            fact.unknown.extend(columns.map(|column| (column.to_owned(), unjudged.reason.clone())));
        }
        Some(verdict) => {
            debug_assert!(matches!(verdict, Verdict::Newer | Verdict::NotJudged), "a window has the others");
            let fields = [
                ("cycle", unjudged.cycle.as_deref().map(Value::from)),
                ("patched_by", unjudged.by.as_deref().map(Value::from)),
                ("upstream_until", unjudged.upstream_until.map(last_moment)),
                ("verdict", Some(verdict.as_str().into())),
                ("note", Some(unjudged.reason.as_str().into())),
            ];
            fact.fields.extend(fields.into_iter().filter_map(|(column, value)| Some((column.to_owned(), value?))));
        }
    }
}

/// The last second of a window: its day is the last one.
fn last_moment(until: Timestamp) -> Value {
    Value::Time(Timestamp::from_millis(until.millis() - 1000))
}

fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match row.fact.fields.get(column)? {
        Value::Text(text) | Value::Version(text) => text.as_text(),
        _ => None,
    }
}
