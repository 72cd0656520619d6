//! Rows of comma-separated cells, with the line that each stands on. No cell up to the last that is read holds a comma.

use super::File;

/// Mistakes that are told of one table.
const TOLD: usize = 20;

/// What does not read, as `file:line: reason`.
#[derive(Default)]
pub(super) struct Mistakes {
    told: Vec<String>,
    more: usize,
}

impl Mistakes {
    pub(super) fn add(&mut self, file: &File, line: usize, what: impl Into<String>) {
        if self.told.len() < TOLD {
            self.told.push(format!("{}:{line}: {}", file.name, what.into()));
        } else {
            self.more += 1;
        }
    }

    /// Nothing is wrong.
    pub(super) fn none(mut self) -> Result<(), Vec<String>> {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        if self.told.is_empty() { Ok(()) } else { Err(self.told) }
    }
}

/// A row.
pub(super) struct Row<'a> {
    file: &'a File,
    /// From 1.
    pub(super) line: usize,
    cells: Vec<&'a str>,
    head: &'static str,
}

impl<'a> Row<'a> {
    /// A cell, by its place in the head.
    pub(super) fn cell(&self, place: usize) -> &'a str {
        self.cells.get(place).copied().unwrap_or_default()
    }

    /// A cell as `parse` reads it.
    pub(super) fn read<T>(
        &self,
        place: usize,
        mistakes: &mut Mistakes,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Option<T> {
        let read = parse(self.cell(place));
        if read.is_none() {
            let column = self.head.split(',').nth(place).unwrap_or_default();
            let cell = self.cell(place).escape_debug();
            mistakes.add(self.file, self.line, format!("{column} is \"{cell}\", expected {expected}"));
        }
        read
    }
}

/// The rows behind the head; lines that begin with `#` and empty ones are left out.
pub(super) fn rows<'a>(file: &'a File, head: &'static str, mistakes: &mut Mistakes) -> Vec<Row<'a>> {
    let lines = file.text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end_matches('\r')));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    match lines.next() {
        Some((_, first)) if first == head => {}
        Some((line, _)) => mistakes.add(file, line, format!("the first line must be `{head}`")),
        None => mistakes.add(file, 1, format!("it is empty: its first line must be `{head}`")),
    }
    let columns = head.split(',').count();
    let mut rows: Vec<Row<'a>> = Vec::new();
    for (line, text) in lines {
        // the last column of the second file may hold commas; nobody reads it
        let cells: Vec<&str> =
            if head.ends_with(",extra") { text.splitn(columns, ',').collect() } else { text.split(',').collect() };
        if cells.len() != columns {
            mistakes.add(file, line, format!("{} cells instead of {columns}", cells.len()));
        } else if cells[..2].iter().any(|cell| cell.is_empty()) || text.chars().any(char::is_control) {
            mistakes.add(file, line, "the first two cells must be filled, and no cell may hold control characters");
        } else {
            rows.push(Row { file, line, cells, head });
        }
    }
    if rows.is_empty() {
        mistakes.add(file, 1, "it has no rows");
    }
    rows
}
