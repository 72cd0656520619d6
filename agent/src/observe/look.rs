//! One look: a watcher is asked, and what it says becomes a report.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::limits;
use plumb_proto::model::{Event, Outcome, Problem, Report, Severity};
use plumb_proto::time::Timestamp;

use super::delta::Delta;
use super::problems::{bounded, covered, failed};
use super::stored::Committed;
use super::{Assigned, Observer};
use crate::host::grant::count;
use crate::state::State;
use crate::watcher::{Look, Progress, Spec, Told, Watcher};

/// A watcher that is held back looks whether it may go on so often.
const HELD: Duration = Duration::from_secs(10);

/// A watcher at work.
pub(super) struct Running {
    pub(super) spec: Spec,
    pub(super) every: Duration,
    watcher: Box<dyn Watcher>,
    pub(super) delta: Delta,
    /// A look that goes on.
    look: Option<Begun>,
    trigger: Vec<PathBuf>,
    /// Its bell was heard, and it has not looked since.
    rung: bool,
    /// What the last report said of itself.
    said: Option<(Outcome, Vec<Problem>)>,
    pub(super) looked: Option<Timestamp>,
    /// What the last look was denied for want of a right, by capability.
    pub(super) withheld: BTreeMap<String, usize>,
    /// Processor time that its looks have taken since the start.
    pub(super) used: Duration,
}

struct Begun {
    number: u64,
    slices: u32,
    problems: Vec<Problem>,
    withheld: BTreeMap<String, usize>,
}

impl Running {
    pub(super) fn new(assigned: Assigned) -> Self {
        let Assigned { spec, every, watcher } = assigned;
        let delta = Delta::new(spec.tables);
        Self {
            spec,
            every,
            watcher,
            delta,
            look: None,
            trigger: Vec::new(),
            rung: false,
            said: None,
            looked: None,
            withheld: BTreeMap::new(),
            used: Duration::ZERO,
        }
    }

    /// Notes what brings its look forward.
    pub(super) fn trigger(&mut self, path: PathBuf) {
        if !self.trigger.contains(&path) {
            self.trigger.push(path);
        }
    }

    /// Its bell, unless it was heard already.
    pub(super) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.bell().filter(|_| !self.rung)
    }

    /// Paths whose change brings its look forward.
    pub(super) fn wake_on(&self) -> Vec<PathBuf> {
        self.watcher.wake_on()
    }

    /// Whether a look goes on that is longer than a slice.
    pub(super) fn goes_on(&self) -> bool {
        self.look.is_some()
    }

    /// Its bell was heard.
    pub(super) fn heard(&mut self) {
        self.rung = true;
    }

    /// How its last look ended, and what it could not see.
    pub(super) fn said(&self) -> Option<&(Outcome, Vec<Problem>)> {
        self.said.as_ref()
    }
}

impl Observer {
    /// Lets a watcher look for a slice of time.
    pub(super) fn look(&mut self, place: usize, now: Duration) {
        let (Some(running), Some(state)) = (self.watchers.get(place), self.state.as_ref()) else { return };
        let name = running.spec.name;
        if running.spec.cursor && state.is_tight() {
            return self.schedule.put_off(place, now + HELD);
        }
        if self.breadcrumb.skipped(name, state.age(now)).is_some() {
            return self.skip(place, now);
        }
        self.begin(place);
        let (Some(running), Some(state)) = (self.watchers.get_mut(place), self.state.as_ref()) else { return };
        let trigger = std::mem::take(&mut running.trigger);
        running.rung = false;
        let at = self.clock.now();
        let broken = RefCell::new(None);
        let stored = Committed { pending: &self.pending, state, watcher: name, broken: &broken };
        let mut look = Look::new(&self.host, at, &trigger, &stored);
        // Records that were committed meanwhile, and the status, are paid for with the next look, and are not its cost.
        let before = self.budget.unpaid();
        self.breadcrumb.enter(name);
        let polled = running.watcher.poll(&mut look);
        self.breadcrumb.leave();
        let told = look.into_short();
        if let Some(error) = broken.take() {
            // It went by a cursor that could not be read, so what it says is worth nothing.
            running.look = None;
            running.delta.forget();
            return self.mend(error, now);
        }
        self.take(place, at, polled, told);
        if let Some(running) = self.watchers.get_mut(place) {
            running.used += self.budget.unpaid().saturating_sub(before);
        }
        self.budget.pay(self.clock.monotonic());
    }

