//! Rows that watchers keep between looks, as far as they are not written yet: an overlay over what is.

use std::collections::BTreeMap;
use std::ops::Bound;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);
/// Bytes that a row takes beside its key and value, about.
const OVERHEAD: usize = 64;

/// What was kept, or dropped, under each key.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Kept {
    /// Keeps a value (`None`: nothing any more) under a key.
    pub fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += size(&key, value.as_deref());
        let length = key.len();
        if let Some(old) = self.rows.insert(key, value) {
            self.bytes -= length + OVERHEAD + old.as_ref().map_or(0, Vec::len);
        }
    }

    /// What is known of a key here: nothing, that it was dropped (`Some(None)`), or its value.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.rows.get(key).map(Option::as_deref)
    }

    /// The next row strictly after `key`, here or `below`.
    pub fn after(&self, key: &[u8], below: &mut dyn FnMut(&[u8]) -> Option<Row>) -> Option<Row> {
        let mut written = below(key);
        // What was kept or dropped here hides what is written.
        while let Some((at, _)) = &written
            && self.rows.contains_key(at)
        {
            written = below(at);
        }
        let mut here = self.rows.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded));
        let here = here.find_map(|(key, value)| Some((key, value.as_ref()?)));
        match (here, written) {
            (Some((key, value)), Some(written)) if *key < written.0 => Some((key.clone(), value.clone())),
            (Some((key, value)), None) => Some((key.clone(), value.clone())),
            (_, written) => written,
        }
    }

    /// Lays later rows over these.
    pub fn extend(&mut self, later: Self) {
        if self.rows.is_empty() {
            *self = later;
            return;
        }
        later.rows.into_iter().for_each(|(key, value)| self.set(key, value));
    }

    /// All rows, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Nothing was kept or dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Memory that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(key: &[u8], value: Option<&[u8]>) -> usize {
    key.len() + OVERHEAD + value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, value: &str) -> Row {
        (key.into(), value.into())
    }

    /// Every row of an overlay over a map, found one after the other.
    fn all(kept: &Kept, below: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Row> {
        let mut next = |key: &[u8]| {
            let mut rest = below.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded));
            rest.next().map(|(key, value)| (key.clone(), value.clone()))
        };
        let mut found: Vec<Row> = Vec::new();
        while let Some(row) = kept.after(found.last().map_or(b"", |(key, _)| key), &mut next) {
            found.push(row);
        }
        found
    }

    #[test]
    fn what_was_kept_or_dropped_hides_what_is_written() {
        let below = BTreeMap::from([row("a", "1"), row("b", "2"), row("c", "3"), row("d", "4")]);
        let mut kept = Kept::default();
        assert_eq!(all(&kept, &below).len(), 4);
        kept.set(b"b".to_vec(), None);
        kept.set(b"c".to_vec(), Some(b"5".to_vec()));
        kept.set(b"d".to_vec(), None);
        kept.set(b"bb".to_vec(), Some(b"6".to_vec()));
        assert_eq!(all(&kept, &below), [row("a", "1"), row("bb", "6"), row("c", "5")]);
        assert_eq!(kept.get(b"b"), Some(None));
        assert_eq!(kept.get(b"a"), None);
    }

    #[test]
    fn its_size_is_that_of_what_is_in_it() {
        let (mut one, mut other) = (Kept::default(), Kept::default());
        one.set(b"key".to_vec(), Some(vec![0; 1000]));
        one.set(b"key".to_vec(), None);
        other.set(b"key".to_vec(), Some(vec![0; 10]));
        one.extend(other);
        assert_eq!(one.bytes(), 3 + 10 + OVERHEAD);
    }
}
