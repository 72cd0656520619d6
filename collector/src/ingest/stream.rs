//! The collector's end of a stream as a pure state machine: what a greeting means, and what each item is to the chain that
//! is known: the next, known already, missing something, a break. It asks nobody; what needs the ledger is handed in or
//! told as a step.

use plumb_proto::frame::{DropReason, Hello, Item, Tombstone, WANT_DICTIONARY, WANT_STATE};
use plumb_proto::record::{Epoch, Hash, genesis};

use crate::store::rows::Head;

/// What a greeting means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Go on from here.
    Welcome {
        /// Where the chain stands.
        stream: Stream,
        /// What is lost for good, to be declared first.
        gap: Option<Tombstone>,
        /// Bits of [`plumb_proto::frame::Welcome::want`].
        want: u32,
        /// The agent remembers acks for more than is here: this store has gone back.
        went_back: bool,
    },
    /// Its history is not the one that is known.
    Fork(&'static str),
}

/// What the ledger knows of an epoch when its agent greets.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Where its chain stands; `None` if it is new.
    pub head: Option<Head>,
    /// The hash of the record that the agent says was acknowledged last, if it is here.
    pub acked: Option<Hash>,
    /// Digest of its declarations.
    pub dict_digest: Hash,
}

/// Judges a greeting.
#[must_use]
pub fn greet(hello: &Hello, known: &Known) -> Greeting {
    let begin = Stream { epoch: hello.epoch, next: 1, hash: genesis(hello.epoch), told_gap: false };
    let stream = match &known.head {
        Some(head) if head.superseded => return Greeting::Fork("a newer history of this host has begun"),
        Some(head) if hello.next_seq < head.next_seq => return Greeting::Fork("its history was set back"),
        Some(head) => Stream { next: head.next_seq, hash: head.hash, ..begin },
        None => begin,
    };
    if known.acked.is_some_and(|hash| hash != hello.acked_hash) {
        return Greeting::Fork("its history is another one than was received");
    }
    if hello.first_seq == stream.next && hello.first_seq > 1 && hello.prev_of_first != stream.hash {
        return Greeting::Fork("its history does not continue what was received");
    }
    let gap = (hello.first_seq > stream.next).then(|| Tombstone {
        first: stream.next,
        last: hello.first_seq - 1,
        last_hash: hello.prev_of_first,
        records: hello.first_seq - stream.next,
        bytes: 0,
        reason: DropReason::SpoolFull,
    });
    let went_back = hello.acked_seq >= stream.next;
    let stream = match &gap {
        Some(gap) => Stream { next: hello.first_seq, hash: gap.last_hash, ..stream },
        None => stream,
    };
    // With a backlog the digests differ without meaning: what it declares is still on its way.
    let lacks_words = stream.next == hello.next_seq && hello.dict_digest != known.dict_digest;
    let mut want = 0;
    if gap.is_some() || lacks_words {
        want |= WANT_DICTIONARY;
    }
    if gap.is_some() {
        want |= WANT_STATE;
    }
    Greeting::Welcome { stream, gap, want, went_back }
}

/// Where the chain of a live stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    epoch: Epoch,
    next: u64,
    hash: Hash,
    /// The agent was told what is missing, and has not sent it yet.
    told_gap: bool,
}

/// What is to be done with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The record at this position of the batch extends the chain.
    Append(usize),
    /// Something of this number is known: if it has another hash, that is a fork.
    Compare {
        /// Position in the batch.
        at: usize,
        /// Its number.
        seq: u64,
        /// Its hash.
        hash: Hash,
    },
    /// A gap is declared. What it covers beyond this is known already.
    Declare(Tombstone),
}

/// Why the rest of a batch is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Records from this number on are missing: say so.
    Missing(u64),
    /// The same, and it was said before.
    StillMissing,
    /// The record at this position does not follow the one before it.
    Break(usize),
    /// The record at this position is of another epoch than the greeting.
    OtherEpoch(usize),
}

impl Stream {
    /// Which spool.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number that comes next, and the hash of the one before it.
    #[must_use]
    pub fn head(&self) -> (u64, Hash) {
        (self.next, self.hash)
    }

