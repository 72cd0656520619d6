//! One small file out of a ZIP archive, such as the manifest of a jar: its directory stands at its end (APPNOTE.TXT of
//! PKWARE, sections 4.3.12 and 4.3.16). Reading is bounded, whatever the archive says of itself.

use std::io::{Read, Seek, SeekFrom};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Bytes at the end of an archive that its last record is looked for in: with the longest comment.
const TAIL: u64 = (64 << 10) + 22;
/// Bytes of the directory; that of a big jar is some hundred KiB.
const DIRECTORY: u32 = 4 << 20;

/// A file of an archive; `None` where there is none of that name.
///
/// # Errors
/// In words: it is no archive, is bigger than is read, or is damaged.
pub fn entry<R: Read + Seek>(archive: &mut R, name: &str, limit: usize) -> Result<Option<Vec<u8>>, &'static str> {
    let length = archive.seek(SeekFrom::End(0)).map_err(|_| "cannot be read")?;
    let tail = bytes(archive, length.saturating_sub(TAIL), length.min(TAIL))?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06").ok_or("not a ZIP archive")?;
    let record = tail.get(end..end + 22).ok_or("a damaged archive")?;
    let (size, offset) = (u32_at(record, 12)?, u32_at(record, 16)?);
    if size > DIRECTORY {
        return Err("an archive with more files than are looked at");
    }
    let directory = bytes(archive, offset.into(), size.into())?;
    let Some(found) = find(&directory, name.as_bytes())? else { return Ok(None) };
    if found.compressed as usize > limit || found.size as usize > limit {
        return Err("bigger than is read");
    }
    let local = bytes(archive, found.offset.into(), 30)?;
    if !local.starts_with(b"PK\x03\x04") {
        return Err("a damaged archive");
    }
    let start = u64::from(found.offset) + 30 + u64::from(u16_at(&local, 26)?) + u64::from(u16_at(&local, 28)?);
    let data = bytes(archive, start, found.compressed.into())?;
    match found.method {
        0 => Ok(Some(data)),
        8 => inflate(&data, found.size as usize).map(Some).ok_or("a damaged archive"),
        _ => Err("compressed in a way that is not read"),
    }
}

fn inflate(data: &[u8], size: usize) -> Option<Vec<u8>> {
    let (mut out, mut state) = (vec![0; size], Box::<DecompressorOxide>::default());
    let (status, _, written) = decompress(&mut state, data, &mut out, 0, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
    (status == TINFLStatus::Done && written == size).then_some(out)
}

struct Found {
    method: u16,
    compressed: u32,
    size: u32,
    offset: u32,
}

fn find(directory: &[u8], name: &[u8]) -> Result<Option<Found>, &'static str> {
    let mut rest = directory;
    while rest.starts_with(b"PK\x01\x02") {
        let (names, extra, comment) = (u16_at(rest, 28)?, u16_at(rest, 30)?, u16_at(rest, 32)?);
        let end = 46 + usize::from(names);
        if rest.get(46..end).ok_or("a damaged archive")? == name {
            let (compressed, size) = (u32_at(rest, 20)?, u32_at(rest, 24)?);
            return Ok(Some(Found { method: u16_at(rest, 10)?, compressed, size, offset: u32_at(rest, 42)? }));
        }
        rest = rest.get(end + usize::from(extra) + usize::from(comment)..).unwrap_or_default();
    }
    Ok(None)
}

fn bytes<R: Read + Seek>(archive: &mut R, at: u64, length: u64) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::new();
    archive.seek(SeekFrom::Start(at)).map_err(|_| "cannot be read")?;
    archive.take(length).read_to_end(&mut bytes).map_err(|_| "cannot be read")?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err("a damaged archive") }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, &'static str> {
    let pair = bytes.get(at..at + 2).and_then(|pair| pair.try_into().ok());
    pair.map(u16::from_le_bytes).ok_or("a damaged archive")
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, &'static str> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or("a damaged archive")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const PLAIN: &[u8] = b"Spring-Boot-Version: 3.2.1\r\n";
    /// The same, as zlib compresses it.
    const PACKED: &[u8] = b"\x0b\x2e\x28\xca\xcc\x4b\xd7\x75\xca\xcf\x2f\xd1\x0d\x4b\x2d\x2a\xce\xcc\xcf\xb3\x52\x30\xd6\x33\xd2\x33\xe4\xe5\x02\x00";

    /// An archive of one file, as the format has it.
    fn archive(name: &str, method: u16) -> Vec<u8> {
        let data = PLAIN;
        let packed = if method == 8 { PACKED } else { PLAIN };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let names = u16::try_from(name.len()).unwrap().to_le_bytes();
        let common = [&method.to_le_bytes()[..], &[0; 8], &length(packed), &length(data), &names, &[0, 0]].concat();
        let local = [b"PK\x03\x04\x14\0\0\0", &common[..], name.as_bytes(), packed].concat();
        let central = [b"PK\x01\x02\x14\0\x14\0\0\0", &common[..], &[0; 14], name.as_bytes()].concat();
        let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length(&central)[..], &length(&local), &[0, 0]].concat();
        [local, central, end].concat()
    }

    #[test]
    fn a_file_is_found_stored_or_compressed() {
        for method in [0, 8] {
            let archive = archive("META-INF/MANIFEST.MF", method);
            let told = entry(&mut Cursor::new(&archive), "META-INF/MANIFEST.MF", 1000);
            assert_eq!(told, Ok(Some(PLAIN.to_vec())));
            assert_eq!(entry(&mut Cursor::new(&archive), "other", 1000), Ok(None));
            assert_eq!(entry(&mut Cursor::new(&archive), "META-INF/MANIFEST.MF", 10), Err("bigger than is read"));
        }
    }

    #[test]
    fn whatever_is_cut_or_changed_ends_without_harm() {
        let whole = archive("META-INF/MANIFEST.MF", 8);
        for end in 0..whole.len() {
            assert!(entry(&mut Cursor::new(&whole[..end]), "META-INF/MANIFEST.MF", 1000).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] = !other[at];
            let _ = entry(&mut Cursor::new(&other), "META-INF/MANIFEST.MF", 1000);
        }
        assert_eq!(entry(&mut Cursor::new(b"no archive"), "x", 10), Err("not a ZIP archive"));
    }
}
