//! Plain values that PHP source assigns: `$name = 'text';`, `define('NAME', true);`, `const NAME = 4;`, `'name' => 'text'`.
//! Nothing is run: what is put together at run time is told as [`Value::Other`]. Comments, here-documents and what stands
//! outside of PHP's tags are passed over. Any bytes are taken, in one pass, and with a bound on every word.

/// Bytes of a word or text that are kept: what is longer is no version and no switch.
const WORD: usize = 512;

/// What is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text in quotes.
    Text(String),
    /// A number or a word: `true`, `1700000000`.
    Word(String),
    /// A text below the folder of the file itself: `__DIR__ . '/content'`.
    Below(String),
    /// Something that only running it would tell.
    Other,
}

impl Value {
    /// As a text, if it is a plain one or a number.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            Self::Below(_) | Self::Other => None,
        }
    }

    /// As PHP would judge it: `'0'`, `''`, `0`, `false` and `null` are not true.
    #[must_use]
    pub fn is_true(&self) -> Option<bool> {
        match self {
            Self::Text(text) => Some(!text.is_empty() && text != "0"),
            Self::Word(word) if word.starts_with(|first: char| first.is_ascii_digit()) => {
                Some(word.bytes().any(|byte| matches!(byte, b'1'..=b'9')))
            }
            Self::Word(word) if word.eq_ignore_ascii_case("true") => Some(true),
            Self::Word(word) if word.eq_ignore_ascii_case("false") || word.eq_ignore_ascii_case("null") => Some(false),
            Self::Word(_) | Self::Below(_) | Self::Other => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Variable(String),
    Word(String),
    Text(String),
    Arrow,
    Sign(u8),
}

/// Visits every assignment with its name (of a variable without `$`), in their order.
pub fn assignments(source: &[u8], visit: &mut dyn FnMut(&str, &Value)) {
    let mut tokens = Tokens { source, at: 0, inside: false };
    let mut name: Option<String> = None;
    let mut last = None;
    while let Some(token) = tokens.next() {
        match (&token, last.take()) {
            (Token::Variable(word), _) => name = Some(word.clone()),
            (Token::Word(word), _) => {
                let called = word.eq_ignore_ascii_case("define");
                name = if called { tokens.defined() } else { Some(word.clone()) };
                if called && let Some(name) = name.take() {
                    visit(&name, &tokens.value());
                }
            }
            // `->version = '1'` is an assignment as well: the word stands last before the sign.
            (Token::Text(text), _) => last = Some(text.clone()),
            (Token::Arrow, Some(text)) => visit(&text, &tokens.value()),
            (Token::Sign(b'='), _) => {
                if let Some(name) = name.take() {
                    visit(&name, &tokens.value());
                }
            }
            (Token::Arrow | Token::Sign(_), _) => name = None,
        }
    }
}

struct Tokens<'a> {
    source: &'a [u8],
    at: usize,
    /// Between `<?php` and `?>`.
    inside: bool,
}

