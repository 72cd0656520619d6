//! What the store says to a greeting: whether the host may report, with this certificate, and where its chain stands.

use anyhow::Result;
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::Hello;
use plumb_proto::model::{Event, Severity};
use plumb_proto::record::HostId;
use plumb_proto::time::Timestamp;

use super::batch::declare;
use super::stream::{Greeting, Known, Stream, greet};
use crate::store::Tx;
use crate::store::rows::HostState;

/// A host that greets.
pub(super) struct Arrival {
    /// Who, by the certificate.
    pub(super) host: HostId,
    /// Number of the certificate.
    pub(super) generation: u32,
    /// What it said.
    pub(super) hello: Hello,
    /// Its clock minus ours, in milliseconds.
    pub(super) skew_ms: i64,
    /// When, by ours.
    pub(super) now: Timestamp,
    /// A fork of this epoch has not been told lately.
    pub(super) new_fork: bool,
    /// An old certificate of this host has not been told lately.
    pub(super) new_conflict: bool,
}

/// What the store says.
pub(super) enum Greeted {
    /// Go on.
    Welcome {
        /// Where the chain stands.
        stream: Stream,
        /// What was declared so far.
        dictionary: Dictionary,
        /// See [`plumb_proto::frame::Welcome::want`].
        want: u32,
    },
    /// Its history does not fit, and why.
    Fork(&'static str),
    /// It may not report.
    Refused(HostState),
    /// A newer certificate of this host was used before.
    Conflict,
}

impl Arrival {
    /// Looks the host up, and writes down that it came.
    pub(super) fn look_up(&self, tx: &mut dyn Tx) -> Result<Greeted> {
        let Self { host, hello, now, .. } = self;
        let Some(mut row) = tx.host(host)? else { return Ok(Greeted::Refused(HostState::Revoked)) };
        if row.state != HostState::Active {
            return Ok(Greeted::Refused(row.state));
        }
        if self.generation < row.generation {
            if self.new_conflict {
                let text = format!(
                    "certificate {} is used although {} was used before: is there a copy of this host?",
                    self.generation, row.generation
                );
                tx.collector_event(host, &Event::new("identity_conflict", Severity::Critical, text, *now))?;
            }
            return Ok(Greeted::Conflict);
        }
        let dictionary = tx.dictionary(host, &hello.epoch)?;
        let acked = match hello.acked_seq {
            0 => None,
            seq => tx.record_hash(host, &hello.epoch, seq)?,
        };
        let known = Known { head: tx.head(host, &hello.epoch)?, acked, dict_digest: dictionary.digest() };
        let (stream, gap, want, went_back) = match greet(hello, &known) {
            Greeting::Welcome { stream, gap, want, went_back } => (stream, gap, want, went_back),
            Greeting::Fork(why) => {
                if self.new_fork {
                    let text = format!("{why} (restored from a snapshot, or cloned?): it begins a new one");
                    tx.collector_event(host, &Event::new("fork", Severity::Critical, text, *now))?;
                }
                return Ok(Greeted::Fork(why));
            }
        };
        if went_back {
            let text = format!(
                "record {} was acknowledged, but is not here: was the collector restored from a backup?",
                hello.acked_seq
            );
            tx.collector_event(host, &Event::new("collector_went_back", Severity::Warning, text, *now))?;
        }
        if let Some(gap) = &gap {
            declare(tx, host, &hello.epoch, gap, *now)?;
        }
        row.skew_ms = self.skew_ms;
        row.build.clone_from(&hello.build);
        row.generation = self.generation;
        row.last_seen = Some(*now);
        tx.save_host(&row)?;
        Ok(Greeted::Welcome { stream, dictionary, want })
    }
}
