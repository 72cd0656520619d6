//! Rows and samples.

use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use super::history::{self, History, Rhythm, Seen};
use super::proof::Verdict;
use super::series::{Item, Series};
use super::{BACKUP, Backups, HISTORY, RESCAN};
use crate::host::HostError;
use crate::watcher::{Look, Progress};

/// Series of which samples are told.
const SAMPLED: usize = 200;
/// A time that lies ahead by more than this (a day, in milliseconds) is no time of a backup.
const AHEAD: i64 = 86_400_000;

/// A row as it is told until the next scan.
pub(super) struct Row {
    key: Untrusted,
    source: String,
    fields: Vec<(&'static str, Value)>,
    unknown: Vec<(&'static str, String, &'static str)>,
    newest: Option<Timestamp>,
    size: Option<u64>,
}

impl Backups {
    /// Makes the row of a series whose newest is `chosen`; none: all that is there is being written.
    pub(super) fn row(&mut self, look: &Look<'_>, key: Vec<u8>, series: Series, chosen: Option<Item>, writing: bool) {
        let name = Untrusted::from(key.as_slice()).to_string();
        let history = self.history.get_or_insert_with(|| History::read(&look.cursor(HISTORY).unwrap_or_default()));
        let judged = chosen.as_ref().and_then(|_| self.judged.get(&key));
        let verdict = judged.and_then(|judged| judged.found.as_ref().ok()).map(|proof| proof.verdict);
        let mut seen: Vec<Seen> = series.seen.clone();
        // What is being written or is not whole teaches nothing.
        let whole = chosen.as_ref().filter(|_| !matches!(verdict, Some(Verdict::Incomplete(_))));
        let last = whole.map(|item| item.at).or(series.newest.first().map(|item| before(item.at)));
        seen.retain(|(at, _)| last.is_some_and(|last| *at <= last.millis() / 1000) && *at * 1000 <= look.now.millis());
        history::merge(&mut seen);
        history.learn(&name, &seen);
        let past = history.of(&name);

        let declared = series.declared.and_then(|number| self.declared.get(number));
        let rhythm = declared.and_then(|each| each.every).map(Rhythm::declared).or_else(|| history::rhythm(past));
        let mut row = Row {
            key: key.into(),
            source: chosen.as_ref().map_or_else(
                || Untrusted::from(series.folder.as_slice()).to_string(),
                |item| Untrusted::from(item.path.as_os_str().as_encoded_bytes()).to_string(),
            ),
            fields: vec![
                ("kind", series.kind.as_str().into()),
                ("location", Value::Text(series.folder.clone().into())),
                ("declared", declared.is_some().into()),
            ],
            unknown: Vec::new(),
            newest: None,
            size: None,
        };
        match series.failed.filter(|_| series.files == 0) {
            // None was found, but not because there is none.
            Some(error) => {
                let columns = ["files", "newest", "valid"].into_iter();
                row.unknown.extend(columns.map(|column| (column, error.to_string(), error.hint())));
            }
            None => row.fields.push(("files", whole_number(series.files))),
        }
        row.add_rhythm(rhythm);
        if let Some(item) = &chosen {
            row.add_newest(item, look.now);
            let typical = history::typical_size(past, item.at.millis() / 1000).filter(|_| item.size.is_some());
            row.fields.extend(typical.map(|size| ("typical_size", whole_number(size))));
            if let Some(judged) = judged {
                row.add_proof(judged, series.encrypted);
            }
        } else if writing {
            // The one before was overwritten: when it was written is known, what it was worth is not. It is told as it
            // was, so that a rule about its age does not come and go.
            let before = self.known.before.iter().find(|before| before.key == row.key);
            let before = before.map(|before| (before.newest, before.size));
            let learnt = || past.last().map(|(at, size)| (Some(Timestamp::from_secs(*at)), Some(*size)));
            (row.newest, row.size) = before.or_else(learnt).unwrap_or_default();
            row.fields.extend(row.newest.map(|at| ("newest", Value::Time(at))));
            row.fields.extend(row.size.map(|size| ("size", whole_number(size))));
            row.fields.push(("verdict", "unknown".into()));
            row.fields.push(("reason", WRITING.into()));
            row.unknown.push(("valid", WRITING.to_owned(), ""));
        }
        self.known.rows.push(row);
    }

