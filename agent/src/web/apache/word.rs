//! Apache's configuration as words.

/// The words of a directive; `"` and `'` hold them together, `\"` is a quote.
#[must_use]
pub fn words(line: &str) -> Vec<String> {
    let line = line.trim();
    let mut found = Vec::new();
    if line.starts_with('#') {
        return found;
    }
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if matches!(c, '"' | '\'') {
            while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                match inner {
                    '\\' if chars.peek() == Some(&c) => word.extend(chars.next()),
                    other => word.push(other),
                }
            }
        } else {
            word.push(c);
            while let Some(inner) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(inner);
            }
        }
        found.push(word);
    }
    found
}
