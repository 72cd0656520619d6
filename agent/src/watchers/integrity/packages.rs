//! Files of packages, compared with the digests that dpkg keeps of them.

mod kept;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use plumb_proto::model::Value;

use super::code::is_code;
use super::effort::Effort;
use super::entry::put;
use super::reading::{Digest, Outcome, Reading};
use super::tree::Tree;
use crate::host::packages::{Digests, MD5SUMS, rpm_database};
use crate::host::{HostError, Identity};
use crate::watcher::{Look, Table};
use kept::{decode, fingerprint, forget_removed, keep, owned_key, package_key};
pub(super) use kept::{is_packaged, owned, owners};

/// Folders of programs and of what they load.
const SCOPE: [&str; 5] = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/libexec"];
/// Big parts of them that no running program loads from there.
const BEYOND: [&str; 3] = ["/usr/lib/modules", "/usr/lib/firmware", "/usr/lib/debug"];
/// Folders of programs that are watched.
pub(super) const WATCHED: [&str; 2] = ["/usr/bin", "/usr/sbin"];
/// Rows that are told; of more, only how many.
const ROWS: usize = 20;
/// Files that are remembered as altered.
const ALTERED: usize = 10_000;

/// A file that is not as its package brought it.
#[derive(Debug)]
struct Altered {
    path: PathBuf,
    kind: &'static str,
    problem: &'static str,
}

/// A package that is being judged.
struct Judging {
    package: String,
    state: u64,
    files: IntoIter<(PathBuf, Digest)>,
    /// What each file said of itself when it was found as it should be; zero if it was not.
    known: VecDeque<u64>,
    fresh: Vec<u64>,
    folders: BTreeMap<Vec<u8>, Vec<u8>>,
    before: Vec<Vec<u8>>,
    altered: Vec<Altered>,
    unread: Option<HostError>,
    reading: Option<(PathBuf, Digest, Reading)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Packages {
    digests: Digests,
    queue: VecDeque<String>,
    judging: Option<Judging>,
    altered: BTreeMap<String, Vec<Altered>>,
    unread: BTreeMap<String, HostError>,
    /// Why there are no lists, if there should be some.
    failed: Option<HostError>,
    /// There is a database of dpkg.
    pub(super) known: bool,
    /// The database of rpm on a host without dpkg: no row says nothing there.
    rpm: Option<&'static str>,
    /// Judged as a whole once.
    complete: bool,
    /// A package manager was at work: to be judged when it has ended.
    pub(super) postponed: bool,
    /// The database of dpkg as it was when all packages were last looked at.
    state: Option<Identity>,
    /// Folders in which other files are of packages than when they were compared.
    changed: BTreeSet<PathBuf>,
}

impl Packages {
    /// Begins to look at all packages.
    pub(super) fn scan(&mut self, look: &mut Look<'_>) {
        self.postponed = Digests::in_motion(look.host);
        if self.postponed {
            return;
        }
        self.state = Digests::state(look.host);
        self.digests = Digests::of(look.host);
        (self.queue, self.judging, self.failed) = (VecDeque::new(), None, None);
        match Digests::lists(look.host) {
            Ok(lists) => {
                self.known = !lists.is_empty();
                self.queue = lists.into_iter().map(|(package, _)| package).collect();
                let there: BTreeSet<&String> = self.queue.iter().collect();
                self.altered.retain(|package, _| there.contains(package));
                self.unread.retain(|package, _| there.contains(package));
                forget_removed(look, &there, &mut self.changed);
            }
            Err(error) if error.is_absent() => self.known = false,
            Err(error) => self.failed = Some(error),
        }
        self.rpm = rpm_database(look.host).filter(|_| !self.known && self.failed.is_none());
    }

    /// A look ends: sees whether a package manager is at work, and looks at all packages again if one was meanwhile. `true`
    /// if there is something to do.
    pub(super) fn catch_up(&mut self, look: &mut Look<'_>) -> bool {
        self.postponed |= Digests::in_motion(look.host);
        if self.postponed || self.state == Digests::state(look.host) {
            return false;
        }
        self.scan(look);
        !self.postponed
    }

    /// The next folder that is to be compared again, since its files are of other packages now.
    pub(super) fn next_changed(&mut self) -> Option<PathBuf> {
        self.changed.pop_first()
    }

