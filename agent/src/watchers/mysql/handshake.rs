//! The first packet of a MySQL server: 3 bytes of length, 1 of sequence, then either 0x0a and the version up to NUL
//! (Protocol::HandshakeV10), or 0xff, an error number and its text (ERR_Packet).

use crate::databases::Refusal;

/// Bytes before the packet itself.
const HEADER: usize = 4;
/// Put before the real version by some MariaDB servers, for old replicas.
const HACK: &str = "5.5.5-";
/// Too many connections; host is blocked: the server's error reference.
const TURNED_AWAY: [u16; 2] = [1040, 1129];
/// Bytes of a version and of an error's text that are taken.
const TEXT: usize = 200;

/// True when the packet is there as a whole, or can be none.
pub(super) fn is_whole(said: &[u8]) -> bool {
    said.first_chunk::<HEADER>().is_some_and(|[a, b, c, _]| {
        said.len() >= HEADER + (usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16)
    })
}

/// What an error says of who may come in.
pub(super) fn refusal(number: u16, text: &str) -> Refusal {
    let turned = TURNED_AWAY.contains(&number);
    if turned {
        Refusal::Turned(format!("{number} {text}"))
    } else {
        Refusal::Silent(format!("error {number}: {text}"))
    }
}

/// What the packet says.
pub(super) fn version(said: &[u8]) -> Result<String, Refusal> {
    let odd = || Refusal::Silent("its greeting is none of a MySQL server".to_owned());
    match said.get(HEADER..) {
        Some([0x0a, rest @ ..]) => {
            let end = rest.iter().position(|byte| *byte == 0).filter(|end| *end <= TEXT).ok_or_else(odd)?;
            let whole = std::str::from_utf8(&rest[..end]).map_err(|_| odd())?;
            let version = whole.strip_prefix(HACK).unwrap_or(whole);
            // Of 10.11.14-MariaDB-0+deb12u2 and 8.0.39-30 (Percona) the version is what is made of numbers only.
            let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let parts: Vec<&str> = version.split('-').take_while(is_number).collect();
            let version = parts.join("-");
            if version.starts_with(|first: char| first.is_ascii_digit()) { Ok(version) } else { Err(odd()) }
        }
        Some([0xff, low, high, text @ ..]) => {
            let number = u16::from_le_bytes([*low, *high]);
            let text = String::from_utf8_lossy(&text[..text.len().min(TEXT)]).into_owned();
            Err(refusal(number, &text))
        }
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(body: &[u8]) -> Vec<u8> {
        [&[u8::try_from(body.len()).unwrap(), 0, 0, 0], body].concat()
    }

    #[test]
    fn a_greeting_tells_the_version() {
        for (said, expected) in [
            ("\n8.0.39\0....", "8.0.39"),
            ("\n8.0.39-30\0", "8.0.39-30"),
            ("\n8.0.40-0ubuntu0.22.04.1\0", "8.0.40"),
            ("\n5.5.5-10.6.18-MariaDB-log\0", "10.6.18"),
            ("\n11.4.4-MariaDB-ubu2404\0", "11.4.4"),
        ] {
            assert_eq!(version(&packet(said.as_bytes())).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_server_that_lets_nobody_in_says_why() {
        let full = packet(b"\xff\x10\x04Too many connections");
        assert_eq!(version(&full), Err(Refusal::Turned("1040 Too many connections".to_owned())));
        let other = packet(b"\xff\x01\x04Odd");
        assert_eq!(version(&other), Err(Refusal::Silent("error 1025: Odd".to_owned())));
    }

    #[test]
    fn what_is_no_greeting_tells_nothing() {
        for said in
            [&b""[..], b"\n8.0", b"SSH-2.0-x\r\n", &packet(b"\nabc\0"), &packet(b"\n8.0.39"), &packet(b"\n\xff\0")]
        {
            assert!(matches!(version(said), Err(Refusal::Silent(_))), "{said:?}");
        }
    }

    #[test]
    fn a_packet_is_whole_when_its_length_says_so() {
        let whole = packet(b"\n8.0.39\0");
        assert!(is_whole(&whole) && !is_whole(&whole[..whole.len() - 1]) && !is_whole(&whole[..3]));
    }
}
