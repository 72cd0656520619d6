//! The client/server protocol of MySQL and MariaDB, as much of it as a login and a few questions need (dev.mysql.com,
//! "Client/Server Protocol"; mariadb.com, "Clients & Utilities: Protocol"). A packet has 3 bytes of length and 1 of sequence.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// Bytes before what a packet says.
pub const HEADER: usize = 4;
/// CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH: rows end with an EOF packet, no
/// file of ours is ever asked for (no CLIENT_LOCAL_FILES), and one statement is one statement (no CLIENT_MULTI_STATEMENTS).
const CAPABILITIES: u32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
/// utf8mb4_general_ci
const CHARSET: u8 = 45;
/// Bytes of an error's text that are taken.
const TEXT: usize = 200;

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// By who we are: `unix_socket` of MariaDB, `auth_socket` of MySQL.
    Socket,
    /// `mysql_native_password`
    Native,
    /// `caching_sha2_password`
    Sha2,
}

impl Plugin {
    /// By its name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"unix_socket" | b"auth_socket" => Some(Self::Socket),
            b"mysql_native_password" => Some(Self::Native),
            b"caching_sha2_password" => Some(Self::Sha2),
            _ => None,
        }
    }

    /// What proves that we know the password; nothing where there is none.
    #[must_use]
    pub fn proof(self, password: &[u8], nonce: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            _ if password.is_empty() => return Vec::new(),
            Self::Socket => return Vec::new(),
            Self::Native => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha2 => &SHA256,
        };
        let hash = |parts: &[&[u8]]| {
            let mut context = Context::new(algorithm);
            parts.iter().for_each(|part| context.update(part));
            context.finish()
        };
        let once = hash(&[password]);
        let twice = hash(&[once.as_ref()]);
        let mask = match self {
            Self::Native => hash(&[nonce, twice.as_ref()]),
            _ => hash(&[twice.as_ref(), nonce]),
        };
        once.as_ref().iter().zip(mask.as_ref()).map(|(one, other)| one ^ other).collect()
    }
}

/// Length of the next packet with its header.
#[must_use]
pub fn length(said: &[u8]) -> Option<usize> {
    said.first_chunk::<HEADER>()
        .map(|[a, b, c, _]| HEADER + (usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16))
}

/// A packet: what is said, with its header. Longer ones than 16 MiB are never said.
#[must_use]
pub fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(0).to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

/// An ERR packet's number and text, without the header.
#[must_use]
pub fn error(body: &[u8]) -> Option<(u16, String)> {
    let [0xff, low, high, rest @ ..] = body else { return None };
    // Before the login there is no state in front of the text.
    let text = if let [b'#', _, _, _, _, _, text @ ..] = rest { text } else { rest };
    let text = String::from_utf8_lossy(text.get(..text.len().min(TEXT)).unwrap_or(text)).into_owned();
    Some((u16::from_le_bytes([*low, *high]), text))
}

/// What a server says of its ways in its first packet (Protocol::HandshakeV10): how it would have the password proved, and
/// what is to be proved with it.
#[must_use]
pub fn handshake(body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let rest = body.strip_prefix(&[0x0a])?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    // 4 bytes: number of the connection
    let rest = rest.get(end.checked_add(5)?..)?;
    let (first, rest) = rest.split_at_checked(8)?;
    // filler, capabilities, charset, status, capabilities, length of the nonce, reserved
    let (middle, rest) = rest.split_at_checked(1 + 2 + 1 + 2 + 2 + 1 + 10)?;
    let length = usize::from(*middle.get(8)?).saturating_sub(8).max(13);
    let (second, plugin) = rest.split_at_checked(length.min(rest.len()))?;
    let second = second.get(..12)?;
    let plugin = plugin.split(|byte| *byte == 0).next().unwrap_or_default();
    Some((plugin.to_vec(), [first, second].concat()))
}

/// The answer to it (Protocol::HandshakeResponse41).
#[must_use]
pub fn login(user: &str, plugin: &[u8], proof: &[u8]) -> Vec<u8> {
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    body.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    body.push(CHARSET);
    body.extend_from_slice(&[0; 23]);
    body.extend(user.bytes().filter(|byte| *byte != 0).chain([0]));
    body.push(u8::try_from(proof.len()).unwrap_or(0));
    body.extend_from_slice(proof);
    body.extend_from_slice(plugin);
    body.push(0);
    body
}

/// What a server says next in a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// We are in.
    In,
    /// The account's password is proved in this way, with this.
    Switch(Vec<u8>, Vec<u8>),
    /// It knows the password already: we are nearly in.
    Fast,
    /// It wants the password itself, which is for a trusted way only.
    Full,
    /// It lets us not in.
    Error(u16, String),
    /// Something else.
    Odd,
}

/// Reads it.
#[must_use]
pub fn step(body: &[u8]) -> Step {
    match body {
        [0x00, ..] => Step::In,
        [0xfe, rest @ ..] => {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            let (plugin, nonce) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            Step::Switch(plugin.to_vec(), nonce.strip_suffix(&[0]).unwrap_or(nonce).to_vec())
        }
        [0x01, 0x03] => Step::Fast,
        [0x01, 0x04] => Step::Full,
        _ => error(body).map_or(Step::Odd, |(number, text)| Step::Error(number, text)),
    }
}

/// A question in SQL (COM_QUERY).
#[must_use]
pub fn query(text: &str) -> Vec<u8> {
    packet(0, &[b"\x03", text.as_bytes()].concat())
}

