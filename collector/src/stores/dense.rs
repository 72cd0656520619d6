//! Samples of hours and days, as small as they get: the same columns that records have (`plumb_proto::columns`), each
//! through an arithmetic coder of its own. On the trace of a real host this takes two thirds of what zstd makes of them,
//! and one series is read without the others.

mod coder;
pub mod numbers;

use std::fmt;

use plumb_proto::columns;

/// The format that is written.
const VERSION: u8 = 1;
/// Values by bits; below are powers of ten.
const BITS: u8 = 16;
/// No value at all.
const NONE: u8 = 17;
/// Some values are missing.
const MISSING: u8 = 0x80;
/// Times in one chunk. An hour at ten seconds has 360, a day 8,640.
pub const TIMES: usize = 1 << 18;
/// Columns in one chunk.
const COLUMNS: usize = 1 << 16;

/// Why bytes are no chunk.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed chunk: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Packs one chunk, column by column.
pub struct Packing {
    times: Vec<u8>,
    count: usize,
    columns: Vec<(u32, usize)>,
    bytes: Vec<u8>,
}

impl Packing {
    /// Of samples at these times, at most [`TIMES`].
    #[must_use]
    pub fn new(times: &[i64]) -> Self {
        let mut packed = Vec::new();
        numbers::pack(times, &mut packed);
        Self { times: packed, count: times.len(), columns: Vec::new(), bytes: Vec::new() }
    }

    /// Adds the values of a column, one for each time. One that has no value at all is left out.
    pub fn push(&mut self, id: u32, values: &[Option<f64>]) {
        if values.iter().all(Option::is_none) {
            return;
        }
        let mut column = pack(values);
        self.columns.push((id, column.len()));
        self.bytes.append(&mut column);
    }

    /// The chunk.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut chunk = vec![VERSION];
        for number in [self.count, self.times.len(), self.columns.len()] {
            put(&mut chunk, number as i64);
        }
        let mut last = 0;
        for (id, length) in &self.columns {
            put(&mut chunk, i64::from(*id) - last);
            put(&mut chunk, *length as i64);
            last = i64::from(*id);
        }
        chunk.extend_from_slice(&self.times);
        chunk.extend_from_slice(&self.bytes);
        chunk
    }
}

/// A chunk whose columns are read one by one.
pub struct Chunk<'a> {
    count: usize,
    times: &'a [u8],
    columns: Vec<(u32, &'a [u8])>,
}

impl<'a> Chunk<'a> {
    /// Opens what [`Packing::finish`] gave.
    ///
    /// # Errors
    /// The bytes are no chunk.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (&version, mut rest) = bytes.split_first().ok_or(Malformed("empty"))?;
        if version != VERSION {
            return Err(Malformed("unknown version"));
        }
        let count = bounded(&mut rest, TIMES)?;
        let length = bounded(&mut rest, bytes.len())?;
        let columns = bounded(&mut rest, COLUMNS)?;
        let mut directory = Vec::new();
        let mut last = 0i64;
        for _ in 0..columns {
            last = last.wrapping_add(take(&mut rest)?);
            let id = u32::try_from(last).map_err(|_| Malformed("number of a column"))?;
            directory.push((id, bounded(&mut rest, bytes.len())?));
        }
        let times = cut(&mut rest, length)?;
        let columns = directory.into_iter().map(|(id, length)| Ok((id, cut(&mut rest, length)?)));
        let columns = columns.collect::<Result<_, _>>()?;
        if rest.is_empty() { Ok(Self { count, times, columns }) } else { Err(Malformed("bytes left over")) }
    }

    /// How many samples a series has here, at most.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// When.
    ///
    /// # Errors
    /// The bytes are no times.
    pub fn times(&self) -> Result<Vec<i64>, Malformed> {
        numbers::unpack(self.times, self.count)
    }

    /// Which columns it has.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.columns.iter().map(|(id, _)| *id)
    }

    /// The values of a column, one for each time. `None`: it is not here.
    ///
    /// # Errors
    /// Its bytes are no column.
    pub fn column(&self, id: u32) -> Result<Option<Vec<Option<f64>>>, Malformed> {
        let found = self.columns.iter().find(|(each, _)| *each == id);
        found.map(|(_, bytes)| unpack(bytes, self.count)).transpose()
    }
}

