//! Times at which what does not run is likely to come by itself: the machine has just started, or a package manager has
//! stopped it, replaces its files, and starts it again.

use std::time::Duration;

use super::Host;

/// A machine starts its services within so long.
const BOOT: Duration = Duration::from_secs(120);
/// Package managers, by the names of their processes: some of them are scripts, so their programs do not tell. Only those
/// that end with their work: packagekitd idles for minutes.
const MANAGERS: [&[u8]; 9] =
    [b"dpkg", b"rpm", b"dnf", b"dnf5", b"yum", b"microdnf", b"zypper", b"dnf-automatic", b"yum-cron"];

impl Host {
    /// Why what does not run may be about to be started, if so. It visits all processes, so ask only while something is
    /// missed.
    #[must_use]
    pub fn settles(&self) -> Option<&'static str> {
        if self.has_just_started() {
            return Some("the host has just started");
        }
        self.packages_move().then_some("a package manager is at work")
    }

    /// Whether a package manager is at work.
    #[must_use]
    pub fn packages_move(&self) -> bool {
        let pids = self.pids().unwrap_or_default();
        pids.into_iter().any(|pid| self.comm(pid).is_ok_and(|name| MANAGERS.contains(&name.as_slice())))
    }

    /// Whether the machine started less than two minutes ago (proc_uptime(5)). One that does not tell has not.
    #[must_use]
    pub fn has_just_started(&self) -> bool {
        let text = self.read_text("/proc/uptime", 128).unwrap_or_default();
        let seconds = text.split_ascii_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        seconds.is_some_and(|seconds| seconds < BOOT.as_secs_f64())
    }
}
