//! Certificates of users. The key of their intermediate is read when one is issued and at no other time: the collector that
//! serves never holds it.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plumb_proto::record::{Hash, sha256};
use plumb_proto::time::Timestamp;
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use plumb_proto::secret::Secret;

use super::{Authority, files, leaf};

/// The URI that names a user in its certificate.
const USER_URI: &str = "plumb:user:";
/// First byte of a user certificate's serial number; chance follows.
const SERIAL_FORMAT: u8 = 2;
/// A user's name.
const NAME: usize = 64;

/// Who a user certificate says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCertificate {
    /// The user.
    pub name: String,
    /// Valid until.
    pub not_after: Timestamp,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_hash: Hash,
}

/// A certificate that was made for a user, with its key.
pub struct UserIdentity {
    /// Serial number.
    pub serial: Vec<u8>,
    /// PEM: the certificate, then the users' intermediate.
    pub chain: Vec<u8>,
    /// PEM of its key.
    pub key: Secret,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_hash: Hash,
    /// Valid until.
    pub not_after: Timestamp,
}

impl Authority {
    /// Makes a key and issues a certificate for it to a user.
    ///
    /// # Errors
    /// The name is none, the key of the users' intermediate cannot be read, or the system gives no randomness.
    pub fn issue_user(&self, name: &str, life: Duration, now: Timestamp) -> anyhow::Result<UserIdentity> {
        check_name(name)?;
        let key = KeyPair::from_pem(&files::read_text(&self.dir.join("users.key"))?).context("users.key")?;
        let users = Issuer::from_ca_cert_der(&self.users_certificate, key).context("users.pem")?;
        let mut serial = [0; 16];
        SystemRandom::new().fill(&mut serial).map_err(|_| anyhow!("no randomness"))?;
        serial[0] = SERIAL_FORMAT;
        let mut params = leaf(name, ExtendedKeyUsagePurpose::ClientAuth, now, life);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.subject_alt_names = vec![SanType::URI(format!("{USER_URI}{name}").try_into()?)];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &users)?;
        Ok(UserIdentity {
            serial: serial.to_vec(),
            chain: format!("{}{}", certificate.pem(), self.users_pem).into_bytes(),
            key_hash: sha256(&[&key.subject_public_key_info()]),
            key: Secret::new(key.serialize_pem()),
            not_after: now + life,
        })
    }
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    if name.is_empty() || name.len() > NAME || !name.bytes().all(fits) {
        bail!("a user's name is letters, digits, '-', '_', '.', '@', {NAME} at most");
    }
    Ok(())
}

/// Reads who a user certificate is for. It must have been verified before.
///
/// # Errors
/// It was not issued by [`Authority::issue_user`].
pub fn user_of(certificate: &CertificateDer<'_>) -> anyhow::Result<UserCertificate> {
    let (_, parsed) = X509Certificate::from_der(certificate).context("not a certificate")?;
    let names = parsed.subject_alternative_name().context("its names")?.ok_or_else(|| anyhow!("it has no names"))?;
    let [GeneralName::URI(uri)] = names.value.general_names[..] else { bail!("it has not one URI as its name") };
    let name = uri.strip_prefix(USER_URI).ok_or_else(|| anyhow!("it names no user"))?;
    check_name(name)?;
    Ok(UserCertificate {
        name: name.to_owned(),
        not_after: Timestamp::from_secs(parsed.validity().not_after.timestamp()),
        key_hash: sha256(&[parsed.public_key().raw]),
    })
}
