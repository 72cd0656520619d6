//! Until when a program gets security fixes, judged by who patches that binary.
//!
//! PHP 8.2 of Debian 12 is patched by Debian until the end of its LTS, whatever upstream says; the same version under
//! /usr/local by nobody after upstream's end. Where nobody's dates are known, the answer is a reason, never a guess.

mod products;
mod provenance;
mod rows;
mod table;

use plumb_proto::time::Timestamp;

use crate::drift::version;
pub use products::knows;
pub use rows::{SOURCES, TABLE, columns, decl, derived_key, is_source};
use table::{Absent, Cycle, End};
pub use table::{Dates, File, Files};

/// Days that a support window which is only known to be at least so long must still run, to be answered at all.
const SURE: i64 = 180;
/// An end that is so many days away or less is soon: half a year is what moving sites to another version takes.
pub const SOON: i64 = 180;
const DAY: i64 = 86_400_000;

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

/// How a program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody patches it, for more than [`SOON`] days or without an announced end.
    Supported,
    /// Somebody patches it, for [`SOON`] days at most.
    EndsSoon,
    /// Nobody patches it any more.
    Ended,
    /// Its maker patches it without having promised to.
    Courtesy,
    /// It came after the dates were written down.
    Newer,
    /// Whose dates apply is known, but not the dates; or it is not known whose.
    NotJudged,
}

impl Verdict {
    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::EndsSoon => "ends soon",
            Self::Ended => "ended",
            Self::Courtesy => "courtesy",
            Self::Newer => "newer than the table",
            Self::NotJudged => "not judged",
        }
    }
}

/// Until when it is patched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The product as people write it.
    pub product: String,
    /// The line of releases, such as `8.2`.
    pub cycle: String,
    /// The first moment after the last day; `None`: no end has been announced, or its day is not known.
    pub until: Option<Timestamp>,
    /// It is over, and the day is not known.
    pub is_over: bool,
    /// Nobody has promised it.
    pub is_courtesy: bool,
    /// By whom.
    pub by: String,
    /// Upstream's own last day, in words.
    pub upstream: String,
    /// The first moment after it, if there is a day.
    pub upstream_until: Option<Timestamp>,
    /// What else is to be known, or nothing.
    pub note: String,
}

