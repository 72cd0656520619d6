//! Async outside, one plain thread inside: the thread owns the store and commits what waits in groups, so that one sync of
//! the disk serves many hosts.
//!
//! Whoever hands something over waits for the answer before the next; so no host ever has more than its connections'
//! jobs in the queue, and first come, first served is round-robin over hosts. A group never waits for company: while one
//! is being synced, the next one gathers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use plumb_proto::limits;
use tokio::sync::{mpsc, oneshot};

use crate::store::{Store, Tx};

/// Jobs that wait for the writer.
const QUEUE: usize = 1_024;
/// Records in one group.
const GROUP_RECORDS: usize = 256;
/// Bytes in one group.
const GROUP_BYTES: usize = 4 << 20;
/// A group takes no more in after this long.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// How much of a group a job fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

/// The way to the thread that writes. Cheap to clone; when the last one is gone, the thread ends.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread. Join it after the last `Writer` is dropped: what was accepted is committed before it ends.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(store: Box<dyn Store>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || run(store, jobs))?;
        Ok((Self { queue }, thread))
    }

    /// Does `work` in a transaction, with others; returns behind the commit. `work` may run more than once: when a group
    /// fails, each of its jobs is tried alone.
    ///
    /// # Errors
    /// What `work` says, or the store; then nothing has happened.
    pub async fn call<T, F>(&self, weight: Weight, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        self.ask(weight, work).await.unwrap_or_else(|| Err(gone()))
    }

    /// Has the thread write something and commit it, as a sign of life: what the store said, be it an error. `None`: the
    /// thread has ended.
    pub async fn probe(&self) -> Option<Result<()>> {
        self.ask(Weight::default(), |tx| tx.touch()).await
    }

    async fn ask<T, F>(&self, weight: Weight, work: F) -> Option<Result<T>>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Box::new(Call { weight, work, value: None, reply })).await.ok()?;
        answer.await.ok()
    }

    /// As [`Writer::call`], for plain threads.
    ///
    /// # Errors
    /// As [`Writer::call`].
    ///
    /// # Panics
    /// When called from async code.
    pub fn call_blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Call { weight: Weight::default(), work, value: None, reply });
        self.queue.blocking_send(job).map_err(|_| gone())?;
        answer.blocking_recv().map_err(|_| gone())?
    }

    /// True while so much waits that senders should send less.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.queue.capacity() < QUEUE / 2
    }
}

fn gone() -> anyhow::Error {
    anyhow!("the writer has stopped")
}

/// Something to be done in a transaction.
trait Job: Send {
    fn weight(&self) -> Weight;
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()>;
    fn finish(self: Box<Self>, outcome: Result<()>);
}

struct Call<T, F> {
    weight: Weight,
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnMut(&mut dyn Tx) -> Result<T> + Send> Job for Call<T, F> {
    fn weight(&self) -> Weight {
        self.weight
    }

    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let Self { value, reply, .. } = *self;
        let answer = outcome.and_then(|()| value.ok_or_else(|| anyhow!("the store committed without the work")));
        // Nobody waits any more: it is committed all the same.
        let _ = reply.send(answer);
    }
}

fn run(mut store: Box<dyn Store>, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        let outcome = commit_group(store.as_mut(), &mut group, &mut jobs);
        match outcome {
            Ok(()) => group.into_iter().for_each(|job| job.finish(Ok(()))),
            Err(error) if group.len() == 1 => group.into_iter().for_each(|job| job.finish(Err(anyhow!("{error:#}")))),
            Err(error) => {
                tracing::warn!("a group of {} is tried one by one: {error:#}", group.len());
                for mut job in group {
                    let outcome = commit(store.as_mut(), &mut |tx| job.run(tx));
                    job.finish(outcome);
                }
            }
        }
    }
}

fn commit_group(
    store: &mut dyn Store,
    group: &mut Vec<Box<dyn Job>>,
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
) -> Result<()> {
    let begun = Instant::now();
    commit(store, &mut |tx| {
        let mut filled = Weight::default();
        let mut at = 0;
        loop {
            if at == group.len() {
                let full = filled.records + limits::BATCH_RECORDS > GROUP_RECORDS || filled.bytes >= GROUP_BYTES;
                if full || begun.elapsed() > GROUP_TIME {
                    return Ok(());
                }
                match jobs.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => return Ok(()),
                }
            }
            let job = &mut group[at];
            filled.records += job.weight().records;
            filled.bytes += job.weight().bytes;
            job.run(tx)?;
            at += 1;
        }
    })
}

