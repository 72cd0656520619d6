//! Samples in columns: what an agent packs once, and what the store keeps.
//!
//! All series of a watcher tick together, so a block has one time column. Values are whole numbers wherever a power of
//! ten makes them so, kept as zig-zag varints of their deltas: a counter that grows evenly and a gauge that stands
//! still both become runs that zstd folds away. What is not whole keeps its bits, XORed with the value before. Measured
//! on real host metrics this is smaller than XOR for all, and it decodes faster.

use std::fmt;

/// Values by bits.
const XOR: u32 = 255;
/// Powers of ten that make a value whole: enough for microseconds as seconds with room to spare.
const SCALES: u32 = 9;
/// Whole numbers up to here are exact in a double (2^53).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Packed values of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// 0 to 9: the power of ten; 255: bits.
    pub encoding: u32,
    /// One bit a time, least significant first, set where there is no value; empty if there is always one.
    pub missing: Vec<u8>,
    /// The values that are there.
    pub data: Vec<u8>,
}

/// Why bytes are no columns.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed columns: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Packs times: the first, the first spacing, then the changes of the spacing.
#[must_use]
pub fn pack_times(times: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(times.len() + 8);
    let (mut last, mut spacing) = (0i64, 0i64);
    for (position, &time) in times.iter().enumerate() {
        let step = time.wrapping_sub(last);
        put(&mut bytes, if position < 2 { step } else { step.wrapping_sub(spacing) });
        (last, spacing) = (time, step);
    }
    bytes
}

/// Unpacks at most `limit` times.
///
/// # Errors
/// The bytes end within a number, or hold more times.
pub fn unpack_times(mut bytes: &[u8], limit: usize) -> Result<Vec<i64>, Malformed> {
    let mut times = Vec::new();
    let (mut last, mut spacing) = (0i64, 0i64);
    while !bytes.is_empty() {
        if times.len() == limit {
            return Err(Malformed("too many times"));
        }
        let number = take(&mut bytes)?;
        spacing = if times.len() < 2 { number } else { spacing.wrapping_add(number) };
        last = last.wrapping_add(spacing);
        times.push(last);
    }
    Ok(times)
}

/// Packs the values of one series, one per time.
#[must_use]
pub fn pack(values: &[Option<f64>]) -> Packed {
    let mut missing = Vec::new();
    if values.iter().any(Option::is_none) {
        missing = vec![0; values.len().div_ceil(8)];
        for (position, _) in values.iter().enumerate().filter(|(_, value)| value.is_none()) {
            missing[position / 8] |= 1 << (position % 8);
        }
    }
    let present = || values.iter().flatten().copied();
    let mut data = Vec::with_capacity(values.len());
    let whole = whole_numbers(&present().collect::<Vec<_>>());
    match whole {
        Some((scale, numbers)) => {
            let mut last = 0;
            for number in numbers {
                put(&mut data, number - last);
                last = number;
            }
            Packed { encoding: scale, missing, data }
        }
        None => {
            let mut last = 0;
            for value in present() {
                data.extend_from_slice(&(value.to_bits() ^ last).to_be_bytes());
                last = value.to_bits();
            }
            Packed { encoding: XOR, missing, data }
        }
    }
}

/// Unpacks the values of one series for `count` times.
///
/// # Errors
/// The parts do not fit each other or `count`.
pub fn unpack(packed: &Packed, count: usize) -> Result<Vec<Option<f64>>, Malformed> {
    if !packed.missing.is_empty() && packed.missing.len() != count.div_ceil(8) {
        return Err(Malformed("bitmap of another length"));
    }
    let absent = |at: usize| packed.missing.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    let mut data = packed.data.as_slice();
    let mut values = Vec::with_capacity(count);
    let (mut number, mut bits) = (0i64, 0u64);
    for at in 0..count {
        values.push(if absent(at) {
            None
        } else if packed.encoding == XOR {
            let (word, rest) = data.split_first_chunk::<8>().ok_or(Malformed("values end early"))?;
            data = rest;
            bits ^= u64::from_be_bytes(*word);
            Some(f64::from_bits(bits))
        } else if packed.encoding <= SCALES {
            number = number.wrapping_add(take(&mut data)?);
            Some(scaled(number, packed.encoding))
        } else {
            return Err(Malformed("unknown encoding"));
        });
    }
    if data.is_empty() { Ok(values) } else { Err(Malformed("values left over")) }
}

