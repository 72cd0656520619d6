//! JSON as it comes, one event after the other: lock files are megabytes, and little of them is wanted. Memory is the same
//! for any input: one buffer, the last text, and a bit for each level. Lenient about commas; strict about where it ends.

use std::io::{ErrorKind, Read};

/// Levels of lists and objects.
const DEPTH: u32 = 127;
/// Bytes of a text that are kept.
const TEXT: usize = 512;
const BUFFER: usize = 32 << 10;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `{`
    Object,
    /// `[`
    List,
    /// `}` or `]`
    End,
    /// The name of what follows: [`Json::text`].
    Key,
    /// A text: [`Json::text`]. What is longer than 512 bytes is cut.
    Text,
    /// A number, `true`, `false` or `null`, as it is written: [`Json::text`].
    Word,
}

/// Why it cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Fault {
    what: &'static str,
    at: u64,
}

/// A document that is being read.
pub struct Json<'a> {
    from: &'a mut dyn Read,
    buffer: Vec<u8>,
    next: usize,
    before: u64,
    text: Vec<u8>,
    /// A bit for each level that is an object.
    objects: u128,
    depth: u32,
    key_next: bool,
    begun: bool,
}

impl<'a> Json<'a> {
    /// Begins.
    pub fn new(from: &'a mut dyn Read) -> Self {
        let (buffer, text) = (Vec::new(), Vec::new());
        Self { from, buffer, next: 0, before: 0, text, objects: 0, depth: 0, key_next: false, begun: false }
    }

    /// The text of the last key, text or word.
    #[must_use]
    pub fn text(&self) -> &str {
        let valid = |error: &std::str::Utf8Error| error.valid_up_to();
        std::str::from_utf8(&self.text)
            .unwrap_or_else(|error| std::str::from_utf8(&self.text[..valid(&error)]).unwrap_or_default())
    }

