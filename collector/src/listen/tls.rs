//! What the doors show and whom they trust.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use plumb_proto::time::Clock;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::current::Current;
use crate::enroll::ca::Authority;

/// The names that the collector's certificate carries, as they are at each handshake.
pub type Names = Arc<Current<Vec<String>>>;

/// What the renewal on the enrolment listener is bound to (RFC 5705).
const EXPORTER: &[u8] = b"EXPORTER-plumb-renew";

/// For the ingest listener: only hosts, told by their intermediate, get through the handshake.
///
/// # Errors
/// The authority is damaged.
pub fn ingest_config(
    authority: Arc<Authority>,
    names: Names,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let anchor = authority.hosts_anchor().clone();
    mutual(anchor, "hosts.pem", authority, names, clock)
}

/// For the query listener: only users, told by their intermediate, get through the handshake.
///
/// # Errors
/// The authority is damaged.
pub fn query_config(
    authority: Arc<Authority>,
    names: Names,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let anchor = authority.users_anchor().clone();
    mutual(anchor, "users.pem", authority, names, clock)
}

fn mutual(
    anchor: CertificateDer<'static>,
    file: &'static str,
    authority: Arc<Authority>,
    names: Names,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let mut anchors = RootCertStore::empty();
    anchors.add(anchor).context(file)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider()).build()?;
    let shown = Arc::new(Shown { authority, names, clock: clock.clone() });
    let config = ServerConfig::builder_with_details(provider(), Arc::new(Time(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    Ok(finish(config))
}

/// For the enrolment listener: whoever comes is nobody yet.
///
/// # Errors
/// None in practice: TLS 1.3 is always there.
pub fn enroll_config(
    authority: Arc<Authority>,
    names: Names,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let shown = Arc::new(Shown { authority, names, clock: clock.clone() });
    let config = ServerConfig::builder_with_details(provider(), Arc::new(Time(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    Ok(finish(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn finish(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// Keying material that both ends of a connection, and nobody else, know.
///
/// # Errors
/// The handshake is not over.
pub fn exporter(tls: &ServerConnection) -> Result<[u8; 32], rustls::Error> {
    tls.export_keying_material([0; 32], EXPORTER, None)
}

/// The collector's certificate, looked up at each handshake: a new one needs no restart.
struct Shown {
    authority: Arc<Authority>,
    names: Names,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({:?})", self.names.get())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.authority.server(&self.names.get(), self.clock.now());
        key.inspect_err(|error| tracing::error!("the collector has no certificate to show: {error:#}")).ok()
    }
}

/// Our clock, as rustls asks for time.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({})", self.0.now())
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = u64::try_from(self.0.now().millis() / 1000).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }
}
