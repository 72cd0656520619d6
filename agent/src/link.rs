//! The channel between the two halves of an agent when they run in one process.
//!
//! Both directions are bounded. Observe never waits for deliver: what deliver does not take in time is dropped, and every
//! frame that observe sends is either a hint or the answer to a question that can be asked again.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc;

use crate::state::frames::{ToDeliver, ToObserve};

/// Frames that wait for observe.
const TO_OBSERVE: usize = 64;
/// Frames that wait for deliver; each may hold a batch of records, so they are few.
const TO_DELIVER: usize = 8;
/// Places kept free for answers: a hint is not worth one.
const KEPT_FOR_ANSWERS: usize = 4;

/// The end that observe holds.
#[derive(Debug)]
pub struct ObserveEnd {
    frames: mpsc::Receiver<ToObserve>,
    deliver: mpsc::Sender<ToDeliver>,
    bell: Arc<EventFd>,
    beats: Arc<AtomicU64>,
}

/// The end that deliver holds.
#[derive(Debug)]
pub struct DeliverEnd {
    frames: mpsc::Receiver<ToDeliver>,
    observe: mpsc::Sender<ToObserve>,
    bell: Arc<EventFd>,
    beats: Arc<AtomicU64>,
}

/// Makes a channel.
///
/// # Errors
/// There is no file descriptor left.
pub fn link() -> std::io::Result<(ObserveEnd, DeliverEnd)> {
    let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
    let (observe, from_deliver) = mpsc::channel(TO_OBSERVE);
    let (deliver, from_observe) = mpsc::channel(TO_DELIVER);
    let beats = Arc::new(AtomicU64::new(0));
    Ok((
        ObserveEnd { frames: from_deliver, deliver, bell: bell.clone(), beats: beats.clone() },
        DeliverEnd { frames: from_observe, observe, bell, beats },
    ))
}

impl ObserveEnd {
    /// The next frame, if there is one.
    pub fn try_recv(&mut self) -> Option<ToObserve> {
        self.frames.try_recv().ok()
    }

    /// Answers, or hints. A frame that finds no place is dropped.
    pub fn send(&self, frame: ToDeliver) {
        let hint = matches!(frame, ToDeliver::Available(_));
        if hint && self.deliver.capacity() <= KEPT_FOR_ANSWERS {
            return;
        }
        if self.deliver.try_send(frame).is_err() {
            tracing::debug!("deliver does not take its frames");
        }
    }

    /// Becomes readable when deliver has sent something.
    #[must_use]
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Signs of life of deliver so far. It gives one without a frame, so that nobody is woken for it.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Makes the bell silent until the next frame. Call it before the frames are taken, not after.
    pub fn quiet(&self) {
        // Fails only when it was not ringing.
        let _ = self.bell.read();
    }
}

impl DeliverEnd {
    /// Hands a frame to observe, waiting for a place; `false` when observe has gone.
    pub async fn send(&self, frame: ToObserve) -> bool {
        let sent = self.observe.send(frame).await.is_ok();
        // Fails only when 2^64 - 2 frames were not noticed.
        let _ = self.bell.write(1);
        sent
    }

    /// A handle for signs of life, to be given from the thread that delivers.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse(self.beats.clone())
    }

    /// The next frame from observe, `None` when it has gone: say goodbye to the collector.
    pub async fn recv(&mut self) -> Option<ToDeliver> {
        self.frames.recv().await
    }
}

/// See [`DeliverEnd::pulse`].
#[derive(Debug)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Deliver is alive.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn rings(end: &ObserveEnd) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        poll(&mut [PollFd::new(end.bell(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn a_frame_rings_the_bell_until_it_is_quieted() {
        let (mut observe, deliver) = link().unwrap();
        assert!(!rings(&observe));
        assert!(block_on(deliver.send(ToObserve::Position)));
        assert!(rings(&observe));
        observe.quiet();
        assert!(!rings(&observe));
        assert_eq!(observe.try_recv(), Some(ToObserve::Position));
        assert_eq!(observe.try_recv(), None);
    }

    #[test]
    fn hints_never_take_the_place_of_an_answer() {
        let (observe, mut deliver) = link().unwrap();
        for seq in 0..100 {
            observe.send(ToDeliver::Available(seq));
        }
        observe.send(ToDeliver::Items(Vec::new()));
        drop(observe);
        let mut taken = Vec::new();
        while let Some(frame) = block_on(deliver.recv()) {
            taken.push(frame);
        }
        assert_eq!(taken.len(), TO_DELIVER - KEPT_FOR_ANSWERS + 1);
        assert_eq!(taken.last(), Some(&ToDeliver::Items(Vec::new())));
        assert!(!block_on(deliver.send(ToObserve::Position)), "observe has gone");
    }
}
