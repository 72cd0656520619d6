//! The watcher that looks at the agent itself: which version it is and what it has locked itself out of.

use plumb_proto::model::{ColumnType, Value};

use crate::sandbox::Locked;
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, minutes};

/// One row: this agent.
pub static AGENT: Table = Table {
    name: "agent",
    doc: "The agent on this host; the key is always \"agent\".",
    columns: &[
        Column::moving("version", ColumnType::Version, "Version of plumb-agent"),
        Column::state(
            "seccomp",
            ColumnType::Text,
            "Whether it cannot start programs or change the system: on, or why not",
        ),
        Column::state("landlock", ColumnType::Text, "Whether it can write to its own folder only: on, or why not"),
    ],
};

const TABLES: &[&Table] = &[&AGENT];

/// Name of this watcher, which needs no configuration.
pub const NAME: &str = "agent";

/// See the module.
#[derive(serde::Deserialize)]
pub struct Own {
    #[serde(skip)]
    locked: Option<Locked>,
}

impl Own {
    /// Its place on the list.
    pub const SPEC: Spec = Spec::new::<Own>(NAME, minutes(10), TABLES, "");

    /// With what came of locking.
    #[must_use]
    pub fn new(locked: Locked) -> Self {
        Self { locked: Some(locked) }
    }
}

impl Watcher for Own {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let version = Value::Version(plumb_proto::VERSION.into());
        look.fact(&AGENT, NAME, "plumb-agent", &[("version", version)]);
        if let Some(locked) = &self.locked {
            let locks = [("seccomp", &locked.seccomp), ("landlock", &locked.landlock)];
            for (column, lock) in locks {
                look.fact(&AGENT, NAME, "plumb-agent", &[(column, Value::from(lock.to_string()))]);
            }
        }
        Ok(Progress::Done)
    }
}
