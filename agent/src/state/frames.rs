//! What the two halves of an agent say to each other. Observe owns the state; deliver asks it for committed records and
//! hands it acks. Both ends are bounded, either half may die without harm to the other.

use plumb_proto::frame::{Ack, Item};
use plumb_proto::record::{Epoch, Hash};
use plumb_proto::time::Timestamp;

/// What can be sent: the numbers of a Hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The spool.
    pub epoch: Epoch,
    /// The oldest record that can still be sent.
    pub first_seq: u64,
    /// Hash of the one before it.
    pub prev_of_first: Hash,
    /// The number that the next record will have.
    pub next_seq: u64,
    /// The last acknowledged record, 0 if none.
    pub acked_seq: u64,
    /// Its hash, zeros if none.
    pub acked_hash: Hash,
    /// Digest of all declarations of the epoch.
    pub dict_digest: Hash,
}

/// From deliver to observe.
#[derive(Clone, Debug, PartialEq)]
pub enum ToObserve {
    /// Answer with [`ToDeliver::Position`].
    Position,
    /// Answer with [`ToDeliver::Items`]: what is committed from this number on, at most so much of it.
    Fetch {
        /// First number wanted.
        from: u64,
        /// Items, at most.
        records: usize,
        /// Bytes by [`Item::size`], at most (one item may pass it).
        bytes: usize,
    },
    /// Everything up to here is durable at the collector.
    Acked(Ack),
    /// Bits [`plumb_proto::frame::WANT_DICTIONARY`] and [`plumb_proto::frame::WANT_STATE`].
    Want(u32),
    /// The collector knows another chain under this epoch: start a new one (once an hour at most).
    Fork,
    /// How the connection stands, for the status file.
    Link(LinkState),
}

/// From observe to deliver.
#[derive(Clone, Debug, PartialEq)]
pub enum ToDeliver {
    /// Answer to [`ToObserve::Position`]; also sent unasked when a new epoch has begun.
    Position(Position),
    /// Answer to [`ToObserve::Fetch`], in order, without a hole; empty if there is nothing yet.
    Items(Vec<Item>),
    /// Records up to, not with, this number are committed.
    Available(u64),
}

/// How the connection to the collector stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// There is no identity: `enroll` has not been run.
    NotEnrolled,
    /// Trying to reach it; why the last try failed.
    Connecting(String),
    /// Delivering since; the collector's clock minus ours in milliseconds.
    Connected {
        /// Since when.
        since: Timestamp,
        /// Skew, in milliseconds.
        skew_ms: i64,
    },
}
