//! The list of receivers.

pub mod webhook;

use std::time::Duration;

use super::receiver::Receiver;

/// A receiver as it is configured.
pub struct ReceiverSettings {
    /// Its name, unique.
    pub name: String,
    /// One message in this time; zero: no limit.
    pub rate: Duration,
    /// As many at once before that.
    pub burst: u32,
    /// What it is.
    pub kind: Kind,
}

/// Every kind of receiver with its own settings.
pub enum Kind {
    /// An HTTP POST of JSON.
    Webhook(webhook::Webhook),
}

impl ReceiverSettings {
    /// Makes it ready to carry messages.
    ///
    /// # Errors
    /// Its settings cannot be put into force, such as a file of certificates that cannot be read.
    pub fn open(&self) -> anyhow::Result<Box<dyn Receiver>> {
        match &self.kind {
            Kind::Webhook(webhook) => Ok(Box::new(webhook.open()?)),
        }
    }
}
