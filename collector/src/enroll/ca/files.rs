//! Keys and certificates on disk: small, private, synced, and whole or not there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use plumb_proto::limits;
use plumb_proto::time::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate and its key, both PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Makes a folder whole: what `fill` writes is there after one rename, or nothing is.
pub(super) fn make_folder(dir: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let name = dir.file_name().ok_or_else(|| anyhow!("{} names no folder", dir.display()))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new = parent.join(format!("{}.new", name.to_string_lossy()));
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&new).with_context(|| format!("create {}", new.display()))?;
    fill(&new)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, dir).with_context(|| format!("rename to {}", dir.display()))?;
    File::open(parent)?.sync_all().with_context(|| format!("sync {}", parent.display()))
}

/// Writes a new private file, synced.
pub(super) fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("create {}", path.display()))?;
    file.write_all(content).and_then(|()| file.sync_all()).with_context(|| format!("write {}", path.display()))
}

/// Reads a small text whole.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let limit = limits::CERTIFICATE_CHAIN as u64;
    file.take(limit + 1).read_to_string(&mut text).with_context(|| format!("read {}", path.display()))?;
    if text.len() as u64 > limit {
        bail!("{} is longer than {limit} bytes", path.display());
    }
    Ok(text)
}

/// The certificate of the listeners, if it was made for these names, and until when it is valid.
pub(super) fn read_server(dir: &Path, names: &[String]) -> anyhow::Result<Option<(Pair, Timestamp)>> {
    let folder = dir.join("server");
    if !folder.exists() || read_text(&folder.join("names"))? != names.join("\n") {
        return Ok(None);
    }
    let pair =
        Pair { certificate: read_text(&folder.join("server.pem"))?, key: read_text(&folder.join("server.key"))? };
    let damaged = || anyhow!("{} is damaged", folder.join("server.pem").display());
    let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).map_err(|_| damaged())?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| damaged())?;
    let not_after = Timestamp::from_secs(parsed.validity().not_after.timestamp());
    Ok(Some((pair, not_after)))
}

/// Replaces the certificate of the listeners. It can be made anew at any time, so a crash in between costs nothing.
pub(super) fn write_server(dir: &Path, pair: &Pair, names: &[String]) -> anyhow::Result<()> {
    let folder = dir.join("server");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    make_folder(&folder, |new| {
        write(&new.join("server.pem"), pair.certificate.as_bytes())?;
        write(&new.join("server.key"), pair.key.as_bytes())?;
        write(&new.join("names"), names.join("\n").as_bytes())
    })
}

/// Names by which the collector was ever known, one a line, the latest last.
pub(super) const KNOWN_AS: &str = "known-as";
/// So many of them are kept.
const KNOWN: usize = 16;

/// Names by which the collector was known before these.
pub(super) fn known_as(dir: &Path, names: &[String]) -> anyhow::Result<Vec<String>> {
    let path = dir.join(KNOWN_AS);
    let text = if path.exists() { read_text(&path)? } else { String::new() };
    let earlier = || text.lines().filter(|name| !names.iter().any(|now| now == name)).map(str::to_owned);
    Ok(earlier().skip(earlier().count().saturating_sub(KNOWN)).collect())
}

/// Keeps the names by which the collector is known: those of before, then these.
pub(super) fn write_known_as(dir: &Path, earlier: &[String], names: &[String]) -> anyhow::Result<()> {
    let path = dir.join(KNOWN_AS);
    let lines: Vec<&str> = earlier.iter().chain(names).map(String::as_str).collect();
    if path.exists() && read_text(&path)?.lines().eq(lines.iter().copied()) {
        return Ok(());
    }
    let new = dir.join(format!("{KNOWN_AS}.new"));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => write(&new, lines.join("\n").as_bytes())?,
    }
    fs::rename(&new, &path).with_context(|| format!("rename to {}", path.display()))?;
    File::open(dir)?.sync_all().with_context(|| format!("sync {}", dir.display()))
}
