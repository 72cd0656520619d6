//! A Caddyfile as lines of words.

/// Words of one line, and bytes of one word, that are looked at.
const WORDS: usize = 500;
const WORD: usize = 4_096;

/// Lines with their words, without comments and empty lines; whether each opens a block. A `}` is a line of its own. A line
/// that ends with `,` goes on in the next one (a list of addresses), as does one that ends with `\`.
pub fn lines(text: &str) -> impl Iterator<Item = (Vec<String>, bool)> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (words, left) = line(rest)?;
            rest = left;
            if !words.is_empty() {
                let opens = words.last().is_some_and(|word| word == "{");
                let close = words.first().is_some_and(|word| word == "}");
                let kept = if opens && words.len() > 1 { words.len() - 1 } else { words.len() };
                return Some((words.into_iter().take(if close { 1 } else { kept }).collect(), opens && !close));
            }
        }
    })
}

/// The words up to the end of a line, and what is left. `None`: the text is at its end.
fn line(text: &str) -> Option<(Vec<String>, &str)> {
    if text.is_empty() {
        return None;
    }
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    loop {
        // All that ends a word, or there would be words of nothing without an end.
        rest = rest.trim_start_matches(|c: char| c != '\n' && (c.is_whitespace() || c == '\u{feff}'));
        let Some(first) = rest.chars().next() else { return Some((words, "")) };
        match first {
            '\n' => {
                rest = &rest[1..];
                if words.last().is_some_and(|word| word.ends_with(',')) {
                    continue;
                }
                return Some((words, rest));
            }
            '#' => rest = &rest[rest.find('\n').unwrap_or(rest.len())..],
            '\\' if rest[1..].starts_with('\n') => rest = &rest[2..],
            '"' | '`' => {
                let (word, left) = quoted(&rest[1..], first);
                push(&mut words, word);
                rest = left;
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (word, left) = rest.split_at(end);
                rest = left;
                match word.strip_prefix("<<").filter(|mark| !mark.is_empty()) {
                    // The text between is no configuration.
                    Some(mark) => rest = after_mark(rest, mark),
                    None => push(&mut words, word.to_owned()),
                }
            }
        }
    }
}

fn push(words: &mut Vec<String>, word: String) {
    if words.len() < WORDS && word.len() <= WORD {
        words.push(word);
    }
}

fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return (word, &text[at + c.len_utf8()..]),
            '\\' if quote == '"' => match chars.next() {
                Some((_, '"')) => word.push('"'),
                Some((_, other)) => word.extend(['\\', other]),
                None => {}
            },
            other => word.push(other),
        }
    }
    (word, "")
}

fn after_mark<'a>(text: &'a str, mark: &str) -> &'a str {
    let mut rest = text;
    while let Some((line, left)) = rest.split_once('\n') {
        if line.trim() == mark {
            // The line that it stands on ends there.
            return text.get(text.len() - left.len() - 1..).unwrap_or_default();
        }
        rest = left;
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_into_words_and_blocks() {
        let text = "# a\na.example,\nb.example {\n\troot * \"/srv/a \\\"b\\\"\" # c\n\trespond <<END\n  } {\n END\n}\n(x) {\n}";
        let told: Vec<String> =
            lines(text).map(|(words, opens)| format!("{}{}", words.join("|"), if opens { " {" } else { "" })).collect();
        assert_eq!(told, ["a.example,|b.example {", "root|*|/srv/a \"b\"", "respond", "}", "(x) {", "}"]);
    }

    #[test]
    fn blanks_of_every_kind_stand_between_words() {
        // A form feed, and the blank that texts copied from web pages have.
        let told: Vec<_> = lines("root\u{a0}*\x0c /srv\x0b\u{2003}\u{85}\n\x0cfile_server")
            .map(|(words, _)| words.join("|"))
            .collect();
        assert_eq!(told, ["root|*|/srv", "file_server"]);
    }
}