    /// Something changed in a folder: whose files lie there is judged again.
    pub(super) fn judge_folder(&mut self, look: &Look<'_>, folder: &Path) {
        for (package, _) in owners(look, folder) {
            if !self.queue.contains(&package) {
                self.queue.push_back(package);
            }
        }
    }

    /// Goes on; `false` if there is nothing to do.
    pub(super) fn step(&mut self, look: &mut Look<'_>, trees: &[Tree], buffer: &mut [u8], effort: &mut Effort) -> bool {
        if let Some(mut judging) = self.judging.take() {
            match judging.step(look, &self.digests, buffer, effort) {
                Some(true) => self.judged(look, judging),
                Some(false) => self.judging = Some(judging),
                None => {
                    self.queue.push_back(judging.package);
                    self.postponed = true;
                }
            }
            return !self.postponed;
        }
        if self.postponed {
            return false;
        }
        let Some(package) = self.queue.pop_front() else {
            self.complete = true;
            return false;
        };
        effort.opened();
        match Judging::begin(look, &self.digests, package.clone(), trees) {
            Ok(judging) => self.judging = Some(judging),
            Err(error) if error.is_absent() => {
                self.altered.remove(&package);
            }
            Err(error) => drop(self.unread.insert(package, error)),
        }
        true
    }

    fn judged(&mut self, look: &mut Look<'_>, judging: Judging) {
        let Judging { package, state, fresh, folders, before, altered, unread, .. } = judging;
        let room = ALTERED.saturating_sub(self.altered.values().map(Vec::len).sum());
        match altered.into_iter().take(room).collect::<Vec<_>>() {
            altered if altered.is_empty() => drop(self.altered.remove(&package)),
            altered => drop(self.altered.insert(package.clone(), altered)),
        }
        match unread {
            Some(error) => drop(self.unread.insert(package.clone(), error)),
            None => drop(self.unread.remove(&package)),
        }
        let path = |folder: &[u8]| PathBuf::from(OsStr::from_bytes(folder));
        for gone in before.iter().filter(|folder| !folders.contains_key(*folder)) {
            look.drop_kept(owned_key(gone, &package));
            self.changed.insert(path(gone));
        }
        let mut row = Vec::new();
        put(&mut row, state);
        put(&mut row, fresh.len() as u64);
        fresh.iter().for_each(|each| row.extend_from_slice(&each.to_le_bytes()));
        for (folder, names) in folders {
            put(&mut row, folder.len() as u64);
            row.extend_from_slice(&folder);
            if keep(look, owned_key(&folder, &package), names) {
                self.changed.insert(path(&folder));
            }
        }
        keep(look, package_key(&package), row);
    }

    /// Tells what is not as it should be.
    pub(super) fn tell(&self, look: &mut Look<'_>, table: &'static Table) {
        if let Some(error) = &self.failed {
            look.problem(table, "", MD5SUMS, error, error.hint());
        }
        if let Some(database) = self.rpm {
            look.problem(table, "", database, "digests of rpm packages are not judged yet", "");
        }
        if !self.complete {
            look.problem(table, "", MD5SUMS, "packages are being changed just now", "");
        }
        for error in self.unread.values() {
            look.problem(table, error.path.clone(), error.path.clone(), error, error.hint());
        }
        let all = || self.altered.iter().flat_map(|(package, files)| files.iter().map(move |file| (package, file)));
        for (package, file) in all().take(ROWS) {
            let name = package.split(':').next().unwrap_or_default();
            let fields = [
                ("package", Value::Text(name.into())),
                ("kind", Value::Text(file.kind.into())),
                ("problem", Value::Text(file.problem.into())),
            ];
            look.fact(table, file.path.as_os_str().as_bytes(), MD5SUMS, &fields);
        }
        let more = all().skip(ROWS).count();
        if more > 0 {
            let kinds: BTreeSet<&str> = all().skip(ROWS).map(|(_, file)| file.kind).collect();
            let kind = ["program", "library", "code", "other"].into_iter().find(|kind| kinds.contains(kind));
            let packages: BTreeSet<&str> = all().skip(ROWS).map(|(package, _)| package.as_str()).collect();
            let fields = [
                ("package", Value::Text(packages.into_iter().take(10).collect::<Vec<_>>().join(" ").into())),
                ("kind", Value::Text(kind.unwrap_or("other").into())),
                ("problem", Value::Text(format!("{more} more files altered or missing").into())),
            ];
            look.fact(table, "more", MD5SUMS, &fields);
        }
    }
}

impl Judging {
    fn begin(look: &Look<'_>, digests: &Digests, package: String, trees: &[Tree]) -> Result<Self, HostError> {
        let list = Path::new(MD5SUMS).join(format!("{package}.md5sums"));
        let state = fingerprint(&look.host.stat(&list)?);
        let (mut files, mut folders) = (Vec::new(), BTreeMap::<Vec<u8>, Vec<u8>>::new());
        digests.each(look.host, &package, &mut |path, digest| {
            let in_tree = trees.iter().any(|tree| path.starts_with(&tree.real));
            let judged =
                SCOPE.iter().any(|scope| path.starts_with(scope)) && !BEYOND.iter().any(|b| path.starts_with(b));
            if !in_tree && !judged {
                return;
            }
            let watched = path.parent().filter(|folder| WATCHED.iter().any(|each| *folder == Path::new(each)));
            if let Some(folder) = path.parent().filter(|_| in_tree || watched.is_some()) {
                let names = folders.entry(folder.as_os_str().as_bytes().to_vec()).or_default();
                if let Some(name) = path.file_name().filter(|_| in_tree) {
                    names.extend_from_slice(name.as_bytes());
                    names.push(b'/');
                }
            }
            files.push((path.to_owned(), digest));
        })?;
        let (known, before) = look.kept(&package_key(&package)).and_then(|row| decode(&row, state)).unwrap_or_default();
        Ok(Self {
            package,
            state,
            files: files.into_iter(),
            known: known.into(),
            fresh: Vec::new(),
            folders,
            before,
            altered: Vec::new(),
            unread: None,
            reading: None,
        })
    }

