//! What the agent's own files are called, and whose they are.

use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

/// Where the identity of a host lies.
pub(super) fn identity(state: &Path) -> PathBuf {
    state.join("identity")
}

/// Files that are made here are for this user only.
pub(super) fn keep_to_ourselves() {
    umask(Mode::from_bits_truncate(0o077));
}
