//! What deliver asks for and reports. Its frames speak in numbers and hashes; the worst that they can do is make the
//! agent tell what it tells anyway, and that not too often.

use std::time::Duration;

use plumb_proto::frame::{Ack, WANT_DICTIONARY, WANT_STATE};
use plumb_proto::model::Severity;

use super::Observer;
use crate::state::frames::{ToDeliver, ToObserve};
use crate::state::{Acked, StateError};

/// A want is met at most once in this time; until then it is remembered.
const REST: Duration = Duration::from_mins(1);
/// Frames that are answered in one step, so that looks get their turn.
const FRAMES: usize = 32;

/// What the collector wants and has not got yet.
#[derive(Debug, Default)]
pub(super) struct Wants {
    bits: u32,
    not_before: Duration,
}

impl Wants {
    pub(super) fn due(&self) -> Option<Duration> {
        (self.bits != 0).then_some(self.not_before)
    }
}

impl Observer {
    pub(super) fn answer(&mut self, now: Duration) {
        self.link.quiet();
        for _ in 0..FRAMES {
            let Some(frame) = self.link.try_recv() else { break };
            match frame {
                ToObserve::Position => self.send_position(now),
                ToObserve::Fetch { from, records, bytes } => self.fetch(from, (records, bytes), now),
                ToObserve::Acked(ack) => self.acked(&ack, now),
                ToObserve::Want(bits) => self.wants.bits |= bits & (WANT_DICTIONARY | WANT_STATE),
                ToObserve::Fork => self.fork(now),
                ToObserve::Link(state) => {
                    // Somebody may be waiting for it: who has just enrolled this host.
                    if std::mem::discriminant(&state) != std::mem::discriminant(&self.connection) {
                        self.next_status = now;
                    }
                    self.connection = state;
                }
            }
        }
        if self.wants.due().is_some_and(|due| due <= now) && self.waiting.is_none() {
            self.meet_wants(now);
        }
    }

    fn fetch(&mut self, from: u64, (records, bytes): (usize, usize), now: Duration) {
        match self.state.as_ref().map(|state| state.fetch(from, records, bytes)) {
            Some(Ok(items)) => self.link.send(ToDeliver::Items(items)),
            Some(Err(error)) => self.mend(error, now),
            None => {}
        }
    }

    fn acked(&mut self, ack: &Ack, now: Duration) {
        match self.state.as_mut().map(|state| state.acked(ack)) {
            Some(Ok(Acked::News)) => self.try_again(now),
            Some(Ok(Acked::Known)) | None => {}
            Some(Ok(Acked::Foreign)) => {
                self.refused_acks += 1;
                if self.refused_acks.is_power_of_two() {
                    tracing::warn!("an ack names record {} with a hash that is not ours: not believed", ack.through);
                }
            }
            Some(Err(error)) => self.mend(error, now),
        }
    }

    fn fork(&mut self, now: Duration) {
        let at = self.moment();
        match self.state.as_mut().map(|state| state.fork(at, now)) {
            Some(Ok(true)) => {
                let text = "the collector knows another chain of this host: this machine or its state was copied or \
                            restored, so a new epoch begins";
                self.announce("epoch_forked", Severity::Critical, text);
                self.tell_all(now);
                self.send_position(now);
            }
            Some(Ok(false)) => tracing::warn!("the collector reports a fork again within an hour: not yet"),
            Some(Err(error @ (StateError::Damaged(_) | StateError::Io(_)))) => self.mend(error, now),
            Some(Err(error)) => tracing::error!("a new epoch could not be written: {error}"),
            None => {}
        }
    }

    fn meet_wants(&mut self, now: Duration) {
        let bits = std::mem::take(&mut self.wants.bits);
        self.wants.not_before = now + REST;
        if bits & WANT_STATE != 0 {
            self.tell_all(now);
        }
        if bits & WANT_DICTIONARY != 0 {
            let at = self.moment();
            match self.state.as_mut().map(|state| state.append_declarations(at, now)) {
                Some(Ok(())) => self.hint(),
                Some(Err(error @ (StateError::Damaged(_) | StateError::Io(_)))) => self.mend(error, now),
                // Still wanted.
                Some(Err(_)) | None => self.wants.bits |= WANT_DICTIONARY,
            }
        }
    }
}
