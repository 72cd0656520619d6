//! Hosts and watchers that have stopped reporting.
//!
//! How long a host has been quiet is measured by the collector on its monotonic clock, and handed in: a jump of wall time,
//! here or there, silences nobody. Watchers are judged against each other: one that has not looked while the others
//! of its host have.

use std::time::Duration;

use plumb_proto::model::{Outcome, Severity};
use plumb_proto::time::Timestamp;

use crate::drift::text::{clip, said};
use crate::drift::{Drift, Kind, Subject, Verdict, identity};
use crate::store::rows::HostState;
use crate::view::{HostView, WatcherView};

/// Name of the rule that its drifts carry.
pub const RULE: &str = "silent";

/// After how much quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// A host that was not heard of for so long is silent. Samples are sent once a minute.
    pub host: Duration,
    /// A watcher that did not look for so long, while others of its host did, has stopped.
    pub watcher: Duration,
    /// A watcher whose looks have failed for so long is told.
    pub failing: Duration,
}

impl Default for Silent {
    fn default() -> Self {
        Self { host: Duration::from_secs(150), watcher: Duration::from_secs(3600), failing: Duration::from_secs(600) }
    }
}

impl Silent {
    /// Judges whether a host and its watchers speak. `quiet`: how long the host was not heard of.
    #[must_use]
    pub fn judge(&self, view: &HostView, quiet: Duration, now: Timestamp) -> Vec<Verdict> {
        let host = identity(&view.host.id, Kind::Silent, RULE, &Subject::Host);
        match view.host.state {
            HostState::Active => {}
            HostState::Suspended => return vec![Verdict::Unknown(host, "the host is suspended".to_owned())],
            HostState::Revoked | HostState::Retired => return vec![Verdict::Moot(host)],
        }
        if quiet >= self.host {
            let told = view.host.last_seen.map_or_else(|| "never".to_owned(), |at| at.to_string());
            let mut drift =
                self.drift(view, Subject::Host, Severity::Critical, format!("{} is silent", view.host.name));
            drift.actual = Some(format!("last heard of: {told}"));
            drift.expected = Some(format!("a record at least every {} s", self.host.as_secs()));
            drift.hint =
                Some("is the host up, its agent running, and the collector's port reachable from it?".to_owned());
            drift.since = Some(view.host.last_seen.unwrap_or(view.host.enrolled).min(now));
            return vec![Verdict::Drift(Box::new(drift))]; // of its watchers nothing is known now
        }
        let newest = view.watchers.values().map(|watcher| watcher.at).max();
        let watchers = view.watchers.iter().map(|(name, watcher)| self.judge_watcher(view, name, watcher, newest));
        std::iter::once(Verdict::Holds(host)).chain(watchers).collect()
    }

    fn judge_watcher(&self, view: &HostView, name: &str, watcher: &WatcherView, newest: Option<Timestamp>) -> Verdict {
        let subject = Subject::Watcher(name.to_owned());
        let behind = newest.map_or(Duration::ZERO, |newest| newest.since(watcher.at));
        if behind >= self.watcher {
            let title = format!("watcher {} has stopped looking", clip(name));
            let mut drift = self.drift(view, subject, Severity::Warning, title);
            drift.actual = Some(format!("last looked at {}", watcher.at));
            drift.hint = Some("`plumb-agent status` on the host tells what it is doing".to_owned());
            drift.since = Some(watcher.at);
            return Verdict::Drift(Box::new(drift));
        }
        if watcher.outcome != Outcome::Failed {
            return Verdict::Holds(identity(&view.host.id, Kind::Silent, RULE, &subject));
        }
        let why = watcher.problems.first();
        let mut drift = self.drift(view, subject, Severity::Warning, format!("watcher {} fails", clip(name)));
        drift.actual = Some(why.map_or_else(|| "its look broke off".to_owned(), |why| said(&why.error)));
        drift.hint = why.map(|why| said(&why.hint)).filter(|hint| !hint.is_empty());
        drift.hold = self.failing;
        Verdict::Drift(Box::new(drift))
    }

    fn drift(&self, view: &HostView, subject: Subject, severity: Severity, title: String) -> Drift {
        Drift {
            identity: identity(&view.host.id, Kind::Silent, RULE, &subject),
            host: view.host.id,
            kind: Kind::Silent,
            severity,
            subject,
            rule: RULE.to_owned(),
            title,
            expected: None,
            actual: None,
            cause: None,
            hint: None,
            hold: Duration::ZERO,
            calm: Duration::ZERO,
            since: None,
        }
    }
}
