//! Certificates as they lie on disk and as servers show them (X.509, RFC 5280): whose they are, for which names, until when.
//!
//! A small reader of our own: nothing is verified, all of it is bounded, and any bytes are refused politely. What it says
//! is what a certificate says of itself.

mod der;
mod pem;

use core::net::{Ipv4Addr, Ipv6Addr}; // what addresses are, not a way to reach them

use plumb_proto::record::sha256;
use plumb_proto::time::Timestamp;

use der::{Der, oid_text};
pub use pem::{Certificates, certificates};

/// Names that are taken of one certificate.
const NAMES: usize = 1_000;
/// Bytes of a text that are taken: RFC 5280, appendix A, has no upper bound above it but for URLs.
const TEXT: usize = 256;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Common name of its subject, or else the organisation; empty if it has neither.
    pub subject: String,
    /// Who issued it: the organisation, or else the common name. Authorities change their intermediates at each renewal.
    pub issuer: String,
    /// DNS names and addresses that it is for (subjectAltName), as written; the common name if it has no such list.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Its kind of key: `rsa 2048`, `ecdsa p-256`, `ed25519`, or the number of an algorithm that is not known here.
    pub key: String,
    /// Issuer and subject are the same.
    pub self_signed: bool,
    /// Serial number, in hexadecimal digits.
    pub serial: String,
    /// SHA-256 of all of it, in hexadecimal digits.
    pub fingerprint: String,
    /// Digests of the subject and the issuer, by which a chain hangs together.
    subject_hash: [u8; 32],
    issuer_hash: [u8; 32],
}

/// Why bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It holds no certificate at all.
    #[error("it holds no certificate")]
    Empty,
    /// Text around it is not Base64.
    #[error("a certificate in it is not Base64")]
    Base64,
    /// Its structure ends early, or is another one.
    #[error("not a certificate (X.509): {0} is missing or broken")]
    Structure(&'static str),
}

/// Reads one certificate in DER; what follows it is left alone.
///
/// # Errors
/// It is none.
pub fn parse(der: &[u8]) -> Result<Certificate, Broken> {
    let broken = Broken::Structure;
    let whole = Der::new(der).next_raw().ok_or(broken("the certificate"))?;
    let mut outer = Der::new(whole.content).sequence_of(whole.tag).ok_or(broken("the certificate"))?;
    let mut tbs = outer.sequence().ok_or(broken("what is signed"))?;
    tbs.optional(0xa0); // version
    let serial = tbs.expect(0x02).ok_or(broken("the serial number"))?;
    tbs.sequence().ok_or(broken("the signature's algorithm"))?;
    let issuer = tbs.next_of(0x30).ok_or(broken("the issuer"))?;
    let mut validity = tbs.sequence().ok_or(broken("the validity"))?;
    let mut time = || validity.next_raw().and_then(|each| der::time(each.tag, each.content));
    let not_before = time().ok_or(broken("the beginning of its validity"))?;
    let not_after = time().ok_or(broken("the end of its validity"))?;
    let subject = tbs.next_of(0x30).ok_or(broken("the subject"))?;
    let key = tbs.sequence().and_then(key).ok_or(broken("the key"))?;
    let (common, organisation) = attributes(subject.content);
    let (issuer_common, issuer_organisation) = attributes(issuer.content);
    let mut names = alternative_names(tbs);
    let subject_text = common.clone().or(organisation).unwrap_or_default();
    if names.is_empty() {
        names.extend(common);
    }
    Ok(Certificate {
        subject: subject_text,
        issuer: issuer_organisation.or(issuer_common).unwrap_or_default(),
        names,
        not_before,
        not_after,
        key,
        self_signed: issuer.whole == subject.whole,
        serial: hexadecimal(&serial[..serial.len().min(32)]),
        fingerprint: hexadecimal(&sha256(&[whole.whole]).0),
        subject_hash: sha256(&[subject.whole]).0,
        issuer_hash: sha256(&[issuer.whole]).0,
    })
}

impl Certificate {
    /// Whether the other one may have issued it, judged by names alone.
    #[must_use]
    pub fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer_hash == other.subject_hash
    }

    /// Whether it is for that name: as it stands, or by a `*` for the first label (RFC 6125, 6.4.3).
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        self.names.iter().any(|each| {
            let wild = || {
                let (own, wanted) = (each.strip_prefix("*.")?, name.split_once('.')?.1);
                Some(same(own, wanted))
            };
            same(each, name) || wild().unwrap_or(false)
        })
    }
}

