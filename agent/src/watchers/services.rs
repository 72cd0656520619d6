//! Units of systemd: long-running services, and whatever has failed.
//!
//! Two tables, because they are judged in two ways. `service` has what is meant to run all the time; its `active` and
//! `enabled` are compared with the baseline. `failed_unit` has every unit that has failed, of any type (also what a timer
//! runs); it is never compared, a rule judges it. So a service that is stopped is one drift (`changed`), and one that
//! fails is one drift, too (rule `service_failed`): the collector leaves `active` = `failed` to the rule.
//!
//! Not in `service`: what comes and goes by itself. Oneshot units, what a timer, path, socket or D-Bus name starts,
//! instances that nobody enabled, transient units.
//!
//! systemd keeps `/run/systemd/units/invocation:UNIT` while a unit runs, so a look follows each start and stop within a
//! second, and a changed invocation is a restart. All units are listed once a minute, and sooner when something moves.

mod files;
mod known;
mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::model::{ColumnType, Severity, Value};
use plumb_proto::untrusted::Untrusted;

use crate::host::bus::BusError;
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, seconds};
use files::Files;
use known::{Active, Known};
use units::{Failed, list};

/// The watcher `services`.
pub const SPEC: Spec = Spec::new::<Services>(
    "services",
    seconds(10),
    &[&SERVICE, &FAILED_UNIT],
    r#"
# Services that come and go by themselves: their state is not compared (a failure is told nevertheless). `*` stands for
# any text.
ignore = [
    "*getty@*", "autovt@*", "console-getty.service", "fwupd*", "packagekit*", "run-*", "session-*", "snapd*", "sshd@*",
    "systemd-nspawn@*", "user@*", "user-runtime-dir@*", "virt*d.service", "libvirtd.service",
]
"#,
);

/// From one list of all units to the next, if nothing moves.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// Files of units are looked through again after so long, and when their folders change.
const FILES_EVERY: Duration = Duration::from_secs(600);
/// And once more so long after their folders changed.
const AGAIN: Duration = Duration::from_secs(5);
/// systemd is what runs this machine while this is there (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
const SERVICE_INTERFACE: &str = "org.freedesktop.systemd1.Service";
const UNITS: &str = "/run/systemd/units";
const ENABLED: [&str; 2] = ["/etc/systemd/system", "/etc/systemd/system/multi-user.target.wants"];
/// Events of one kind in one look; the last one counts for the rest.
const EVENTS: usize = 20;

/// Services that are meant to run all the time.
const SERVICE: Table = Table {
    name: "service",
    doc: "Services of systemd that are meant to run all the time. Key: the unit.",
    columns: &[
        Column::state(
            "active",
            ColumnType::Text,
            "active, inactive, failed, ...; a restart in between is not told, a failure is judged by a rule.",
        ),
        Column::moving("sub", ColumnType::Text, "The same in the words of services: running, exited, dead, ..."),
        Column::state(
            "enabled",
            ColumnType::Text,
            "Whether it starts with the machine: enabled, enabled-runtime, generated, disabled, static, masked.",
        ),
        Column::moving("restarts", ColumnType::Int, "Restarts since the agent began to watch."),
        Column::moving("recent_restarts", ColumnType::Int, "Restarts within the last ten minutes."),
    ],
};

