//! The beginning of a handshake of TLS 1.2 and older (RFC 5246; RFC 2246 and 4346 have the same messages): our hello, and
//! what the server sends until its certificates, which is in the clear. Nothing that comes after is needed.

use std::io::{Read, Write};

use super::wire::Wire;
use super::{BROKEN_OFF, ErrorKind, FAREWELL, NOT_TLS, REFUSED};

/// Kinds of records and messages (RFC 5246, 6.2.1 and 7.4).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
/// The alert of a server that has nothing for a name (RFC 6066, 3).
const UNRECOGNISED_NAME: u8 = 112;
/// Most bytes of a record (RFC 5246, 6.2.3).
const RECORD: usize = (16 << 10) + 2_048;
/// Cipher suites, as OpenSSL's HIGH and MEDIUM have them: nothing is enciphered, so whatever the server would take is right.
const SUITES: [u16; 21] = [
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc023, 0xc027, 0xc009, 0xc013, 0xc00a, 0xc014, // ECDHE
    0x009e, 0x009f, 0x0033, 0x0039, // DHE
    0x009c, 0x009d, 0x002f, 0x0035, 0x000a, // RSA
];
const GROUPS: [u16; 4] = [0x001d, 0x0017, 0x0018, 0x0019];
const SIGNATURES: [u16; 10] = [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201];
/// How the handshake is broken off: a warning (1) that all has been said (0).
pub(super) const CLOSE: [u8; 7] = [ALERT, 3, 3, 0, 2, 1, 0];

/// The server's certificates.
pub(super) fn certificates(mut wire: Wire<'_>, name: Option<&str>) -> Result<Vec<Vec<u8>>, ErrorKind> {
    wire.write_all(&hello(name)).map_err(|_| wire.fault().unwrap_or(BROKEN_OFF))?;
    let chain = answer(&mut wire).map_err(|kind| wire.fault().unwrap_or(kind))?;
    let _ = wire.write_all(&CLOSE); // it may have hung up first
    wire.leave(FAREWELL);
    Ok(chain)
}

/// Reads messages of a server until that with certificates has come: each of them in DER, the server's own one first.
///
/// # Errors
/// It is no TLS, ends too early, is an alert, or goes on without certificates.
pub fn answer(from: &mut impl Read) -> Result<Vec<Vec<u8>>, ErrorKind> {
    let mut messages = Vec::new();
    let mut done = 0; // bytes of messages that were looked at
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head).map_err(|_| BROKEN_OFF)?;
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if head[1] != 3 || length > RECORD || length == 0 {
            return Err(NOT_TLS);
        }
        let begin = messages.len();
        messages.resize(begin + length, 0);
        from.read_exact(&mut messages[begin..]).map_err(|_| BROKEN_OFF)?;
        match head[0] {
            HANDSHAKE => {}
            ALERT => match messages[begin..] {
                // A server that would rather have been asked for another name goes on nevertheless.
                [1, UNRECOGNISED_NAME] => messages.truncate(begin),
                [_, UNRECOGNISED_NAME] => return Err(REFUSED),
                _ => return Err(BROKEN_OFF),
            },
            _ => return Err(NOT_TLS),
        }
        let mut rest = &messages[done..];
        while let [kind, a, b, c, body @ ..] = rest {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let Some(body) = body.get(..length) else { break };
            match *kind {
                CERTIFICATE => return chain(body).ok_or(NOT_TLS),
                SERVER_HELLO => {}
                _ => return Err(ErrorKind::Io("it presents no certificate")),
            }
            rest = &rest[4 + length..];
            done += 4 + length;
        }
    }
}

/// Certificates with their lengths, behind the length of all (RFC 5246, 7.4.2).
fn chain(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = body.get(3..)?;
    let mut chain = Vec::new();
    while let [a, b, c, more @ ..] = rest {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        chain.push(more.get(..length)?.to_vec());
        rest = &more[length..];
    }
    Some(chain)
}

fn hello(name: Option<&str>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let name = sized::<2>(name.as_bytes());
        extension(&mut extensions, 0, &sized::<2>(&[&[0][..], &name].concat())); // server_name, RFC 6066
    }
    extension(&mut extensions, 10, &sized::<2>(&words(&GROUPS))); // supported_groups, RFC 8422
    extension(&mut extensions, 11, &[1, 0]); // ec_point_formats: uncompressed
    extension(&mut extensions, 13, &sized::<2>(&words(&SIGNATURES))); // signature_algorithms, RFC 5246
    extension(&mut extensions, 23, &[]); // extended_master_secret, RFC 7627
    extension(&mut extensions, 0xff01, &[0]); // renegotiation_info, RFC 5746
    let mut body = vec![3, 3];
    // Random bytes guard what is agreed on, and nothing will be.
    body.extend([0x70; 32]);
    body.push(0); // no session to resume
    body.extend(sized::<2>(&words(&SUITES)));
    body.extend([1, 0]); // no compression
    body.extend(sized::<2>(&extensions));
    let message = [&[1][..], &sized::<3>(&body)].concat();
    // The oldest version that is spoken stands on the first record (RFC 5246, appendix E.1).
    [&[HANDSHAKE, 3, 1][..], &sized::<2>(&message)].concat()
}

fn extension(all: &mut Vec<u8>, kind: u16, body: &[u8]) {
    all.extend(kind.to_be_bytes());
    all.extend(sized::<2>(body));
}

fn words(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// Bytes behind their length, which takes `N` bytes.
fn sized<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    [&length[length.len() - N..], bytes].concat()
}
