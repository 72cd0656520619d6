//! One receiver's share of the outbox.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::model::Severity;
use plumb_proto::record::{Hash, sha256};
use plumb_proto::time::{Clock, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};

use super::bucket::Bucket;
use super::receivers::ReceiverSettings;
use super::{Bell, DeliveryError, Outbox, Outgoing, Pace, Receiver, Routes};
use crate::store::rows::{Alert, Delivery, Message};

/// Alerts in one message.
const MESSAGE_ALERTS: usize = 100;
/// Alerts that are read from the outbox at once.
const READ: usize = 1_000;
/// While so many messages wait for a receiver that does not answer, new alerts gather in the outbox: once it answers again
/// they travel together.
const WAITING: usize = 16;
/// The first try again comes within this time, each later one within twice the time of the one before.
const RETRY_BASE: Duration = Duration::from_secs(1);
/// At most this long between tries.
const RETRY_CAP: Duration = Duration::from_secs(300);
/// A receiver may ask for this much patience.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(3600);
/// Waiting follows the collector's clock, which may be set: so it is looked at this often.
const GLANCE: Duration = Duration::from_secs(1);
/// With nothing to do, and after an error of the store.
const REST: Duration = Duration::from_secs(30);

pub(super) struct Courier {
    name: String,
    out: Box<dyn Receiver>,
    routes: Arc<Routes>,
    pace: Pace,
    bucket: Bucket,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    random: SystemRandom,
    /// Alerts to be told that are in no message yet, oldest first.
    pending: VecDeque<Alert>,
    /// The outbox held more than was read.
    more: bool,
    waiting: Vec<Message>,
}

