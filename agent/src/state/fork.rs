//! A new epoch for a chain that cannot go on: the collector knows other records under its numbers, because this state was
//! restored from a snapshot or copied to another machine.
//!
//! What waits to be acknowledged is numbered and chained anew, so nothing that was committed is lost. The payloads stay
//! as they are: the declarations go into the first record under the same numbers.

use std::time::Duration;

use plumb_proto::model::Payload;
use plumb_proto::record::{Class, Header, Moment, Record};
use plumb_proto::wire;
use rusqlite::{Connection, OptionalExtension, params};

use super::identity::{Identity, int, number};
use super::outgoing::declarations;
use super::{FORK_REST, State, StateError, spool};

/// What is numbered anew waits above all numbers in use.
const ASIDE: u64 = 1 << 48;
/// Why the new epoch began.
const REASON: &str = "the collector knows another chain under this epoch";

impl State {
    /// Begins a new epoch with all that waits; `false` if the last fork is less than an hour ago.
    ///
    /// # Errors
    /// As [`State::append`].
    pub fn fork(&mut self, at: Moment, passed: Duration) -> Result<bool, StateError> {
        let age = self.age(passed);
        if self.identity.begin.reason == REASON && age.saturating_sub(self.identity.began) < FORK_REST {
            return Ok(false);
        }
        let old = Identity { age, ..self.identity.clone() };
        let mut new = Identity::mint(Some(&old), REASON)?;
        new.look = old.look;
        let tx = self.db.unchecked_transaction()?;
        // The replay tail belongs to a chain that is over.
        tx.execute("DELETE FROM records WHERE seq <= ?", [int(old.acked_seq)])?;
        tx.execute("DELETE FROM tombstones WHERE last <= ?", [int(old.acked_seq)])?;
        tx.execute("UPDATE records SET seq = seq + ?", [int(ASIDE)])?;
        tx.execute("UPDATE tombstones SET first = first + ?1, last = last + ?1", [int(ASIDE)])?;

        let begin = Payload { begin: Some(new.begin.clone()), ..Payload::default() };
        let (mut first, _) = wire::encode(&begin, &mut self.dictionary)?;
        let mut declared = declarations(&tx)?.into_iter();
        first.extend(declared.next().unwrap_or_default());
        for raw in std::iter::once(first).chain(declared) {
            let behind = (new.epoch, new.next_seq, new.last_hash);
            spool::insert(&tx, &mut new, &self.sealer.seal(behind, at, Class::Declarations, &raw)?)?;
        }
        let mut place = ASIDE + old.acked_seq + 1;
        while place < ASIDE + old.next_seq {
            place += match renumber_record(&tx, &mut new, place)? {
                true => 1,
                false => renumber_gap(&tx, &mut new, place)?,
            };
        }
        new.samples = old.samples;
        new.save(&tx)?;
        tx.commit()?;
        (self.identity, self.since, self.unwritten_ack) = (new, passed, false);
        Ok(true)
    }
}

fn renumber_record(db: &Connection, new: &mut Identity, place: u64) -> Result<bool, StateError> {
    let mut statement = db.prepare_cached("SELECT header, payload, bytes FROM records WHERE seq = ?")?;
    let mut rows = statement.query([int(place)])?;
    let Some(row) = rows.next()? else { return Ok(false) };
    let (header, payload, bytes): ([u8; Header::LEN], Vec<u8>, u64) = (row.get(0)?, row.get(1)?, number(row, 2)?);
    drop(rows);
    let header = Header { epoch: new.epoch, seq: new.next_seq, ..Header::parse(&header)? };
    let record = Record { header, prev: new.last_hash, payload };
    let hash = record.hash();
    db.prepare_cached("UPDATE records SET seq = ?, header = ?, prev = ?, hash = ? WHERE seq = ?")?.execute(params![
        int(new.next_seq),
        record.header.to_bytes(),
        record.prev.0,
        hash.0,
        int(place),
    ])?;
    new.total.add(1, bytes);
    (new.next_seq, new.last_hash) = (new.next_seq + 1, hash);
    Ok(true)
}

/// Moves a gap; answers how many numbers it covers. The hash it ends with is the one it always had: it only has to be
/// what the next record names.
fn renumber_gap(db: &Connection, new: &mut Identity, place: u64) -> Result<u64, StateError> {
    let mut statement = db.prepare_cached("SELECT last, last_hash FROM tombstones WHERE first = ?")?;
    let found =
        statement.query_row([int(place)], |row| Ok((number(row, 0)?, row.get::<_, [u8; 32]>(1)?))).optional()?;
    let Some((last, last_hash)) = found else {
        return Err(StateError::Damaged(format!("record {} is missing from state.db", place - ASIDE)));
    };
    let count = last - place + 1;
    db.prepare_cached("UPDATE tombstones SET first = ?, last = ?, prev = ? WHERE first = ?")?.execute(params![
        int(new.next_seq),
        int(new.next_seq + count - 1),
        new.last_hash.0,
        int(place),
    ])?;
    new.next_seq += count;
    new.last_hash.0 = last_hash;
    Ok(count)
}
