//! Who this host is to its collector: key, certificate, pinned root. Each certificate has a folder of its own, written and
//! synced before one rename of a symbolic link makes it the current one; until then the one before stays untouched.
//!
//! ```text
//! identity/current -> 2            what is used
//! identity/next    -> 3            issued, and not proven yet
//! identity/2/{key.pem, chain.pem, root.der, identity.json}
//! identity/enroll.key              the key of an enrolment that has not ended
//! ```

pub mod enroll;
pub mod renew;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plumb_proto::limits;
use plumb_proto::record::{HostId, sha256};
use plumb_proto::secret::Secret;
use plumb_proto::time::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use super::backoff::part;

/// The link to what is used.
const CURRENT: &str = "current";
/// The link to what is to be tried.
const NEXT: &str = "next";

/// What is kept beside key and certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Identity of this host, in hexadecimal.
    pub host_id: String,
    /// Its name at the collector when it was enrolled.
    pub name: String,
    /// `host:port` of the ingest listener.
    pub ingest: String,
    /// `host:port` of the enrolment listener.
    pub enroll: String,
    /// The name that the collector's certificate carries.
    pub server_name: String,
    /// Public part of the token that it was enrolled with, in hexadecimal.
    pub token: String,
    /// The certificate is valid from, in milliseconds since the Unix epoch.
    pub not_before_ms: i64,
    /// The certificate is valid until, in milliseconds since the Unix epoch.
    pub not_after_ms: i64,
}

/// A certificate with all that belongs to it.
pub struct Identity {
    /// What is kept beside.
    pub about: About,
    /// The pinned root.
    pub root: CertificateDer<'static>,
    /// The host's certificate and its intermediate.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key, PEM.
    key: Secret,
    /// Where it lies.
    folder: PathBuf,
}

impl Identity {
    /// What is used, and what is to be tried, if there is any.
    ///
    /// # Errors
    /// There is something that cannot be read. `Ok((None, _))`: this host is not enrolled.
    pub fn load(dir: &Path) -> anyhow::Result<(Option<Self>, Option<Self>)> {
        let current = Self::read(&dir.join(CURRENT))?;
        // What was not proven may be anything: it must not keep us from using what was.
        let next = Self::read(&dir.join(NEXT)).unwrap_or_else(|error| {
            tracing::warn!("a renewed certificate is ignored: {error:#}");
            None
        });
        Ok((current, next))
    }

    fn read(link: &Path) -> anyhow::Result<Option<Self>> {
        let folder = match fs::read_link(link) {
            Ok(target) => link.with_file_name(target),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", link.display())),
        };
        let read = |name: &str| read_file(&folder.join(name), limits::CERTIFICATE_CHAIN);
        let about = serde_json::from_slice(&read("identity.json")?)
            .with_context(|| format!("{}: not what was written", folder.join("identity.json").display()))?;
        let root = CertificateDer::from(read("root.der")?);
        let chain = certificates(&read("chain.pem")?)?;
        Ok(Some(Self { about, root, chain, key: Secret::new(read("key.pem")?), folder }))
    }

    /// The private key, for TLS and for signing.
    ///
    /// # Errors
    /// The file does not hold one.
    pub fn key(&self) -> anyhow::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(self.key.expose())
            .map_err(|_| anyhow!("{} holds no private key", self.folder.join("key.pem").display()))
    }

    /// The private key as rcgen takes it.
    ///
    /// # Errors
    /// The file does not hold one.
    pub fn key_pem(&self) -> anyhow::Result<&str> {
        std::str::from_utf8(self.key.expose()).context("key.pem is no text")
    }

    /// Identity of this host.
    ///
    /// # Errors
    /// The file holds another word.
    pub fn host(&self) -> anyhow::Result<HostId> {
        HostId::from_hex(&self.about.host_id).ok_or_else(|| anyhow!("identity.json holds no host id"))
    }

    /// From when a new certificate is asked for: half of its life, give or take a tenth, the same at each start.
    #[must_use]
    pub fn renew_at(&self) -> Timestamp {
        let begin = Timestamp::from_millis(self.about.not_before_ms);
        let life = self.expires().since(begin);
        let hash = sha256(&[self.chain.first().map_or(&[], |each| each.as_ref())]);
        let chance = u32::from_be_bytes([hash.0[0], hash.0[1], hash.0[2], hash.0[3]]);
        begin + (life * 2 / 5) + part(life / 5, chance)
    }

    /// From when it is no longer accepted.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.about.not_after_ms)
    }

    /// It has proven itself: from now on it is what is used. What was used before goes.
    ///
    /// # Errors
    /// The disk refuses; then nothing has changed.
    pub fn switch(&self, dir: &Path) -> anyhow::Result<()> {
        if fs::read_link(dir.join(NEXT)).ok().map(|target| dir.join(target)).as_ref() != Some(&self.folder) {
            return Ok(()); // it is what is used already
        }
        fs::rename(dir.join(NEXT), dir.join(CURRENT)).context("switch to the renewed certificate")?;
        File::open(dir)?.sync_all()?;
        sweep(dir, &self.folder);
        Ok(())
    }
}

