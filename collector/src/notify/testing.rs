//! What tests of this folder share.

use plumb_proto::model::Severity;
use plumb_proto::time::Timestamp;

use crate::store::rows::{Alert, Groups, TransitionKind};

/// The moment at which these tests begin: 2026-11-21T10:01:02Z.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_255_262);

/// The first alert of a drift.
pub(crate) fn alert(drift: u64, severity: Severity) -> Alert {
    Alert {
        drift,
        transition: 1,
        kind: TransitionKind::Opened,
        at: START,
        host: "web-1".to_owned(),
        groups: Groups::new(),
        severity,
        body: format!(r#"{{"id":{drift},"kind":"policy"}}"#),
    }
}
