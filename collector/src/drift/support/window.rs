//! Until when somebody patches a program, or why that cannot be told.

use plumb_proto::time::Timestamp;

use super::table::{Cycle, End};
use super::{DAY, day_before, products};

/// Days that a support window which is only known to be at least so long must still run, to be answered at all.
const SURE: i64 = 180;
/// An end that is so many days away or less is soon: half a year is what moving sites to another version takes.
pub const SOON: i64 = 180;

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
    pub(super) fn upstream(product: &str, cycle: &Cycle, end: &End) -> Result<Self, Unjudged> {
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

    /// With something more to be known, behind what is.
    pub(super) fn noted(mut self, note: &str) -> Self {
        if !note.is_empty() {
            self.note = if self.note.is_empty() { note.to_owned() } else { format!("{}; {note}", self.note) };
        }
        self
    }

    /// Of what comes with a system: when that ends, nobody patches it either, whatever its own dates are.
    pub(super) fn within(self, system: &Result<Self, Unjudged>) -> Self {
        match system {
            Ok(system) if system.ends_before(&self) => {
                Self { until: system.until, is_over: system.is_over, by: system.by.clone(), ..self }
            }
            _ => self,
        }
    }

    fn ends_before(&self, other: &Self) -> bool {
        match (self.until, other.until) {
            _ if other.is_over => false,
            _ if self.is_over => true,
            (Some(own), until) => until.is_none_or(|until| own < until),
            (None, _) => false,
        }
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
    pub(super) fn not_judged(reason: impl Into<String>) -> Self {
        Self { verdict: Some(Verdict::NotJudged), reason: reason.into(), ..Self::default() }
    }

    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    /// Not judged, though upstream's day is known.
    pub(super) fn beside(upstream: &Window, by: &str, reason: String) -> Self {
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

/// Of what comes with a system by dates of its own that are not in the table. Sure is only that it does not outlive the
/// system.
pub(super) fn of_system(
    upstream: Window,
    system: Result<Window, Unjudged>,
    by: &str,
    now: Timestamp,
) -> Result<Window, Unjudged> {
    match system {
        Ok(system) if system.verdict(now) == Verdict::Ended => {
            Ok(Window { until: system.until, is_over: system.is_over, by: system.by, ..upstream })
        }
        _ => {
            let reason =
                format!("upstream's last day is {}, until when {by} patches it is not in the table", upstream.upstream);
            Err(Unjudged::beside(&upstream, by, reason))
        }
    }
}

/// A maker who patches longer than upstream, by dates that are not known: sure only while upstream's own run on.
pub(super) fn at_least(upstream: Window, by: &str, now: Timestamp) -> Result<Window, Unjudged> {
    if !upstream.is_over && upstream.days_left(now).is_none_or(|days| days >= SURE) {
        return Ok(Window { by: by.to_owned(), ..upstream }.noted("at least so long"));
    }
    let reason = format!("upstream's last day is {}, how long {by} patches it is not in the table", upstream.upstream);
    Err(Unjudged::beside(&upstream, by, reason))
}
