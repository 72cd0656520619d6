//! Who this spool is and how far it has come: one row, written in the transaction of each record.

use std::time::Duration;

use plumb_proto::model::Begin;
use plumb_proto::record::{Epoch, Hash, genesis};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, Row, params};

use super::StateError;

/// Records and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many records.
    pub records: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
    }

    pub(super) fn take(&mut self, records: u64, bytes: u64) {
        self.records = self.records.saturating_sub(records);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub epoch: Epoch,
    /// Number of the next record.
    pub next_seq: u64,
    pub last_hash: Hash,
    /// The last acknowledged record; zero and zeros if none.
    pub acked_seq: u64,
    pub acked_hash: Hash,
    /// Number of the last look.
    pub look: u64,
    /// Time that agents have spent on this spool: what expires, expires by it. It cannot jump as wall time does.
    pub age: Duration,
    /// Its value when this epoch began.
    pub began: Duration,
    /// All records.
    pub total: Sum,
    /// Those of them that are acknowledged.
    pub tail: Sum,
    /// Those that are not, and may be dropped.
    pub samples: Sum,
    /// What record 1 says.
    pub begin: Begin,
}

impl Identity {
    /// A new one, which says of the one before what is known.
    pub(super) fn mint(old: Option<&Identity>, reason: &str) -> Result<Self, StateError> {
        let mut epoch = Epoch::default();
        let random = SystemRandom::new();
        random.fill(&mut epoch.0).map_err(|_| StateError::Unusable("the kernel gives no random numbers".to_owned()))?;
        Ok(Self {
            epoch,
            next_seq: 1,
            last_hash: genesis(epoch),
            acked_seq: 0,
            acked_hash: Hash::default(),
            look: 0,
            age: old.map_or(Duration::ZERO, |old| old.age),
            began: old.map_or(Duration::ZERO, |old| old.age),
            total: Sum::default(),
            tail: Sum::default(),
            samples: Sum::default(),
            begin: Begin {
                old_epoch: old.map_or([0; 16], |old| old.epoch.0),
                old_seq: old.map_or(0, |old| old.next_seq - 1),
                old_hash: old.map_or([0; 32], |old| old.last_hash.0),
                reason: reason.to_owned(),
            },
        })
    }

    pub(super) fn load(db: &Connection) -> Result<Self, StateError> {
        let sql = "SELECT epoch, next_seq, last_hash, acked_seq, acked_hash, look, age_ms, began_ms, total_records, \
                   total_bytes, tail_records, tail_bytes, sample_records, sample_bytes, old_epoch, old_seq, old_hash, \
                   reason FROM identity";
        Ok(db.query_row(sql, [], |row| {
            Ok(Self {
                epoch: Epoch(row.get(0)?),
                next_seq: number(row, 1)?,
                last_hash: Hash(row.get(2)?),
                acked_seq: number(row, 3)?,
                acked_hash: Hash(row.get(4)?),
                look: number(row, 5)?,
                age: Duration::from_millis(number(row, 6)?),
                began: Duration::from_millis(number(row, 7)?),
                total: Sum { records: number(row, 8)?, bytes: number(row, 9)? },
                tail: Sum { records: number(row, 10)?, bytes: number(row, 11)? },
                samples: Sum { records: number(row, 12)?, bytes: number(row, 13)? },
                begin: Begin {
                    old_epoch: row.get(14)?,
                    old_seq: number(row, 15)?,
                    old_hash: row.get(16)?,
                    reason: row.get(17)?,
                },
            })
        })?)
    }

    pub(super) fn save(&self, db: &Connection) -> Result<(), StateError> {
        let sql = "INSERT OR REPLACE INTO identity (one, epoch, next_seq, last_hash, acked_seq, acked_hash, look, \
                   age_ms, began_ms, total_records, total_bytes, tail_records, tail_bytes, sample_records, \
                   sample_bytes, old_epoch, old_seq, old_hash, reason) \
                   VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        db.prepare_cached(sql)?.execute(params![
            self.epoch.0,
            int(self.next_seq),
            self.last_hash.0,
            int(self.acked_seq),
            self.acked_hash.0,
            int(self.look),
            millis(self.age),
            millis(self.began),
            int(self.total.records),
            int(self.total.bytes),
            int(self.tail.records),
            int(self.tail.bytes),
            int(self.samples.records),
            int(self.samples.bytes),
            self.begin.old_epoch,
            int(self.begin.old_seq),
            self.begin.old_hash,
            self.begin.reason,
        ])?;
        Ok(())
    }
}

/// SQLite's numbers have 63 bits and a sign; ours count records and bytes and never come near.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let found: i64 = row.get(column)?;
    u64::try_from(found).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, found))
}
