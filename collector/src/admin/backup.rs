//! `plumb-collector backup`: database and certificate authority in one file, while the collector runs.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::fcntl::OFlag;
use plumb_proto::time::{Clock, Timestamp};
use plumb_proto::untrusted::Untrusted;
use serde::Serialize;

use super::{History, print_line, who};
use crate::cli::printer::words::{bytes, count};
use crate::config::Config;
use crate::enroll::ca::copy::read_all;
use crate::serve::{authority_dir, database};
use crate::store::rows::AuditEntry;
use crate::stores::sqlite::backup::{Piece, Saved, make, note};

pub(super) const EXAMPLES: &str = "\
The collector may run meanwhile and is not held up. The file holds the database and the certificate authority with its keys, \
and is readable to its owner only; what is in /etc/plumb is not in it. It is checked before it gets its name.

Examples:
  plumb-collector backup /var/backups/plumb-$(date +%F).db       a name with the date, as from cron
  plumb-collector backup --replace /mnt/offsite/plumb.db
  plumb-collector backup --json plumb.db | jq .records";

/// The action in the audit chain.
pub(super) const ACTION: &str = "backup";

#[derive(Args)]
pub(super) struct Backup {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE if it is there, once the new one is whole
    #[arg(long)]
    replace: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What was saved, as `backup --json` prints it.
#[derive(Serialize)]
pub(super) struct BackupJson {
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) made: String,
    pub(super) hosts: u64,
    pub(super) records: u64,
    /// When the last record was received; null: there is none.
    pub(super) until: Option<String>,
    /// Links of its chains that hold, and what does not; null: not walked, its schema is older.
    pub(super) history: Option<History>,
}

impl BackupJson {
    pub(super) fn new(file: &Path, bytes: u64, saved: &Saved) -> Self {
        let Saved { made, hosts, records, until, history } = saved.clone();
        Self {
            file: file.display().to_string(),
            bytes,
            made: seconds(made),
            hosts,
            records,
            until: until.map(seconds),
            history: history.map(|(links, faults)| History { links, faults }),
        }
    }

    /// In words: `12 hosts, 3456 records until 2026-11-28T16:46:47Z, 1.2 GiB; every link of its chains holds (3478)`.
    pub(super) fn words(&self) -> String {
        let number = |number: u64, one, many| count(usize::try_from(number).unwrap_or(usize::MAX), one, many);
        let until = self.until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
        #[allow(clippy::cast_precision_loss)] // one decimal is shown
        let size = bytes(self.bytes as f64);
        let chains = match &self.history {
            None => "of an older schema, its chains were not walked".to_owned(),
            Some(history) if history.faults.is_empty() => {
                format!("every link of its chains holds ({})", history.links)
            }
            Some(history) => format!("its history is BROKEN: {}", count(history.faults.len(), "fault", "faults")),
        };
        let (hosts, records) = (number(self.hosts, "host", "hosts"), number(self.records, "record", "records"));
        format!("{hosts}, {records}{until}, {size}; {chains}")
    }
}

/// A moment to the second.
pub(super) fn seconds(at: Timestamp) -> String {
    Timestamp::from_secs(at.millis().div_euclid(1000)).to_string()
}

pub(super) fn run(config: &Config, arguments: &Backup, clock: &dyn Clock) -> Result<()> {
    let (source, authority) = (database(&config.state_dir), authority_dir(&config.state_dir));
    if !source.exists() || !authority.exists() {
        bail!("there is nothing to save in {}: start the collector once", config.state_dir.display());
    }
    let file = target(&arguments.file, arguments.replace, &config.state_dir)?;
    let pieces = read_all(&authority)?;
    let entry = AuditEntry {
        at: clock.now(),
        who: who(),
        action: ACTION.to_owned(),
        subject: Untrusted::from(file.display().to_string().as_str()),
        allowed: true,
        detail: String::new(),
    };
    let part = Part::begin(&file)?;
    let saved = part.fill(&source, &pieces, &entry).map_err(|error| full(error, &file))?;
    part.finish(&file, arguments.replace)?;
    note(&source, &entry)
        .with_context(|| format!("{} is whole, but could not be noted in the audit", file.display()))?;

    let json = BackupJson::new(&file, std::fs::metadata(&file)?.len(), &saved);
    if arguments.json {
        print_line(&serde_json::to_string(&json)?)?;
    } else {
        print_line(&format!("{}: {}", json.file, json.words()))?;
    }
    for fault in json.history.iter().flat_map(|history| &history.faults) {
        eprintln!("history BROKEN: {fault}");
    }
    eprintln!(
        "It holds the keys of the certificate authority: whoever reads it can speak as this collector. Keep it elsewhere, in \
         secret. The files in /etc/plumb are not in it."
    );
    Ok(())
}

