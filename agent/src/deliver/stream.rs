//! The agent's end of a stream as a pure state machine: frames in, actions out. It has no clock, no socket and no store;
//! the same code runs under a simulator. What it keeps is what is in flight: numbers, sizes and hashes.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use plumb_proto::frame::{Ack, Hello, Item, PROTOCOL, Retry, RetryCode, ToAgent, ToCollector, Welcome};
use plumb_proto::limits;
use plumb_proto::record::Hash;
use plumb_proto::time::Timestamp;

use crate::state::frames::{Position, ToDeliver, ToObserve};

/// Bytes that are asked for at once: with one record that passes it, a batch still fits into a message.
const BATCH_BYTES: usize = limits::MESSAGE - limits::RECORD_PAYLOAD - (8 << 10);

/// What is to be done now, in this order.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Send this to the collector.
    Send(ToCollector),
    /// Hand this to observe.
    Tell(ToObserve),
    /// Hang up.
    Close(Close),
}

/// Why a stream ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    /// The collector asked for it.
    Asked(Retry),
    /// What can be sent has changed under us (a new epoch, dropped records): greet again, with a new position.
    GreetAgain,
    /// The other side breaks the protocol.
    Violation(&'static str),
}

/// Something that was sent and is not acknowledged yet.
#[derive(Debug)]
struct Sent {
    first: u64,
    last: u64,
    hash: Hash,
    size: usize,
}

/// One stream, from its Hello to its end.
#[derive(Debug)]
pub struct Stream {
    position: Position,
    welcomed: bool,
    /// Records up to, not with, this number are committed.
    available: u64,
    /// The next number to fetch.
    next: u64,
    /// A fetch is on its way; `Some(true)` if its answer is of no use any more.
    fetching: Option<bool>,
    in_flight: VecDeque<Sent>,
    acked: u64,
    window: (u32, u32),
    /// The collector has said that records are missing, and has acknowledged none since.
    gap: bool,
}

impl Stream {
    /// Begins at what can be sent.
    #[must_use]
    pub fn new(position: Position) -> Self {
        Self {
            welcomed: false,
            available: position.next_seq,
            next: position.next_seq,
            fetching: None,
            in_flight: VecDeque::new(),
            acked: position.acked_seq,
            window: (0, 0),
            gap: false,
            position,
        }
    }

    /// The first frame.
    #[must_use]
    pub fn hello(&self, build: &str, clock: Timestamp) -> Hello {
        let position = self.position.clone();
        Hello {
            protocols: (PROTOCOL, PROTOCOL),
            features: 0,
            build: build.to_owned(),
            epoch: position.epoch,
            first_seq: position.first_seq,
            prev_of_first: position.prev_of_first,
            next_seq: position.next_seq,
            acked_seq: position.acked_seq,
            acked_hash: position.acked_hash,
            dict_digest: position.dict_digest,
            clock,
        }
    }

    /// True from the collector's Welcome on.
    #[must_use]
    pub fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// The oldest number that was sent and is not acknowledged: while it stays the same, nothing moves.
    #[must_use]
    pub fn waits_for(&self) -> Option<u64> {
        self.in_flight.front().map(|sent| sent.first)
    }

    /// Takes a frame of the collector. A renewed certificate is none of its business.
    pub fn receive(&mut self, frame: ToAgent) -> Vec<Action> {
        let mut actions = Vec::new();
        let taken = match frame {
            ToAgent::Welcome(welcome) => self.welcome(&welcome, &mut actions),
            ToAgent::Ack(ack) => self.ack(ack, &mut actions),
            ToAgent::Retry(retry) => self.retry(retry, &mut actions),
            ToAgent::Renewed(_) => Ok(()),
        };
        self.finish(taken, actions)
    }

    /// Takes a frame of observe.
    pub fn hand(&mut self, frame: ToDeliver) -> Vec<Action> {
        let mut actions = Vec::new();
        let taken = match frame {
            ToDeliver::Position(position) if position.epoch != self.position.epoch => Err(Close::GreetAgain),
            ToDeliver::Position(position) => {
                self.available = self.available.max(position.next_seq);
                Ok(())
            }
            ToDeliver::Available(next) => {
                self.available = self.available.max(next);
                Ok(())
            }
            ToDeliver::Items(items) => self.items(items, &mut actions),
        };
        self.finish(taken, actions)
    }

    fn finish(&mut self, taken: Result<(), Close>, mut actions: Vec<Action>) -> Vec<Action> {
        match taken {
            Ok(()) => actions.extend(self.fetch().map(Action::Tell)),
            Err(close) => actions.push(Action::Close(close)),
        }
        actions
    }

