//! Until when a program gets security fixes, judged by who patches that binary.
//!
//! PHP 8.2 of Debian 12 is patched by Debian until the end of its LTS, whatever upstream says; the same version under
//! /usr/local by nobody after upstream's end. Where nobody's dates are known, the answer is a reason, never a guess.

mod table;

use std::sync::LazyLock;

use plumb_proto::time::Timestamp;

use crate::drift::version;
use table::{Cycle, End, Table};

/// When the table was taken from its source.
pub const AS_OF: &str = "2026-08-22";
/// Days that a support window which is only known to be at least so long must still run, to be answered at all.
const SURE: i64 = 180;
const DAY: i64 = 86_400_000;

static TABLE: LazyLock<Table> = LazyLock::new(Table::shipped);

/// What is asked for: one program on one host. A field that is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program<'a> {
    /// Product as the table calls it, such as `php`.
    pub product: &'a str,
    /// Its version.
    pub version: Option<&'a str>,
    /// Who patches it, in the words of the column `provenance` of table `php`.
    pub provenance: Option<&'a str>,
    /// The module stream it comes from (Red Hat).
    pub module: Option<&'a str>,
    /// ID of the operating system's os-release.
    pub os: Option<&'a str>,
    /// Its VERSION_ID.
    pub os_version: Option<&'a str>,
}

/// Until when it is patched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment after the last day; `None`: no end has been announced.
    pub until: Option<Timestamp>,
    /// By whom.
    pub by: String,
    /// Upstream's own last day, in words.
    pub upstream: String,
    /// What else is to be known, or nothing.
    pub note: String,
}

impl Window {
    /// Whole days left, zero on the last day; negative once it is over. `None`: no end has been announced.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        self.until.map(|until| (until.millis() - 1 - now.millis()).div_euclid(DAY))
    }

    /// The last day, in words.
    #[must_use]
    pub fn last_day(&self) -> String {
        self.until.map_or_else(|| "no end announced".to_owned(), day_before)
    }
}

/// True if the table knows a product of that name, or it is `os`.
#[must_use]
pub fn knows(product: &str) -> bool {
    product == "os" || TABLE.has(product)
}

/// The support window of a program.
///
/// # Errors
/// It is not known, and why: newer than the table, patched by somebody whose dates are not in it.
pub fn program(asked: &Program<'_>, now: Timestamp) -> Result<Window, String> {
    let Program { product, .. } = *asked;
    let version = asked.version.ok_or_else(|| format!("the version of {product} is not known"))?;
    let cycle = TABLE.cycle(product, version)?;
    let upstream = Window {
        until: cycle
            .security
            .until()
            .ok_or_else(|| format!("when {product} {} ended is not in the table", cycle.name))?,
        by: format!("{product} upstream"),
        upstream: cycle.security.to_string(),
        note: String::new(),
    };
    let patched_longer = |by: &str| at_least(upstream.clone(), by, now);
    match asked.provenance.ok_or_else(|| format!("who patches this {product} is not known"))? {
        "debian" => distribution(asked, "debian", cycle, upstream),
        "ubuntu" => distribution(asked, "ubuntu", cycle, upstream),
        // streams of modules retire on dates of their own, long before the system does
        "redhat" => patched_longer(asked.module.unwrap_or("Red Hat")),
        "cloudlinux" => patched_longer("CloudLinux"),
        "distribution" => patched_longer("its distribution"),
        "self-built" => Ok(Window { note: "nobody updates it automatically".to_owned(), ..upstream }),
        "sury" | "remi" | "cpanel" | "plesk" | "litespeed" | "runcloud" | "serverpilot" => Ok(upstream),
        other => Err(format!("not judged: nothing is known of provenance {other:?}")),
    }
}

/// The support window of an operating system, by ID and VERSION_ID of os-release(5).
///
/// # Errors
/// It is not known, and why.
pub fn system(id: Option<&str>, version: Option<&str>) -> Result<Window, String> {
    let id = id.ok_or("it is not known which operating system this is")?;
    let product = match id {
        "debian" | "ubuntu" | "rhel" | "almalinux" | "fedora" | "devuan" => id,
        "rocky" => "rocky-linux",
        "ol" => "oracle-linux",
        "amzn" => "amazon-linux",
        "alpine" => "alpine-linux",
        // which of the two a release is cannot be told by its number, except where only one is left
        "centos" if version.is_some_and(|version| matches!(version, "9" | "10")) => "centos-stream",
        "centos" => "centos",
        _ => return Err(format!("not judged: {id:?} is not in the table")),
    };
    let version =
        version.ok_or_else(|| format!("not judged: this {id} has no version (a rolling or testing release)"))?;
    release(product, TABLE.cycle(product, version)?)
}

/// Debian and Ubuntu: the dates of the release that ships this cycle. A package that stayed behind from an older
/// release gets what that release gets.
fn distribution(asked: &Program<'_>, distro: &str, cycle: &Cycle, upstream: Window) -> Result<Window, String> {
    let host = asked.os_version.filter(|_| asked.os == Some(distro));
    let host = host.ok_or_else(|| format!("it is not known which release of {distro} this is"))?;
    let product = asked.product;
    let releases: Vec<&str> = TABLE.releases_with(distro, product, &cycle.name).collect();
    let name = match releases.as_slice() {
        [] => return Err(format!("not judged: no release of {distro} in the table ships {product} {}", cycle.name)),
        all if all.contains(&host) => host,
        [.., last] => last,
    };
    let window = release(distro, TABLE.cycle(distro, name)?)?;
    let note = match name == host {
        true => window.note.clone(),
        false => format!("it is a package of {distro} {name} that stayed behind on {distro} {host}"),
    };
    Ok(Window { upstream: upstream.upstream, note, ..window })
}

/// The window of a release of an operating system that everybody gets.
fn release(product: &str, cycle: &Cycle) -> Result<Window, String> {
    let ended = || format!("when {product} {} ended is not in the table", cycle.name);
    let security = cycle.security.until().ok_or_else(ended)?;
    let named = |what: &str| format!("{} {}{what}", capitalised(product), cycle.name);
    let window = |until, by, note| Window { until, by, upstream: cycle.security.to_string(), note };
    Ok(match (product, &cycle.extended) {
        // the LTS team publishes in the same archive: every host gets it
        ("debian", End::Day(day)) => window(Some(*day), named(" LTS"), String::new()),
        ("ubuntu", extended @ End::Day(_)) => window(security, named(""), format!("with Ubuntu Pro until {extended}")),
        _ => window(security, named(""), String::new()),
    })
}

/// A maker who patches longer than upstream, by dates that are not known: sure only while upstream's own run on.
fn at_least(upstream: Window, by: &str, now: Timestamp) -> Result<Window, String> {
    if upstream.days_left(now).is_none_or(|days| days >= SURE) {
        return Ok(Window { by: by.to_owned(), note: "at least so long".to_owned(), ..upstream });
    }
    let last = upstream.last_day();
    Err(format!("not judged: upstream's last day is {last}, how long {by} patches it is not in the table"))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn day_before(until: Timestamp) -> String {
    let (year, month, day) = Timestamp::from_millis(until.millis() - 1).date();
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
