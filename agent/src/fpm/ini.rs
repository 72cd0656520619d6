//! The language of php.ini and php-fpm.conf (Zend/zend_ini_scanner.l of PHP's source), as far as settings are written in
//! it: narrow and tolerant. A value that is not understood is unknown, and no other one is.

/// Bytes of one name.
const NAME: usize = 256;
/// Bytes of one value.
const VALUE: usize = 4 << 10;

/// What stands for a value: itself, or why it cannot be told.
pub type Value = Result<String, &'static str>;

/// Hands every setting of a text to `each`: the section it stands in (empty before the first one), its name and its value.
/// What stands for a variable of the environment is unknown: FPM writes its title over the place where the kernel shows it.
pub fn parse(text: &[u8], each: &mut dyn FnMut(&str, &str, Value)) {
    let mut section = String::new();
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = rest[..end].trim_ascii();
        let next = rest.get(end + 1..).unwrap_or_default();
        if let Some(name) = line.strip_prefix(b"[") {
            let name = name.split(|byte| *byte == b']').next().unwrap_or_default();
            section.clear();
            section.push_str(&String::from_utf8_lossy(&name[..name.len().min(NAME)]));
            rest = next;
            continue;
        }
        let equals = line.iter().position(|byte| *byte == b'=');
        let (Some(equals), false) = (equals, line.starts_with(b";") || line.starts_with(b"#")) else {
            rest = next;
            continue;
        };
        let name = line[..equals].trim_ascii();
        // A text in quotes may go on behind the end of the line.
        let start = rest.iter().position(|byte| *byte == b'=').map_or(rest.len(), |at| at + 1);
        let (value, used) = value(&rest[start..]);
        if let (Ok(name), true) = (std::str::from_utf8(name), name.len() <= NAME) {
            each(&section, name, value);
        }
        rest = rest.get(start + used..).unwrap_or_default();
    }
}

/// A value, and how many bytes it takes with the end of its line.
fn value(text: &[u8]) -> (Value, usize) {
    let line = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
    let mut bytes: Vec<u8> = Vec::new();
    let (mut at, mut quoted, mut wrong) = (0, false, None);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' => {
                at += 1;
                break;
            }
            b';' => {
                at += text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len() - at, |end| end + 1);
                break;
            }
            quote @ (b'"' | b'\'') => {
                if !quoted && bytes.trim_ascii_end().is_empty() {
                    bytes.clear(); // blanks in front
                }
                quoted = true;
                match in_quotes(&text[at + 1..], *quote, &mut bytes) {
                    Some((used, known)) => {
                        at += used + 1;
                        wrong = wrong.or((!known).then_some(ENVIRONMENT));
                    }
                    None => return (Err("a quote is not closed"), line),
                }
            }
            b'$' if text.get(at + 1) == Some(&b'{') => {
                wrong = wrong.or(Some(ENVIRONMENT));
                // Without an end, there is none further on either.
                at += text[at..].iter().position(|byte| matches!(byte, b'}' | b'\n')).unwrap_or(text.len() - at);
                at += usize::from(text.get(at) == Some(&b'}'));
            }
            // What PHP reckons with: error_reporting = E_ALL & ~E_NOTICE
            b'|' | b'&' | b'~' | b'!' | b'(' | b')' | b'{' | b'}' | b'^' => {
                wrong = wrong.or(Some("an expression, which is not reckoned"));
                at += 1;
            }
            other => {
                bytes.push(*other);
                at += 1;
            }
        }
        if bytes.len() > VALUE {
            wrong = Some("longer than is read");
            bytes.truncate(VALUE);
        }
    }
    if let Some(why) = wrong {
        return (Err(why), at);
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return (Err("not UTF-8 text"), at) };
    let text = if quoted { text.trim_end() } else { text.trim() };
    let plain = !quoted;
    let is = |words: &[&str]| plain && words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let value = if is(&["true", "on", "yes"]) {
        "1"
    } else if is(&["false", "off", "no", "none", "null"]) {
        ""
    } else {
        text
    };
    (Ok(value.to_owned()), at)
}

