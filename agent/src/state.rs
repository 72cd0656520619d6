//! The agent's one state file: records that wait to be acknowledged, the places where durable sources were left, and what
//! watchers keep. A record, its cursors and its kept rows are written in one transaction, so after any crash either all
//! of them are there or none is.
//!
//! SQLite is given up on only in one way: a file that cannot be read, or does not hold what was written, is set aside
//! (one is kept), a new epoch begins, and its first record says so. The agent never refuses to start over its own state.

mod database;
pub mod disk;
mod error;
mod fork;
pub mod frames;
mod identity;
mod kept;
mod outgoing;
mod settle;
mod spool;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::DropReason;
use plumb_proto::model::{Begin, Payload, TableDecl};
use plumb_proto::record::{Class, Moment, Sealer};
use plumb_proto::wire;
use rusqlite::{Connection, OptionalExtension, params};

use crate::kept::Kept;
use disk::{Ask, Disk};
pub use error::StateError;
use identity::Identity;
pub use identity::Sum;
pub use outgoing::Acked;

/// What record 1 says on a host that had no state before.
pub const FIRST_START: &str = "first start";
/// Bytes that a spool may take at least and at most, whatever is configured.
pub const BOUNDS: std::ops::RangeInclusive<u64> = disk::LEAST..=4 << 30;
/// How long the agent before may take to let go of the file.
const PREDECESSOR: Duration = Duration::from_secs(5);
/// New epochs for a fork, at most one in this time.
const FORK_REST: Duration = Duration::from_hours(1);

/// Where the state lies and how big it may grow.
#[derive(Clone)]
pub struct Options {
    /// Its folder; made if it is not there.
    pub folder: PathBuf,
    /// Bytes of records, at most; brought within [`BOUNDS`].
    pub bound: u64,
    /// How to learn what is free: [`disk::ask_system`].
    pub ask: Ask,
}

/// What becomes one record.
#[derive(Debug, Default)]
pub struct Part {
    /// What it says.
    pub payload: Payload,
    /// It only repeats what was told before: it counts as samples, which may be dropped.
    pub repeats: bool,
}

/// All that is written in one transaction.
pub struct Batch<'a> {
    /// Becomes records, in this order.
    pub parts: &'a [Part],
    /// Watcher, name and place of durable sources.
    pub cursors: &'a [(&'static str, String, Vec<u8>)],
    /// What watchers keep, by watcher.
    pub kept: &'a [(&'static str, Kept)],
    /// Number of the last look that is in it.
    pub look: u64,
}

/// See the module.
pub struct State {
    db: Connection,
    identity: Identity,
    dictionary: Dictionary,
    sealer: Sealer,
    disk: Disk,
    options: Options,
    /// Monotonic time when the identity's age was right.
    since: Duration,
    /// An ack is known that is not written yet: it goes with the next record.
    unwritten_ack: bool,
    on_reserve: bool,
}

impl State {
    /// Opens the state of a folder at the monotonic time `passed`, or makes a new one. What is damaged is set aside.
    ///
    /// # Errors
    /// [`StateError::InUse`], [`StateError::DiskFull`]; [`StateError::Unusable`] where the folder itself is at fault.
    pub fn open(options: Options, passed: Duration) -> Result<Self, StateError> {
        let named = |error: StateError| match error {
            StateError::Unusable(why) => {
                StateError::Unusable(format!("state folder {}: {why}", options.folder.display()))
            }
            other => other,
        };
        let options = Options { bound: options.bound.clamp(*BOUNDS.start(), *BOUNDS.end()), ..options.clone() };
        DirBuilder::new().recursive(true).mode(0o700).create(&options.folder).map_err(|e| named(e.into()))?;
        let opened = match Self::try_open(&options, passed) {
            // Even reading needs room: the index of a write-ahead log, a journal.
            Err(StateError::DiskFull) if disk::give_up_reserve(&options.folder) => {
                Self::try_open(&options, passed).map(|state| Self { on_reserve: true, ..state })
            }
            other => other,
        };
        match opened {
            Err(StateError::Damaged(why) | StateError::Io(why)) => {
                let old = database::last_words(&options.folder);
                Self::begin_anew(&options, old.as_ref(), &why, passed).map_err(named)
            }
            other => other.map_err(named),
        }
    }

