//! Bytes that came from a watched host: names, paths, log lines. Whoever controls a site controls them, so they are
//! compared and stored as they are and printed only escaped: no control byte, no bidirectional override, no forged
//! second line reaches a terminal, a log or a message.

use std::borrow::Borrow;
use std::fmt;

/// Bytes said by a host. `Display` escapes them; [`Untrusted::as_bytes`] gives them raw, for comparing and storing.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted(Vec<u8>);

impl Untrusted {
    /// The bytes as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text if they are valid UTF-8, still raw: for comparing and parsing, not for printing.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// True when there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives the bytes away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Characters that change how their neighbours are shown, or take no space: they could make one text look like
/// another (Unicode categories Cf, Zl, Zp as far as they reorder or hide; Unicode Technical Report 36).
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Printable text stays; everything else becomes `\n`, `\t`, `\r`, `\\`, `\xNN` (a byte) or `\u{N}` (a character).
impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    '\\' => f.write_str("\\\\")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", c as u32)?,
                    c if deceives(c) => write!(f, "\\u{{{:x}}}", c as u32)?,
                    c => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&[u8]> for Untrusted {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Untrusted {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Borrow<[u8]> for Untrusted {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_forges_a_line_is_printed() {
        let hostile = Untrusted::from(b"a\x1b[2J\nb\xff\xe2\x80\xae\\\tz\x7f".as_slice());
        assert_eq!(hostile.to_string(), r"a\x1b[2J\nb\xff\u{202e}\\\tz\x7f");
    }

    #[test]
    fn ordinary_text_of_any_language_stays_readable() {
        assert_eq!(Untrusted::from("/srv/Übergröße/網站").to_string(), "/srv/Übergröße/網站");
    }
}