/// Commits; a panic inside becomes an error, so that one bad record does not end the collector.
fn commit(store: &mut dyn Store, work: &mut dyn FnMut(&mut dyn Tx) -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(|| store.commit(work))).unwrap_or_else(|_| Err(anyhow!("the writer panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::{Groups, TokenRow};
    use crate::stores;
    use plumb_proto::record::Hash;
    use plumb_proto::time::Timestamp;

    fn writer(name: &str) -> (Writer, JoinHandle<()>, std::path::PathBuf) {
        let path = std::env::temp_dir().join(format!("plumb-worker-{name}-{}.db", std::process::id()));
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        let (writer, thread) = Writer::start(stores::open(path.to_str().unwrap()).unwrap()).unwrap();
        (writer, thread, path)
    }

    fn token(number: u8) -> TokenRow {
        let now = Timestamp::from_secs(1_800_000_000);
        TokenRow {
            id: [number; 16],
            secret_hash: Hash::default(),
            name: None,
            groups: Groups::new(),
            uses_left: 1,
            failures: 0,
            expires: now,
            created: now,
        }
    }

    fn kept(writer: &Writer) -> Vec<u8> {
        let kept = |tx: &mut dyn Tx| {
            let mut kept = Vec::new();
            for number in 0..10 {
                kept.extend(tx.token(&[number; 16])?.map(|_| number));
            }
            Ok(kept)
        };
        writer.call_blocking(kept).unwrap()
    }

    /// Jobs that all wait while the writer is busy, and so come into one group.
    fn together(writer: &Writer, work: fn(u8, &mut dyn Tx) -> Result<()>) -> Vec<Result<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pause = writer.call(Weight::default(), |_| {
                std::thread::sleep(Duration::from_millis(50));
                Ok(())
            });
            let jobs = (0..4).map(|number| writer.call(Weight::default(), move |tx| work(number, tx)));
            let mut jobs: Vec<_> = jobs.map(Box::pin).collect();
            let mut pause = Box::pin(pause);
            // polled once, each is in the queue
            let mut waiting = std::future::poll_fn(|cx| {
                let _ = pause.as_mut().poll(cx);
                let _ = jobs.iter_mut().map(|job| job.as_mut().poll(cx)).filter(|poll| poll.is_ready()).count();
                std::task::Poll::Ready(())
            });
            (&mut waiting).await;
            pause.await.unwrap();
            let mut answers = Vec::new();
            for job in jobs {
                answers.push(job.await);
            }
            answers
        })
    }

    #[test]
    fn what_is_answered_is_committed() {
        let (writer, thread, path) = writer("committed");
        writer.call_blocking(|tx| tx.save_token(&token(1))).unwrap();
        assert_eq!(kept(&writer), [1]);
        drop(writer);
        thread.join().unwrap();
        let (writer, _thread) = Writer::start(stores::open(path.to_str().unwrap()).unwrap()).unwrap();
        assert_eq!(kept(&writer), [1]);
    }

    #[test]
    fn one_that_fails_takes_no_other_with_it() {
        let (writer, _thread, _) = writer("fails");
        let answers = together(&writer, |number, tx| {
            tx.save_token(&token(number))?;
            if number == 2 { Err(anyhow!("number two")) } else { Ok(()) }
        });
        let failed: Vec<String> =
            answers.iter().filter_map(|answer| answer.as_ref().err()).map(ToString::to_string).collect();
        assert_eq!(failed, ["number two"]);
        assert_eq!(kept(&writer), [0, 1, 3]);
    }

    #[test]
    fn one_that_panics_is_an_error_and_the_writer_goes_on() {
        let (writer, _thread, _) = writer("panics");
        let answers = together(&writer, |number, tx| {
            tx.save_token(&token(number))?;
            assert!(number != 1, "number one");
            Ok(())
        });
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
        assert_eq!(kept(&writer), [0, 2, 3]);
    }

    #[test]
    fn the_thread_ends_with_the_last_way_to_it() {
        let (writer, thread, _) = writer("ends");
        let other = writer.clone();
        drop(writer);
        assert_eq!(kept(&other), [0; 0]);
        drop(other);
        thread.join().unwrap();
    }
}