    fn try_open(options: &Options, passed: Duration) -> Result<Self, StateError> {
        let (db, identity) = database::open(&options.folder, PREDECESSOR)?;
        match identity {
            Some(identity) => Self::resume(db, identity, options, passed),
            None => Self::begin(db, Identity::mint(None, FIRST_START)?, options, passed),
        }
    }

    /// True, once, if it could be opened only by giving the reserve up: the disk is full, and nobody has said so yet.
    #[must_use]
    pub fn take_on_reserve(&mut self) -> bool {
        std::mem::take(&mut self.on_reserve)
    }

    /// Sets the state aside and begins a new epoch.
    ///
    /// # Errors
    /// As [`State::open`].
    pub fn replace(self, why: &str, passed: Duration) -> Result<Self, StateError> {
        let Self { db, identity, options, .. } = self;
        drop(db);
        Self::begin_anew(&options, Some(&identity), why, passed)
    }

    fn begin_anew(options: &Options, old: Option<&Identity>, why: &str, passed: Duration) -> Result<Self, StateError> {
        let unsent = old.map_or(0, |old| (old.next_seq - 1).saturating_sub(old.acked_seq));
        let why = &match unsent {
            0 => why.to_owned(),
            _ => format!("{why}; {unsent} records that were not acknowledged are in state.db.damaged"),
        };
        tracing::error!("the state is set aside as state.db.damaged, a new one begins: {why}");
        database::set_aside(&options.folder)?;
        let begun = database::open(&options.folder, PREDECESSOR)
            .and_then(|(db, _)| Self::begin(db, Identity::mint(old, why)?, options, passed));
        if matches!(begun, Err(StateError::DiskFull)) {
            // The next try must find it again: a state without a predecessor has no loss to tell of.
            database::take_back(&options.folder)?;
        }
        begun
    }

    fn begin(db: Connection, identity: Identity, options: &Options, passed: Duration) -> Result<Self, StateError> {
        database::make(&db, &identity)?;
        Self::resume(db, identity, options, passed)
    }

    fn resume(db: Connection, identity: Identity, options: &Options, passed: Duration) -> Result<Self, StateError> {
        let last = identity.next_seq - 1;
        if spool::hash_of(&db, last)?.is_some_and(|hash| hash != identity.last_hash) {
            return Err(StateError::Damaged("the last record in state.db is not the one that was written".to_owned()));
        }
        let mut dictionary = Dictionary::default();
        {
            let mut kept = db.prepare("SELECT declared FROM declarations ORDER BY position")?;
            let mut rows = kept.query([])?;
            while let Some(row) = rows.next()? {
                let bytes: Vec<u8> = row.get(0)?;
                dictionary.restore(&bytes).map_err(|error| StateError::Damaged(format!("declarations: {error}")))?;
            }
        }
        let disk = Disk::new(&options.folder, options.ask.clone());
        let (sealer, options) = (Sealer::new()?, options.clone());
        Ok(Self {
            db,
            identity,
            dictionary,
            sealer,
            disk,
            options,
            since: passed,
            unwritten_ack: false,
            on_reserve: false,
        })
    }

    /// What record 1 of a new epoch will say, until it is written.
    #[must_use]
    pub fn begins(&self) -> Option<&Begin> {
        (self.identity.next_seq == 1).then_some(&self.identity.begin)
    }

    /// Number of the last look that is in it.
    #[must_use]
    pub fn look(&self) -> u64 {
        self.identity.look
    }

    /// The time that agents have spent on this spool, as of the monotonic time `passed`.
    #[must_use]
    pub fn age(&self, passed: Duration) -> Duration {
        self.identity.age + passed.saturating_sub(self.since)
    }

    /// What waits to be acknowledged.
    #[must_use]
    pub fn waiting(&self) -> Sum {
        let Identity { total, tail, .. } = &self.identity;
        Sum { records: total.records - tail.records, bytes: total.bytes - tail.bytes }
    }

    /// The bytes that records may take now.
    #[must_use]
    pub fn allowed(&self) -> u64 {
        self.disk.allowed(self.options.bound, self.identity.total.bytes)
    }

