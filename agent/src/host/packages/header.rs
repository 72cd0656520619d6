//! A header of rpm: the record that its database keeps for each package.
//!
//! Two big-endian counts, the index of tags (tag, type, offset, count; 16 bytes each), then the values (rpm's manual,
//! "RPM V4 Package format: Header structure"; the database leaves out the magic that files have).

use plumb_proto::untrusted::Untrusted;

use super::{Manager, Package};

/// Entries of an index (rpm's own bound).
const MAX_TAGS: u32 = 0xffff;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const DIRINDEXES: u32 = 1116;
const BASENAMES: u32 = 1117;
const DIRNAMES: u32 = 1118;
const MODULARITYLABEL: u32 = 5096;

const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;

/// A header, in the bytes of its record.
pub struct Header<'a> {
    index: &'a [u8],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    /// `None` when the record is not a header.
    #[must_use]
    pub fn parse(blob: &'a [u8]) -> Option<Self> {
        let bytes = usize::try_from(number(blob, 4)?).ok()?;
        Self::start(blob).filter(|header| header.store.len() == bytes)
    }

    /// The beginning of one: its index whole, its values as far as they are there. What lies behind is not found.
    #[must_use]
    pub fn start(blob: &'a [u8]) -> Option<Self> {
        let (tags, bytes) = (number(blob, 0)?, number(blob, 4)?);
        if tags == 0 || tags > MAX_TAGS {
            return None;
        }
        let index = usize::try_from(tags).ok()?.checked_mul(16)?;
        let rest = blob.get(8..)?;
        let (index, store) = (rest.get(..index)?, rest.get(index..)?);
        let bytes = usize::try_from(bytes).ok()?;
        Some(Self { index, store: &store[..bytes.min(store.len())] })
    }

    /// The package it describes; `None` when a name or version is missing.
    #[must_use]
    pub fn package(&self) -> Option<Package> {
        let (name, version, release) = (self.text(NAME)?, self.text(VERSION)?, self.text(RELEASE)?);
        let mut whole = self.epoch().map_or_else(Vec::new, |epoch| format!("{epoch}:").into_bytes());
        whole.extend_from_slice(version);
        whole.push(b'-');
        whole.extend_from_slice(release);
        Some(Package {
            manager: Manager::Rpm,
            name: name.into(),
            version: whole.into(),
            vendor: self.text(VENDOR).unwrap_or_default().into(),
            module: stream(self.text(MODULARITYLABEL).unwrap_or_default()),
        })
    }

    /// Its name alone.
    #[must_use]
    pub fn name(&self) -> Option<&'a [u8]> {
        self.text(NAME)
    }

    /// True when the package has that file: `folder` ends with a slash.
    #[must_use]
    pub fn has(&self, folder: &[u8], name: &[u8]) -> bool {
        let Some(folder) = self.texts(DIRNAMES).position(|each| each == folder) else { return false };
        let folder = u32::try_from(folder).unwrap_or(u32::MAX);
        let Some((INT32, indexes, count)) = self.tag(DIRINDEXES) else { return false };
        let mut names = self.texts(BASENAMES).take(count).enumerate();
        names.any(|(at, each)| each == name && number(indexes, at.saturating_mul(4)) == Some(folder))
    }

    fn epoch(&self) -> Option<u32> {
        match self.tag(EPOCH)? {
            (INT32, values, 1..) => number(values, 0),
            _ => None,
        }
    }

    fn text(&self, tag: u32) -> Option<&'a [u8]> {
        match self.tag(tag)? {
            (STRING, values, _) => until_nul(values),
            _ => None,
        }
    }

    fn texts(&self, tag: u32) -> impl Iterator<Item = &'a [u8]> {
        let (mut rest, count) = match self.tag(tag) {
            Some((STRING_ARRAY, values, count)) => (values, count),
            _ => (&[][..], 0),
        };
        (0..count).map_while(move |_| {
            let text = until_nul(rest)?;
            rest = &rest[text.len() + 1..];
            Some(text)
        })
    }

    /// Type, values (up to the end of the store) and their count.
    fn tag(&self, wanted: u32) -> Option<(u32, &'a [u8], usize)> {
        let entry = self.index.chunks_exact(16).find(|entry| number(entry, 0) == Some(wanted))?;
        let values = self.store.get(usize::try_from(number(entry, 8)?).ok()?..)?;
        Some((number(entry, 4)?, values, usize::try_from(number(entry, 12)?).ok()?))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    bytes.iter().position(|byte| *byte == 0).map(|end| &bytes[..end])
}