impl Courier {
    pub(super) fn new(
        settings: &ReceiverSettings,
        out: Box<dyn Receiver>,
        routes: Arc<Routes>,
        pace: Pace,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name: settings.name.clone(),
            out,
            routes,
            pace,
            bucket: Bucket::new(settings.rate, settings.burst),
            outbox,
            clock,
            random: SystemRandom::new(),
            pending: VecDeque::new(),
            more: true,
            waiting: Vec::new(),
        }
    }

    /// Works until its generation is done.
    pub(super) fn run(mut self, bell: &Bell, generation: u64) {
        let mut heard = 0;
        let mut begun = false;
        loop {
            let wait = match self.work(&mut begun, &|| bell.is_over(generation)) {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(receiver = self.name, "outbox: {error:#}");
                    self.more = true;
                    GLANCE
                }
            };
            match bell.wait(generation, heard, wait) {
                None => return,
                Some(times) => {
                    self.more |= times != heard;
                    heard = times;
                }
            }
        }
    }

    /// Does what is due, unless it is over; answers how long nothing will be.
    fn work(&mut self, begun: &mut bool, is_over: &dyn Fn() -> bool) -> Result<Duration> {
        if !*begun {
            self.waiting = self.outbox.waiting(&self.name)?;
            *begun = true;
        }
        loop {
            if is_over() {
                return Ok(Duration::ZERO);
            }
            if self.more {
                self.read()?;
            }
            let pace = self.bucket.wait(self.clock.monotonic());
            if !pace.is_zero() {
                return Ok(if self.idle() { REST } else { pace.min(GLANCE) });
            }
            let now = self.clock.now();
            if self.waiting.len() < WAITING && self.is_due(now) {
                let message = self.assemble(now);
                self.outbox.save(&message)?;
                self.waiting.push(message);
                let last = self.waiting.len() - 1;
                self.attempt(last, now)?;
            } else if let Some(due) = self.waiting.iter().position(|message| is_due(message, now)) {
                self.attempt(due, now)?;
            } else {
                return Ok(if self.idle() { REST } else { GLANCE });
            }
        }
    }

    fn idle(&self) -> bool {
        self.pending.is_empty() && self.waiting.is_empty()
    }

    /// Reads the outbox. What is not for this receiver, or so old that a message of it would have failed by now, is put
    /// aside in the store, so that it is not read again.
    fn read(&mut self) -> Result<()> {
        let now = self.clock.now();
        let alerts = self.outbox.alerts(&self.name, READ)?;
        self.more = alerts.len() == READ;
        let oldest = now - self.pace.give_up_after;
        let (wanted, skipped): (Vec<_>, Vec<_>) =
            alerts.into_iter().partition(|alert| alert.at >= oldest && self.routes.wants(&self.name, alert));
        if !skipped.is_empty() {
            self.outbox.pass_over(&self.name, &numbers(&skipped))?;
        }
        // A full reading of wanted alerts is all that fits in memory: the rest is read once these are in messages.
        self.more &= wanted.len() < READ;
        self.pending = wanted.into();
        Ok(())
    }

    /// True if pending alerts have waited long enough for others.
    fn is_due(&self, now: Timestamp) -> bool {
        let Some(first) = self.pending.front() else { return false };
        // An alert from the future: the clock was set back.
        let waited = first.at > now || now.since(first.at) >= self.pace.group_wait;
        waited || self.pending.len() >= READ || self.pending.iter().any(|each| each.severity == Severity::Critical)
    }

    fn assemble(&mut self, now: Timestamp) -> Message {
        let alerts: Vec<Alert> = self.pending.drain(..self.pending.len().min(MESSAGE_ALERTS)).collect();
        self.more |= self.pending.is_empty();
        self.message(&alerts, now)
    }

    fn message(&self, alerts: &[Alert], now: Timestamp) -> Message {
        let alerts = numbers(alerts);
        Message {
            receiver: self.name.clone(),
            key: key(&alerts),
            alerts,
            created: now,
            tries: 0,
            delivery: Delivery::Waiting { next_try: now },
            last_error: None,
        }
    }

    fn attempt(&mut self, position: usize, now: Timestamp) -> Result<()> {
        let alerts = self.outbox.alerts_of(&self.waiting[position])?;
        let message = &mut self.waiting[position];
        self.bucket.take(self.clock.monotonic());
        let key = message.key.to_string();
        let outcome = self.out.deliver(&Outgoing { receiver: &self.name, key: &key, alerts: &alerts });
        message.tries += 1;
        message.last_error = outcome.as_ref().err().map(ToString::to_string);
        let receiver = self.name.as_str();
        message.delivery = match outcome {
            Ok(_) => Delivery::Delivered,
            Err(DeliveryError::Later { why, after }) if now.since(message.created) < self.pace.give_up_after => {
                let delay = after.unwrap_or_default().min(RETRY_AFTER_CAP).max(jitter(&self.random, message.tries));
                tracing::warn!(receiver, "message {key}: {why}; next try in {} s", delay.as_secs());
                Delivery::Waiting { next_try: self.clock.now() + delay }
            }
            Err(error) => {
                tracing::error!(receiver, "message {key} has failed: {error}");
                Delivery::Failed
            }
        };
        let message = message.clone();
        if !matches!(message.delivery, Delivery::Waiting { .. }) {
            self.waiting.remove(position);
        }
        self.outbox.save(&message)
    }
}

fn is_due(message: &Message, now: Timestamp) -> bool {
    match message.delivery {
        // Too far ahead: the clock was set back.
        Delivery::Waiting { next_try } => next_try <= now || next_try > now + RETRY_AFTER_CAP + RETRY_CAP,
        _ => false,
    }
}

fn numbers(alerts: &[Alert]) -> Vec<(u64, u32)> {
    alerts.iter().map(|each| (each.drift, each.transition)).collect()
}

/// SHA-256 of the sorted `drift:transition`, a line each.
fn key(alerts: &[(u64, u32)]) -> Hash {
    let mut lines: Vec<String> = alerts.iter().map(|(drift, transition)| format!("{drift}:{transition}")).collect();
    lines.sort();
    sha256(&[lines.join("\n").as_bytes()])
}

/// Full jitter: anything from nothing to the bound, so that many messages do not come back in step.
fn jitter(random: &SystemRandom, tries: u32) -> Duration {
    let bound =
        RETRY_BASE.saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX)).min(RETRY_CAP);
    let mut bytes = [0; 4];
    if random.fill(&mut bytes).is_err() {
        return bound;
    }
    bound.mul_f64(f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