/// Removes the folders of certificates that are not used any more.
fn sweep(dir: &Path, keep: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let numbered = entry.file_name().to_str().is_some_and(|name| name.parse::<u64>().is_ok());
        if numbered
            && entry.path() != keep
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!("an old certificate stays: {error}");
        }
    }
}

/// A certificate and its key, before they are an identity.
pub struct Issued<'a> {
    /// The key, PEM.
    pub key: &'a str,
    /// The chain, PEM.
    pub chain: &'a [u8],
    /// The pinned root.
    pub root: &'a CertificateDer<'static>,
    /// The rest.
    pub about: About,
}

impl Issued<'_> {
    /// Checks that it is for our key and comes from the pinned root.
    ///
    /// # Errors
    /// It is not, or it does not.
    fn check(&self, now: Timestamp) -> anyhow::Result<()> {
        let chain = certificates(self.chain)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|_| anyhow!("no private key"))?;
        let certified = CertifiedKey::from_der(chain.clone(), key, &default_provider());
        certified.context("the certificate is not for our key")?;
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        let verifier = verifier.build().context("the pinned root cannot be used")?;
        let [leaf, intermediates @ ..] = &chain[..] else { bail!("the chain is empty") };
        let secs = u64::try_from(now.millis() / 1000).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(secs));
        verifier.verify_client_cert(leaf, intermediates, now).context("the certificate does not come from the root")?;
        Ok(())
    }

    /// Writes it to a new folder, syncs it, and points `next` to it. What is used is not touched.
    ///
    /// # Errors
    /// It does not fit our key and root, or the disk refuses.
    pub fn stage(&self, dir: &Path) -> anyhow::Result<()> {
        // Our clock may be wrong and the collector's word is signed: it is checked at the moment it was made for.
        self.check(Timestamp::from_millis(self.about.not_before_ms) + Duration::from_secs(1))?;
        let used = fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
        let name = used.max().unwrap_or(0).saturating_add(1).to_string();
        let folder = dir.join(&name);
        self::folder(&folder)?;
        file(&folder.join("key.pem"), self.key.as_bytes())?;
        file(&folder.join("chain.pem"), self.chain)?;
        file(&folder.join("root.der"), self.root)?;
        file(&folder.join("identity.json"), &serde_json::to_vec_pretty(&self.about)?)?;
        File::open(&folder)?.sync_all()?;
        let link = dir.join("next.new");
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => symlink(&name, &link)?,
        }
        fs::rename(&link, dir.join(NEXT))?;
        File::open(dir)?.sync_all()?;
        Ok(())
    }
}

/// Makes a folder that is for this user only.
fn folder(path: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    made.with_context(|| format!("create {}", path.display()))
}

/// Makes a file that is for this user only, and syncs it.
fn file(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("create {}", path.display()))?;
    file.write_all(content).and_then(|()| file.sync_all()).with_context(|| format!("write {}", path.display()))
}

/// Reads a small file whole.
pub(crate) fn read_file(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content).with_context(|| format!("read {}", path.display()))?;
    if content.len() > limit {
        bail!("{} is longer than {limit} bytes", path.display());
    }
    Ok(content)
}

/// The certificates of a PEM text, three at most.
pub(crate) fn certificates(text: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).take(4).collect();
    let all = all.map_err(|_| anyhow!("no certificates in PEM"))?;
    if all.is_empty() || all.len() > 3 {
        bail!("one to three certificates are expected, not {}", all.len());
    }
    Ok(all)
}
