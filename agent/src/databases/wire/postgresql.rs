//! The protocol of PostgreSQL, as much of it as a login without a password and a few questions need (its manual, "Frontend/
//! Backend Protocol", version 3.0). A message is a letter, 4 bytes of length that count themselves, and what it says.

/// Bytes before what a message says.
pub const HEADER: usize = 5;
/// Version 3.0.
const VERSION: u32 = 196_608;
/// Bytes of an error's text that are taken.
const TEXT: usize = 200;

/// Length of the next message with its letter. One that says less than its own length is taken as it is, and is odd.
#[must_use]
pub fn length(said: &[u8]) -> Option<usize> {
    let length = said.get(1..HEADER)?.first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some(length.saturating_add(1).max(HEADER))
}

/// The first message of a client: who it is, and which database it wants.
#[must_use]
pub fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    for word in ["user", user, "database", database, "application_name", "plumb-agent"] {
        body.extend(word.bytes().filter(|byte| *byte != 0).chain([0]));
    }
    body.push(0);
    [&u32::try_from(body.len() + 4).unwrap_or(0).to_be_bytes(), body.as_slice()].concat()
}

/// A question in SQL (simple query).
#[must_use]
pub fn query(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len() + 5).unwrap_or(0).to_be_bytes();
    [b"Q", &length[..], text.as_bytes(), b"\0"].concat()
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// It knows who we are.
    In,
    /// It wants a password.
    Password,
    /// A row; `None` in it is NULL.
    Row(Vec<Option<String>>),
    /// It does not: the code of SQLSTATE, and its text.
    Error(String, String),
    /// It waits for the next question.
    Ready,
    /// Something that is of no interest here.
    Other,
    /// It is none of PostgreSQL's.
    Odd,
}

/// Reads a message, letter and length included.
#[must_use]
pub fn message(said: &[u8]) -> Message {
    let (Some(letter), Some(body)) = (said.first(), said.get(HEADER..)) else { return Message::Odd };
    match letter {
        b'R' if body == [0; 4] => Message::In,
        b'R' if body.len() >= 4 => Message::Password,
        b'D' => row(body).map_or(Message::Odd, Message::Row),
        b'E' => {
            let field = |letter: u8| {
                let fields = body.split(|byte| *byte == 0);
                let text = fields.filter_map(|field| field.split_first()).find(|(each, _)| **each == letter)?.1;
                Some(String::from_utf8_lossy(text.get(..text.len().min(TEXT))?).into_owned())
            };
            Message::Error(field(b'C').unwrap_or_default(), field(b'M').unwrap_or_default())
        }
        b'Z' => Message::Ready,
        b'S' | b'K' | b'T' | b'C' | b'N' | b'v' | b'I' => Message::Other,
        _ => Message::Odd,
    }
}

fn row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, more) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            (rest, _) = (more, values.push(None)); // -1
            continue;
        };
        let (value, more) = more.split_at_checked(length)?;
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = more;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(letter: u8, body: &[u8]) -> Vec<u8> {
        [&[letter][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
    }

    #[test]
    fn what_is_said_has_its_length_in_front() {
        let hello = startup("plumb", "postgres");
        assert_eq!(hello.len(), usize::from(hello[3]));
        assert!(hello.ends_with(b"user\0plumb\0database\0postgres\0application_name\0plumb-agent\0\0"));
        assert_eq!(query("SELECT 1"), b"Q\0\0\0\x0dSELECT 1\0");
    }

    #[test]
    fn every_message_is_told_apart() {
        for (letter, body, expected) in [
            (b'R', &[0; 4][..], Message::In),
            (b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0", Message::Password),
            (b'D', b"\0\x02\0\0\0\x0216\xff\xff\xff\xff", Message::Row(vec![Some("16".to_owned()), None])),
            (b'E', b"SFATAL\0C53300\0Mtoo many\0\0", Message::Error("53300".to_owned(), "too many".to_owned())),
            (b'Z', b"I", Message::Ready),
            (b'S', b"a\0b\0", Message::Other),
            (b'd', b"", Message::Odd),
            (b'D', b"\0\x02\0\0\0\x7fx", Message::Odd),
        ] {
            let message = said(letter, body);
            assert_eq!(length(&message), Some(message.len()));
            assert_eq!(super::message(&message), expected);
        }
    }

    #[test]
    fn what_is_cut_or_made_up_is_odd_and_harms_nobody() {
        let message = said(b'D', b"\0\x02\0\0\0\x0216\xff\xff\xff\xff");
        (0..message.len()).for_each(|end| assert!(matches!(super::message(&message[..end]), Message::Odd)));
        assert_eq!(length(b"R\0\0\0\0"), Some(HEADER));
        assert_eq!(length(b"R\xff\xff\xff\xff"), Some(0x1_0000_0000));
        assert_eq!(super::message(b"D\0\0\0\x06\xff\xff"), Message::Odd);
    }
}
