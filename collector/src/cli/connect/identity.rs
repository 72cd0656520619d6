//! The identity of a user: one file with their key, their certificate, the pinned root and the collector's address, as
//! `plumb-collector user create` makes it. Text between PEM blocks is explanatory (RFC 7468 section 2).

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use plumb_proto::limits;
use plumb_proto::time::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What stands before the address.
const COLLECTOR: &str = "collector: ";

/// The identity of a user.
pub struct Identity {
    /// Where it was read.
    pub path: PathBuf,
    /// Where the collector is, as `https://HOST:PORT`.
    pub collector: Option<String>,
    /// The key.
    pub(super) key: PrivateKeyDer<'static>,
    /// The certificate, then the users' intermediate.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// All that is trusted.
    pub(super) root: CertificateDer<'static>,
}

/// The content of an identity file.
#[must_use]
pub fn file(collector: &str, user: &str, key: &str, chain: &str, root: &str) -> String {
    format!(
        "The identity of {user} for plumb. It holds a private key: keep it to yourself.\n{COLLECTOR}{collector}\n\
         {key}{chain}{root}"
    )
}

/// Where an identity lies if nobody says where: `identity.pem` in the user's own configuration (XDG base directories).
#[must_use]
pub fn usual_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("plumb/identity.pem"))
}

impl Identity {
    /// Reads an identity file.
    ///
    /// # Errors
    /// It is not there, is damaged, or its certificate has run out.
    pub fn read(path: &Path, now: Timestamp) -> Result<Self> {
        let mut text = String::new();
        let limit = limits::CERTIFICATE_CHAIN as u64;
        let file = std::fs::File::open(path).with_context(|| {
            format!(
                "identity {}: `plumb-collector user create NAME --role viewer` on the collector makes one",
                path.display()
            )
        })?;
        file.take(limit).read_to_string(&mut text).with_context(|| format!("identity {}", path.display()))?;
        Self::parse(path, &text, now).with_context(|| format!("identity {}", path.display()))
    }

    fn parse(path: &Path, text: &str, now: Timestamp) -> Result<Self> {
        let key =
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| anyhow!("there is no private key in it"))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let mut chain = certificates.map_err(|_| anyhow!("a certificate in it is damaged"))?;
        let root = chain.pop().filter(|_| !chain.is_empty());
        let root = root.ok_or_else(|| anyhow!("it needs a certificate, its chain and the collector's root"))?;
        let (_, own) = X509Certificate::from_der(&chain[0]).map_err(|_| anyhow!("its certificate is damaged"))?;
        let end = Timestamp::from_secs(own.validity().not_after.timestamp());
        if now >= end {
            bail!(
                "its certificate ran out at {end}. An administrator makes a new one on the collector: \
                 `plumb-collector user create NAME --role ROLE`"
            );
        }
        let collector = text.lines().find_map(|line| line.strip_prefix(COLLECTOR)).map(|at| at.trim().to_owned());
        Ok(Self { path: path.to_owned(), collector, key, chain, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_identity_is_told() {
        let wrong = |text: &str| {
            let error = Identity::parse(Path::new("x"), text, Timestamp::from_secs(0)).err().unwrap();
            error.to_string()
        };
        assert_eq!(wrong(""), "there is no private key in it");
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(wrong(key), "it needs a certificate, its chain and the collector's root");
        let error = Identity::read(Path::new("/nowhere/i.pem"), Timestamp::from_secs(0)).err().unwrap();
        assert!(error.to_string().contains("user create NAME"), "{error}");
    }
}
