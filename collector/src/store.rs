//! The contract of a store, in the verbs of the domain. Engines live in `stores/`.
//!
//! One writer owns a [`Store`] on one thread and commits records in groups; questions are read elsewhere, through
//! [`Questions`], and never wait for the writer.

pub mod rows;
pub mod users;

use anyhow::Result;
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::Tombstone;
use plumb_proto::model::{Payload, Severity, TableDecl};
use plumb_proto::record::{Epoch, HostId, Record};
use plumb_proto::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

use crate::alert::Transitions;
use crate::drift::{Kind, KnownDrift};
use crate::history::{Asked, History};
use crate::view::{HostView, Touched};
use rows::{Alert, AuditEntry, EventRow, Groups, Head, HostRow, Issuance, Message, Quarantined, TokenRow};
use users::{UserIssuance, UserRow};

/// A store that one writer owns.
pub trait Store: Send {
    /// Does all of `work` durably, or none of it.
    ///
    /// # Errors
    /// What `work` says, or the engine: then nothing has happened.
    fn commit(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<()>) -> Result<()>;

    /// Another door for reading, on a connection of its own: it sees what is committed.
    ///
    /// # Errors
    /// The engine gives none.
    fn questions(&self) -> Result<Box<dyn Questions>>;
}

/// A record that extends its host's chain, opened and decoded.
pub struct Incoming<'a> {
    /// Whose: from the client certificate.
    pub host: &'a HostId,
    /// As sent.
    pub record: &'a Record,
    /// What it holds. `None` if it could not be opened: the ledger still gets its row, with a reason.
    pub payload: std::result::Result<&'a Payload, &'a str>,
    /// The declarations that it added to its epoch's dictionary ([`Dictionary::declared_since`]).
    pub declared: Option<&'a [u8]>,
    /// When it was received, by the collector's clock.
    pub received: Timestamp,
    /// The host's clock minus the collector's, in milliseconds: its times are corrected by it before they are kept.
    pub skew_ms: i64,
}

/// Everything that may be done within one transaction.
pub trait Tx {
    // --- hosts and their certificates

    /// A host by identity.
    fn host(&mut self, id: &HostId) -> Result<Option<HostRow>>;
    /// A host by name; retired ones are not found.
    fn host_named(&mut self, name: &str) -> Result<Option<HostRow>>;
    /// All hosts, retired ones too.
    fn hosts(&mut self) -> Result<Vec<HostRow>>;
    /// Inserts or updates a host.
    fn save_host(&mut self, host: &HostRow) -> Result<()>;
    /// A token.
    fn token(&mut self, id: &[u8; 16]) -> Result<Option<TokenRow>>;
    /// Inserts or updates a token.
    fn save_token(&mut self, token: &TokenRow) -> Result<()>;
    /// Adds to the log of issued certificates.
    fn log_issuance(&mut self, issuance: &Issuance) -> Result<()>;
    /// What was issued to a host, newest first.
    fn issuances(&mut self, host: &HostId) -> Result<Vec<Issuance>>;
    /// What was issued for a token, newest first.
    fn issuances_by_token(&mut self, token: &[u8; 16]) -> Result<Vec<Issuance>>;

    // --- users of the query port

    /// All users by name, revoked ones too.
    fn users(&mut self) -> Result<Vec<UserRow>>;
    /// Inserts or updates a user.
    fn save_user(&mut self, user: &UserRow) -> Result<()>;
    /// Adds to the log of certificates issued to users.
    fn log_user_issuance(&mut self, issuance: &UserIssuance) -> Result<()>;

    // --- the ledger

