//! Denied calls are written into the audit: the first of a user and a call at once, those that follow as a number, once a
//! minute. Whoever may not ask can ask very often, and the audit is never made smaller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plumb_proto::time::Clock;
use plumb_proto::untrusted::Untrusted;
use tokio::sync::watch;

use super::calls::CALLS;
use crate::store::rows::AuditEntry;
use crate::worker::{Weight, Writer};

/// Denied calls are counted for so long before their number is written down.
const COUNTED: Duration = Duration::from_secs(60);
/// Between two looks at what was counted.
const STEP: Duration = Duration::from_secs(5);
/// Users and calls that are told apart at a time.
const KEPT: usize = 1_024;
/// In the name of all who are not.
const OTHERS: &str = "others";

/// Who was denied what.
type Key = (String, &'static str);

/// Denied calls since the last that was written.
struct Count {
    since: Duration,
    more: u64,
}

/// Writes denied calls down. Cheap to clone.
#[derive(Clone)]
pub(super) struct Audited {
    writer: Writer,
    clock: Arc<dyn Clock>,
    counts: Arc<Mutex<BTreeMap<Key, Count>>>,
}

impl Audited {
    pub(super) fn new(writer: Writer, clock: Arc<dyn Clock>) -> Self {
        Self { writer, clock, counts: Arc::default() }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Key, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody may not make a call; `path` is that of the request.
    pub(super) async fn denied(&self, who: &str, call: &str, path: &str) {
        let call = CALLS.iter().find(|(known, _)| *known == call).map_or("", |(known, _)| *known);
        let who = {
            let mut counts = self.counts();
            let mut key = (who.to_owned(), call);
            if counts.len() >= KEPT && !counts.contains_key(&key) {
                key = (OTHERS.to_owned(), "");
            }
            if let Some(count) = counts.get_mut(&key) {
                count.more = count.more.saturating_add(1);
                return;
            }
            let who = key.0.clone();
            counts.insert(key, Count { since: self.clock.monotonic(), more: 0 });
            who
        };
        tracing::warn!("{who} may not call {path:?}");
        self.write(who, path, String::new()).await;
    }

    /// Writes down what was counted for long enough; `all`: whatever was counted.
    async fn flush(&self, all: bool) {
        let now = self.clock.monotonic();
        let mut due = Vec::new();
        self.counts().retain(|(who, call), count| {
            if !all && now.saturating_sub(count.since) < COUNTED {
                return true;
            }
            let more = std::mem::take(&mut count.more);
            count.since = now;
            if more > 0 {
                due.push((who.clone(), *call, more));
            }
            more > 0
        });
        for (who, call, more) in due {
            tracing::warn!("{who} may not call {call:?}: {more} times more");
            self.write(who, call, format!("{more} times more")).await;
        }
    }

    async fn write(&self, who: String, subject: &str, detail: String) {
        let entry = AuditEntry {
            at: self.clock.now(),
            who,
            action: "denied".to_owned(),
            subject: Untrusted::from(subject),
            allowed: false,
            detail,
        };
        if let Err(error) = self.writer.call(Weight::default(), move |tx| tx.audit(&entry)).await {
            tracing::error!("a denied call is not in the audit: {error:#}");
        }
    }

    /// Writes down what is counted until `stop` becomes true, and then the rest.
    pub(super) async fn attend(self, mut stop: watch::Receiver<bool>) {
        loop {
            let is_over = tokio::select! {
                () = tokio::time::sleep(STEP) => false,
                // an error means that whoever could stop us has gone
                _ = stop.wait_for(|stop| *stop) => true,
            };
            self.flush(is_over).await;
            if is_over {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::store::Store;
    use crate::stores::sqlite::testing::Folder;

    fn entries(folder: &Folder) -> Vec<String> {
        let conn = rusqlite::Connection::open(folder.file("db")).unwrap();
        let mut all = conn.prepare("SELECT who, CAST(subject AS TEXT), detail FROM audit ORDER BY no").unwrap();
        let line = |row: &rusqlite::Row<'_>| {
            Ok(format!("{} {} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        };
        all.query_map([], line).unwrap().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn denied_calls_are_written_down_once_and_then_counted_by_the_minute() {
        let folder = Folder::empty();
        let store: Box<dyn Store> = crate::stores::open(&format!("sqlite:{}", folder.file("db").display())).unwrap();
        let (writer, _thread) = Writer::start(store).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let audited = Audited::new(writer, clock.clone());
        for _ in 0..500 {
            audited.denied("uid 7", "Approve", "/Approve").await;
        }
        audited.denied("uid 7", "RevokeHost", "/RevokeHost").await;
        let mut expected = vec!["uid 7 /Approve ", "uid 7 /RevokeHost "];
        assert_eq!(entries(&folder), expected);
        clock.advance(Duration::from_secs(59));
        audited.flush(false).await;
        assert_eq!(entries(&folder), expected);
        clock.advance(Duration::from_secs(1));
        audited.flush(false).await;
        expected.push("uid 7 Approve 499 times more");
        assert_eq!(entries(&folder), expected);
        audited.denied("uid 7", "Approve", "/Approve").await;
        audited.denied("uid 7", "RevokeHost", "/RevokeHost").await;
        audited.flush(true).await;
        expected.extend(["uid 7 /RevokeHost ", "uid 7 Approve 1 times more"]);
        assert_eq!(entries(&folder), expected);
    }

    #[tokio::test]
    async fn users_without_number_are_counted_as_one() {
        let folder = Folder::empty();
        let store: Box<dyn Store> = crate::stores::open(&format!("sqlite:{}", folder.file("db").display())).unwrap();
        let (writer, _thread) = Writer::start(store).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let audited = Audited::new(writer, clock);
        audited
            .counts()
            .extend((0..KEPT).map(|n| ((format!("user {n}"), ""), Count { since: Duration::ZERO, more: 0 })));
        for call in ["/x", "/y", "/z"] {
            audited.denied("user mallory", call, call).await;
        }
        assert_eq!(entries(&folder), ["others /x "]);
    }
}
