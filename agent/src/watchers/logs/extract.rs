//! Lines of an access log: a format, as nginx or Apache has it configured, becomes a list of pieces that is run over each
//! line. Nothing is allocated for a line.
//!
//! A field ends where the text after it in the format is found next; a quote that is escaped with a backslash (Apache,
//! and nginx with escape=json) ends nothing. A format that does not say where a field that counts ends is not taken,
//! and a line in which such a field is not what it must be is not understood: unknown, never wrong.

mod apache;
mod nginx;
mod value;

use std::sync::Arc;

use memchr::{memchr, memchr2};

pub(super) use self::apache::NICKNAMES as APACHE_NICKNAMES;
pub(super) use self::nginx::COMBINED as NGINX_COMBINED;
pub use self::value::Hit;
use self::value::{decimal, digits, fraction};

/// Pieces of a format.
const MAX_PIECES: usize = 128;

/// What is between two fixed texts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// Anything.
    Text,
    /// Anything without a space.
    Word,
    /// A port.
    Port,
    /// The name of the site, as the server itself has it.
    Site,
    /// Status of the answer (RFC 9110, 15).
    Status,
    /// Bytes that were sent; `-` for none.
    Bytes,
    /// Time that the answer took, in parts of a second: this many make one.
    Time(u32),
}

impl Field {
    fn counts(self) -> bool {
        !matches!(self, Self::Text | Self::Word | Self::Port)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Field(Field),
    Fixed(Vec<u8>),
}

/// A format, ready to be run over lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extractor {
    pieces: Vec<Piece>,
}

impl Extractor {
    /// Of nginx's `log_format`. `None`: it does not tell the status, or not where a field ends.
    #[must_use]
    pub fn nginx(format: &str) -> Option<Self> {
        Self::new(nginx::pieces(format)?)
    }

    /// Of Apache's `LogFormat`. `None` as above.
    #[must_use]
    pub fn apache(format: &str) -> Option<Self> {
        Self::new(apache::pieces(format)?)
    }

    /// The formats that are met where no configuration names one: vhost_combined, then combined and common.
    #[must_use]
    pub fn usual() -> Vec<Arc<Self>> {
        // With a space at the end, after which there may be anything.
        ["%v:%p %h %l %u %t \"%r\" %>s %b ", "%h %l %u %t \"%r\" %>s %b "]
            .into_iter()
            .filter_map(Self::apache)
            .map(Arc::new)
            .collect()
    }

    fn new(raw: Vec<Piece>) -> Option<Self> {
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in raw {
            match (pieces.last_mut(), piece) {
                (Some(Piece::Fixed(before)), Piece::Fixed(more)) => before.extend(more),
                // Where one ends and the other begins cannot be told; that is fine if neither counts.
                (Some(Piece::Field(before)), Piece::Field(next)) => {
                    if before.counts() || next.counts() {
                        return None;
                    }
                    *before = Field::Text;
                }
                (_, piece) => pieces.push(piece),
            }
        }
        let last = pieces.iter().rposition(|piece| matches!(piece, Piece::Field(field) if field.counts()))?;
        // What follows the last field that counts only says where that ends.
        pieces.truncate(last + 2);
        if let Some(Piece::Fixed(end)) = pieces.get_mut(last + 1) {
            end.truncate(1);
        }
        let fits = pieces.contains(&Piece::Field(Field::Status)) && pieces.len() <= MAX_PIECES;
        fits.then_some(Self { pieces })
    }

    /// What a line says; `None` if it is not of this format.
    #[must_use]
    pub fn extract<'a>(&self, line: &'a [u8]) -> Option<Hit<'a>> {
        let (mut hit, mut rest) = (Hit::default(), line);
        let mut pieces = self.pieces.iter();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Fixed(text) => rest = rest.strip_prefix(text.as_slice())?,
                Piece::Field(field) => {
                    let value = match pieces.next() {
                        Some(Piece::Fixed(text)) => {
                            let end = match find(rest, text) {
                                Some(end) => end,
                                // The line may end with the last field that counts.
                                None if pieces.len() == 0 && field.counts() => rest.len(),
                                None => return None,
                            };
                            let (value, after) = rest.split_at(end);
                            rest = after.get(text.len()..).unwrap_or_default();
                            value
                        }
                        _ => std::mem::take(&mut rest),
                    };
                    keep(*field, value, &mut hit)?;
                }
            }
        }
        Some(hit)
    }
}

/// Takes a value up; `None` if it cannot be one of this field.
fn keep<'a>(field: Field, value: &'a [u8], hit: &mut Hit<'a>) -> Option<()> {
    match field {
        Field::Text => {}
        Field::Word => {
            if value.is_empty() || memchr(b' ', value).is_some() {
                return None;
            }
        }
        Field::Port => {
            if value.len() > 5 || digits(value).is_none() {
                return None;
            }
        }
        Field::Site => {
            if value.is_empty() || memchr2(b' ', b':', value).is_some() {
                return None;
            }
            hit.site = Some(value);
        }
        Field::Status => {
            hit.status = digits(value).filter(|_| value.len() == 3).and_then(|status| u16::try_from(status).ok())?;
        }
        Field::Bytes => {
            hit.bytes = if value == b"-" { 0 } else { digits(value)? };
        }
        Field::Time(_) if value == b"-" => {}
        Field::Time(1) => hit.seconds = Some(fraction(value)?),
        Field::Time(parts) => hit.seconds = Some(decimal(digits(value)?) / f64::from(parts)),
    }
    Some(())
}

/// Where `text` is found first. If it begins with a quote, one that is not escaped.
fn find(line: &[u8], text: &[u8]) -> Option<usize> {
    let (first, mut from) = (*text.first()?, 0);
    loop {
        let at = from + memchr(first, line.get(from..)?)?;
        if line.get(at..)?.starts_with(text) && !(first == b'"' && is_escaped(line, at)) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn is_escaped(line: &[u8], at: usize) -> bool {
    let before = line.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests;
