//! What a start takes from the machine: its names, a place in its network, the lock on the state, the policy files.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plumb_proto::time::Timestamp;
use tokio::net::TcpListener;

use super::make_state_dir;
use crate::drift::policy::Source;
use crate::{policy_files, restore};

/// The name by which hosts reach this machine: as configured, or its own.
#[must_use]
pub fn advertised(configured: Option<&str>) -> String {
    // gethostname(2), since the unit hides what of /proc is not about processes
    let own = || nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    configured.map(str::to_owned).filter(|name| !name.is_empty()).unwrap_or_else(own)
}

/// The names that the collector's certificate carries: the advertised one first, then this machine as it knows itself.
pub(super) fn names(configured: Option<&str>) -> Vec<String> {
    let mut names = vec![advertised(configured)];
    for own in ["localhost", "127.0.0.1", "::1"] {
        if names[0] != own {
            names.push(own.to_owned());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn has_ipv6() -> bool {
    Path::new("/proc/self/net/if_inet6").exists()
}

/// Makes the state folder if there is none, takes it for this process, for as long as the file is open, and finishes a
/// restore that was interrupted. Call it ahead of [`lock_up`](super::lock_up): behind it Linux before 5.19 refuses every
/// rename from one folder to another (landlock(7), LANDLOCK_ACCESS_FS_REFER).
///
/// # Errors
/// Another collector runs on it: two on one store would judge past each other. Or the disk refuses.
pub fn take_state(state_dir: &Path, now: Timestamp) -> Result<File> {
    make_state_dir(state_dir)?;
    let lock = lock_if_free(state_dir)?;
    let lock = lock.with_context(|| format!("another collector runs on {}", state_dir.display()))?;
    if restore::finish(state_dir, now)?.is_some() {
        tracing::warn!("a restore that had been interrupted is finished");
    }
    // it holds keys, and a copy of the whole history
    if let Err(error) = restore::clear(state_dir) {
        tracing::warn!("what an interrupted restore has left could not be removed: {error:#}");
    }
    Ok(lock)
}

/// The right to the state folder, for as long as the file is open; `None` while a collector has it.
///
/// # Errors
/// The file cannot be opened or locked.
pub(crate) fn lock_if_free(state_dir: &Path) -> Result<Option<File>> {
    let path = state_dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Listens. Where this machine has no IPv6, `[::]` means all of IPv4.
pub(super) async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    let fallback = || SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), address.port());
    let bound = match TcpListener::bind(address).await {
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() && !has_ipv6() => {
            TcpListener::bind(fallback()).await
        }
        bound => bound,
    };
    bound.with_context(|| format!("{what}: listen on {address}"))
}

/// Reads policy files: folder by folder, in the order of their names. A folder that is not there has none.
///
/// # Errors
/// One cannot be read.
pub fn policy_sources(folders: &[PathBuf]) -> Result<Vec<Source>> {
    let of_folders = folders.iter().map(|folder| policy_files::read(folder)).collect::<Result<Vec<_>>>()?;
    Ok(of_folders.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_carries_the_advertised_name_first() {
        assert_eq!(names(Some("plumb.example.org")), ["plumb.example.org", "localhost", "127.0.0.1", "::1"]);
        assert_eq!(names(Some("127.0.0.1")), ["127.0.0.1", "localhost", "::1"]);
        assert!(!names(None)[0].is_empty());
    }
}
