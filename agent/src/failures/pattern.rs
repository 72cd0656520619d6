//! A pattern: literal pieces that follow each other, `*` standing for anything between them.

use memchr::memmem::Finder;

use super::sieve::SHORTEST;

/// A pattern, ready to search. `\*` is a star itself.
#[derive(Debug)]
pub(super) struct Pattern {
    pieces: Vec<Finder<'static>>,
    longest: usize,
}

impl Pattern {
    /// From how it is written. `None`: no piece of it is long enough to be worth searching for.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.next_if_eq(&'*').is_some() => pieces.last_mut()?.push('*'),
                '*' => pieces.push(String::new()),
                c => pieces.last_mut()?.push(c),
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        let (longest, length) =
            pieces.iter().enumerate().map(|(at, piece)| (at, piece.len())).max_by_key(|(_, length)| *length)?;
        let pieces = pieces.iter().map(|piece| Finder::new(piece.as_bytes()).into_owned()).collect();
        (length >= SHORTEST).then_some(Self { pieces, longest })
    }

    /// The piece that is rarest by its length: a line without it does not match.
    pub(super) fn needle(&self) -> &[u8] {
        self.pieces[self.longest].needle()
    }

    /// Whether a line has all pieces in this order.
    pub(super) fn matches(&self, line: &[u8]) -> bool {
        if self.pieces.len() > 1 && self.pieces[self.longest].find(line).is_none() {
            return false;
        }
        let mut rest = line;
        self.pieces.iter().all(|piece| match piece.find(rest) {
            Some(at) => {
                rest = &rest[at + piece.needle().len()..];
                true
            }
            None => false,
        })
    }
}
