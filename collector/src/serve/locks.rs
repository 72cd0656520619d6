//! What the collector locks itself out of: see [`plumb_sandbox`]. It writes below its state folder and the folder of its
//! socket, and nowhere else.

use anyhow::Result;
use plumb_sandbox::{Lock, Locked};

use super::make_state_dir;
use crate::config::Config;
use crate::{query, stores};

/// Makes the two folders that a collector writes to, and locks this process up. Call it before there is a second thread,
/// and before anything that others wrote is read. A lock that the kernel lacks is told, and the collector runs without it.
///
/// # Errors
/// A folder cannot be made.
pub fn lock_up(config: &Config) -> Result<Locked> {
    make_state_dir(&config.state_dir)?;
    let socket = query::make_folder(&config.socket)?;
    // elsewhere than there it could not make one any more
    stores::keep_temporary_files_in(&config.state_dir)?;
    let locked = plumb_sandbox::lock(&[&config.state_dir, &socket]);
    for (name, lock) in [("seccomp", &locked.seccomp), ("landlock", &locked.landlock)] {
        match lock {
            Lock::On | Lock::Partly(_) => tracing::info!("sandbox: {name} {lock}"),
            Lock::Off(_) => tracing::warn!("sandbox: {name} {lock}"),
        }
    }
    Ok(locked)
}
