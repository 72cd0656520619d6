//! Puts a state that was made beside the one in place into its stead, and sets that one aside. All is made in `restore.part`,
//! synced, and then called `restore.ready` in one step: until then nothing has changed, and from there on it only goes forward.
//! Whoever comes next, another restore or a collector that starts, finishes the renames under the lock before it opens
//! anything, so neither ever works on half of each. Between two renames there is half of each in place: whoever reads without
//! the lock has to ask [`is_interrupted`]. Of what was in place nothing is deleted.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use plumb_proto::time::Timestamp;

const PART: &str = "restore.part";
const READY: &str = "restore.ready";
/// Within either: what was in place before.
const ASIDE: &str = "aside";
/// What SQLite keeps beside a database: it belongs to the one that goes, and must never meet the one that comes.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];
/// Said of whatever fails behind the point of no return.
const DECIDED: &str = "the restore is decided; the next start of the collector or restore finishes it";

/// A state that is being made. Until it is put in place it goes with this value, and nothing has happened.
pub struct Stage {
    state_dir: PathBuf,
    part: PathBuf,
}

impl Stage {
    /// Begins, in the state folder, where what is made is on the right disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn begin(state_dir: &Path) -> Result<Self> {
        let stage = Self { state_dir: state_dir.to_owned(), part: state_dir.join(PART) };
        clear(state_dir)?; // of a restore that was interrupted
        let make = |path: &Path| DirBuilder::new().mode(0o700).create(path);
        make(&stage.part)
            .and_then(|()| make(&stage.part.join(ASIDE)))
            .with_context(|| format!("make {}", stage.part.display()))?;
        Ok(stage)
    }

    /// Where the new state is made: whatever lies here takes the place of what is called alike.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.part
    }

    /// Puts it in place. Answers where what was there before has been set aside; `None`: there was nothing.
    ///
    /// # Errors
    /// Something in place is a mount point, or the disk refuses. The words say whether nothing was changed, or whether it is
    /// decided; then the next restore, or a collector that starts, goes on.
    pub fn put_in_place(self, now: Timestamp) -> Result<Option<PathBuf>> {
        self.decide().context("nothing was changed")?;
        sync(&self.state_dir).context(DECIDED)?;
        Ok(finish(&self.state_dir, now)?.flatten())
    }

    fn decide(&self) -> Result<()> {
        sync_all(&self.part)?;
        can_be_set_aside(&self.state_dir, &names(&self.part)?)?;
        fs::rename(&self.part, self.state_dir.join(READY)).context("rename what is ready")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = clear(&self.state_dir); // what cannot go now is cleared by the next one
    }
}

/// Whether a restore was interrupted behind the point of no return, and nobody has finished it yet.
#[must_use]
pub fn is_interrupted(state_dir: &Path) -> bool {
    state_dir.join(READY).symlink_metadata().is_ok()
}

/// Removes what a restore has left that was interrupted ahead of the point of no return.
///
/// # Errors
/// The disk refuses.
pub fn clear(state_dir: &Path) -> Result<()> {
    let part = state_dir.join(PART);
    match fs::remove_dir_all(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", part.display()))
        }
        _ => Ok(()),
    }
}

/// Finishes a restore that was interrupted behind the point of no return. Answers `None` if there is none, and otherwise
/// where the state before was set aside, if there was one.
///
/// # Errors
/// The disk refuses.
pub fn finish(state_dir: &Path, now: Timestamp) -> Result<Option<Option<PathBuf>>> {
    match is_interrupted(state_dir) {
        true => go_on(state_dir, now).context(DECIDED).map(Some),
        false => Ok(None),
    }
}

fn go_on(state_dir: &Path, now: Timestamp) -> Result<Option<PathBuf>> {
    let ready = state_dir.join(READY);
    let aside = ready.join(ASIDE);
    for name in names(&ready)? {
        for old in with_beside(&name) {
            rename(&state_dir.join(&old), &free(&aside.join(&old)))?;
        }
        sync(&aside)?;
        rename(&ready.join(&name), &state_dir.join(&name))?;
        sync(state_dir)?;
    }
    let mut before = None;
    // It goes only if it is empty: what cannot be looked at is not.
    match fs::remove_dir(&aside) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            let at = Timestamp::from_secs(now.millis().div_euclid(1000)).to_string().replace(':', "");
            let name = free(&state_dir.join(format!("before-restore-{at}")));
            rename(&aside, &name)?;
            before = Some(name);
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", aside.display()));
        }
        _ => {}
    }
    sync(state_dir)?;
    fs::remove_dir(&ready).with_context(|| format!("remove {}", ready.display()))?;
    sync(state_dir)?;
    Ok(before)
}

/// What is to be put in place from `folder`, in order.
fn names(folder: &Path) -> Result<Vec<OsString>> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>()
    });
    let mut names = entries.with_context(|| format!("read {}", folder.display()))?;
    names.retain(|name| name != ASIDE);
    names.sort();
    Ok(names)
}

/// A name, and those that belong to it.
fn with_beside(name: &OsStr) -> impl Iterator<Item = OsString> {
    BESIDE.iter().map(move |end| {
        let mut name = name.to_owned();
        name.push(end);
        name
    })
}

