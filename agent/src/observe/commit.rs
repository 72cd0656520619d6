//! Closing a record, and what is done when that fails. Nothing that was seen is thrown away: it stays pending, nobody
//! looks meanwhile, and it is tried again. Who looks at what *is* tells the difference afterwards; who reads on from a
//! cursor has not moved.

use std::time::Duration;

use plumb_proto::model::{Begin, ColumnDecl, Severity, TableDecl};

use super::Observer;
use crate::state::frames::ToDeliver;
use crate::state::{State, StateError};
use crate::watcher::Table;

/// Pause before the next try, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

const DISK_FULL: &str = "the disk of the state folder is full; the reserve was used to say so";

/// Nothing is observed at the moment.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) why: String,
    pub(super) retry: Duration,
    pause: Duration,
    since: Duration,
}

impl Observer {
    /// Writes the pending record.
    pub(super) fn close(&mut self, now: Duration) {
        self.live();
        self.commit(now);
        self.live();
    }

    fn commit(&mut self, now: Duration) {
        if self.state.is_none() {
            self.reopen(now);
        }
        if self.state.is_none() || self.pending.is_empty() {
            return;
        }
        // Twice: with the reserve, or a new state, what failed may succeed.
        for _ in 0..3 {
            let at = self.moment();
            let Some(state) = self.state.as_mut() else { return };
            match state.append(&self.pending.batch(), at, now) {
                Ok(()) => return self.written(now),
                Err(StateError::DiskFull) if state.use_reserve() => {
                    self.announce("disk_full", Severity::Critical, DISK_FULL);
                }
                Err(StateError::Record(error)) => return self.refuse(&error.to_string(), now),
                Err(error @ (StateError::Damaged(_) | StateError::Io(_))) => self.mend(error, now),
                Err(error) => return self.wait_for(&error, now),
            }
        }
        self.wait_for(&StateError::DiskFull, now);
    }

    fn written(&mut self, now: Duration) {
        self.pending.written();
        self.hint();
        if let Some(waiting) = self.waiting.take() {
            let seconds = now.saturating_sub(waiting.since).as_secs();
            tracing::info!("observing again after {seconds} s");
            let text = format!("nothing was observed for {seconds} s: {}", waiting.why);
            self.announce("observation_paused", Severity::Warning, &text);
        }
    }

    /// Looks at nothing until it can be kept.
    pub(super) fn wait_for(&mut self, error: &StateError, now: Duration) {
        let (first, longest) = PAUSES;
        let why = error.to_string();
        match &mut self.waiting {
            Some(waiting) => {
                waiting.pause = (waiting.pause * 2).min(longest);
                (waiting.why, waiting.retry) = (why, now + waiting.pause);
            }
            None => {
                tracing::error!("observing pauses: {why}");
                self.waiting = Some(Waiting { why, retry: now + first, pause: first, since: now });
            }
        }
    }

    /// Something was acknowledged, so there may be room.
    pub(super) fn try_again(&mut self, now: Duration) {
        if let Some(waiting) = &mut self.waiting {
            (waiting.retry, waiting.pause) = (now, PAUSES.0);
        }
    }

    /// What can never be written must not be tried for ever. Rows are told again in full; what cannot be told again
    /// is counted.
    fn refuse(&mut self, why: &str, now: Duration) {
        let lost = self.pending.events();
        tracing::error!("a record could not be made, {lost} events are lost: {why}");
        self.pending = super::Pending::default();
        // What was declared in it is declared again.
        self.took_up(None);
        self.tell_all(now);
        let text = format!("a record could not be made, so {lost} events are lost: {why}");
        self.announce("record_refused", Severity::Critical, &text);
        self.waiting = None;
    }

    /// Opens the state anew, and if it is damaged, replaces it.
    pub(super) fn mend(&mut self, error: StateError, now: Duration) {
        let Some(state) = self.state.take() else { return };
        let mended = match error {
            StateError::Damaged(why) => state.replace(&why, now),
            other => {
                tracing::error!("the state is opened anew: {other}");
                drop(state);
                State::open(self.options.clone(), now)
            }
        };
        self.adopt(mended, now);
    }

    fn reopen(&mut self, now: Duration) {
        let opened = State::open(self.options.clone(), now);
        self.adopt(opened, now);
    }

    fn adopt(&mut self, opened: Result<State, StateError>, now: Duration) {
        match opened {
            Ok(state) => {
                let begins = state.begins().cloned();
                self.looks = self.looks.max(state.look());
                self.state = Some(state);
                self.took_up(begins);
                self.tell_all(now);
                self.send_position(now);
            }
            Err(error) => self.wait_for(&error, now),
        }
    }

    /// Declares what a state does not know yet, and tells if it had to begin anew.
    pub(super) fn took_up(&mut self, begins: Option<Begin>) {
        let Some(state) = &mut self.state else { return };
        let tables = self.watchers.iter().flat_map(|running| running.spec.tables);
        let mut missing: Vec<TableDecl> = Vec::new();
        for table in tables.map(|table| declaration(table)) {
            if !state.declares(&table) && !missing.contains(&table) {
                missing.push(table);
            }
        }
        let on_reserve = state.take_on_reserve();
        self.pending.declare(missing);
        if on_reserve {
            self.announce("disk_full", Severity::Critical, DISK_FULL);
        }
        if let Some(begin) = begins.filter(|begin| begin.reason != crate::state::FIRST_START) {
            let text = format!("the agent's state was set aside and a new one begun: {}", begin.reason);
            self.announce("state_replaced", Severity::Critical, &text);
        }
    }

    /// Tells deliver where the spool stands.
    pub(super) fn send_position(&mut self, now: Duration) {
        match self.state.as_ref().map(State::position) {
            Some(Ok(position)) => self.link.send(ToDeliver::Position(position)),
            Some(Err(error)) => self.mend(error, now),
            None => {}
        }
    }
}

pub(super) fn declaration(table: &Table) -> TableDecl {
    let column = |column: &crate::watcher::Column| ColumnDecl {
        name: column.name.to_owned(),
        kind: column.kind,
        role: column.role,
        doc: column.doc.to_owned(),
    };
    TableDecl {
        name: table.name.to_owned(),
        doc: table.doc.to_owned(),
        columns: table.columns.iter().map(column).collect(),
    }
}
