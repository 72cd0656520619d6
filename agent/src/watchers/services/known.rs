//! Services that are watched, from look to look.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::Severity;
use plumb_proto::untrusted::Untrusted;

use super::events;
use super::files::{Files, UnitFile};
use super::units::{Failed, Loaded, Units};
use crate::host::Host;
use crate::host::pattern::matches;
use crate::watcher::Look;

/// Services that were told before: one that is stopped and not enabled is unloaded, and would be gone otherwise.
const CURSOR: &str = "services";
/// Services that are watched.
const MAX_SERVICES: usize = 200;
/// A service that nobody enabled is watched once it has run for so long.
const SETTLED: Duration = Duration::from_secs(600);
/// A start or restart may take so long before it is told.
const PATIENCE: Duration = Duration::from_secs(60);
/// A package manager may take so long between stopping a service and starting it again before that is told.
const UPGRADE: Duration = Duration::from_secs(120);
/// Restarts are recent for so long.
const RECENT: Duration = Duration::from_secs(600);
/// Failed units that are asked why, in one look.
const ASKED: usize = 32;

/// What is said of `active`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Active {
    Known { active: Untrusted, sub: Untrusted },
    Unknown(String),
}

/// A service that is watched.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) source: PathBuf,
    pub(super) enabled: &'static str,
    pub(super) active: Active,
    pub(super) restarts: u64,
    /// When it was restarted of late.
    pub(super) recent: VecDeque<Duration>,
    /// Since when it is being started.
    moving: Option<Duration>,
    /// Since when it does not run because of a package manager.
    replaced: Option<Duration>,
    invocation: Option<PathBuf>,
    automatic: Option<u32>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    services: BTreeMap<String, Service>,
    /// Since when services run that nobody enabled.
    running: BTreeMap<String, Duration>,
    /// Units that had failed in the last list; `None`: there was none.
    failed: Option<BTreeSet<Untrusted>>,
}

impl Known {
    /// True while one is being started or stopped, and a look comes soon to see what became of it.
    pub(super) fn moves(&self, now: Duration) -> bool {
        self.services
            .values()
            .any(|service| service.moving.is_some_and(|since| now < since + 2 * PATIENCE) || service.replaced.is_some())
    }

    /// All of them; restarts that are no longer recent are forgotten.
    pub(super) fn services(&mut self, now: Duration) -> impl Iterator<Item = (&String, &Service)> {
        for service in self.services.values_mut() {
            while service.recent.front().is_some_and(|at| *at + RECENT <= now) {
                service.recent.pop_front();
            }
        }
        self.services.iter()
    }

    /// Takes in a list of units.
    pub(super) fn update(
        &mut self,
        look: &mut Look<'_>,
        files: &mut Files,
        units: &Units,
        ignore: &[String],
        now: Duration,
    ) {
        let stored = look.cursor(CURSOR).unwrap_or_default();
        let told = stored.split(|byte| *byte == b'\n').filter_map(|name| std::str::from_utf8(name).ok());
        let mut names: BTreeSet<String> = files.enabled().into_iter().collect();
        names.extend(told.filter(|name| !name.is_empty()).map(str::to_owned));
        names.extend(self.services.keys().cloned());
        names.extend(self.started(look.host, files, units, stored.is_empty(), now));
        let host = look.host;
        let mut asked = None; // once for all, if at all
        let mut packages_move = || *asked.get_or_insert_with(|| host.packages_move());
        let mut services = std::mem::take(&mut self.services);
        for name in names {
            let watched = is_watched(&name, ignore) && !is_on_demand(&name, files, units);
            let Some(file) = files.get(look.host, &name).filter(|file| watched && file.is_long_running) else {
                continue;
            };
            if self.services.len() >= MAX_SERVICES {
                break;
            }
            let file = file.clone();
            let enabled = files.enablement(look.host, &name, &file);
            let before = services.remove(&name);
            let service = take(before, file, enabled, units.services.get(&name), now).wait(&mut packages_move, now);
            self.services.insert(name, service);
        }
        let told: Vec<&str> = self.services.keys().map(String::as_str).collect();
        let told = told.join("\n").into_bytes();
        if told != stored {
            look.set_cursor(CURSOR, told);
        }
    }

