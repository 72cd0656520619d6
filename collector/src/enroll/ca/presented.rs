//! What hosts present: requests for certificates, and certificates.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plumb_proto::limits;
use plumb_proto::record::{Hash, HostId, sha256};
use plumb_proto::time::Timestamp;
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509CertificationRequest};

use super::{Authority, HOST_URI, SERIAL_FORMAT};

/// Who a host certificate says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCertificate {
    /// The host.
    pub host: HostId,
    /// Counts up with each certificate of the host.
    pub generation: u32,
    /// Valid until.
    pub not_after: Timestamp,
    /// Its key, as SubjectPublicKeyInfo in DER.
    pub key: Vec<u8>,
}

/// The key of a request that proved to have it.
pub struct Requested {
    pub(super) key: SubjectPublicKeyInfo,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub hash: Hash,
}

/// A certificate request in DER: its signature proves the key, its names are not even looked at.
///
/// # Errors
/// It is none, its key is not on P-256, or its signature does not hold.
pub fn request(csr: &[u8]) -> anyhow::Result<Requested> {
    if csr.len() > limits::CSR {
        bail!("a request of {} bytes, at most {}", csr.len(), limits::CSR);
    }
    let (rest, request) = X509CertificationRequest::from_der(csr).context("not a PKCS #10 request")?;
    if !rest.is_empty() {
        bail!("something follows the request");
    }
    request.verify_signature().map_err(|_| anyhow!("the request is not signed by its key"))?;
    let raw = request.certification_request_info.subject_pki.raw;
    let key = SubjectPublicKeyInfo::from_der(raw).context("the key of the request")?;
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        bail!("the key of the request is not on P-256");
    }
    Ok(Requested { key, hash: sha256(&[raw]) })
}

/// Reads who a host certificate is for. It must have been verified before.
///
/// # Errors
/// It was not issued by [`Authority::issue_host`].
pub fn host_of(certificate: &CertificateDer<'_>) -> anyhow::Result<HostCertificate> {
    let (_, parsed) = X509Certificate::from_der(certificate).context("not a certificate")?;
    let names = parsed.subject_alternative_name().context("its names")?.ok_or_else(|| anyhow!("it has no names"))?;
    let [GeneralName::URI(uri)] = names.value.general_names[..] else { bail!("it has not one URI as its name") };
    let host = uri.strip_prefix(HOST_URI).and_then(HostId::from_hex).ok_or_else(|| anyhow!("it names no host"))?;
    let [SERIAL_FORMAT, a, b, c, d, ..] = *parsed.raw_serial() else { bail!("its serial number is not ours") };
    Ok(HostCertificate {
        host,
        generation: u32::from_be_bytes([a, b, c, d]),
        not_after: Timestamp::from_secs(parsed.validity().not_after.timestamp()),
        key: parsed.public_key().raw.to_vec(),
    })
}

/// Verifies the certificate of a host that may have run out: at a moment when it had not.
///
/// # Errors
/// It was not issued by this authority to a host.
pub fn verify_expired(authority: &Authority, certificate: &CertificateDer<'_>) -> anyhow::Result<HostCertificate> {
    let host = host_of(certificate)?;
    let mut anchors = RootCertStore::empty();
    anchors.add(authority.hosts_anchor().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider).build()?;
    let secs = u64::try_from(host.not_after.millis() / 1000).unwrap_or(0).saturating_sub(1);
    verifier
        .verify_client_cert(certificate, &[], UnixTime::since_unix_epoch(Duration::from_secs(secs)))
        .context("it was not issued here")?;
    Ok(host)
}

/// Checks a signature (ECDSA with SHA-256, ASN.1) by the key of a host certificate.
///
/// # Errors
/// It does not hold.
pub fn verify_signature(host: &HostCertificate, message: &[u8], signature: &[u8]) -> anyhow::Result<()> {
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&host.key).context("the old key")?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.subject_public_key.data);
    key.verify(message, signature).map_err(|_| anyhow!("the signature by the old key does not hold"))
}