impl Tokens<'_> {
    /// Behind `define`: the name, up to the comma.
    fn defined(&mut self) -> Option<String> {
        let before = self.at;
        match (self.next(), self.next(), self.next()) {
            (Some(Token::Sign(b'(')), Some(Token::Text(name)), Some(Token::Sign(b','))) => Some(name),
            _ => {
                self.at = before;
                None
            }
        }
    }

    /// The value that begins here. What follows a value that is not understood is read on as usual.
    fn value(&mut self) -> Value {
        let before = self.at;
        let mut first = self.next();
        let below = matches!(&first, Some(Token::Word(word)) if word == "__DIR__");
        if below {
            first = if self.next() == Some(Token::Sign(b'.')) { self.next() } else { None };
        }
        let end = self.at;
        let ends = matches!(self.next(), None | Some(Token::Sign(b';' | b',' | b')' | b']')));
        let value = match first {
            Some(Token::Text(text)) if below && ends => Value::Below(text),
            Some(Token::Text(text)) if ends => Value::Text(text),
            Some(Token::Word(word)) if ends && !below => Value::Word(word),
            _ => Value::Other,
        };
        self.at = if value == Value::Other { before } else { end };
        value
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            if !self.inside {
                let start = find(&self.source[self.at..], b"<?")?;
                self.at += start + 2;
                if self.source[self.at..].starts_with(b"php") {
                    self.at += 3;
                }
                self.inside = true;
            }
            let rest = &self.source[self.at..];
            let first = *rest.first()?;
            let skipped = match (first, rest.get(1)) {
                (byte, _) if byte.is_ascii_whitespace() => 1,
                (b'#', Some(b'[')) => 2, // an attribute
                (b'#', _) | (b'/', Some(b'/')) => line_comment(rest),
                (b'/', Some(b'*')) => find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4),
                (b'?', Some(b'>')) => {
                    self.inside = false;
                    2
                }
                (b'<', Some(b'<')) if rest.get(2) == Some(&b'<') => here_document(rest),
                _ => return Some(self.token(first)),
            };
            self.at += skipped;
        }
    }

    fn token(&mut self, first: u8) -> Token {
        let rest = &self.source[self.at..];
        let word =
            |from: usize| from + rest[from..].iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len() - from);
        let (token, length) = match first {
            b'\'' | b'"' => match quoted(rest, first) {
                (Some(text), length) => (Token::Text(text), length),
                // The file is being written.
                (None, length) => (Token::Sign(first), length),
            },
            b'$' if rest.get(1).is_some_and(|byte| is_word(*byte)) => {
                let end = word(1);
                (Token::Variable(kept(&rest[1..end])), end)
            }
            byte if is_word(byte) => {
                let mut end = word(0);
                // A number may have a point in it.
                if byte.is_ascii_digit()
                    && rest.get(end) == Some(&b'.')
                    && rest.get(end + 1).is_some_and(u8::is_ascii_digit)
                {
                    end = word(end + 1);
                }
                (Token::Word(kept(&rest[..end])), end)
            }
            b'=' if rest.get(1) == Some(&b'>') => (Token::Arrow, 2),
            // Signs that hold a `=` and assign nothing.
            b'=' | b'!' | b'<' | b'>' | b'.' | b'+' | b'-' if rest.get(1) == Some(&b'=') => {
                (Token::Sign(b'!'), if rest.get(2) == Some(&b'=') { 3 } else { 2 })
            }
            // The word behind it is the one that is assigned to.
            b'-' | b'?' if rest.get(1) == Some(&b'>') => (Token::Sign(b'-'), 2),
            byte => (Token::Sign(byte), 1),
        };
        self.at += length;
        token
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn kept(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(WORD)]).into_owned()
}

/// A comment of one line ends with the line, or with the tag.
fn line_comment(rest: &[u8]) -> usize {
    let line = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    find(&rest[..line], b"?>").unwrap_or(line)
}

/// `<<<'NAME'` to the line that begins with the name.
fn here_document(rest: &[u8]) -> usize {
    let head = rest[..rest.len().min(WORD)].iter().position(|byte| *byte == b'\n').unwrap_or(3);
    let name = rest[3..head.max(3)].trim_ascii();
    let name = name.strip_prefix(b"'").or_else(|| name.strip_prefix(b"\"")).unwrap_or(name);
    let name = name.split(|byte| !is_word(*byte)).next().unwrap_or_default();
    if name.is_empty() {
        return 3; // a shift and a comparison, or broken
    }
    let mut at = head;
    for line in rest[head..].split_inclusive(|byte| *byte == b'\n') {
        let begin = line.trim_ascii_start();
        if begin.starts_with(name) && !begin.get(name.len()).is_some_and(|byte| is_word(*byte)) {
            return at + (line.len() - begin.len()) + name.len();
        }
        at += line.len();
    }
    rest.len()
}

