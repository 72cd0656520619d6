//! Which receiver is told of which alert. Pure.

use plumb_proto::model::Severity;

use crate::drift::Kind;
use crate::store::rows::{Alert, Groups};

/// One way from an alert to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Name of the receiver.
    pub receiver: String,
    /// At least this bad.
    pub severity: Severity,
    /// Of these kinds only; empty: all.
    pub kinds: Vec<Kind>,
    /// Of hosts with all these labels only.
    pub groups: Groups,
}

/// All routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// True if `receiver` is to be told. A receiver that no route names is told everything: a forgotten route must not make
    /// it deaf.
    #[must_use]
    pub fn wants(&self, receiver: &str, alert: &Alert) -> bool {
        let mut own = self.0.iter().filter(|route| route.receiver == receiver).peekable();
        own.peek().is_none() || own.any(|route| route.matches(alert))
    }
}

impl Route {
    fn matches(&self, alert: &Alert) -> bool {
        alert.severity >= self.severity
            && self.groups.iter().all(|(name, value)| alert.groups.get(name) == Some(value))
            && (self.kinds.is_empty() || kind(alert).is_none_or(|kind| self.kinds.contains(&kind)))
    }
}

/// The kind of the drift that an alert is about; `None` if it cannot be told, and then it counts as every kind.
fn kind(alert: &Alert) -> Option<Kind> {
    let drift: serde_json::Value = serde_json::from_str(&alert.body).ok()?;
    Kind::parse(drift.get("kind")?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::alert;

    fn route(receiver: &str) -> Route {
        Route { receiver: receiver.to_owned(), severity: Severity::Info, kinds: Vec::new(), groups: Groups::new() }
    }

    #[test]
    fn a_receiver_that_no_route_names_is_told_everything() {
        let routes = Routes(vec![Route { severity: Severity::Critical, ..route("pager") }]);
        assert!(routes.wants("ops", &alert(1, Severity::Info)));
        assert!(!routes.wants("pager", &alert(1, Severity::Warning)));
        assert!(routes.wants("pager", &alert(1, Severity::Critical)));
    }

    #[test]
    fn a_route_asks_for_kind_and_labels() {
        let groups = Groups::from([("client".to_owned(), "acme".to_owned())]);
        let by_group = Routes(vec![Route { groups: groups.clone(), ..route("ops") }]);
        assert!(!by_group.wants("ops", &alert(1, Severity::Info)));
        assert!(by_group.wants("ops", &Alert { groups, ..alert(1, Severity::Info) }));
        let by_kind = Routes(vec![Route { kinds: vec![Kind::Silent], ..route("ops") }]);
        assert!(!by_kind.wants("ops", &alert(1, Severity::Info)));
        let silent = Alert { body: r#"{"kind":"silent"}"#.to_owned(), ..alert(1, Severity::Info) };
        assert!(by_kind.wants("ops", &silent));
    }
}
