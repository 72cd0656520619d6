//! Backups that lie on this host, as series: how new, how big, whether whole, and how often they come.
//!
//! What lies in the usual folders is found by itself, what lies elsewhere can be declared; other folders are not guessed
//! at. Whether a backup comes late or is too small is for rules to say: here is told what its own past makes usual.

mod history;
mod judge;
mod names;
mod proof;
mod scan;
mod series;
mod tell;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::ColumnType;
use plumb_proto::time::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::host::{HostError, Identity};
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, minutes};
use history::History;
use proof::{Proof, Walk};
use scan::Scan;
use series::{Item, Series};

/// The watcher `backups`.
pub const SPEC: Spec = Spec::new::<Backups>(
    "backups",
    minutes(1),
    &[&BACKUP],
    r#"
# Backups that lie elsewhere, or that must be there: a name, the files (`*` stands for any part of a name), and how often
# one must come where that should not be learnt (s, m, h, d, w). A declared backup without any file is told as missing.
# declared = [{ name = "shop", pattern = "/srv/dumps/shop-*.sql.gz", every = "1d" }]
declared = []
# Folders where backups are looked for, four folders deep; `*` stands for any part of a name.
folders = [
    "/var/backups", "/backup*", "/srv/backup*", "/root/backup*", "/home/*/backup*", "/mnt/backup*", "/data/backup*",
    "/opt/backup*",
    "/var/lib/mysql-backup*", "/var/lib/automysqlbackup", "/var/lib/autopostgresqlbackup", "/var/lib/pgsql/backups",
    "/var/lib/pgsql/*/backups", "/var/lib/pgbackrest/backup", "/var/lib/barman/*/base",
    "/var/lib/psa/dumps",                                                       # Plesk
    "/home/*/admin_backups", "/home/*/user_backups",                            # DirectAdmin
    "/var/backup",                                                              # ISPConfig
]
# Where WordPress lies: folders of its backup plugins are looked for below.
wordpress = [
    "/var/www", "/var/www/*", "/var/www/*/*", "/var/www/vhosts/*/httpdocs", "/home/*/public_html", "/home/*/htdocs/*",
    "/home/*/web/*/public_html", "/srv/www/*", "/srv/www/*/*", "/usr/share/nginx/html",
]
# A gzip up to this size is unpacked (to nowhere) to see whether all of it is there: some 5 s of a processor per GiB.
unpack_bytes = 134217728
"#,
);

/// Series of backups.
const BACKUP: Table = Table {
    name: "backup",
    doc: "Series of backups. Key: the name where it is declared, else the path, `*` for what differs from one to the next.",
    columns: &[
        Column::state("kind", ColumnType::Text, "What its name says it is: sql.gz, tar, zip, restic, ..."),
        Column::state("location", ColumnType::Text, "The folder on this host where it lies."),
        Column::moving("newest", ColumnType::Time, "When the newest was written; not one that is being written."),
        Column::moving("size", ColumnType::Int, "Bytes of the newest; not told of repositories and folders."),
        Column::moving("files", ColumnType::Int, "How many backups there are."),
        Column::moving("program", ColumnType::Text, "What wrote the newest, where its content says so."),
        Column::moving("valid", ColumnType::Bool, "Whether the newest is whole; not set where its format cannot tell."),
        Column::moving("verdict", ColumnType::Text, "The same as a word: complete, incomplete, unknown."),
        Column::moving("reason", ColumnType::Text, "Why it is not complete, or why that is not known."),
        Column::moving("verified_at", ColumnType::Time, "When that was found out."),
        Column::moving(
            "encrypted",
            ColumnType::Bool,
            "Whether the newest can only be read with a key, if that is known.",
        ),
        Column::moving("interval_seconds", ColumnType::Int, "Seconds from one to the next: declared or learnt."),
        Column::moving("late_after_seconds", ColumnType::Int, "The newest is late when it is older than this."),
        Column::moving("typical_size", ColumnType::Int, "Median size of those before the newest, if most are alike."),
        Column::moving("declared", ColumnType::Bool, "Whether the configuration names it."),
    ],
};

