//! What somebody who is limited to a group gets to see: a reader that has nothing but the hosts of that group. All questions
//! go through it, so that none can forget to ask. A new question does not compile before it says here what it shows.

use std::collections::HashSet;

use anyhow::{Result, bail};
use plumb_proto::limits;
use plumb_proto::model::TableDecl;
use plumb_proto::record::HostId;
use plumb_proto::time::Timestamp;

use crate::change_set::Change;
use crate::drift::KnownDrift;
use crate::history::{Asked, History};
use crate::store::rows::{Alert, EventRow, Groups, HostRow, Message};
use crate::store::users::UserRow;
use crate::store::{DriftFilter, EventFilter, FactFilter, Questions, Stopper};
use crate::view::{HostView, Row};

/// Messages that are looked through for one that is shown.
const SEARCHED: usize = 20;

/// A reader of the hosts with these labels.
pub(super) struct Limited<'a> {
    /// The whole store.
    pub(super) all: &'a mut dyn Questions,
    /// What hosts must have.
    pub(super) groups: &'a Groups,
}

/// Whether these labels are among those of a host.
pub(super) fn has(host: &Groups, wanted: &Groups) -> bool {
    wanted.iter().all(|(label, value)| host.get(label) == Some(value))
}

impl Limited<'_> {
    fn ids(&mut self) -> Result<HashSet<HostId>> {
        Ok(self.hosts()?.into_iter().map(|host| host.id).collect())
    }

    fn is_ours(&mut self, host: &HostId) -> Result<bool> {
        Ok(self.ids()?.contains(host))
    }

    /// What is asked for and what may be seen; `None`: that is nothing.
    fn both(&self, asked: &Groups) -> Option<Groups> {
        let mut both = asked.clone();
        for (label, value) in self.groups {
            match both.insert(label.clone(), value.clone()) {
                Some(other) if other != *value => return None,
                _ => {}
            }
        }
        Some(both)
    }
}

impl Questions for Limited<'_> {
    fn stopper(&self) -> Stopper {
        self.all.stopper()
    }

    fn hosts(&mut self) -> Result<Vec<HostRow>> {
        let mut hosts = self.all.hosts()?;
        hosts.retain(|host| has(&host.groups, self.groups));
        Ok(hosts)
    }

    fn view(&mut self, host: &HostId) -> Result<HostView> {
        let view = self.all.view(host)?;
        if !has(&view.host.groups, self.groups) {
            bail!("host {host} is not enrolled");
        }
        Ok(view)
    }

    fn outline(&mut self, host: &HostId) -> Result<HostView> {
        let view = self.all.outline(host)?;
        if !has(&view.host.groups, self.groups) {
            bail!("host {host} is not enrolled");
        }
        Ok(view)
    }

    fn drifts(&mut self, filter: &DriftFilter) -> Result<Vec<KnownDrift>> {
        let Some(groups) = self.both(&filter.groups) else { return Ok(Vec::new()) };
        let ours = self.ids()?;
        let mut drifts = self.all.drifts(&DriftFilter { groups, ..filter.clone() })?;
        drifts.retain(|each| ours.contains(&each.drift.host));
        Ok(drifts)
    }

    fn facts(&mut self, table: &str, filter: &FactFilter) -> Result<Vec<(HostRow, Row)>> {
        let Some(groups) = self.both(&filter.groups) else { return Ok(Vec::new()) };
        let mut rows = self.all.facts(table, &FactFilter { groups, ..filter.clone() })?;
        rows.retain(|(host, _)| has(&host.groups, self.groups));
        Ok(rows)
    }

    fn changes(&mut self, host: &HostId, since: Timestamp) -> Result<Vec<Change>> {
        if self.is_ours(host)? { self.all.changes(host, since) } else { Ok(Vec::new()) }
    }

    fn events(&mut self, host: &HostId, filter: &EventFilter) -> Result<Vec<(u64, EventRow)>> {
        if self.is_ours(host)? { self.all.events(host, filter) } else { Ok(Vec::new()) }
    }

    fn history(&mut self, host: &HostId, asked: &Asked) -> Result<History> {
        if self.is_ours(host)? { self.all.history(host, asked) } else { bail!("host {host} is not enrolled") }
    }

    /// Of the whole store: nobody who is limited asks.
    fn sizes(&mut self) -> Result<Vec<(String, u64)>> {
        Ok(Vec::new())
    }

    fn declarations(&mut self, groups: &Groups) -> Result<Vec<(TableDecl, u64)>> {
        self.both(groups).map_or(Ok(Vec::new()), |groups| self.all.declarations(&groups))
    }

    /// Alerts of hosts that had the labels when they were told.
    fn messages(&mut self, limit: usize) -> Result<Vec<(Message, Vec<Alert>)>> {
        let searched = limit.saturating_mul(SEARCHED).min(limits::QUERY_ROWS);
        let mut messages = self.all.messages(searched)?;
        for (_, alerts) in &mut messages {
            alerts.retain(|alert| has(&alert.groups, self.groups));
        }
        messages.retain(|(_, alerts)| !alerts.is_empty());
        messages.truncate(limit);
        Ok(messages)
    }

    fn users(&mut self) -> Result<Vec<UserRow>> {
        bail!("users concern every group")
    }

    fn last_done(&mut self, _action: &str) -> Result<Option<Timestamp>> {
        bail!("the audit concerns every group")
    }

    fn verify(&mut self) -> Result<(u64, Vec<String>)> {
        bail!("the chains concern every group")
    }
}
