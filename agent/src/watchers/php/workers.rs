//! The workers of pools: how many there are, and what memory they take.

use std::collections::BTreeMap;

use crate::fpm::{Instance, Master};
use crate::host::Host;

/// Bytes of the list of a master's children.
const CHILDREN: usize = 256 << 10;
/// Bytes of /proc/PID/status.
const STATUS: usize = 16 << 10;
/// What a worker has in the place of its command line (fpm_env.c of PHP's source).
const TITLE: &[u8] = b"php-fpm: pool ";
/// Workers of one pool whose memory is asked for, and of all pools.
const MEASURED: usize = 64;
const MEASURED_IN_ALL: usize = 512;

/// Workers by the place of their instance and the name of their pool.
pub(super) type Workers = BTreeMap<(usize, String), Vec<u32>>;

/// Processes whose title is known: a worker never changes its own.
#[derive(Default)]
pub(super) struct Titles(BTreeMap<u32, (u32, String)>);

impl Titles {
    /// All workers of all masters. A look at a master is one file; only of workers that came since more is asked.
    pub(super) fn workers(&mut self, host: &Host, instances: &[Instance]) -> Workers {
        let mut all = Workers::new();
        let mut known = BTreeMap::new();
        for (place, instance) in instances.iter().enumerate() {
            let Some(master) = &instance.master else { continue };
            for pid in children(host, master) {
                let title = match self.0.remove(&pid) {
                    Some((of, title)) if of == master.pid => Some(title),
                    _ => title(host, pid),
                };
                // One that was just forked has the title of its master still.
                let Some(title) = title else { continue };
                all.entry((place, title.clone())).or_default().push(pid);
                known.insert(pid, (master.pid, title));
            }
        }
        self.0 = known;
        all
    }

    /// Forgets all: a number may have gone to a worker of another pool.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// The children of a master (proc_pid_task(5)); a kernel without CONFIG_PROC_CHILDREN is gone through process by process.
fn children(host: &Host, master: &Master) -> Vec<u32> {
    match host.read_text(format!("/proc/{0}/task/{0}/children", master.pid), CHILDREN) {
        Ok(text) => text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect(),
        Err(error) if error.is_absent() => {
            let processes = host.processes(std::time::Duration::from_secs(5)).unwrap_or_default();
            let later = processes.iter().map(|process| process.pid);
            later.filter(|pid| host.birth(*pid).is_ok_and(|birth| birth.parent == master.pid)).collect()
        }
        Err(_) => Vec::new(),
    }
}

fn title(host: &Host, pid: u32) -> Option<String> {
    let words = host.cmdline(pid).ok()?;
    let name = words.first()?.strip_prefix(TITLE)?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

/// Memory that workers do not share with others, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// So much, or less, takes each of 95 in a hundred.
    pub(super) most: u64,
    /// All together, as far as can be reckoned from those that were asked.
    pub(super) all: u64,
}

/// The memory of each pool's workers; of a pool without any that can be asked there is none.
pub(super) fn memory(host: &Host, workers: &Workers) -> BTreeMap<(usize, String), Memory> {
    let mut left = MEASURED_IN_ALL;
    let mut told = BTreeMap::new();
    let mut status = Vec::new();
    for (pool, pids) in workers {
        let mut sizes: Vec<u64> = Vec::new();
        for pid in pids.iter().take(MEASURED.min(left)) {
            left -= 1;
            if host.read_into(format!("/proc/{pid}/status"), STATUS, &mut status).is_ok() {
                sizes.extend(anonymous(&status));
            }
        }
        sizes.sort_unstable();
        // the nearest rank
        let rank = (sizes.len() * 95).div_ceil(100).saturating_sub(1);
        let Some(most) = sizes.get(rank) else { continue };
        let (sum, asked) = (sizes.iter().sum::<u64>(), u64::try_from(sizes.len()).unwrap_or(1));
        let all = sum / asked * u64::try_from(pids.len()).unwrap_or(0);
        told.insert(pool.clone(), Memory { most: *most, all });
    }
    told
}

/// Resident memory without what belongs to files or is shared (RssAnon of proc_pid_status(5), in KiB).
fn anonymous(status: &[u8]) -> Option<u64> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"RssAnon:"))?;
    let number = std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    Some(number * 1024)
}
