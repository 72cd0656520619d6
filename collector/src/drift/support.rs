//! Until when a program gets security fixes, judged by who patches that binary.
//!
//! PHP 8.2 of Debian 12 is patched by Debian until the end of its LTS, whatever upstream says; the same version under
//! /usr/local by nobody after upstream's end. Where nobody's dates are known, the answer is a reason, never a guess.

mod products;
mod provenance;
mod rows;
mod table;
mod window;

use plumb_proto::time::Timestamp;

use crate::drift::version;
pub use products::knows;
pub use rows::{SOURCES, TABLE, columns, decl, derived_key, is_source};
use table::{Absent, Cycle, End};
pub use table::{Dates, File, Files};
use window::at_least;
pub use window::{SOON, Unjudged, Verdict, Window};

const DAY: i64 = 86_400_000;
/// A line of WordPress that had no release for so long, while others had one, gets none any more.
const YEAR: i64 = 365 * DAY;

/// What is asked for: one program on one host. A field that is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program<'a> {
    /// Product: plumb's word (`node`), the table's (`nodejs`), or a key that begins with one (`node/22@/opt`).
    pub product: &'a str,
    /// Its version.
    pub version: Option<&'a str>,
    /// Who patches it, in the words of the columns `provenance`.
    pub provenance: Option<&'a str>,
    /// The module stream it comes from (Red Hat).
    pub module: Option<&'a str>,
    /// The package it belongs to.
    pub package: Option<&'a str>,
    /// That package's version.
    pub package_version: Option<&'a str>,
    /// Of what a site is made of: `cms`, `shop`, `framework`.
    pub kind: Option<&'a str>,
    /// The day that the product itself carries as its end.
    pub own_end: Option<Timestamp>,
    /// ID of the operating system's os-release.
    pub os: Option<&'a str>,
    /// Its VERSION_ID.
    pub os_version: Option<&'a str>,
}

impl Dates {
    /// The support window of a program.
    ///
    /// # Errors
    /// There is none, and why: newer than the table, patched by somebody whose dates are not in it.
    pub fn program(&self, asked: &Program<'_>, now: Timestamp) -> Result<Window, Unjudged> {
        let word = products::word(asked.product);
        let label = products::label(products::name(word));
        let version =
            asked.version.ok_or_else(|| Unjudged::not_judged(format!("the version of this {label} is not known")))?;
        if word == "java" {
            return self.java(asked, version);
        }
        let product = products::dated_by(word);
        if let Some(own) = asked.own_end {
            return Ok(self.own_window((product, &label), version, own).noted(products::note_of_kind(asked.kind)));
        }
        let cycle = self.cycle(product, version).map_err(|absent| self.absent(absent, &label, version))?;
        let upstream = Window::upstream(product, cycle, end_for_all(product, cycle))?;
        if asked.kind.is_some() && !asked.provenance.is_some_and(provenance::is_distribution) {
            return Ok(self.of_site(asked, product, cycle, upstream.noted(&longer(product, cycle))));
        }
        let upstream = upstream.noted(&longer(product, cycle));
        if products::name(word) != product {
            // made from another product by somebody with dates of their own
            return at_least(Window { product: label.clone(), ..upstream }, &label, now);
        }
        let window = self.by_provenance(asked, (product, &cycle.name), upstream, now)?;
        Ok(match cycle.lts.filter(|lts| *lts > now) {
            Some(lts) if window.note.is_empty() => window.noted(&format!("long-term support begins {}", day(lts))),
            _ => window,
        })
    }

    /// The support window of an operating system, by ID and VERSION_ID of os-release(5).
    ///
    /// # Errors
    /// There is none, and why.
    pub fn system(&self, id: Option<&str>, version: Option<&str>) -> Result<Window, Unjudged> {
        let id = id.ok_or_else(|| Unjudged::unknown("it is not known which operating system this is"))?;
        let product = match id {
            "debian" | "ubuntu" | "rhel" | "almalinux" | "fedora" | "devuan" => id,
            "rocky" => "rocky-linux",
            "ol" => "oracle-linux",
            "amzn" => "amazon-linux",
            "alpine" => "alpine-linux",
            // which of the two a release is cannot be told by its number, except where only one is left
            "centos" if version.is_some_and(|version| matches!(version, "9" | "10")) => "centos-stream",
            "centos" => "centos",
            _ => return Err(Unjudged::not_judged(format!("the system \"{}\" is not in the table", id.escape_debug()))),
        };
        let none = || Unjudged::not_judged(format!("this {id} has no version (a rolling or testing release)"));
        let version = version.ok_or_else(none)?;
        let label = products::label(product);
        release(product, self.cycle(product, version).map_err(|absent| self.absent(absent, &label, version))?)
    }

