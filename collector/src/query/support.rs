//! Until when the programs of a host are patched, for its screen.

use plumb_proto::generated::query as pb;
use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use crate::drift::support::{Program, Window, program, system};
use crate::view::{HostView, Row};

/// The support window of a row that is a program with dates; `None` for other rows.
pub(super) fn of(view: &HostView, row: &Row, now: Timestamp) -> Option<pb::Support> {
    let os = view.tables.get("os").and_then(|table| table.rows.values().next());
    let (id, version) = (os.and_then(|os| text(os, "id")), os.and_then(|os| text(os, "version")));
    let window = match row.table.as_str() {
        "os" => system(id, version),
        "php" => program(
            &Program {
                product: "php",
                version: text(row, "version"),
                provenance: text(row, "provenance"),
                module: text(row, "module"),
                os: id,
                os_version: version,
            },
            now,
        ),
        _ => return None,
    };
    Some(window.map_or_else(|unknown| pb::Support { unknown, ..pb::Support::default() }, |window| told(&window, now)))
}

fn told(window: &Window, now: Timestamp) -> pb::Support {
    pb::Support {
        last_day: window.last_day(),
        by: window.by.clone(),
        upstream: window.upstream.clone(),
        note: window.note.clone(),
        days_left: window.days_left(now),
        unknown: String::new(),
    }
}

fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match row.fact.fields.get(column)? {
        Value::Text(text) | Value::Version(text) => text.as_text(),
        _ => None,
    }
}
