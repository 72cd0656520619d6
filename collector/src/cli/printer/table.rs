//! Tables that adapt: columns that nobody needs go first, then long cells are wrapped, paths behind a slash. Without a
//! terminal nothing is cut, left out or wrapped.

use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, TableStyle, Width};

use super::Style;

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a style.
    #[must_use]
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, style: Style::Plain }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    right: bool,
    /// Left out first where there is no room: higher goes before lower, 0 never.
    spare: u8,
    /// Its cells may be wrapped.
    wraps: bool,
    /// Others are left out, or wrapped, before this one gets narrower.
    least: usize,
}

/// A column that is always there and never wrapped.
#[must_use]
pub const fn column(title: &'static str) -> Column {
    Column { title, right: false, spare: 0, wraps: false, least: NARROWEST }
}

impl Column {
    /// Numbers stand at the right.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// It may be left out: those with a higher number first.
    #[must_use]
    pub const fn spare(self, order: u8) -> Self {
        Self { spare: order, ..self }
    }

    /// Wrapped only where it is wider than this.
    #[must_use]
    pub const fn least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    /// Long cells go on in the next line.
    #[must_use]
    pub const fn wraps(self) -> Self {
        Self { wraps: true, ..self }
    }
}

/// A table.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
    header: bool,
}

/// The least that a column of wrapped cells gets.
const NARROWEST: usize = 24;
/// Blanks between columns.
const GAP: u16 = 2;
/// Where a path may go on in the next line; it has no width, and never leaves this file.
const BREAK: char = '\u{200b}';

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), indent: 0, header: true }
    }

    /// Names and values beside each other, without a header, two blanks in.
    #[must_use]
    pub fn pairs() -> Self {
        Self { indent: 2, header: false, ..Self::new(&[column(""), column("").wraps()]) }
    }

    /// Moves it in.
    #[must_use]
    pub fn indent(self, indent: usize) -> Self {
        Self { indent, ..self }
    }

    /// Leaves the header out.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { header: false, ..self }
    }

    /// Adds a row, a cell a column.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }

    /// Adds a row of a table whose columns are known at run time only.
    pub fn cells(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// How many columns there is no room for, although they say something.
    #[must_use]
    pub fn left_out(&self, width: Option<usize>) -> usize {
        let room = width.map(|width| width.saturating_sub(self.indent).max(NARROWEST));
        self.shown(None).len() - self.shown(room).len()
    }

    /// True while it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As text, each line ended.
    #[must_use]
    pub fn render(&self, width: Option<usize>, color: bool) -> String {
        let room = width.map(|width| width.saturating_sub(self.indent).max(NARROWEST));
        let shown = self.shown(room);
        let indent = " ".repeat(self.indent);
        let mut text = String::new();
        for line in self.fill(&shown, room, color).lines() {
            text.push_str(&without_blanks_at_end(&format!("{indent}{line}").replace(BREAK, "")));
            text.push('\n');
        }
        text
    }

    /// Which columns there is room for. A column without any text is left out, too.
    fn shown(&self, room: Option<usize>) -> Vec<usize> {
        let is_told = |column: usize| self.rows.iter().any(|row| !row[column].text.is_empty());
        let mut shown: Vec<usize> =
            (0..self.columns.len()).filter(|column| self.columns[*column].spare == 0 || is_told(*column)).collect();
        let Some(room) = room else { return shown };
        let natural = self.fill(&shown, None, false).column_max_content_widths();
        let mut widths: Vec<(usize, usize)> = Vec::new();
        for (column, natural) in shown.iter().zip(natural) {
            let natural = usize::from(natural);
            widths.push((
                *column,
                if self.columns[*column].wraps { natural.min(self.columns[*column].least) } else { natural },
            ));
        }
        let needed = |widths: &[(usize, usize)]| -> usize {
            widths.iter().map(|(_, width)| width + usize::from(GAP)).sum::<usize>().saturating_sub(usize::from(GAP))
        };
        while needed(&widths) > room {
            let spare = |(column, _): &&(usize, usize)| self.columns[*column].spare;
            let Some((column, _)) = widths.iter().filter(|each| spare(each) > 0).max_by_key(spare).copied() else {
                break;
            };
            widths.retain(|(each, _)| *each != column);
        }
        shown.retain(|column| widths.iter().any(|(each, _)| each == column));
        shown
    }

    fn fill(&self, shown: &[usize], room: Option<usize>, color: bool) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_style(TableStyle::new()).force_no_tty();
        if color {
            table.enforce_styling();
        }
        match room {
            Some(room) => {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                // The last column's padding may hang over the edge: it is blank, and trimmed.
                table.set_width(saturated(room).saturating_add(GAP));
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        if self.header {
            let title = |column: &usize| cell(self.columns[*column].title, Style::Dim);
            table.set_header(shown.iter().map(title).collect::<Vec<_>>());
        }
        for row in &self.rows {
            table.add_row(shown.iter().map(|column| cell(&row[*column].text, row[*column].style)).collect::<Vec<_>>());
        }
        let natural = table.column_max_content_widths();
        let least = |(column, natural): (&usize, &u16)| match self.columns[*column].wraps {
            true => usize::from(*natural).min(self.columns[*column].least) + usize::from(GAP),
            false => usize::from(*natural) + usize::from(GAP),
        };
        let fits = room.is_some_and(|room| shown.iter().zip(&natural).map(least).sum::<usize>() <= room);
        for (position, column) in shown.iter().enumerate() {
            let least = natural.get(position).map(|natural| least((column, natural)));
            let Some(set) = table.column_mut(position) else { continue };
            set.set_padding((0, GAP));
            let settings = self.columns[*column];
            if settings.right {
                set.set_cell_alignment(CellAlignment::Right);
            }
            if room.is_some() && !settings.wraps {
                set.set_constraint(ColumnConstraint::ContentWidth);
            } else if let Some(least) = least.filter(|_| fits && settings.least > NARROWEST) {
                set.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(saturated(least))));
            }
        }
        table
    }
}

