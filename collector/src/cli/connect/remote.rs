//! The way to a collector elsewhere: TLS 1.3 with one pinned root and the user's certificate, no resumption. The collector
//! refuses a certificate behind the client's part of the handshake (RFC 8446 section 4.4.2.4), so a line counts as good once
//! something was heard on it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Result, anyhow};
use plumb_proto::time::Timestamp;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::identity::Identity;

/// The query port, where an address names none.
const PORT: u16 = 7445;
/// Connecting, and the handshake, each.
const TIME: Duration = Duration::from_secs(10);

/// A collector elsewhere. Cheap to clone.
#[derive(Clone)]
pub(super) struct Remote {
    host: String,
    port: u16,
    identity: Arc<str>,
    config: Arc<ClientConfig>,
    told: Arc<Mutex<Option<String>>>,
    heard: watch::Sender<bool>,
}

impl Remote {
    /// From `https://HOST[:PORT]`.
    pub(super) fn new(address: &str, identity: Identity, now: Timestamp) -> Result<Self> {
        let (host, port) = split(address)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let unusable = |_| anyhow!("{}: the collector's root in it cannot be used", identity.path.display());
        roots.add(identity.root).map_err(unusable)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(At(now)))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(|_| anyhow!("{}: its key and its certificate do not fit together", identity.path.display()))?;
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            host,
            port,
            identity: identity.path.display().to_string().into(),
            config: Arc::new(config),
            told: Arc::default(),
            heard: watch::channel(false).0,
        })
    }

    /// Connects, and keeps the reason of a failure.
    pub(super) async fn connect(self) -> io::Result<Line> {
        let line = self.line().await;
        line.map_err(|error| {
            let text = error.to_string();
            self.tell(text.clone());
            io::Error::other(text)
        })
    }

    async fn line(&self) -> Result<Line> {
        let (host, port) = (self.host.as_str(), self.port);
        let tcp = tokio::time::timeout(TIME, TcpStream::connect((host, port))).await;
        let tcp = tcp.map_err(|_| anyhow!("{self}: no answer within {} s", TIME.as_secs()))?.map_err(|error| {
            anyhow!(
                "{self}: {error}\nIs the query port switched on there? It takes `listen` in the section [query] of \
                 collector.toml."
            )
        })?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| anyhow!("\"{host}\" is no name of a host"))?;
        let connector = TlsConnector::from(self.config.clone());
        let tls = tokio::time::timeout(TIME, connector.connect(name, tcp)).await;
        let tls = tls.map_err(|_| anyhow!("{self}: no TLS answer within {} s", TIME.as_secs()))?;
        let tls = tls.map_err(|error| anyhow!("{}", self.words(&error)))?;
        Ok(Line { tls, remote: self.clone() })
    }

    /// Waits until the collector has said something: then it takes the certificate.
    ///
    /// # Errors
    /// It does not, in words.
    pub(super) async fn taken(&self) -> Result<()> {
        let mut heard = self.heard.subscribe();
        let answer = tokio::time::timeout(TIME, heard.wait_for(|heard| *heard)).await;
        match (self.why(), answer) {
            (Some(why), _) => Err(anyhow!("{why}")),
            (None, Ok(_)) => Ok(()),
            (None, Err(_)) => Err(anyhow!("{self}: no answer within {} s", TIME.as_secs())),
        }
    }

    /// Why the last line did not hold, if it did not.
    pub(super) fn why(&self) -> Option<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, why: String) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.heard.send_replace(true);
    }

    fn words(&self, error: &io::Error) -> String {
        let identity = &self.identity;
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match tls {
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
                format!(
                    "{self} shows a certificate of another authority than the one in {identity}: it is not the collector that \
                 made this identity, or somebody stands between"
                )
            }
            Some(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => format!(
                "the certificate of {self} does not carry this name: use the name that is `advertise` in its \
                 collector.toml"
            ),
            Some(Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            )) => format!("the certificate of {self} is not valid now: does the clock of this machine go right?"),
            Some(Error::AlertReceived(AlertDescription::CertificateExpired)) => format!(
                "{self}: the certificate in {identity} has run out. An administrator makes a new one: `plumb-collector \
                 user create NAME --role ROLE`"
            ),
            Some(Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::DecryptError
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateRequired
                | AlertDescription::UnsupportedCertificate,
            )) => format!("{self} does not take the certificate in {identity}: it was not made by it for a user"),
            Some(Error::AlertReceived(alert)) => format!("{self} refuses the connection: {alert:?}"),
            Some(other) => format!("{self}: TLS: {other}"),
            None => format!("{self}: {error}"),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::serve::with_port(&self.host, self.port))
    }
}

/// The moment at which the command began, for the validity of certificates.
#[derive(Debug)]
struct At(Timestamp);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = u64::try_from(self.0.millis() / 1000).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }
}

fn split(address: &str) -> Result<(String, u16)> {
    let uri: http::Uri = address.parse().map_err(|_| anyhow!("--collector {address}: expected https://HOST:{PORT}"))?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    if uri.scheme_str() != Some("https") || host.is_empty() || !matches!(uri.path(), "" | "/") {
        return Err(anyhow!("--collector {address}: expected https://HOST:{PORT}"));
    }
    Ok((host, uri.port_u16().unwrap_or(PORT)))
}

/// A connection that tells what was first heard on it.
pub(super) struct Line {
    tls: TlsStream<TcpStream>,
    remote: Remote,
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.tls).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                if !*self.remote.heard.borrow() {
                    self.remote.heard.send_replace(true);
                }
            }
            Poll::Ready(Ok(())) if !*self.remote.heard.borrow() => {
                self.remote.tell(format!("{} has closed the connection", self.remote));
            }
            Poll::Ready(Err(error)) if !*self.remote.heard.borrow() => self.remote.tell(self.remote.words(error)),
            Poll::Ready(_) | Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_or_the_usual_one() {
        assert_eq!(split("https://plumb.example.org").unwrap(), ("plumb.example.org".to_owned(), 7445));
        assert_eq!(split("https://[2001:db8::1]:1").unwrap(), ("2001:db8::1".to_owned(), 1));
        assert!(split("http://plumb.example.org").is_err() && split("https://a/b").is_err() && split("x").is_err());
    }
}
