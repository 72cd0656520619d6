//! One column of whole numbers, or of bits, through the coder.
//!
//! A column is told as differences of its neighbours, or of those, or as it is, whichever looks cheapest; by their greatest
//! common divisor, because memory moves in pages. Of each difference its length in bits is learnt, and its sign, and the
//! two bits behind the leading one; the rest is noise and goes as it is.

use super::coder::{Bit, Decoder, Encoder};
use super::{Malformed, put, take};

/// Binary digits of a length from 0 to 64.
const LENGTH: u32 = 7;
/// Bits behind the leading one that are learnt.
const LEARNT: u32 = 2;
/// All numbers are the same.
const SAME: u8 = 3;

/// What is learnt about differences.
struct Models {
    /// Of a length, by whether the two before were above zero.
    lengths: [[Bit; 1 << LENGTH]; 3],
    heads: [[Bit; 1 << LEARNT]; 65],
    /// By the sign before: none, up, down.
    signs: [Bit; 3],
    before: [u32; 2],
    sign: usize,
}

impl Models {
    fn new() -> Self {
        Self {
            lengths: [[Bit::NEW; 1 << LENGTH]; 3],
            heads: [[Bit::NEW; 1 << LEARNT]; 65],
            signs: [Bit::NEW; 3],
            before: [0; 2],
            sign: 0,
        }
    }

    fn lengths(&mut self) -> &mut [Bit; 1 << LENGTH] {
        &mut self.lengths[self.before.iter().filter(|length| **length > 0).count()]
    }

    fn seen(&mut self, length: u32, down: bool) {
        self.before = [length, self.before[0]];
        self.sign = match (length, down) {
            (0, _) => 0,
            (_, false) => 1,
            (_, true) => 2,
        };
    }

    fn write(&mut self, encoder: &mut Encoder, number: i64) {
        let size = number.unsigned_abs();
        let length = u64::BITS - size.leading_zeros();
        tree(encoder, self.lengths(), u64::from(length), LENGTH);
        if length > 0 {
            encoder.bit(&mut self.signs[self.sign], number < 0);
            let rest = length - 1;
            let learnt = rest.min(LEARNT);
            tree(encoder, &mut self.heads[length as usize], size >> (rest - learnt), learnt);
            encoder.raw(size, rest - learnt);
        }
        self.seen(length, number < 0);
    }

    fn read(&mut self, decoder: &mut Decoder<'_>) -> Result<i64, Malformed> {
        let length = read_tree(decoder, self.lengths(), LENGTH) as u32;
        if length > u64::BITS {
            return Err(Malformed("number of more than 64 bits"));
        }
        let mut number = 0i64;
        let mut down = false;
        if length > 0 {
            down = decoder.bit(&mut self.signs[self.sign]);
            let rest = length - 1;
            let learnt = rest.min(LEARNT);
            let head = (1 << learnt) | read_tree(decoder, &mut self.heads[length as usize], learnt);
            let size = (head << (rest - learnt)) | decoder.raw(rest - learnt);
            number = if down { size.cast_signed().wrapping_neg() } else { size.cast_signed() };
        }
        self.seen(length, down);
        Ok(number)
    }
}

/// The lowest `depth` bits of a number, from the top; each is a question of its own, by those before it.
fn tree(encoder: &mut Encoder, models: &mut [Bit], number: u64, depth: u32) {
    let mut node = 1;
    for place in (0..depth).rev() {
        let yes = (number >> place) & 1 == 1;
        encoder.bit(&mut models[node], yes);
        node = node * 2 + usize::from(yes);
    }
}

fn read_tree(decoder: &mut Decoder<'_>, models: &mut [Bit], depth: u32) -> u64 {
    let mut node = 1;
    for _ in 0..depth {
        node = node * 2 + usize::from(decoder.bit(&mut models[node]));
    }
    (node - (1 << depth)) as u64
}

fn divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// About how many bits these will take: their lengths by how usual they are, and what lies behind the leading one.
#[allow(clippy::cast_precision_loss)] // an estimate
fn estimate(numbers: &[i64]) -> f64 {
    let mut counts = [0u32; 65];
    numbers.iter().for_each(|number| counts[(u64::BITS - number.unsigned_abs().leading_zeros()) as usize] += 1);
    let all = numbers.len() as f64;
    let cost = |(length, count): (usize, &u32)| {
        let count = f64::from(*count);
        count * ((all / count).log2() + (length as f64 - 0.7).max(0.0))
    };
    counts.iter().enumerate().filter(|(_, count)| **count > 0).map(cost).sum()
}

fn differences(numbers: &[i64]) -> Vec<i64> {
    let mut last = 0i64;
    let step = |number: &i64| number.wrapping_sub(std::mem::replace(&mut last, *number));
    numbers.iter().map(step).collect()
}