/// A text in quotes, `None` where they do not end, and how long it is with them. A variable in it is left as it is written.
fn quoted(rest: &[u8], quote: u8) -> (Option<String>, usize) {
    let mut text = Vec::new();
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            byte if *byte == quote => return (Some(String::from_utf8_lossy(&text).into_owned()), at + 1),
            b'\\' if rest.get(at + 1).is_some_and(|next| *next == quote || *next == b'\\') => at += 1,
            _ => {}
        }
        if text.len() < WORD {
            text.extend(rest.get(at));
        }
        at += 1;
    }
    (None, rest.len())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str) -> String {
        let mut text = Vec::new();
        assignments(source.as_bytes(), &mut |name, value| {
            text.push(match value {
                Value::Text(value) => format!("{name}='{value}'"),
                Value::Word(value) => format!("{name}={value}"),
                Value::Below(value) => format!("{name}=./{value}"),
                Value::Other => format!("{name}=?"),
            });
        });
        text.join(" ")
    }

    #[test]
    fn each_way_to_assign_is_understood() {
        for (source, expected) in [
            ("<?php\n$wp_version = '6.4.3';\n$wp_db_version = 56657;", "wp_version='6.4.3' wp_db_version=56657"),
            ("<?php define( 'WP_DEBUG', true ); define(\"A\", '1');", "WP_DEBUG=true A='1'"),
            ("<?php Config::define('WP_DEBUG', false);", "WP_DEBUG=false"),
            ("<?php class D { public const string VERSION = '10.2.3'; const MAJOR = 4; }", "VERSION='10.2.3' MAJOR=4"),
            ("<?php return ['version' => '4.5.1', 'x' => f(1), 'y' => 2.5];", "version='4.5.1' x=? y=2.5"),
            ("<?php $this->version = '4.2'; public $debug = '0';", "version='4.2' debug='0'"),
            ("<?php define('WP_CONTENT_DIR', __DIR__ . '/app');", "WP_CONTENT_DIR=.//app"),
            ("<?php $a = $b . 'x'; $c = time();", "a=? c=?"),
            ("<?php $upgrading = 1700000000; ?>", "upgrading=1700000000"),
        ] {
            assert_eq!(told(source), expected, "{source}");
        }
    }

    #[test]
    fn comments_other_texts_and_comparisons_assign_nothing() {
        for source in [
            "$version = '1';",
            "<?php // $a = '1';\n# $b = '2';\n/* $c = '3'; */",
            "<?php echo \"$a = '1';\"; f(<<<EOT\n$d = '4';\n  EOT);",
            "<?php if ($a == '1' || $b === '2' || $c != '3' || $d >= 4) { f('WP_DEBUG', true); }",
            "<?php ?> $x = '1'; <b><?php // ?> $y = '2';",
            "<?php if (defined('WP_DEBUG')) g();",
        ] {
            assert_eq!(told(source), "", "{source}");
        }
        assert_eq!(told("<?php /* a */ $a = /* b */ '1' // c\n;"), "a='1'");
        assert_eq!(told("<?php $q = 'it\\'s'; $r = \"x\";"), "q='it's' r='x'");
    }

    #[test]
    fn a_text_that_is_being_written_has_no_value() {
        assert_eq!(told("<?php $a = '1'; $wp_version = '6."), "a='1' wp_version=?");
    }

    #[test]
    fn broken_source_ends() {
        for source in
            ["<?php $a = '", "<?php /*", "<?php define(", "<?php <<<", "<?", "<?php $", "<?php $a =", "\0\u{fffd}"]
        {
            let _ = told(source);
        }
        assignments(&[b"<?php $a = '".as_slice(), &[0xff; 2000], b"'; $b = 1;"].concat(), &mut |_, _| {});
    }

    #[test]
    fn a_switch_is_judged_as_php_does() {
        let judged = |value: Value| value.is_true();
        assert_eq!(judged(Value::Word("TRUE".to_owned())), Some(true));
        assert_eq!(judged(Value::Word("0".to_owned())), Some(false));
        assert_eq!(judged(Value::Text("0".to_owned())), Some(false));
        assert_eq!(judged(Value::Text("false".to_owned())), Some(true));
        assert_eq!(judged(Value::Word("SOME_CONSTANT".to_owned())), None);
        assert_eq!(judged(Value::Other), None);
    }
}
