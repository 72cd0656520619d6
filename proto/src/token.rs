//! A token for enrolment, as the operator pastes it: `v1.<id>.<secret>.<pin>`, each part in lower-case hexadecimal.

use crate::record::{Hash, HostId};
use crate::secret::Secret;

/// What a host enrols with.
pub struct Token {
    /// Public part: the collector finds its row by it.
    pub id: [u8; 16],
    /// Secret part, 32 bytes.
    pub secret: Secret,
    /// SHA-256 of the SubjectPublicKeyInfo of the collector's root: the host trusts this key and no other.
    pub pin: Hash,
}

impl Token {
    /// From what was pasted; blanks around it do not matter. `None` where it is not a token.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_ascii();
        let mut parts = text.split('.');
        let mut next = || parts.next();
        if next()? != "v1" {
            return None;
        }
        let id = HostId::from_hex(next()?)?.0;
        let secret = Secret::new(Hash::from_hex(next()?)?.0);
        let pin = Hash::from_hex(next()?)?;
        next().is_none().then_some(Self { id, secret, pin })
    }

    /// The line to paste: a secret.
    #[must_use]
    pub fn line(&self) -> Secret {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Secret::new(format!("v1.{}.{}.{}", hex(&self.id), hex(self.secret.expose()), self.pin).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token { id: [1; 16], secret: Secret::new([2; 32]), pin: Hash([3; 32]) }
    }

    #[test]
    fn a_token_survives_being_pasted_with_blanks_around() {
        let line = [b" ", token().line().expose(), b"\n"].concat();
        let parsed = Token::parse(&line).unwrap();
        assert_eq!((parsed.id, parsed.secret.expose(), parsed.pin), ([1; 16], &[2; 32][..], Hash([3; 32])));
    }

    #[test]
    fn whatever_is_cut_added_or_of_another_version_is_no_token() {
        let line = token().line();
        let line = line.expose();
        assert!(Token::parse(&line[..line.len() - 1]).is_none());
        assert!(Token::parse(&[line, b"."].concat()).is_none());
        assert!(Token::parse(&[b"v2", &line[2..]].concat()).is_none());
        assert!(Token::parse(&line.to_ascii_uppercase()).is_none());
        assert!(Token::parse(b"\xff").is_none());
    }
}
