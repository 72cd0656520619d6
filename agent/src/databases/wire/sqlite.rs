//! The first 100 bytes of a SQLite file (sqlite.org, "Database File Format").

/// Bytes of the header.
pub const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The version of the library that has last written to the file: `X * 1000000 + Y * 1000 + Z` at offset 96. `None`: it is no
/// SQLite file; `Some(None)`: libraries before 3.7.0 of 2010 do not tell.
#[must_use]
pub fn version(header: &[u8]) -> Option<Option<String>> {
    let number = header.strip_prefix(MAGIC).and(header.get(96..HEADER))?.first_chunk::<4>()?;
    let number = u32::from_be_bytes(*number);
    let (x, y, z) = (number / 1_000_000, number / 1_000 % 1_000, number % 1_000);
    Some((number > 0).then(|| format!("{x}.{y}.{z}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_version() {
        let mut header = [MAGIC, &[0; HEADER - MAGIC.len()]].concat();
        assert_eq!(version(&header), Some(None));
        header[96..].copy_from_slice(&3_040_001_u32.to_be_bytes());
        assert_eq!(version(&header), Some(Some("3.40.1".to_owned())));
        assert_eq!((version(&header[..99]), version(b""), version(&[0; HEADER])), (None, None, None));
    }
}
