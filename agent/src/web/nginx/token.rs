//! nginx's configuration as words and braces.

use std::iter::Peekable;
use std::str::Chars;

/// A piece of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Letters without quotes and escapes.
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Cuts a text; what has no end ends with the text. One at a time, so that no text takes more memory than itself.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { chars: text.chars().peekable(), code: false, close: false }
}

/// See [`tokens`].
pub struct Tokens<'a> {
    chars: Peekable<Chars<'a>>,
    /// The last word says that a block of Lua follows.
    code: bool,
    /// Such a block was passed over: its end comes next.
    close: bool,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if std::mem::take(&mut self.close) {
            return Some(Token::Close);
        }
        let code = std::mem::take(&mut self.code);
        loop {
            match self.chars.next()? {
                ';' => return Some(Token::End),
                '{' => {
                    if code {
                        skip_code(&mut self.chars);
                        self.close = true;
                    }
                    return Some(Token::Open);
                }
                '}' => return Some(Token::Close),
                '#' => while self.chars.next_if(|c| *c != '\n').is_some() {},
                quote @ ('"' | '\'') => return Some(self.word_in(quote)),
                c if c.is_whitespace() => {}
                c => return Some(self.word(c)),
            }
        }
    }
}

impl Tokens<'_> {
    fn word_in(&mut self, quote: char) -> Token {
        let mut word = String::new();
        while let Some(inner) = self.chars.next().filter(|inner| *inner != quote) {
            match inner {
                '\\' => self.escaped(&mut word),
                other => word.push(other),
            }
        }
        Token::Word(word)
    }

    fn word(&mut self, first: char) -> Token {
        let mut word = String::new();
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\\' => self.escaped(&mut word),
                // ${name} is a variable, not a block.
                '$' if self.chars.peek() == Some(&'{') => {
                    word.push('$');
                    while let Some(inner) = self.chars.next_if(|c| !c.is_whitespace()) {
                        word.push(inner);
                        if inner == '}' {
                            break;
                        }
                    }
                }
                other => word.push(other),
            }
            next = self.chars.next_if(|c| !c.is_whitespace() && !matches!(c, ';' | '{' | '}'));
        }
        self.code = word.ends_with("_by_lua_block");
        Token::Word(word)
    }

    /// What follows a backslash: before all but these it stays, as expressions need it (`ngx_conf_read_token`).
    fn escaped(&mut self, word: &mut String) {
        match self.chars.next() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('n') => word.push('\n'),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some(other) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
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
