//! Files: the trees that are watched, and files of packages that are not as they were brought.

use plumb_proto::generated::query::{HostPart, Row};
use plumb_proto::time::Timestamp;

use super::{ROWS, Section, Told, cell, int, rows, text, told};
use crate::cli::printer::Style;
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::{at, said};
use crate::cli::printer::words::{count, span};

pub(super) fn section(whole: &HostPart, now: Timestamp) -> Section {
    let mut table =
        Table::new(&[column("").wraps().least(40), column(""), column("").right().spare(1), column("").wraps()])
            .bare()
            .indent(2);
    let mut wrong: Vec<&Row> = rows(whole, "package_file").collect();
    // `more` stands for those that were not told one by one.
    wrong.sort_by_key(|row| (row.key == b"more", &row.key));
    for row in wrong.iter().take(ROWS) {
        let package = text(row, "package");
        let of = if package.is_empty() { String::new() } else { format!("of {package}") };
        table.row([said(&row.key).into(), cell(row, "problem", Style::Warning), Cell::default(), of.into()]);
    }
    for row in rows(whole, "tree").take(ROWS) {
        let files = int(row, "files").map(|files| usize::try_from(files).unwrap_or(usize::MAX));
        let files = files.map_or_else(|| Cell::new("?", Style::Unknown), |files| count(files, "file", "files").into());
        let is_unknown = ["digest", "code_digest"].iter().any(|column| told(row, column) == Told::Unknown);
        let changed = format!("unchanged for {}", span(now.since(at(row.since_ms))));
        let changed = match is_unknown {
            true => Cell::new(format!("{changed}; ? not all of it can be read"), Style::Unknown),
            false => changed.into(),
        };
        table.row([said(&row.key).into(), files, cell(row, "size_bytes", Style::Plain), changed]);
    }
    let trees = rows(whole, "tree").count();
    Section::new("Files", table).more(wrong.len(), "package_file", whole).more(trees, "tree", whole)
}
