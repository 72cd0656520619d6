//! What memory workers take, and what they might need.
//!
//! The sum of what all pools may have says little: on a host with hundreds of sites it is many times the memory, and never
//! comes to be. What does come is one site that is overrun, or one that hangs, while the others have an ordinary day. So it
//! is reckoned at each look what would be needed if, beside the workers that are there, the one pool were full that would
//! take the most; and the most of that in the last day is told. With one pool it is all of its workers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::workers::{Workers, memory};
use crate::fpm;
use crate::host::Host;
use crate::watcher::Look;

/// Time between two looks at the memory of workers: a rule takes no sample that is older than ten minutes.
const MEMORY: Duration = Duration::from_secs(300);
/// What was needed is remembered for so long, and at most for twice as long.
const REMEMBERED: Duration = Duration::from_secs(12 * 3_600);
/// Bytes of /proc/meminfo.
const MEMINFO: usize = 16 << 10;

/// What is known of the memory of workers from look to look.
#[derive(Default)]
pub(super) struct Memory {
    measured: Option<Duration>,
    /// What all workers took then.
    used: u64,
    /// What workers of a pool took when it last had some, by key of the pool.
    sizes: BTreeMap<String, u64>,
    /// The same in the order of the pools.
    ordered: Vec<Option<u64>>,
    /// How many workers each may have, in the same order.
    limits: Vec<Option<u32>>,
    /// The most that would have been needed since then, and in the time before.
    since: Duration,
    most: u64,
    before: u64,
}

impl Memory {
    /// Takes the pools as they are now. What may be needed is reckoned anew if one of them may have more workers, or fewer.
    pub(super) fn begin(&mut self, found: &fpm::Pools, limits: Vec<Option<u32>>) {
        let keys: BTreeSet<&str> = found.pools.iter().map(|pool| pool.key.as_str()).collect();
        self.sizes.retain(|key, _| keys.contains(key.as_str()));
        self.order(found);
        if self.limits != limits {
            (self.limits, self.most, self.before) = (limits, 0, 0);
        }
    }

    /// Looks at workers: `counts` has how many each pool has. With `sample` it tells what is known by now, measured this
    /// time or before: all samples of a watcher come at the same times, and one that is left out could not be read.
    pub(super) fn look(
        &mut self,
        look: &mut Look<'_>,
        (now, sample): (Duration, bool),
        found: &fpm::Pools,
        (workers, counts): (&Workers, &[u32]),
    ) {
        if self.measured.is_none_or(|measured| now >= measured + MEMORY) {
            self.used = self.measure(look.host, found, workers);
            self.measured = Some(now);
        }
        if now >= self.since + REMEMBERED {
            (self.since, self.before, self.most) = (now, self.most, 0);
        }
        self.most = self.most.max(self.needed(counts));
        // With no size no pool has had a worker yet.
        if !sample || self.sizes.is_empty() {
            return;
        }
        for (key, most) in &self.sizes {
            look.gauge("php_pool_worker_memory_bytes", &[("pool", key)], real(*most));
        }
        look.gauge("php_memory_if_full_bytes", &[], real(self.most.max(self.before)));
        if let Some(available) = available(look.host) {
            look.gauge("php_memory_room_bytes", &[], real(available + self.used));
        }
    }

    /// Measures what workers take; answers what all of them take together.
    fn measure(&mut self, host: &Host, found: &fpm::Pools, workers: &Workers) -> u64 {
        let sizes = memory(host, workers);
        let mut used = 0;
        for pool in &found.pools {
            if let Some(memory) = sizes.get(&(pool.instance, pool.name.clone())) {
                used += memory.all;
                self.sizes.insert(pool.key.clone(), memory.most);
            }
        }
        self.order(found);
        used
    }

    fn order(&mut self, found: &fpm::Pools) {
        self.ordered = found.pools.iter().map(|pool| self.sizes.get(&pool.key).copied()).collect();
    }

    /// What the workers that are there take, and those that would come if one pool were full. Of a pool that never had a
    /// worker nothing is known, and nothing is guessed.
    fn needed(&self, counts: &[u32]) -> u64 {
        let (mut there, mut coming) = (0_u64, 0_u64);
        for ((count, size), limit) in counts.iter().zip(&self.ordered).zip(&self.limits) {
            let Some(size) = size else { continue };
            there = there.saturating_add(size.saturating_mul(u64::from(*count)));
            coming = coming.max(size.saturating_mul(limit.unwrap_or(0).saturating_sub(*count).into()));
        }
        there.saturating_add(coming)
    }
}

/// Memory that is to be had without swapping (MemAvailable of proc_meminfo(5), in KiB).
fn available(host: &Host) -> Option<u64> {
    let text = host.read_text("/proc/meminfo", MEMINFO).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[allow(clippy::cast_precision_loss)] // 2^53 bytes are 8 PiB
fn real(bytes: u64) -> f64 {
    bytes as f64
}