    /// Where the chain of an epoch stands; `None` if nothing of it was ever received.
    fn head(&mut self, host: &HostId, epoch: &Epoch) -> Result<Option<Head>>;
    /// The hash that a record of the ledger has, for telling a duplicate from a fork. `None`: not there, or in a gap.
    fn record_hash(&mut self, host: &HostId, epoch: &Epoch, seq: u64) -> Result<Option<plumb_proto::record::Hash>>;
    /// All declarations of an epoch.
    fn dictionary(&mut self, host: &HostId, epoch: &Epoch) -> Result<Dictionary>;
    /// Writes a record to the ledger, moves the head, and writes its rows to their tables: facts, baselines, events,
    /// samples, watchers. A first record of a new epoch supersedes the epochs before. Answers what it touched; `None`: it
    /// was there already, and nothing changed.
    fn append(&mut self, incoming: &Incoming<'_>) -> Result<Option<Touched>>;
    /// Writes a declared gap to the ledger and moves the head behind it.
    fn append_gap(&mut self, host: &HostId, epoch: &Epoch, gap: &Tombstone, received: Timestamp) -> Result<()>;
    /// Keeps what could not become part of the history.
    fn quarantine(&mut self, what: &Quarantined, received: Timestamp) -> Result<()>;
    /// Keeps an event that the collector itself tells (gap, fork, chain break, refused token).
    fn collector_event(&mut self, host: &HostId, event: &plumb_proto::model::Event) -> Result<()>;
    /// Critical events that the collector or the agent told about themselves and that were received since then, oldest
    /// first.
    fn critical_events(&mut self, host: &HostId, since: Timestamp) -> Result<Vec<plumb_proto::model::Event>>;

    // --- judging

    /// All that is known of a host, as of this transaction. Cached between transactions.
    fn view(&mut self, host: &HostId) -> Result<Arc<HostView>>;
    /// Drifts that are not over: pending and open ones.
    fn known_drifts(&mut self, host: &HostId) -> Result<Vec<KnownDrift>>;
    /// The number of the next new drift, another one at each call.
    fn next_drift(&mut self) -> Result<u64>;
    /// Keeps what was decided: drifts and the alerts in the outbox.
    fn record(&mut self, decided: &Transitions) -> Result<()>;
    /// Makes today's rows the baseline: of one row, one table or the whole host. Unknown columns keep what they had.
    fn approve(&mut self, host: &HostId, what: &Approval<'_>) -> Result<()>;

    // --- the outbox

    /// Makes a receiver known: alerts that came before it are not for it. One that is known already stays as it is. To be
    /// called for each configured receiver at start, ahead of the first record.
    fn begin_receiver(&mut self, receiver: &str) -> Result<()>;
    /// Alerts that are in no message of `receiver` yet and were not passed over, oldest first.
    fn outbox(&mut self, receiver: &str, limit: usize) -> Result<Vec<Alert>>;
    /// Notes alerts, as (drift, transition), that no route leads to this receiver: they leave its outbox.
    fn pass_over(&mut self, receiver: &str, alerts: &[(u64, u32)]) -> Result<()>;
    /// Messages of `receiver` that wait, oldest first, 1,000 at most.
    fn waiting(&mut self, receiver: &str) -> Result<Vec<Message>>;
    /// The alerts of a message.
    fn alerts_of(&mut self, message: &Message) -> Result<Vec<Alert>>;
    /// Inserts or updates a message.
    fn save_message(&mut self, message: &Message) -> Result<()>;

    /// Makes the history smaller by one bounded step: drops what is older than it is kept, merges samples into hours and
    /// days, packs the ledger. Answers whether there is more to do. No sample and no link of a chain is lost by it before
    /// its time.
    fn tidy(&mut self, now: Timestamp, keep: &Keep) -> Result<bool>;

    /// Writes what is there already, so that the commit behind it must reach the disk: whether the store takes something.
    fn touch(&mut self) -> Result<()>;

    /// Appends to the audit chain.
    fn audit(&mut self, entry: &AuditEntry) -> Result<()>;
}

/// How long what is kept, from its receipt on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Samples as they came.
    pub samples: Duration,
    /// Their rollups: least, greatest, sum and count of five minutes; of a counter, its last value.
    pub rollups: Duration,
    /// Events.
    pub events: Duration,
    /// Facts as they were.
    pub facts: Duration,
    /// Drifts that are over, and what was told of them.
    pub drifts: Duration,
}

/// What a person approves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval<'a> {
    /// The whole host.
    Host,
    /// One table.
    Table(&'a str),
    /// One column of one row (`None`: the row itself, that it is there or is gone).
    Field(&'a str, &'a plumb_proto::untrusted::Untrusted, Option<&'a str>),
}

/// Which drifts are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftFilter {
    /// Of this host only.
    pub host: Option<HostId>,
    /// Of hosts with all these labels only.
    pub groups: Groups,
    /// Of this kind only.
    pub kind: Option<Kind>,
    /// At least this bad.
    pub severity: Option<Severity>,
    /// Those that are over, too.
    pub all: bool,
    /// These only.
    pub ids: Vec<u64>,
}

/// Which facts are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactFilter {
    /// Of this host only.
    pub host: Option<HostId>,
    /// Of hosts with all these labels only.
    pub groups: Groups,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this kind only.
    pub kind: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Behind this one in order of receipt, for following: the number that came with it. Then `limit` keeps the oldest of
    /// them, so that none is skipped.
    pub after: Option<u64>,
    /// At most so many: the newest.
    pub limit: usize,
}

