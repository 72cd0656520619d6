//! Values in DER, one after the other (ITU-T X.690): as much of it as certificates need. Nothing recurses.

use plumb_proto::time::Timestamp;

/// Bytes from which one value after the other is taken.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

/// One value.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With its tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next value, whatever it is. `None` at the end, and where lengths lead out of the bytes.
    pub(super) fn next_raw(&mut self) -> Option<Raw<'a>> {
        let (tag, first) = (*self.0.first()?, *self.0.get(1)?);
        let (begin, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            // A length in one to three bytes is more than any limit here; 0x80, without a length, is not DER.
            0x81..=0x83 => {
                let digits = usize::from(first & 3);
                let bytes = self.0.get(2..2 + digits)?;
                (2 + digits, bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
            }
            _ => return None,
        };
        let whole = self.0.get(..begin.checked_add(length)?)?;
        self.0 = &self.0[whole.len()..];
        Some(Raw { tag, content: &whole[begin..], whole })
    }

    /// The next value, if it is of that kind; else it stays.
    pub(super) fn next_of(&mut self, tag: u8) -> Option<Raw<'a>> {
        let mut ahead = *self;
        let raw = ahead.next_raw().filter(|raw| raw.tag == tag)?;
        *self = ahead;
        Some(raw)
    }

    /// What is in the next value, if it is of that kind; else it stays.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next_of(tag).map(|raw| raw.content)
    }

    /// Passes over the next value, if it is of that kind.
    pub(super) fn optional(&mut self, tag: u8) {
        let _ = self.next_of(tag);
    }

    /// The values of the next one, which must be a sequence.
    pub(super) fn sequence(&mut self) -> Option<Der<'a>> {
        self.expect(0x30).map(Der)
    }

    /// These values, if they are those of a sequence.
    pub(super) fn sequence_of(self, tag: u8) -> Option<Self> {
        (tag == 0x30).then_some(self)
    }
}

/// An object identifier in numbers: `1.2.840.113549.1.1.1`; empty if it is none.
pub(super) fn oid_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut number = 0_u64;
    for byte in bytes.iter().take(32) {
        number = number.checked_mul(128).unwrap_or(0) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if text.is_empty() {
                let first = (number / 40).min(2);
                text = format!("{first}.{}", number - first * 40);
            } else {
                text.push('.');
                text.push_str(&number.to_string());
            }
            number = 0;
        }
    }
    text
}

/// A string of one of ASN.1's kinds, as far as it is text.
pub(super) fn text(tag: u8, content: &[u8], most: usize) -> Option<String> {
    let mut text = match tag {
        // UTF8String, NumericString, PrintableString, IA5String, VisibleString
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => {
            String::from_utf8_lossy(&content[..content.len().min(4 * most)]).into_owned()
        }
        // TeletexString, as everybody has used it: Latin-1
        0x14 => content.iter().take(most).map(|byte| char::from(*byte)).collect(),
        // BMPString
        0x1e => {
            let units = content.chunks_exact(2).take(most).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => return None,
    };
    text.truncate(text.floor_char_boundary(most));
    Some(text)
}

/// A time as certificates have it (RFC 5280, 4.1.2.5): `YYMMDDHHMMSSZ`, where years below 50 are of this century, or with
/// four digits of the year.
pub(super) fn time(tag: u8, content: &[u8]) -> Option<Timestamp> {
    let digits = content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pair = |at: usize| Some(i64::from(digits.get(at)? - b'0') * 10 + i64::from(digits.get(at + 1)? - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (0x17, 12) => (pair(0).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        (0x18, 14) => (pair(0)? * 100 + pair(2)?, 4),
        _ => return None,
    };
    let (month, day) = (u32::try_from(pair(rest)?).ok()?, u32::try_from(pair(rest + 2)?).ok()?);
    let (hour, minute, second) = (pair(rest + 4)?, pair(rest + 6)?, pair(rest + 8)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let day = Timestamp::from_date(year, month, day)?;
    Some(Timestamp::from_millis(day.millis() + (hour * 3_600 + minute * 60 + second) * 1_000))
}
