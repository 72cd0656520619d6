//! The half that looks: what is due looks, pays for it, and what is new goes into the record that is being filled. Plain
//! and blocking on one thread; [`Observer::step`] does the next thing and says when to come again, so tests drive it on
//! a clock of their own, and [`Observer::run`] on the system's.

mod account;
mod answer;
pub mod breadcrumb;
pub mod budget;
mod commit;
pub mod delta;
mod life;
mod listen;
mod look;
pub mod own;
pub mod pending;
mod problems;
pub mod reload;
pub mod schedule;
pub mod split;
mod stored;
#[cfg(test)]
mod tests;
pub mod wake;

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use plumb_proto::model::Severity;
use plumb_proto::record::Moment;
use plumb_proto::time::{Clock, Timestamp};

use crate::host::Host;
use crate::link::ObserveEnd;
use crate::sandbox::Locked;
use crate::state::frames::{LinkState, ToDeliver};
use crate::state::{self, State, StateError};
use crate::watcher::{Spec, Watcher};
use breadcrumb::Breadcrumb;
use budget::Budget;
use look::Running;
use own::Own;
use pending::Pending;
use schedule::Schedule;
use wake::Wake;

/// A change waits so long, at most, for looks that are due as well.
const TOGETHER: Duration = Duration::from_millis(500);
/// The status file is written so often.
const STATUS: Duration = Duration::from_secs(10);

/// A watcher with its rhythm.
pub struct Assigned {
    /// How it is on the list.
    pub spec: Spec,
    /// Time from one look to the next.
    pub every: Duration,
    /// Itself.
    pub watcher: Box<dyn Watcher>,
}

/// What an observer is made of.
pub struct Options {
    /// The host that is observed.
    pub host: Host,
    /// Who observes it.
    pub watchers: Vec<Assigned>,
    /// Where what is seen is kept.
    pub state: state::Options,
    /// Age at which a record of samples is closed.
    pub record_every: Duration,
    /// Part of one processor that may be used.
    pub cpu_share: f64,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Processor time of the calling thread: [`crate::host::sys::thread_cpu_time`].
    pub meter: fn() -> Duration,
    /// The way to deliver.
    pub link: ObserveEnd,
    /// What came of locking the process up.
    pub locked: Locked,
}

/// See the module.
pub struct Observer {
    host: Host,
    clock: Arc<dyn Clock>,
    link: ObserveEnd,
    life: life::Life,
    watchers: Vec<Running>,
    schedule: Schedule,
    budget: Budget,
    wake: Option<Wake>,
    /// Why there are no file events at all.
    asleep: Option<String>,
    /// Before then file events are left in the kernel, so that a storm of them costs little.
    deaf: Duration,
    breadcrumb: Breadcrumb,
    pending: Pending,
    record_every: Duration,
    /// `None` while it could not be opened again.
    state: Option<State>,
    options: state::Options,
    waiting: Option<commit::Waiting>,
    wants: answer::Wants,
    connection: LinkState,
    refused_acks: u64,
    looks: u64,
    /// Told once that there are too many series.
    series_full: bool,
    boot: Boot,
    locked: Locked,
    /// Why new settings were not taken over, if they were not.
    refused: Option<String>,
    started: Timestamp,
    next_status: Duration,
    heap: account::Heap,
}

/// When this machine started, as far as it tells.
struct Boot {
    id: [u8; 16],
    /// Time since then, at monotonic time zero of our clock.
    offset: Duration,
}

impl Observer {
    /// Opens the state and makes everything ready for the first look. The monotonic time of the clock may be anything.
    ///
    /// # Errors
    /// The state folder cannot be used, or another agent uses it. A full disk is no error: it waits.
    pub fn open(options: Options) -> anyhow::Result<Self> {
        let Options { host, watchers, state, record_every, cpu_share, clock, meter, link, locked } = options;
        let now = clock.monotonic();
        let opened = match State::open(state.clone(), now) {
            Err(StateError::DiskFull) => None,
            other => Some(other?),
        };
        let host = host.without(&state.folder);
        let name = host.name().unwrap_or_default();
        let mut schedule = Schedule::default();
        let own = Assigned { spec: Own::SPEC, every: Own::SPEC.every, watcher: Box::new(Own::new(locked.clone())) };
        let watchers: Vec<Running> = watchers.into_iter().chain([own]).map(Running::new).collect();
        for running in &watchers {
            schedule.add(&name, running.spec.name, running.every, now);
        }
        let (wake, asleep) = reload::listen();
        let age = opened.as_ref().map_or(Duration::ZERO, |state| state.age(now));
        let mut observer = Self {
            boot: Boot::of(&host, now),
            started: clock.now(),
            budget: Budget::new(cpu_share, meter),
            life: life::Life::default(),
            breadcrumb: Breadcrumb::open(&state.folder, age),
            looks: opened.as_ref().map_or(0, State::look),
            pending: Pending::default(),
            waiting: None,
            wants: answer::Wants::default(),
            connection: LinkState::NotEnrolled,
            refused_acks: 0,
            series_full: false,
            refused: None,
            deaf: Duration::ZERO,
            next_status: now,
            heap: account::Heap::default(),
            state: opened,
            options: state,
            host,
            clock,
            link,
            watchers,
            schedule,
            wake,
            asleep,
            record_every,
            locked,
        };
        match observer.state.as_ref().map(|state| state.begins().cloned()) {
            Some(begins) => observer.took_up(begins),
            None => observer.wait_for(&StateError::DiskFull, now),
        }
        let version = plumb_proto::VERSION;
        observer.announce("agent_started", Severity::Info, &format!("plumb-agent {version} started"));
        Ok(observer)
    }

