//! The authority as files that are handed on: into a backup, and back out of one.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use plumb_proto::secret::Secret;
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files;

/// What makes an authority. The certificate of the listeners is not among it: it is made anew when it is missing.
const NAMES: [&str; 5] = ["root.pem", "hosts.pem", "hosts.key", "users.pem", "users.key"];
/// It may have been moved away: `ca export`.
pub(super) const ROOT_KEY: &str = "root.key";
/// Files that need not be there.
const OPTIONAL: [&str; 2] = [ROOT_KEY, files::KNOWN_AS];

/// The files of the authority in `dir`, by name.
///
/// # Errors
/// One of them is missing or cannot be read.
pub fn read_all(dir: &Path) -> anyhow::Result<Vec<(String, Secret)>> {
    let names = NAMES.into_iter().chain(OPTIONAL.into_iter().filter(|name| dir.join(name).exists()));
    names.map(|name| Ok((name.to_owned(), Secret::new(files::read_text(&dir.join(name))?)))).collect()
}

/// Makes an authority in the new folder `dir` from files that [`read_all`] gave, and checks that they are one.
///
/// # Errors
/// One is missing, unknown, or does not belong to the others; the disk refuses.
pub fn write_all(dir: &Path, all: &[(String, Secret)]) -> anyhow::Result<()> {
    if let Some(name) = NAMES.iter().find(|name| !all.iter().any(|(given, _)| given == *name)) {
        bail!("the certificate authority is not whole: {name} is missing");
    }
    files::make_folder(dir, |folder| {
        for (name, content) in all {
            if !NAMES.iter().chain(&OPTIONAL).any(|known| known == name) {
                bail!("{name:?} is no file of a certificate authority");
            }
            files::write(&folder.join(name), content.expose())?;
        }
        check(folder)
    })
}

/// Whether the files in `dir` belong together: each key to its certificate, and the intermediates to the root.
fn check(dir: &Path) -> anyhow::Result<()> {
    let read = |name: &str| files::read_text(&dir.join(name));
    let root = der(&read("root.pem")?).context("root.pem")?;
    for name in ["hosts", "users"] {
        let certificate = der(&read(&format!("{name}.pem"))?).with_context(|| format!("{name}.pem"))?;
        let (_, parsed) = X509Certificate::from_der(&certificate).with_context(|| format!("{name}.pem"))?;
        let (_, parent) = X509Certificate::from_der(&root).context("root.pem")?;
        let signed = parsed.verify_signature(Some(parent.public_key()));
        signed.map_err(|_| anyhow!("{name}.pem is not signed by the root"))?;
        belongs(&read(&format!("{name}.key"))?, &certificate).with_context(|| format!("{name}.key"))?;
    }
    if dir.join(ROOT_KEY).exists() {
        belongs(&read(ROOT_KEY)?, &root).context(ROOT_KEY)?;
    }
    Ok(())
}

/// Whether a key is the one of a certificate.
pub(super) fn belongs(key: &str, certificate: &CertificateDer<'_>) -> anyhow::Result<()> {
    let key = KeyPair::from_pem(key).context("damaged key")?;
    let (_, parsed) = X509Certificate::from_der(certificate).context("damaged certificate")?;
    if key.subject_public_key_info() != parsed.public_key().raw {
        bail!("the key is not the one of the certificate");
    }
    Ok(())
}

pub(super) fn der(pem: &str) -> anyhow::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| anyhow!("damaged certificate"))
}

#[cfg(test)]
mod tests {
    use super::super::Authority;
    use super::super::tests::{NOW, folder};
    use super::*;

    fn made(name: &str) -> (std::path::PathBuf, Vec<(String, Secret)>) {
        let dir = folder(name);
        Authority::open(&dir, NOW).unwrap();
        let all = read_all(&dir).unwrap();
        (dir.with_file_name("again"), all)
    }

    #[test]
    fn an_authority_that_was_carried_elsewhere_is_the_same_one() {
        let (dir, all) = made("carried");
        write_all(&dir, &all).unwrap();
        let pin = |dir: &Path| Authority::open(dir, NOW).unwrap().0.pin().unwrap();
        assert_eq!(pin(&dir), pin(&dir.with_file_name("ca")));
        assert!(all.iter().any(|(name, _)| name == ROOT_KEY));
    }

    #[test]
    fn one_without_the_key_of_its_root_is_whole() {
        let (dir, mut all) = made("rootless");
        all.retain(|(name, _)| name != ROOT_KEY);
        write_all(&dir, &all).unwrap();
        assert!(!dir.join(ROOT_KEY).exists());
    }

    #[test]
    fn what_is_missing_foreign_or_unknown_is_named_and_nothing_is_made() {
        let (dir, all) = made("missing");
        let (_, other) = made("foreign");
        let with = |name: &str, from: &[(String, Secret)], as_name: &str| {
            let copy = |list: &[(String, Secret)], name: &str, as_name: &str| {
                let (_, content) = list.iter().find(|(each, _)| each == name).unwrap();
                (as_name.to_owned(), Secret::new(content.expose()))
            };
            let mut mixed: Vec<_> =
                all.iter().filter(|(each, _)| each != as_name).map(|(each, _)| copy(&all, each, each)).collect();
            mixed.push(copy(from, name, as_name));
            format!("{:#}", write_all(&dir, &mixed).unwrap_err())
        };
        assert_eq!(with("hosts.pem", &other, "hosts.pem"), "hosts.pem is not signed by the root");
        let foreign = "the key is not the one of the certificate";
        assert_eq!(with("users.key", &other, "users.key"), format!("users.key: {foreign}"));
        assert_eq!(with("root.key", &other, "root.key"), format!("root.key: {foreign}"));
        assert_eq!(with("root.key", &all, "../evil"), "\"../evil\" is no file of a certificate authority");
        let told = format!("{:#}", write_all(&dir, &all[1..]).unwrap_err());
        assert_eq!(told, "the certificate authority is not whole: root.pem is missing");
        assert!(!dir.exists());
    }
}
