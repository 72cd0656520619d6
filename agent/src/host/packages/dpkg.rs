//! The database of dpkg: `status` says what is installed (deb822(5)), `info/<package>[:<arch>].list` which files it has.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plumb_proto::untrusted::Untrusted;

use super::lines::Lines;
use super::{Manager, Package, PackagesError};
use crate::host::{ErrorKind, Host};

pub(super) const STATUS: &str = "/var/lib/dpkg/status";
const INFO: &str = "/var/lib/dpkg/info";
/// Folders that were merged into /usr: lists of older packages still name them without it.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Adds the owners of `files` to `found`.
pub(super) fn owners(
    host: &Host,
    files: &[&Path],
    likely: &[&str],
    found: &mut BTreeMap<PathBuf, Package>,
) -> Result<(), PackagesError> {
    let mut wanted: BTreeMap<Vec<u8>, &Path> = BTreeMap::new();
    for file in files {
        wanted.insert(file.as_os_str().as_bytes().to_vec(), file);
        let merged = file.strip_prefix("/usr").ok().filter(|rest| MERGED.iter().any(|each| rest.starts_with(each)));
        if let Some(rest) = merged {
            wanted.insert(Path::new("/").join(rest).into_os_string().as_encoded_bytes().to_vec(), file);
        }
    }
    let mut names: BTreeMap<&Path, Untrusted> = BTreeMap::new();
    let mut lines = Lines::new();
    for likely_ones in [true, false] {
        let mut lists = Vec::new();
        host.entries(INFO, &mut |name, _| {
            let name = name.as_bytes();
            let is_likely = likely.iter().any(|each| name.starts_with(each.as_bytes()));
            if name.ends_with(b".list") && is_likely == likely_ones {
                lists.push(name.to_vec().into_boxed_slice());
            }
        })?;
        lists.sort_unstable();
        for list in &lists {
            if names.len() == files.len() {
                break;
            }
            let path = Path::new(INFO).join(std::ffi::OsStr::from_bytes(list));
            let mut file = match host.open(&path) {
                Ok(file) => file,
                Err(error) if error.is_absent() => continue, // removed just now
                Err(error) => return Err(error.into()),
            };
            let name = list.split(|byte| matches!(byte, b':')).next().unwrap_or_default();
            let name = name.strip_suffix(b".list").unwrap_or(name);
            let read = lines.each(&mut file, &mut |line| {
                if let Some(file) = wanted.get(line) {
                    names.entry(file).or_insert_with(|| name.into());
                }
                true
            });
            read.map_err(|error| ErrorKind::from_io(&error).at(&path))?;
        }
        if names.len() == files.len() {
            break;
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let asked: BTreeSet<&Untrusted> = names.values().collect();
    let asked: Vec<Untrusted> = asked.into_iter().cloned().collect();
    let packages = installed(host, &asked)?;
    for (file, name) in names {
        // Removed but not purged: its list is there, its files may be somebody else's.
        if let Some(package) = packages.iter().find(|package| package.name == name) {
            found.insert(file.to_owned(), package.clone());
        }
    }
    Ok(())
}

/// The installed packages among `names`.
pub(super) fn installed(host: &Host, names: &[Untrusted]) -> Result<Vec<Package>, PackagesError> {
    let mut found = Vec::new();
    let mut stanza = Stanza::default();
    let mut file = host.open(STATUS)?;
    let read = Lines::new().each(&mut file, &mut |line| {
        if line.is_empty() {
            found.extend(stanza.take());
            return true;
        }
        stanza.line(line, names);
        true
    });
    read.map_err(|error| ErrorKind::from_io(&error).at(Path::new(STATUS)))?;
    found.extend(stanza.take());
    Ok(found)
}

/// What is wanted of one paragraph of `status`.
#[derive(Default)]
struct Stanza {
    name: Option<Untrusted>,
    version: Untrusted,
    vendor: Untrusted,
    there: bool,
}

impl Stanza {
    fn line(&mut self, line: &[u8], names: &[Untrusted]) {
        if let Some(name) = value(line, b"Package") {
            self.name = names.iter().find(|each| each.as_bytes() == name).cloned();
        } else if let Some(version) = value(line, b"Version") {
            self.version = version.into();
        } else if let Some(status) = value(line, b"Status") {
            // "install ok unpacked" and the like have their files in place too.
            let word = status.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            self.there = !matches!(word, b"not-installed" | b"config-files");
        } else if let Some(vendor) = value(line, b"Maintainer") {
            self.vendor = vendor.into();
        }
    }

    fn take(&mut self) -> Option<Package> {
        let Self { name, version, vendor, there } = std::mem::take(self);
        let name = name.filter(|_| there)?;
        Some(Package { manager: Manager::Dpkg, name, version, vendor, module: Untrusted::default() })
    }
}

fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    Some(line.strip_prefix(field)?.strip_prefix(b":")?.trim_ascii())
}
