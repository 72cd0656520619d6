//! The machine itself: processor, load, memory, swap, pressure, and which system it runs.

mod kernel;
mod oom;
mod os;
mod parse;
mod virtualization;

use crate::host::HostError;
use crate::watcher::{Look, Progress, Spec, Watcher, seconds};
use os::{OS, Os};

/// The watcher `system`.
pub const SPEC: Spec = Spec::new::<System>(
    "system",
    seconds(10),
    &[&OS],
    "
# Nothing to set. Samples: processor time by mode, load, memory, swap, pressure (PSI), uptime, kills for want of memory.
",
);

/// Bytes of one file of /proc; /proc/stat is the longest, it has a number for each interrupt.
const PROC_FILE: usize = 1 << 20;
/// Ticks in a second of the processor times in /proc/stat (USER_HZ: 100 on every architecture that is built for).
const USER_HZ: f64 = 100.0;

/// Percent of memory that are available: crossing one of these, either way, is told at once.
const MEMORY_LIMITS: [u64; 3] = [10, 5, 2];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct System {
    #[serde(skip)]
    buffer: Vec<u8>,
    #[serde(skip)]
    os: Os,
    #[serde(skip)]
    oom: oom::Oom,
    #[serde(skip)]
    /// How many of the limits available memory was below.
    memory: Option<usize>,
}

impl Watcher for System {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        let stat = self.read(look, "/proc/stat", stat_samples).flatten();
        let has_os = self.os.tell(look, stat.as_ref());
        if !has_os && look.host.stat("/proc/stat").is_err_and(|error| error.is_absent()) {
            return Ok(Progress::Absent);
        }
        self.read(look, "/proc/loadavg", load_samples);
        let memory = self.read(look, "/proc/meminfo", memory_samples).flatten();
        if let Some(level) = memory
            && self.memory.replace(level).is_some_and(|before| before != level)
        {
            look.urgent();
        }
        self.read(look, "/proc/uptime", uptime_samples);
        for (path, [some, full]) in PRESSURE {
            self.read(look, path, |look, text| pressure_samples(look, text, some, full));
        }
        if let Some(kills) = self.read(look, "/proc/vmstat", |_, text| parse::row(text, b"oom_kill")).flatten() {
            look.counter("oom_kills_total", &[], whole(kills));
            self.oom.tell(look, kills);
        }
        Ok(Progress::Done)
    }
}

impl System {
    /// Reads a file of /proc into the one buffer and hands it on. `None`: this kernel does not have it, or it cannot be
    /// read, which is told as a problem that covers no row.
    fn read<T>(
        &mut self,
        look: &mut Look<'_>,
        path: &'static str,
        take: impl FnOnce(&mut Look<'_>, &[u8]) -> T,
    ) -> Option<T> {
        match look.host.read_into(path, PROC_FILE, &mut self.buffer) {
            Ok(()) => Some(take(look, &self.buffer)),
            // A kernel without pressure information that is built with it answers "not supported".
            Err(error) if error.is_absent() || is_switched_off(&error) => None,
            Err(error) => {
                look.problem(&OS, path, path, &error, error.hint());
                None
            }
        }
    }
}

/// A file whose feature was switched off at boot (psi=0).
fn is_switched_off(error: &HostError) -> bool {
    error.path.as_bytes().starts_with(b"/proc/pressure/") && error.is_switched_off()
}

const PRESSURE: [(&str, [Option<&str>; 2]); 3] = [
    // The whole system is never stalled for the processor: something is running.
    ("/proc/pressure/cpu", [Some("pressure_cpu_waiting_seconds_total"), None]),
    (
        "/proc/pressure/memory",
        [Some("pressure_memory_waiting_seconds_total"), Some("pressure_memory_stalled_seconds_total")],
    ),
    ("/proc/pressure/io", [Some("pressure_io_waiting_seconds_total"), Some("pressure_io_stalled_seconds_total")]),
];

fn stat_samples(look: &mut Look<'_>, text: &[u8]) -> Option<parse::Stat> {
    let Some(stat) = parse::stat(text) else {
        malformed(look, "/proc/stat");
        return None;
    };
    for (mode, ticks) in parse::MODES.iter().zip(stat.ticks) {
        look.counter("cpu_seconds_total", &[("mode", mode)], whole(ticks) / USER_HZ);
    }
    look.counter("context_switches_total", &[], whole(stat.context_switches));
    look.counter("forks_total", &[], whole(stat.forks));
    look.gauge("processes_running", &[], whole(stat.running));
    look.gauge("processes_blocked", &[], whole(stat.blocked));
    Some(stat)
}

fn load_samples(look: &mut Look<'_>, text: &[u8]) {
    let Some([one, five, fifteen]) = parse::load(text) else { return malformed(look, "/proc/loadavg") };
    look.gauge("load1", &[], one);
    look.gauge("load5", &[], five);
    look.gauge("load15", &[], fifteen);
}

/// Also says how many of the limits available memory is below; `None` if that is not known.
fn memory_samples(look: &mut Look<'_>, text: &[u8]) -> Option<usize> {
    let mut told = 0;
    for (row, name) in [
        (&b"MemTotal:"[..], "memory_total_bytes"),
        (b"MemAvailable:", "memory_available_bytes"),
        (b"MemFree:", "memory_free_bytes"),
        (b"Buffers:", "memory_buffers_bytes"),
        (b"Cached:", "memory_cached_bytes"),
        (b"Shmem:", "memory_shared_bytes"),
        (b"SwapTotal:", "swap_total_bytes"),
        (b"SwapFree:", "swap_free_bytes"),
    ] {
        // In kibibytes, whatever the unit behind it says (proc_meminfo(5)).
        if let Some(kibibytes) = parse::row(text, row) {
            look.gauge(name, &[], whole(kibibytes) * 1024.0);
            told += 1;
        }
    }
    if told == 0 {
        malformed(look, "/proc/meminfo");
    }
    let (total, available) = (parse::row(text, b"MemTotal:")?, parse::row(text, b"MemAvailable:")?);
    let below = |limit: &&u64| available.saturating_mul(100) < total.saturating_mul(**limit);
    Some(MEMORY_LIMITS.iter().filter(below).count())
}

fn uptime_samples(look: &mut Look<'_>, text: &[u8]) {
    match parse::word(text, 0).and_then(parse::real) {
        // Whole seconds: the rest is noise that costs bytes.
        Some(uptime) => look.gauge("uptime_seconds", &[], uptime.floor()),
        None => malformed(look, "/proc/uptime"),
    }
}

fn pressure_samples(look: &mut Look<'_>, text: &[u8], some: Option<&str>, full: Option<&str>) {
    for (row, name) in [(&b"some"[..], some), (b"full", full)] {
        let Some(name) = name else { continue };
        // Older kernels have no row "full" for some resources.
        if let Some(microseconds) = parse::pressure_total(text, row) {
            look.counter(name, &[], whole(microseconds) / 1e6);
        }
    }
}

fn malformed(look: &mut Look<'_>, path: &'static str) {
    look.problem(&OS, path, path, "not as proc(5) describes it", "");
}

/// A count as a sample has it; exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn whole(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
