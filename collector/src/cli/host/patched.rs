//! Until when a row's program is patched, in words.

use plumb_proto::generated::query::Row;

use crate::cli::printer::Style;
use crate::cli::printer::table::Cell;
use crate::cli::printer::values::said;

/// Until when it is patched, and by whom.
pub(super) fn support(row: &Row) -> Cell {
    let Some(support) = &row.support else { return Cell::default() };
    if !support.unknown.is_empty() {
        return Cell::new(format!("? {}", said(support.unknown.as_bytes())), Style::Unknown);
    }
    let note = if support.note.is_empty() { String::new() } else { format!("; {}", support.note) };
    let (by, last_day) = (&support.by, &support.last_day);
    match (support.verdict.as_str(), support.days_left) {
        ("courtesy", _) => format!("patched by {by} as a courtesy{note}").into(),
        ("ended", None) => Cell::new(format!("not patched any more ({by}){note}"), Style::Critical),
        (_, None) => format!("patched by {by}, {last_day}{note}").into(),
        (_, Some(left)) if left < 0 => Cell::new(format!("not patched since {last_day} ({by}){note}"), Style::Critical),
        (_, Some(left)) => {
            let style = if left < 90 { Style::Warning } else { Style::Plain };
            Cell::new(format!("patched until {last_day} ({by}){note}"), style)
        }
    }
}