fn pack(values: &[Option<f64>]) -> Vec<u8> {
    let present: Vec<f64> = values.iter().flatten().copied().collect();
    let whole = columns::whole_numbers(&present);
    let kind = whole.as_ref().map_or(BITS, |(scale, _)| *scale as u8);
    let holes = present.len() < values.len();
    let mut bytes = vec![kind | if holes { MISSING } else { 0 }];
    if holes {
        // runs of missing and present ones by turns
        let runs: Vec<i64> =
            values.chunk_by(|one, other| one.is_none() == other.is_none()).map(|run| run.len() as i64).collect();
        let mut packed = Vec::new();
        numbers::pack(&runs, &mut packed);
        put(&mut bytes, runs.len() as i64 * 2 + i64::from(values.first().is_some_and(Option::is_none)));
        put(&mut bytes, packed.len() as i64);
        bytes.append(&mut packed);
    }
    match whole {
        Some((_, numbers)) => numbers::pack(&numbers, &mut bytes),
        None => numbers::pack_bits(&present.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), &mut bytes),
    }
    bytes
}

fn unpack(bytes: &[u8], count: usize) -> Result<Vec<Option<f64>>, Malformed> {
    let (&kind, mut rest) = bytes.split_first().ok_or(Malformed("an empty column"))?;
    let mut absent = vec![false; count];
    if kind & MISSING != 0 {
        let runs = bounded(&mut rest, 2 * count + 1)?;
        let length = bounded(&mut rest, bytes.len())?;
        let lengths = numbers::unpack(cut(&mut rest, length)?, runs / 2)?;
        let (mut at, mut none) = (0usize, runs % 2 == 1);
        for length in lengths {
            let end =
                usize::try_from(length).ok().and_then(|length| at.checked_add(length)).filter(|end| *end <= count);
            let end = end.ok_or(Malformed("runs of another length"))?;
            absent[at..end].fill(none);
            (at, none) = (end, !none);
        }
        if at != count {
            return Err(Malformed("runs of another length"));
        }
    }
    let present = absent.iter().filter(|absent| !**absent).count();
    let values: Vec<f64> = match kind & !MISSING {
        BITS => numbers::unpack_bits(rest, present).into_iter().map(f64::from_bits).collect(),
        NONE.. => return Err(Malformed("unknown column")),
        scale => {
            let numbers = numbers::unpack(rest, present)?;
            numbers.into_iter().map(|number| columns::scaled(number, u32::from(scale))).collect()
        }
    };
    let mut values = values.into_iter();
    Ok(absent.into_iter().map(|absent| if absent { None } else { values.next() }).collect())
}

fn cut<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (head, rest) = bytes.split_at_checked(length).ok_or(Malformed("ends early"))?;
    *bytes = rest;
    Ok(head)
}

fn bounded(bytes: &mut &[u8], most: usize) -> Result<usize, Malformed> {
    let number = usize::try_from(take(bytes)?).ok().filter(|number| *number <= most);
    number.ok_or(Malformed("a count that cannot be"))
}

/// Appends a number as zig-zag varint.
pub fn put(bytes: &mut Vec<u8>, number: i64) {
    columns::put(bytes, number);
}

/// Reads one.
///
/// # Errors
/// The bytes end within it.
pub fn take(bytes: &mut &[u8]) -> Result<i64, Malformed> {
    columns::take(bytes).map_err(|error| Malformed(error.0))
}

#[cfg(test)]
mod tests;