    /// True when facts and events, which are never dropped, leave less than an eighth of the room: what reads on from
    /// a cursor waits, so that a storm of events leaves room for a change of state.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        let Identity { total, tail, samples, .. } = &self.identity;
        total.bytes - tail.bytes - samples.bytes >= self.allowed() / 8 * 7
    }

    /// True when a table is declared as it is.
    #[must_use]
    pub fn declares(&self, table: &TableDecl) -> bool {
        self.dictionary.table_named(&table.name).is_some_and(|(_, known)| known == table)
    }

    /// Records may take this many bytes from now on.
    pub fn bound(&mut self, bytes: u64) {
        self.options.bound = bytes.clamp(*BOUNDS.start(), *BOUNDS.end());
    }

    /// True when a series has its number.
    #[must_use]
    pub fn knows(&self, series: &plumb_proto::model::Series) -> bool {
        self.dictionary.series_id(series).is_some()
    }

    /// How many series have one.
    #[must_use]
    pub fn series(&self) -> usize {
        self.dictionary.series_count()
    }

    /// The place where a durable source was left.
    ///
    /// # Errors
    /// The state is damaged.
    pub fn cursor(&self, watcher: &str, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let mut statement = self.db.prepare_cached("SELECT place FROM cursors WHERE watcher = ? AND name = ?")?;
        Ok(statement.query_row([watcher, name], |row| row.get(0)).optional()?)
    }

    /// Writes records, cursors and kept rows, all or nothing; without records only the others. Record 1 of an epoch gets its [`Begin`] here.
    ///
    /// # Errors
    /// [`StateError::SpoolFull`], [`StateError::DiskFull`]: nothing was written, try again later.
    /// [`StateError::Damaged`]: replace it. [`StateError::Record`]: this will never be a record.
    pub fn append(&mut self, batch: &Batch<'_>, at: Moment, passed: Duration) -> Result<(), StateError> {
        let mark = self.dictionary.mark();
        let written = self.try_append(batch, at, passed);
        if written.is_err() {
            self.dictionary.roll_back(mark);
        } else {
            (self.since, self.unwritten_ack) = (passed, false);
            self.settle();
        }
        written
    }

    fn try_append(&mut self, batch: &Batch<'_>, at: Moment, passed: Duration) -> Result<(), StateError> {
        let mut identity = Identity { age: self.age(passed), look: batch.look, ..self.identity.clone() };
        let allowed = self.allowed();
        let tx = self.db.unchecked_transaction()?;
        for part in batch.parts {
            let mark = self.dictionary.mark();
            let (raw, class) = match self.identity.next_seq {
                1 if identity.next_seq == 1 => {
                    let begin = Some(identity.begin.clone());
                    wire::encode(&Payload { begin, ..part.payload.clone() }, &mut self.dictionary)?
                }
                _ => wire::encode(&part.payload, &mut self.dictionary)?,
            };
            let class = if class == Class::Facts && part.repeats { Class::Samples } else { class };
            if let Some(declared) = self.dictionary.declared_since(mark) {
                tx.prepare_cached("INSERT INTO declarations (declared) VALUES (?)")?.execute([declared])?;
            }
            let behind = (identity.epoch, identity.next_seq, identity.last_hash);
            spool::insert(&tx, &mut identity, &self.sealer.seal(behind, at, class, &raw)?)?;
        }
        for (watcher, name, place) in batch.cursors {
            if place.is_empty() {
                tx.prepare_cached("DELETE FROM cursors WHERE watcher = ? AND name = ?")?.execute([*watcher, name])?;
                continue;
            }
            tx.prepare_cached("INSERT OR REPLACE INTO cursors (watcher, name, place) VALUES (?, ?, ?)")?
                .execute(params![watcher, name, place])?;
        }
        kept::write(&tx, batch.kept)?;
        spool::trim_tail(&tx, &mut identity, allowed)?;
        spool::make_room(&tx, &mut identity, allowed, drop_reason(allowed, self.options.bound))?;
        identity.save(&tx)?;
        tx.commit()?;
        self.identity = identity;
        Ok(())
    }

    /// The last acknowledged record.
    #[must_use]
    pub fn acked_seq(&self) -> u64 {
        self.identity.acked_seq
    }

    /// The number that the next record will have.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.identity.next_seq
    }
}

fn drop_reason(allowed: u64, bound: u64) -> DropReason {
    if allowed < bound { DropReason::DiskFull } else { DropReason::SpoolFull }
}
