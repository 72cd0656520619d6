//! What the agent locks itself out of, before it reads the first byte that somebody else wrote and before it has a second
//! thread: see [`plumb_sandbox`]. Writing is granted below the agent's own folder only. Reading stays: that is what it is
//! for. One thread stays outside Landlock, behind a lock of its own: see [`reader`].

pub mod reader;

use std::path::Path;

pub use plumb_sandbox::{Lock, Locked};

use crate::status;

/// Locks this process up: from here it writes below `own` only and starts nothing. Call it while there is one thread
/// beside that of [`reader`].
/// A kernel that lacks a lock is told in the answer; the agent runs without it.
#[must_use]
pub fn lock(own: &Path) -> Locked {
    plumb_sandbox::lock(&[own])
}

/// For the status file.
#[must_use]
pub fn status(locked: &Locked) -> status::Sandbox {
    status::Sandbox { seccomp: locked.seccomp.to_string(), landlock: locked.landlock.to_string() }
}

#[cfg(test)]
mod tests;
