//! What the store keeps, as plain values: hosts, tokens, certificates, stream heads, messages, audit entries.

use std::collections::BTreeMap;

use plumb_proto::model::Severity;
use plumb_proto::record::{Epoch, Hash, HostId};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

/// Labels of a host, such as `client=acme`.
pub type Groups = BTreeMap<String, String>;

/// Whether a host may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostState {
    /// It may.
    Active,
    /// Not for now; its stream is closed, its certificate renews again once it is active.
    Suspended,
    /// Never again: its certificate is not accepted nor renewed.
    Revoked,
    /// Taken out of service on purpose: as revoked, and it is no longer listed nor judged. History stays.
    Retired,
}

impl HostState {
    /// The word in the database and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::Retired => "retired",
        }
    }

    /// From its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Revoked, Self::Retired].into_iter().find(|each| each.as_str() == word)
    }
}

/// A host as it was enrolled, and when it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRow {
    /// Its identity.
    pub id: HostId,
    /// Its name, unique among hosts that are not retired.
    pub name: String,
    /// Whether it may report.
    pub state: HostState,
    /// Its labels.
    pub groups: Groups,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// When something of it was last received, by the collector's clock.
    pub last_seen: Option<Timestamp>,
    /// Its clock minus the collector's, in milliseconds, as of the last Hello.
    pub skew_ms: i64,
    /// Version of its agent, as of the last Hello.
    pub build: String,
    /// Number of its newest certificate.
    pub generation: u32,
}

/// A token for enrolment, as kept: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Public part.
    pub id: [u8; 16],
    /// SHA-256 of the secret part.
    pub secret_hash: Hash,
    /// The name that the host gets; its own host name where there is none.
    pub name: Option<String>,
    /// Labels that the host gets.
    pub groups: Groups,
    /// How many hosts may still enrol with it.
    pub uses_left: u32,
    /// Wrong secrets presented so far.
    pub failures: u32,
    /// From when it is refused.
    pub expires: Timestamp,
    /// When it was made.
    pub created: Timestamp,
}

/// A certificate that was issued; the log of them only grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// To whom.
    pub host: HostId,
    /// Serial number of the certificate.
    pub serial: Vec<u8>,
    /// Counts up for each host.
    pub generation: u32,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_hash: Hash,
    /// Valid until.
    pub not_after: Timestamp,
    /// When it was issued.
    pub issued: Timestamp,
    /// The token that was presented, for a first certificate.
    pub token: Option<[u8; 16]>,
    /// What was handed out, PEM.
    pub chain: Vec<u8>,
}

/// Where the chain of one epoch of one host stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which spool.
    pub epoch: Epoch,
    /// The number that comes next.
    pub next_seq: u64,
    /// Hash of the record before it.
    pub hash: Hash,
    /// True once a newer epoch of this host has begun: records of this one are refused.
    pub superseded: bool,
}

/// Something that could not become part of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Whose.
    pub host: HostId,
    /// Which spool.
    pub epoch: Epoch,
    /// Number.
    pub seq: u64,
    /// Hash of the record.
    pub hash: Hash,
    /// Why.
    pub reason: String,
    /// Its size.
    pub size: u64,
    /// Its first bytes, 4 KiB at most.
    pub head: Vec<u8>,
}

/// An event as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Whose.
    pub host: HostId,
    /// Identity: epoch, number of the record, position in it. Zero epoch: said by the collector itself.
    pub id: (Epoch, u64, u32),
    /// The watcher that told it; `collector` if the collector did.
    pub watcher: String,
    /// The event.
    pub event: plumb_proto::model::Event,
}

/// What an alert says happened to its drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransitionKind {
    /// The drift has opened.
    Opened,
    /// It is still open.
    Repeated,
    /// It is over: resolved, reverted, approved or expired.
    Resolved,
}

impl TransitionKind {
    /// The word in the database and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
        }
    }

    /// From its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Opened, Self::Repeated, Self::Resolved].into_iter().find(|each| each.as_str() == word)
    }
}

/// An alert in the outbox: one transition of one drift. (drift, transition) is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The drift.
    pub drift: u64,
    /// Number of the transition, from 1.
    pub transition: u32,
    /// What happened.
    pub kind: TransitionKind,
    /// When it was decided.
    pub at: Timestamp,
    /// Name of the host at that time.
    pub host: String,
    /// Labels of the host at that time.
    pub groups: Groups,
    /// How bad.
    pub severity: Severity,
    /// The drift as one JSON object of `drift --json`.
    pub body: String,
}

/// How the delivery of a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Not tried yet, or to be tried again.
    Waiting {
        /// Not before.
        next_try: Timestamp,
    },
    /// It arrived.
    Delivered,
    /// Given up.
    Failed,
}

/// Alerts that travel to one receiver together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Name of the receiver.
    pub receiver: String,
    /// Idempotency key: SHA-256 of its sorted `drift:transition`, frozen at the first try.
    pub key: Hash,
    /// What is in it, as (drift, transition).
    pub alerts: Vec<(u64, u32)>,
    /// When it was put together.
    pub created: Timestamp,
    /// Tries so far.
    pub tries: u32,
    /// How it stands.
    pub delivery: Delivery,
    /// What the last try said.
    pub last_error: Option<String>,
}

/// Who changed what: each entry is chained to the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a user's name, `uid 0` on the local socket, `collector`.
    pub who: String,
    /// What: the name of the call.
    pub action: String,
    /// On what.
    pub subject: Untrusted,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Details.
    pub detail: String,
}
