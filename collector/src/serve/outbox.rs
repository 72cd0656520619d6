//! The outbox by way of the writer: what a courier reads is committed, or in the transaction before its own.

use anyhow::Result;

use crate::notify::Outbox;
use crate::store::rows::{Alert, Message};
use crate::worker::Writer;

pub(super) struct ThroughWriter(pub(super) Writer);

impl Outbox for ThroughWriter {
    fn alerts(&self, receiver: &str, limit: usize) -> Result<Vec<Alert>> {
        let receiver = receiver.to_owned();
        self.0.call_blocking(move |tx| tx.outbox(&receiver, limit))
    }

    fn pass_over(&self, receiver: &str, alerts: &[(u64, u32)]) -> Result<()> {
        let (receiver, alerts) = (receiver.to_owned(), alerts.to_vec());
        self.0.call_blocking(move |tx| tx.pass_over(&receiver, &alerts))
    }

    fn waiting(&self, receiver: &str) -> Result<Vec<Message>> {
        let receiver = receiver.to_owned();
        self.0.call_blocking(move |tx| tx.waiting(&receiver))
    }

    fn alerts_of(&self, message: &Message) -> Result<Vec<Alert>> {
        let message = message.clone();
        self.0.call_blocking(move |tx| tx.alerts_of(&message))
    }

    fn save(&self, message: &Message) -> Result<()> {
        let message = message.clone();
        self.0.call_blocking(move |tx| tx.save_message(&message))
    }
}
