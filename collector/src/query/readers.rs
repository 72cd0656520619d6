//! The readers: each question has one for itself, for ten seconds; nobody gets more than four at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::Status;

use super::guard::Who;
use super::limited::Limited;
use crate::store::Questions;

/// How many readers a collector has.
pub const READERS: usize = 4;
/// Questions of one user at the same time.
const PER_USER: usize = 4;
/// Time for an answer, waiting for a reader included.
const TIME: Duration = Duration::from_secs(10);
/// Users that are remembered while they ask.
const USERS: usize = 1_024;

pub(super) struct Readers {
    free: Arc<Mutex<Vec<Box<dyn Questions>>>>,
    places: Arc<Semaphore>,
    asking: Arc<Mutex<HashMap<Who, usize>>>,
}

/// One question of a user, as long as it runs: also when nobody waits for its answer any more.
struct Asking {
    who: Who,
    asking: Arc<Mutex<HashMap<Who, usize>>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = asking.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                asking.remove(&self.who);
            }
        }
    }
}

impl Readers {
    pub(super) fn new(readers: Vec<Box<dyn Questions>>) -> Self {
        let places = Arc::new(Semaphore::new(readers.len()));
        Self { free: Arc::new(Mutex::new(readers)), places, asking: Arc::default() }
    }

    fn begin(&self, who: Who) -> Result<Asking, Status> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.len() >= USERS && !asking.contains_key(&who) {
            return Err(Status::resource_exhausted("too many people ask at once"));
        }
        let count = asking.entry(who.clone()).or_insert(0);
        if *count >= PER_USER {
            return Err(Status::resource_exhausted(format!(
                "{who} has {PER_USER} questions running already: wait for one"
            )));
        }
        *count += 1;
        Ok(Asking { who, asking: Arc::clone(&self.asking) })
    }

    /// Asks on a thread where blocking is fine.
    pub(super) async fn ask<T, F>(&self, who: Who, question: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Questions) -> Result<T, Status> + Send + 'static,
    {
        let asking = self.begin(who)?;
        let (free, places) = (Arc::clone(&self.free), Arc::clone(&self.places));
        let answer = async move {
            let place = places.acquire_owned().await.map_err(|_| Status::unavailable("the collector stops"))?;
            let work = tokio::task::spawn_blocking(move || {
                let reader = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(mut reader) = reader else { return Err(Status::internal("a reader is missing")) };
                let groups = asking.who.groups();
                let answer = if groups.is_empty() {
                    question(reader.as_mut())
                } else {
                    question(&mut Limited { all: reader.as_mut(), groups })
                };
                free.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
                drop((place, asking));
                answer
            });
            work.await.map_err(|_| Status::internal("the question broke the reader"))?
        };
        match tokio::time::timeout(TIME, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Status::deadline_exceeded(format!(
                "the answer was not ready within {} s: ask for less, by --host or --group",
                TIME.as_secs()
            ))),
        }
    }
}
