//! What deliver asks for: where the spool stands, records from a number on, and what an ack changes.

use std::time::Duration;

use plumb_proto::frame::{Ack, Item};
use plumb_proto::limits;
use plumb_proto::record::{Class, Moment};
use rusqlite::Connection;

use super::frames::Position;
use super::identity::Identity;
use super::{State, StateError, drop_reason, spool};

/// Bytes that one answer to deliver holds at most.
const FETCH_BYTES: usize = 512 << 10;

/// What came of an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// More is acknowledged than before.
    News,
    /// Nothing new.
    Known,
    /// It speaks of a record that is not in this chain: not believed.
    Foreign,
}

impl State {
    /// Appends records with all declarations, for a collector that does not know them.
    ///
    /// # Errors
    /// As [`State::append`].
    pub fn append_declarations(&mut self, at: Moment, passed: Duration) -> Result<(), StateError> {
        let mut identity = Identity { age: self.age(passed), ..self.identity.clone() };
        let allowed = self.allowed();
        let tx = self.db.unchecked_transaction()?;
        for raw in declarations(&tx)? {
            let behind = (identity.epoch, identity.next_seq, identity.last_hash);
            let record = self.sealer.seal(behind, at, Class::Declarations, &raw)?;
            spool::insert(&tx, &mut identity, &record)?;
        }
        spool::make_room(&tx, &mut identity, allowed, drop_reason(allowed, self.options.bound))?;
        identity.save(&tx)?;
        tx.commit()?;
        (self.identity, self.since, self.unwritten_ack) = (identity, passed, false);
        Ok(())
    }

    /// The numbers that deliver begins with.
    ///
    /// # Errors
    /// The state is damaged.
    pub fn position(&self) -> Result<Position, StateError> {
        let (first_seq, prev_of_first) = spool::first(&self.db, &self.identity)?;
        let Identity { epoch, next_seq, acked_seq, acked_hash, .. } = self.identity;
        let dict_digest = self.dictionary.digest();
        Ok(Position { epoch, first_seq, prev_of_first, next_seq, acked_seq, acked_hash, dict_digest })
    }

    /// Committed records from a number on.
    ///
    /// # Errors
    /// The state is damaged.
    pub fn fetch(&self, from: u64, records: usize, bytes: usize) -> Result<Vec<Item>, StateError> {
        let bounds = (records.min(limits::BATCH_RECORDS), bytes.min(FETCH_BYTES));
        spool::fetch(&self.db, &self.identity, from, bounds)
    }

    /// Believes an ack if it names a record of this chain by its hash. It is written with the next record: until then
    /// a crash makes the collector say it again.
    ///
    /// # Errors
    /// The state is damaged.
    pub fn acked(&mut self, ack: &Ack) -> Result<Acked, StateError> {
        if ack.epoch != self.identity.epoch || ack.through >= self.identity.next_seq {
            return Ok(Acked::Foreign);
        }
        if ack.through <= self.identity.acked_seq {
            return Ok(Acked::Known);
        }
        match spool::hash_of(&self.db, ack.through)? {
            Some(hash) if hash == ack.head_hash => {
                spool::acknowledge(&self.db, &mut self.identity, ack.through, hash)?;
                self.unwritten_ack = true;
                Ok(Acked::News)
            }
            Some(_) => Ok(Acked::Foreign),
            // It was dropped meanwhile, and a later ack will cover it.
            None => Ok(Acked::Known),
        }
    }

    /// Writes what is known but not written yet. Call it before leaving.
    ///
    /// # Errors
    /// As [`State::append`].
    pub fn flush(&mut self, passed: Duration) -> Result<(), StateError> {
        if self.unwritten_ack {
            self.identity.age = self.age(passed);
            self.since = passed;
            self.identity.save(&self.db)?;
            self.unwritten_ack = false;
        }
        Ok(())
    }
}

/// All declarations of the epoch as payloads of records. Concatenated protobuf messages are one message with the lists
/// of all (protobuf.dev, "last one wins"), so what was kept piece by piece is joined as it is.
pub(super) fn declarations(db: &Connection) -> Result<Vec<Vec<u8>>, StateError> {
    let mut kept = db.prepare_cached("SELECT declared FROM declarations ORDER BY position")?;
    let mut rows = kept.query([])?;
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    while let Some(row) = rows.next()? {
        let piece: Vec<u8> = row.get(0)?;
        match payloads.last_mut() {
            Some(last) if last.len() + piece.len() <= limits::RECORD_CLOSE => last.extend_from_slice(&piece),
            _ => payloads.push(piece),
        }
    }
    Ok(payloads)
}
