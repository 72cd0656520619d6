//! Whether the machine waits for a restart.
//!
//! Debian's packages leave a flag, but only where something is installed that sets it; without that, no flag means
//! nothing. So the running kernel is also compared with the newest one that is installed to be booted.

use std::cmp::Ordering;

use crate::host::{Host, HostError, Identity, Kind};

const FLAG: &str = "/run/reboot-required";
/// Those that set the flag (unattended-upgrades, update-notifier-common).
const SETTERS: [&str; 2] =
    ["/etc/kernel/postinst.d/unattended-upgrades", "/usr/share/update-notifier/notify-reboot-required"];
const BOOT: &str = "/boot";
const MODULES: &str = "/lib/modules";
const IMAGE: &str = "vmlinuz-";

/// Kernels that are installed, read again only when a folder changes.
#[derive(Default)]
pub(super) struct Kernels {
    seen: Option<[Option<Identity>; 2]>,
    installed: Vec<String>,
    /// There are images, and a folder of modules with nothing in it.
    hidden: bool,
}

impl Kernels {
    /// `None`: there is nothing here that could wait, such as in a container, which has no kernel of its own.
    pub(super) fn reboot_required(&mut self, host: &Host, running: Option<&str>) -> Result<Option<bool>, String> {
        if exists(host, FLAG).map_err(|error| error.to_string())? {
            return Ok(Some(true));
        }
        self.refresh(host).map_err(|error| error.to_string())?;
        if self.hidden {
            return Err(format!("there are kernels in {BOOT}, but {MODULES} is empty: the agent's unit may hide it"));
        }
        if self.installed.is_empty() {
            let flagged = SETTERS.iter().any(|path| exists(host, path).unwrap_or(false));
            return Ok(flagged.then_some(false));
        }
        let running = running.ok_or("the running kernel is not known")?;
        if !self.installed.iter().any(|kernel| kernel == running) {
            return Err(format!("the running kernel {running} is not one of those in {BOOT}"));
        }
        let newer = |kernel: &&String| same_flavour(kernel, running) && compare(kernel, running) == Ordering::Greater;
        Ok(Some(self.installed.iter().any(|kernel| newer(&kernel))))
    }

    fn refresh(&mut self, host: &Host) -> Result<(), HostError> {
        let identity = |path| host.stat(path).ok().map(|meta| meta.identity);
        let seen = [identity(BOOT), identity(MODULES)];
        if self.seen == Some(seen) {
            return Ok(());
        }
        let images = match host.resolve(BOOT).and_then(|folder| host.list(folder)) {
            Ok(images) => images,
            Err(error) if error.is_absent() => Vec::new(),
            Err(error) => return Err(error),
        };
        self.installed.clear();
        let mut met = false;
        for image in images.iter().filter(|image| image.kind == Kind::File) {
            let Some(version) = image.name.to_str().and_then(|name| name.strip_prefix(IMAGE)) else { continue };
            met = true;
            // An image without modules is what a removed package left behind, or a rescue system.
            if exists(host, &format!("{MODULES}/{version}"))? {
                self.installed.push(version.to_owned());
            }
        }
        // ProtectKernelModules= lays an empty folder over them (systemd.exec(5)).
        let nothing = || host.resolve(MODULES).and_then(|folder| host.list(folder)).is_ok_and(|all| all.is_empty());
        self.hidden = met && self.installed.is_empty() && nothing();
        self.seen = Some(seen);
        Ok(())
    }
}

fn exists(host: &Host, path: &str) -> Result<bool, HostError> {
    match host.stat(path) {
        Ok(_) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// `6.1.0-41-cloud-amd64` and `6.1.0-42-cloud-amd64` follow each other, `6.1.0-42-amd64` is another line.
fn same_flavour(one: &str, other: &str) -> bool {
    let letters = |kernel: &str| {
        let words = kernel.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    letters(one) == letters(other)
}

/// By the numbers before the first letter, then by those after it (`.el9_5`).
fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |kernel: &str| {
        let letters = kernel.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(kernel.len());
        let (before, after) = kernel.split_at(letters);
        [before, after].map(|part| {
            let runs = part.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
            runs.map(|run| run.parse::<u64>().unwrap_or(u64::MAX)).collect::<Vec<_>>()
        })
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_ordered_as_they_were_built() {
        for (older, newer) in [
            ("6.1.0-9-amd64", "6.1.0-41-amd64"),
            ("5.14.0-70.el9.x86_64", "5.14.0-70.5.1.el9_0.x86_64"),
            ("5.14.0-503.11.1.el9_5.x86_64", "5.14.0-570.el9_6.x86_64"),
            ("6.8.0-45-generic", "6.8.0-100-generic"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert!(same_flavour(older, newer), "{older} {newer}");
        }
        assert!(!same_flavour("6.1.0-41-cloud-amd64", "6.1.0-41-amd64"));
    }
}
