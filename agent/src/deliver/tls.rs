//! TLS to the collector and nothing else: version 1.3, one pinned root, no resumption (it would skip revocation), no 0-RTT.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plumb_proto::record::{Hash, sha256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::trusted_time::TrustedTime;

/// Connecting, and the TLS handshake, each.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// A peer that acknowledges nothing for this long is gone (TCP_USER_TIMEOUT, tcp(7)).
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is probed after this long: longer than a record's minute, as a probe would only cost.
const KEEPALIVE: Duration = Duration::from_secs(150);
/// And again after this long, until [`USER_TIMEOUT`] is over.
const PROBE: Duration = Duration::from_secs(10);
/// What the renewal on the enrolment listener is bound to (RFC 5705).
const EXPORTER: &[u8] = b"EXPORTER-plumb-renew";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// For the ingest listener: `root` is all that is trusted, `chain` and `key` are shown.
///
/// # Errors
/// The root, the chain or the key is unusable, or key and certificate do not belong together.
pub fn ingest_config(
    root: &CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    time: Arc<TrustedTime>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let verifier = root_verifier(root)?;
    let config = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous() // only in that the type of the verifier is ours to choose: it is the standard one
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .context("the host's certificate and key do not fit together")?;
    Ok(finish(config))
}

/// For the enrolment listener: the root is whichever of the shown certificates has the pinned key.
///
/// # Errors
/// None in practice: TLS 1.3 is always there.
pub fn enroll_config(pin: Hash, time: Arc<TrustedTime>) -> anyhow::Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider: provider() }))
        .with_no_client_auth();
    Ok(finish(config))
}

fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn root_verifier(root: &CertificateDer<'_>) -> anyhow::Result<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone().into_owned()).context("the pinned root is no certificate of a CA")?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .context("the pinned root cannot be used")
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo.
///
/// # Errors
/// It is no certificate.
pub fn key_hash(certificate: &CertificateDer<'_>) -> Result<Hash, Error> {
    Ok(sha256(&[&ParsedCertificate::try_from(certificate)?.subject_public_key_info()]))
}

/// Trusts the one root whose key was pinned by the token.
#[derive(Debug)]
struct Pinned {
    pin: Hash,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let root = intermediates.iter().find(|each| key_hash(each) == Ok(self.pin));
        let root = root.ok_or(CertificateError::UnknownIssuer)?;
        let verifier = root_verifier(root).map_err(|_| CertificateError::BadEncoding)?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// Splits `host:port`, `[v6]:port`; without a port it is `port`.
///
/// # Errors
/// It names no host.
pub fn split_address(address: &str, port: u16) -> anyhow::Result<(String, u16)> {
    let (host, given) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None if address.parse::<IpAddr>().is_ok() => (address, None),
        None => match address.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = match given {
        Some(text) => text.parse().map_err(|_| anyhow!("{text:?} is no port"))?,
        None => port,
    };
    if ServerName::try_from(host).is_err() {
        bail!("{host:?} is neither a host name nor an address");
    }
    Ok((host.to_owned(), port))
}

/// Connects; the certificate must carry `name`.
///
/// # Errors
/// It cannot be reached, takes too long, or is not who it should be: with what to look at.
pub async fn connect(
    host: &str,
    port: u16,
    name: &str,
    config: Arc<ClientConfig>,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let tcp = tokio::time::timeout(CONNECT_TIME, TcpStream::connect((host, port)));
    let tcp = tcp.await.map_err(|_| anyhow!("connect to {host}:{port}: no answer"))?;
    let tcp = tcp.with_context(|| format!("connect to {host}:{port}"))?;
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(&tcp);
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(PROBE))?;
    let name = ServerName::try_from(name.to_owned()).map_err(|_| anyhow!("{name:?} is no name of a server"))?;
    let handshake = tokio::time::timeout(CONNECT_TIME, TlsConnector::from(config).connect(name, tcp));
    let tls = handshake.await.map_err(|_| anyhow!("TLS with {host}:{port}: no answer"))?;
    tls.with_context(|| format!("TLS with {host}:{port}"))
}

/// Why a handshake failed, if TLS itself is why.
#[must_use]
pub fn tls_error(error: &anyhow::Error) -> Option<&Error> {
    let io = error.chain().find_map(|each| each.downcast_ref::<std::io::Error>())?;
    io.get_ref()?.downcast_ref()
}

/// Keying material that both ends of a connection, and nobody else, know.
///
/// # Errors
/// The handshake is not over.
pub fn exporter(tls: &TlsStream<TcpStream>) -> anyhow::Result<[u8; 32]> {
    Ok(tls.get_ref().1.export_keying_material([0; 32], EXPORTER, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_split_with_and_without_a_port() {
        let split = |text| split_address(text, 7443).unwrap();
        assert_eq!(split("collector.example"), ("collector.example".into(), 7443));
        assert_eq!(split("collector.example:1"), ("collector.example".into(), 1));
        assert_eq!(split("[2001:db8::1]:2"), ("2001:db8::1".into(), 2));
        assert_eq!(split("2001:db8::1"), ("2001:db8::1".into(), 7443));
        assert!(split_address("collector.example:x", 1).is_err());
        assert!(split_address("a b", 1).is_err());
    }
}
