//! The readers: each question has one for itself, for ten seconds, then it is stopped; nobody gets all of them at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::Status;

use super::guard::Who;
use super::limited::Limited;
use crate::store::{Questions, Stopper};

/// How many readers a collector has.
pub const READERS: usize = 4;
/// Questions of one user at the same time.
const PER_USER: usize = READERS - 1;
/// Time for an answer, waiting for a reader included.
const TIME: Duration = Duration::from_secs(10);
/// A question that nobody waits for any more is stopped, again and again until it ends: it reads many times.
const STOPS: Duration = Duration::from_millis(100);
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

/// How far a question has come.
enum Progress {
    Waits,
    Runs(Stopper),
    Over,
}

/// A question as those who wait for it and the one who answers it share it.
struct Course(Mutex<Progress>);

impl Course {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it; answers whether it is over.
    fn stop(&self) -> bool {
        let mut progress = self.progress();
        match &*progress {
            // held meanwhile: the reader does not go to another question, which this would stop
            Progress::Runs(stop) => stop(),
            Progress::Waits | Progress::Over => *progress = Progress::Over,
        }
        matches!(*progress, Progress::Over)
    }
}

/// Somebody who waits for an answer: whether they get it, lose patience or go away, nothing is read for them afterwards.
struct Waiting(Arc<Course>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.0.stop() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let course = self.0.clone();
            runtime.spawn(async move {
                while !course.stop() {
                    tokio::time::sleep(STOPS).await;
                }
            });
        }
    }
}

/// A reader while it is lent to a question: it comes back however the question ends, also by a panic.
struct Lent {
    reader: Option<Box<dyn Questions>>,
    free: Arc<Mutex<Vec<Box<dyn Questions>>>>,
    course: Arc<Course>,
}

impl Lent {
    /// Takes one that is free, unless nobody waits for the answer any more.
    fn take(free: &Arc<Mutex<Vec<Box<dyn Questions>>>>, course: Arc<Course>) -> Result<Self, Status> {
        let reader = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = reader.ok_or_else(|| Status::internal("a reader is missing"))?;
        let stop = reader.stopper();
        let lent = Self { reader: Some(reader), free: free.clone(), course };
        let mut progress = lent.course.progress();
        if matches!(*progress, Progress::Over) {
            drop(progress);
            return Err(Status::cancelled("nobody waits for the answer"));
        }
        *progress = Progress::Runs(stop);
        drop(progress);
        Ok(lent)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.course.progress() = Progress::Over;
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.reader.take());
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
        let course = Arc::new(Course(Mutex::new(Progress::Waits)));
        let waiting = Waiting(course.clone());
        let answer = async move {
            let place = places.acquire_owned().await.map_err(|_| Status::unavailable("the collector stops"))?;
            let work = tokio::task::spawn_blocking(move || {
                // dropped last: there is a place once there is a reader
                let (_place, asking) = (place, asking);
                let mut lent = Lent::take(&free, course)?;
                let Some(reader) = lent.reader.as_mut() else { return Err(Status::internal("a reader is missing")) };
                let groups = asking.who.groups();
                if groups.is_empty() {
                    question(reader.as_mut())
                } else {
                    question(&mut Limited { all: reader.as_mut(), groups })
                }
            });
            work.await.map_err(|_| Status::internal("the question broke the reader"))?
        };
        let answer = tokio::time::timeout(TIME, answer).await;
        drop(waiting);
        match answer {
            Ok(answer) => answer,
            Err(_) => Err(Status::deadline_exceeded(format!(
                "the answer was not ready within {} s: ask for less, by --host or --group",
                TIME.as_secs()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::guard::Role;
    use super::*;
    use crate::stores::sqlite::testing::Folder;

    /// One reader.
    fn readers() -> (Readers, Folder) {
        let folder = Folder::empty();
        let store = crate::stores::open(&format!("sqlite:{}", folder.file("db").display())).unwrap();
        (Readers::new(vec![store.questions().unwrap()]), folder)
    }

    fn who() -> Who {
        Who::new("uid 0", Some(Role::Admin))
    }

    #[tokio::test]
    async fn a_question_that_panics_gives_its_reader_back() {
        let (readers, _folder) = readers();
        let broken = readers.ask(who(), |_| -> Result<(), Status> { std::panic::resume_unwind(Box::new(())) }).await;
        assert_eq!(broken.unwrap_err().message(), "the question broke the reader");
        let hosts = readers.ask(who(), |questions| Ok(questions.hosts().unwrap().len())).await;
        assert_eq!(hosts.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_question_that_nobody_waits_for_is_stopped_and_the_next_one_is_not() {
        let (readers, _folder) = readers();
        let endless = readers.ask(who(), |questions| -> Result<(), Status> {
            let begun = Instant::now();
            while begun.elapsed() < TIME * 2 {
                questions.hosts().map_err(|error| Status::internal(error.to_string()))?;
            }
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), endless).await.is_err());
        for _ in 0..20 {
            let hosts = readers.ask(who(), |questions| {
                std::thread::sleep(Duration::from_millis(10));
                Ok(questions.hosts().unwrap().len())
            });
            assert_eq!(hosts.await.unwrap(), 0);
        }
    }
}