    /// A product that carries its own last day. Makers have put it off after a release went out: the table's may be later.
    fn own_window(&self, (product, label): (&str, &str), version: &str, own: Timestamp) -> Window {
        let own = end_of(Timestamp::from_millis(own.millis().div_euclid(DAY) * DAY));
        let until = match self.cycle(product, version).map(|cycle| &cycle.security) {
            Ok(End::Day(until)) => own.max(*until),
            _ => own,
        };
        Window {
            product: label.to_owned(),
            cycle: version::branch(version, 2).unwrap_or(version).to_owned(),
            until: Some(until),
            is_over: false,
            is_courtesy: false,
            by: format!("{label} upstream"),
            upstream: day_before(until),
            upstream_until: Some(until),
            note: String::new(),
        }
    }

    fn absent(&self, absent: Absent, label: &str, version: &str) -> Unjudged {
        let version = version.escape_debug();
        match absent {
            Absent::Newer => Unjudged {
                verdict: Some(Verdict::Newer),
                reason: format!("{label} {version} is newer than the table ({})", self.as_of()),
                ..Unjudged::default()
            },
            Absent::Product => Unjudged::not_judged(format!("{label} is not in the table")),
            Absent::Cycle => Unjudged::not_judged(format!("{label} {version} is not in the table")),
        }
    }

    /// What a site is made of lies in its folder: its maker's dates count, and somebody has to bring it up to date.
    fn of_site(&self, asked: &Program<'_>, product: &str, cycle: &Cycle, upstream: Window) -> Window {
        let note_of_kind = products::note_of_kind(asked.kind);
        // WordPress supports its newest line only; security fixes for older ones are made without a promise
        let is_older = self.newest(product).is_some_and(|newest| newest.name != cycle.name);
        if product == "wordpress" && is_older {
            // the oldest lines have been left out of the last rounds
            let last = cycle.released.zip(self.last_release(product));
            if let Some((own, _)) = last.filter(|(own, last)| last.millis() - own.millis() > YEAR) {
                let note = format!("its last release is of {}: fixes for older versions leave it out", day(own));
                return Window { until: None, is_over: true, ..upstream }.noted(&note).noted(note_of_kind);
            }
            let note = "only the newest version is supported; older ones get security fixes as a courtesy";
            return Window { until: None, is_over: false, is_courtesy: true, ..upstream }.noted(note);
        }
        upstream.noted(note_of_kind)
    }
}

/// The end that everybody gets. Magento's own dates stand in the other column: those of Adobe Commerce, from whose
/// releases the free edition is made.
fn end_for_all<'a>(product: &str, cycle: &'a Cycle) -> &'a End {
    match (product, &cycle.extended) {
        ("magento", extended @ End::Day(_)) => extended,
        _ => &cycle.security,
    }
}

/// Support that goes on for some. Magento's stands in the table in the place of everybody's.
fn longer(product: &str, cycle: &Cycle) -> String {
    match (&cycle.security, &cycle.extended) {
        (End::Day(all), End::Day(some)) if some > all && product != "magento" => {
            format!("longer support that is paid for: until {}", day_before(*some))
        }
        _ => String::new(),
    }
}

/// The window of a release of an operating system that everybody gets.
fn release(product: &str, cycle: &Cycle) -> Result<Window, Unjudged> {
    let window = Window::upstream(product, cycle, &cycle.security)?;
    let named = |what: &str| format!("{} {}{what}", window.product, cycle.name);
    Ok(match (product, &cycle.extended) {
        // the LTS team publishes in the same archive: every host gets it
        ("debian", End::Day(day)) => Window { until: Some(*day), by: named(" LTS"), ..window },
        ("ubuntu", extended @ End::Day(_)) => {
            Window { by: named(""), note: format!("with Ubuntu Pro until {extended}"), ..window }
        }
        _ => Window { by: named(""), ..window }.noted(&longer(product, cycle)),
    })
}

fn day_before(until: Timestamp) -> String {
    day(Timestamp::from_millis(until.millis() - 1))
}

fn day(at: Timestamp) -> String {
    let (year, month, day) = at.date();
    format!("{year:04}-{month:02}-{day:02}")
}

/// The first moment after a day.
fn end_of(day: Timestamp) -> Timestamp {
    Timestamp::from_millis(day.millis() + DAY)
}

fn newest<'a>(cycles: impl Iterator<Item = &'a Cycle>) -> Option<&'a Cycle> {
    cycles.max_by(|one, other| version::compare(&one.name, &other.name))
}

#[cfg(test)]
mod tests;
