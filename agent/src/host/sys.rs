//! What comes by system call, and the only place with `unsafe`. Its staged twin answers for a host in a folder: from
//! `/.plumb-stage.toml` below that root if there is one, else it knows nothing.
//!
//! ```toml
//! [uname]
//! nodename = "web1"
//! release = "6.1.0-41-amd64"
//! machine = "x86_64"
//! [statvfs."/"]
//! block_size = 4096
//! blocks = 1000
//! free = 500
//! available = 450
//! inodes = 100
//! inodes_free = 90
//! ```
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Host;

/// The staged twin's answers.
const STAGE: &str = "/.plumb-stage.toml";
/// Bytes of it.
const STAGE_LIMIT: usize = 64 << 10;

/// Size and use of a file system (statvfs(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Bytes in one block.
    pub block_size: u64,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Free blocks that are not reserved for root.
    pub available: u64,
    /// All inodes; zero where the file system has no fixed number.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}

/// Name and kernel of the machine (uname(2)).
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uname {
    /// Its name.
    pub nodename: String,
    /// Release of its kernel.
    pub release: String,
    /// Its hardware.
    pub machine: String,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stage {
    uname: Option<Uname>,
    statvfs: BTreeMap<PathBuf, Space>,
}

/// The running system, or a staged one.
#[derive(Clone, Debug)]
pub enum System {
    /// The machine that this runs on.
    Live,
    /// A host in a folder: what was staged, nothing else.
    Staged(Staged),
}

/// What was staged of a system.
#[derive(Clone, Debug)]
pub struct Staged(Arc<Stage>);

impl System {
    /// Reads the staged answers below a root; one that is broken counts as none.
    pub(super) fn staged(host: &Host) -> Self {
        let stage = host.read_text(STAGE, STAGE_LIMIT).ok().and_then(|text| toml::from_str(&text).ok());
        Self::Staged(Staged(Arc::new(stage.unwrap_or_default())))
    }

    /// Name and kernel; `None` when not known.
    #[must_use]
    pub fn uname(&self) -> Option<Uname> {
        match self {
            Self::Live => uname().ok(),
            Self::Staged(staged) => staged.0.uname.clone(),
        }
    }

    /// Size and use of the file system that is mounted at a path. It may never return on a dead mount: ask through
    /// [`Host::space`].
    ///
    /// # Errors
    /// As statvfs(3); not supported when it was not staged.
    pub(super) fn statvfs(&self, mount: &Path) -> io::Result<Space> {
        match self {
            Self::Live => statvfs(mount),
            Self::Staged(staged) => staged.0.statvfs.get(mount).copied().ok_or_else(|| {
                io::Error::new(io::ErrorKind::Unsupported, "comes by system call, which is not asked under --root")
            }),
        }
    }
}

pub(super) fn statvfs(mount: &Path) -> io::Result<Space> {
    let path = CString::new(mount.as_os_str().as_bytes())?;
    let mut told = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with NUL, and `told` is big enough for what the call writes.
    if unsafe { libc::statvfs(path.as_ptr(), told.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the structure.
    let told = unsafe { told.assume_init() };
    // The fields are 32 bits wide on some machines.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Ok(Space {
        block_size: told.f_frsize as u64,
        blocks: told.f_blocks as u64,
        free: told.f_bfree as u64,
        available: told.f_bavail as u64,
        inodes: told.f_files as u64,
        inodes_free: told.f_ffree as u64,
    })
}

fn uname() -> io::Result<Uname> {
    let mut told = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: `told` is big enough for what the call writes.
    if unsafe { libc::uname(told.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the structure.
    let told = unsafe { told.assume_init() };
    // SAFETY: uname(2) ends each of its texts with NUL, inside the structure that lives until the end of this function.
    let text = |field: &[libc::c_char]| unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned();
    Ok(Uname { nodename: text(&told.nodename), release: text(&told.release), machine: text(&told.machine) })
}

/// Processor time that this thread has used so far.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let mut told = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `told` is a timespec of ours; the clock is there on every Linux, and on failure zero stays in it.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut told) };
    let seconds = Duration::from_secs(u64::try_from(told.tv_sec).unwrap_or(0));
    seconds + Duration::from_nanos(u64::try_from(told.tv_nsec).unwrap_or(0))
}

/// Gives pages back that the allocator holds and nobody uses: a look at a big log or package leaves a heap with holes, which
/// glibc by itself trims at its end only (malloc_trim(3)).
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer of ours, and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Makes the allocator give memory back: one arena for all threads, and big blocks mapped and unmapped by themselves
/// (setting a threshold also stops glibc from raising it, mallopt(3)). Call it once, before the first thread starts.
pub fn settle_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only sets parameters of the allocator; called before there are other threads.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 10);
    }
}