    /// Services that run although nobody enabled them, and that nothing else started. On a host that is `new` to the agent
    /// they are known at once; while one boots, some run that soon end by themselves.
    fn started(&mut self, host: &Host, files: &mut Files, units: &Units, new: bool, now: Duration) -> Vec<String> {
        let first = self.failed.is_none() && new;
        let mut running = BTreeMap::new();
        for (name, loaded) in &units.services {
            let runs = loaded.sub.as_bytes() == b"running" && loaded.has_file && !name.contains('@');
            if !runs || units.trigger(name).is_some() || files.is_enabled(name) {
                continue;
            }
            let Some(file) = files.get(host, name) else { continue };
            if file.is_long_running && !file.is_on_bus && !file.path.starts_with("/run/systemd/transient") {
                running.insert(name.clone(), self.running.get(name).copied().unwrap_or(now));
            }
        }
        self.running = running;
        self.running
            .iter()
            .filter(|(_, since)| first || now >= **since + SETTLED)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Services of a host in a folder: which are enabled is all that files say.
    pub(super) fn by_files(&mut self, look: &Look<'_>, files: &mut Files, ignore: &[String]) {
        for name in files.enabled().into_iter().filter(|name| is_watched(name, ignore)) {
            let Some(file) = files.get(look.host, &name).filter(|file| file.is_long_running).cloned() else { continue };
            let enabled = files.enablement(look.host, &name, &file);
            let mut service = take(None, file, enabled, None, Duration::ZERO);
            service.active = Active::Unknown("comes over the system bus, which is not asked under --root".to_owned());
            self.services.insert(name, service);
        }
    }

    /// Counts restarts: one for each new invocation, more if systemd itself says so; `ask` answers how often the unit
    /// with that path was restarted by systemd.
    pub(super) fn restarts(
        &mut self,
        look: &mut Look<'_>,
        ask: &mut dyn FnMut(&str) -> Option<u32>,
        units: &Units,
        now: Duration,
    ) {
        let mut told = Vec::new();
        for (name, service) in &mut self.services {
            // The link is there while it runs; what is gone may come back with another text.
            let Ok(invocation) = look.host.read_link(Path::new(super::UNITS).join(format!("invocation:{name}"))) else {
                continue;
            };
            if service.invocation.as_ref() == Some(&invocation) {
                continue;
            }
            let path = units.services.get(name).map_or("", |loaded| loaded.path.as_str());
            let automatic = ask(path);
            if service.invocation.replace(invocation).is_some() {
                let more = automatic.zip(service.automatic).map_or(0, |(now, before)| now.saturating_sub(before));
                let count = more.clamp(1, 100);
                service.restarts += u64::from(count);
                service.recent.extend((0..count).map(|_| now));
                told.push((Untrusted::from(name.as_str()), format!("{name} was started anew")));
            }
            service.automatic = automatic;
        }
        events(look, "service_restarted", Severity::Info, &told);
    }

    /// What has failed, and why; an event for each that had not failed before. `ask` answers the result of the unit with
    /// that path and interface.
    pub(super) fn failed(
        &mut self,
        look: &mut Look<'_>,
        ask: &mut dyn FnMut(&str, &str) -> Option<Untrusted>,
        units: &Units,
    ) -> BTreeMap<Untrusted, Failed> {
        let mut failed = units.failed.clone();
        let mut told = Vec::new();
        for (position, (unit, each)) in failed.iter_mut().enumerate() {
            let name = unit.to_string();
            each.triggered_by = units.trigger(&name);
            if position < ASKED {
                each.result = interface(&name).and_then(|interface| ask(&each.path, &interface));
            }
            if self.failed.as_ref().is_some_and(|before| !before.contains(unit)) {
                let result = each.result.as_ref().map_or_else(|| "no reason told".to_owned(), ToString::to_string);
                told.push((unit.clone(), format!("{name} has failed: {result}")));
            }
        }
        events(look, "service_failed", Severity::Warning, &told);
        self.failed = Some(failed.keys().cloned().collect());
        failed
    }

    /// A series for each service that was restarted.
    pub(super) fn sample(&self, look: &mut Look<'_>) {
        for (name, service) in self.services.iter().filter(|(_, service)| service.restarts > 0) {
            #[allow(clippy::cast_precision_loss)] // far below 2^53
            look.counter("service_restarts_total", &[("service", name)], service.restarts as f64);
        }
    }
}

/// The interface of a unit's own type: `org.freedesktop.systemd1.Mount`.
fn interface(name: &str) -> Option<String> {
    let kind = name.rsplit_once('.')?.1;
    let first = kind.get(..1)?.to_ascii_uppercase();
    Some(format!("org.freedesktop.systemd1.{first}{}", kind.get(1..)?))
}

fn is_watched(name: &str, ignore: &[String]) -> bool {
    !ignore.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
}

/// A timer or path starts it, or a socket does and nobody enabled it.
fn is_on_demand(name: &str, files: &Files, units: &Units) -> bool {
    units.trigger(name).is_some_and(|by| !by.ends_with(".socket") || !files.is_enabled(name))
}

fn take(
    known: Option<Service>,
    file: UnitFile,
    enabled: &'static str,
    loaded: Option<&Loaded>,
    now: Duration,
) -> Service {
    let before = known.as_ref().map(|service| (service.active.clone(), service.moving));
    let ran = known.as_ref().is_some_and(|service| service.active.is(b"active"));
    let service = known.unwrap_or_else(|| Service {
        source: PathBuf::new(),
        enabled,
        active: Active::Unknown(String::new()),
        restarts: 0,
        recent: VecDeque::new(),
        moving: None,
        replaced: None,
        invocation: None,
        automatic: None,
    });
    let (active, moving) = active(before, loaded, now);
    let stops = active.is(b"inactive") || active.is(b"deactivating");
    let replaced = service.replaced.or(ran.then_some(now)).filter(|_| stops);
    Service { source: file.path, enabled, active, moving, replaced, ..service }
}

impl Active {
    fn is(&self, word: &[u8]) -> bool {
        matches!(self, Self::Known { active, .. } if active.as_bytes() == word)
    }
}

impl Service {
    /// Package managers stop a service, replace it, and start it again: until then it is not known what becomes of it.
    fn wait(mut self, packages_move: &mut dyn FnMut() -> bool, now: Duration) -> Self {
        self.replaced = self.replaced.filter(|since| now < *since + UPGRADE && packages_move());
        if self.replaced.is_some() {
            self.active = Active::Unknown("it does not run, but a package manager is at work".to_owned());
        }
        self
    }
}

/// While a service is being started or restarted, what it was stands; a restart is over in a moment, and one that is not
/// is told as it is.
fn active(
    before: Option<(Active, Option<Duration>)>,
    loaded: Option<&Loaded>,
    now: Duration,
) -> (Active, Option<Duration>) {
    let Some(loaded) = loaded else {
        return (Active::Known { active: "inactive".into(), sub: "dead".into() }, None); // not loaded: it does not run
    };
    let is = match loaded.active.as_bytes() {
        b"reloading" | b"refreshing" => Untrusted::from("active"),
        _ => loaded.active.clone(),
    };
    let starts = is.as_bytes() == b"activating" || !matches!(loaded.job.as_bytes(), b"" | b"stop" | b"nop");
    let moves = starts || is.as_bytes() == b"deactivating" || !loaded.job.is_empty();
    let since = moves.then(|| before.as_ref().and_then(|(_, since)| *since).unwrap_or(now));
    let patient = since.is_some_and(|since| now < since + PATIENCE);
    let told = Active::Known { active: is, sub: loaded.sub.clone() };
    match before {
        Some((known @ Active::Known { .. }, _)) if starts && patient => (known, since),
        _ if starts && patient => (Active::Unknown(format!("it is being started ({})", loaded.active)), since),
        _ => (told, since),
    }
}

#[cfg(test)]
mod tests;
