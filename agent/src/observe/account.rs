//! What goes into the status file.

use std::time::Duration;

use plumb_proto::model::Outcome;

use super::look::Running;
use super::{Observer, STATUS};
use crate::host::grant::Rights;
use crate::sandbox;
use crate::state::State;
use crate::state::frames::LinkState;
use crate::status::{Connection, Cost, Problem, Spool, Status, Watched};

/// The allocator gives pages back this often: each time costs more than a look at the disks.
const GIVE_BACK: Duration = Duration::from_secs(60);

/// When the allocator gave pages back.
#[derive(Debug, Default)]
pub(super) struct Heap {
    last: Option<Duration>,
    busy: bool,
}

impl Heap {
    /// Whether it is to do so now, when the status is written: each time while a long look goes on, which takes and
    /// leaves much, and once behind it.
    fn is_due(&mut self, busy: bool, now: Duration) -> bool {
        let before = std::mem::replace(&mut self.busy, busy);
        let due = busy || before || self.last.is_none_or(|last| now >= last + GIVE_BACK);
        if due {
            self.last = Some(now);
        }
        due
    }
}

impl Observer {
    /// Writes the status file if that is due.
    pub(super) fn write_status(&mut self, now: Duration) {
        if now < self.next_status {
            return;
        }
        self.next_status = now + STATUS;
        let busy = self.watchers.iter().any(Running::goes_on);
        if self.heap.is_due(busy, now) && self.host.is_live() {
            crate::host::sys::give_memory_back();
        }
        let status = self.status();
        self.save(&status);
        self.life.manager.status(&status.line());
    }

    /// Writes it for the last time.
    pub(super) fn say_stopped(&self) {
        self.save(&Status { stopped: true, ..self.status() });
    }

    fn save(&self, status: &Status) {
        if let Err(error) = status.write(&self.options.folder) {
            tracing::debug!("the status file is not written: {error}");
        }
    }

    /// What the agent says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            version: plumb_proto::VERSION.to_owned(),
            pid: std::process::id(),
            started: self.started.to_string(),
            written: self.clock.now().to_string(),
            stopped: false,
            connection: connection(&self.connection),
            spool: self.spool(),
            cost: Cost::own(),
            sandbox: sandbox::status(&self.locked),
            rights: Rights::own(),
            file_events: self.asleep.clone().or_else(|| self.wake.as_ref()?.degraded().map(str::to_owned)),
            refused: self.refused.clone(),
            watchers: self.watchers.iter().map(watched).collect(),
        }
    }

    fn spool(&self) -> Spool {
        let waiting = self.state.as_ref().map(State::waiting).unwrap_or_default();
        Spool {
            records: waiting.records,
            bytes: waiting.bytes,
            allowed_bytes: self.state.as_ref().map_or(0, State::allowed),
            acknowledged: self.state.as_ref().map_or(0, State::acked_seq),
            written: self.state.as_ref().map_or(0, |state| state.next_seq() - 1),
            reserve: self.state.as_ref().is_some_and(State::is_reserved),
            refused_acks: self.refused_acks,
            waits: self.waiting.as_ref().map(|waiting| waiting.why.clone()),
        }
    }
}

fn connection(state: &LinkState) -> Connection {
    let (word, since, skew_ms, error) = match state {
        LinkState::NotEnrolled => ("not_enrolled", None, None, None),
        LinkState::Connecting(why) => ("connecting", None, None, (!why.is_empty()).then(|| why.clone())),
        LinkState::Connected { since, skew_ms } => ("connected", Some(since.to_string()), Some(*skew_ms), None),
    };
    Connection { state: word.to_owned(), since, skew_ms, error }
}

fn watched(running: &Running) -> Watched {
    let name = running.spec.name;
    let outcome = running.said().map(|(outcome, _)| match outcome {
        Outcome::Done => "done",
        Outcome::More => "more",
        Outcome::Absent => "absent",
        Outcome::Failed => "failed",
    });
    let problems = running.said().map(|(_, problems)| problems.as_slice()).unwrap_or_default();
    Watched {
        name: name.to_owned(),
        every_seconds: running.every.as_secs(),
        looked: running.looked.map(|at| at.to_string()),
        outcome: outcome.map(str::to_owned),
        cpu_seconds: running.used.as_secs_f64(),
        facts: running.delta.rows(),
        withheld: running.withheld.clone(),
        problems: problems.iter().map(|problem| Problem::new(name, problem)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_is_trimmed_once_a_minute_and_each_time_while_a_look_goes_on_and_once_behind_it() {
        let mut heap = Heap::default();
        let mut trims = |busy: bool, seconds: std::ops::Range<u64>| {
            let due = |second: &u64| heap.is_due(busy, Duration::from_secs(*second));
            seconds.step_by(10).filter(due).collect::<Vec<_>>()
        };
        assert_eq!(trims(false, 0..130), [0, 60, 120]);
        assert_eq!(trims(true, 130..160), [130, 140, 150]);
        assert_eq!(trims(false, 160..240), [160, 220]);
    }
}
