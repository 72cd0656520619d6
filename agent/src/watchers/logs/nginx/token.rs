//! nginx's configuration as words and braces.

/// A piece of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Cuts a text; what has no end ends with the text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ';' => found.push(Token::End),
            '{' => {
                let code = matches!(found.last(), Some(Token::Word(word)) if word.ends_with("_by_lua_block"));
                found.push(Token::Open);
                if code {
                    skip_code(&mut chars);
                    found.push(Token::Close);
                }
            }
            '}' => found.push(Token::Close),
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' => {
                let mut word = String::new();
                while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                    match inner {
                        '\\' => word.push(unescaped(chars.next())),
                        other => word.push(other),
                    }
                }
                found.push(Token::Word(word));
            }
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::new();
                let mut next = Some(c);
                while let Some(c) = next {
                    match c {
                        '\\' => word.push(unescaped(chars.next())),
                        // ${name} is a variable, not a block.
                        '$' if chars.peek() == Some(&'{') => {
                            word.push('$');
                            while let Some(inner) = chars.next_if(|c| !c.is_whitespace()) {
                                word.push(inner);
                                if inner == '}' {
                                    break;
                                }
                            }
                        }
                        other => word.push(other),
                    }
                    next = chars.next_if(|c| !c.is_whitespace() && !matches!(c, ';' | '{' | '}'));
                }
                found.push(Token::Word(word));
            }
        }
    }
    found
}

fn unescaped(c: Option<char>) -> char {
    match c {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some(other) => other,
        None => '\\',
    }
}

/// Passes over Lua up to its closing brace; braces in its strings are assumed to come in pairs.
fn skip_code(chars: &mut impl Iterator<Item = char>) {
    let mut depth = 1;
    for c in chars {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}
