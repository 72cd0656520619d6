//! Messages of D-Bus, as bytes: the few types that are needed, little-endian (D-Bus specification, "Marshaling" and
//! "Message Protocol"). What comes in was written by somebody else: each length is checked before it is believed.

use super::BusError;

/// Bytes of one message that are taken; the protocol itself allows 128 MiB.
pub(super) const MESSAGE: usize = 4 << 20;
/// Bytes of a header that are taken: names of paths, interfaces and peers, each at most 255 bytes or so.
const HEADER: usize = 64 << 10;
/// The part of a header that has the same length in every message, up to the length of its array of fields.
pub const FIXED: usize = 16;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

const FIELD_PATH: u8 = 1;
const FIELD_INTERFACE: u8 = 2;
const FIELD_MEMBER: u8 = 3;
const FIELD_ERROR_NAME: u8 = 4;
const FIELD_REPLY_SERIAL: u8 = 5;
const FIELD_DESTINATION: u8 = 6;
const FIELD_SIGNATURE: u8 = 8;

/// A method of an object of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    /// Arguments: texts only.
    pub(super) arguments: &'a [&'a str],
}

impl Call<'_> {
    /// The message. A peer that is spoken to directly has no name: `direct` leaves the destination out.
    pub(super) fn encode(&self, serial: u32, direct: bool) -> Vec<u8> {
        let mut body = Writer::default();
        self.arguments.iter().for_each(|argument| body.text(argument));
        let mut message = Writer(vec![b'l', METHOD_CALL, 0, 1]);
        message.number(length(body.0.len()));
        message.number(serial);
        let mut fields = Writer::default();
        fields.field(FIELD_PATH, b'o', self.path);
        fields.field(FIELD_INTERFACE, b's', self.interface);
        fields.field(FIELD_MEMBER, b's', self.member);
        if !direct {
            fields.field(FIELD_DESTINATION, b's', self.destination);
        }
        if !self.arguments.is_empty() {
            fields.align(8);
            fields.0.extend([FIELD_SIGNATURE, 1, b'g', 0]);
            fields.signature(&"s".repeat(self.arguments.len()));
        }
        // The array begins at byte 16, a multiple of 8, so its inner alignment is that of the message.
        message.number(length(fields.0.len()));
        message.0.extend(fields.0);
        message.align(8);
        message.0.extend(body.0);
        message.0
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX) // what is sent is short
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(length(text.len()));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn field(&mut self, code: u8, kind: u8, text: &str) {
        self.align(8);
        self.0.extend([code, 1, kind, 0]);
        self.text(text);
    }
}

/// Bytes of the message that begins so, header and body; the first [`FIXED`] bytes of it are enough.
///
/// # Errors
/// It is no message, of another version or byte order, or bigger than is taken.
pub fn size(start: &[u8; FIXED]) -> Result<usize, BusError> {
    let mut reader = Reader::new(start);
    if reader.byte()? != b'l' {
        return Err(BusError::Malformed("not little-endian"));
    }
    let (_, _, version) = (reader.byte()?, reader.byte()?, reader.byte()?);
    if version != 1 {
        return Err(BusError::Malformed("another version of the protocol"));
    }
    let (body, _, fields) = (reader.size()?, reader.number()?, reader.size()?);
    if fields > HEADER || body > MESSAGE {
        return Err(BusError::TooBig);
    }
    Ok((FIXED + fields).next_multiple_of(8) + body)
}

/// What an answer is.
#[derive(Debug)]
pub struct Reply<'a> {
    /// The call that it answers; zero when it answers none (a signal).
    pub serial: u32,
    /// The type of its body.
    pub signature: &'a [u8],
    /// Its body, or the name of the error that it is.
    pub outcome: Result<&'a [u8], &'a [u8]>,
}

/// Reads a whole message.
///
/// # Errors
/// It is cut off, or not as the specification has it.
pub fn decode(message: &[u8]) -> Result<Reply<'_>, BusError> {
    let start = message.first_chunk::<FIXED>().ok_or(BusError::Malformed("cut off"))?;
    if size(start)? != message.len() {
        return Err(BusError::Malformed("cut off"));
    }
    let mut reader = Reader::new(message);
    reader.take(1)?;
    let kind = reader.byte()?;
    reader.take(10)?;
    let end = reader.size()? + FIXED;
    let (mut serial, mut signature, mut name) = (0, &b""[..], &b""[..]);
    while reader.at < end {
        reader.align(8)?;
        let code = reader.byte()?;
        match (code, reader.signature()?) {
            (FIELD_REPLY_SERIAL, b"u") => serial = reader.number()?,
            (FIELD_SIGNATURE, b"g") => signature = reader.signature()?,
            (FIELD_ERROR_NAME, b"s") => name = reader.text()?,
            (_, b"s" | b"o") => drop(reader.text()?),
            (_, b"u") => drop(reader.number()?),
            (_, b"g") => drop(reader.signature()?),
            _ => return Err(BusError::Malformed("a header field of an unknown type")),
        }
    }
    if reader.at != end {
        return Err(BusError::Malformed("header fields do not end where they should"));
    }
    let body = message.get(end.next_multiple_of(8)..).ok_or(BusError::Malformed("cut off"))?;
    let (serial, outcome) = match kind {
        METHOD_RETURN => (serial, Ok(body)),
        ERROR => (serial, Err(name)),
        _ => (0, Ok(body)),
    };
    Ok(Reply { serial, signature, outcome })
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BusError> {
        let end = self.at.checked_add(count).ok_or(BusError::Malformed("a length beyond all bounds"))?;
        let taken = self.bytes.get(self.at..end).ok_or(BusError::Malformed("a length beyond the end"))?;
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> Result<(), BusError> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding).map(drop)
    }

    fn byte(&mut self) -> Result<u8, BusError> {
        self.take(1).map(|byte| byte.first().copied().unwrap_or_default())
    }

    /// UINT32.
    pub(super) fn number(&mut self) -> Result<u32, BusError> {
        self.align(4)?;
        let bytes = self.take(4)?;
        Ok(bytes.first_chunk().map_or(0, |four| u32::from_le_bytes(*four)))
    }

    fn size(&mut self) -> Result<usize, BusError> {
        usize::try_from(self.number()?).map_err(|_| BusError::TooBig)
    }

    /// STRING or OBJECT_PATH; whether it is UTF-8 is not asked.
    pub(super) fn text(&mut self) -> Result<&'a [u8], BusError> {
        let length = self.size()?;
        let text = self.take(length)?;
        self.end().map(|()| text)
    }

    /// SIGNATURE.
    pub(super) fn signature(&mut self) -> Result<&'a [u8], BusError> {
        let length = usize::from(self.byte()?);
        let text = self.take(length)?;
        self.end().map(|()| text)
    }

    fn end(&mut self) -> Result<(), BusError> {
        if self.byte()? == 0 { Ok(()) } else { Err(BusError::Malformed("a text without an end")) }
    }

    /// ARRAY of STRUCT: hands a reader to `each`, which takes one structure, until the array ends.
    pub(super) fn structures(
        &mut self,
        each: &mut dyn FnMut(&mut Self) -> Result<(), BusError>,
    ) -> Result<(), BusError> {
        let length = self.size()?;
        self.align(8)?;
        let end = self.at.checked_add(length).ok_or(BusError::TooBig)?;
        if end > self.bytes.len() {
            return Err(BusError::Malformed("a length beyond the end"));
        }
        while self.at < end {
            self.align(8)?;
            each(self)?;
        }
        if self.at == end { Ok(()) } else { Err(BusError::Malformed("an array that does not end where it should")) }
    }
}
