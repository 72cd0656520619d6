//! A Berkeley DB hash file, as rpm kept its packages in up to and including EL8: read page by page, without an index,
//! without a lock. Only what rpm uses of the format is understood (db_page.h of Berkeley DB 5.3).

use std::io::{Read, Seek, SeekFrom};

/// Magic number of a hash file, in the byte order of the machine that wrote it.
const MAGIC: u32 = 0x0006_1561;
/// Types of pages.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
/// Types of items on a hash page.
const KEY_OR_DATA: u8 = 1;
const OFF_PAGE: u8 = 3;
/// Bytes before what a page holds.
const PAGE_HEADER: usize = 26;

/// Hands over the records that `wanted` wants, judged by their first bytes (a page of them at most).
///
/// # Errors
/// In words: it is no such file, is damaged, or has a record of more than `limit` bytes.
pub fn each(
    file: &mut (impl Read + Seek),
    limit: usize,
    wanted: &dyn Fn(&[u8]) -> bool,
    visit: &mut dyn FnMut(&[u8]),
) -> Result<(), String> {
    let mut reader = Reader::open(file)?;
    let (mut page, mut over, mut record) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=reader.last {
        reader.page(number, &mut page)?;
        if !matches!(page[25], HASH | HASH_UNSORTED) {
            continue;
        }
        let items = usize::from(reader.order.short(&page, 20)?);
        // Keys and values by turns. The key zero has the number of the last package, and is no package.
        for value in (1..items).step_by(2) {
            let key = item(&reader, &page, value - 1)?;
            if key.len() == 5 && key[1..] == [0; 4] {
                continue;
            }
            let value = item(&reader, &page, value)?;
            match value.first() {
                Some(&KEY_OR_DATA) => {
                    if wanted(&value[1..]) {
                        visit(&value[1..]);
                    }
                }
                Some(&OFF_PAGE) => {
                    let (first, length) = (reader.order.long(value, 4)?, reader.order.long(value, 8)?);
                    let length = usize::try_from(length).map_err(|_| "a record is too long")?;
                    if length > limit {
                        return Err(format!("a record is bigger than {limit} bytes"));
                    }
                    if reader.overflow(first, length, &mut over, &mut record, wanted)? {
                        visit(&record);
                    }
                }
                _ => return Err(format!("page {number} has an item of an unknown type")),
            }
        }
    }
    Ok(())
}

/// Items grow from the end of a page towards its header; the index of their places grows the other way.
fn item<'a, F: Read + Seek>(reader: &Reader<'_, F>, page: &'a [u8], at: usize) -> Result<&'a [u8], String> {
    let place = |at: usize| reader.order.short(page, PAGE_HEADER + 2 * at).map(usize::from);
    let end = if at == 0 { page.len() } else { place(at - 1)? };
    page.get(place(at)?..end).filter(|item| !item.is_empty()).ok_or_else(|| "an item lies outside its page".to_owned())
}

struct Reader<'a, F> {
    file: &'a mut F,
    order: Order,
    size: usize,
    last: u32,
}

impl<'a, F: Read + Seek> Reader<'a, F> {
    fn open(file: &'a mut F) -> Result<Self, String> {
        let mut meta = [0; 72];
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut meta)).map_err(words)?;
        let order = [Order::Little, Order::Big].into_iter().find(|order| order.long(&meta, 12) == Ok(MAGIC));
        let order = order.ok_or("it is not a hash file of Berkeley DB")?;
        let size = order.long(&meta, 20)?;
        if !size.is_power_of_two() || !(512..=65_536).contains(&size) {
            return Err(format!("its pages have {size} bytes"));
        }
        if meta[24] != 0 {
            return Err("it is encrypted".to_owned());
        }
        let last = order.long(&meta, 32)?;
        Ok(Self { file, order, size: usize::try_from(size).unwrap_or(usize::MAX), last })
    }

    fn page(&mut self, number: u32, into: &mut Vec<u8>) -> Result<(), String> {
        into.resize(self.size, 0);
        let place = u64::from(number) * u64::try_from(self.size).unwrap_or(u64::MAX);
        self.file.seek(SeekFrom::Start(place)).and_then(|_| self.file.read_exact(into)).map_err(words)
    }

    /// Collects a record from a chain of pages. False: it was not wanted, and is not complete.
    fn overflow(
        &mut self,
        first: u32,
        length: usize,
        page: &mut Vec<u8>,
        record: &mut Vec<u8>,
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<bool, String> {
        record.clear();
        let mut next = first;
        while record.len() < length {
            self.page(next, page)?;
            let filled = usize::from(self.order.short(page, 22)?);
            let data = page.get(PAGE_HEADER..PAGE_HEADER + filled).filter(|data| !data.is_empty());
            let data = data.filter(|_| page[25] == OVERFLOW).ok_or("a chain of pages is broken")?;
            if record.is_empty() && !wanted(data) {
                return Ok(false);
            }
            record.extend_from_slice(&data[..data.len().min(length - record.len())]);
            next = self.order.long(page, 16)?;
        }
        Ok(true)
    }
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn long(self, bytes: &[u8], at: usize) -> Result<u32, String> {
        let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).ok_or("it ends too early")?;
        Ok(match self {
            Self::Little => u32::from_le_bytes(four),
            Self::Big => u32::from_be_bytes(four),
        })
    }

    fn short(self, bytes: &[u8], at: usize) -> Result<u16, String> {
        let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).ok_or("it ends too early")?;
        Ok(match self {
            Self::Little => u16::from_le_bytes(two),
            Self::Big => u16::from_be_bytes(two),
        })
    }
}

#[allow(clippy::needless_pass_by_value)] // as map_err hands it over
fn words(error: std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A real one: made by Berkeley DB from records of rpm, with small records and one over several pages.
    fn file() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/hosts/cpanel/var/lib/rpm/Packages");
        std::fs::read(path).unwrap()
    }

    fn lengths(bytes: Vec<u8>, wanted: &dyn Fn(&[u8]) -> bool) -> Result<Vec<usize>, String> {
        let mut found = Vec::new();
        each(&mut Cursor::new(bytes), 1 << 20, wanted, &mut |record| found.push(record.len()))?;
        found.sort_unstable();
        Ok(found)
    }

    #[test]
    fn every_record_is_handed_over_whole() {
        assert_eq!(lengths(file(), &|_| true), Ok(vec![1784, 1840, 1876, 1876, 1940, 1996, 23424]));
        assert_eq!(lengths(file(), &|_| false), Ok(vec![]));
    }

    #[test]
    fn a_record_beyond_the_limit_is_an_error() {
        let mut none = |_: &[u8]| {};
        assert_eq!(each(&mut Cursor::new(file()), 23_424, &|_| true, &mut none), Ok(()));
        let error = each(&mut Cursor::new(file()), 23_423, &|_| true, &mut none);
        assert_eq!(error, Err("a record is bigger than 23423 bytes".to_owned()));
    }

    #[test]
    fn garbage_is_refused_and_never_loops() {
        assert_eq!(lengths(b"garbage".to_vec(), &|_| true), Err("it ends too early".into()));
        assert_eq!(lengths(vec![0; 4096], &|_| true), Err("it is not a hash file of Berkeley DB".into()));
        let whole = file();
        assert_eq!(lengths(whole[..whole.len() / 2].to_vec(), &|_| true), Err("it ends too early".into()));
        // Any single damaged byte of the structure is survived: an answer or an error, but an end.
        for at in (0..whole.len()).filter(|at| at % 4096 < 64) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = lengths(damaged, &|_| true);
            }
        }
    }
}
