//! Root acts for the owner of the state folder: what it makes there must be readable by the collector, which is not root.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, User, fchown, fchownat, setgroups, setresgid, setresuid};

/// Whom the packages run the collector as.
const USER: &str = "plumb-collector";
/// How deep a state folder is; deeper there is nothing of ours.
const DEPTH: usize = 8;

/// Makes the state folder if it is not there, and goes on as its owner: run by root, the program keeps no right that the
/// collector does not have, and nothing that it makes there is root's. What is there and is root's is given to the owner; what
/// is somebody else's, or on another disk, is left alone.
///
/// # Errors
/// The folder cannot be made, or the system does not let root become its owner.
pub(super) fn act_as_owner(state_dir: &Path) -> Result<()> {
    if !state_dir.exists() {
        make(state_dir).with_context(|| format!("make the state folder {}", state_dir.display()))?;
    }
    let options = |flags: OFlag| File::options().read(true).custom_flags(flags.bits()).open(state_dir);
    let folder = options(OFlag::O_DIRECTORY).with_context(|| format!("open {}", state_dir.display()))?;
    let owner = folder.metadata()?;
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    if !Uid::effective().is_root() || uid.is_root() {
        return Ok(());
    }
    give(Dir::from_fd(folder.into())?, (uid, gid), owner.dev(), DEPTH)
        .with_context(|| format!("own {}", state_dir.display()))?;
    let become_owner =
        setgroups(&[gid]).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid));
    become_owner.with_context(|| format!("act as the owner of {} (uid {uid})", state_dir.display()))
}

/// Whether a collector has the state folder. It changes nothing there: root asks before it gives anything away.
///
/// # Errors
/// The lock is there and cannot be looked at.
pub(super) fn is_taken(state_dir: &Path) -> Result<bool> {
    let path = state_dir.join("lock");
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let lock = match File::options().read(true).custom_flags(flags.bits()).open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        lock => lock.with_context(|| format!("open {}", path.display()))?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Makes the folder, and those above it that are missing, for the user that the packages make; for root where there is none.
fn make(state_dir: &Path) -> Result<()> {
    let owner = User::from_name(USER)?.filter(|_| Uid::effective().is_root());
    let missing: Vec<&Path> = state_dir.ancestors().take_while(|path| !path.exists()).collect();
    for path in missing.into_iter().rev() {
        std::fs::DirBuilder::new().mode(0o700).create(path)?;
        if let Some(user) = &owner {
            fchown(File::open(path)?, Some(user.uid), Some(user.gid))?;
        }
    }
    Ok(())
}

/// Gives what is in a folder to an owner. The folder is theirs, so its entries may change under our hands: each is opened
/// first, never through a link, and a file that has other names too is not touched.
fn give(mut folder: Dir, owner: (Uid, Gid), disk: u64, depth: usize) -> Result<()> {
    if depth == 0 {
        bail!("it is too deep for a state folder");
    }
    let mut names = Vec::new();
    for entry in folder.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    for name in names {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let Ok(entry) = openat(folder.as_fd(), name.as_c_str(), flags, Mode::empty()) else { continue };
        let stat = fstat(&entry)?;
        let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        if stat.st_dev != disk {
            continue;
        }
        if kind != SFlag::S_IFDIR && (kind != SFlag::S_IFREG || stat.st_nlink != 1) {
            continue;
        }
        if stat.st_uid == 0 {
            fchownat(&entry, "", Some(owner.0), Some(owner.1), AtFlags::AT_EMPTY_PATH)?;
        }
        if kind == SFlag::S_IFDIR {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            give(Dir::openat(&entry, ".", flags, Mode::empty())?, owner, disk, depth - 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::sqlite::testing::Folder;

    #[test]
    fn everything_in_the_folder_is_given_away_and_nothing_outside_of_it() {
        if !Uid::effective().is_root() {
            return; // only root can give files away
        }
        let folder = Folder::empty();
        let (state, outside) = (folder.file("state"), folder.file("outside"));
        std::fs::create_dir_all(state.join("ca/server")).unwrap();
        for path in [outside.clone(), folder.file("twin"), state.join("lock"), state.join("ca/server/server.key")] {
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(state.join("theirs"), "").unwrap();
        std::os::unix::fs::chown(state.join("theirs"), Some(1234), Some(1234)).unwrap();
        std::os::unix::fs::symlink(&outside, state.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.file(""), state.join("folder-link")).unwrap();
        std::fs::hard_link(folder.file("twin"), state.join("twin")).unwrap();
        let dir = Dir::open(&state, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        let disk = std::fs::metadata(&state).unwrap().dev();
        let owner = (Uid::from_raw(65_534), Gid::from_raw(65_533));
        let of = |path: &Path| std::fs::metadata(path).map(|file| (file.uid(), file.gid())).unwrap();
        let other = Dir::open(&state, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        give(other, owner, disk + 1, DEPTH).unwrap();
        assert_eq!(of(&state.join("lock")), (0, 0), "it is on another disk");
        give(dir, owner, disk, DEPTH).unwrap();
        assert_eq!(of(&state.join("theirs")), (1234, 1234));
        for name in ["lock", "ca", "ca/server", "ca/server/server.key"] {
            assert_eq!(of(&state.join(name)), (65_534, 65_533), "{name}");
        }
        assert_eq!([outside, folder.file("twin"), folder.file("")].map(|path| of(&path)), [(0, 0); 3]);
    }
}
