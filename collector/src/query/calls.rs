//! Who may call what: a table from each call to the least role. What is not in it nobody may call.

use crate::store::users::Role;

/// The least role for each call.
pub(super) const CALLS: [(&str, Role); 17] = [
    ("Hosts", Role::Viewer),
    ("Host", Role::Viewer),
    ("Drifts", Role::Viewer),
    ("Facts", Role::Viewer),
    ("Events", Role::Viewer),
    ("Schema", Role::Viewer),
    ("Alerts", Role::Viewer),
    ("Approve", Role::Operator),
    ("RenameHost", Role::Admin),
    ("GroupHost", Role::Admin),
    ("RetireHost", Role::Admin),
    ("RevokeHost", Role::Admin),
    ("TestReceiver", Role::Admin),
    ("Rules", Role::Viewer),
    ("TestPolicy", Role::Operator),
    ("History", Role::Viewer),
    ("Changes", Role::Viewer),
];

/// The calls of those who are limited to a group: each shows and changes nothing but the hosts of that group. A call that is
/// not here is not theirs.
pub(super) const OF_A_GROUP: [&str; 16] = [
    "Hosts",
    "Host",
    "Drifts",
    "Facts",
    "Events",
    "Schema",
    "Alerts",
    "Approve",
    "RenameHost",
    "GroupHost",
    "RetireHost",
    "RevokeHost",
    "Rules",
    "TestPolicy",
    "History",
    "Changes",
];
