//! The chain of an epoch as it was kept: whether each link still holds. Pure, and the same for every engine.
//!
//! The hash of the record before is not kept with a record: it is the hash of the row before, or of a declared gap. So
//! a link fails where a row was changed, put in or taken out.

use plumb_proto::frame::Tombstone;
use plumb_proto::record::{Epoch, Hash, Header, genesis, link, sha256};

/// A record as it was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its number.
    pub seq: u64,
    /// Its header, verbatim.
    pub header: Vec<u8>,
    /// SHA-256 of its payload.
    pub payload_hash: Hash,
    /// Its hash.
    pub hash: Hash,
    /// Its payload, unless it was dropped.
    pub payload: Option<Vec<u8>>,
    /// Why it could not be opened. Then only the first bytes of the payload are there.
    pub reason: Option<String>,
}

/// How many faults of one chain are named; the rest is counted.
const NAMED: usize = 16;

/// A walk along the chain of one epoch, from its begin.
pub struct Walk {
    epoch: Epoch,
    next: u64,
    hash: Hash,
    links: u64,
    faults: Vec<String>,
    unnamed: u64,
}

impl Walk {
    /// Ahead of record 1.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, next: 1, hash: genesis(epoch), links: 0, faults: Vec::new(), unnamed: 0 }
    }

    /// The number that must come next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The next record.
    pub fn record(&mut self, kept: &Kept) {
        self.must_be_next(kept.seq);
        let seq = kept.seq;
        let fault = match <&[u8; Header::LEN]>::try_from(kept.header.as_slice()) {
            Err(_) => Some("its header was cut".to_owned()),
            Ok(bytes) if link(&self.hash, bytes, &kept.payload_hash) != kept.hash => {
                Some("its header, its hash or the record before it was changed".to_owned())
            }
            Ok(_) => self.contents(kept),
        };
        match fault {
            Some(fault) => self.fault(format!("record {seq}: {fault}")),
            None => self.links += 1,
        }
        (self.next, self.hash) = (seq.saturating_add(1), kept.hash);
    }

    fn contents(&self, kept: &Kept) -> Option<String> {
        let header = match Header::parse(&kept.header) {
            Ok(header) => header,
            Err(error) => return Some(error.to_string()),
        };
        if header.epoch != self.epoch || header.seq != kept.seq {
            return Some("it is kept under another number than its header says".to_owned());
        }
        let payload = kept.payload.as_ref()?;
        let whole = payload.len() == header.payload_len as usize;
        match (whole, &kept.reason) {
            (true, _) if sha256(&[payload]) != kept.payload_hash => Some("its payload was changed".to_owned()),
            (false, None) => Some("its payload was cut".to_owned()),
            _ => None,
        }
    }

    /// A run of records without their payloads, told by header and payload's hash, and where the chain stood before and
    /// behind it. Their own hashes are not kept: which of them was changed cannot be told.
    pub fn run(&mut self, first: u64, (prev, last): (&Hash, &Hash), records: &[([u8; Header::LEN], Hash)]) {
        self.must_be_next(first);
        let end = first.saturating_add(records.len() as u64);
        let named = format!("records {first} to {}", end.saturating_sub(1));
        let hash = records.iter().fold(*prev, |prev, (header, payload)| link(&prev, header, payload));
        if *prev != self.hash {
            self.fault(format!("{named}: what they follow was changed"));
        } else if hash != *last {
            self.fault(format!("{named}: one of them, or their hash, was changed"));
        } else {
            self.links += records.len() as u64;
        }
        (self.next, self.hash) = (end, *last);
    }

    /// Something else that does not hold.
    pub fn broken(&mut self, fault: String) {
        self.fault(fault);
    }

    /// A declared gap.
    pub fn gap(&mut self, gap: &Tombstone) {
        self.must_be_next(gap.first);
        if gap.last < gap.first {
            self.fault(format!("the gap at {} ends before it begins", gap.first));
            return;
        }
        self.links += 1;
        (self.next, self.hash) = (gap.last.saturating_add(1), gap.last_hash);
    }

    /// Compares with where the chain is said to stand; answers how many links held, and what did not.
    #[must_use]
    pub fn end(mut self, next: u64, hash: &Hash) -> (u64, Vec<String>) {
        if self.next != next {
            self.fault(format!("it ends at {}, its head says {}", self.next - 1, next.saturating_sub(1)));
        } else if self.hash != *hash {
            self.fault("its head has another hash than its last record".to_owned());
        }
        if self.unnamed > 0 {
            self.faults.push(format!("epoch {}: {} more faults", self.epoch, self.unnamed));
        }
        (self.links, self.faults)
    }

    fn must_be_next(&mut self, seq: u64) {
        if seq > self.next {
            let missing =
                if seq - 1 == self.next { self.next.to_string() } else { format!("{} to {}", self.next, seq - 1) };
            self.fault(format!("record {missing} is missing"));
        } else if seq < self.next {
            self.fault(format!("record {seq} lies in what came before"));
        }
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < NAMED {
            self.faults.push(format!("epoch {}: {fault}", self.epoch));
        } else {
            self.unnamed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::frame::DropReason;
    use plumb_proto::record::{Class, Moment, Sealer};
    use plumb_proto::time::Timestamp;

    const EPOCH: Epoch = Epoch([7; 16]);

    fn chain(count: u64) -> Vec<Kept> {
        let mut sealer = Sealer::new().unwrap();
        let mut prev = genesis(EPOCH);
        let at = Moment { boot_id: [0; 16], t_boot_ns: 0, wall: Timestamp::from_secs(1) };
        let records = (1..=count).map(|seq| {
            let record = sealer.seal((EPOCH, seq, prev), at, Class::Facts, format!("say {seq}").as_bytes()).unwrap();
            prev = record.hash();
            Kept {
                seq,
                header: record.header.to_bytes().to_vec(),
                payload_hash: sha256(&[&record.payload]),
                hash: prev,
                payload: Some(record.payload),
                reason: None,
            }
        });
        records.collect()
    }

    fn walk(chain: &[Kept], head: (u64, Hash)) -> (u64, String) {
        let mut walk = Walk::new(EPOCH);
        chain.iter().for_each(|each| walk.record(each));
        let (links, faults) = walk.end(head.0, &head.1);
        (links, faults.join("\n").replace(&format!("epoch {EPOCH}: "), ""))
    }

    #[test]
    fn a_chain_holds_with_and_without_its_payloads() {
        let mut kept = chain(5);
        let head = (6, kept[4].hash);
        assert_eq!(walk(&kept, head), (5, String::new()));
        kept.iter_mut().for_each(|each| each.payload = None);
        assert_eq!(walk(&kept, head), (5, String::new()));
    }

    #[test]
    fn whatever_is_changed_put_in_or_taken_out_is_named() {
        let whole = chain(5);
        let head = (6, whole[4].hash);
        let tampered = |change: fn(&mut Vec<Kept>)| {
            let mut kept = whole.clone();
            change(&mut kept);
            walk(&kept, head)
        };
        let changed = "its header, its hash or the record before it was changed";
        assert_eq!(tampered(|kept| kept[2].header[30] ^= 1), (4, format!("record 3: {changed}")));
        assert_eq!(tampered(|kept| kept[2].hash.0[0] ^= 1), (3, format!("record 3: {changed}\nrecord 4: {changed}")));
        assert_eq!(
            tampered(|kept| kept[2].payload = Some(b"say 9".to_vec())),
            (4, "record 3: its payload was changed".to_owned())
        );
        assert_eq!(tampered(|kept| drop(kept.remove(2))), (3, format!("record 3 is missing\nrecord 4: {changed}")));
        assert_eq!(tampered(|kept| kept.truncate(3)), (3, "it ends at 3, its head says 5".to_owned()));
    }

    #[test]
    fn a_declared_gap_is_a_link_and_the_chain_goes_on_behind_it() {
        let kept = chain(5);
        let last_hash = kept[3].hash;
        let gap = Tombstone { first: 2, last: 4, last_hash, records: 3, bytes: 9, reason: DropReason::SpoolFull };
        let mut walk = Walk::new(EPOCH);
        walk.record(&kept[0]);
        walk.gap(&gap);
        walk.record(&kept[4]);
        assert_eq!(walk.end(6, &kept[4].hash), (3, Vec::new()));
    }

    #[test]
    fn a_thousand_faults_are_counted_not_listed() {
        let mut kept = chain(40);
        let head = (41, kept[39].hash);
        kept.iter_mut().for_each(|each| each.payload = Some(b"x".to_vec()));
        let (links, faults) = walk(&kept, head);
        assert_eq!((links, faults.lines().count()), (0, 17));
        assert!(faults.ends_with("24 more faults"), "{faults}");
    }
}