/// Values as whole numbers and the power of ten (0 to 9) that makes them so; `None` if there is none that brings every one
/// of them back to the bit.
#[must_use]
pub fn whole_numbers(values: &[f64]) -> Option<(u32, Vec<i64>)> {
    let mut scale = 0;
    let mut numbers = Vec::with_capacity(values.len());
    while numbers.len() < values.len() {
        match whole(values[numbers.len()], scale) {
            Some(number) => numbers.push(number),
            // what is whole by a smaller power may not be by a greater one: all are looked at again
            None if scale < SCALES => {
                scale += 1;
                numbers.clear();
            }
            None => return None,
        }
    }
    Some((scale, numbers))
}

/// The value of a whole number, from [`whole_numbers`].
#[must_use]
#[allow(clippy::cast_precision_loss)] // `whole` gives exact numbers only; foreign ones may lose digits, not more
pub fn scaled(number: i64, scale: u32) -> f64 {
    number as f64 / 10f64.powi(scale.cast_signed())
}

#[allow(clippy::cast_possible_truncation)] // bounded by EXACT first
fn whole(value: f64, scale: u32) -> Option<i64> {
    let number = (value * 10f64.powi(scale.cast_signed())).round();
    if number.abs() >= EXACT || number.is_nan() {
        return None;
    }
    let number = number as i64;
    // by bits: -0.0 is not 0, and what does not come back exactly is not whole
    (scaled(number, scale).to_bits() == value.to_bits()).then_some(number)
}

/// Appends a number: zig-zag, then seven bits a byte, as protobuf has it.
pub fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Reads a number from [`put`].
///
/// # Errors
/// The bytes end within it, or it has more than 64 bits.
pub fn take(bytes: &mut &[u8]) -> Result<i64, Malformed> {
    let mut number = 0u64;
    for position in 0..10 {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed("number ends early"))?;
        *bytes = rest;
        if position == 9 && byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7f) << (7 * position);
        if byte < 0x80 {
            return Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
        }
    }
    Err(Malformed("number of more than 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(values: &[Option<f64>]) -> Vec<Option<u64>> {
        values.iter().map(|value| value.map(f64::to_bits)).collect()
    }

    #[test]
    fn a_gauge_that_stands_still_and_an_even_counter_cost_a_byte_a_tick() {
        let still = pack(&[Some(12_345_678.0); 60]);
        assert_eq!((still.encoding, still.data.len()), (0, 4 + 59));
        let even: Vec<_> = (0..60).map(|i| Some(f64::from(i) * 0.25 + 100.0)).collect();
        assert_eq!((pack(&even).encoding, pack(&even).data.len()), (2, 3 + 59));
        assert_eq!(pack_times(&(0..60).map(|i| 1_795_255_262_000 + i * 10_000).collect::<Vec<_>>()).len(), 6 + 3 + 58);
    }

    #[test]
    fn values_that_no_power_of_ten_makes_whole_keep_their_bits() {
        let odd = [Some(f64::NAN), Some(-0.0), Some(1.0 / 3.0), Some(f64::INFINITY), Some(f64::MIN_POSITIVE)];
        assert_eq!(pack(&odd).encoding, XOR);
        assert_eq!(bits(&unpack(&pack(&odd), 5).unwrap()), bits(&odd));
    }

    proptest! {
        #[test]
        fn any_values_survive(values in prop::collection::vec(prop::option::of(prop_oneof![
            any::<f64>(), (-1e6..1e6f64).prop_map(|v| (v * 100.0).round() / 100.0), any::<i32>().prop_map(f64::from)
        ]), 0..200)) {
            prop_assert_eq!(bits(&unpack(&pack(&values), values.len()).unwrap()), bits(&values));
        }

        #[test]
        fn any_times_survive(times in prop::collection::vec(any::<i64>(), 0..200)) {
            prop_assert_eq!(unpack_times(&pack_times(&times), 200).unwrap(), times);
        }

        #[test]
        fn any_bytes_are_refused_politely(data in prop::collection::vec(any::<u8>(), 0..99), missing in prop::collection::vec(any::<u8>(), 0..9), encoding in 0u32..300, count in 0usize..80) {
            let _ = unpack_times(&data, 20);
            let _ = unpack(&Packed { encoding, missing, data }, count);
        }
    }
}