/// A number of columns or bytes (length-encoded integer), and what follows. `Err` of what is none.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let wide = match first {
        0..=0xfa => return Some((usize::from(*first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(wide)?;
    let mut whole = [0; 8];
    whole.get_mut(..wide)?.copy_from_slice(digits);
    Some((usize::try_from(u64::from_le_bytes(whole)).ok()?, rest))
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(length)
}

/// How many columns the answer has. `None`: it is none with rows; a server that asks for a file of ours gets none.
#[must_use]
pub fn columns(body: &[u8]) -> Option<usize> {
    let (count, rest) = number(body)?;
    (count > 0 && rest.is_empty()).then_some(count)
}

/// Name of a column (Protocol::ColumnDefinition41): behind catalog, schema, table and the table's own name.
#[must_use]
pub fn column(body: &[u8]) -> Option<String> {
    let mut rest = body;
    for _ in 0..4 {
        rest = text(rest)?.1;
    }
    Some(String::from_utf8_lossy(text(rest)?.0).into_owned())
}

/// Whether no more columns, or rows, follow (EOF_Packet).
#[must_use]
pub fn is_end(body: &[u8]) -> bool {
    body.first() == Some(&0xfe) && body.len() < 9
}

/// The values of a row; `None` in it is NULL.
#[must_use]
pub fn row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (mut values, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        if let Some(more) = rest.strip_prefix(&[0xfb]) {
            (rest, _) = (more, values.push(None));
            continue;
        }
        let (value, more) = text(rest)?;
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = more;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of MariaDB 10.11.
    const HANDSHAKE: &[u8] = b"\n5.5.5-10.11.14-MariaDB\0\x08\0\0\0abcdefgh\0\xfe\xf7\x08\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

    #[test]
    fn a_handshake_tells_the_way_of_the_password_and_what_to_prove() {
        let (plugin, nonce) = handshake(HANDSHAKE).unwrap();
        assert_eq!(
            (plugin.as_slice(), nonce.as_slice()),
            (&b"mysql_native_password"[..], &b"abcdefghijklmnopqrst"[..])
        );
    }

    #[test]
    fn a_password_is_proved_without_being_said() {
        // The server's side of the check: SHA1(proof XOR SHA1(nonce, stored)) == stored.
        let (nonce, hash) = (b"abcdefghijklmnopqrst", |parts: &[&[u8]]| {
            let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
            parts.iter().for_each(|part| context.update(part));
            context.finish().as_ref().to_vec()
        });
        let stored = hash(&[&hash(&[b"secret"])]);
        let mask = hash(&[nonce, &stored]);
        let proof = Plugin::Native.proof(b"secret", nonce);
        let once: Vec<u8> = proof.iter().zip(&mask).map(|(one, other)| one ^ other).collect();
        assert_eq!(hash(&[&once]), stored);
        assert_eq!(Plugin::Sha2.proof(b"secret", nonce).len(), 32);
        assert!(Plugin::Native.proof(b"", nonce).is_empty() && Plugin::Socket.proof(b"secret", nonce).is_empty());
    }

    #[test]
    fn every_answer_to_a_login_is_told_apart() {
        assert_eq!(step(b"\0\0\0\x02\0\0\0"), Step::In);
        assert_eq!(step(b"\xfeunix_socket\0"), Step::Switch(b"unix_socket".to_vec(), Vec::new()));
        assert_eq!(
            step(b"\xfecaching_sha2_password\0nonce\0"),
            Step::Switch(b"caching_sha2_password".to_vec(), b"nonce".to_vec())
        );
        assert_eq!((step(b"\x01\x03"), step(b"\x01\x04"), step(b"")), (Step::Fast, Step::Full, Step::Odd));
        assert_eq!(step(b"\xff\x15\x04#28000Access denied"), Step::Error(1045, "Access denied".to_owned()));
        assert_eq!(step(b"\xff\x10\x04Too many connections"), Step::Error(1040, "Too many connections".to_owned()));
    }

    #[test]
    fn an_answer_with_rows_is_read() {
        assert_eq!((columns(b"\x02"), columns(b"\0\0\0"), columns(b"\xfb/etc/passwd")), (Some(2), None, None));
        assert_eq!(column(b"\x03def\0\0\0\x04Name\0\x0c").as_deref(), Some("Name"));
        assert_eq!(
            row(b"\x01a\xfb\0\xfc\x02\0xy"),
            Some(vec![Some("a".to_owned()), None, Some(String::new()), Some("xy".to_owned())])
        );
        assert!(is_end(b"\xfe\0\0\x02\0") && !is_end(b"\xfe\0\0\0\0\0\0\0\0\0") && !is_end(b""));
    }

    #[test]
    fn what_is_cut_or_made_up_is_refused_and_harms_nobody() {
        for end in 0..HANDSHAKE.len() {
            let _ = (
                handshake(&HANDSHAKE[..end]),
                step(&HANDSHAKE[..end]),
                row(&HANDSHAKE[..end]),
                column(&HANDSHAKE[..end]),
            );
        }
        assert_eq!(row(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffx"), None);
        assert_eq!(row(b"\x05ab"), None);
        assert_eq!(handshake(b"\nx"), None);
        assert_eq!(length(b"\xff\xff\xff\0"), Some(HEADER + 0xff_ffff));
    }
}
