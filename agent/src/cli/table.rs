//! Rows in columns where they fit, and one below the other where they do not.

use super::terminal::{Style, Terminal};

/// Between two columns.
const GAP: usize = 2;
/// A column is not cut below this.
const LEAST: usize = 12;
/// Mark of a text that was cut.
const CUT: char = '…';

/// See the module. The first column names a row.
pub(super) struct Table {
    headings: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns; a heading that begins with `>` is of numbers, which stand at the right.
    pub(super) fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        let (headings, right) = headings
            .into_iter()
            .map(|heading| (heading.trim_start_matches('>').to_uppercase(), heading.starts_with('>')))
            .unzip();
        Self { headings, right, rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.headings.len());
        self.rows.push(cells);
    }

    /// As text that ends with a line end; long cells are cut only where the row stays readable.
    pub(super) fn render(&self, terminal: &Terminal) -> String {
        match self.widths(terminal.width) {
            Some(widths) => self.columns(&widths, terminal),
            None => self.blocks(terminal),
        }
    }

    /// Widths of the columns, if they can be made to fit.
    fn widths(&self, width: Option<usize>) -> Option<Vec<usize>> {
        let cell =
            |column: usize| self.rows.iter().filter_map(move |row| row.get(column)).map(|cell| length(cell)).max();
        let natural = self.headings.iter().enumerate();
        let mut widths: Vec<usize> =
            natural.map(|(column, heading)| length(heading).max(cell(column).unwrap_or(0))).collect();
        let Some(width) = width else { return Some(widths) };
        let gaps = GAP * widths.len();
        while widths.iter().sum::<usize>() + gaps > width {
            // The first column names the row: it is cut last of all, which means not at all.
            let widest = widths.iter_mut().skip(1).max()?;
            if *widest <= LEAST {
                return None;
            }
            *widest -= 1;
        }
        Some(widths)
    }

    fn columns(&self, widths: &[usize], terminal: &Terminal) -> String {
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(widths).zip(&self.right);
            let mut line = String::new();
            for ((cell, width), right) in cells {
                let cell = cut(cell, *width);
                let room = " ".repeat(width - length(&cell));
                line += &" ".repeat(GAP);
                line += &if *right { room + &cell } else { cell + &room };
            }
            line.trim_end().to_owned()
        };
        let mut text = terminal.paint(&line(&self.headings), Style::Dim) + "\n";
        self.rows.iter().for_each(|row| text += &(line(row) + "\n"));
        text
    }

    fn blocks(&self, terminal: &Terminal) -> String {
        let label = self.headings.iter().skip(1).map(|heading| length(heading)).max().unwrap_or(0);
        let mut text = String::new();
        for row in &self.rows {
            let mut cells = row.iter();
            text += &format!("{}{}\n", " ".repeat(GAP), cells.next().map_or("", String::as_str));
            for (heading, cell) in self.headings.iter().skip(1).zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                text += &pair(&heading.to_lowercase(), cell, label, terminal);
            }
        }
        text
    }
}

/// A label and a text, which goes on below itself.
pub(super) fn pair(label: &str, text: &str, room: usize, terminal: &Terminal) -> String {
    let indent = 2 * GAP + room + GAP;
    let width = terminal.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(LEAST));
    let padded = format!("{}{label:<room$}", " ".repeat(2 * GAP));
    let mut lines = wrap(text, width).into_iter();
    let mut out = format!("{}  {}\n", terminal.paint(&padded, Style::Dim), lines.next().unwrap_or_default());
    lines.for_each(|line| out += &format!("{}{line}\n", " ".repeat(indent)));
    out
}

/// Lines of a text, broken at spaces where there are some.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && length(&line) + 1 + length(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
        while length(&line) > width {
            let rest = line.chars().skip(width).collect();
            lines.push(line.chars().take(width).collect());
            line = rest;
        }
    }
    lines.push(line);
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain([CUT]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["key", "options", ">size"]);
        table.row(vec!["/".into(), "errors=remount-ro, relatime, discard".into(), "10 GiB".into()]);
        table.row(vec!["/boot".into(), "relatime".into(), "9 B".into()]);
        table
    }

    #[test]
    fn a_pipe_gets_everything_and_a_terminal_what_fits() {
        let whole = "  KEY    OPTIONS                                 SIZE\n  \
                     /      errors=remount-ro, relatime, discard  10 GiB\n  \
                     /boot  relatime                                 9 B\n";
        assert_eq!(table().render(&Terminal::plain(None)), whole);
        assert_eq!(table().render(&Terminal::plain(Some(120))), whole);
        let narrow = "  KEY    OPTIONS                    SIZE\n  \
                      /      errors=remount-ro, rel…  10 GiB\n  \
                      /boot  relatime                    9 B\n";
        assert_eq!(table().render(&Terminal::plain(Some(40))), narrow);
    }

    #[test]
    fn what_cannot_fit_is_shown_below_each_other() {
        let text = "  /\n    options  errors=remoun\n             t-ro,\n             relatime,\n             discard\n    \
                    size     10 GiB\n  /boot\n    options  relatime\n    size     9 B\n";
        assert_eq!(table().render(&Terminal::plain(Some(26))), text);
    }

    #[test]
    fn long_words_are_broken_and_none_is_lost() {
        assert_eq!(wrap("aa bbbbbb c", 4), ["aa", "bbbb", "bb c"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
