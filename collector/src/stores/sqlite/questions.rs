//! Reading, on a connection of its own that cannot write. Each answer is one snapshot, except `verify`, which
//! goes table by table and page by page so that it does not hold the writer's check-points up for long.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use plumb_proto::limits;
use plumb_proto::model::TableDecl;
use plumb_proto::record::HostId;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{audit, changes, codec, drifts, events, history, hosts, load, outbox, sizes, users, verify};
use crate::change_set::Change;
use crate::drift::KnownDrift;
use crate::history::{Asked, History};
use crate::store::rows::{Alert, EventRow, Groups, HostRow, HostState, Message};
use crate::store::users::UserRow;
use crate::store::{DriftFilter, EventFilter, FactFilter, Questions, Stopper};
use crate::view::{HostView, Row};

/// A reader.
pub struct Reader {
    conn: Connection,
}

impl Reader {
    /// On a connection that was opened for reading only.
    pub fn new(conn: Connection) -> Self {
        Self { conn }
    }

    fn snapshot(&mut self) -> Result<Transaction<'_>> {
        Ok(self.conn.transaction_with_behavior(TransactionBehavior::Deferred)?)
    }
}

impl Questions for Reader {
    fn stopper(&self) -> Stopper {
        let handle = self.conn.get_interrupt_handle();
        Box::new(move || handle.interrupt())
    }

    fn hosts(&mut self) -> Result<Vec<HostRow>> {
        let hosts = hosts::all(&self.conn, false)?;
        Ok(hosts.into_iter().take(limits::QUERY_ROWS).map(|(_, host)| host).collect())
    }

    fn view(&mut self, host: &HostId) -> Result<HostView> {
        let snapshot = self.snapshot()?;
        let (no, row) = hosts::by_id(&snapshot, host)?.with_context(|| format!("host {host} is not enrolled"))?;
        Ok(load::view(&snapshot, no, row)?.0)
    }

    fn outline(&mut self, host: &HostId) -> Result<HostView> {
        let snapshot = self.snapshot()?;
        let (no, row) = hosts::by_id(&snapshot, host)?.with_context(|| format!("host {host} is not enrolled"))?;
        load::outline(&snapshot, no, row)
    }

    fn drifts(&mut self, filter: &DriftFilter) -> Result<Vec<KnownDrift>> {
        drifts::read(&*self.snapshot()?, filter)
    }

    fn facts(&mut self, table: &str, filter: &FactFilter) -> Result<Vec<(HostRow, Row)>> {
        let snapshot = self.snapshot()?;
        let mut found = Vec::new();
        for (no, host) in hosts::chosen(&snapshot, filter.host.as_ref(), &filter.groups)? {
            let left = limits::QUERY_ROWS - found.len();
            if left == 0 {
                break;
            }
            found.extend(load::table(&snapshot, no, table, left)?.into_iter().map(|row| (host.clone(), row)));
        }
        Ok(found)
    }

    fn events(&mut self, host: &HostId, filter: &EventFilter) -> Result<Vec<(u64, EventRow)>> {
        events::read(&*self.snapshot()?, host, filter)
    }

    fn changes(&mut self, host: &HostId, since: Timestamp) -> Result<Vec<Change>> {
        changes::read(&*self.snapshot()?, host, since)
    }

    fn declarations(&mut self, groups: &Groups) -> Result<Vec<(TableDecl, u64)>> {
        let snapshot = self.snapshot()?;
        let mut by_host = snapshot.prepare_cached("SELECT decl FROM host_tables WHERE host = ?1")?;
        let mut hosts_of: BTreeMap<i64, u64> = BTreeMap::new();
        for (no, host) in hosts::chosen(&snapshot, None, groups)? {
            if host.state == HostState::Revoked {
                continue; // what it says counts no more
            }
            for decl in by_host.query_and_then([no], |row| row.get::<_, i64>(0))? {
                *hosts_of.entry(decl?).or_default() += 1;
            }
        }
        let mut of_number = snapshot.prepare_cached("SELECT decl FROM declarations WHERE no = ?1")?;
        let mut found = Vec::with_capacity(hosts_of.len());
        for (no, hosts) in hosts_of {
            let decl = of_number.query_row([no], |row| row.get::<_, Vec<u8>>(0))?;
            found.push((codec::decl_from(&decl)?, hosts));
        }
        // stable: of two that are as common, the one that was known first stands first
        found.sort_by(|(one, one_hosts), (other, other_hosts)| {
            one.name.cmp(&other.name).then(other_hosts.cmp(one_hosts))
        });
        Ok(found)
    }

    fn users(&mut self) -> Result<Vec<UserRow>> {
        users::all(&self.conn)
    }

    fn history(&mut self, host: &HostId, asked: &Asked) -> Result<History> {
        let snapshot = self.snapshot()?;
        let no = hosts::number(&snapshot, host)?;
        history::read(&snapshot, no, asked)
    }

    fn sizes(&mut self) -> Result<Vec<(String, u64)>> {
        sizes::read(&*self.snapshot()?)
    }

    fn messages(&mut self, limit: usize) -> Result<Vec<(Message, Vec<Alert>)>> {
        outbox::newest(&*self.snapshot()?, limit)
    }

    fn last_done(&mut self, action: &str) -> Result<Option<Timestamp>> {
        audit::last_done(&self.conn, action)
    }

    fn verify(&mut self) -> Result<(u64, Vec<String>)> {
        let (mut links, mut faults) = verify::ledger(&self.conn)?;
        let (held, failed) = audit::verify(&self.conn)?;
        links += held;
        faults.extend(failed);
        Ok((links, faults))
    }
}
