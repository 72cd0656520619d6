//! A tally as bytes, for the cursor of the watcher that keeps it.

use serde::{Deserialize, Serialize};

use plumb_proto::time::Timestamp;

use super::book;
use super::tally::{Entry, ROWS, Tally};

/// An entry as it is kept. Short names: a cursor is written with every look that read something.
#[derive(Serialize, Deserialize)]
struct Kept {
    kind: String,
    source: String,
    site: String,
    text: String,
    times: [i64; 3],
    counts: [u64; 3],
    written: Option<(i64, u64)>,
    told: Option<i64>,
    new_text: String,
}

impl Tally {
    /// As bytes, to be kept with the place up to which the source was read.
    pub fn to_bytes(&mut self) -> Vec<u8> {
        self.changed = false;
        let entries = self.entries.iter().map(|((kind, source), entry)| Kept {
            kind: kind.clone(),
            source: source.clone(),
            site: entry.site.clone(),
            text: entry.text.clone(),
            times: [entry.first.millis(), entry.last.millis(), entry.new_at.millis()],
            counts: [entry.count, entry.total, entry.new],
            written: entry.written.map(|(last, count)| (last.millis(), count)),
            told: entry.told.map(Timestamp::millis),
            new_text: entry.new_text.clone(),
        });
        serde_json::to_vec(&(self.more, entries.collect::<Vec<_>>())).unwrap_or_default()
    }

    /// From [`Tally::to_bytes`], with the usual quiet time. What cannot be read, or is of a kind that is not known any more, is forgotten.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (more, kept): (u64, Vec<Kept>) = serde_json::from_slice(bytes).unwrap_or_default();
        let entry = |kept: Kept| {
            let known = book::book().named(&kept.kind)?;
            let [first, last, new_at] = kept.times.map(Timestamp::from_millis);
            let [count, total, new] = kept.counts;
            let entry = Entry {
                known,
                site: kept.site,
                text: kept.text,
                first,
                last,
                count,
                total,
                written: kept.written.map(|(last, count)| (Timestamp::from_millis(last), count)),
                told: kept.told.map(Timestamp::from_millis),
                new,
                new_at,
                new_text: kept.new_text,
            };
            Some(((kept.kind, kept.source), entry))
        };
        Self { entries: kept.into_iter().take(ROWS).filter_map(entry).collect(), more, ..Self::default() }
    }
}
