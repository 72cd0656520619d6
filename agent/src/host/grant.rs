//! Rights that an agent may lack, and the one line that grants each of them to its service.
//!
//! What travels to the collector says in a few words which right is missing; `plumb-agent check` prints the line. Where
//! the agent has the right and is refused all the same, it is not sent after a right that would change nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::Host;

/// A right that lets the agent see more (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To read all files.
    Files,
    /// To look into the processes of others: what they run, have open and have mapped.
    Processes,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Files, Self::Processes];

    /// The capability that it is.
    #[must_use]
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Files => "CAP_DAC_READ_SEARCH",
            Self::Processes => "CAP_SYS_PTRACE",
        }
    }

    /// What it lets the agent do.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::Files => "reads all files",
            Self::Processes => "looks into all processes",
        }
    }

    /// What would let the agent see something on this host that it was denied. A host in a folder has no processes to look
    /// into.
    #[must_use]
    pub fn hint(self, host: &Host) -> &'static str {
        match (self, host.is_live()) {
            (_, true) => self.hint_with(Rights::own()),
            (Self::Files, false) => self.hint_with(Rights::default()),
            (Self::Processes, false) => "",
        }
    }

    /// The same for an agent with these rights.
    #[must_use]
    pub fn hint_with(self, rights: Rights) -> &'static str {
        match (self, rights.has(self)) {
            (Self::Files, false) => "needs CAP_DAC_READ_SEARCH: `plumb-agent check` prints the line that grants it",
            (Self::Processes, false) => "needs CAP_SYS_PTRACE: `plumb-agent check` prints the line that grants it",
            (Self::Files, true) => {
                "the agent may read all files, so the mount refuses (NFS, FUSE), a security module (AppArmor, SELinux), \
                 or its unit (ProtectHome=)"
            }
            (Self::Processes, true) => {
                "the agent may look into all processes, so a container or a security module (AppArmor, SELinux) refuses"
            }
        }
    }

    /// The right that such a hint, or a reason that ends with it, asks for.
    #[must_use]
    pub fn asked_for(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| text.ends_with(right.hint_with(Rights::default())))
    }

    /// The line that grants it to the service, to be pasted as root. Capabilities of several lines and files add up
    /// (systemd.exec(5), `CapabilityBoundingSet=` and `AmbientCapabilities=`).
    #[must_use]
    pub fn line(self) -> String {
        let capability = self.capability();
        let name = capability.trim_start_matches("CAP_").to_ascii_lowercase().replace('_', "-");
        let folder = "/etc/systemd/system/plumb-agent.service.d";
        format!(
            "mkdir -p {folder} && printf '[Service]\\nAmbientCapabilities={capability}\\nCapabilityBoundingSet={capability}\\n' \
             > {folder}/grant-{name}.conf && systemctl daemon-reload && systemctl restart plumb-agent"
        )
    }
}

/// Counts, by capability, which of these hints and reasons ask for one.
pub fn count<'a>(withheld: &mut BTreeMap<String, usize>, texts: impl Iterator<Item = &'a str>) {
    for right in texts.filter_map(Right::asked_for) {
        *withheld.entry(right.capability().to_owned()).or_default() += 1;
    }
}

/// Rights that a process has in effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// It reads all files.
    pub dac_read_search: bool,
    /// It looks into all processes.
    pub sys_ptrace: bool,
    /// It is told who changed a file.
    pub sys_admin: bool,
}

impl Rights {
    /// Those of this process when it was first asked. It never takes any on later.
    #[must_use]
    pub fn own() -> Self {
        static OWN: OnceLock<Rights> = OnceLock::new();
        *OWN.get_or_init(|| Self::parse(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()))
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, right: Right) -> bool {
        match right {
            Right::Files => self.dac_read_search,
            Right::Processes => self.sys_ptrace,
        }
    }

    /// From `CapEff` of proc_pid_status(5), a set of bits in hexadecimal numbered as in linux/capability.h.
    fn parse(status: &str) -> Self {
        const DAC_READ_SEARCH: u64 = 1 << 2;
        const SYS_PTRACE: u64 = 1 << 19;
        const SYS_ADMIN: u64 = 1 << 21;
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let bits = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
        let has = |bit| bits & bit != 0;
        Self { dac_read_search: has(DAC_READ_SEARCH), sys_ptrace: has(SYS_PTRACE), sys_admin: has(SYS_ADMIN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_those_in_effect() {
        let parse = |bits: &str| Rights::parse(&format!("Name:\ta\nCapPrm:\t000001ffffffffff\nCapEff:\t{bits}\n"));
        assert_eq!(parse("0000000000000000"), Rights::default());
        assert_eq!(parse("0000000000080004"), Rights { dac_read_search: true, sys_ptrace: true, sys_admin: false });
        assert_eq!(parse("000001ffffffffff"), Rights { dac_read_search: true, sys_ptrace: true, sys_admin: true });
        assert_eq!(Rights::parse("CapEff:\tnone\n"), Rights::default());
    }

    #[test]
    fn a_right_that_is_there_is_not_asked_for() {
        let rights = Rights { dac_read_search: true, ..Rights::default() };
        assert_eq!(Right::asked_for(Right::Files.hint_with(rights)), None);
        let reason = format!("/x: permission denied; {}", Right::Processes.hint_with(rights));
        assert_eq!(Right::asked_for(&reason), Some(Right::Processes));
    }

    #[test]
    fn the_line_writes_a_file_that_adds_one_capability() {
        let line = Right::Processes.line();
        let folder = "/etc/systemd/system/plumb-agent.service.d";
        assert!(line.starts_with(&format!("mkdir -p {folder} && printf '[Service]\\n")), "{line}");
        assert!(
            line.contains(&format!("BoundingSet=CAP_SYS_PTRACE\\n' > {folder}/grant-sys-ptrace.conf && ")),
            "{line}"
        );
    }
}