/// Appends whole numbers. How many there are is for the caller to know.
pub fn pack(numbers: &[i64], bytes: &mut Vec<u8>) {
    let Some(&base) = numbers.first() else { return };
    let off: Vec<i64> = numbers.iter().map(|number| number.wrapping_sub(base)).collect();
    let unit = off.iter().fold(0, |unit, each| divisor(unit, each.unsigned_abs()));
    if unit == 0 {
        bytes.push(SAME);
        put(bytes, base);
        return;
    }
    // 2^63 is a unit, too: then only it and 0 are there
    let off: Vec<i64> = match i64::try_from(unit) {
        Ok(unit) => off.iter().map(|each| each / unit).collect(),
        Err(_) => off.iter().map(|each| i64::from(*each != 0)).collect(),
    };
    let once = differences(&off);
    let twice = differences(&once);
    let orders = [(0u8, off), (1, once), (2, twice)];
    let cheapest = orders.iter().min_by(|(_, one), (_, other)| estimate(one).total_cmp(&estimate(other)));
    let Some((order, told)) = cheapest else { return };
    bytes.push(*order);
    put(bytes, base);
    put(bytes, unit.cast_signed());
    let mut encoder = Encoder::new(std::mem::take(bytes));
    let mut models = Models::new();
    told.iter().for_each(|number| models.write(&mut encoder, *number));
    *bytes = encoder.finish();
}

/// From [`pack`].
///
/// # Errors
/// The bytes are none of a column. Changed ones may also give other numbers.
pub fn unpack(mut bytes: &[u8], count: usize) -> Result<Vec<i64>, Malformed> {
    if count == 0 {
        return if bytes.is_empty() { Ok(Vec::new()) } else { Err(Malformed("numbers left over")) };
    }
    let (&order, rest) = bytes.split_first().ok_or(Malformed("a column ends early"))?;
    bytes = rest;
    let base = take(&mut bytes)?;
    if order == SAME {
        return Ok(vec![base; count]);
    }
    if order > 2 {
        return Err(Malformed("unknown order"));
    }
    let unit = take(&mut bytes)?;
    let (mut decoder, mut models) = (Decoder::new(bytes), Models::new());
    let (mut number, mut step) = (0i64, 0i64);
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        let told = models.read(&mut decoder)?;
        match order {
            0 => number = told,
            1 => number = number.wrapping_add(told),
            _ => {
                step = step.wrapping_add(told);
                number = number.wrapping_add(step);
            }
        }
        numbers.push(base.wrapping_add(number.wrapping_mul(unit)));
    }
    Ok(numbers)
}

/// Appends words of 64 bits that are near the one before them in their upper bytes, if at all.
pub fn pack_bits(words: &[u64], bytes: &mut Vec<u8>) {
    let mut encoder = Encoder::new(std::mem::take(bytes));
    let mut models = Words::new();
    let mut last = 0;
    for word in words {
        let changed = word ^ last;
        encoder.bit(&mut models.same[models.before], changed == 0);
        models.before = usize::from(changed == 0);
        if changed != 0 {
            for (place, byte) in changed.to_be_bytes().into_iter().enumerate() {
                tree(&mut encoder, &mut models.bytes[place], u64::from(byte), 8);
            }
        }
        last = *word;
    }
    *bytes = encoder.finish();
}

/// From [`pack_bits`].
pub fn unpack_bits(bytes: &[u8], count: usize) -> Vec<u64> {
    let (mut decoder, mut models) = (Decoder::new(bytes), Words::new());
    let mut last = 0u64;
    let word = |_| {
        let same = decoder.bit(&mut models.same[models.before]);
        models.before = usize::from(same);
        if !same {
            let mut changed = [0; 8];
            for (place, byte) in changed.iter_mut().enumerate() {
                *byte = read_tree(&mut decoder, &mut models.bytes[place], 8) as u8;
            }
            last ^= u64::from_be_bytes(changed);
        }
        last
    };
    (0..count).map(word).collect()
}

/// What is learnt about words.
struct Words {
    same: [Bit; 2],
    bytes: [[Bit; 256]; 8],
    before: usize,
}

impl Words {
    fn new() -> Self {
        Self { same: [Bit::NEW; 2], bytes: [[Bit::NEW; 256]; 8], before: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(numbers: &[i64]) -> usize {
        let mut bytes = Vec::new();
        pack(numbers, &mut bytes);
        assert_eq!(unpack(&bytes, numbers.len()).unwrap(), numbers);
        bytes.len()
    }

    #[test]
    fn a_day_of_what_stands_still_or_moves_evenly_costs_a_few_bytes() {
        assert!(size(&vec![7; 8_640]) <= 2);
        assert!(size(&(0..8_640).map(|tick| 1_795_255_262_000 + tick * 10_000).collect::<Vec<_>>()) <= 40);
    }

    #[test]
    fn pages_of_memory_are_counted_not_bytes() {
        let pages: Vec<i64> = (0..500).map(|tick| (tick * tick * 31 % 251) + 9_000).collect();
        let bytes: Vec<i64> = pages.iter().map(|pages| pages * 4_096).collect();
        assert!(size(&bytes) <= size(&pages) + 8);
    }

    proptest! {
        #[test]
        fn any_numbers_survive(numbers in prop::collection::vec(prop_oneof![
            any::<i64>(), -9i64..9, Just(i64::MIN), Just(i64::MAX), Just(0)
        ], 0..300)) {
            size(&numbers);
        }

        #[test]
        fn any_words_survive(words in prop::collection::vec(any::<u64>(), 0..99)) {
            let mut bytes = Vec::new();
            pack_bits(&words, &mut bytes);
            prop_assert_eq!(unpack_bits(&bytes, words.len()), words);
        }

        #[test]
        fn any_bytes_are_an_error_or_numbers(bytes in prop::collection::vec(any::<u8>(), 0..99), count in 0usize..300) {
            let _ = unpack(&bytes, count);
            let _ = unpack_bits(&bytes, count);
        }
    }
}