/// See [`Questions::stopper`].
pub type Stopper = Box<dyn Fn() + Send + Sync>;

/// What may be asked. Every answer is bounded by [`plumb_proto::limits::QUERY_ROWS`].
pub trait Questions: Send {
    /// Stops, from any thread, what is being read at that moment: the answer is an error then.
    fn stopper(&self) -> Stopper;

    /// Hosts that are not retired, by name.
    fn hosts(&mut self) -> Result<Vec<HostRow>>;
    /// All that is known of a host.
    fn view(&mut self, host: &HostId) -> Result<HostView>;
    /// What a line about a host is made of: as [`Questions::view`], without declarations, baselines, and how series moved.
    fn outline(&mut self, host: &HostId) -> Result<HostView>;
    /// Drifts, worst first, then oldest.
    fn drifts(&mut self, filter: &DriftFilter) -> Result<Vec<KnownDrift>>;
    /// Current rows of a table over hosts.
    fn facts(&mut self, table: &str, filter: &FactFilter) -> Result<Vec<(HostRow, crate::view::Row)>>;
    /// Events of a host, oldest first, each with its number in order of receipt.
    fn events(&mut self, host: &HostId, filter: &EventFilter) -> Result<Vec<(u64, EventRow)>>;
    /// What has changed on a host since then, in no order: rows that came, went or differ in a state column, and files.
    fn changes(&mut self, host: &HostId, since: Timestamp) -> Result<Vec<crate::change_set::Change>>;
    /// Tables that hosts with these labels have declared: by name, each declaration with how many of them share it, the
    /// most common one first. Revoked and retired hosts do not count.
    fn declarations(&mut self, groups: &Groups) -> Result<Vec<(TableDecl, u64)>>;
    /// Tables that hosts have declared, each as most of them declare it: one host cannot change what is said of all.
    ///
    /// # Errors
    /// The engine's.
    fn schema(&mut self) -> Result<Vec<TableDecl>> {
        let mut tables: Vec<TableDecl> = self.declarations(&Groups::new())?.into_iter().map(|(decl, _)| decl).collect();
        tables.dedup_by(|later, first| later.name == first.name);
        Ok(tables)
    }
    /// Users of the query port by name, revoked ones too.
    fn users(&mut self) -> Result<Vec<UserRow>>;
    /// The course of a metric on a host.
    fn history(&mut self, host: &HostId, asked: &Asked) -> Result<History>;
    /// What the store takes on the disk, in bytes, by kind, largest first: as far as it can be told without reading all.
    fn sizes(&mut self) -> Result<Vec<(String, u64)>>;
    /// Messages, newest first, with what they hold.
    fn messages(&mut self, limit: usize) -> Result<Vec<(Message, Vec<Alert>)>>;
    /// When an action of this name was last done, by the audit chain.
    fn last_done(&mut self, action: &str) -> Result<Option<Timestamp>>;
    /// Checks every chain of the ledger and of the audit from its begin; answers how many links held and what did not.
    fn verify(&mut self) -> Result<(u64, Vec<String>)>;
}