/// Whether each certificate is issued by the next one, and more than the first is there, unless it needs no other.
#[must_use]
pub fn is_complete(chain: &[Certificate]) -> bool {
    match chain {
        [] => false,
        [only] => only.self_signed,
        more => more.windows(2).all(|pair| pair[0].is_issued_by(&pair[1])),
    }
}

/// Digits of bytes, small letters.
fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// SubjectPublicKeyInfo (RFC 5280, 4.1.2.7; algorithms: RFC 3279, 5480, 8410).
fn key(mut info: Der<'_>) -> Option<String> {
    let mut algorithm = info.sequence()?;
    let kind = algorithm.expect(0x06)?;
    let bits = info.expect(0x03)?.get(1..)?; // the first byte tells how many bits of the last one do not count
    let name = oid_text(kind);
    Some(match name.as_str() {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => {
            let modulus = Der::new(bits).sequence()?.expect(0x02)?;
            let digits = modulus.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &modulus[first..]);
            let size = digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize);
            format!("rsa {size}")
        }
        "1.2.840.10045.2.1" => {
            let curve = algorithm.expect(0x06).map(oid_text).unwrap_or_default();
            let curve = match curve.as_str() {
                "1.2.840.10045.3.1.7" => "p-256",
                "1.3.132.0.34" => "p-384",
                "1.3.132.0.35" => "p-521",
                other => other,
            };
            format!("ecdsa {curve}").trim_end().to_owned()
        }
        "1.3.101.112" => "ed25519".to_owned(),
        "1.3.101.113" => "ed448".to_owned(),
        _ => name,
    })
}

/// The common name and the organisation of a distinguished name: the last one of each is the most specific.
fn attributes(name: &[u8]) -> (Option<String>, Option<String>) {
    const COMMON: &[u8] = &[0x55, 4, 3]; // 2.5.4.3, RFC 5280 appendix A
    const ORGANISATION: &[u8] = &[0x55, 4, 10]; // 2.5.4.10
    let (mut common, mut organisation) = (None, None);
    let mut parts = Der::new(name);
    while let Some(mut set) = parts.expect(0x31).map(Der::new) {
        while let Some(mut pair) = set.sequence() {
            let (Some(kind), Some(value)) = (pair.expect(0x06), pair.next_raw()) else { continue };
            let text = der::text(value.tag, value.content, TEXT).filter(|text| !text.is_empty());
            match kind {
                COMMON => common = text.or(common),
                ORGANISATION => organisation = text.or(organisation),
                _ => {}
            }
        }
    }
    (common, organisation)
}

/// The list of names among the extensions, which come last of what is signed.
fn alternative_names(mut tbs: Der<'_>) -> Vec<String> {
    const NAME: &[u8] = &[0x55, 29, 17]; // 2.5.29.17, RFC 5280 4.2.1.6
    let mut names = Vec::new();
    let extensions = loop {
        match tbs.next_raw() {
            Some(part) if part.tag == 0xa3 => break Der::new(part.content).sequence(),
            Some(_) => {} // unique identifiers
            None => break None,
        }
    };
    let Some(mut extensions) = extensions else { return names };
    while let Some(mut extension) = extensions.sequence() {
        if extension.expect(0x06) != Some(NAME) {
            continue;
        }
        extension.optional(0x01); // critical
        let Some(mut list) = extension.expect(0x04).and_then(|value| Der::new(value).sequence()) else { continue };
        while let Some(name) = list.next_raw().filter(|_| names.len() < NAMES) {
            match (name.tag, name.content.len()) {
                (0x82, _) => names.extend(der::text(0x16, name.content, TEXT)),
                (0x87, 4) => names.extend(<[u8; 4]>::try_from(name.content).map(|b| Ipv4Addr::from(b).to_string())),
                (0x87, 16) => names.extend(<[u8; 16]>::try_from(name.content).map(|b| Ipv6Addr::from(b).to_string())),
                _ => {}
            }
        }
    }
    names
}

#[cfg(test)]
mod tests;