/// What has failed.
const FAILED_UNIT: Table = Table {
    name: "failed_unit",
    doc: "Units of systemd that have failed, of any type. Key: the unit; the row goes when it runs again or is reset.",
    columns: &[
        Column::moving("result", ColumnType::Text, "Why: exit-code, signal, oom-kill, timeout, start-limit-hit, ..."),
        Column::moving("triggered_by", ColumnType::Text, "The timer, path or socket that runs it, if there is one."),
    ],
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Services {
    ignore: Vec<String>,
    #[serde(skip)]
    files: Files,
    #[serde(skip)]
    known: Known,
    #[serde(skip)]
    failed: BTreeMap<Untrusted, Failed>,
    #[serde(skip)]
    listed: Option<Duration>,
    #[serde(skip)]
    looked_through: Option<Duration>,
    /// The files were looked through while systemd may have been at them.
    #[serde(skip)]
    unsure: bool,
}

impl Watcher for Services {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        let live = look.host.is_live();
        let booted = if live { look.host.stat(BOOTED).is_ok() } else { files::are_there(look.host) };
        if !booted {
            return Ok(Progress::Absent);
        }
        let now = look.host.clock().monotonic();
        let past = |since: Option<Duration>, span: Duration| since.is_none_or(|since| now >= since + span);
        let enabling = look.trigger.iter().any(|path| ENABLED.iter().any(|folder| path.starts_with(folder)));
        let through =
            enabling || past(self.looked_through, FILES_EVERY) || self.unsure && past(self.looked_through, AGAIN);
        if through || past(self.listed, LIST_EVERY) || !look.trigger.is_empty() || self.known.moves(now) {
            // What enables a service also makes systemd read everything anew, with its generators' folders empty for a
            // moment. It answers when it is done; if it had not begun yet, the next look makes up for it.
            let listed = list(look.host);
            if through && matches!(listed, Ok(_) | Err(BusError::Staged)) {
                self.files.look_through(look.host);
                (self.looked_through, self.unsure) = (Some(now), enabling);
            }
            match listed {
                Ok((mut bus, units)) => {
                    self.known.update(look, &mut self.files, &units, &self.ignore, now);
                    let result = &mut |path: &str, of: &str| bus.text(path, of, "Result").ok();
                    self.failed = self.known.failed(look, result, &units);
                    // systemd before 235 does not count.
                    let automatic = &mut |path: &str| bus.number(path, SERVICE_INTERFACE, "NRestarts").ok();
                    self.known.restarts(look, automatic, &units, now);
                    self.listed = Some(now);
                }
                Err(BusError::Staged) => self.known.by_files(look, &mut self.files, &self.ignore),
                Err(error) => {
                    (self.listed, self.unsure) = (None, self.unsure || enabling);
                    return Err(error.into());
                }
            }
            self.known.sample(look);
        }
        self.tell(look, now);
        Ok(Progress::Done)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        std::iter::once(UNITS).chain(ENABLED).map(PathBuf::from).collect()
    }
}

impl Services {
    fn tell(&mut self, look: &mut Look<'_>, now: Duration) {
        for (name, service) in self.known.services(now) {
            let source = service.source.to_string_lossy();
            let restarts = i64::try_from(service.restarts).unwrap_or(i64::MAX);
            let recent = i64::try_from(service.recent.len()).unwrap_or(i64::MAX);
            let fields: &[(&str, Value)] = &[
                ("enabled", service.enabled.into()),
                ("restarts", restarts.into()),
                ("recent_restarts", recent.into()),
            ];
            look.fact(&SERVICE, name.as_str(), &source, fields);
            match &service.active {
                Active::Known { active, sub } => {
                    let fields = [("active", Value::Text(active.clone())), ("sub", Value::Text(sub.clone()))];
                    look.fact(&SERVICE, name.as_str(), &source, &fields);
                }
                Active::Unknown(reason) => look.unknown(&SERVICE, name.as_str(), "active", reason, ""),
            }
        }
        for (name, failed) in &self.failed {
            let mut fields: Vec<(&str, Value)> = Vec::new();
            fields.extend(failed.result.clone().map(|result| ("result", Value::Text(result))));
            fields.extend(failed.triggered_by.clone().map(|by| ("triggered_by", Value::from(by))));
            look.fact(&FAILED_UNIT, name.clone(), "org.freedesktop.systemd1", &fields);
        }
    }
}

/// Tells events of one kind, not too many of them.
fn events(look: &mut Look<'_>, kind: &str, severity: Severity, texts: &[(Untrusted, String)]) {
    for (position, (unit, text)) in texts.iter().take(EVENTS).enumerate() {
        let rest = if position + 1 == EVENTS { texts.len() - EVENTS } else { 0 };
        let now = look.now;
        let event = look.event(now, kind, severity, text.as_str());
        event.fields.insert("unit".to_owned(), Value::Text(unit.clone()));
        event.count += u64::try_from(rest).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests;
