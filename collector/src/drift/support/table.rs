//! The tables of dates: those that ship, read once, or others of the same form that were put beside the collector.
//! `data/support/SOURCE.md` says where the shipped ones come from and how a cell reads. A table is taken as a whole or not
//! at all: a row that does not read would be a product without dates, and nobody would know.

mod rows;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock};

use plumb_proto::time::Timestamp;

use super::{day_before, end_of, newest};
use crate::drift::version;
use rows::{Mistakes, rows};

const FACTS: &str = include_str!("../../../data/support/facts.csv");
const EXTENDED: &str = include_str!("../../../data/support/facts-extended.csv");
const SHIPPED: &str = include_str!("../../../data/support/distro-runtimes.csv");

/// A file of a table: its name for messages, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// As it is told in messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Files that stand in for those that ship. The two of the same rows come together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `facts.csv` and `facts-extended.csv`: cycles and their dates.
    pub facts: Option<(File, File)>,
    /// `distro-runtimes.csv`: what distributions ship.
    pub runtimes: Option<File>,
    /// The day that the dates are of, where `facts.csv` does not say it itself.
    pub as_of: Option<String>,
}

/// An end of support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The first moment after the last day.
    Day(Timestamp),
    /// No end has been announced.
    Open,
    /// It is over; the day is not known.
    Over,
    /// The table does not say.
    Unsaid,
}

impl End {
    fn parse(cell: &str) -> Option<Self> {
        Some(match cell {
            "false" => Self::Open,
            "true" => Self::Over,
            "" => Self::Unsaid,
            day => Self::Day(end_of(date(day)?)),
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(until) => f.write_str(&day_before(*until)),
            Self::Open => f.write_str("no end announced"),
            Self::Over => f.write_str("over"),
            Self::Unsaid => f.write_str("not known"),
        }
    }
}

/// A line of releases that is patched together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cycle {
    /// Such as `8.2`.
    pub(super) name: String,
    /// End of security fixes.
    pub(super) security: End,
    /// End of what goes on after that, for everybody or for some.
    pub(super) extended: End,
    /// The day from which it has long-term support, where the table has one.
    pub(super) lts: Option<Timestamp>,
    /// The day of its newest release, where the table has one.
    pub(super) released: Option<Timestamp>,
}

/// What a release of a distribution ships.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shipped {
    distro: String,
    pub(super) release: String,
    product: String,
    cycle: String,
    /// The part of the archive: `main`, `universe`, `AppStream ..`, `platform ..`.
    pub(super) component: String,
}

/// All products with their dates, and what distributions ship.
pub struct Dates {
    cycles: HashMap<String, Vec<Cycle>>,
    /// Oldest release first.
    shipped: Vec<Shipped>,
    as_of: String,
    is_shipped: bool,
}

static COMPILED_IN: LazyLock<Arc<Dates>> = LazyLock::new(|| {
    // a test holds that they read
    Arc::new(Dates::read(&Files::default()).unwrap_or_else(|_| Dates {
        cycles: HashMap::new(),
        shipped: Vec::new(),
        as_of: String::new(),
        is_shipped: true,
    }))
});

impl Dates {
    /// The tables that are compiled in.
    #[must_use]
    pub fn shipped() -> Arc<Self> {
        Arc::clone(&COMPILED_IN)
    }

    /// Reads tables; a file that is not given is the one that ships.
    ///
    /// # Errors
    /// What does not read, a line each: file, line, reason. Nothing is taken then.
    pub fn read(files: &Files) -> Result<Self, Vec<String>> {
        let compiled = |name: &str, text: &str| File { name: name.to_owned(), text: text.to_owned() };
        let (facts, extended) = files
            .facts
            .clone()
            .unwrap_or_else(|| (compiled("facts.csv", FACTS), compiled("facts-extended.csv", EXTENDED)));
        let runtimes = files.runtimes.clone().unwrap_or_else(|| compiled("distro-runtimes.csv", SHIPPED));
        let mut mistakes = Mistakes::default();
        let as_of = as_of(&facts, files.as_of.as_deref(), &mut mistakes);
        let cycles = cycles(&facts, &extended, &mut mistakes);
        let shipped = runtimes_of(&runtimes, &mut mistakes);
        let is_shipped = files.facts.is_none();
        mistakes.none()?;
        Ok(Self { cycles, shipped, as_of, is_shipped })
    }

    /// The day that the dates are of, such as `2026-08-22`.
    #[must_use]
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// True for the dates that ship.
    #[must_use]
    pub fn is_shipped(&self) -> bool {
        self.is_shipped
    }

    /// How many products they know.
    #[must_use]
    pub fn products(&self) -> usize {
        self.cycles.len()
    }

    /// True if there is such a product.
    pub(super) fn has(&self, product: &str) -> bool {
        self.cycles.contains_key(product)
    }

