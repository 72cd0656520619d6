//! The lock of the one thread that stays outside Landlock: it must see what the kernel shows of other processes (their
//! programs, open sockets and maps), and landlock(7) takes that from every locked thread ("Ptrace restrictions"). What Landlock
//! does elsewhere, seccomp does here: no call that opens for writing, makes, changes or removes a file is left to it.

use plumb_sandbox::{apply, every_abi, lock_calls};
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// Bits of open flags that write or make something (open(2)).
const WRITING: [i32; 5] =
    [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_TMPFILE & !libc::O_DIRECTORY];

/// What changes files, and what leads out of the machine.
const CHANGES: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_renameat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_mkdirat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_vm_readv,
    // fchmodat2, setxattrat, removexattrat, file_setattr: the same number everywhere
    452,
    463,
    466,
    469,
];

/// Locks the calling thread: it reads, and that is all.
///
/// # Errors
/// The kernel has no seccomp: then the thread must not stay.
pub fn lock() -> Result<(), String> {
    // Its flags lie in memory, where no filter sees them; told that it is not there, callers use openat.
    let openat2 = every_abi(libc::SYS_openat2).collect();
    apply(openat2, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))?;
    let mut refused: Vec<(i64, Vec<SeccompRule>)> = CHANGES.iter().flat_map(|call| every_abi(*call)).collect();
    for (call, _) in every_abi(libc::SYS_openat) {
        refused.push((call, writing(2)?));
    }
    #[cfg(target_arch = "x86_64")]
    for (call, _) in every_abi(libc::SYS_open) {
        refused.push((call, writing(1)?));
    }
    apply(refused, SeccompAction::Errno(libc::EPERM.unsigned_abs()))?;
    lock_calls()
}

/// True for flags, the argument at this place, with any of the writing bits.
fn writing(place: u8) -> Result<Vec<SeccompRule>, String> {
    let rule = |bit: &i32| {
        let bit = u64::from(bit.unsigned_abs());
        let condition = SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit);
        condition.and_then(|condition| SeccompRule::new(vec![condition])).map_err(|error| error.to_string())
    };
    WRITING.iter().map(rule).collect()
}
