//! A Debian 12 in a folder, made from packages and booted with systemd in a container, with a network of its own, so that its
//! ports are nobody else's.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::eventually::eventually;

/// Where Debian is fetched from.
const MIRROR: &str = "http://deb.debian.org/debian";
/// What a container must be asked for, or it refuses these to all that runs in it: the locks of the agent and the collector.
const CALLS: &str = "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self";

/// Makes the kept one while others wait for it.
static ONE: Mutex<()> = Mutex::new(());

pub(crate) fn run(what: &str, command: &mut Command) -> String {
    // the folder for temporary files of this machine is not there in another root
    let output = command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").env_remove("TMPDIR").output();
    let output = output.expect(what);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Runs a script in a folder that is a root, without booting it.
pub fn in_root(root: &Path, script: &str) {
    run(script, Command::new("chroot").arg(root).args(["sh", "-ec", script]));
}

/// Makes a Debian 12 with systemd in `root`, with these packages beyond the smallest one, from the mirror as this machine
/// reaches it. `PLUMB_DEBIAN` may name a folder that keeps the smallest one for the next who wants one.
///
/// # Panics
/// It cannot be made.
pub fn debian(root: &Path, packages: &str) {
    match std::env::var_os("PLUMB_DEBIAN").map(PathBuf::from) {
        Some(kept) => {
            let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.exists() {
                let new = kept.with_extension("new");
                smallest(&new);
                fs::rename(new, &kept).expect("a new name");
            }
            run("copy", Command::new("cp").arg("-a").arg(kept).arg(root));
        }
        None => smallest(root),
    }
    if !packages.is_empty() {
        in_root(root, &format!("apt-get update -qq && apt-get install -y -qq --no-install-recommends {packages}"));
    }
}

fn smallest(root: &Path) {
    let include = "--include=ca-certificates,systemd,systemd-sysv,dbus,procps";
    let mut debootstrap = Command::new("debootstrap");
    run(
        "debootstrap",
        debootstrap.args(["--variant=minbase", "--force-check-gpg", include, "bookworm"]).arg(root).arg(MIRROR),
    );
    fs::write(root.join("usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n").expect("a policy");
    in_root(root, "chmod 755 /usr/sbin/policy-rc.d");
    for folder in ["etc/apt/apt.conf.d", "etc/apt/auth.conf.d"] {
        let script = format!("cp -n /{folder}/* {}/{folder}/ 2>/dev/null || true", root.display());
        run(&script, Command::new("sh").args(["-c", &script]));
    }
    fs::write(root.join("etc/apt/sources.list"), format!("deb {MIRROR} bookworm main\n")).expect("sources");
    run("copy resolv.conf", Command::new("cp").arg("-L").arg("/etc/resolv.conf").arg(root.join("etc/resolv.conf")));
}

/// A host in a folder, and while it is booted, its first process. It goes with its folder.
pub struct Container {
    /// Its root folder.
    pub root: PathBuf,
    nspawn: Option<Child>,
    leader: u32,
}

impl Container {
    /// A host that is in this folder already.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, nspawn: None, leader: 0 }
    }

    /// Boots it, with `shared` at the same path inside, and waits until all services run.
    ///
    /// # Panics
    /// It does not come up.
    pub fn boot(&mut self, shared: &Path) {
        let log = fs::File::create(self.root.with_extension("log")).expect("a log");
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--boot", "--register=no", "--keep-unit", "--console=pipe", "--private-network", CALLS]);
        nspawn.arg("--directory").arg(&self.root).arg(format!("--bind={}", shared.display()));
        nspawn.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log).process_group(0);
        let child = nspawn.spawn().expect("systemd-nspawn");
        let pid = child.id();
        self.nspawn = Some(child);
        let limit = Duration::from_secs(60);
        self.leader = eventually("the container's first process", limit, || leader(pid), Option::is_some).unwrap_or(0);
        let state = || self.try_sh("systemctl is-system-running || systemctl --failed --no-legend").1.trim().to_owned();
        eventually("the host to run", limit, state, |state| state == "running");
    }

    /// Process number of its first process, as this machine numbers it.
    #[must_use]
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// Runs a script inside; what it prints.
    ///
    /// # Panics
    /// It fails.
    pub fn sh(&self, script: &str) -> String {
        let (done, said) = self.try_sh(script);
        assert!(done, "{script}: {said}");
        said
    }

    /// Runs a script inside; whether it worked, and what it printed.
    #[must_use]
    pub fn try_sh(&self, script: &str) -> (bool, String) {
        let leader = self.leader.to_string();
        let output = Command::new("nsenter")
            .args(["-t", &leader, "-a", "--", "/bin/sh", "-ec", script])
            // what this machine's shell was told is nothing to the host
            .env_clear()
            .envs([
                ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ("LC_ALL", "C"),
                ("HOME", "/root"),
            ])
            .stdin(Stdio::null())
            .output()
            .expect("nsenter");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Shuts it down in order.
    pub fn stop(&mut self) {
        let Some(mut child) = self.nspawn.take() else { return };
        // one that never came up has no first process, and its number would be somebody else's
        if self.leader > 1 {
            // SIGRTMIN+4: power off (systemd(1))
            let _ = Command::new("kill").args(["-s", "RTMIN+4", &self.leader.to_string()]).status();
        }
        let patience = if std::mem::take(&mut self.leader) > 1 { 200 } else { 0 };
        for _ in 0..patience {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_file(self.root.with_extension("log"));
        let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(&self.root).status();
    }
}

/// The first process of the container that `nspawn` runs.
fn leader(nspawn: u32) -> Option<u32> {
    children(nspawn).into_iter().find(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        matches!(name.trim(), "systemd" | "init")
    })
}

/// The processes that a process has started.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>()).collect()
}
