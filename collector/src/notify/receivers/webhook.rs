//! Sends alerts as JSON by HTTP POST. Redirects are not followed, certificates are always verified, and addresses of
//! private networks are reached only if the operator said so: the check is done on the very addresses that are then
//! connected to, so a name that changes its answer in between gains nothing (reliability.md T14).

mod addresses;
mod body;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Uri;
use plumb_proto::limits;
use plumb_proto::secret::Secret;
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;

use crate::notify::receiver::{DeliveryError, Outgoing, Receiver};
use addresses::{Guard, is_loopback_name};
use body::body;

/// Time for one try, from the look-up of the name to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where distributions keep the certificates that they trust: Debian and its kin, then RHEL and its kin.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Settings of a webhook.
pub struct Webhook {
    /// Address. It may hold a secret, so no error shows it.
    pub url: Arc<Secret>,
    /// Sent as `Authorization: Bearer ...` (RFC 6750).
    pub bearer: Option<Arc<Secret>>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Plain HTTP to other machines.
    pub allow_http: bool,
    /// Addresses of private networks.
    pub allow_private: bool,
}

impl Webhook {
    /// Checks the settings as far as that needs no network.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn check(&self) -> Result<(), String> {
        self.uri().map(drop)
    }

    fn uri(&self) -> Result<Uri, String> {
        let text = std::str::from_utf8(self.url.expose()).map_err(|_| "url is not a text".to_owned())?;
        let uri: Uri = text.parse().map_err(|_| "url is not a web address".to_owned())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("url has no host")?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("url must not hold a password: use bearer_file".to_owned());
        }
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.allow_http || is_loopback_name(host) => Ok(uri),
            Some("http") => Err("url must begin with https:// (or set allow_http = true)".to_owned()),
            _ => Err("url must begin with https://".to_owned()),
        }
    }

    /// Makes it ready.
    ///
    /// # Errors
    /// The address is wrong, or certificates cannot be read.
    pub fn open(&self) -> Result<OpenWebhook> {
        let uri = self.uri().map_err(anyhow::Error::msg)?;
        let named = uri.host().is_some_and(is_loopback_name);
        let tls = TlsConfig::builder().root_certs(self.roots()?).build();
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(limits::RECEIVER_ANSWER)
            .proxy(None)
            .tls_config(tls)
            .user_agent(format!("plumb/{}", plumb_proto::VERSION))
            .build();
        let guard = Guard::new(self.allow_private, named);
        let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), guard);
        Ok(OpenWebhook { agent, url: Arc::clone(&self.url), bearer: self.bearer.clone() })
    }

    fn roots(&self) -> Result<RootCerts> {
        let system = || SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
        let Some(path) = self.ca_file.as_deref().or_else(system) else { return Ok(RootCerts::WebPki) };
        let pem = std::fs::read(path).with_context(|| format!("read certificates of {}", path.display()))?;
        let mut certificates = Vec::new();
        for item in ureq::tls::parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item.with_context(|| format!("parse {}", path.display()))? {
                certificates.push(certificate);
            }
        }
        anyhow::ensure!(!certificates.is_empty(), "{} holds no certificate", path.display());
        Ok(RootCerts::Specific(Arc::new(certificates)))
    }
}

/// A webhook that is ready to send.
pub struct OpenWebhook {
    agent: ureq::Agent,
    url: Arc<Secret>,
    bearer: Option<Arc<Secret>>,
}

impl Receiver for OpenWebhook {
    fn deliver(&mut self, message: &Outgoing<'_>) -> Result<String, DeliveryError> {
        let url = String::from_utf8_lossy(self.url.expose());
        let mut request = self
            .agent
            .post(url.as_ref())
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", message.key);
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", [b"Bearer ", bearer.expose()].concat());
        }
        let mut response = request.send(body(message).as_bytes()).map_err(|error| failed(&error))?;
        let status = response.status();
        let after = response.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
        // Read, so that the connection can serve again; what it says is nobody's business.
        let _ = response.body_mut().with_config().limit(limits::RECEIVER_ANSWER as u64).read_to_vec();
        let said = format!("status {status}");
        match status.as_u16() {
            200..=299 => Ok(said),
            408 | 429 | 500..=599 => Err(DeliveryError::Later { why: said, after }),
            300..=399 => Err(DeliveryError::Never(format!("{said}: redirects are not followed"))),
            _ => Err(DeliveryError::Never(said)),
        }
    }
}

/// What went wrong, in words that cannot hold the address.
fn failed(error: &ureq::Error) -> DeliveryError {
    let why = match error {
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(step) => format!("no answer in {} s (while waiting for: {step})", TIMEOUT.as_secs()),
        ureq::Error::HostNotFound => "its name has no address".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::Tls(error) => format!("TLS: {error}"),
        ureq::Error::Protocol(_) => "the answer is not HTTP".to_owned(),
        ureq::Error::ConnectionFailed => "connection failed".to_owned(),
        // The others may hold the address in their text.
        _ => return DeliveryError::Never("the request could not be made".to_owned()),
    };
    DeliveryError::Later { why, after: None }
}

/// Seconds, or a date of HTTP, which is relative to the receiver's clock and so not used: RFC 9110, 10.2.3.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