/// The padding of the last column stands within its style: it goes, what ends the style stays.
fn without_blanks_at_end(line: &str) -> String {
    let trimmed = line.trim_end();
    match trimmed.rfind('\x1b').map(|at| trimmed.split_at(at)) {
        Some((text, end)) if end.ends_with('m') && !end.contains(' ') => format!("{}{end}", text.trim_end()),
        _ => trimmed.to_owned(),
    }
}

fn saturated(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

fn cell(text: &str, style: Style) -> comfy_table::Cell {
    let cell = match text.contains('/') && !text.contains([' ', BREAK]) {
        true => comfy_table::Cell::new(text.replace('/', &format!("/{BREAK}"))).set_delimiter(BREAK),
        false => comfy_table::Cell::new(text),
    };
    match style {
        Style::Plain => cell,
        Style::Bold => cell.add_attribute(Attribute::Bold),
        Style::Dim => cell.add_attribute(Attribute::Dim),
        Style::Good => cell.fg(Color::DarkGreen),
        Style::Warning => cell.fg(Color::DarkYellow),
        Style::Critical => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
        Style::Unknown => cell.fg(Color::DarkMagenta),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(&[column("HOST"), column("SIZE").right(), column("WHAT").wraps(), column("ID").spare(1)]);
        table.row(["web-1".into(), "7".into(), "the quick brown fox jumps".into(), "0123456789".into()]);
        table.row(["a".into(), "1234".into(), "short".into(), "x".into()]);
        table
    }

    #[test]
    fn a_pipe_gets_everything_on_one_line_each() {
        assert_eq!(
            table().render(None, false),
            "HOST   SIZE  WHAT                       ID\n\
             web-1     7  the quick brown fox jumps  0123456789\n\
             a      1234  short                      x\n"
        );
    }

    #[test]
    fn a_narrow_terminal_loses_what_can_be_spared_and_wraps_the_rest() {
        assert_eq!(
            table().render(Some(30), false),
            "HOST   SIZE  WHAT\n\
             web-1     7  the quick brown\n\
             \x20            fox jumps\n\
             a      1234  short\n"
        );
    }

    #[test]
    fn a_path_goes_on_behind_a_slash() {
        let mut table = Table::new(&[column("FILE").wraps(), column("N")]);
        table.row(["/usr/lib/apache2/modules/libphp8.2.so".into(), "7".into()]);
        assert_eq!(
            table.render(Some(30), false),
            "FILE                         N\n\
             /usr/lib/apache2/modules/    7\n\
             libphp8.2.so\n"
        );
        assert_eq!(table.render(None, false).lines().nth(1), Some("/usr/lib/apache2/modules/libphp8.2.so  7"));
    }

    #[test]
    fn colour_adds_no_width() {
        let mut table = Table::new(&[column("A"), column("B")]);
        table.row([Cell::new("x", Style::Critical), "y".into()]);
        let bare = |text: &str| {
            let mut parts = text.split('\x1b');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
        };
        assert_eq!(bare(&table.render(Some(80), true)), "A  B\nx  y\n", "nor blanks at the end");
        let mut full = Table::new(&[column("").wraps()]).bare().indent(2);
        full.row([Cell::new("gets no more security fixes since it is so old", Style::Bold)]);
        let text = bare(&full.render(Some(28), true));
        assert!(text.lines().all(|line| line.len() <= 28), "a terminal would break the line once more: {text:?}");
        assert!(table.render(Some(80), true).contains('\x1b'));
        assert!(!table.render(Some(80), false).contains('\x1b'));
    }
}
