//! `LogFormat` of Apache (mod_log_config): text with `%` directives, which may carry conditions (`%!200,304r`), a choice
//! of request (`%>s`) and an argument (`%{ms}T`).

use super::{Field, Piece};

/// The nicknames that hold where a configuration does not define them.
pub(in crate::watchers::logs) const NICKNAMES: [(&str, &str); 3] = [
    ("vhost_combined", "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""),
    ("combined", "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""),
    ("common", "%h %l %u %t \"%r\" %>s %b"),
];

pub(super) fn pieces(format: &str) -> Option<Vec<Piece>> {
    let mut found = Vec::new();
    let (mut rest, mut timed, mut sized) = (format, false, false);
    while let Some(at) = rest.find('%') {
        found.push(Piece::Fixed(rest.get(..at)?.as_bytes().to_vec()));
        let mut after = rest.get(at + 1..)?;
        if let Some(next) = after.strip_prefix('%') {
            found.push(Piece::Fixed(b"%".to_vec()));
            rest = next;
            continue;
        }
        let condition = after.len();
        after = after.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '!' | ','));
        let conditional = after.len() != condition;
        after = after.trim_start_matches(['<', '>']);
        let argument = match after.strip_prefix('{') {
            Some(inner) => {
                let (argument, next) = inner.split_once('}')?;
                after = next;
                Some(argument)
            }
            None => None,
        };
        let (directive, next) = match after.strip_prefix('^') {
            Some(_) => after.split_at_checked(3)?, // ^ti, ^to: trailers
            None => after.split_at_checked(1)?,
        };
        rest = next;
        let field = match (directive, argument) {
            _ if conditional => Field::Text,
            ("h" | "a" | "l", None) => Field::Word,
            ("s", None) => Field::Status,
            ("v", None) => Field::Site,
            ("p", None) => Field::Port,
            ("b" | "B" | "O", None) if !sized => {
                sized = true;
                Field::Bytes
            }
            ("D", None) if !timed => Field::Time(1_000_000),
            ("T", Some("us")) if !timed => Field::Time(1_000_000),
            ("T", Some("ms")) if !timed => Field::Time(1_000),
            ("T", None | Some("s")) if !timed => Field::Time(1),
            ("t", None) => {
                // It brings its brackets along.
                found.extend([Piece::Fixed(b"[".to_vec()), Piece::Field(Field::Text), Piece::Fixed(b"]".to_vec())]);
                continue;
            }
            _ => Field::Text,
        };
        timed |= matches!(field, Field::Time(_));
        found.push(Piece::Field(field));
    }
    found.push(Piece::Fixed(rest.as_bytes().to_vec()));
    found.retain(|piece| *piece != Piece::Fixed(Vec::new()));
    Some(found)
}
