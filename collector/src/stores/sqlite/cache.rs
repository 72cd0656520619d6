//! Views of hosts between transactions: loaded when they are needed, the least used dropped when there are too many.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use plumb_proto::record::HostId;
use rusqlite::Connection;

use super::samples::SeriesIds;
use super::{hosts, load};
use crate::view::HostView;

/// A host as it is kept in memory.
pub struct Cached {
    /// Its number here.
    pub no: i64,
    /// All that is known of it.
    pub view: Arc<HostView>,
    /// Numbers of its series.
    pub series: SeriesIds,
    used: u64,
}

/// At most so many hosts.
pub struct Cache {
    hosts: HashMap<HostId, Cached>,
    capacity: usize,
    clock: u64,
}

impl Cache {
    /// Empty, for at most `capacity` hosts, one at least.
    pub fn new(capacity: usize) -> Self {
        Self { hosts: HashMap::new(), capacity: capacity.max(1), clock: 0 }
    }

    /// A host, loaded if it is not here.
    pub fn get(&mut self, conn: &Connection, id: &HostId) -> Result<&mut Cached> {
        self.clock += 1;
        if !self.hosts.contains_key(id) {
            let (no, host) = hosts::by_id(conn, id)?.with_context(|| format!("host {id} is not enrolled"))?;
            let (view, series) = load::view(conn, no, host).with_context(|| format!("load host {id}"))?;
            if self.hosts.len() >= self.capacity {
                let least = self.hosts.iter().min_by_key(|(_, each)| each.used).map(|(id, _)| *id);
                least.and_then(|id| self.hosts.remove(&id));
            }
            self.hosts.insert(*id, Cached { no, view: Arc::new(view), series, used: 0 });
        }
        let cached = self.hosts.get_mut(id).with_context(|| format!("host {id} has left the cache"))?;
        cached.used = self.clock;
        Ok(cached)
    }

    /// A host, if it is here.
    pub fn peek(&mut self, id: &HostId) -> Option<&mut Cached> {
        self.hosts.get_mut(id)
    }

    /// Drops a host: it is loaded anew.
    pub fn forget(&mut self, id: &HostId) {
        self.hosts.remove(id);
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.hosts.clear();
    }
}