    /// Tells what the last scan came to.
    pub(super) fn tell(&mut self, look: &mut Look<'_>) -> Progress {
        for row in &self.known.rows {
            look.fact(&BACKUP, row.key.clone(), &row.source, &row.fields);
            for (column, why, hint) in &row.unknown {
                look.unknown(&BACKUP, row.key.clone(), column, why, hint);
            }
        }
        for error in &self.known.failed {
            let under = error.path.as_bytes();
            look.problem(&BACKUP, under, under, &error.kind, error.hint());
        }
        let due = |at: Timestamp| look.now < at || look.now.since(at) >= RESCAN;
        if self.known.sampled.is_none_or(due) {
            self.known.sampled = Some(look.now);
            for row in self.known.rows.iter().take(SAMPLED) {
                let name = row.key.to_string();
                #[allow(clippy::cast_precision_loss)] // exact up to 2^53
                if let Some(newest) = row.newest {
                    look.gauge("backup_age_seconds", &[("backup", &name)], look.now.since(newest).as_secs_f64());
                    if let Some(size) = row.size {
                        look.gauge("backup_size_bytes", &[("backup", &name)], size as f64);
                    }
                }
            }
        }
        let nothing = self.known.rows.is_empty() && self.known.failed.is_empty();
        if nothing { Progress::Absent } else { Progress::Done }
    }
}

const WRITING: &str = "it is being written";

impl Row {
    /// As its past is kept.
    pub(super) fn name(&self) -> String {
        self.key.to_string()
    }

    fn add_rhythm(&mut self, rhythm: Option<Rhythm>) {
        let Some(Rhythm { interval, late_after }) = rhythm else { return };
        self.fields.push(("interval_seconds", Value::Int(interval)));
        self.fields.push(("late_after_seconds", Value::Int(late_after)));
    }

    fn add_newest(&mut self, item: &Item, now: Timestamp) {
        if item.at.millis().saturating_sub(now.millis()) > AHEAD {
            self.unknown.push(("newest", format!("its time lies ahead: {}", item.at), "look at the host's clock"));
        } else {
            let at = Timestamp::from_secs(item.at.millis() / 1000);
            self.newest = Some(at);
            self.fields.push(("newest", Value::Time(at)));
        }
        self.size = item.size;
        self.fields.extend(item.size.map(|size| ("size", whole_number(size))));
    }

    fn add_proof(&mut self, judged: &super::Judged, encrypted: bool) {
        let at = ("verified_at", Value::Time(judged.at));
        let locked = |told: Option<bool>| if encrypted { Some(true) } else { told };
        let proof = match &judged.found {
            Ok(proof) => proof,
            Err(error) => return self.add_unread(error),
        };
        let (word, reason) = match proof.verdict {
            Verdict::Complete => ("complete", None),
            Verdict::Incomplete(why) => ("incomplete", Some(why)),
            Verdict::Unjudged(why) => ("unknown", Some(why)),
        };
        self.fields.extend(proof.program.map(|program| ("program", program.into())));
        if !matches!(proof.verdict, Verdict::Unjudged(_)) {
            self.fields.push(("valid", (proof.verdict == Verdict::Complete).into()));
        }
        self.fields.push(("verdict", word.into()));
        self.fields.extend(reason.map(|why| ("reason", why.into())));
        self.fields.push(at);
        self.fields.extend(locked(proof.encrypted).map(|locked| ("encrypted", locked.into())));
    }

    fn add_unread(&mut self, error: &HostError) {
        self.fields.push(("verdict", "unknown".into()));
        self.fields.push(("reason", error.kind.to_string().as_str().into()));
        self.unknown.push(("valid", error.to_string(), error.hint()));
    }
}

fn before(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis().saturating_sub(1000))
}

fn whole_number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watcher::testing::NOW;

    /// Whoever owns a file sets its time, and tmpfs and btrfs keep any.
    #[test]
    fn any_time_that_a_file_may_have_is_told() {
        let meta = crate::watcher::testing::stage(&crate::watchers::backups::SPEC).folder("/a").host().stat("/a");
        let identity = meta.unwrap().identity;
        for (at, newest) in
            [(i64::MIN, "newest=-292275055-05-16T16:47:05Z"), (0, "newest=1970-01-01T00:00:00Z"), (i64::MAX, "ahead")]
        {
            let item = Item { path: "/a".into(), at: Timestamp::from_millis(at), size: None, identity };
            let mut row = Row {
                key: "a".into(),
                source: String::new(),
                fields: Vec::new(),
                unknown: Vec::new(),
                newest: None,
                size: None,
            };
            row.add_newest(&item, NOW);
            let told = row.fields.first().map_or_else(|| "ahead".to_owned(), |(name, value)| format!("{name}={value}"));
            assert_eq!(told, newest);
            assert!(before(item.at) <= item.at);
        }
    }
}