    /// The cycle that a version belongs to: the longest whose name it begins with.
    pub(super) fn cycle(&self, product: &str, version: &str) -> Result<&Cycle, Absent> {
        let all = self.cycles.get(product).ok_or(Absent::Product)?;
        let belongs = |cycle: &&Cycle| {
            version
                .strip_prefix(cycle.name.as_str())
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        if let Some(cycle) = all.iter().filter(belongs).max_by_key(|cycle| cycle.name.len()) {
            return Ok(cycle);
        }
        let is_newer = |last: &Cycle| version::compare(version, &last.name) == Ordering::Greater;
        // a line of its own goes on beside a newer one: 8.20 came after 8.19, whatever 9.1 did
        let major = version::branch(version, 1);
        let of_line = newest(all.iter().filter(|cycle| version::branch(&cycle.name, 1) == major));
        match newest(all.iter()).is_some_and(is_newer) || of_line.is_some_and(is_newer) {
            true => Err(Absent::Newer),
            false => Err(Absent::Cycle),
        }
    }

    /// The newest cycle of a product.
    pub(super) fn newest(&self, product: &str) -> Option<&Cycle> {
        newest(self.cycles.get(product)?.iter())
    }

    /// The day on which any line of a product was released last.
    pub(super) fn last_release(&self, product: &str) -> Option<Timestamp> {
        self.cycles.get(product)?.iter().filter_map(|cycle| cycle.released).max()
    }

    /// True if it is known which cycle of a product a release of a distribution ships.
    pub(super) fn ships(&self, distro: &str, release: &str, product: &str) -> bool {
        self.shipped.iter().any(|row| row.distro == distro && row.release == release && row.product == product)
    }

    /// Releases of a distribution that ship this cycle, oldest first.
    pub(super) fn releases_with<'a>(
        &'a self,
        distro: &'a str,
        product: &'a str,
        cycle: &'a str,
    ) -> impl Iterator<Item = &'a Shipped> {
        self.shipped.iter().filter(move |row| row.distro == distro && row.product == product && row.cycle == cycle)
    }
}

/// Why there is no cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// The product is not in the table.
    Product,
    /// It is, and the version comes after all of its line.
    Newer,
    /// It is, and the version is another that the table does not have.
    Cycle,
}

/// The line `# as of 2027-01-15` of a file, or what is said beside it.
fn as_of(file: &File, beside: Option<&str>, mistakes: &mut Mistakes) -> String {
    let days = file.text.lines().filter_map(|line| line.strip_prefix('#')?.trim().strip_prefix("as of "));
    match days.map(str::trim).next().or(beside) {
        Some(day) if date(day).is_some() => day.to_owned(),
        Some(day) => {
            mistakes.add(file, 1, format!("\"{day}\" is no day: write `# as of 2027-01-15`"));
            String::new()
        }
        None => {
            mistakes.add(file, 1, "it does not say of which day it is: begin it with a line `# as of 2027-01-15`");
            String::new()
        }
    }
}

fn cycles(facts: &File, extended: &File, mistakes: &mut Mistakes) -> HashMap<String, Vec<Cycle>> {
    const HEAD: &str = "product,cycle,release,active_support_end,security_support_end,latest,lts";
    const MORE: &str = "product,cycle,codename,extended_support_end,latest_release_date,discontinued,lts,extra";
    let mut ends: HashMap<(&str, &str), (End, Option<Timestamp>, usize)> = HashMap::new();
    for row in rows(extended, MORE, mistakes) {
        let Some(end) = row.read(3, mistakes, End::parse, "a day such as 2027-01-15, true, false or nothing") else {
            continue;
        };
        let day = |cell: &str| if cell.is_empty() { Some(None) } else { date(cell).map(Some) };
        let released = row.read(4, mistakes, day, "a day such as 2027-01-15 or nothing").flatten();
        ends.insert((row.cell(0), row.cell(1)), (end, released, row.line));
    }
    let mut seen = BTreeSet::new();
    let mut cycles: HashMap<String, Vec<Cycle>> = HashMap::new();
    for row in rows(facts, HEAD, mistakes) {
        let words = "a day such as 2027-01-15, true, false or nothing";
        row.read(3, mistakes, End::parse, words);
        let security = row.read(4, mistakes, End::parse, words);
        let lts =
            row.read(6, mistakes, |cell| End::parse(cell).filter(|end| *end != End::Unsaid), "a day, true or false");
        let named = (row.cell(0), row.cell(1));
        if !seen.insert(named) {
            mistakes.add(facts, row.line, format!("{} {} is there twice", named.0, named.1));
        }
        let Some((extended_end, released, _)) = ends.remove(&named) else {
            mistakes.add(facts, row.line, format!("{} {} is not in {}", named.0, named.1, extended.name));
            continue;
        };
        let (Some(security), Some(lts)) = (security, lts) else { continue };
        let lts = if let End::Day(after) = lts { Some(day_of(after)) } else { None };
        let cycle = Cycle { name: named.1.to_owned(), security, extended: extended_end, lts, released };
        cycles.entry(named.0.to_owned()).or_default().push(cycle);
    }
    let left: BTreeMap<usize, (&str, &str)> = ends.into_iter().map(|(named, (.., line))| (line, named)).collect();
    for (line, (product, cycle)) in left {
        mistakes.add(extended, line, format!("{product} {cycle} is not in {}", facts.name));
    }
    cycles
}

fn runtimes_of(file: &File, mistakes: &mut Mistakes) -> Vec<Shipped> {
    const HEAD: &str = "distro,release,package,upstream_cycle,component_or_stream,certainty";
    let mut shipped = Vec::new();
    for row in rows(file, HEAD, mistakes) {
        let known = |word: &str| matches!(word, "high" | "verify").then_some(());
        if row.read(5, mistakes, known, "high or verify").is_some() {
            let [distro, release, product, cycle, component] = [0, 1, 2, 3, 4].map(|at| row.cell(at).to_owned());
            shipped.push(Shipped { distro, release, product, cycle, component });
        }
    }
    shipped
}

fn date(text: &str) -> Option<Timestamp> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = year.len() == 4 && month.len() == 2 && day.len() == 2;
    Timestamp::from_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).filter(|_| is_whole)
}

fn day_of(after: Timestamp) -> Timestamp {
    Timestamp::from_millis(after.millis() - super::DAY)
}

#[cfg(test)]
mod tests;
