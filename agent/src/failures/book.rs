//! All that is known, read from the data once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use plumb_proto::model::Severity;

use super::pattern::Pattern;
use super::sieve::Sieve;
use super::{Known, Origin};

const DATA: &str = include_str!("../../data/failures.toml");

/// A failure as it is written down.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) kind: String,
    pub(super) class: String,
    pub(super) severity: String,
    pub(super) title: String,
    pub(super) hint: String,
    pub(super) origins: Vec<Origin>,
    pub(super) patterns: Vec<String>,
    /// A line with one of these is none of it.
    #[serde(default)]
    pub(super) except: Vec<String>,
    /// Lines as the product writes them; a test searches them.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) examples: Vec<String>,
}

/// Lines that are no failure, although they look like trouble; for the test alone.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), allow(dead_code))]
pub(super) struct Noise {
    pub(super) origins: Vec<Origin>,
    pub(super) examples: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    pub(super) failure: Vec<Written>,
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) noise: Vec<Noise>,
}

struct Entry {
    known: Known,
    origins: Vec<Origin>,
    patterns: Vec<Pattern>,
    except: Vec<Pattern>,
}

/// What is known, ready to search.
#[derive(Default)]
pub(super) struct Book {
    entries: Vec<Entry>,
    /// Finds any needle of an origin: the first, and mostly the only, step.
    sieves: BTreeMap<Origin, Sieve>,
}

/// The book. Data that cannot be read is found by a test; the book would be empty.
pub(super) fn book() -> &'static Book {
    static BOOK: LazyLock<Book> = LazyLock::new(|| read().map_or_else(|_| Book::default(), Book::new));
    &BOOK
}

/// The data as it is written.
pub(super) fn read() -> Result<Data, toml::de::Error> {
    toml::from_str(DATA)
}

impl Book {
    fn new(data: Data) -> Self {
        let patterns = |texts: &[String]| texts.iter().filter_map(|text| Pattern::parse(text)).collect();
        let entries: Vec<Entry> = data
            .failure
            .into_iter()
            .map(|each| Entry {
                patterns: patterns(&each.patterns),
                except: patterns(&each.except),
                origins: each.origins,
                known: Known {
                    severity: Severity::parse(&each.severity).unwrap_or(Severity::Info),
                    kind: each.kind,
                    class: each.class,
                    title: each.title,
                    hint: each.hint,
                },
            })
            .collect();
        let mut needles: BTreeMap<Origin, Vec<Vec<u8>>> = BTreeMap::new();
        for entry in &entries {
            for origin in &entry.origins {
                needles.entry(*origin).or_default().extend(entry.patterns.iter().map(|each| each.needle().to_vec()));
            }
        }
        Self { entries, sieves: needles.into_iter().map(|(origin, all)| (origin, Sieve::new(all))).collect() }
    }

    pub(super) fn find(&self, origin: Origin, line: &[u8]) -> Option<&Known> {
        if !self.sieves.get(&origin)?.catches(line) {
            return None;
        }
        let of_origin = self.entries.iter().filter(|entry| entry.origins.contains(&origin));
        let fits = |entry: &&Entry| {
            entry.patterns.iter().any(|each| each.matches(line)) && !entry.except.iter().any(|each| each.matches(line))
        };
        of_origin.filter(fits).map(|entry| &entry.known).next()
    }

    /// The failure of that name.
    pub(super) fn named(&self, kind: &str) -> Option<&Known> {
        self.entries.iter().map(|entry| &entry.known).find(|known| known.kind == kind)
    }
}