    /// Makes a report of what was told.
    fn take(&mut self, place: usize, at: Timestamp, polled: anyhow::Result<Progress>, told: Told) {
        let now = self.clock.monotonic();
        let Some(running) = self.watchers.get_mut(place) else { return };
        let Some(begun) = &mut running.look else { return };
        let Told { mut facts, same, samples, events, problems, cursors, kept, urgent } = told;
        facts.extend(running.delta.stands(same));
        let reasons = facts.iter().flat_map(|(_, fact)| fact.unknown.values());
        let hints = problems.iter().map(|problem| &problem.hint);
        count(&mut begun.withheld, reasons.chain(hints).map(String::as_str));
        begun.problems.extend(problems);
        let number = begun.number;
        let first = begun.slices == 0;
        begun.slices += 1;
        let more = matches!(polled, Ok(Progress::More));
        let (outcome, slices, problems) = match polled {
            Ok(Progress::More) => (Outcome::More, running.delta.tell(facts, None), Vec::new()),
            Ok(Progress::Done) => {
                let mut problems = bounded(std::mem::take(&mut begun.problems), &running.spec);
                // Rows under a problem that is over are told again: they were unknown meanwhile, or are gone.
                let cleared =
                    running.said.iter().flat_map(|(_, before)| before).any(|before| !covered(before, &problems));
                if cleared {
                    running.delta.forget();
                    match first {
                        true => running.delta.begin(),
                        false => self.schedule.go_on(place, now), // too late for this look
                    }
                }
                let slices = running.delta.tell(facts, Some(&problems));
                if cleared && !first {
                    running.delta.forget();
                }
                let over = running.delta.overflowed().map(|table| Problem {
                    table: table.name.to_owned(),
                    key_prefix: "".into(),
                    path: "".into(),
                    error: format!("there are more rows than {}, the rest is not told", limits::TABLE_ROWS),
                    hint: String::new(),
                });
                problems.extend(over);
                (Outcome::Done, slices, problems)
            }
            Ok(Progress::Absent) => {
                running.delta.absent();
                (Outcome::Absent, Vec::new(), bounded(std::mem::take(&mut begun.problems), &running.spec))
            }
            Err(error) => {
                running.delta.forget();
                (Outcome::Failed, Vec::new(), failed(&running.spec, &format!("{error:#}"), ""))
            }
        };
        let name = running.spec.name;
        running.looked = Some(at);
        let said = Some((outcome, problems.clone()));
        let repeats = slices.is_empty() && events.is_empty() && (more || running.said == said);
        if !more {
            running.withheld = running.look.take().map(|begun| begun.withheld).unwrap_or_default();
            running.said = said;
        }
        let paths = (!more).then(|| running.watcher.wake_on());
        if !(more && repeats) {
            let report = Report { watcher: name.to_owned(), look: number, at, outcome, slices, events, problems };
            self.pending.report(report, repeats, now);
        }
        self.keep_samples(name, at, samples, now);
        self.pending.cursors(name, cursors);
        if urgent {
            self.pending.hurry(now);
        }
        self.pending.kept(name, kept, now);
        if let (Some(wake), Some(paths)) = (&mut self.wake, paths) {
            wake.ask(&self.host, place, paths);
        }
        if more {
            self.schedule.go_on(place, now);
        } else {
            self.breadcrumb.finished(name);
            self.schedule.looked(place, now);
            if let Some(soon) = self.watchers.get(place).and_then(|running| running.watcher.again()) {
                self.schedule.bring_forward(place, now + soon);
            }
        }
    }

    fn keep_samples(
        &mut self,
        watcher: &'static str,
        at: Timestamp,
        samples: Vec<(plumb_proto::model::Series, plumb_proto::model::MetricType, f64)>,
        now: Duration,
    ) {
        let (known, fresh) = (self.state.as_ref(), self.pending.series());
        // Those that are written and those that are pending overlap; what counts is that there is room for all.
        let declared = known.map_or(0, State::series);
        let mut added = 0;
        let mut refused = 0;
        self.pending.samples(watcher, at, samples, now, &mut |series| {
            if known.is_some_and(|state| state.knows(series)) {
                return true;
            }
            let fits = declared.max(fresh) + added < limits::SERIES;
            added += usize::from(fits);
            refused += usize::from(!fits);
            fits
        });
        if refused > 0 && !std::mem::replace(&mut self.series_full, true) {
            let text =
                format!("{watcher} has more series than the {} of a host: {refused} are not kept", limits::SERIES);
            self.announce("series_limit", Severity::Warning, &text);
        }
    }

    /// Leaves a watcher alone that was looking when the agent died, three times in a row.
    fn skip(&mut self, place: usize, now: Duration) {
        let at = self.clock.now();
        let Some(running) = self.watchers.get_mut(place) else { return };
        self.looks += 1;
        let why = "left alone for a day: the agent died three times while this watcher looked";
        let problems = failed(&running.spec, why, "look at the agent's log, and report it");
        running.delta.forget();
        running.looked = Some(at);
        let said = Some((Outcome::Failed, problems.clone()));
        let repeats = running.said == said;
        running.said = said;
        let report = Report {
            watcher: running.spec.name.to_owned(),
            look: self.looks,
            at,
            outcome: Outcome::Failed,
            slices: Vec::new(),
            events: Vec::new(),
            problems,
        };
        self.pending.report(report, repeats, now);
        self.schedule.looked(place, now);
    }

    /// Tells an event of the agent's own, with a look at the agent.
    pub(super) fn announce(&mut self, kind: &str, severity: Severity, text: &str) {
        let at = self.clock.now();
        let Some(place) = self.watchers.len().checked_sub(1) else { return }; // the agent is the last on the list
        self.begin(place);
        let Some(running) = self.watchers.get_mut(place) else { return };
        let nothing = |_: &str| -> Option<Vec<u8>> { None };
        let mut look = Look::new(&self.host, at, &[], &nothing);
        let polled = running.watcher.poll(&mut look);
        let mut told = look.into_told();
        let fields = [].into();
        let text = text.into();
        told.events.push(Event { at, kind: kind.to_owned(), severity, text, fields, count: 1 });
        self.take(place, at, polled, told);
    }

    /// Begins a look, unless one goes on.
    fn begin(&mut self, place: usize) {
        if let Some(running) = self.watchers.get_mut(place).filter(|running| running.look.is_none()) {
            self.looks += 1;
            running.look =
                Some(Begun { number: self.looks, slices: 0, problems: Vec::new(), withheld: BTreeMap::new() });
            running.delta.begin();
        }
    }

    /// Everything is told in full again, soon.
    pub(super) fn tell_all(&mut self, now: Duration) {
        for (place, running) in self.watchers.iter_mut().enumerate() {
            running.look = None;
            running.said = None;
            running.delta.forget();
            self.schedule.go_on(place, now);
        }
    }
}