    /// How many lists and objects are open.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The next event; `None` behind the end of the document.
    ///
    /// # Errors
    /// It is not JSON, is nested too deep, or ends too early.
    pub fn event(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            let Some(byte) = self.byte()? else {
                return if self.depth == 0 && self.begun { Ok(None) } else { Err(self.fault("it ends too early")) };
            };
            let event = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => continue,
                b',' if self.depth > 0 => {
                    self.key_next = self.in_object();
                    continue;
                }
                b':' if self.in_object() => {
                    self.key_next = false;
                    continue;
                }
                b'{' | b'[' => {
                    self.open(byte == b'{')?;
                    if byte == b'{' { Event::Object } else { Event::List }
                }
                b'}' | b']' if self.depth > 0 && self.in_object() == (byte == b'}') => {
                    self.depth -= 1;
                    self.objects &= !(1 << self.depth);
                    self.key_next = false;
                    Event::End
                }
                b'"' => {
                    self.string()?;
                    if self.key_next { Event::Key } else { Event::Text }
                }
                byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
                    self.word(byte)?;
                    Event::Word
                }
                _ => return Err(self.fault("not JSON")),
            };
            self.begun = true;
            return Ok(Some(event));
        }
    }

    /// Passes over the rest of a value whose first event was `event`.
    ///
    /// # Errors
    /// As [`Json::event`].
    pub fn skip(&mut self, event: Event) -> Result<(), Fault> {
        if matches!(event, Event::Object | Event::List) {
            let outside = self.depth - 1;
            while self.depth > outside {
                self.event()?;
            }
        }
        Ok(())
    }

    /// The next event, which must be there.
    ///
    /// # Errors
    /// As [`Json::event`].
    pub fn need(&mut self) -> Result<Event, Fault> {
        self.event()?.ok_or_else(|| self.fault("it ends too early"))
    }

    /// That something is not as the format has it.
    #[must_use]
    pub fn fault(&self, what: &'static str) -> Fault {
        Fault { what, at: self.before + self.next as u64 }
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects & (1 << (self.depth - 1)) != 0
    }

    fn open(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth >= DEPTH {
            return Err(self.fault("nested deeper than is read"));
        }
        self.objects |= u128::from(object) << self.depth;
        self.depth += 1;
        self.key_next = object;
        Ok(())
    }

    fn byte(&mut self) -> Result<Option<u8>, Fault> {
        if self.next >= self.buffer.len() {
            self.before += self.buffer.len() as u64;
            (self.next, self.buffer) = (0, std::mem::take(&mut self.buffer));
            self.buffer.resize(BUFFER, 0);
            let read = loop {
                match self.from.read(&mut self.buffer) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            let read = read.map_err(|_| Fault { what: "reading failed", at: self.before })?;
            self.buffer.truncate(read);
        }
        let byte = self.buffer.get(self.next).copied();
        self.next += usize::from(byte.is_some());
        Ok(byte)
    }

    fn word(&mut self, first: u8) -> Result<(), Fault> {
        self.text.clear();
        self.text.push(first);
        while let Some(byte) = self.byte()? {
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-')) {
                self.next -= 1; // it was read a moment ago
                break;
            }
            self.keep(byte);
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.text.clear();
        loop {
            let Some(byte) = self.byte()? else { return Err(self.fault("it ends too early")) };
            match byte {
                b'"' => return Ok(()),
                b'\\' => {
                    let Some(escaped) = self.byte()? else { return Err(self.fault("it ends too early")) };
                    match escaped {
                        b'n' | b't' | b'r' | b'b' | b'f' => self.keep(b' '),
                        b'u' => self.unicode()?,
                        other => self.keep(other),
                    }
                }
                other => self.keep(other),
            }
        }
    }

    /// `\u00e9`; halves of what needs two are shown as a mark.
    fn unicode(&mut self) -> Result<(), Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte()?.and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.fault("not JSON"))?;
        }
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        letter.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| self.keep(byte));
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() < TEXT {
            self.text.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(buffer.len()).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn told(text: &[u8], drop: usize) -> String {
        let mut from = Drops(text, drop);
        let mut json = Json::new(&mut from);
        let mut told = String::new();
        loop {
            match json.event() {
                Ok(None) => return told,
                Ok(Some(Event::Object)) => told.push('{'),
                Ok(Some(Event::List)) => told.push('['),
                Ok(Some(Event::End)) => told.push('.'),
                Ok(Some(Event::Key)) => told.extend([json.text(), ":"]),
                Ok(Some(Event::Text)) => told.extend(["'", json.text(), "'"]),
                Ok(Some(Event::Word)) => told.extend(["<", json.text(), ">"]),
                Err(fault) => return format!("{told} {fault}"),
            }
        }
    }

    #[test]
    fn events_come_in_their_order_wherever_a_read_ends() {
        let text = br#" {"a":[1,-2.5e3,true,null,"x\"\u00e9\n"],"b":{"c":{}},"d":"e"} "#;
        for drop in [1, 3, 4096] {
            assert_eq!(told(text, drop), "{a:[<1><-2.5e3><true><null>'x\"é '.b:{c:{..d:'e'.");
        }
    }

    #[test]
    fn what_is_no_json_says_where() {
        for (text, expected) in [
            ("", " it ends too early at byte 0"),
            ("{\"a\":", "{a: it ends too early at byte 5"),
            ("[1,", "[<1> it ends too early at byte 3"),
            ("\"abc", " it ends too early at byte 4"),
            ("[}", "[ not JSON at byte 2"),
            ("]", " not JSON at byte 1"),
            ("<html>", " not JSON at byte 1"),
            ("\"\\u00zz\"", " not JSON at byte 6"),
        ] {
            assert_eq!(told(text.as_bytes(), 9), expected, "{text}");
        }
        assert!(told(&[b'['; 100_000], 4096).ends_with("nested deeper than is read at byte 128"));
        assert!(told(b"[\"\xff\xfe\"]", 4096).starts_with("[''"));
    }

    #[test]
    fn a_value_is_passed_over_and_long_texts_are_cut() {
        let text = format!("[{{\"a\":[1,{{}}]}},\"{}\"]", "x".repeat(5000));
        let mut from = text.as_bytes();
        let mut json = Json::new(&mut from);
        assert_eq!(json.need(), Ok(Event::List));
        let event = json.need().unwrap();
        json.skip(event).unwrap();
        assert_eq!((json.need(), json.text().len()), (Ok(Event::Text), 512));
        assert_eq!((json.need(), json.event()), (Ok(Event::End), Ok(None)));
    }
}