    /// Looks at a batch: what is to be done, in order, and what stops it. Moves on as if all of it were done: keep a copy
    /// until it is.
    pub fn take(&mut self, items: &[Item]) -> (Vec<Step>, Option<Stop>) {
        let mut steps = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            match self.one(at, item) {
                Ok(step) => steps.extend(step),
                Err(stop) => return (steps, Some(stop)),
            }
        }
        (steps, None)
    }

    fn one(&mut self, at: usize, item: &Item) -> Result<Option<Step>, Stop> {
        let (first, last) = item.range();
        if first > self.next {
            return Err(match std::mem::replace(&mut self.told_gap, true) {
                true => Stop::StillMissing,
                false => Stop::Missing(self.next),
            });
        }
        self.told_gap = false;
        match item {
            Item::Record(record) if record.header.epoch != self.epoch => Err(Stop::OtherEpoch(at)),
            Item::Record(record) => {
                let hash = record.hash();
                if first < self.next {
                    return Ok(Some(Step::Compare { at, seq: first, hash }));
                }
                if record.prev != self.hash {
                    return Err(Stop::Break(at));
                }
                (self.next, self.hash) = (first.saturating_add(1), hash);
                Ok(Some(Step::Append(at)))
            }
            Item::Tombstone(_) if last < self.next => Ok(None),
            Item::Tombstone(gap) => {
                let first = self.next;
                (self.next, self.hash) = (last.saturating_add(1), gap.last_hash);
                Ok(Some(Step::Declare(Tombstone { first, ..gap.clone() })))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::record::{Class, Moment, Record, Sealer};
    use plumb_proto::time::Timestamp;

    const EPOCH: Epoch = Epoch([7; 16]);

    fn chain(epoch: Epoch, count: u64, salt: u8) -> Vec<Record> {
        let mut sealer = Sealer::new().unwrap();
        let mut prev = genesis(epoch);
        let at = Moment { boot_id: [0; 16], t_boot_ns: 0, wall: Timestamp::from_secs(0) };
        (1..=count)
            .map(|seq| {
                let record = sealer.seal((epoch, seq, prev), at, Class::Facts, &[salt]).unwrap();
                prev = record.hash();
                record
            })
            .collect()
    }

    fn items(records: &[Record]) -> Vec<Item> {
        records.iter().cloned().map(Item::Record).collect()
    }

    fn hello(first_seq: u64, next_seq: u64) -> Hello {
        Hello {
            protocols: (1, 1),
            features: 0,
            build: String::new(),
            epoch: EPOCH,
            first_seq,
            prev_of_first: Hash([9; 32]),
            next_seq,
            acked_seq: 0,
            acked_hash: Hash::default(),
            dict_digest: Hash::default(),
            clock: Timestamp::from_secs(0),
        }
    }

    fn at(next_seq: u64) -> Known {
        let head = Head { epoch: EPOCH, next_seq, hash: Hash([8; 32]), superseded: false };
        Known { head: Some(head), ..Known::default() }
    }

    fn welcomed(hello: &Hello, known: &Known) -> (u64, Option<(u64, u64)>, u32, bool) {
        match greet(hello, known) {
            Greeting::Welcome { stream, gap, want, went_back } => {
                (stream.next, gap.map(|gap| (gap.first, gap.last)), want, went_back)
            }
            Greeting::Fork(why) => panic!("{why}"),
        }
    }

    fn begun() -> Stream {
        match greet(&hello(1, 1), &Known::default()) {
            Greeting::Welcome { stream, .. } => stream,
            Greeting::Fork(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_new_epoch_begins_at_its_first_record() {
        assert_eq!(welcomed(&hello(1, 5), &Known::default()), (1, None, 0, false));
    }

    #[test]
    fn a_known_epoch_goes_on_where_it_stopped() {
        assert_eq!(welcomed(&hello(1, 5), &at(4)), (4, None, 0, false));
    }

    #[test]
    fn what_the_agent_no_longer_has_is_a_gap_and_all_is_told_anew() {
        let hello = Hello { acked_seq: 6, ..hello(7, 9) };
        assert_eq!(welcomed(&hello, &at(4)), (7, Some((4, 6)), WANT_DICTIONARY | WANT_STATE, true));
        assert_eq!(welcomed(&hello, &Known::default()).1, Some((1, 6)));
    }

    #[test]
    fn the_dictionary_is_asked_for_only_when_nothing_is_on_its_way() {
        let differs = |next| Hello { dict_digest: Hash([1; 32]), ..hello(1, next) };
        assert_eq!(welcomed(&differs(4), &at(4)).2, WANT_DICTIONARY);
        assert_eq!(welcomed(&differs(5), &at(4)).2, 0);
    }

    #[test]
    fn histories_that_do_not_fit_are_forks() {
        let fork = |hello: &Hello, known: &Known| match greet(hello, known) {
            Greeting::Fork(why) => why,
            Greeting::Welcome { .. } => "welcome",
        };
        let mut superseded = at(4);
        superseded.head.as_mut().unwrap().superseded = true;
        assert_eq!(fork(&hello(1, 9), &superseded), "a newer history of this host has begun");
        assert_eq!(fork(&hello(1, 3), &at(4)), "its history was set back");
        let other = Known { acked: Some(Hash([1; 32])), ..at(4) };
        assert_eq!(
            fork(&Hello { acked_seq: 2, ..hello(1, 9) }, &other),
            "its history is another one than was received"
        );
        assert_eq!(fork(&hello(4, 9), &at(4)), "its history does not continue what was received");
    }

    #[test]
    fn records_in_order_extend_the_chain() {
        let records = chain(EPOCH, 3, 0);
        let mut stream = begun();
        assert_eq!(stream.take(&items(&records)), (vec![Step::Append(0), Step::Append(1), Step::Append(2)], None));
        assert_eq!(stream.head(), (4, records[2].hash()));
    }

    #[test]
    fn what_came_before_is_compared_by_hash() {
        let records = chain(EPOCH, 3, 0);
        let mut stream = begun();
        stream.take(&items(&records));
        let (steps, stop) = stream.take(&items(&records[1..2]));
        assert_eq!((steps, stop), (vec![Step::Compare { at: 0, seq: 2, hash: records[1].hash() }], None));
        assert_eq!(stream.head().0, 4);
    }

    #[test]
    fn what_is_missing_is_asked_for_once() {
        let records = chain(EPOCH, 5, 0);
        let mut stream = begun();
        assert_eq!(stream.take(&items(&records[2..])), (vec![], Some(Stop::Missing(1))));
        assert_eq!(stream.take(&items(&records[3..])), (vec![], Some(Stop::StillMissing)));
        assert_eq!(stream.take(&items(&records[..1])), (vec![Step::Append(0)], None));
        assert_eq!(stream.take(&items(&records[2..])), (vec![], Some(Stop::Missing(2))));
    }

    #[test]
    fn a_record_that_follows_another_one_is_a_break_and_stops_the_batch() {
        let (ours, theirs) = (chain(EPOCH, 3, 0), chain(EPOCH, 3, 1));
        let mut stream = begun();
        let mixed = [ours[0].clone(), theirs[1].clone(), ours[2].clone()];
        assert_eq!(stream.take(&items(&mixed)), (vec![Step::Append(0)], Some(Stop::Break(1))));
        let other = chain(Epoch([8; 16]), 2, 0);
        assert_eq!(stream.take(&items(&other[1..])), (vec![], Some(Stop::OtherEpoch(0))));
    }

    #[test]
    fn a_tombstone_moves_the_head_and_what_it_overlaps_is_left_alone() {
        let records = chain(EPOCH, 6, 0);
        let mut stream = begun();
        stream.take(&items(&records[..2]));
        let last_hash = records[3].hash();
        let gap = Tombstone { first: 1, last: 4, last_hash, records: 4, bytes: 9, reason: DropReason::DiskFull };
        let declared = Step::Declare(Tombstone { first: 3, ..gap.clone() });
        assert_eq!(stream.take(&[Item::Tombstone(gap.clone())]), (vec![declared], None));
        assert_eq!(stream.take(&[Item::Tombstone(gap)]), (vec![], None));
        assert_eq!(stream.take(&items(&records[4..])), (vec![Step::Append(0), Step::Append(1)], None));
    }
}
