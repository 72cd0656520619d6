//! All units of systemd, as one list over the bus tells them.

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::untrusted::Untrusted;

use crate::host::Host;
use crate::host::bus::{Bus, BusError, Unit};

/// Failed units that are told.
const MAX_FAILED: usize = 100;
/// Types of units that start others.
const TRIGGERS: [&str; 3] = ["timer", "path", "socket"];

/// A service that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) active: Untrusted,
    pub(super) sub: Untrusted,
    pub(super) job: Untrusted,
    pub(super) path: String,
    /// It has a file, as far as systemd knows.
    pub(super) has_file: bool,
}

/// A unit that has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) path: String,
    pub(super) result: Option<Untrusted>,
    pub(super) triggered_by: Option<String>,
}

/// What matters of one list.
#[derive(Debug, Default)]
pub(super) struct Units {
    pub(super) services: BTreeMap<String, Loaded>,
    pub(super) failed: BTreeMap<Untrusted, Failed>,
    /// Units that start others: `apt-daily.timer`.
    triggers: BTreeSet<String>,
}

impl Units {
    pub(super) fn take(&mut self, unit: Unit<'_>) {
        // Names are ASCII (systemd.unit(5)); what is not has no rights to be taken for one.
        let (Ok(name), Ok(path)) = (std::str::from_utf8(unit.name), std::str::from_utf8(unit.path)) else { return };
        let Some((_, kind)) = name.rsplit_once('.') else { return };
        if TRIGGERS.contains(&kind) && unit.load == b"loaded" {
            self.triggers.insert(name.to_owned());
        }
        if unit.active == b"failed" && self.failed.len() < MAX_FAILED {
            self.failed.insert(name.into(), Failed { path: path.to_owned(), ..Failed::default() });
        }
        if kind == "service" {
            let loaded = Loaded {
                active: unit.active.into(),
                sub: unit.sub.into(),
                job: unit.job.into(),
                path: path.to_owned(),
                has_file: unit.load == b"loaded",
            };
            self.services.insert(name.to_owned(), loaded);
        }
    }

    /// The unit of the same name that starts it, if there is one.
    pub(super) fn trigger(&self, name: &str) -> Option<String> {
        let stem = name.rsplit_once('.')?.0;
        // An instance is started by the socket or timer of its template, or of its own name.
        let template = stem.split_once('@').map(|(prefix, _)| format!("{prefix}@"));
        let stems =
            [Some(stem.to_owned()), template.clone(), template.map(|each| each.trim_end_matches('@').to_owned())];
        let mut names = stems.into_iter().flatten().flat_map(|stem| TRIGGERS.map(|kind| format!("{stem}.{kind}")));
        names.find(|each| each != name && self.triggers.contains(each))
    }
}

/// Asks for all units.
pub(super) fn list(host: &Host) -> Result<(Bus, Units), BusError> {
    let mut bus = host.bus()?;
    let mut units = Units::default();
    bus.units(&mut |unit| units.take(unit))?;
    Ok((bus, units))
}
