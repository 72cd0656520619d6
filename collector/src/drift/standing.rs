//! How a host stands, in one word.

use plumb_proto::model::Outcome;

use super::{DriftState, Kind, KnownDrift, Subject};
use crate::view::HostView;

/// The state of a host as `plumb hosts` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All that is watched is known, and as it should be.
    Ok,
    /// Something has drifted.
    Drifting,
    /// Something could not be seen, or nothing was seen yet.
    Unknown,
    /// It does not report.
    Silent,
}

impl Standing {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Drifting => "drifting",
            Self::Unknown => "unknown",
            Self::Silent => "silent",
        }
    }

    /// Of a host with these drifts. The worst that is true: silence hides everything else.
    #[must_use]
    pub fn of(view: &HostView, drifts: &[KnownDrift]) -> Self {
        let mut open = drifts.iter().filter(|each| each.state == DriftState::Open).peekable();
        if open.clone().any(|each| each.drift.kind == Kind::Silent && each.drift.subject == Subject::Host) {
            return Self::Silent;
        }
        if open.peek().is_some() {
            return Self::Drifting;
        }
        let sees = |outcome: Outcome| matches!(outcome, Outcome::Done | Outcome::Absent | Outcome::More);
        let watchers = !view.watchers.is_empty()
            && view
                .watchers
                .values()
                .all(|each| sees(each.outcome) && each.problems.is_empty() && each.complete.is_some());
        let mut rows = view.tables.values().flat_map(|table| table.rows.values());
        let rows = rows.all(|row| row.stale.is_none() && row.fact.unknown.is_empty());
        if watchers && rows { Self::Ok } else { Self::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn what_could_not_be_seen_is_never_ok() {
        let mut view = host();
        assert_eq!(Standing::of(&view, &[]), Standing::Unknown, "nothing was seen yet");
        apply(&mut view, &full("php", 1, "php", &[fact("a", &[])]), at(0));
        assert_eq!(Standing::of(&view, &[]), Standing::Ok);
        apply(&mut view, &delta("php", 2, "php", &[unknown(fact("a", &[]), "binary", "no rights")]), at(1));
        assert_eq!(Standing::of(&view, &[]), Standing::Unknown);
        apply(&mut view, &full("php", 3, "php", &[]), at(2));
        assert_eq!(Standing::of(&view, &[]), Standing::Ok);
        apply(&mut view, &report("php", 4, Outcome::Failed, vec![]), at(3));
        assert_eq!(Standing::of(&view, &[]), Standing::Unknown);
    }
}
