//! Services: those that do not run, by name; how many do.

use std::collections::BTreeMap;

use plumb_proto::generated::query::{HostPart, Row};
use plumb_proto::model::Value;

use super::{ROWS, Section, Told, rows, text, told};
use crate::cli::printer::Style;
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::said;
use crate::cli::printer::words::count;

pub(super) fn section(whole: &HostPart) -> Section {
    let failed: BTreeMap<&[u8], &Row> = rows(whole, "failed_unit").map(|row| (row.key.as_slice(), row)).collect();
    let mut wrong: Vec<(u8, &[u8], Cell, String)> = Vec::new();
    let mut runs = 0;
    for row in rows(whole, "service") {
        let key = row.key.as_slice();
        match told(row, "active") {
            Told::Known(Value::Text(active)) if active.as_bytes() == b"active" && !failed.contains_key(key) => {
                runs += 1
            }
            // It is told below, as a unit that failed.
            _ if failed.contains_key(key) => {}
            Told::Known(Value::Text(active)) => {
                let (rank, style) =
                    if active.as_bytes() == b"failed" { (0, Style::Critical) } else { (1, Style::Warning) };
                wrong.push((rank, key, Cell::new(text(row, "active"), style), String::new()));
            }
            _ => wrong.push((2, key, Cell::new("? whether it runs", Style::Unknown), String::new())),
        }
    }
    for (key, row) in failed {
        let is_stale = row.unknown.iter().any(|each| each.column.is_empty());
        let word = if is_stale { Cell::new("failed?", Style::Unknown) } else { Cell::new("failed", Style::Critical) };
        let by = Some(text(row, "triggered_by")).filter(|by| !by.is_empty()).map(|by| format!("started by {by}"));
        let why: Vec<String> =
            [Some(text(row, "result")).filter(|why| !why.is_empty()), by].into_iter().flatten().collect();
        wrong.push((0, key, word, why.join(", ")));
    }
    wrong.sort_by_key(|(rank, key, ..)| (*rank, *key));
    let mut table = Table::new(&[column("").wraps().least(44), column(""), column("").wraps()]).bare().indent(2);
    let all = wrong.len();
    for (_, key, word, why) in wrong.into_iter().take(ROWS) {
        table.row([said(key).into(), word, why.into()]);
    }
    let section = Section::new("Services", table).more(all, "service", whole);
    match runs {
        0 => section,
        runs => section.line(count(runs, "service runs", "services run"), Style::Plain),
    }
}
