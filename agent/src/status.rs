//! The status file: what a running agent says of itself every ten seconds, for `status` and `check`.
//!
//! It is replaced by rename, so a reader sees a whole one; it is not synced, since it is worth nothing after a crash. On a
//! full disk, where it matters most, the one that is there is written over: it is padded, so that it takes no more room.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use plumb_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::host::grant::Rights;

/// Name of the file in the state folder.
const FILE: &str = "status.json";
/// Bytes of it that are read, at most.
const LIMIT: u64 = 4 << 20;
/// Fewer records that wait are not worth a word: some always do.
const MANY: u64 = 10;
/// It is padded by so much at least, to a multiple of a page.
const SPARE: usize = 2 << 10;
const PAGE: usize = 4 << 10;
/// A reader that comes while it is written over waits so long.
const TORN: Duration = Duration::from_millis(50);

/// See the module. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the agent.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started: String,
    /// When it wrote this.
    pub written: String,
    /// True when it has ended on purpose.
    pub stopped: bool,
    /// How it stands with the collector.
    pub connection: Connection,
    /// What waits to be delivered.
    pub spool: Spool,
    /// What it costs.
    pub cost: Cost,
    /// What it has locked itself out of.
    pub sandbox: Sandbox,
    /// What it may do beyond what any user may.
    #[serde(default)]
    pub rights: Rights,
    /// Why file events do not bring all looks forward, if they do not.
    pub file_events: Option<String>,
    /// Why the configuration as it is now is not in force, if it is not.
    #[serde(default)]
    pub refused: Option<String>,
    /// Each watcher.
    pub watchers: Vec<Watched>,
}

/// How an agent stands with its collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `not_enrolled`, `connecting` or `connected`.
    pub state: String,
    /// Since when it is connected.
    pub since: Option<String>,
    /// The collector's clock minus ours, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// What waits to be delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spool {
    /// Records that are not acknowledged.
    pub records: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Bytes that all records may take now.
    pub allowed_bytes: u64,
    /// The last record that was acknowledged, 0 if none.
    pub acknowledged: u64,
    /// The last record that was written, 0 if none.
    pub written: u64,
    /// True while the reserve for a full disk is there.
    pub reserve: bool,
    /// Acks that named a record which is not ours.
    pub refused_acks: u64,
    /// Why nothing is observed at the moment, if so.
    pub waits: Option<String>,
}

/// What the agent costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Resident memory.
    pub rss_bytes: u64,
    /// The anonymous part of it.
    pub rss_anon_bytes: u64,
    /// Processor time since the start.
    pub cpu_seconds: f64,
}

/// What the agent has locked itself out of: `on`, or why not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// System calls.
    pub seccomp: String,
    /// Files.
    pub landlock: String,
}

/// One watcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Seconds from look to look.
    pub every_seconds: u64,
    /// When it looked last.
    pub looked: Option<String>,
    /// How that ended: `done`, `more`, `absent`, `failed`.
    pub outcome: Option<String>,
    /// Processor time that its looks have taken since the start.
    pub cpu_seconds: f64,
    /// Rows that stand.
    pub facts: usize,
    /// Rows and columns that it could not see in its last look for want of a right, by capability.
    #[serde(default)]
    pub withheld: BTreeMap<String, usize>,
    /// What it could not see.
    pub problems: Vec<Problem>,
}

/// What a watcher could not see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Who could not.
    pub watcher: String,
    /// What.
    pub subject: String,
    /// Why.
    pub error: String,
    /// What would help.
    pub hint: String,
}

impl Problem {
    /// As a watcher told it.
    #[must_use]
    pub fn new(watcher: &str, told: &plumb_proto::model::Problem) -> Self {
        let subject = match (told.path.is_empty(), told.key_prefix.is_empty()) {
            (false, _) => told.path.to_string(),
            (true, false) => format!("{} {}", told.table, told.key_prefix),
            (true, true) => told.table.clone(),
        };
        Self { watcher: watcher.to_owned(), subject, error: escaped(&told.error), hint: escaped(&told.hint) }
    }
}

/// Errors quote what a host says.
fn escaped(text: &str) -> String {
    plumb_proto::untrusted::Untrusted::from(text).to_string()
}

impl Status {
    /// How the agent is, in a line for the service manager: what is wrong if something is, else that it delivers.
    #[must_use]
    pub fn line(&self) -> String {
        let waits = match self.spool.records {
            0..MANY => String::new(),
            records => format!("; {records} records wait"),
        };
        if let Some(why) = &self.refused {
            return format!("the configuration has mistakes, the one before holds: {why}");
        }
        match (&self.spool.waits, self.connection.state.as_str(), &self.connection.error) {
            (Some(why), ..) => format!("nothing is observed: {why}"),
            (None, "connected", _) => format!("connected to the collector{waits}"),
            (None, "not_enrolled", _) => "observing; not enrolled: run plumb-agent enroll".to_owned(),
            (None, _, Some(why)) => format!("not delivering: {why}{waits}"),
            (None, _, None) => format!("trying to connect{waits}"),
        }
    }

