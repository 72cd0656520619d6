//! The shipped table, read once. `data/support/SOURCE.md` says where it comes from and how a cell reads.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use plumb_proto::time::Timestamp;

use super::{AS_OF, day_before, end_of, newest};
use crate::drift::version;

const FACTS: &str = include_str!("../../../data/support/facts.csv");
const EXTENDED: &str = include_str!("../../../data/support/facts-extended.csv");
const SHIPPED: &str = include_str!("../../../data/support/distro-runtimes.csv");

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
            day => {
                let mut parts = day.splitn(3, '-');
                let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
                let day = Timestamp::from_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
                Self::Day(end_of(day))
            }
        })
    }

    /// `Some(None)`: no end has been announced. `None`: the table does not know.
    pub(super) fn until(&self) -> Option<Option<Timestamp>> {
        match self {
            Self::Day(until) => Some(Some(*until)),
            Self::Open => Some(None),
            Self::Over | Self::Unsaid => None,
        }
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
}

/// All products, and what distributions ship.
pub(super) struct Table {
    cycles: HashMap<&'static str, Vec<Cycle>>,
    /// Distribution, release, product, cycle; oldest release first.
    shipped: Vec<[&'static str; 4]>,
}

impl Table {
    /// Reads the tables that are compiled in. A row that does not read is left out; a test holds that none is.
    pub(super) fn shipped() -> Self {
        let extended: HashMap<(&str, &str), End> =
            rows(EXTENDED).filter_map(|row| Some(((row[0], row[1]), End::parse(row.get(3)?)?))).collect();
        let mut cycles: HashMap<&'static str, Vec<Cycle>> = HashMap::new();
        for row in rows(FACTS) {
            let Some(security) = row.get(4).and_then(|cell| End::parse(cell)) else { continue };
            let extended = extended.get(&(row[0], row[1])).cloned().unwrap_or(End::Unsaid);
            let name = row[1].to_owned();
            cycles.entry(row[0]).or_default().push(Cycle { name, security, extended });
        }
        let shipped = rows(SHIPPED).filter_map(|row| Some([*row.first()?, row.get(1)?, row.get(2)?, row.get(3)?]));
        Self { cycles, shipped: shipped.collect() }
    }

    /// True if there is such a product.
    pub(super) fn has(&self, product: &str) -> bool {
        self.cycles.contains_key(product)
    }

    /// The cycle that a version belongs to: the longest whose name it begins with.
    pub(super) fn cycle(&self, product: &str, version: &str) -> Result<&Cycle, String> {
        let all = self.cycles.get(product).ok_or_else(|| format!("not judged: {product:?} is not in the table"))?;
        let belongs = |cycle: &&Cycle| {
            version
                .strip_prefix(cycle.name.as_str())
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        if let Some(cycle) = all.iter().filter(belongs).max_by_key(|cycle| cycle.name.len()) {
            return Ok(cycle);
        }
        let is_newer =
            newest(all.iter()).is_some_and(|last| version::compare(version, &last.name) == Ordering::Greater);
        Err(match is_newer {
            true => format!("{product} {version} is newer than the table ({AS_OF})"),
            false => format!("not judged: {product} {version} is not in the table"),
        })
    }

    /// Releases of a distribution that ship this cycle, oldest first.
    pub(super) fn releases_with(&self, distro: &str, product: &str, cycle: &str) -> impl Iterator<Item = &'static str> {
        let fits = move |row: &&[&str; 4]| row[0] == distro && row[2] == product && row[3] == cycle;
        self.shipped.iter().filter(fits).map(|row| row[1])
    }
}

/// Rows of comma-separated cells, without the head. No cell up to the last that is read holds a comma.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_shipped_tables_reads() {
        for row in rows(FACTS) {
            assert_eq!(row.len(), 7, "{row:?}");
            assert!(End::parse(row[4]).is_some(), "{row:?}");
        }
        for row in rows(EXTENDED) {
            assert!(End::parse(row[3]).is_some(), "{row:?}");
        }
        for row in rows(SHIPPED) {
            assert!(matches!(row.last(), Some(&("high" | "verify"))), "{row:?}");
        }
        assert_eq!(Table::shipped().cycles.values().map(Vec::len).sum::<usize>(), rows(FACTS).count());
    }

    #[test]
    fn the_longest_cycle_that_fits_is_taken() {
        let table = Table::shipped();
        assert_eq!(table.cycle("php", "8.2.29").map(|cycle| cycle.name.as_str()), Ok("8.2"));
        assert_eq!(table.cycle("rhel", "8.10").map(|cycle| cycle.name.as_str()), Ok("8"));
        assert_eq!(table.cycle("php", "8.10.1"), Err("php 8.10.1 is newer than the table (2026-08-22)".to_owned()));
        assert_eq!(table.cycle("php", "4.4.9"), Err("not judged: php 4.4.9 is not in the table".to_owned()));
    }
}
