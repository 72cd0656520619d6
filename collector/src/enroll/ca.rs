//! The collector's own certificate authority: a root whose key is pinned by every token, and below it one intermediate for
//! hosts and servers and one for users. Ten years each, so that an untouched fleet does not die. Each listener trusts the
//! one intermediate that concerns it, and nothing else.
//!
//! Servers are told from hosts by their extended key usage alone: a host's certificate can never answer as a collector, nor
//! a collector's certificate report as a host.

pub mod copy;
mod files;
mod presented;
pub mod root_key;
#[cfg(test)]
mod tests;
mod users;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, anyhow};
use plumb_proto::record::{Hash, HostId, sha256};
use plumb_proto::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

pub use presented::{HostCertificate, Requested, host_of, request, verify_expired, verify_signature};
pub use users::{UserCertificate, UserIdentity, user_of};

const DAY: Duration = Duration::from_secs(86_400);
/// Root and intermediates.
const CA_LIFE: Duration = Duration::from_secs(3652 * 86_400);
/// A host's certificate.
pub const HOST_LIFE: Duration = Duration::from_secs(14 * 86_400);
/// The collector's own certificates, renewed when a third of it is left.
const SERVER_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Certificates are valid from a little earlier, for clocks that are a little late.
pub const BACKDATED: Duration = Duration::from_secs(300);
/// The URI that names a host in its certificate.
const HOST_URI: &str = "plumb:host:";
/// First byte of a host certificate's serial number; the generation follows in four bytes, then chance.
const SERIAL_FORMAT: u8 = 1;

/// Root and intermediates, with their keys.
pub struct Authority {
    dir: PathBuf,
    root: CertificateDer<'static>,
    root_pem: String,
    hosts: Issuer<'static, KeyPair>,
    hosts_certificate: CertificateDer<'static>,
    hosts_pem: String,
    users_certificate: CertificateDer<'static>,
    users_pem: String,
    server: RwLock<Option<Server>>,
}

/// The certificate that the listeners show.
#[derive(Clone)]
struct Server {
    names: Vec<String>,
    renew_at: Timestamp,
    key: Arc<CertifiedKey>,
}

/// A certificate that was issued to a host.
pub struct Issued {
    /// Serial number.
    pub serial: Vec<u8>,
    /// PEM: the certificate, then the hosts' intermediate.
    pub chain: Vec<u8>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

impl Authority {
    /// Opens the authority in `dir`, or makes it there: keys 0600, folder 0700. The second answer: whether it is new.
    ///
    /// # Errors
    /// A file is missing or damaged: an authority that is not whole is never replaced by a new one.
    pub fn open(dir: &Path, now: Timestamp) -> anyhow::Result<(Self, bool)> {
        let new = !dir.exists();
        if new {
            files::make_folder(dir, |folder| make(folder, now)).context("make the certificate authority")?;
        }
        let read = |name: &str| files::read_text(&dir.join(name));
        let certificate = |text: &str| {
            CertificateDer::from_pem_slice(text.as_bytes())
                .map_err(|_| anyhow!("{}: damaged certificate", dir.display()))
        };
        let (root_pem, hosts_pem, users_pem) = (read("root.pem")?, read("hosts.pem")?, read("users.pem")?);
        let key = KeyPair::from_pem(&read("hosts.key")?).context("hosts.key")?;
        let hosts_certificate = certificate(&hosts_pem)?;
        let authority = Self {
            dir: dir.to_owned(),
            root: certificate(&root_pem)?,
            root_pem,
            hosts: Issuer::from_ca_cert_der(&hosts_certificate, key).context("hosts.pem")?,
            hosts_certificate,
            hosts_pem,
            users_certificate: certificate(&users_pem)?,
            users_pem,
            server: RwLock::new(None),
        };
        Ok((authority, new))
    }

    /// What tokens pin: SHA-256 of the root's SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// The root is damaged.
    pub fn pin(&self) -> anyhow::Result<Hash> {
        let (_, root) = X509Certificate::from_der(&self.root).context("root.pem")?;
        Ok(sha256(&[root.public_key().raw]))
    }

    /// The root, PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The only anchor for hosts.
    #[must_use]
    pub fn hosts_anchor(&self) -> &CertificateDer<'static> {
        &self.hosts_certificate
    }

