//! New settings for an observer at work. The state, what is pending and the connection stay as they are, and a watcher whose
//! settings are the same goes on where it was; the others begin anew, as after a start. With a mistake in the settings
//! nothing changes but what the agent says of itself (reliability F34).

use std::time::Duration;

use plumb_proto::model::{Outcome, Report, Severity};

use super::commit::declaration;
use super::look::Running;
use super::problems::failed;
use super::schedule::Schedule;
use super::wake::Wake;
use super::{Assigned, Observer};
use crate::state::State;
use crate::watcher::Spec;

/// What becomes of a watcher.
pub enum Change {
    /// It goes on: its settings are the same.
    Keep(&'static str),
    /// It begins anew, or for the first time.
    Take(Assigned),
}

/// What can change without a restart.
pub struct Changes {
    /// All that observe from now on.
    pub watchers: Vec<Change>,
    /// Age at which a record of samples is closed.
    pub record_every: Duration,
    /// Part of one processor that may be used.
    pub cpu_share: f64,
    /// Bytes of records, at most.
    pub bound: u64,
    /// What was changed and only holds after a restart.
    pub later: Option<String>,
}

/// File events for all, or why there are none.
pub(super) fn listen() -> (Option<Wake>, Option<String>) {
    match Wake::new() {
        Ok(wake) => (Some(wake), None),
        Err(error) => (None, Some(format!("inotify: {error}"))),
    }
}

impl Observer {
    /// Settings are being read again.
    pub fn reloading(&self) {
        self.life.manager.reloading();
    }

    /// Takes new settings over, or tells why those before still hold.
    pub fn reload(&mut self, settings: Result<Changes, String>) {
        let now = self.clock.monotonic();
        self.refused = None;
        match settings {
            Ok(settings) => {
                let text = match &settings.later {
                    Some(later) => format!("the configuration was read again; {later}"),
                    None => "the configuration was read again".to_owned(),
                };
                self.take_over(settings, now);
                tracing::info!("{text}");
                self.announce("configuration_reloaded", Severity::Info, &text);
            }
            Err(why) => {
                let text = format!("the configuration is not taken over, the one before holds: {why}");
                tracing::error!("{text}");
                self.announce("configuration_refused", Severity::Warning, &text);
                self.refused = Some(why);
            }
        }
        self.next_status = now;
    }

    fn take_over(&mut self, settings: Changes, now: Duration) {
        // What has happened to files so far is noted by those who go on, before their watches are replaced.
        self.deaf = now;
        self.hear(now);
        let Changes { watchers, record_every, cpu_share, bound, later: _ } = settings;
        self.record_every = record_every;
        self.budget.allow(cpu_share);
        self.options.bound = bound;
        if let Some(state) = &mut self.state {
            state.bound(bound);
        }
        let mut before: Vec<Option<Running>> = std::mem::take(&mut self.watchers).into_iter().map(Some).collect();
        let slots = std::mem::take(&mut self.schedule);
        let (wake, asleep) = listen();
        (self.wake, self.asleep) = (wake, asleep);
        let name = self.host.name().unwrap_or_default();
        let own = before.len().saturating_sub(1); // the agent itself is the last on the list
        let own = before.get(own).and_then(|own| Some(Change::Keep(own.as_ref()?.spec.name)));
        for change in watchers.into_iter().chain(own) {
            match change {
                Change::Take(assigned) => {
                    self.schedule.add(&name, assigned.spec.name, assigned.every, now);
                    self.watchers.push(Running::new(assigned));
                }
                Change::Keep(name) => self.keep(name, &mut before, &slots),
            }
        }
        for gone in before.into_iter().flatten() {
            self.switched_off(&gone.spec, now);
        }
        self.took_up(None);
    }

    /// What a watcher has told is unknown from the moment at which it looks no more.
    fn switched_off(&mut self, spec: &Spec, now: Duration) {
        if self.watchers.iter().any(|running| running.spec.name == spec.name) {
            return; // it begins anew
        }
        let declared = |state: &State| spec.tables.iter().all(|table| state.declares(&declaration(table)));
        if !self.state.as_ref().is_some_and(declared) {
            return; // it has told nothing yet
        }
        self.looks += 1;
        let report = Report {
            watcher: spec.name.to_owned(),
            look: self.looks,
            at: self.clock.now(),
            outcome: Outcome::Failed,
            slices: Vec::new(),
            events: Vec::new(),
            problems: failed(spec, "switched off in the configuration", ""),
        };
        self.pending.report(report, false, now);
    }

    /// Lets a watcher go on in its new place.
    fn keep(&mut self, name: &str, before: &mut [Option<Running>], slots: &Schedule) {
        let is_it = |running: &Option<Running>| running.as_ref().is_some_and(|running| running.spec.name == name);
        let Some(old) = before.iter().position(is_it) else { return };
        let Some(running) = before.get_mut(old).and_then(Option::take) else { return };
        let place = self.watchers.len();
        self.schedule.carry(slots, old);
        // One that has never looked asks for nothing yet.
        if let Some(wake) = self.wake.as_mut().filter(|_| running.looked.is_some()) {
            wake.ask(&self.host, place, running.wake_on());
        }
        self.watchers.push(running);
    }
}