    fn welcome(&mut self, welcome: &Welcome, actions: &mut Vec<Action>) -> Result<(), Close> {
        if self.welcomed {
            return Err(Close::Violation("welcomed twice"));
        }
        if welcome.protocol != PROTOCOL {
            return Err(Close::Violation("welcomed in a protocol that was not offered"));
        }
        if welcome.resend_from > self.position.next_seq {
            // It has more of this epoch than we do: our state was set back, or somebody runs a copy of us.
            return Err(self.fork(Retry { code: RetryCode::Fork, after_ms: 0, resend_from: 0 }, actions));
        }
        self.welcomed = true;
        // What lies before is gone here and was declared as a gap by our Hello.
        self.next = welcome.resend_from.max(self.position.first_seq);
        self.open_window(welcome.window_records, welcome.window_bytes);
        if welcome.want != 0 {
            actions.push(Action::Tell(ToObserve::Want(welcome.want)));
        }
        Ok(())
    }

    /// A collector may ask for less than the usual, but not make us keep more in memory.
    fn open_window(&mut self, records: u32, bytes: u32) {
        self.window = (records.min(limits::WINDOW_RECORDS), bytes.min(limits::WINDOW_BYTES));
    }

    fn ack(&mut self, ack: Ack, actions: &mut Vec<Action>) -> Result<(), Close> {
        if !self.welcomed || ack.epoch != self.position.epoch || ack.through >= self.next {
            return Err(Close::Violation("acknowledges what was never sent"));
        }
        self.open_window(ack.window_records, ack.window_bytes);
        let before = self.in_flight.len();
        match self.in_flight.iter().position(|sent| sent.last >= ack.through) {
            Some(at) => {
                let sent = &self.in_flight[at];
                if sent.last == ack.through && sent.hash == ack.head_hash {
                    self.in_flight.drain(..=at);
                } else if ack.through >= sent.first {
                    return Err(Close::Violation("acknowledges another record than was sent"));
                } else {
                    self.in_flight.drain(..at);
                }
            }
            None => self.in_flight.clear(), // committed by an earlier stream; observe checks the hash
        }
        if self.in_flight.len() < before {
            self.gap = false;
        }
        // A collector that was restored from a backup acknowledges old records anew.
        if ack.through > self.acked {
            self.acked = ack.through;
            actions.push(Action::Tell(ToObserve::Acked(ack)));
        }
        Ok(())
    }

    fn retry(&mut self, retry: Retry, actions: &mut Vec<Action>) -> Result<(), Close> {
        match retry.code {
            RetryCode::Gap => {
                let known = self.position.first_seq..=self.next;
                if !self.welcomed || !known.contains(&retry.resend_from) {
                    return Err(Close::Violation("asks again for what was never sent"));
                }
                if std::mem::replace(&mut self.gap, true) {
                    return Err(Close::Asked(retry)); // no step further since the last time
                }
                self.next = retry.resend_from;
                self.in_flight.clear();
                self.fetching = self.fetching.map(|_| true);
                Ok(())
            }
            RetryCode::Fork => Err(self.fork(retry, actions)),
            RetryCode::Busy | RetryCode::Revoked | RetryCode::Limit => Err(Close::Asked(retry)),
        }
    }

    fn fork(&mut self, retry: Retry, actions: &mut Vec<Action>) -> Close {
        actions.push(Action::Tell(ToObserve::Fork));
        Close::Asked(retry)
    }

    fn items(&mut self, items: Vec<Item>, actions: &mut Vec<Action>) -> Result<(), Close> {
        if self.fetching.take() != Some(false) {
            return Ok(()); // the collector has asked for something else meanwhile
        }
        let mut batch = Vec::with_capacity(items.len().min(limits::BATCH_RECORDS));
        for item in items {
            let (first, last) = item.range();
            if first > self.next || last < self.next {
                // observe dropped records that were still wanted
                return Err(Close::GreetAgain);
            }
            let hash = match &item {
                Item::Record(record) => record.hash(),
                Item::Tombstone(tombstone) => tombstone.last_hash,
            };
            self.in_flight.push_back(Sent { first, last, hash, size: item.size() });
            self.next = last.saturating_add(1);
            self.available = self.available.max(self.next);
            batch.push(item);
        }
        if batch.is_empty() {
            self.available = self.next; // nothing there; observe says when there is
        } else {
            actions.push(Action::Send(ToCollector::Batch(batch)));
        }
        Ok(())
    }

    /// What to ask observe for, as far as the window allows. A window of nothing still lets one record through,
    /// or nobody would ever open it again.
    fn fetch(&mut self) -> Option<ToObserve> {
        if !self.welcomed || self.fetching.is_some() || self.next >= self.available {
            return None;
        }
        let sent: usize = self.in_flight.iter().map(|sent| sent.size).sum();
        let (records, bytes) = match (self.window.0 as usize, self.window.1 as usize) {
            _ if self.in_flight.is_empty() => (self.window.0.max(1) as usize, self.window.1.max(1) as usize),
            (records, bytes) => (records.saturating_sub(self.in_flight.len()), bytes.saturating_sub(sent)),
        };
        if records == 0 || bytes == 0 {
            return None;
        }
        self.fetching = Some(false);
        Some(ToObserve::Fetch {
            from: self.next,
            records: records.min(limits::BATCH_RECORDS),
            bytes: bytes.min(BATCH_BYTES),
        })
    }
}
