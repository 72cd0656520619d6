//! The table `os`: one row about the system.

use std::time::Duration;

use plumb_proto::model::{ColumnType, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use super::kernel::Kernels;
use super::parse::Stat;
use super::virtualization;
use crate::host::{Host, HostError, Identity};
use crate::watcher::{Column, Look, Table};

/// The operating system of the host.
pub const OS: Table = Table {
    name: "os",
    doc: "The operating system and the machine. One row, key os.",
    columns: &[
        Column::state("id", ColumnType::Text, "Short name of the system, such as debian or rocky (ID of os-release)."),
        Column::state("id_like", ColumnType::List, "Systems that it is made from, nearest first."),
        Column::state("name", ColumnType::Text, "Its name for people."),
        Column::state("version", ColumnType::Version, "Its version; a rolling system has none."),
        Column::state("kernel", ColumnType::Version, "Release of the running kernel."),
        Column::state("arch", ColumnType::Text, "Hardware, as the kernel calls it."),
        Column::state("cpus", ColumnType::Int, "Processors that are online."),
        Column::state(
            "virtualization",
            ColumnType::Text,
            "What it runs in: kvm, vmware, lxc, ...; none on bare metal.",
        ),
        Column::moving("boot_time", ColumnType::Time, "When it was started."),
        Column::moving("reboot_required", ColumnType::Bool, "Whether an update waits for a restart to take effect."),
    ],
};

const KEY: &str = "os";
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
const OS_RELEASE_LIMIT: usize = 64 << 10;
/// The kernel reckons the boot time anew from the wall clock each time it is asked: less than this is no difference.
const BOOT_TIME_JITTER: Duration = Duration::from_secs(5);

/// What was told last; what cannot change while the watcher lives is read once.
#[derive(Default)]
pub(super) struct Os {
    release: Option<(Identity, Release)>,
    fixed: Option<Fixed>,
    kernels: Kernels,
    boot_time: Option<Timestamp>,
}

#[derive(Clone, Default)]
struct Release {
    source: &'static str,
    fields: Vec<(&'static str, Value)>,
}

/// Facts that hold for as long as the kernel runs.
struct Fixed {
    kernel: Option<String>,
    arch: Option<String>,
    virtualization: Option<&'static str>,
}

impl Os {
    /// Tells the row. False: there is nothing here that is a system.
    pub(super) fn tell(&mut self, look: &mut Look<'_>, stat: Option<&Stat>) -> bool {
        let release = self.release(look.host);
        let absent = release.as_ref().is_err_and(HostError::is_absent);
        if absent && stat.is_none() {
            return false;
        }
        match release {
            Ok(release) => look.fact(&OS, KEY, release.source, &release.fields),
            Err(error) => {
                look.fact(&OS, KEY, OS_RELEASE[0], &[]);
                for column in ["id", "id_like", "name", "version"] {
                    look.unknown(&OS, KEY, column, &error, error.hint());
                }
            }
        }
        let source = self.release.as_ref().map_or(OS_RELEASE[0], |(_, release)| release.source);
        let boot_time = stat.map(|stat| self.settle(stat.boot_time));
        let fixed = self.fixed.get_or_insert_with(|| Fixed::read(look.host));
        const UNSTAGED: &str = "comes by system call, which is not asked under --root";
        match &fixed.kernel {
            Some(kernel) => look.fact(&OS, KEY, source, &[("kernel", Value::Version(kernel.as_str().into()))]),
            None => look.unknown(&OS, KEY, "kernel", UNSTAGED, ""),
        }
        match &fixed.arch {
            Some(arch) => look.fact(&OS, KEY, source, &[("arch", arch.as_str().into())]),
            None => look.unknown(&OS, KEY, "arch", UNSTAGED, ""),
        }
        match fixed.virtualization {
            Some(kind) => look.fact(&OS, KEY, source, &[("virtualization", kind.into())]),
            None => look.unknown(&OS, KEY, "virtualization", "neither /sys nor /proc/cpuinfo tells", ""),
        }
        match stat.zip(boot_time) {
            Some((stat, boot_time)) => {
                let cpus = Value::Int(i64::from(stat.cpus));
                look.fact(&OS, KEY, source, &[("cpus", cpus), ("boot_time", boot_time.into())]);
            }
            None => {
                for column in ["cpus", "boot_time"] {
                    look.unknown(&OS, KEY, column, "/proc/stat cannot be read", "");
                }
            }
        }
        match self.kernels.reboot_required(look.host, fixed.kernel.as_deref()) {
            Ok(Some(required)) => look.fact(&OS, KEY, source, &[("reboot_required", required.into())]),
            Ok(None) => {}
            Err(reason) => look.unknown(&OS, KEY, "reboot_required", reason, ""),
        }
        true
    }

    /// Read again only when the file is another.
    fn release(&mut self, host: &Host) -> Result<Release, HostError> {
        let [first, second] = OS_RELEASE;
        let (path, meta) = match host.stat(first) {
            Err(error) if error.is_absent() => (second, host.stat(second)?),
            other => (first, other?),
        };
        if let Some((known, release)) = &self.release
            && *known == meta.identity
        {
            return Ok(release.clone());
        }
        let release = Release { source: path, fields: parse(&host.read(path, OS_RELEASE_LIMIT)?) };
        self.release = Some((meta.identity, release.clone()));
        Ok(release)
    }

    fn settle(&mut self, seconds: u64) -> Timestamp {
        let told = Timestamp::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        match self.boot_time {
            Some(known) if told.since(known).max(known.since(told)) <= BOOT_TIME_JITTER => known,
            _ => *self.boot_time.insert(told),
        }
    }
}

impl Fixed {
    fn read(host: &Host) -> Self {
        let uname = host.system().uname();
        let line = |path| host.read_text(path, 256).ok().map(|text| text.trim().to_owned()).filter(|t| !t.is_empty());
        Self {
            kernel: line("/proc/sys/kernel/osrelease").or_else(|| uname.as_ref().map(|uname| uname.release.clone())),
            arch: line("/proc/sys/kernel/arch").or_else(|| uname.map(|uname| uname.machine)),
            virtualization: virtualization::detect(host),
        }
    }
}

/// Columns from the text of os-release(5).
fn parse(text: &[u8]) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::new();
    let mut pretty = None;
    for line in text.split(|byte| *byte == b'\n') {
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
        let value = unquote(line[equals + 1..].trim_ascii());
        if value.is_empty() {
            continue;
        }
        match line[..equals].trim_ascii() {
            b"ID" => fields.push(("id", Value::Text(value.into()))),
            b"NAME" => fields.push(("name", Value::Text(value.into()))),
            b"PRETTY_NAME" => pretty = Some(Value::Text(value.into())),
            b"VERSION_ID" => fields.push(("version", Value::Version(value.into()))),
            b"ID_LIKE" => {
                let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
                fields.push(("id_like", Value::List(words.map(Untrusted::from).collect())));
            }
            _ => {}
        }
    }
    if let Some(pretty) = pretty.filter(|_| !fields.iter().any(|(column, _)| *column == "name")) {
        fields.push(("name", pretty));
    }
    fields
}

/// A value as a shell would take it.
fn unquote(value: &[u8]) -> Vec<u8> {
    let inner = match value {
        [b'"', inner @ .., b'"'] => inner,
        [b'\'', inner @ .., b'\''] => return inner.to_vec(),
        bare => bare,
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for byte in inner {
        if *byte == b'\\' && !escaped {
            escaped = true;
        } else {
            bytes.push(*byte);
            escaped = false;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_a_shell_would() {
        let text = b"# x\nNAME='A B'\nID=ol\nVERSION_ID=\"9.\\\"4\"\nID_LIKE=\"fedora  rhel\"\nHOME_URL=\nbroken\n";
        let told: Vec<String> = parse(text).iter().map(|(column, value)| format!("{column}={value}")).collect();
        assert_eq!(told, ["name=A B", "id=ol", "version=9.\"4", "id_like=fedora,rhel"]);
    }

    #[test]
    fn the_boot_time_does_not_tremble_with_the_clock() {
        let mut os = Os::default();
        let told: Vec<i64> = [100, 101, 99, 104, 106, 105].map(|s| os.settle(s).millis() / 1000).to_vec();
        assert_eq!(told, [100, 100, 100, 100, 106, 106]);
    }
}
