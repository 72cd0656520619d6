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

    /// Waits until it has rung since `heard`, was stopped, or `timeout` is over. `None`: stopped.
    fn wait(&self, heard: u64, timeout: Duration) -> Option<u64> {
        let until = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.stopped {
                return None;
            }
            if state.times != heard || left.is_zero() {
                return Some(state.times);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// All couriers, running.
pub struct Notifier {
    bell: Arc<Bell>,
    receivers: Vec<ReceiverSettings>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Notifier {
    /// Starts a courier for each receiver.
    ///
    /// # Errors
    /// A receiver's settings cannot be put into force, or there is no thread to be had.
    pub fn start(
        receivers: Vec<ReceiverSettings>,
        routes: Routes,
        pace: Pace,
        outbox: &Arc<dyn Outbox>,
        clock: &Arc<dyn Clock>,
        bell: Arc<Bell>,
    ) -> Result<Self> {
        let routes = Arc::new(routes);
        let notifier = Self { bell, receivers, threads: Mutex::default() };
        for settings in &notifier.receivers {
            let out = settings.open().with_context(|| format!("receiver {}", settings.name))?;
            let courier = Courier::new(settings, out, Arc::clone(&routes), pace, Arc::clone(outbox), Arc::clone(clock));
            let bell = Arc::clone(&notifier.bell);
            let thread = std::thread::Builder::new().name("notify".to_owned());
            let thread = thread.spawn(move || courier.run(&bell)).context("start a thread")?;
            notifier.threads().push(thread);
        }
        Ok(notifier)
    }

    /// Names of the receivers.
    pub fn receivers(&self) -> impl Iterator<Item = &str> {
        self.receivers.iter().map(|each| each.name.as_str())
    }

    /// Sends a receiver a message without alerts, now, and says what it answered. It blocks.
    ///
    /// # Errors
    /// There is no such receiver, or it did not take the message.
    pub fn test(&self, name: &str, key: &str) -> Result<String, DeliveryError> {
        let Some(settings) = self.receivers.iter().find(|each| each.name == name) else {
            return Err(DeliveryError::Never(format!("there is no receiver \"{name}\"")));
        };
        let mut out = settings.open().map_err(|error| DeliveryError::Never(format!("{error:#}")))?;
        out.deliver(&Outgoing { receiver: name, key, alerts: &[] })
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all couriers, once a try in progress is over.
    pub fn stop(&self) {
        self.bell.stop();
        for thread in self.threads().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.stop();
    }
}
