//! Files with certificates, read once until they change.
//!
//! Servers keep keys in the same files. What was read is wiped as soon as the certificates were taken out of it, and only
//! what they say is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use crate::host::{Host, HostError, Identity};
use crate::x509::{self, Certificate};

/// Bytes of a file: a chain and a key take some ten thousand.
const LIMIT: usize = 256 << 10;
/// Certificates that are taken of one file.
const CHAIN: usize = 10;

/// What a file holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The first certificate, which is that of the server.
    pub(super) leaf: Certificate,
    /// Whether the others complete its chain; `None` where it is alone: they may lie elsewhere.
    pub(super) complete: Option<bool>,
    /// When the file was written.
    pub(super) written: Timestamp,
}

/// Why nothing is known of a file.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// It cannot be read.
    File(HostError),
    /// It holds something else.
    Content(x509::Broken),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(error) => error.kind.fmt(f),
            Self::Content(broken) => broken.fmt(f),
        }
    }
}

impl Trouble {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::File(error) => error.hint(),
            Self::Content(_) => "",
        }
    }

    /// It is simply not there.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::File(error) if error.is_absent())
    }
}

/// What files held when they were read last.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: BTreeMap<PathBuf, (Option<Identity>, Result<Held, Trouble>)>,
    /// Used again for each file.
    buffer: Vec<u8>,
}

impl Files {
    /// Reads a file, if it is not known as it is.
    pub(super) fn read(&mut self, host: &Host, path: &Path) {
        let identity = host.stat(path).map(|meta| meta.identity);
        match (&identity, self.known.get(path)) {
            (Ok(identity), Some((Some(known), _))) if identity == known => {}
            (Ok(identity), _) => {
                let held = self.take(host, path, *identity);
                self.known.insert(path.to_owned(), (Some(*identity), held));
            }
            (Err(error), _) => {
                self.known.insert(path.to_owned(), (None, Err(Trouble::File(error.clone()))));
            }
        }
    }

    fn take(&mut self, host: &Host, path: &Path, identity: Identity) -> Result<Held, Trouble> {
        let read = host.read_into(path, LIMIT, &mut self.buffer);
        let held = read.map_err(Trouble::File).and_then(|()| take(&self.buffer, identity).map_err(Trouble::Content));
        self.buffer.fill(0);
        std::hint::black_box(&self.buffer); // or the wiping could be taken for superfluous
        self.buffer.truncate(0);
        self.buffer.shrink_to(16 << 10);
        held
    }

    /// What a file held when it was read last.
    pub(super) fn get(&self, path: &Path) -> Option<&Result<Held, Trouble>> {
        self.known.get(path).map(|(_, held)| held)
    }

    /// As [`Files::get`], where it held a certificate.
    pub(super) fn held(&self, path: &Path) -> Option<&Held> {
        self.get(path)?.as_ref().ok()
    }

    /// All files that hold a certificate.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Path, &Held)> {
        self.known.iter().filter_map(|(path, (_, held))| Some((path.as_path(), held.as_ref().ok()?)))
    }

    /// Forgets the others.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<PathBuf>) {
        self.known.retain(|path, _| wanted.contains(path));
    }
}

fn take(bytes: &[u8], identity: Identity) -> Result<Held, x509::Broken> {
    let mut chain = Vec::new();
    for der in x509::certificates(bytes).take(CHAIN) {
        match der.and_then(|der| x509::parse(&der)) {
            Ok(certificate) => chain.push(certificate),
            Err(broken) if chain.is_empty() => return Err(broken),
            Err(_) => break, // the server's own one is known
        }
    }
    let complete =
        (chain.len() > 1 || chain.first().is_some_and(|only| only.self_signed)).then(|| x509::is_complete(&chain));
    let leaf = chain.into_iter().next().ok_or(x509::Broken::Empty)?;
    Ok(Held { leaf, complete, written: identity.modified() })
}
