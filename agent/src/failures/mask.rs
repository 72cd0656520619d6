//! Takes secrets out of a line before it leaves the host: passwords, tokens, query strings, the names in e-mail
//! addresses, the user part of addresses of databases. Rather too much than too little: the line is told so that a person
//! recognises the failure, the log itself has the rest.

/// Bytes of a text that are told.
const TOLD: usize = 500;
/// Bytes that are looked at for it.
const READ: usize = 2 << 10;
/// What stands where something was taken out.
const MASK: &str = "***";
/// Words whose value is a secret, as they stand before `=`, `:` or `=>`; also at the end of longer names (DB_PASSWORD).
const SECRETS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "authorization",
    "cookie",
    "session",
    "nonce",
];
/// Words that stand before a secret without anything between.
const SCHEMES: [&str; 3] = ["bearer", "basic", "identified by"];
/// Letters and digits in a row, mixed, from which on it is a key or a token rather than a word.
const TOKEN: usize = 32;

/// The first line of `line`, without secrets, cut to what is told.
#[must_use]
pub fn text(line: &[u8]) -> String {
    let line = line.split(|byte| *byte == b'\n').find(|part| !part.is_empty()).unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(READ)]);
    // Frames of a stack trace carry the arguments of the calls.
    let line = line.split("Stack trace:").next().unwrap_or_default().trim_end();
    let mut masked = mask(line);
    if masked.len() > TOLD {
        masked.truncate(masked.floor_char_boundary(TOLD));
    }
    masked
}

