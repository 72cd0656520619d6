//! No bytes bring a parser down: each reads its seeds and some thousand mutants of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

use std::panic::{AssertUnwindSafe, catch_unwind};

use plumb_tests::fuzz::targets;

const MUTANTS: usize = 3_000;

#[test]
fn every_parser_survives_mutants_of_what_it_reads() {
    for target in targets() {
        assert!(!target.seeds.is_empty(), "{} has nothing to begin with", target.name);
        let seeds = target.seeds.iter().map(|seed| seed.to_vec());
        for bytes in seeds.chain(Mutants::new(target.seeds, 2_026).take(MUTANTS)) {
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))).is_err() {
                panic!("{} does not survive {:?}", target.name, String::from_utf8_lossy(&bytes));
            }
        }
    }
}

#[test]
fn each_target_has_a_name_of_its_own_that_a_folder_can_have() {
    let names: Vec<&str> = targets().map(|target| target.name).collect();
    let fine = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    assert!(names.iter().all(fine), "{names:?}");
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
}

#[test]
fn mutants_differ_from_their_seeds_and_from_each_other() {
    let made: std::collections::BTreeSet<Vec<u8>> = Mutants::new(&[b"server { listen 80; }"], 7).take(100).collect();
    assert!(made.len() > 80 && !made.contains(&b"server { listen 81; }"[..]), "{} kinds", made.len());
}

/// What is made of seeds: bytes changed, cut, doubled, and put together from two.
struct Mutants {
    seeds: &'static [&'static [u8]],
    chance: u64,
}

impl Mutants {
    /// The same chance makes the same mutants.
    fn new(seeds: &'static [&'static [u8]], chance: u64) -> Self {
        Self { seeds, chance: chance | 1 }
    }

    // xorshift64 (Marsaglia 2003)
    fn below(&mut self, end: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        usize::try_from(self.chance % end.max(1) as u64).unwrap_or_default()
    }

    fn seed(&mut self) -> &'static [u8] {
        let at = self.below(self.seeds.len());
        self.seeds.get(at).copied().unwrap_or_default()
    }
}

impl Iterator for Mutants {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        /// Bytes that mean something to most formats.
        const TELLING: &[u8] = b"\0\n\r\t \"'\\{}[]()<>;:=,#/*$%-.0123456789\x7f\x80\xc3\xff";
        let mut bytes = self.seed().to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = TELLING[self.below(TELLING.len())],
                2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                3 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    let part = bytes[at..end].repeat(1 + self.below(8));
                    bytes.splice(at..at, part);
                }
                4 => {
                    let end = (at + self.below(32)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let other = self.seed();
                    let from = self.below(other.len());
                    bytes.splice(at..at, other[from..].iter().copied().take(256));
                }
            }
        }
        Some(bytes)
    }
}
