//! Files with certificates: PEM (RFC 7468), alone or among other things, and plain DER.
//!
//! Servers keep keys in the same file. Only what stands between the marks of a certificate is looked at and decoded; all
//! else is passed over as it lies.

use super::Broken;

/// What stands around a certificate, and the older names of it (RFC 7468, 5.3; OpenSSL's PEM_read_bio_X509(3)).
const KINDS: [&[u8]; 3] = [b"CERTIFICATE-----", b"X509 CERTIFICATE-----", b"TRUSTED CERTIFICATE-----"];
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// The certificates of a file, in DER, one after the other.
pub struct Certificates<'a> {
    rest: &'a [u8],
}

/// Goes through the certificates of a file.
#[must_use]
pub fn certificates(bytes: &[u8]) -> Certificates<'_> {
    Certificates { rest: bytes }
}

impl Iterator for Certificates<'_> {
    type Item = Result<Vec<u8>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        // A file of DER is one certificate.
        if self.rest.first() == Some(&0x30) {
            return Some(Ok(std::mem::take(&mut self.rest).to_vec()));
        }
        loop {
            let begin = memchr::memmem::find(self.rest, BEGIN)?;
            self.rest = &self.rest[begin + BEGIN.len()..];
            let Some(kind) = KINDS.iter().find(|kind| self.rest.starts_with(kind)) else { continue };
            let body = &self.rest[kind.len()..];
            let Some(end) = memchr::memmem::find(body, END) else {
                self.rest = &[];
                return Some(Err(Broken::Base64)); // cut off
            };
            self.rest = &body[end..];
            return Some(decode(&body[..end]).ok_or(Broken::Base64));
        }
    }
}

/// Base64 with white space in it (RFC 4648, 4).
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits, mut padded) = (0_u32, 0, false);
    for letter in text.iter().filter(|letter| !letter.is_ascii_whitespace()) {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padded = true;
                continue;
            }
            _ => return None,
        };
        if padded {
            return None;
        }
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}
