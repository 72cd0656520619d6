//! An adaptive binary arithmetic coder: each yes or no costs what it surprises. The probability of a question is learnt as
//! it is answered (Rissanen and Langdon, "Arithmetic Coding", IBM J. Res. Dev. 23(2), 1979), so nothing is stored but the
//! answers.

/// How a probability moves after its n-th answer: 65536 / (n + 1.5).
const STEPS: [u32; LAST as usize + 1] = steps();
/// From here on the newest answers count for the same.
const LAST: u8 = 62;
/// No answer is ever impossible.
const LEAST: u16 = 24;

const fn steps() -> [u32; LAST as usize + 1] {
    let mut table = [0; LAST as usize + 1];
    let mut n = 0;
    while n < table.len() {
        table[n] = 131_072 / (2 * n as u32 + 3);
        n += 1;
    }
    table
}

/// One question: how likely yes is, in 1/65536, and how often it was asked.
#[derive(Clone, Copy)]
pub struct Bit {
    yes: u16,
    asked: u8,
}

impl Bit {
    /// Nothing is known yet.
    pub const NEW: Self = Self { yes: 1 << 15, asked: 0 };

    fn learn(&mut self, yes: bool) {
        let step = STEPS[self.asked as usize];
        let room = if yes { u32::from(u16::MAX - self.yes) } else { u32::from(self.yes) };
        let moved = ((room * step) >> 16) as u16;
        self.yes = if yes {
            self.yes.saturating_add(moved).min(u16::MAX - LEAST)
        } else {
            self.yes.saturating_sub(moved).max(LEAST)
        };
        self.asked = (self.asked + 1).min(LAST);
    }
}

fn middle(low: u32, high: u32, yes: u16) -> u32 {
    low + ((u64::from(high - low) * u64::from(yes)) >> 16) as u32
}

/// Writes answers.
pub struct Encoder {
    low: u32,
    high: u32,
    bytes: Vec<u8>,
}

impl Encoder {
    /// Appends to `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { low: 0, high: u32::MAX, bytes }
    }

    /// Writes an answer and learns from it.
    pub fn bit(&mut self, model: &mut Bit, yes: bool) {
        self.narrow(middle(self.low, self.high, model.yes), yes);
        model.learn(yes);
    }

    /// Writes the lowest `count` bits, of which nothing is known.
    pub fn raw(&mut self, number: u64, count: u32) {
        for place in (0..count).rev() {
            self.narrow(middle(self.low, self.high, 1 << 15), (number >> place) & 1 == 1);
        }
    }

    fn narrow(&mut self, middle: u32, yes: bool) {
        if yes {
            self.high = middle
        } else {
            self.low = middle + 1
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.bytes.push((self.low >> 24) as u8);
            self.low <<= 8;
            self.high = (self.high << 8) | 0xff;
        }
    }

    /// As few more bytes as tell the rest: behind them, zeros are read.
    pub fn finish(mut self) -> Vec<u8> {
        for kept in [24, 16, 8, 0] {
            let ones = (1u64 << kept) - 1;
            let short = (u64::from(self.low) + ones) & !ones;
            if short <= u64::from(self.high) {
                let four = (short as u32).to_be_bytes();
                self.bytes.extend_from_slice(&four[..4 - kept as usize / 8]);
                break;
            }
        }
        self.bytes
    }
}

/// Reads what an [`Encoder`] wrote. Any bytes give some answers; there is no end.
pub struct Decoder<'a> {
    low: u32,
    high: u32,
    code: u32,
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Decoder<'a> {
    /// At the begin.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut new = Self { low: 0, high: u32::MAX, code: 0, bytes: bytes.iter() };
        (0..4).for_each(|_| new.code = (new.code << 8) | new.next());
        new
    }

    fn next(&mut self) -> u32 {
        self.bytes.next().copied().map_or(0, u32::from)
    }

    /// Reads an answer and learns from it.
    pub fn bit(&mut self, model: &mut Bit) -> bool {
        let yes = self.narrow(middle(self.low, self.high, model.yes));
        model.learn(yes);
        yes
    }

    /// From [`Encoder::raw`].
    pub fn raw(&mut self, count: u32) -> u64 {
        (0..count).fold(0, |number, _| (number << 1) | u64::from(self.narrow(middle(self.low, self.high, 1 << 15))))
    }

    fn narrow(&mut self, middle: u32) -> bool {
        let yes = self.code <= middle;
        if yes {
            self.high = middle
        } else {
            self.low = middle + 1
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = (self.high << 8) | 0xff;
            self.code = (self.code << 8) | self.next();
        }
        yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_always_the_same_costs_next_to_nothing() {
        let mut encoder = Encoder::new(Vec::new());
        let mut model = Bit::NEW;
        (0..8_640).for_each(|_| encoder.bit(&mut model, true));
        let bytes = encoder.finish().len();
        assert!(bytes <= 12, "{bytes} bytes");
    }

    proptest! {
        #[test]
        fn any_answers_survive(answers in prop::collection::vec((0usize..3, any::<bool>(), 0u64..1 << 20), 0..400)) {
            let (mut encoder, mut models) = (Encoder::new(Vec::new()), [Bit::NEW; 3]);
            for (which, yes, number) in &answers {
                encoder.bit(&mut models[*which], *yes);
                encoder.raw(*number, 20);
            }
            let bytes = encoder.finish();
            let (mut decoder, mut models) = (Decoder::new(&bytes), [Bit::NEW; 3]);
            for (which, yes, number) in &answers {
                prop_assert_eq!(decoder.bit(&mut models[*which]), *yes);
                prop_assert_eq!(decoder.raw(20), *number);
            }
        }
    }
}
