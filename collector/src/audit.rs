//! Who changed what, as a chain: each entry carries the hash of all before it. Pure, and the same for every engine.

use plumb_proto::record::{Hash, sha256};

use crate::store::rows::AuditEntry;

/// The hash of an entry behind `prev`; the first entry follows zeros. Parts are told apart by their lengths.
#[must_use]
pub fn link(prev: &Hash, entry: &AuditEntry) -> Hash {
    let mut bytes = entry.at.millis().to_be_bytes().to_vec();
    bytes.push(u8::from(entry.allowed));
    let parts = [entry.who.as_bytes(), entry.action.as_bytes(), entry.subject.as_bytes(), entry.detail.as_bytes()];
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    sha256(&[b"plumb.audit.1\0", &prev.0, &bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::time::Timestamp;

    #[test]
    fn every_part_of_an_entry_and_all_before_it_make_its_hash() {
        let entry = AuditEntry {
            at: Timestamp::from_secs(1),
            who: "uid 0".to_owned(),
            action: "approve".to_owned(),
            subject: "web1".into(),
            allowed: true,
            detail: String::new(),
        };
        let others = [
            AuditEntry { at: Timestamp::from_secs(2), ..entry.clone() },
            AuditEntry { who: "uid 1".to_owned(), ..entry.clone() },
            AuditEntry { action: "revoke".to_owned(), ..entry.clone() },
            AuditEntry { subject: "web2".into(), ..entry.clone() },
            AuditEntry { allowed: false, ..entry.clone() },
            AuditEntry { action: "approvew".to_owned(), subject: "eb1".into(), ..entry.clone() },
        ];
        let prev = Hash::default();
        assert!(others.iter().all(|other| link(&prev, other) != link(&prev, &entry)));
        assert_ne!(link(&link(&prev, &entry), &entry), link(&prev, &entry));
    }
}
