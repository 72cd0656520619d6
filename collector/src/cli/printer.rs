//! What commands print with: tables that fit the terminal, blocks, JSON. Data goes to stdout, talk to stderr. A pipe gets
//! plain lines: no colour, no wrapping, nothing cut.

pub mod bar;
pub mod table;
pub mod values;
pub mod words;

use std::io::{IsTerminal, Write};

use anyhow::Result;
use plumb_proto::time::Timestamp;
use serde::Serialize;

use table::Table;

/// From this width on there is room for absolute times beside relative ones.
const WIDE: usize = 110;

/// How something is shown where there is colour. It never carries a meaning that is not in the words too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// Of less weight.
    Dim,
    /// As it should be.
    Good,
    /// Look at it this week.
    Warning,
    /// Look at it now.
    Critical,
    /// Cannot be told.
    Unknown,
}

impl Style {
    /// Select graphic rendition, ECMA-48 8.3.117.
    fn ansi(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Critical => "1;31",
            Self::Unknown => "35",
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// JSON instead of text.
    pub json: bool,
    /// Columns of the terminal; `None`: no terminal, lines may be as long as they need.
    pub width: Option<usize>,
    /// Whether there is colour.
    pub color: bool,
    /// Now, for `3 min ago`.
    pub now: Timestamp,
}

/// Prints.
pub struct Printer {
    out: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    look: Look,
}

impl Printer {
    /// Prints to stdout and stderr. `COLUMNS` and `NO_COLOR` are honoured (no-color.org).
    #[must_use]
    pub fn stdio(json: bool, now: Timestamp) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let asked = || comfy_table::Table::new().width().map(usize::from).filter(|_| terminal);
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let look = Look { json, width: columns.or_else(asked), color: terminal && !no_color && !dumb, now };
        Self::new(Box::new(std::io::BufWriter::new(std::io::stdout())), Box::new(std::io::stderr()), look)
    }

    /// Prints elsewhere.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, talk: Box<dyn Write + Send>, look: Look) -> Self {
        Self { out, talk, look }
    }

    /// Whether JSON is asked for.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.look.json
    }

    /// Columns of the terminal; `None` if there is none.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.look.width
    }

    /// Whether there is room for more than what is needed.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.look.width.is_none_or(|width| width >= WIDE)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.look.now
    }

    /// A list as JSON: one element a line, so that it can be read, searched and compared line by line.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn json_rows<T: Serialize>(&mut self, rows: impl IntoIterator<Item = T>) -> Result<()> {
        let mut open = "[";
        for row in rows {
            writeln!(self.out, "{open}")?;
            serde_json::to_writer(&mut self.out, &row)?;
            open = ",";
        }
        match open {
            "[" => writeln!(self.out, "[]")?,
            _ => writeln!(self.out, "\n]")?,
        }
        Ok(())
    }

    /// One JSON document.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn json<T: Serialize>(&mut self, document: &T) -> Result<()> {
        serde_json::to_writer(&mut self.out, document)?;
        Ok(writeln!(self.out)?)
    }

    /// A table.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn table(&mut self, table: &Table) -> Result<()> {
        Ok(self.out.write_all(table.render(self.look.width, self.look.color).as_bytes())?)
    }

    /// A line.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        Ok(writeln!(self.out, "{}", text.as_ref())?)
    }

    /// A text in a style, for [`Printer::line`].
    #[must_use]
    pub fn styled(&self, text: impl AsRef<str>, style: Style) -> String {
        paint(text.as_ref(), style, self.look.color)
    }

    /// Two texts on one line, the second at its right end where there is a terminal.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn ends(&mut self, left: &[(&str, Style)], right: &str) -> Result<()> {
        let length: usize = left.iter().map(|(text, _)| text.chars().count()).sum();
        let painted: String = left.iter().map(|(text, style)| self.styled(text, *style)).collect();
        let gap = self.look.width.map_or(2, |width| width.saturating_sub(length + right.chars().count()));
        if gap < 2 {
            self.line(painted)?;
            return self.line(format!("  {}", self.styled(right, Style::Dim)));
        }
        let right = self.styled(right, Style::Dim);
        self.line(format!("{painted}{}{right}", " ".repeat(gap)).trim_end())
    }

    /// A remark that is no data: to stderr.
    ///
    /// # Errors
    /// What was printed before cannot be written.
    pub fn note(&mut self, text: impl AsRef<str>) -> Result<()> {
        self.out.flush()?;
        let _ = writeln!(self.talk, "{}", text.as_ref());
        Ok(())
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

fn paint(text: &str, style: Style, color: bool) -> String {
    if color && style != Style::Plain { format!("\x1b[{}m{text}\x1b[0m", style.ansi()) } else { text.to_owned() }
}

#[cfg(test)]
pub(crate) mod testing;
