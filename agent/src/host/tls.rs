//! The certificates that a TLS listener of this machine presents. Of the running machine only, and to it only.
//!
//! What a visitor would get is asked for as a visitor would: TLS 1.3 in full, closed properly and without a request, so
//! that servers note nothing. Where that is not spoken, an older handshake is begun, in which certificates are sent in
//! the clear, and broken off ([`old`]). Nothing is verified, since nothing is told to the other side.

pub mod old;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use super::sockets::Socket;
use super::{ErrorKind, Host, HostError};
use wire::Wire;

/// Time that a listener has, from connecting to its last certificate.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time that it has to take note of the end.
const FAREWELL: Duration = Duration::from_millis(200);
/// Bytes that are taken of it.
const LIMIT: usize = 64 << 10;

/// What a listener did instead of presenting a certificate.
pub const SILENT: ErrorKind = ErrorKind::Io("the server did not answer in time");
/// As [`SILENT`]: it sent something else. Asking again would leave lines in its logs.
pub const NOT_TLS: ErrorKind = ErrorKind::Io("what it answers is not TLS");
const TOO_MUCH: ErrorKind = ErrorKind::Io("it sent more than is taken");
const REFUSED: ErrorKind = ErrorKind::Io(REFUSES);
/// As [`SILENT`]: it presents nothing to who asks for this name, or for none (RFC 6066, 3).
pub const REFUSES: &str = "it refuses this name";
const BROKEN_OFF: ErrorKind = ErrorKind::Io("it broke the handshake off");

/// Where somebody listens: an address of this machine, or whichever it has, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    address: Option<IpAddr>,
    port: u16,
}

impl Endpoint {
    /// As servers are configured to listen: `443`, `*:443`, `203.0.113.7:443`, `[::]:443`, `name:443`. Names are not looked
    /// up: they count as any address. `None` without a port, and for sockets of files.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, port) = text.rsplit_once(':').unwrap_or(("", text));
        let address = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let port = port.parse().ok().filter(|port| *port > 0)?;
        Some(Self { address: address.filter(|address| !address.is_unspecified()), port })
    }

    /// Its port.
    #[must_use]
    pub fn port(self) -> u16 {
        self.port
    }

    /// Whether it can be reached from this machine only.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.address.is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// Whether somebody listens there.
    #[must_use]
    pub fn is_among(self, listening: &[Socket]) -> bool {
        self.pick(listening).is_some()
    }

    /// The address to go to.
    fn pick(self, listening: &[Socket]) -> Option<IpAddr> {
        let here = || listening.iter().filter(|each| each.protocol == "tcp" && each.port == self.port);
        if let Some(address) = self.address {
            let serves = |each: &Socket| {
                each.address == address
                    || each.address.is_unspecified() && (each.address.is_ipv6() || address.is_ipv4())
            };
            return here().any(serves).then_some(address);
        }
        // The most general one is what most visitors meet.
        let best = here().min_by_key(|each| (!each.address.is_unspecified(), !each.address.is_ipv4(), each.address))?;
        Some(match best.address {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            other => other,
        })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, "port {}", self.port),
        }
    }
}

impl Host {
    /// The certificates that whoever listens there presents to a visitor who asks for `name` (none: who asks for no name),
    /// in DER, its own one first. At most two connections, two seconds and 64 KiB each.
    ///
    /// # Errors
    /// Nobody listens, it does not present any, or the address is not one of this machine. Under a staged root there are
    /// no listeners.
    pub fn presented(
        &self,
        endpoint: Endpoint,
        listening: &[Socket],
        name: Option<&str>,
    ) -> Result<Vec<Vec<u8>>, HostError> {
        let ask = || {
            if !self.is_live() {
                return Err(ErrorKind::Io("a server's listener, which is not asked under --root"));
            }
            let address = endpoint.pick(listening).ok_or(ErrorKind::Io("nobody listens there"))?;
            if !self.is_own(address) {
                return Err(ErrorKind::Io("not an address of this machine, so it is not visited"));
            }
            let server = match name {
                Some(name) => {
                    let name = ServerName::try_from(name.to_owned());
                    name.map_err(|_| ErrorKind::Io("not a name that a visitor could ask for"))?
                }
                None => ServerName::IpAddress(address.into()), // is not sent (RFC 6066, 3)
            };
            let to = SocketAddr::new(address, endpoint.port);
            match newest(Wire::connect(to, self.clock(), PATIENCE, LIMIT)?, server) {
                Err(Failure::Spoken) => old::certificates(Wire::connect(to, self.clock(), PATIENCE, LIMIT)?, name),
                Err(Failure::Final(kind)) => Err(kind),
                Ok(chain) => Ok(chain),
            }
        };
        ask().map_err(|kind| kind.at(endpoint.to_string().as_ref()))
    }

    /// Whether what is sent there stays on this machine. A listener alone does not tell: with `ip_nonlocal_bind` (ip(7))
    /// servers listen on addresses that another machine has for now.
    fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses().is_ok_and(|own| own.iter().any(|each| each.address == address))
    }
}

/// Why there is no chain.
enum Failure {
    /// TLS is spoken there, but another version.
    Spoken,
    /// Another try would change nothing.
    Final(ErrorKind),
}

/// TLS 1.3, to its end.
fn newest(mut wire: Wire<'_>, server: ServerName<'static>) -> Result<Vec<Vec<u8>>, Failure> {
    let broken = |_: Error| Failure::Final(BROKEN_OFF);
    let mut tls = ClientConnection::new(config().map_err(broken)?, server).map_err(broken)?;
    while tls.is_handshaking() {
        let Err(error) = tls.complete_io(&mut wire) else { continue };
        if let Some(fault) = wire.fault() {
            return Err(Failure::Final(fault));
        }
        return Err(match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::AlertReceived(AlertDescription::UnrecognisedName)) => Failure::Final(REFUSED),
            Some(Error::InvalidMessage(_)) => Failure::Final(NOT_TLS),
            Some(_) => Failure::Spoken,
            // Old servers hang up on what they do not know.
            None if wire.taken() == 0 => Failure::Spoken,
            None => Failure::Final(BROKEN_OFF),
        });
    }
    let chain = tls.peer_certificates().unwrap_or_default().iter().map(|each| each.to_vec()).collect();
    tls.send_close_notify();
    let _ = tls.write_tls(&mut wire); // it may have hung up first
    wire.leave(FAREWELL);
    Ok(chain)
}

fn config() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous() // whose certificate it is, is the question
        .with_custom_certificate_verifier(Arc::new(Taker(schemes)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Takes whatever is presented.
#[derive(Debug)]
struct Taker(Vec<SignatureScheme>);

impl ServerCertVerifier for Taker {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests;