/// Whether all that is called by these names lies on the disk of its folder: a mount point cannot be renamed.
fn can_be_set_aside(state_dir: &Path, names: &[OsString]) -> Result<()> {
    let disk = fs::metadata(state_dir).with_context(|| state_dir.display().to_string())?.dev();
    for old in names.iter().flat_map(|name| with_beside(name)) {
        let old = state_dir.join(old);
        match old.symlink_metadata() {
            Ok(there) if there.dev() != disk => {
                bail!("{} is a mount point and cannot be set aside: unmount it first", old.display());
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| old.display().to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Renames what may not be there: a step that was taken before an interruption.
fn rename(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        // not found may be what it is to be renamed to
        Err(error) if error.kind() != ErrorKind::NotFound || from.symlink_metadata().is_ok() => {
            Err(error).with_context(|| format!("rename {} to {}", from.display(), to.display()))
        }
        _ => Ok(()),
    }
}

/// The path itself, or with a number behind it where something is there: nothing that was set aside is overwritten.
fn free(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let mut paths = std::iter::once(path.to_owned()).chain((2..).map(numbered));
    paths.find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| path.to_owned())
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).with_context(|| format!("sync {}", path.display()))
}

/// Syncs a folder with all that is in it; it is ours, and two deep.
fn sync_all(folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { sync(&entry.path())? }
        }
        sync(&folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::sqlite::testing::Folder;

    const NOW: Timestamp = Timestamp::from_secs(1_795_255_262);
    const BEFORE: &str = "before-restore-2026-11-21T100102Z";

    /// All files below a folder, with what is in them, a line each.
    fn tree(folder: &Path) -> String {
        let mut lines = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(each) = folders.pop() {
            for entry in fs::read_dir(&each).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    lines.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
                }
            }
        }
        lines.sort();
        lines.join(" ")
    }

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn old_state() -> (Folder, PathBuf) {
        let folder = Folder::empty();
        let state = folder.file("state");
        for name in ["ca/root.pem", "db", "db-wal", "lock"] {
            write(&state, name, "old");
        }
        (folder, state)
    }

    fn staged(state: &Path) -> Stage {
        let stage = Stage::begin(state).unwrap();
        write(stage.folder(), "ca/root.pem", "new");
        write(stage.folder(), "db", "new");
        stage
    }

    fn restored() -> String {
        format!("{BEFORE}/ca/root.pem=old {BEFORE}/db-wal=old {BEFORE}/db=old ca/root.pem=new db=new lock=old")
    }

    #[test]
    fn the_new_state_is_in_place_and_the_old_one_is_set_aside() {
        let (_folder, state) = old_state();
        assert_eq!(staged(&state).put_in_place(NOW).unwrap(), Some(state.join(BEFORE)));
        assert_eq!(tree(&state), restored());
    }

    #[test]
    fn where_nothing_was_nothing_is_set_aside() {
        let folder = Folder::empty();
        let state = folder.file("state");
        fs::create_dir(&state).unwrap();
        assert_eq!(staged(&state).put_in_place(NOW).unwrap(), None);
        assert_eq!(tree(&state), "ca/root.pem=new db=new");
        assert_eq!(finish(&state, NOW).unwrap(), None);
    }

    #[test]
    fn a_stage_that_is_given_up_leaves_everything_as_it_was() {
        let (_folder, state) = old_state();
        let before = tree(&state);
        drop(staged(&state));
        assert_eq!(tree(&state), before);
        std::mem::forget(staged(&state)); // as a crash leaves it
        assert_eq!(staged(&state).put_in_place(NOW).unwrap(), Some(state.join(BEFORE)));
        assert_eq!(tree(&state), restored());
    }

    #[test]
    fn a_crash_at_any_rename_is_finished_by_whoever_comes_next() {
        // what has been renamed when the crash comes, in the order in which it is done
        let steps = [("ca", "A"), ("restore.ready/ca", "P"), ("db", "A"), ("db-wal", "A"), ("restore.ready/db", "P")];
        for done in 0..=steps.len() {
            let (_folder, state) = old_state();
            let stage = staged(&state);
            fs::rename(stage.folder(), state.join(READY)).unwrap();
            for (from, to) in &steps[..done] {
                let name = Path::new(from).file_name().unwrap();
                let to = if *to == "A" { state.join(READY).join(ASIDE).join(name) } else { state.join(name) };
                fs::rename(state.join(from), to).unwrap();
            }
            assert_eq!(finish(&state, NOW).unwrap(), Some(Some(state.join(BEFORE))), "{done} steps");
            assert_eq!(tree(&state), restored(), "{done} steps");
            assert!(!state.join(READY).exists());
        }
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_empty_and_nothing_of_before_is_lost() {
        let (_folder, state) = old_state();
        let stage = staged(&state);
        fs::rename(stage.folder(), state.join(READY)).unwrap();
        fs::remove_dir(state.join(READY).join(ASIDE)).unwrap();
        let before = tree(&state);
        // in the stead of the folder into which all of before would go
        for broken in [|path: &Path| fs::write(path, "").unwrap(), |path: &Path| fs::remove_file(path).unwrap()] {
            broken(&state.join(READY).join(ASIDE));
            let error = format!("{:#}", finish(&state, NOW).unwrap_err());
            assert!(error.starts_with(&format!("{DECIDED}: rename ")), "{error}");
        }
        assert_eq!(tree(&state), before);
        assert!(is_interrupted(&state));
    }

    #[test]
    fn a_mount_point_is_told_before_anything_is_decided() {
        let names = |name: &str| [OsString::from(name)];
        let error = can_be_set_aside(Path::new("/"), &names("proc")).unwrap_err().to_string();
        assert_eq!(error, "/proc is a mount point and cannot be set aside: unmount it first");
        can_be_set_aside(Path::new("/"), &names("none")).unwrap();
    }

    #[test]
    fn what_was_set_aside_before_is_not_overwritten() {
        let (_folder, state) = old_state();
        write(&state, &format!("{BEFORE}/db"), "older");
        let before = staged(&state).put_in_place(NOW).unwrap().unwrap();
        assert_eq!(before, state.join(format!("{BEFORE}.2")));
        assert!(tree(&state).contains(&format!("{BEFORE}/db=older")));
    }
}
