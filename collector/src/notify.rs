//! Drains the outbox: one plain thread a receiver, so that a slow one holds up no other. Alerts wait a moment for others
//! of their time, travel together in a message under an idempotency key that no later try changes, and are tried for days
//! with full jitter. Told is what is in the store: a thread that dies in the middle leaves a message that is tried again
//! under the same key.

pub mod receiver;
pub mod receivers;
pub mod route;

mod bucket;
mod courier;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use plumb_proto::time::Clock;

use crate::store::rows::{Alert, Message};
use courier::Courier;
use receiver::{DeliveryError, Outgoing, Receiver};
use receivers::ReceiverSettings;
use route::Routes;

/// How alerts are paced, for all receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Alerts that are not critical wait for this long for others.
    pub group_wait: Duration,
    /// A message that was not taken for this long has failed.
    pub give_up_after: Duration,
}

/// What the couriers need of the store. Each call is one transaction.
pub trait Outbox: Send + Sync {
    /// Alerts that are in no message of `receiver` yet, oldest first.
    ///
    /// # Errors
    /// The store's.
    fn alerts(&self, receiver: &str, limit: usize) -> Result<Vec<Alert>>;
    /// Takes alerts that are not for `receiver` out of its outbox.
    ///
    /// # Errors
    /// The store's.
    fn pass_over(&self, receiver: &str, alerts: &[(u64, u32)]) -> Result<()>;
    /// Messages of `receiver` that wait.
    ///
    /// # Errors
    /// The store's.
    fn waiting(&self, receiver: &str) -> Result<Vec<Message>>;
    /// The alerts of a message.
    ///
    /// # Errors
    /// The store's.
    fn alerts_of(&self, message: &Message) -> Result<Vec<Alert>>;
    /// Inserts or updates a message.
    ///
    /// # Errors
    /// The store's.
    fn save(&self, message: &Message) -> Result<()>;
}

/// Wakes the couriers: to be rung after a commit that put alerts into the outbox.
#[derive(Default)]
pub struct Bell {
    state: Mutex<Rung>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Rung {
    times: u64,
    stopped: bool,
    /// Couriers that began under another number are done.
    generation: u64,
}

impl Bell {
    /// There may be something new in the outbox.
    pub fn ring(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).times += 1;
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.changed.notify_all();
    }

    /// Ends the couriers of all generations but this one.
    fn begin(&self, generation: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).generation = generation;
        self.changed.notify_all();
    }

    fn generation(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).generation
    }

    fn is_over(&self, generation: u64) -> bool {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stopped || state.generation != generation
    }

    /// Waits until it has rung since `heard`, or `timeout` is over. `None`: this generation is done.
    fn wait(&self, generation: u64, heard: u64, timeout: Duration) -> Option<u64> {
        let until = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.stopped || state.generation != generation {
                return None;
            }
            if state.times != heard || left.is_zero() {
                return Some(state.times);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Receivers as they are configured, ready to carry messages, and who is told what.
pub struct Told {
    receivers: Vec<ReceiverSettings>,
    open: Vec<Box<dyn Receiver>>,
    routes: Routes,
    pace: Pace,
}

impl Told {
    /// Opens the receivers: their files are read now.
    ///
    /// # Errors
    /// Of each receiver whose settings cannot be put into force, why.
    pub fn open(receivers: Vec<ReceiverSettings>, routes: Routes, pace: Pace) -> Result<Self, Vec<String>> {
        let (mut open, mut mistakes) = (Vec::new(), Vec::new());
        for settings in &receivers {
            match settings.open() {
                Ok(out) => open.push(out),
                Err(error) => mistakes.push(format!("receiver {}: {error:#}", settings.name)),
            }
        }
        if mistakes.is_empty() { Ok(Self { receivers, open, routes, pace }) } else { Err(mistakes) }
    }

    /// Names of the receivers.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.receivers.iter().map(|each| each.name.clone()).collect()
    }
}

/// All couriers, running.
pub struct Notifier {
    bell: Arc<Bell>,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    receivers: Arc<Vec<ReceiverSettings>>,
    /// By the receiver's name; those of a generation before may still have a try to finish.
    threads: Vec<(String, JoinHandle<()>)>,
}

impl Notifier {
    /// Starts a courier for each receiver.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(told: Told, outbox: &Arc<dyn Outbox>, clock: &Arc<dyn Clock>, bell: Arc<Bell>) -> Result<Self> {
        let (outbox, clock) = (Arc::clone(outbox), Arc::clone(clock));
        let notifier = Self { bell, outbox, clock, running: Mutex::default() };
        notifier.replace(told)?;
        Ok(notifier)
    }

    /// Puts other receivers and routes in the place of those that there are; returns at once. What waits for a receiver of
    /// the same name stays in the store, and goes out by the new settings once a try in progress is over.
    ///
    /// # Errors
    /// There is no thread to be had: then nothing has changed.
    pub fn replace(&self, told: Told) -> Result<()> {
        let mut running = self.running();
        let generation = self.bell.generation() + 1;
        let routes = Arc::new(told.routes);
        let mut started = Vec::new();
        for (settings, out) in told.receivers.iter().zip(told.open) {
            let (outbox, clock) = (Arc::clone(&self.outbox), Arc::clone(&self.clock));
            let courier = Courier::new(settings, out, Arc::clone(&routes), told.pace, outbox, clock);
            let bell = Arc::clone(&self.bell);
            let (begin, may_begin) = sync_channel::<Option<JoinHandle<()>>>(1);
            let work = move || {
                // an error means that these settings are not put into force after all
                let Ok(before) = may_begin.recv() else { return };
                // two at once would try the same message twice
                before.map(JoinHandle::join);
                courier.run(&bell, generation);
            };
            let thread = std::thread::Builder::new().name("notify".to_owned()).spawn(work);
            started.push((settings.name.clone(), begin, thread.context("start a thread")?));
        }
        self.bell.begin(generation);
        let mut before = std::mem::take(&mut running.threads);
        before.retain(|(_, thread)| !thread.is_finished());
        for (name, begin, thread) in started {
            let of_name = before.iter().position(|(known, _)| *known == name);
            // it waits for this, so there is room
            let _ = begin.send(of_name.map(|at| before.swap_remove(at).1));
            running.threads.push((name, thread));
        }
        running.threads.extend(before);
        running.receivers = Arc::new(told.receivers);
        Ok(())
    }

    /// Names of the receivers.
    #[must_use]
    pub fn receivers(&self) -> Vec<String> {
        self.running().receivers.iter().map(|each| each.name.clone()).collect()
    }

    /// Sends a receiver a message without alerts, now, and says what it answered. It blocks.
    ///
    /// # Errors
    /// There is no such receiver, or it did not take the message.
    pub fn test(&self, name: &str, key: &str) -> Result<String, DeliveryError> {
        let receivers = Arc::clone(&self.running().receivers);
        let Some(settings) = receivers.iter().find(|each| each.name == name) else {
            return Err(DeliveryError::Never(format!("there is no receiver \"{name}\"")));
        };
        let mut out = settings.open().map_err(|error| DeliveryError::Never(format!("{error:#}")))?;
        out.deliver(&Outgoing { receiver: name, key, alerts: &[] })
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all couriers, once a try in progress is over.
    pub fn stop(&self) {
        self.bell.stop();
        let threads = std::mem::take(&mut self.running().threads);
        for (_, thread) in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.stop();
    }
}
