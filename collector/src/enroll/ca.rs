//! The collector's own certificate authority: a root whose key is pinned by every token, and below it one intermediate for
//! hosts and servers and one for users. Ten years each, so that an untouched fleet does not die. Each listener trusts the
//! one intermediate that concerns it, and nothing else.
//!
//! Servers are told from hosts by their extended key usage alone: a host's certificate can never answer as a collector, nor
//! a collector's certificate report as a host.

mod files;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plumb_proto::limits;
use plumb_proto::record::{Hash, HostId, sha256};
use plumb_proto::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509CertificationRequest};

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
    key: SubjectPublicKeyInfo,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub hash: Hash,
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
    /// are asked for and when a third of its life is left; open connections keep theirs.
    ///
    /// # Errors
    /// A name is none, or the disk refuses.
    pub fn server(&self, names: &[String], now: Timestamp) -> anyhow::Result<Arc<CertifiedKey>> {
        let fits = |server: &Server| server.names == names && now < server.renew_at;
        if let Some(server) = self.server.read().unwrap_or_else(PoisonError::into_inner).as_ref().filter(|s| fits(s)) {
            return Ok(server.key.clone());
        }
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
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.parse::<IpAddr>() {
                Ok(address) => Ok(SanType::IpAddress(address)),
                Err(_) => Ok(SanType::DnsName(name.as_str().try_into().with_context(|| format!("{name:?}"))?)),
            })
            .collect::<anyhow::Result<_>>()?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.hosts)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HOST: HostId = HostId([7; 16]);

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("plumb-ca-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir.join("ca")
    }

    fn csr(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.serialize_request(key).unwrap().der().to_vec()
    }

    fn requested() -> Requested {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        request(&csr(&CertificateParams::new(vec!["evil.example".into()]).unwrap(), &key)).unwrap()
    }

    fn leaf_of(issued: &Issued) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&issued.chain).unwrap()
    }

    fn accepted(authority: &Authority, leaf: &CertificateDer<'_>, at: Timestamp) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(authority.hosts_anchor().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let secs = u64::try_from(at.millis() / 1000).unwrap();
        verifier.verify_client_cert(leaf, &[], UnixTime::since_unix_epoch(Duration::from_secs(secs))).is_ok()
    }

    #[test]
    fn the_authority_is_made_once_and_its_keys_are_nobody_elses() {
        let dir = folder("once");
        let (first, new) = Authority::open(&dir, NOW).unwrap();
        let (second, again) = Authority::open(&dir, NOW).unwrap();
        assert!(new && !again);
        assert_eq!(first.pin().unwrap(), second.pin().unwrap());
        let mode = |name: &str| std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("root.key"), mode("hosts.key"), mode("")), (0o600, 0o600, 0o700));
    }

    #[test]
    fn a_damaged_authority_is_named_and_never_replaced() {
        let dir = folder("damaged");
        Authority::open(&dir, NOW).unwrap();
        std::fs::remove_file(dir.join("hosts.key")).unwrap();
        assert!(format!("{:#}", Authority::open(&dir, NOW).err().unwrap()).contains("hosts.key"));
    }

    #[test]
    fn a_host_certificate_says_what_the_collector_says_whatever_was_asked_for() {
        let (authority, _) = Authority::open(&folder("host"), NOW).unwrap();
        let issued = authority.issue_host(&HOST, "web1", &requested(), 3, NOW).unwrap();
        let certificate = host_of(&leaf_of(&issued)).unwrap();
        assert_eq!((certificate.host, certificate.generation, certificate.not_after), (HOST, 3, NOW + HOST_LIFE));
        let (_, parsed) = X509Certificate::from_der(&leaf_of(&issued))
            .map(|(rest, p)| (rest.len(), p.subject().to_string()))
            .unwrap();
        assert_eq!(parsed, "CN=web1");
    }

    #[test]
    fn a_host_certificate_is_accepted_until_it_expires_and_under_its_own_authority_only() {
        let (authority, _) = Authority::open(&folder("mine"), NOW).unwrap();
        let (other, _) = Authority::open(&folder("other"), NOW).unwrap();
        let leaf = leaf_of(&authority.issue_host(&HOST, "web1", &requested(), 1, NOW).unwrap());
        assert!(accepted(&authority, &leaf, NOW));
        assert!(!accepted(&authority, &leaf, NOW + HOST_LIFE + Duration::from_secs(1)));
        assert!(!accepted(&other, &leaf, NOW));
    }

    #[test]
    fn the_certificate_of_a_collector_cannot_report_as_a_host() {
        let (authority, _) = Authority::open(&folder("server"), NOW).unwrap();
        let server = authority.server(&["localhost".into(), "127.0.0.1".into()], NOW).unwrap();
        assert!(!accepted(&authority, &server.cert[0], NOW));
        assert!(host_of(&server.cert[0]).is_err());
    }

    #[test]
    fn the_servers_certificate_stays_until_its_names_change_or_it_grows_old() {
        let dir = folder("stays");
        let names = |name: &str| vec![name.to_owned()];
        let made =
            |names: &[String], at| Authority::open(&dir, NOW).unwrap().0.server(names, at).unwrap().cert[0].clone();
        let first = made(&names("a.example"), NOW);
        assert_eq!(made(&names("a.example"), NOW + DAY), first);
        let (authority, _) = Authority::open(&dir, NOW).unwrap();
        assert_ne!(authority.server(&names("a.example"), NOW + DAY * 300).unwrap().cert[0], first);
        assert_ne!(made(&names("b.example"), NOW), first);
    }

    #[test]
    fn requests_that_prove_no_key_on_p256_are_refused() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let good = csr(&CertificateParams::default(), &key);
        let mut forged = good.clone();
        *forged.last_mut().unwrap() ^= 1;
        let refused = |csr: &[u8]| format!("{:#}", request(csr).err().unwrap());
        assert_eq!(refused(&forged), "the request is not signed by its key");
        assert!(refused(b"x").contains("PKCS #10"));
        assert!(refused(&vec![0; limits::CSR + 1]).contains("at most"));
        assert_eq!(refused(&[&good[..], b"x"].concat()), "something follows the request");
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert!(request(&csr(&CertificateParams::default(), &other)).is_err());
    }
}
