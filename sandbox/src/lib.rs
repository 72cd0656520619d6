//! What a program of plumb locks itself out of, before it reads the first byte that somebody else wrote and before it has a
//! second thread: seccomp(2) takes system calls away, landlock(7) takes files away. Neither can be given back, and every later
//! thread is locked as well.
//!
//! No program can be started, by any way: exec kills the process, a new process (not a thread) is refused, and Landlock
//! grants execution nowhere. Writing is granted below the program's own folders only. Reading stays.

use std::fmt;
use std::path::Path;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Whether a lock holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// It does.
    On,
    /// The kernel knows a part of it, and that holds.
    Partly(String),
    /// It does not, and why.
    Off(String),
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Partly(why) => write!(f, "partly: {why}"),
            Self::Off(why) => write!(f, "off: {why}"),
        }
    }
}

/// What came of locking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// System calls.
    pub seccomp: Lock,
    /// Files.
    pub landlock: Lock,
}

impl Locked {
    /// Nothing was locked: for tests, and for commands that a person runs.
    #[must_use]
    pub fn nothing() -> Self {
        let off = || Lock::Off("not asked for".to_owned());
        Self { seccomp: off(), landlock: off() }
    }
}

/// Locks the calling thread and those that it starts: from here they write below the folders `own` only and start no
/// program. Call it while there is no other thread. A kernel that lacks a lock is told in the answer; the program runs
/// without it.
#[must_use]
pub fn lock(own: &[&Path]) -> Locked {
    // Landlock first: seccomp leaves its system calls alone, but needs no file.
    let landlock = match lock_files(own) {
        Ok(lock) => lock,
        Err(error) => Lock::Off(error.to_string()),
    };
    let seccomp = match lock_calls() {
        Ok(()) => Lock::On,
        Err(error) => Lock::Off(error),
    };
    Locked { seccomp, landlock }
}

fn lock_files(own: &[&Path]) -> Result<Lock, landlock::RulesetError> {
    // ABI 5 (Linux 6.10) is the newest that adds file rights; an older kernel applies those that it knows.
    let writing = AccessFs::from_write(ABI::V5) & !BitFlags::from(AccessFs::Execute);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(writing | AccessFs::Execute)?
        .create()?;
    let granted = writing & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    for folder in own {
        let folder = match PathFd::new(folder) {
            Ok(folder) => folder,
            Err(error) => return Ok(Lock::Off(error.to_string())),
        };
        ruleset = ruleset.add_rule(PathBeneath::new(folder, granted))?;
    }
    let status = ruleset.restrict_self()?;
    Ok(holds(status.ruleset, knows(ABI::V3)))
}

/// Whether this kernel knows all file rights up to an ABI.
fn knows(abi: ABI) -> bool {
    let all = AccessFs::from_read(abi) | AccessFs::from_write(abi);
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(all).is_ok()
}

/// What came of the lock on files, on a kernel that knows all rights to change a file, or does not. ABI 3 (Linux 6.2) was the
/// last that added one; what came after it, ioctl(2) on devices, changes none.
fn holds(enforced: RulesetStatus, knows_writing: bool) -> Lock {
    match enforced {
        RulesetStatus::FullyEnforced => Lock::On,
        RulesetStatus::PartiallyEnforced if knows_writing => Lock::On,
        RulesetStatus::PartiallyEnforced => {
            Lock::Partly("this kernel cannot refuse to cut files short (Linux 6.2 can)".to_owned())
        }
        RulesetStatus::NotEnforced => {
            let why = "this kernel has no Landlock (Linux 5.13), it is not switched on, or a filter of system calls refuses it";
            Lock::Off(why.to_owned())
        }
    }
}

/// Takes from the calling thread, and those that it starts, the system calls that no program of plumb needs. One filter for
/// each answer: a filter of seccompiler has only one.
///
/// # Errors
/// The kernel has no seccomp, or refuses.
pub fn lock_calls() -> Result<(), String> {
    let clone3 = vec![(libc::SYS_clone3, Vec::new())];
    // It hides its flags in memory; told that it is not there, the C library uses clone, whose flags can be seen.
    apply(clone3, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))?;
    let mut refused: Vec<(i64, Vec<SeccompRule>)> = REFUSED.iter().flat_map(|call| every_abi(*call)).collect();
    for (call, rules) in every_abi(libc::SYS_clone) {
        debug_assert!(rules.is_empty());
        refused.push((call, vec![no_thread()?]));
    }
    apply(refused, SeccompAction::Errno(libc::EPERM.unsigned_abs()))?;
    apply(FATAL.iter().flat_map(|call| every_abi(*call)).chain(x32_exec()).collect(), SeccompAction::KillProcess)
}

/// Nothing of plumb does these by mistake: whoever tries is not plumb any more.
const FATAL: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];

/// What changes the system, other processes, or what may be locked.
const REFUSED: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_io_uring_setup,
    libc::SYS_memfd_create,
    libc::SYS_personality,
    libc::SYS_mknodat,
];

/// A call in each calling convention that shares the architecture's number: x86-64 kernels may know x32 as well, with
/// bit 30 set (syscalls(2), x32).
pub fn every_abi(call: i64) -> impl Iterator<Item = (i64, Vec<SeccompRule>)> {
    let x32 = cfg!(target_arch = "x86_64").then_some(call | 1 << 30);
    std::iter::once(call).chain(x32).map(|call| (call, Vec::new()))
}

/// execve, execveat, ptrace, process_vm_writev and kexec_load have numbers of their own in x32 (Linux
/// arch/x86/entry/syscalls/syscall_64.tbl).
fn x32_exec() -> impl Iterator<Item = (i64, Vec<SeccompRule>)> {
    let calls: &[i64] = if cfg!(target_arch = "x86_64") { &[520, 545, 521, 540, 528] } else { &[] };
    calls.iter().map(|call| (call | 1 << 30, Vec::new()))
}

/// clone without CLONE_THREAD: a new process.
fn no_thread() -> Result<SeccompRule, String> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(thread), 0);
    condition.and_then(|condition| SeccompRule::new(vec![condition])).map_err(|error| error.to_string())
}

/// Answers these calls, each under its conditions, with `action`; all others go on to the filters before.
///
/// # Errors
/// The kernel has no seccomp, or refuses.
pub fn apply(calls: Vec<(i64, Vec<SeccompRule>)>, action: SeccompAction) -> Result<(), String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(calls.into_iter().collect(), SeccompAction::Allow, action, architecture);
    let program = filter.and_then(seccompiler::BpfProgram::try_from).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_on_files_holds_where_every_right_to_change_one_is_known() {
        assert_eq!(holds(RulesetStatus::FullyEnforced, true), Lock::On);
        assert_eq!(holds(RulesetStatus::PartiallyEnforced, true), Lock::On);
        assert!(matches!(holds(RulesetStatus::PartiallyEnforced, false), Lock::Partly(_)));
        assert!(matches!(holds(RulesetStatus::NotEnforced, false), Lock::Off(_)));
    }
}
