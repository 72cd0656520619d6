//! Where a command prints to: how wide it is, and whether it shows colour.

use std::io::{self, IsTerminal, Write};

/// Standard output.
pub(super) struct Terminal {
    /// Columns; `None`: a pipe, whose lines may be as long as they need.
    pub(super) width: Option<usize>,
    color: bool,
}

/// How something looks where there is colour. It never says what the words do not say.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Heading,
    Dim,
    Good,
    Warning,
    Bad,
}

impl Terminal {
    /// `COLUMNS` and `NO_COLOR` are honoured (no-color.org).
    pub(super) fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let columns = set("COLUMNS").and_then(|text| text.to_str()?.parse().ok()).filter(|width| *width > 0);
        let asked = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = columns.or_else(|| is_terminal.then(asked).flatten());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        Self { width, color: is_terminal && !dumb && set("NO_COLOR").is_none() }
    }

    /// Without colour, this wide.
    #[cfg(test)]
    pub(super) fn plain(width: Option<usize>) -> Self {
        Self { width, color: false }
    }

    /// Select graphic rendition, ECMA-48 8.3.117.
    pub(super) fn paint(&self, text: &str, style: Style) -> String {
        let code = match style {
            Style::Heading => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "1;31",
        };
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Prints. A reader that has gone (`| head`) is no error.
    pub(super) fn print(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}