/// `php:8.2:9020020240101:9` is stream 8.2 of module php; version and context of its build move with each update.
fn stream(label: &[u8]) -> Untrusted {
    let mut words = label.split(|byte| *byte == b':');
    match (words.next(), words.next()) {
        (Some(module), Some(stream)) => [module, b":", stream].concat().into(),
        _ => label.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with a name, a version, a release, an epoch and one file.
    fn header() -> Vec<u8> {
        let values: [(u32, u32, u32, &[u8]); 7] = [
            (NAME, STRING, 1, b"php\0"),
            (VERSION, STRING, 1, b"8.3.1\0"),
            (RELEASE, STRING, 1, b"2.el9\0"),
            (EPOCH, INT32, 1, &[0, 0, 0, 7]),
            (DIRINDEXES, INT32, 2, &[0, 0, 0, 0, 0, 0, 0, 1]),
            (BASENAMES, STRING_ARRAY, 2, b"php\0php-fpm\0"),
            (DIRNAMES, STRING_ARRAY, 2, b"/usr/bin/\0/usr/sbin/\0"),
        ];
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for (tag, kind, count, bytes) in values {
            let offset = u32::try_from(store.len()).unwrap();
            index.extend([tag, kind, offset, count].into_iter().flat_map(u32::to_be_bytes));
            store.extend_from_slice(bytes);
        }
        let counts = [values.len(), store.len()].map(|count| u32::try_from(count).unwrap().to_be_bytes());
        [counts.concat(), index, store].concat()
    }

    #[test]
    fn a_header_tells_its_package_and_its_files() {
        let bytes = header();
        let header = Header::parse(&bytes).unwrap();
        let package = header.package().unwrap();
        assert_eq!((package.name.to_string(), package.version.to_string()), ("php".into(), "7:8.3.1-2.el9".into()));
        assert!(header.has(b"/usr/sbin/", b"php-fpm") && header.has(b"/usr/bin/", b"php"));
        assert!(!header.has(b"/usr/bin/", b"php-fpm") && !header.has(b"/usr/", b"php"));
    }

    #[test]
    fn the_name_is_found_in_the_beginning_alone() {
        let bytes = header();
        let start = &bytes[..8 + 7 * 16 + 4];
        assert!(Header::parse(start).is_none());
        assert_eq!(Header::start(start).and_then(|header| header.name()), Some(&b"php"[..]));
        assert_eq!(Header::start(&start[..start.len() - 1]).and_then(|header| header.name()), None);
    }

    #[test]
    fn a_damaged_header_says_something_or_nothing_and_never_breaks() {
        let whole = header();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                for end in [damaged.len(), at] {
                    if let Some(header) = Header::parse(&damaged[..end]) {
                        let _ = (header.package(), header.has(b"/usr/bin/", b"php"));
                    }
                }
            }
        }
        assert!(Header::parse(b"").is_none() && Header::parse(&[0xff; 64]).is_none());
    }

    #[test]
    fn a_module_is_told_without_the_build_it_comes_from() {
        assert_eq!(stream(b"php:8.2:9050020241112144108:9").to_string(), "php:8.2");
        assert_eq!((stream(b"").to_string(), stream(b"odd").to_string()), (String::new(), "odd".into()));
    }
}