    /// Goes on; `true` when it is done, `None` where a package manager is at work.
    fn step(&mut self, look: &Look<'_>, digests: &Digests, buffer: &mut [u8], effort: &mut Effort) -> Option<bool> {
        while !effort.is_spent(look) {
            if let Some((path, expected, mut reading)) = self.reading.take() {
                match reading.step(buffer, effort) {
                    Ok(Outcome::More) => self.reading = Some((path, expected, reading)),
                    Ok(Outcome::Hashed(digest, meta)) if digest == expected => self.fresh.push(fingerprint(&meta)),
                    Ok(_) => self.differs(look, digests, path, "altered")?,
                    Err(error) => self.cannot(look, digests, path, error)?,
                }
                continue;
            }
            let Some((path, expected)) = self.files.next() else { return Some(true) };
            effort.asked(1);
            let known = self.known.pop_front().unwrap_or(0);
            match look.host.stat(&path) {
                Ok(meta) if known != 0 && fingerprint(&meta) == known => self.fresh.push(known),
                Ok(_) => {
                    effort.opened();
                    match look.host.resolve(&path).and_then(|real| Reading::md5(look.host, &real)) {
                        Ok(reading) => self.reading = Some((path, expected, reading)),
                        Err(error) => self.cannot(look, digests, path, error)?,
                    }
                }
                Err(error) => self.cannot(look, digests, path, error)?,
            }
        }
        Some(false)
    }

    fn cannot(&mut self, look: &Look<'_>, digests: &Digests, path: PathBuf, error: HostError) -> Option<()> {
        if error.is_absent() {
            return self.differs(look, digests, path, "missing");
        }
        self.fresh.push(0);
        self.unread = Some(error);
        Some(())
    }

    /// A file is not as its package brought it, unless the package is just being replaced or has lost it to another.
    fn differs(&mut self, look: &Look<'_>, digests: &Digests, path: PathBuf, problem: &'static str) -> Option<()> {
        if Digests::in_motion(look.host) {
            return None;
        }
        self.fresh.push(0);
        if digests.owns(look.host, &self.package, &path) {
            let kind = kind(&path);
            self.altered.push(Altered { path, kind, problem });
        }
        Some(())
    }
}

/// What a file of a package is to the host.
fn kind(path: &Path) -> &'static str {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let holds = |part: &[u8]| name.windows(part.len()).any(|each| each == part);
    if ["/usr/bin", "/usr/sbin", "/usr/libexec"].iter().any(|folder| path.starts_with(folder)) {
        "program"
    } else if name.ends_with(b".so") || holds(b".so.") {
        "library"
    } else if is_code(path.parent().unwrap_or(path), name) {
        "code"
    } else {
        "other"
    }
}
