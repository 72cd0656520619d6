//! Views of hosts between transactions: loaded when they are needed, the least used dropped when they take too much memory.
//! To load one costs milliseconds, and hosts report in turns: a cache that is a bit too small for a fleet is worth nothing,
//! so it is as large as the machine allows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context, Result};
use plumb_proto::record::HostId;
use rusqlite::Connection;

use super::samples::SeriesIds;
use super::{hosts, load};
use crate::view::HostView;

/// One in so many bytes of memory may hold views.
const SHARE: usize = 4;
/// They may always take so much.
const LEAST: usize = 256 << 20;
/// About what a host takes, whatever is known of it: its tables, its watchers.
const HOST: usize = 16 << 10;
/// About what a row of six columns takes, measured.
const ROW: usize = 1_700;
/// About what the approved state of a row takes.
const BASELINE: usize = 1_200;
/// About what a series takes, with its number.
const SERIES: usize = 1_750;

/// A host as it is kept in memory.
pub struct Cached {
    /// Its number here.
    pub no: i64,
    /// All that is known of it.
    pub view: Arc<HostView>,
    /// Numbers of its series.
    pub series: SeriesIds,
    used: u64,
    weight: usize,
}

impl Cached {
    fn weigh(&self) -> usize {
        let of_table = |table: &crate::view::TableView| table.rows.len() * ROW + table.baseline.len() * BASELINE;
        HOST + self.view.tables.values().map(of_table).sum::<usize>() + self.series.len() * SERIES
    }
}

/// Hosts of so many bytes, about.
pub struct Cache {
    hosts: HashMap<HostId, Cached>,
    /// From the one that was not used for longest.
    order: BTreeMap<u64, HostId>,
    bytes: usize,
    taken: usize,
    clock: u64,
}

impl Cache {
    /// Empty, for hosts of about so many bytes; for one at least.
    pub fn new(bytes: usize) -> Self {
        Self { hosts: HashMap::new(), order: BTreeMap::new(), bytes, taken: 0, clock: 0 }
    }

    /// A host, loaded if it is not here.
    pub fn get(&mut self, conn: &Connection, id: &HostId) -> Result<&mut Cached> {
        let mut cached = match self.forget(id) {
            Some(cached) => cached,
            None => {
                let (no, host) = hosts::by_id(conn, id)?.with_context(|| format!("host {id} is not enrolled"))?;
                let (view, series) = load::view(conn, no, host).with_context(|| format!("load host {id}"))?;
                Cached { no, view: Arc::new(view), series, used: 0, weight: 0 }
            }
        };
        self.clock += 1;
        (cached.used, cached.weight) = (self.clock, cached.weigh());
        while self.taken.saturating_add(cached.weight) > self.bytes
            && let Some((_, least)) = self.order.first_key_value()
        {
            let least = *least;
            self.forget(&least);
        }
        self.taken = self.taken.saturating_add(cached.weight);
        self.order.insert(cached.used, *id);
        Ok(self.hosts.entry(*id).insert_entry(cached).into_mut())
    }

    /// A host, if it is here.
    pub fn peek(&mut self, id: &HostId) -> Option<&mut Cached> {
        self.hosts.get_mut(id)
    }

    /// Drops a host: it is loaded anew.
    pub fn forget(&mut self, id: &HostId) -> Option<Cached> {
        let gone = self.hosts.remove(id)?;
        self.order.remove(&gone.used);
        self.taken = self.taken.saturating_sub(gone.weight);
        Some(gone)
    }

    /// Drops all.
    pub fn clear(&mut self) {
        *self = Self::new(self.bytes);
    }
}

/// How many bytes views may take on this machine, and within the limit that the service manager or a container sets.
pub fn room() -> usize {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let group = read("/proc/self/cgroup");
    let group = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").trim_end_matches('/');
    // sysinfo(2), since the unit hides what of /proc is not about processes
    let total = nix::sys::sysinfo::sysinfo().ok().and_then(|info| usize::try_from(info.ram_total()).ok());
    room_of(total, &read(&format!("/sys/fs/cgroup{group}/memory.max")))
}

/// By the bytes of memory in all and memory.max (cgroup v2).
fn room_of(total: Option<usize>, limit: &str) -> usize {
    let limit = limit.trim().parse::<usize>().ok(); // "max": there is none
    total.into_iter().chain(limit).min().map_or(LEAST, |bytes| (bytes / SHARE).max(LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_take_a_quarter_of_the_memory_or_of_the_limit_and_never_too_little() {
        let total = Some(12 << 30);
        assert_eq!(room_of(total, "max\n") >> 20, 3072);
        assert_eq!(room_of(total, "3221225472\n") >> 20, 768);
        assert_eq!(room_of(total, "1048576\n"), LEAST);
        assert_eq!(room_of(None, ""), LEAST);
    }
}
