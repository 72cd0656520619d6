//! The contract of a receiver: it carries one message out and says whether to try again.

use std::time::Duration;

use crate::store::rows::Alert;

/// A message as it is sent. Each try of the same message carries the same key.
pub struct Outgoing<'a> {
    /// Name of the receiver.
    pub receiver: &'a str,
    /// Idempotency key, 64 hexadecimal digits.
    pub key: &'a str,
    /// What it tells; empty for a test.
    pub alerts: &'a [Alert],
}

/// Carries messages out of the house. It blocks, for some 10 s at most: each has a thread of its own.
pub trait Receiver: Send {
    /// Tries once. Answers what the other side said, in a few words.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    fn deliver(&mut self, message: &Outgoing<'_>) -> Result<String, DeliveryError>;
}

/// Why a message did not arrive. The texts hold no address and no secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeliveryError {
    /// It may arrive when it is tried again.
    #[error("{why}")]
    Later {
        /// What went wrong.
        why: String,
        /// Not before, if the receiver said so.
        after: Option<Duration>,
    },
    /// It will never arrive.
    #[error("{0}")]
    Never(String),
}