    /// Does what is due, at most one look, and answers the monotonic time at which something is due next.
    pub fn step(&mut self) -> Duration {
        let now = self.clock.monotonic();
        self.live();
        self.answer(now);
        self.hear(now);
        match &self.waiting {
            Some(waiting) if waiting.retry <= now => self.close(now),
            Some(_) => {}
            None => {
                if self.budget.rested() <= now
                    && let Some(watcher) = self.schedule.due(now)
                {
                    self.look(watcher, now);
                }
                // Time has passed meanwhile, and the record that is ready need not wait for the next step.
                let now = self.clock.monotonic();
                if self.closes_at(now).is_some_and(|at| at <= now) {
                    self.close(now);
                }
            }
        }
        self.write_status(now);
        self.live();
        self.next(self.clock.monotonic())
    }

    /// What is kept, unless it cannot be opened.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Steps until `wanted` becomes readable: then call [`Observer::end`], or go on with this.
    pub fn run(&mut self, wanted: BorrowedFd<'_>) {
        // The first look may take minutes, and no boot waits for it.
        self.life.manager.ready();
        loop {
            let next = self.step();
            if self.wait(next, wanted) {
                return;
            }
        }
    }

    /// Writes what is left. Nothing is lost without it either, but the last minute of samples.
    pub fn end(&mut self) {
        self.life.manager.stopping();
        let now = self.clock.monotonic();
        self.announce("agent_stopped", Severity::Info, "plumb-agent stopped on request");
        self.close(now);
        if let Some(Err(error)) = self.state.as_mut().map(|state| state.flush(now)) {
            tracing::warn!("the last ack is not written, so the collector will say it again: {error}");
        }
        self.say_stopped();
    }

    /// When something is due, if nothing comes in between.
    fn next(&self, now: Duration) -> Duration {
        let work = match &self.waiting {
            Some(waiting) => Some(waiting.retry),
            None => {
                let look = self.schedule.next().map(|due| due.max(self.budget.rested()));
                look.into_iter().chain(self.closes_at(now)).min()
            }
        };
        let wants = self.wants.due();
        // After a storm of file events the kernel is listened to again.
        let hear = (self.deaf > now).then_some(self.deaf);
        work.into_iter().chain(wants).chain(hear).chain(self.due_alive()).fold(self.next_status, Duration::min)
    }

    /// When the record that is being filled is to be closed.
    fn closes_at(&self, now: Duration) -> Option<Duration> {
        if self.pending.is_full() {
            return Some(now);
        }
        let old = self.pending.since().map(|since| since + self.record_every);
        let urgent = self.pending.urgent().map(|urgent| {
            let more = self.schedule.next().is_some_and(|due| due <= now);
            if more {
                (urgent + TOGETHER).min(self.budget.rested().max(now + Duration::from_millis(1)))
            } else {
                urgent
            }
        });
        old.into_iter().chain(urgent).min()
    }

    /// When and where a record is sealed.
    fn moment(&self) -> Moment {
        let since_boot = self.boot.offset + self.clock.monotonic();
        let t_boot_ns = u64::try_from(since_boot.as_nanos()).unwrap_or(u64::MAX);
        Moment { boot_id: self.boot.id, t_boot_ns, wall: self.clock.now() }
    }

    /// Hints that there is more to fetch.
    fn hint(&self) {
        if let Some(state) = &self.state {
            self.link.send(ToDeliver::Available(state.next_seq()));
        }
    }
}

impl Boot {
    /// From /proc/sys/kernel/random/boot_id and /proc/uptime (proc(5)); zeros for a host that does not tell.
    fn of(host: &Host, now: Duration) -> Self {
        let mut id = [0; 16];
        let text = host.read_text("/proc/sys/kernel/random/boot_id", 64).unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        if digits.len() == 2 * id.len() {
            for (place, byte) in id.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap_or(0);
            }
        }
        let uptime = host.read_text("/proc/uptime", 128).unwrap_or_default();
        let seconds = uptime.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        let up = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(now);
        Self { id, offset: up.saturating_sub(now) }
    }
}