    /// The only anchor for users.
    #[must_use]
    pub fn users_anchor(&self) -> &CertificateDer<'static> {
        &self.users_certificate
    }

    /// Issues a certificate to a host. Subject and names come from here; what the request asked for does not matter.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn issue_host(
        &self,
        host: &HostId,
        name: &str,
        key: &Requested,
        generation: u32,
        now: Timestamp,
    ) -> anyhow::Result<Issued> {
        let mut serial = [0; 16];
        SystemRandom::new().fill(&mut serial).map_err(|_| anyhow!("no randomness"))?;
        serial[0] = SERIAL_FORMAT;
        serial[1..5].copy_from_slice(&generation.to_be_bytes());
        let mut params = leaf(name, ExtendedKeyUsagePurpose::ClientAuth, now, HOST_LIFE);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.subject_alt_names = vec![SanType::URI(format!("{HOST_URI}{host}").try_into()?)];
        let certificate = params.signed_by(&key.key, &self.hosts)?;
        Ok(Issued {
            serial: serial.to_vec(),
            chain: format!("{}{}", certificate.pem(), self.hosts_pem).into_bytes(),
            not_before: now - BACKDATED,
            not_after: now + HOST_LIFE,
        })
    }

    /// The certificate of the listeners for these names, with the chain up to the root. It is made anew when other names
    /// are asked for and when a third of its life is left; open connections keep theirs. It carries earlier names as well:
    /// a host checks the one under which it was enrolled.
    ///
    /// # Errors
    /// A name is none, or the disk refuses.
    pub fn server(&self, names: &[String], now: Timestamp) -> anyhow::Result<Arc<CertifiedKey>> {
        let fits = |server: &Server| server.names == names && now < server.renew_at;
        if let Some(server) = self.server.read().unwrap_or_else(PoisonError::into_inner).as_ref().filter(|s| fits(s)) {
            return Ok(server.key.clone());
        }
        self.reread_server(names, now)
    }

    /// As [`Authority::server`], from the files as they are now: one that somebody has put there is shown from the next
    /// handshake on. An error leaves what was shown before.
    ///
    /// # Errors
    /// As there, or a file is damaged.
    pub fn reread_server(&self, names: &[String], now: Timestamp) -> anyhow::Result<Arc<CertifiedKey>> {
        let mut kept = self.server.write().unwrap_or_else(PoisonError::into_inner);
        let server = match files::read_server(&self.dir, names)? {
            Some((key, not_after)) if now < not_after - SERVER_LIFE / 3 => {
                Server { names: names.to_vec(), renew_at: not_after - SERVER_LIFE / 3, key: self.certified(key)? }
            }
            _ => match (self.make_server(names, now), kept.as_ref()) {
                (Ok(server), _) => server,
                // a full disk is no reason to show nothing while the old one still holds
                (Err(error), Some(old)) if old.names == names => {
                    tracing::error!("the collector's certificate is not renewed: {error:#}");
                    return Ok(old.key.clone());
                }
                (Err(error), _) => return Err(error),
            },
        };
        let key = server.key.clone();
        *kept = Some(server);
        Ok(key)
    }

    fn make_server(&self, names: &[String], now: Timestamp) -> anyhow::Result<Server> {
        let common = names.first().ok_or_else(|| anyhow!("the collector's certificate needs a name"))?;
        let mut params = leaf(common, ExtendedKeyUsagePurpose::ServerAuth, now, SERVER_LIFE);
        params.subject_alt_names = names.iter().map(|name| alternative(name)).collect::<anyhow::Result<_>>()?;
        let mut earlier = files::known_as(&self.dir, names)?;
        earlier.retain(|name| match alternative(name) {
            Ok(name) => {
                params.subject_alt_names.push(name);
                true
            }
            Err(error) => {
                tracing::warn!("an earlier name of the collector is left out of its certificate: {error:#}");
                false
            }
        });
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.hosts)?;
        // Only now: a name that no certificate can carry would be in the way of every later one.
        files::write_known_as(&self.dir, &earlier, names)?;
        let pair = files::Pair { certificate: certificate.pem(), key: key.serialize_pem() };
        files::write_server(&self.dir, &pair, names)?;
        tracing::info!("the collector's certificate is new, for {}", names.join(", "));
        let renew_at = now + SERVER_LIFE - SERVER_LIFE / 3;
        Ok(Server { names: names.to_vec(), renew_at, key: self.certified(pair)? })
    }

    fn certified(&self, pair: files::Pair) -> anyhow::Result<Arc<CertifiedKey>> {
        let leaf = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).map_err(|_| anyhow!("server.pem"))?;
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
        let key = key.map_err(|_| anyhow!("server.key"))?;
        // The root goes along: an agent that enrols knows no more of it than the hash of its key.
        let chain = vec![leaf, self.hosts_certificate.clone(), self.root.clone()];
        let provider = rustls::crypto::ring::default_provider();
        Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider).context("server.pem and server.key")?))
    }
}

/// A name as a certificate carries it.
fn alternative(name: &str) -> anyhow::Result<SanType> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => {
            let ascii = name.try_into();
            Ok(SanType::DnsName(ascii.with_context(|| format!("{name:?} cannot be the name in a certificate"))?))
        }
    }
}

fn leaf(name: &str, usage: ExtendedKeyUsagePurpose, now: Timestamp, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // RFC 5280 limits a common name to 64 characters; the full name is among the alternative names or in the store
    params.distinguished_name.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now - BACKDATED, now + life);
    params
}

/// Sets the validity, in whole seconds as X.509 has it.
fn valid(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since = |time: Timestamp| Duration::from_secs(time.since(Timestamp::from_secs(0)).as_secs());
    (params.not_before, params.not_after) = (epoch + since(from), epoch + since(until));
}

fn make(folder: &Path, now: Timestamp) -> anyhow::Result<()> {
    let authority = |name: &str, constraint: BasicConstraints| {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(constraint);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut params, now - DAY, now + CA_LIFE);
        anyhow::Ok((params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    };
    let (params, key) = authority("plumb root", BasicConstraints::Constrained(1))?;
    files::write(&folder.join("root.pem"), params.self_signed(&key)?.pem().as_bytes())?;
    files::write(&folder.join("root.key"), key.serialize_pem().as_bytes())?;
    let root = Issuer::new(params, key);
    for name in ["hosts", "users"] {
        let (mut params, key) = authority(&format!("plumb {name}"), BasicConstraints::Constrained(0))?;
        params.use_authority_key_identifier_extension = true;
        files::write(&folder.join(format!("{name}.pem")), params.signed_by(&key, &root)?.pem().as_bytes())?;
        files::write(&folder.join(format!("{name}.key")), key.serialize_pem().as_bytes())?;
    }
    Ok(())
}
