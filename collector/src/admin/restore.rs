//! `plumb-collector restore`: puts a backup in the place of what is in the state folder.

use std::fs::File;
use std::io::copy;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use plumb_proto::time::Clock;
use plumb_proto::untrusted::Untrusted;
use serde::Serialize;

use super::backup::{BackupJson, full, seconds};
use super::owner::{act_as_owner, is_taken};
use super::{print_line, who};
use crate::config::Config;
use crate::enroll::ca::copy::write_all;
use crate::enroll::ca::root_key;
use crate::restore::{Stage, finish};
use crate::serve::{authority_dir, database, lock_if_free};
use crate::store::rows::AuditEntry;
use crate::stores::sqlite::backup::{Saved, recognise, unpack};

pub(super) const EXAMPLES: &str = "\
The file is copied and checked whole before anything is changed. What is in the state folder now is kept there, in a folder \
before-restore-TIME: delete it when you no longer need it. Agents come back by themselves and send again what the backup does \
not have, up to a day of it. What operators did after the backup (enrol, revoke, approve) is undone.

Examples:
  systemctl stop plumb-collector
  plumb-collector restore /var/backups/plumb-2026-11-28.db
  systemctl start plumb-collector";

#[derive(Args)]
pub(super) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Restore it although its history is not what was received
    #[arg(long)]
    despite_faults: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What was restored, as `restore --json` prints it.
#[derive(Serialize)]
struct RestoreJson {
    #[serde(flatten)]
    backup: BackupJson,
    state_dir: String,
    /// Where what was there before has been set aside; null: there was nothing.
    set_aside: Option<String>,
    /// Whether the key of the root came with the backup, though it had been moved away from this machine.
    root_key_came_back: bool,
}

pub(super) fn run(config: &Config, arguments: &Restore, clock: &dyn Clock) -> Result<()> {
    let (state_dir, now, who) = (&config.state_dir, clock.now(), who());
    // Before anything else: root may read what the owner of the state folder must not.
    let path = std::path::absolute(&arguments.file)?;
    let mut file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let bytes = file.metadata()?.len();
    recognise(&path)?;
    let running = || {
        let stop = "stop it first, with `systemctl stop plumb-collector`; nothing was changed";
        anyhow!("a collector runs on {}: {stop}", state_dir.display())
    };
    if is_taken(state_dir)? {
        return Err(running());
    }
    act_as_owner(state_dir)?;
    let _lock = lock_if_free(state_dir)?.ok_or_else(running)?;
    if finish(state_dir, now)?.is_some() {
        eprintln!("A restore that had been interrupted was finished first.");
    }

    let stage = Stage::begin(state_dir).map_err(|error| full(error, &state_dir.join("lock")))?;
    let entry = |saved: &Saved| AuditEntry {
        at: now,
        who: who.clone(),
        action: "restore".to_owned(),
        subject: Untrusted::from(path.display().to_string().as_str()),
        allowed: true,
        detail: format!("backup of {}", seconds(saved.made)),
    };
    let mut fill = || -> Result<Saved> {
        let target = database(stage.folder());
        let into = File::options().write(true).create_new(true).mode(0o600).open(&target);
        copy(&mut file, &mut into.with_context(|| format!("make {}", target.display()))?)
            .with_context(|| format!("copy to {}", target.display()))?;
        let (saved, pieces) = unpack(&target, arguments.despite_faults, entry)?;
        write_all(&authority_dir(stage.folder()), &pieces)?;
        Ok(saved)
    };
    let saved = fill()
        .map_err(|error| full(error, &state_dir.join("lock")))
        .with_context(|| format!("{} was not restored, and {} is as it was", path.display(), state_dir.display()))?;
    let authority = authority_dir(state_dir);
    let was_away = authority.join("root.pem").exists() && root_key::is_here(&authority).is_err();
    let set_aside = stage.put_in_place(now)?;
    let came_back = was_away && root_key::is_here(&authority).is_ok();

    let backup = BackupJson::new(&path, bytes, &saved);
    let words = backup.words();
    let json = RestoreJson {
        backup,
        state_dir: state_dir.display().to_string(),
        set_aside: set_aside.map(|path| path.display().to_string()),
        root_key_came_back: came_back,
    };
    if arguments.json {
        print_line(&serde_json::to_string(&json)?)?;
    } else {
        print_line(&format!("restored the backup of {}: {words}", json.backup.made))?;
        if let Some(before) = &json.set_aside {
            print_line(&format!("what was there before is in {before}"))?;
        }
    }
    if came_back {
        eprintln!(
            "The root key came with the backup: it had been moved away from this machine, and is in {} again. \
             `plumb-collector ca export FILE` moves it away.",
            authority.display()
        );
    }
    eprintln!(
        "Next: `systemctl start plumb-collector`. Agents come back by themselves and send again what they still have, up to a \
         day of it.\nDo again what was done after {}: enrolments, revocations, approvals, tokens, users.",
        json.backup.made
    );
    Ok(())
}

#[cfg(test)]
mod tests;
