//! The digests that dpkg keeps of the files of packages (dh_md5sums(1)): `info/<package>[:<arch>].md5sums`, a line
//! `<32 hexadecimal digits>  <path without leading slash>` for each file that is no configuration.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::dpkg::STATUS;
use super::lines::Lines;
use crate::host::{ErrorKind, Host, HostError, Identity};

/// Where the lists lie.
pub const MD5SUMS: &str = "/var/lib/dpkg/info";
/// Files that a package manager locks while it works.
const LOCKS: [&str; 2] = ["/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend"];
/// Files that one package had to lay elsewhere for another (dpkg-divert(1)): three lines each.
const DIVERSIONS: &str = "/var/lib/dpkg/diversions";
/// Folders that are links into /usr on most hosts (hier(7)); older packages name files through them.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Bytes of a list of diversions.
const LIMIT: usize = 1 << 20;

/// How to read the lists of one host.
#[derive(Debug, Default)]
pub struct Digests {
    merged: Vec<&'static str>,
    /// Path -> where it was laid, and for whom.
    diverted: BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
}

impl Digests {
    /// Learns which folders are merged and which files are diverted.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let is_link = |name: &&str| host.read_link(Path::new("/").join(name)).is_ok();
        let merged = MERGED.into_iter().filter(is_link).collect();
        let text = host.read(DIVERSIONS, LIMIT).unwrap_or_default();
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let diverted = lines.chunks_exact(3).map(|three| (three[0].to_vec(), (three[1].to_vec(), three[2].to_vec())));
        Self { merged, diverted: diverted.collect() }
    }

    /// The lists that there are, with the state of each, by package (`name` or `name:arch`).
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn lists(host: &Host) -> Result<Vec<(String, Identity)>, HostError> {
        let mut found = Vec::new();
        for item in host.examine(Path::new(MD5SUMS), None)?.items {
            let package = item.name.to_str().and_then(|name| name.strip_suffix(".md5sums"));
            found.extend(package.map(|package| (package.to_owned(), item.meta.identity)));
        }
        Ok(found)
    }

    /// True while a package manager works: files may be newer than what is known of them.
    #[must_use]
    pub fn in_motion(host: &Host) -> bool {
        host.is_locked(&LOCKS)
    }

    /// Another one means that packages were installed, upgraded or removed: dpkg writes it last.
    #[must_use]
    pub fn state(host: &Host) -> Option<Identity> {
        host.stat(STATUS).ok().map(|meta| meta.identity)
    }

    /// Hands every file of a package with its digest to `visit`, as the path where it lies.
    ///
    /// # Errors
    /// The list cannot be read.
    pub fn each(&self, host: &Host, package: &str, visit: &mut dyn FnMut(&Path, [u8; 16])) -> Result<(), HostError> {
        let list = Path::new(MD5SUMS).join(format!("{package}.md5sums"));
        let mut file = host.open(&list)?;
        let name = package.split(':').next().unwrap_or_default();
        let read = Lines::new().each(&mut file, &mut |line| {
            if let Some((path, digest)) = parse(line) {
                visit(&self.place(path, name.as_bytes()), digest);
            }
            true
        });
        read.map_err(|error| ErrorKind::from_io(&error).at(&list))
    }

    /// Whether a package still owns a file: another one may have taken it over (`Replaces`), which only its list of
    /// files shows.
    #[must_use]
    pub fn owns(&self, host: &Host, package: &str, file: &Path) -> bool {
        let list = Path::new(MD5SUMS).join(format!("{package}.list"));
        let Ok(mut lines) = host.open(&list) else { return true };
        let name = package.split(':').next().unwrap_or_default();
        let mut found = false;
        let read = Lines::new().each(&mut lines, &mut |line| {
            found |= self.place(line.strip_prefix(b"/").unwrap_or(line), name.as_bytes()) == file;
            !found
        });
        found || read.is_err()
    }

    fn place(&self, path: &[u8], package: &[u8]) -> PathBuf {
        let whole = [b"/", path].concat();
        let diverted = self.diverted.get(&whole).filter(|(_, by)| by != package);
        let whole = diverted.map_or(whole, |(to, _)| to.clone());
        let top = whole.get(1..).unwrap_or_default().split(|byte| *byte == b'/').next().unwrap_or_default();
        let merged = self.merged.iter().any(|name| name.as_bytes() == top);
        let whole = if merged { [b"/usr", &whole[..]].concat() } else { whole };
        PathBuf::from(OsStr::from_bytes(&whole))
    }
}

/// Of one line: path without leading slash, and digest.
fn parse(line: &[u8]) -> Option<(&[u8], [u8; 16])> {
    let (hex, path) = (line.get(..32)?, line.get(32..)?.strip_prefix(b"  ")?);
    let mut digest = [0; 16];
    for (place, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((path.strip_prefix(b"./").unwrap_or(path), digest)).filter(|(path, _)| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::state::testing::Folder;

    #[test]
    fn files_are_told_where_they_lie_through_merged_folders_and_diversions() {
        let folder = Folder::new();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("var/lib/dpkg/info")).unwrap();
        fs::create_dir_all(at("usr/bin")).unwrap();
        std::os::unix::fs::symlink("usr/bin", at("bin")).unwrap();
        let sums = "d41d8cd98f00b204e9800998ecf8427e  bin/a\nnonsense\n00000000000000000000000000000001  usr/bin/b\n";
        fs::write(at("var/lib/dpkg/info/one:amd64.md5sums"), sums).unwrap();
        fs::write(at("var/lib/dpkg/info/one:amd64.list"), "/.\n/bin\n/bin/a\n").unwrap();
        fs::write(at("var/lib/dpkg/diversions"), "/usr/bin/b\n/usr/bin/b.real\ntwo\n").unwrap();
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let digests = Digests::of(&host);
        let lists = Digests::lists(&host).unwrap();
        assert_eq!(lists.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["one:amd64"]);
        let mut found = Vec::new();
        digests.each(&host, "one:amd64", &mut |path, digest| found.push((path.to_owned(), digest[15]))).unwrap();
        assert_eq!(found, [("/usr/bin/a".into(), 0x7e), ("/usr/bin/b.real".into(), 1)]);
        assert!(digests.owns(&host, "one:amd64", Path::new("/usr/bin/a")));
        assert!(!digests.owns(&host, "one:amd64", Path::new("/usr/bin/b")));
        assert!(!Digests::in_motion(&host));
    }
}