/// Where the backup goes, through links in the folder's path; whether it may.
fn target(file: &Path, replace: bool, state_dir: &Path) -> Result<PathBuf> {
    if file == Path::new("-") {
        bail!("a backup goes to a file: it is checked before it gets its name");
    }
    let Some(name) = file.file_name().filter(|_| !file.is_dir()) else {
        bail!("{} is a folder: name a file in it", file.display());
    };
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = parent.canonicalize().with_context(|| format!("the folder {}", parent.display()))?;
    if folder.starts_with(state_dir.canonicalize().with_context(|| state_dir.display().to_string())?) {
        bail!("{} is in the state folder, which it is a backup of: name a file elsewhere", file.display());
    }
    let target = folder.join(name);
    unless_there(&target, replace)?;
    Ok(target)
}

fn unless_there(file: &Path, replace: bool) -> Result<()> {
    match file.symlink_metadata() {
        Ok(_) if !replace => bail!("{} is there already: give another name, or --replace", file.display()),
        Ok(there) if !there.is_file() => {
            bail!("{} is no plain file: --replace replaces nothing else", file.display());
        }
        _ => Ok(()),
    }
}

/// A file that is not whole yet, under another name. Unless it is finished it goes with this value.
struct Part {
    path: PathBuf,
    /// Locked: two backups into one file would be none. It is closed last, or SQLite's own locks would end with it.
    file: File,
}

impl Part {
    fn begin(target: &Path) -> Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let mut options = File::options();
        options.read(true).write(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
        let make = || options.clone().create_new(true).open(&path);
        let file = match make() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let old = options.open(&path).with_context(|| format!("open {}", path.display()))?;
                match old.try_lock() {
                    Err(TryLockError::WouldBlock) => bail!("another backup to {} is being made", target.display()),
                    _ => std::fs::remove_file(&path).and_then(|()| make()), // of one that was interrupted
                }
            }
            made => made,
        };
        let file =
            file.map_err(|error| full(error.into(), target)).with_context(|| format!("make {}", path.display()))?;
        let _ = file.try_lock();
        Ok(Self { path, file })
    }

    fn fill(&self, source: &Path, pieces: &[Piece], entry: &AuditEntry) -> Result<Saved> {
        let saved = make(source, &self.path, pieces, entry)?;
        self.file.sync_all().with_context(|| format!("sync {}", self.path.display()))?;
        Ok(saved)
    }

    fn finish(self, target: &Path, replace: bool) -> Result<()> {
        unless_there(target, replace)?;
        std::fs::rename(&self.path, target).with_context(|| format!("rename to {}", target.display()))?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all().with_context(|| format!("sync {}", folder.display()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for end in ["", "-wal", "-journal", "-shm"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(end);
            let _ = std::fs::remove_file(name); // after a rename there is nothing
        }
    }
}

/// Says of a disk that is full whose it is, and that nothing stayed behind.
pub(super) fn full(error: anyhow::Error, target: &Path) -> anyhow::Error {
    let is_full = error.chain().any(|cause| {
        let sqlite = cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        sqlite == Some(rusqlite::ErrorCode::DiskFull)
            || matches!(io, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    });
    if !is_full {
        return error;
    }
    let folder = target.parent().unwrap_or(Path::new("/")).display();
    error.context(format!("the disk of {folder} is full: nothing was left there, nothing else was changed"))
}

#[cfg(test)]
mod tests;