const ENVIRONMENT: &str = "it stands for a variable of the environment, which cannot be seen";

/// A text in quotes, from behind the first one: bytes with the last one, and whether all of it is known.
fn in_quotes(text: &[u8], quote: u8, bytes: &mut Vec<u8>) -> Option<(usize, bool)> {
    let (mut at, mut all) = (0, true);
    while at <= VALUE {
        match *text.get(at)? {
            byte if byte == quote => return Some((at + 1, all)),
            b'\\' if quote == b'"' && matches!(text.get(at + 1), Some(b'"' | b'\\' | b'\'')) => {
                bytes.push(text[at + 1]);
                at += 2;
            }
            byte => {
                all &= !(quote == b'"' && byte == b'$' && text.get(at + 1) == Some(&b'{'));
                bytes.push(byte);
                at += 1;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        parse(text, &mut |section, name, value| {
            lines.push(format!("{section}|{name}|{}", value.unwrap_or_else(|why| format!("?{why}"))));
        });
        lines
    }

    #[test]
    fn settings_are_read_with_sections_quotes_and_comments() {
        let text = b"\xef\xbb\xbf; a comment\nmemory_limit = 128M ; more\n[opcache]\r\nopcache.enable=On\n # old = 1\n\
            [PHP]\nerror_log = \"/var/log/a;b.log\" ; x\nopen_basedir = '/srv/a:/srv/b'\nempty =\nexpose_php = off\n\
            both = \"a\\\"b\" \nmany = \"line one\nline two\"\nlast=7";
        assert_eq!(
            told(text),
            [
                "|memory_limit|128M",
                "opcache|opcache.enable|1",
                "PHP|error_log|/var/log/a;b.log",
                "PHP|open_basedir|/srv/a:/srv/b",
                "PHP|empty|",
                "PHP|expose_php|",
                "PHP|both|a\"b",
                "PHP|many|line one\nline two",
                "PHP|last|7",
            ]
        );
    }

    #[test]
    fn variables_of_the_environment_are_unknown() {
        assert_eq!(
            told(b"a = ${LIMIT}\nb = \"x${LIMIT}y\"\nc = '${LIMIT}'\nd = ${OPEN\ne = /a$b\n"),
            [
                &format!("|a|?{ENVIRONMENT}"),
                &format!("|b|?{ENVIRONMENT}"),
                "|c|${LIMIT}",
                &format!("|d|?{ENVIRONMENT}"),
                "|e|/a$b"
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_unknown_and_nothing_else_is() {
        assert_eq!(
            told(b"a = \"open\nb = 1\nc = E_ALL & ~E_NOTICE\nd = \xff\xfe\ne = 2\n\xff = 3\n"),
            [
                "|a|?a quote is not closed",
                "|b|1",
                "|c|?an expression, which is not reckoned",
                "|d|?not UTF-8 text",
                "|e|2"
            ]
        );
        let long = [&b"a = "[..], &vec![b'x'; 5_000], b"\nb = 1\n"].concat();
        assert_eq!(told(&long), ["|a|?longer than is read", "|b|1"]);
    }

    #[test]
    fn thousands_of_variables_without_an_end_take_no_long_time() {
        let began = std::time::Instant::now();
        let text = [b"a = ".to_vec(), b"${".repeat(500_000)].concat();
        assert_eq!(told(&text), [format!("|a|?{ENVIRONMENT}")]);
        let blanks = [b"a = ".to_vec(), b"\"\"".to_vec(), b" ".repeat(4_000), b"''".repeat(500_000)].concat();
        assert_eq!(told(&blanks), ["|a|"]);
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(bytes: Vec<u8>, text in "[a${}\"'=;\\[\\]\n ]{0,80}") {
            told(&bytes);
            told(text.as_bytes());
        }
    }
}
