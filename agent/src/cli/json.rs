//! JSON for programs that is harmless on a terminal as well: what `serde_json` leaves as it is and a terminal would act
//! on is escaped, so the document means the same.

use std::io;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::config::{Mistake, Mistakes};

/// One document on one line.
pub(super) fn document(value: &impl Serialize) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Harmless))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Bytes of a host: as they are if they are text, else escaped.
pub(super) fn text(said: &Untrusted) -> String {
    said.as_text().map_or_else(|| said.to_string(), str::to_owned)
}

/// A value of a column.
pub(super) fn value(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(said) | Value::Version(said) => text(said).into(),
        Value::Int(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Bool(yes) => (*yes).into(),
        Value::Time(at) => at.to_string().into(),
        Value::List(items) => items.iter().map(text).collect::<Vec<_>>().into(),
    }
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            let mut buffer = [0; 4];
            let as_is: &str = c.encode_utf8(&mut buffer);
            let acts = c == '\x7f' || (!c.is_ascii() && Untrusted::from(as_is).to_string() != as_is);
            if acts {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_all(as_is.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// A mistake in the configuration.
#[derive(Serialize)]
pub(super) struct Wrong {
    file: String,
    line: usize,
    error: String,
}

impl Wrong {
    pub(super) fn all(mistakes: &Mistakes) -> Vec<Self> {
        let wrong = |mistake: &Mistake| Self {
            file: mistake.file.display().to_string(),
            line: mistake.line,
            error: mistake.what.clone(),
        };
        mistakes.0.iter().map(wrong).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_is_printed_and_the_document_means_the_same() {
        let hostile = "a\x1b[2J\u{202e}b\x7f\u{9b}c\u{e0041}\"\\\nü";
        let printed = document(&hostile).unwrap();
        assert_eq!(printed, "\"a\\u001b[2J\\u202eb\\u007f\\u009bc\\udb40\\udc41\\\"\\\\\\nü\"\n");
        assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), hostile);
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        assert_eq!(text(&Untrusted::from(b"a\xff".as_slice())), "a\\xff");
        assert_eq!(value(&Value::Real(f64::NAN)), serde_json::Value::Null);
    }
}