/// All that lies there is asked about so often; a look in between only when something changed or was being written.
const RESCAN: Duration = Duration::from_secs(600);
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backups {
    declared: Vec<Declared>,
    folders: Vec<String>,
    wordpress: Vec<String>,
    unpack_bytes: u64,
    #[serde(skip)]
    at: At,
    #[serde(skip)]
    history: Option<History>,
    /// By series: what was found out about its newest.
    #[serde(skip)]
    judged: BTreeMap<Vec<u8>, Judged>,
    #[serde(skip)]
    known: Known,
}

/// A backup that the configuration names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: String,
    pattern: String,
    #[serde(default, deserialize_with = "span")]
    every: Option<i64>,
}

/// How far a look is.
#[derive(Default)]
enum At {
    #[default]
    Idle,
    Scanning(Scan),
    /// Series whose newest is not judged yet, and the one that is being gone through.
    Judging(BTreeMap<Vec<u8>, Series>, Option<(Vec<u8>, Item, Walk)>),
}

/// What was found out about a file.
#[derive(Clone, Debug)]
struct Judged {
    identity: Identity,
    at: Timestamp,
    found: Result<Proof, HostError>,
}

/// What the last scan came to; told again until the next.
#[derive(Default)]
struct Known {
    scanned: Option<Timestamp>,
    /// Something is being written: look again soon.
    writing: bool,
    rows: Vec<tell::Row>,
    /// What the scan before came to.
    before: Vec<tell::Row>,
    failed: Vec<HostError>,
    folders: Vec<PathBuf>,
    sampled: Option<Timestamp>,
}

impl Watcher for Backups {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        match std::mem::take(&mut self.at) {
            At::Idle if self.is_due(look) => {
                self.at = At::Scanning(Scan::begin(look.host, &self.folders, &self.wordpress, &self.declared));
                Ok(Progress::More)
            }
            At::Idle => Ok(self.tell(look)),
            At::Scanning(mut scan) => {
                if scan.go_on(look.host) {
                    self.at = At::Scanning(scan);
                } else {
                    let Scan { series, folders, failed, .. } = scan;
                    self.judged.retain(|key, _| series.contains_key(key));
                    let Known { rows: before, sampled, .. } = std::mem::take(&mut self.known);
                    self.known = Known { before, sampled, folders, failed, ..Known::default() };
                    self.at = At::Judging(series, None);
                }
                Ok(Progress::More)
            }
            At::Judging(todo, begun) => {
                self.judge(look, todo, begun);
                if matches!(self.at, At::Judging(..)) {
                    return Ok(Progress::More);
                }
                self.known.scanned = Some(look.now);
                self.known.before = Vec::new();
                self.keep(look);
                Ok(self.tell(look))
            }
        }
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        let fixed = self.folders.iter().filter(|folder| !folder.contains('*')).map(PathBuf::from);
        let declared = self.declared.iter().filter_map(|each| Path::new(&each.pattern).parent());
        let declared = declared.filter(|folder| !folder.to_string_lossy().contains('*')).map(Path::to_owned);
        let mut paths: Vec<PathBuf> = fixed.chain(declared).chain(self.known.folders.iter().cloned()).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

impl Backups {
    fn is_due(&self, look: &Look<'_>) -> bool {
        let due = |at: Timestamp| look.now < at || look.now.since(at) >= RESCAN;
        self.known.scanned.is_none_or(due) || self.known.writing || !look.trigger.is_empty()
    }

    fn keep(&mut self, look: &mut Look<'_>) {
        let Some(history) = &mut self.history else { return };
        let there = self.known.rows.iter().map(tell::Row::name).collect();
        history.forget(look.now, &there);
        let bytes = history.write();
        if look.cursor(HISTORY).as_deref() != Some(&bytes) {
            look.set_cursor(HISTORY, bytes);
        }
    }
}

/// Name of the cursor that keeps the past.
const HISTORY: &str = "history";

/// `"1d"`, `"90m"`: seconds.
fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(from)?;
    let (number, unit) =
        text.split_at(text.len().saturating_sub(1).min(text.floor_char_boundary(text.len().saturating_sub(1))));
    let unit =
        [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800)].iter().find(|(name, _)| *name == unit);
    let span = unit.and_then(|(_, seconds)| number.trim().parse::<i64>().ok()?.checked_mul(*seconds));
    let span = span.filter(|seconds| (60..=366 * 86_400).contains(seconds));
    span.map(Some)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time between 1m and 366d, such as \"1d\"")))
}