fn mask(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let before = out.chars().next_back();
        if let Some(skip) = address(rest, before).or_else(|| query(rest, before)).or_else(|| secret(rest, before)) {
            out.push_str(&rest[..skip.keep]);
            out.push_str(MASK);
            rest = &rest[skip.keep + skip.drop..];
        } else if let Some(length) = word(rest, before) {
            let (this, next) = rest.split_at(length);
            match mailbox(next).then_some(0).or_else(|| token(this)) {
                Some(keep) => out.extend([&this[..keep], MASK]),
                None => out.push_str(this),
            }
            rest = next;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// What is told of the beginning of a text, and what is not.
struct Skip {
    keep: usize,
    drop: usize,
}

/// `scheme://user:password@host`: who logs in is dropped.
fn address(rest: &str, before: Option<char>) -> Option<Skip> {
    let inside = rest.strip_prefix("://").filter(|_| before.is_some_and(char::is_alphanumeric))?;
    let end = inside.find(|c: char| c.is_whitespace() || "/'\"?<>".contains(c)).unwrap_or(inside.len());
    Some(Skip { keep: 3, drop: inside[..end].rfind('@')? })
}

/// `?a=b&c=d` behind a path.
fn query(rest: &str, before: Option<char>) -> Option<Skip> {
    let inside = rest.strip_prefix('?').filter(|_| before.is_some_and(|c| !c.is_whitespace()))?;
    let drop = inside.find(|c: char| c.is_whitespace() || "\"'<>,)".contains(c)).unwrap_or(inside.len());
    inside[..drop].contains('=').then_some(Skip { keep: 1, drop })
}

/// `password=...`, `"token": "..."`, `Authorization: Bearer ...`.
fn secret(rest: &str, before: Option<char>) -> Option<Skip> {
    if before.is_some_and(char::is_alphanumeric) {
        return None; // `_` and `-` may stand before: DB_PASSWORD, X-Token
    }
    let starts = |word: &&&str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    if let Some(scheme) = SCHEMES.iter().find(starts) {
        let value = rest[scheme.len()..].trim_start_matches([' ', '\'', '"']);
        let keep = rest.len() - value.len();
        return (keep > scheme.len()).then(|| Skip { keep, drop: value_of(value) });
    }
    let name = SECRETS.iter().filter(starts).map(|word| word.len()).max()?;
    let after = rest[name..].trim_start_matches(['"', '\'', ']']);
    let after = after.trim_start();
    let value = after.strip_prefix("=>").or_else(|| after.strip_prefix(['=', ':']))?;
    let value = value.trim_start_matches([' ', '"', '\'']);
    let length = value_of(value);
    // "using password: YES" is what MySQL says instead of the password.
    let told = length == 0 || ["YES", "NO"].contains(&&value[..length]);
    let scheme = SCHEMES.iter().any(|scheme| value.get(..scheme.len()).is_some_and(|v| v.eq_ignore_ascii_case(scheme)));
    (!told && !scheme).then_some(Skip { keep: rest.len() - value.len(), drop: length })
}

fn value_of(value: &str) -> usize {
    value.find(|c: char| c.is_whitespace() || "\"'&;,)".contains(c)).unwrap_or(value.len())
}

/// Length of the word that begins here.
fn word(rest: &str, before: Option<char>) -> Option<usize> {
    let inner = |c: char| c.is_alphanumeric() || "._+-%".contains(c);
    if before.is_some_and(inner) && before != Some('=') {
        return None;
    }
    // Words end where a secret's name may begin, so that `DB_PASSWORD=` is seen.
    let end = rest.find(|c: char| !inner(c) || c == '_' || c == '-').unwrap_or(rest.len());
    let whole = rest.find(|c: char| !inner(c)).unwrap_or(rest.len());
    let length = if mailbox(&rest[whole..]) || token(&rest[..whole]).is_some() { whole } else { end };
    (length > 0).then_some(length)
}

/// What follows a word makes it the name in an address.
fn mailbox(next: &str) -> bool {
    next.strip_prefix('@').is_some_and(|host| host.starts_with(char::is_alphanumeric))
}

/// A long mix of letters and digits: nothing of it is told.
fn token(word: &str) -> Option<usize> {
    let (digits, letters) =
        (word.bytes().filter(u8::is_ascii_digit).count(), word.bytes().filter(u8::is_ascii_alphabetic).count());
    let mixed = digits >= 4 && letters >= 4 && !word.contains('.');
    (mixed && digits + letters >= TOKEN).then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_line_is_not_told() {
        for (line, told) in [
            ("GET /reset?key=abc&login=me HTTP/2.0", "GET /reset?*** HTTP/2.0"),
            ("why? because", "why? because"),
            ("redis://default:hunter2@10.0.0.1:6379 down", "redis://***@10.0.0.1:6379 down"),
            ("DB_PASSWORD=hunter2 host=db", "DB_PASSWORD=*** host=db"),
            (r#"{"token": "abc", "n": 1}"#, r#"{"token": "***", "n": 1}"#),
            ("['secret' => 'x y']", "['secret' => '*** y']"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            ("for user 'shop'@'localhost' (using password: YES)", "for user 'shop'@'localhost' (using password: YES)"),
            ("to=<jane.doe+x@example.net>, relay=none", "to=<***@example.net>, relay=none"),
            ("key 0123456789abcdef0123456789abcdef end", "key *** end"),
            ("in /srv/a-b/wp-includes/class-wp.php on line 12", "in /srv/a-b/wp-includes/class-wp.php on line 12"),
            ("Uncaught E in /x.php:3\\nStack trace:\\n#0 f('pw')", "Uncaught E in /x.php:3\\n"),
            ("CREATE USER x IDENTIFIED BY 'pw1'", "CREATE USER x IDENTIFIED BY '***'"),
        ] {
            assert_eq!(text(line.as_bytes()), told);
        }
    }

    #[test]
    fn a_long_line_is_cut_and_what_is_no_text_is_marked() {
        assert_eq!(text(&[b'\xc3'; 9_000]).len(), 498);
        assert_eq!(text("é".repeat(400).as_bytes()).len(), 500);
        assert_eq!(text(b"\nfirst\nsecond"), "first");
        assert_eq!(text(b""), "");
    }

    proptest::proptest! {
        #[test]
        fn any_line_has_an_end(line: Vec<u8>) {
            proptest::prop_assert!(text(&line).len() <= TOLD);
        }
    }
}
