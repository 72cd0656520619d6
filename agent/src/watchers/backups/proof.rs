//! Whether a dump or archive is whole, as its own form tells: read in small bounded pieces, never unpacked to anywhere.
//! A format that cannot tell is not judged, which is not the same as whole.

mod archive;
mod copy;
mod dump;
mod gzip;
mod tar;
#[cfg(test)]
pub(super) mod tests;
mod walk;
mod zstd;

use std::io::{self, Read, Seek, SeekFrom};

use plumb_proto::record::sha256;

pub(super) use walk::Walk;

/// What can be said of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its end is there.
    Complete,
    /// It ends too early or is damaged, and how that shows.
    Incomplete(&'static str),
    /// It cannot be told, and why.
    Unjudged(&'static str),
}

/// What is known of a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Whether it is whole.
    pub(super) verdict: Verdict,
    /// What wrote it, where the content says so.
    pub(super) program: Option<&'static str>,
    /// Whether it can be read without a key, where the content says so.
    pub(super) encrypted: Option<bool>,
}

impl Proof {
    fn of(verdict: Verdict) -> Self {
        Self { verdict, program: None, encrypted: Some(false) }
    }

    fn written_by(program: &'static str, verdict: Verdict) -> Self {
        Self { program: Some(program), ..Self::of(verdict) }
    }

    fn encrypted(verdict: Verdict) -> Self {
        Self { encrypted: Some(true), ..Self::of(verdict) }
    }
}

/// Something that can be read at any place.
pub(super) trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// Bytes of the beginning by which a format is told.
const HEAD: usize = 4_096;
/// Bytes of the end in which a marker is looked for.
pub(super) const TAIL: usize = 4_096;

/// What a first look at a file comes to.
pub(super) enum First {
    /// It is judged.
    Proof(Proof),
    /// It must be gone through, in slices.
    Walk(Walk),
}

/// Judges a file of `size` bytes; `name` tells where the content does not.
///
/// # Errors
/// Reading failed.
pub(super) fn judge(file: &mut dyn Source, size: u64, name: &[u8]) -> io::Result<First> {
    if size == 0 {
        return Ok(First::Proof(Proof { encrypted: None, ..Proof::of(Verdict::Incomplete("it is empty")) }));
    }
    let head = piece(file, 0, HEAD)?;
    // What restic writes is encrypted, and may begin like anything.
    if let Some(sum) = snapshot(name) {
        return restic(file, size, sum).map(First::Proof);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(First::Walk(Walk::Gzip(Box::default())));
    }
    if zstd::is_zstd(&head) {
        return Ok(First::Walk(Walk::Zstd(zstd::Zstd::default())));
    }
    if tar::is_tar(&head) {
        return Ok(First::Walk(Walk::Tar(tar::Tar::default())));
    }
    let ends = |extension: &str| name.to_ascii_lowercase().ends_with(extension.as_bytes());
    let proof = if head.starts_with(b"\xfd7zXZ\0") {
        Proof::of(archive::xz(file, size)?)
    } else if head.starts_with(b"BZh") {
        Proof::of(archive::bzip2(file, size)?)
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let locked = head.get(6).is_some_and(|flags| flags & 1 == 1);
        Proof { encrypted: Some(locked), ..Proof::of(archive::zip(file, size)?) }
    } else if head.starts_with(b"7z\xbc\xaf\x27\x1c") {
        Proof { encrypted: None, ..Proof::of(archive::seven_zip(&head, size)) }
    } else if head.starts_with(b"PGDMP") {
        Proof::written_by("pg_dump", Verdict::Unjudged("the custom format of pg_dump has no end marker"))
    } else if head.starts_with(b"REDIS") {
        Proof::written_by("redis", copy::rdb(file, size)?)
    } else if head.starts_with(b"SQLite format 3\0") {
        Proof::written_by("sqlite", copy::sqlite(&head, size))
    } else if is_locked(&head) || [".gpg", ".pgp", ".age", ".enc", ".aes", ".crypt"].iter().any(|end| ends(end)) {
        Proof::encrypted(Verdict::Unjudged("it is encrypted"))
    } else if let Some(program) = dump::program(&head) {
        Proof::written_by(program, dump::judge(&head, &end(file, size)?))
    } else if head.windows(19).any(|part| part == b"\"Manifest-Checksum\"") || ends("backup_manifest") {
        Proof::written_by("pg_basebackup", copy::manifest(&end(file, size)?))
    } else if ends("backup.info") {
        copy::backup_info(&head)
    } else if ends(".wpress") {
        Proof::written_by("all-in-one-wp-migration", copy::wpress(&end(file, size)?))
    } else {
        let packed = [".gz", ".tgz", ".zip", ".xz", ".zst", ".bz2", ".tar", ".7z"].iter().any(|end| ends(end));
        let why = if packed { Verdict::Incomplete("it does not begin as its name says") } else { NOT_KNOWN };
        Proof { encrypted: None, ..Proof::of(why) }
    };
    Ok(First::Proof(proof))
}

/// A snapshot of restic is called by the SHA-256 of its content (restic's design, "Repository Layout").
fn snapshot(path: &[u8]) -> Option<&[u8]> {
    let name = path.rsplit(|byte| *byte == b'/').next().filter(|name| name.len() == 64)?;
    let within = path.strip_suffix(name)?.ends_with(b"/snapshots/");
    (within && name.iter().all(u8::is_ascii_hexdigit)).then_some(name)
}

/// The newest snapshot is what it was when it was made. The packs that it needs are not looked at.
fn restic(file: &mut dyn Source, size: u64, sum: &[u8]) -> io::Result<Proof> {
    const LIMIT: usize = 1 << 20;
    let content = piece(file, 0, LIMIT)?;
    let told: String = sha256(&[content.as_slice()]).0.iter().map(|byte| format!("{byte:02x}")).collect();
    let verdict = if size > LIMIT as u64 {
        Verdict::Unjudged("its snapshot is too big to be read")
    } else if told.as_bytes() == sum {
        Verdict::Complete
    } else {
        Verdict::Incomplete("its newest snapshot is damaged")
    };
    Ok(Proof { program: Some("restic"), ..Proof::encrypted(verdict) })
}

const NOT_KNOWN: Verdict = Verdict::Unjudged("its format has no end marker that is known");

/// OpenSSL's enc, age, PGP in armour.
fn is_locked(head: &[u8]) -> bool {
    let marks: [&[u8]; 3] = [b"Salted__", b"age-encryption.org/", b"-----BEGIN PGP MESSAGE-----"];
    marks.iter().any(|mark| head.starts_with(mark))
}

/// What is in a file from there on, at most so many bytes.
fn piece(file: &mut dyn Source, from: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(length).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last bytes of a file.
fn end(file: &mut dyn Source, size: u64) -> io::Result<Vec<u8>> {
    piece(file, size.saturating_sub(TAIL as u64), TAIL)
}

/// A little-endian number of these bytes, at most eight; `None` if they are not all there.
fn little(bytes: &[u8], from: usize, length: usize) -> Option<u64> {
    let part = bytes.get(from..from.checked_add(length)?)?;
    Some(part.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}
