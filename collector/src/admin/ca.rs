//! `plumb-collector ca`: moves the key of the root off the machine, and back.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use plumb_proto::limits;
use plumb_proto::secret::Secret;
use plumb_proto::time::{Clock, Timestamp};
use plumb_proto::untrusted::Untrusted;
use serde::Serialize;

use super::owner::act_as_owner;
use super::{passphrase, print_line, who};
use crate::config::Config;
use crate::enroll::ca::root_key;
use crate::serve::{authority_dir, open_store};
use crate::store::rows::AuditEntry;

pub(super) const EXAMPLES: &str = "\
Examples:
  plumb-collector ca export /media/stick/plumb-root.key
  plumb-collector ca import /media/stick/plumb-root.key";

const EXPORT_EXAMPLES: &str = "\
The root key signs the authority's intermediates, once in ten years; from day to day only the intermediates are needed. \
This protects the root alone: who breaks in finds the keys of the intermediates, which stay on this machine, and can speak as \
this collector, any host and any user until these expire, but can make no new intermediates. The passphrase is asked for twice, 12 \
characters at least; without it nobody gets the key back. The file is a text: AES-256-GCM under PBKDF2-HMAC-SHA256.

Examples:
  plumb-collector ca export /media/stick/plumb-root.key
  pass show plumb/root | plumb-collector ca export plumb-root.key --passphrase-file -";

const IMPORT_EXAMPLES: &str = "\
Puts the root key back into the authority that it belongs to. No command of this version needs it there.

Examples:
  plumb-collector ca import /media/stick/plumb-root.key
  pass show plumb/root | plumb-collector ca import plumb-root.key --passphrase-file -";

#[derive(Subcommand)]
pub(super) enum CaCommand {
    /// Move the root key off this machine, into a file under a passphrase
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Moved),
    /// Bring the root key back from such a file
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Moved),
}

#[derive(Args)]
pub(super) struct Moved {
    /// The file with the encrypted key
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read the passphrase from the first line of a file, or from standard input (-), instead of asking
    #[arg(long, value_name = "FILE|-")]
    passphrase_file: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What was moved, as `ca export --json` and `ca import --json` print it.
#[derive(Serialize)]
struct MovedJson {
    file: String,
    /// Whether the key of the root is on this machine now.
    root_key_here: bool,
    /// Where else in the state folder the key lies, left by restores; empty: nowhere.
    also_in: Vec<String>,
}

pub(super) fn run(config: &Config, command: CaCommand, clock: &dyn Clock) -> Result<()> {
    let authority = authority_dir(&config.state_dir);
    if !authority.exists() {
        bail!("there is no certificate authority in {}: start the collector once, it makes one", authority.display());
    }
    match command {
        CaCommand::Export(arguments) => export(config, &authority, &arguments, clock.now()),
        CaCommand::Import(arguments) => import(config, &authority, &arguments, clock.now()),
    }
}

fn audit(config: &Config, at: Timestamp, who: &str, action: &str, file: &Path) -> Result<()> {
    open_store(&config.state_dir)?.commit(&mut |tx| {
        tx.audit(&AuditEntry {
            at,
            who: who.to_owned(),
            action: action.to_owned(),
            subject: Untrusted::from(file.display().to_string().as_str()),
            allowed: true,
            detail: String::new(),
        })
    })
}

fn export(config: &Config, authority: &Path, arguments: &Moved, now: Timestamp) -> Result<()> {
    let file = std::path::absolute(&arguments.file)?;
    if file.symlink_metadata().is_ok() {
        bail!("{} is there already: give another name", file.display());
    }
    root_key::is_here(authority)?;
    let also_in = elsewhere(&config.state_dir)?;
    let words = passphrase::read(arguments.passphrase_file.as_deref(), true)?;
    let text = root_key::seal(authority, &words)?;
    let stays = "the root key stays where it is";
    write(&file, &text, || same(&file, &words, authority)).context(stays)?;
    audit(config, now, &who(), "ca export", &file)?;
    same(&file, &words, authority).context(stays)?; // once more, directly ahead of what cannot be undone
    root_key::remove(authority)?;
    let only = if also_in.is_empty() { " only" } else { "" };
    let words = format!("the root key is in this file{only}, under the passphrase");
    print(arguments.json, &file, false, &also_in, &words)?;
    for path in also_in {
        eprintln!("The root key is in {} as well: delete that when you no longer need it.", path.display());
    }
    eprintln!(
        "Keep the file and the passphrase elsewhere, apart from each other, and delete the file here. Backups that were made \
         before hold the key still."
    );
    Ok(())
}

/// Where in the state folder the key of a root lies beside the authority in use: in what restores have set aside or left.
fn elsewhere(state_dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![(state_dir.to_owned(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type()?.is_dir() {
                if depth > 0 || name.starts_with("before-restore-") || name.starts_with("restore.") {
                    folders.extend((depth < 3).then_some((path, depth + 1)));
                }
            } else if depth > 0 && name.starts_with("root.key") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the file, read anew, gives back what is here: only then the key may go.
fn same(file: &Path, words: &Secret, authority: &Path) -> Result<()> {
    let (pem, key) = root_key::open(&read(file)?, words).with_context(|| format!("read {} back", file.display()))?;
    root_key::is_same(authority, &pem, &key).with_context(|| format!("read {} back", file.display()))
}

fn import(config: &Config, authority: &Path, arguments: &Moved, now: Timestamp) -> Result<()> {
    let (file, who) = (std::path::absolute(&arguments.file)?, who());
    let text = read(&file)?;
    let words = passphrase::read(arguments.passphrase_file.as_deref(), false)?;
    let (_, key) = root_key::open(&text, &words).with_context(|| file.display().to_string())?;
    act_as_owner(&config.state_dir)?;
    root_key::put_back(authority, &key)?;
    audit(config, now, &who, "ca import", &file)?;
    let also_in = elsewhere(&config.state_dir)?;
    print(arguments.json, &file, true, &also_in, &format!("the root key is in {} again", authority.display()))
}

fn print(json: bool, file: &Path, here: bool, also_in: &[PathBuf], words: &str) -> Result<()> {
    let file = file.display().to_string();
    let also_in = also_in.iter().map(|path| path.display().to_string()).collect();
    match json {
        true => print_line(&serde_json::to_string(&MovedJson { file, root_key_here: here, also_in })?),
        false => print_line(&format!("{file}: {words}")),
    }
}

/// Makes the file, and keeps it if `check` finds it good. One that is there already is somebody else's.
fn write(file: &Path, text: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let what = || format!("make {}", file.display());
    let mut made = File::options().write(true).create_new(true).mode(0o600).open(file).with_context(what)?;
    let mut fill = || -> Result<()> {
        made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).with_context(what)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all().with_context(|| format!("sync {}", folder.display()))
    };
    let done = fill().and_then(|()| check());
    if done.is_err() {
        let _ = std::fs::remove_file(file); // what went wrong is told already
    }
    done
}

fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let opened = File::open(file).with_context(|| format!("open {}", file.display()))?;
    let limit = 2 * limits::CERTIFICATE_CHAIN as u64;
    opened.take(limit + 1).read_to_string(&mut text).with_context(|| format!("read {}", file.display()))?;
    if text.len() as u64 > limit {
        bail!("{} is longer than {limit} bytes: this is no encrypted root key of plumb", file.display());
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