impl Window {
    /// Whole days left, zero on the last day; negative once it is over. `None`: no end has been announced, or its day is
    /// not known.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        self.until.map(|until| (until.millis() - 1 - now.millis()).div_euclid(DAY))
    }

    /// The last day, in words.
    #[must_use]
    pub fn last_day(&self) -> String {
        match self.until {
            Some(until) => day_before(until),
            None if self.is_over => "a day that is not in the table".to_owned(),
            None if self.is_courtesy => "nothing is promised".to_owned(),
            None => "no end announced".to_owned(),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        match self.days_left(now) {
            _ if self.is_over => Verdict::Ended,
            _ if self.is_courtesy => Verdict::Courtesy,
            Some(days) if days < 0 => Verdict::Ended,
            Some(days) if days <= SOON => Verdict::EndsSoon,
            _ => Verdict::Supported,
        }
    }

    /// Of a cycle, as upstream has it.
    fn upstream(product: &str, cycle: &Cycle, end: &End) -> Result<Self, Unjudged> {
        let label = products::label(product);
        let until = match end {
            End::Day(until) => Some(*until),
            End::Open | End::Over => None,
            End::Unsaid => {
                let what = format!("until when {label} {} is patched is not in the table", cycle.name);
                return Err(Unjudged::not_judged(what));
            }
        };
        Ok(Self {
            by: format!("{label} upstream"),
            product: label,
            cycle: cycle.name.clone(),
            until,
            is_over: *end == End::Over,
            is_courtesy: false,
            upstream: end.to_string(),
            upstream_until: until,
            note: String::new(),
        })
    }

    fn noted(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// Why there is no window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unjudged {
    /// [`Verdict::Newer`] or [`Verdict::NotJudged`]; `None`: something about the host is not known, so this is not either.
    pub verdict: Option<Verdict>,
    /// In words.
    pub reason: String,
    /// Whose dates would apply.
    pub by: Option<String>,
    /// The line of releases, if it is known.
    pub cycle: Option<String>,
    /// The first moment after upstream's last day, if that is known.
    pub upstream_until: Option<Timestamp>,
}

impl Unjudged {
    fn not_judged(reason: impl Into<String>) -> Self {
        Self { verdict: Some(Verdict::NotJudged), reason: reason.into(), ..Self::default() }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    /// Not judged, though upstream's day is known.
    fn beside(upstream: &Window, by: &str, reason: String) -> Self {
        Self {
            by: Some(by.to_owned()),
            cycle: Some(upstream.cycle.clone()),
            upstream_until: upstream.upstream_until,
            ..Self::not_judged(reason)
        }
    }

    /// In words that stand alone: "not judged: ..".
    #[must_use]
    pub fn told(&self) -> String {
        match self.verdict {
            Some(Verdict::NotJudged) => format!("not judged: {}", self.reason),
            _ => self.reason.clone(),
        }
    }
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
        if let Some(own) = asked.own_end {
            return Ok(own_window(&label, version, own).noted(products::note_of_kind(asked.kind)));
        }
        if word == "java" {
            return self.java(asked, version);
        }
        let product = products::dated_by(word);
        let cycle = self.cycle(product, version).map_err(|absent| self.absent(absent, &label, version))?;
        let upstream = Window::upstream(product, cycle, end_for_all(product, cycle))?;
        if asked.kind.is_some() && !asked.provenance.is_some_and(provenance::is_distribution) {
            return Ok(self.of_site(asked, product, cycle, upstream));
        }
        if products::name(word) != product {
            // made from another product by somebody with dates of their own
            return at_least(Window { product: label.clone(), ..upstream }, &label, now);
        }
        let window = self.by_provenance(asked, (product, &cycle.name), upstream, now)?;
        Ok(match cycle.lts.filter(|lts| *lts > now) {
            Some(lts) if window.note.is_empty() => window.noted(format!("long-term support begins {}", day(lts))),
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
        let note = products::note_of_kind(asked.kind);
        // WordPress supports its newest line only; security fixes for older ones are made without a promise
        let is_older = self.newest(product).is_some_and(|newest| newest.name != cycle.name);
        if product == "wordpress" && is_older {
            let note = "only the newest version is supported; older ones get security fixes as a courtesy";
            return Window { until: None, is_over: false, is_courtesy: true, ..upstream }.noted(note);
        }
        upstream.noted(note)
    }
}

/// A product that carries its own last day.
fn own_window(label: &str, version: &str, own: Timestamp) -> Window {
    let until = end_of(Timestamp::from_millis(own.millis().div_euclid(DAY) * DAY));
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

/// The end that everybody gets. Magento's own dates stand in the other column: those of Adobe Commerce, from whose
/// releases the free edition is made.
fn end_for_all<'a>(product: &str, cycle: &'a Cycle) -> &'a End {
    match (product, &cycle.extended) {
        ("magento", extended @ End::Day(_)) => extended,
        _ => &cycle.security,
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
        _ => Window { by: named(""), ..window },
    })
}

/// A maker who patches longer than upstream, by dates that are not known: sure only while upstream's own run on.
fn at_least(upstream: Window, by: &str, now: Timestamp) -> Result<Window, Unjudged> {
    if !upstream.is_over && upstream.days_left(now).is_none_or(|days| days >= SURE) {
        return Ok(Window { by: by.to_owned(), ..upstream }.noted("at least so long"));
    }
    let reason = format!("upstream's last day is {}, how long {by} patches it is not in the table", upstream.upstream);
    Err(Unjudged::beside(&upstream, by, reason))
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
