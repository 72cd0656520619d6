//! Texts of drifts: short, one line, escaped.

use std::fmt::Display;

use plumb_proto::untrusted::Untrusted;

/// Characters of one value in a title, or in `expected` and `actual`.
const VALUE: usize = 200;

/// A value for people, cut where it gets long. What comes from a host must escape itself when it is displayed, as
/// [`Untrusted`] and the values of columns do.
#[must_use]
pub fn clip(value: impl Display) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A text that came from a host as plain text (a reason, an error), escaped and cut.
#[must_use]
pub fn said(text: &str) -> String {
    clip(Untrusted::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(clip("short"), "short");
        assert_eq!(clip("ü".repeat(300)), format!("{}...", "ü".repeat(200)));
    }

    #[test]
    fn what_a_host_says_reaches_no_terminal_raw() {
        assert_eq!(said("a\x1b[2Jb\nc"), r"a\x1b[2Jb\nc");
    }
}
