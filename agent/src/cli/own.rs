//! What the agent's own files are called, and whose they are.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups, setegid, seteuid, setgroups};

/// The user that the packages make, and that the service runs as.
pub(super) const USER: &str = "plumb-agent";

/// A user and its group.
pub(super) type Owner = (u32, u32);

/// Where the identity of a host lies.
pub(super) fn identity(state: &Path) -> PathBuf {
    state.join("identity")
}

/// Files that are made here are for this user only.
pub(super) fn keep_to_ourselves() {
    umask(Mode::from_bits_truncate(0o077));
}

/// Makes the state folder where it is missing, for `user` if we are root and there is one. It has its owner and its mode
/// before it has its name. The answer is whose it is.
pub(super) fn state_folder(state: &Path, user: Option<Owner>) -> anyhow::Result<Owner> {
    let told = || format!("make the state folder {}", state.display());
    let owner = |meta: fs::Metadata| (meta.uid(), meta.gid());
    match fs::metadata(state) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return Ok(owner(found.with_context(told)?)),
    }
    let parent = state.parent().with_context(told)?;
    make_way(parent).with_context(told)?;
    let name = state.file_name().with_context(told)?.to_string_lossy();
    let fresh = parent.join(format!(".{name}.{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&fresh).with_context(told)?;
    let given = match user.filter(|_| geteuid().is_root()) {
        Some((uid, gid)) => lchown(&fresh, Some(uid), Some(gid)),
        None => Ok(()),
    };
    // What is there by now is not replaced unless it is an empty folder.
    if let Err(error) = given.and_then(|()| fs::rename(&fresh, state)) {
        let _ = fs::remove_dir(&fresh);
        return Err(error).with_context(told);
    }
    Ok(owner(fs::metadata(state).with_context(told)?))
}

/// Makes the folders that are missing on the way to a place, for everybody to pass through: whom the place is for, too,
/// whatever our umask keeps from others.
fn make_way(to: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = to.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        DirBuilder::new().create(folder)?;
        let made = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(folder)?;
        made.set_permissions(Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Does some work as the owner of the state folder, if we are root: what it makes belongs to the owner from the start, and
/// a link that the owner has put in its way leads no further than the owner itself may go.
pub(super) fn acting_as<T>((uid, gid): Owner, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let us = (geteuid(), getegid());
    if !us.0.is_root() || uid == 0 {
        return work();
    }
    let groups = getgroups().context("ask for the groups of root")?;
    let gid = Gid::from_raw(gid);
    let become_them = setgroups(&[gid]).and_then(|()| setegid(gid)).and_then(|()| seteuid(Uid::from_raw(uid)));
    let done = match become_them {
        Ok(()) => work(),
        Err(error) => Err(error).with_context(|| format!("act as user {uid}, to whom the state folder belongs")),
    };
    let back = seteuid(us.0).and_then(|()| setegid(us.1)).and_then(|()| setgroups(&groups));
    let back = back.context("act as root again");
    done.and_then(|done| back.map(|()| done))
}

/// Number and group of a user in a text like /etc/passwd (passwd(5)).
pub(super) fn user(passwd: &str, name: &str) -> Option<Owner> {
    let mut fields = passwd.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let found = fields.next() == Some(name);
        found.then_some(fields)
    })?;
    Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::Folder;

    /// Nobody in particular.
    const SOMEBODY: Owner = (54_321, 54_322);

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nplumb-agent2:x:5:6::/:\nplumb-agent:x:997:996::/var/lib/plumb-agent:\n";
        assert_eq!(user(passwd, USER), Some((997, 996)));
        assert_eq!((user("", USER), user("plumb-agent:x:a:1", USER)), (None, None));
    }

    #[test]
    fn a_missing_state_folder_is_made_for_its_user_only_and_one_that_is_there_stays_as_it_is() {
        let folder = Folder::new();
        let state = folder.path().join("var/lib/plumb-agent");
        let us = geteuid();
        let before = umask(Mode::from_bits_truncate(0o077));
        let owner = state_folder(&state, Some(SOMEBODY)).unwrap();
        umask(before);
        for parent in [folder.path().join("var"), folder.path().join("var/lib")] {
            assert_eq!(fs::metadata(parent).unwrap().permissions().mode() & 0o7777, 0o755);
        }
        assert_eq!(owner, if us.is_root() { SOMEBODY } else { (us.as_raw(), nix::unistd::getegid().as_raw()) });
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(state_folder(&state, Some((1, 1))).unwrap(), owner);
        assert_eq!(fs::read_dir(state.parent().unwrap()).unwrap().count(), 1);
    }
}