    /// Replaces the file in a state folder.
    ///
    /// # Errors
    /// The folder cannot be written, or its disk is full and the text does not fit into the file that is there.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let (fresh, file) = (folder.join("status.json.new"), folder.join(FILE));
        let mut text = serde_json::to_vec(self)?;
        let length = text.len();
        text.resize((length + SPARE).next_multiple_of(PAGE), b' ');
        match fs::write(&fresh, &text).and_then(|()| fs::rename(&fresh, &file)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                // Half of a new one only takes room away.
                let _ = fs::remove_file(&fresh);
                text.truncate(length);
                write_over(&file, text).map_err(|_| error)
            }
            other => other,
        }
    }

    /// Reads the file of a state folder, and when it was written; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is not a status.
    pub fn read(folder: &Path) -> io::Result<Option<(Self, Timestamp)>> {
        let read = || {
            let file = match File::open(folder.join(FILE)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let written = Timestamp::from_secs(file.metadata()?.mtime());
            let mut text = Vec::new();
            file.take(LIMIT).read_to_end(&mut text)?;
            Ok(Some((serde_json::from_slice(&text)?, written)))
        };
        read().or_else(|_| {
            std::thread::sleep(TORN);
            read()
        })
    }
}

/// Puts a text in place of the one in a file, which keeps its length.
fn write_over(path: &Path, mut text: Vec<u8>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let room = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if text.len() > room {
        return Err(io::ErrorKind::StorageFull.into());
    }
    text.resize(room, b' ');
    file.write_all_at(&text, 0)
}

impl Cost {
    /// Of this process, from proc_pid_statm(5) and proc_pid_stat(5); zeros where they cannot be read.
    #[must_use]
    pub fn own() -> Self {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self::parse(&statm, &stat)
    }

    fn parse(statm: &str, stat: &str) -> Self {
        // Both units are the kernel's promise to user space: `getconf PAGE_SIZE` as on nearly all servers, and
        // USER_HZ, which is 100 on all of Linux.
        const PAGE: u64 = 4096;
        const USER_HZ: f64 = 100.0;
        let mut pages = statm.split_whitespace().skip(1).map(|word| word.parse::<u64>().unwrap_or(0));
        let (resident, shared) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
        // The name in parentheses may hold anything; fields 14 and 15 are counted behind it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).map(|word| word.parse::<u32>().unwrap_or(0));
        Self {
            rss_bytes: resident * PAGE,
            rss_anon_bytes: resident.saturating_sub(shared) * PAGE,
            cpu_seconds: ticks.map(f64::from).sum::<f64>() / USER_HZ,
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Of an agent that has just started.
    pub(crate) fn status() -> Status {
        Status {
            version: "0.1.0".to_owned(),
            pid: 7,
            started: "2026-11-21T10:00:00Z".to_owned(),
            written: "2026-11-21T10:00:10Z".to_owned(),
            stopped: false,
            connection: Connection { state: "not_enrolled".to_owned(), since: None, skew_ms: None, error: None },
            spool: Spool::default(),
            cost: Cost::default(),
            sandbox: Sandbox::default(),
            rights: Rights::default(),
            file_events: None,
            refused: None,
            watchers: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::status;
    use super::*;
    use crate::state::testing::Folder;

    #[test]
    fn a_status_is_read_as_it_was_written_and_none_is_no_error() {
        let folder = Folder::new();
        assert_eq!(Status::read(folder.path()).unwrap(), None);
        status().write(folder.path()).unwrap();
        let (read, written) = Status::read(folder.path()).unwrap().unwrap();
        assert_eq!((read, written > Timestamp::from_secs(1_700_000_000)), (status(), true));
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(Status::read(folder.path()).is_err());
    }

    #[test]
    fn a_status_that_is_written_over_keeps_its_length_and_reads_as_the_new_one() {
        let folder = Folder::new();
        let file = folder.path().join(FILE);
        let write = |status: &Status| write_over(&file, serde_json::to_vec(status).unwrap());
        assert!(write(&status()).is_err(), "there is none to write over");
        status().write(folder.path()).unwrap();
        let length = fs::metadata(&file).unwrap().len();
        let mut full = status();
        full.spool.waits = Some("the disk is full ".repeat(100));
        write(&full).unwrap();
        assert_eq!(
            (Status::read(folder.path()).unwrap().unwrap().0, fs::metadata(&file).unwrap().len()),
            (full, length)
        );
        let mut endless = status();
        endless.spool.waits = Some("x".repeat(PAGE));
        assert!(write(&endless).is_err());
        write(&status()).unwrap();
        assert_eq!(Status::read(folder.path()).unwrap().unwrap().0, status(), "nothing of the longer one is left");
    }

    #[test]
    fn the_line_for_the_service_manager_says_what_is_wrong() {
        let mut status = status();
        assert_eq!(status.line(), "observing; not enrolled: run plumb-agent enroll");
        status.connection.state = "connecting".to_owned();
        assert_eq!(status.line(), "trying to connect");
        status.connection.error = Some("connection refused".to_owned());
        status.spool.records = 12;
        assert_eq!(status.line(), "not delivering: connection refused; 12 records wait");
        status.connection.state = "connected".to_owned();
        status.spool.records = 9;
        assert_eq!(status.line(), "connected to the collector");
        status.spool.waits = Some("the disk is full".to_owned());
        assert_eq!(status.line(), "nothing is observed: the disk is full");
        status.refused = Some("agent.toml:1: no".to_owned());
        assert_eq!(status.line(), "the configuration has mistakes, the one before holds: agent.toml:1: no");
    }

    #[test]
    fn own_cost_is_counted_behind_a_name_that_lies() {
        let stat = "7 (a) 1 2) S 1 7 7 0 -1 4194560 1000 0 0 0 150 25 0 0 20 0 2 0 100 9000000 1000";
        let cost = Cost::parse("2000 1500 1100 400 0 300 0\n", stat);
        assert_eq!(cost, Cost { rss_bytes: 1500 * 4096, rss_anon_bytes: 400 * 4096, cpu_seconds: 1.75 });
        assert!(Cost::own().rss_bytes > 1 << 20);
    }
}
