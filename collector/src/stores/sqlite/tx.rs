//! The verbs of a transaction, each sent to the part that knows it.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Result;
use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::Tombstone;
use plumb_proto::model::Event;
use plumb_proto::record::{Epoch, Hash, HostId};
use plumb_proto::time::Timestamp;
use rusqlite::Connection;

use super::cache::Cache;
use super::packer::Packer;
use super::{append, audit, drifts, events, facts, hosts, ledger, outbox, tidy, users};
use crate::alert::Transitions;
use crate::drift::KnownDrift;
use crate::store::rows::{Alert, AuditEntry, Head, HostRow, Issuance, Message, Quarantined, TokenRow};
use crate::store::users::{UserIssuance, UserRow};
use crate::store::{Approval, Incoming, Keep, Tx};
use crate::view::{HostView, Touched};

/// A transaction that has begun.
pub struct SqliteTx<'a> {
    /// The writer's connection.
    pub conn: &'a Connection,
    /// Views of hosts.
    pub cache: &'a mut Cache,
    /// For blobs.
    pub packer: &'a mut Packer,
    /// Hosts whose cached view was changed: it is worth nothing if the commit fails.
    pub changed: &'a mut HashSet<HostId>,
    /// The last number given to a drift that may not be written yet.
    pub last_drift: u64,
}

impl Tx for SqliteTx<'_> {
    fn host(&mut self, id: &HostId) -> Result<Option<HostRow>> {
        Ok(hosts::by_id(self.conn, id)?.map(|(_, host)| host))
    }

    fn host_named(&mut self, name: &str) -> Result<Option<HostRow>> {
        hosts::by_name(self.conn, name)
    }

    fn hosts(&mut self) -> Result<Vec<HostRow>> {
        Ok(hosts::all(self.conn, true)?.into_iter().map(|(_, host)| host).collect())
    }

    fn save_host(&mut self, host: &HostRow) -> Result<()> {
        hosts::save(self.conn, host)?;
        if let Some(cached) = self.cache.peek(&host.id) {
            self.changed.insert(host.id);
            let view = Arc::make_mut(&mut cached.view);
            let last_seen = view.host.last_seen.max(host.last_seen);
            view.host = HostRow { last_seen, ..host.clone() };
        }
        Ok(())
    }

    fn token(&mut self, id: &[u8; 16]) -> Result<Option<TokenRow>> {
        hosts::token(self.conn, id)
    }

    fn save_token(&mut self, token: &TokenRow) -> Result<()> {
        hosts::save_token(self.conn, token)
    }

    fn log_issuance(&mut self, issuance: &Issuance) -> Result<()> {
        hosts::log_issuance(self.conn, issuance)
    }

    fn issuances(&mut self, host: &HostId) -> Result<Vec<Issuance>> {
        hosts::issuances(self.conn, host)
    }

    fn issuances_by_token(&mut self, token: &[u8; 16]) -> Result<Vec<Issuance>> {
        hosts::issuances_by_token(self.conn, token)
    }

    fn users(&mut self) -> Result<Vec<UserRow>> {
        users::all(self.conn)
    }

    fn save_user(&mut self, user: &UserRow) -> Result<()> {
        users::save(self.conn, user)
    }

    fn log_user_issuance(&mut self, issuance: &UserIssuance) -> Result<()> {
        users::log_issuance(self.conn, issuance)
    }

    fn head(&mut self, host: &HostId, epoch: &Epoch) -> Result<Option<Head>> {
        Ok(self.epoch(host, epoch)?.map(|(_, head)| head))
    }

    fn record_hash(&mut self, host: &HostId, epoch: &Epoch, seq: u64) -> Result<Option<Hash>> {
        match self.epoch(host, epoch)? {
            Some((no, head)) if seq < head.next_seq => ledger::record_hash(self.conn, (no, head.epoch), seq),
            _ => Ok(None),
        }
    }

    fn dictionary(&mut self, host: &HostId, epoch: &Epoch) -> Result<Dictionary> {
        self.epoch(host, epoch)?.map_or(Ok(Dictionary::default()), |(no, _)| ledger::dictionary(self.conn, no))
    }

    fn append(&mut self, incoming: &Incoming<'_>) -> Result<Option<Touched>> {
        let cached = self.cache.get(self.conn, incoming.host)?;
        self.changed.insert(*incoming.host);
        append::append(self.conn, cached, incoming, self.packer)
    }

    fn append_gap(&mut self, host: &HostId, epoch: &Epoch, gap: &Tombstone, received: Timestamp) -> Result<()> {
        ledger::append_gap(self.conn, host, epoch, gap, received)?;
        if let Some(cached) = self.cache.peek(host) {
            self.changed.insert(*host);
            let view = Arc::make_mut(&mut cached.view);
            view.host.last_seen = view.host.last_seen.max(Some(received));
        }
        Ok(())
    }

    fn quarantine(&mut self, what: &Quarantined, received: Timestamp) -> Result<()> {
        ledger::quarantine(self.conn, what, received)
    }

    fn collector_event(&mut self, host: &HostId, event: &Event) -> Result<()> {
        events::write_own(self.conn, host, event)
    }

    fn critical_events(&mut self, host: &HostId, since: Timestamp) -> Result<Vec<Event>> {
        events::critical(self.conn, host, since)
    }

    fn view(&mut self, host: &HostId) -> Result<Arc<HostView>> {
        Ok(Arc::clone(&self.cache.get(self.conn, host)?.view))
    }

    fn known_drifts(&mut self, host: &HostId) -> Result<Vec<KnownDrift>> {
        drifts::live(self.conn, host)
    }

    fn next_drift(&mut self) -> Result<u64> {
        self.last_drift = drifts::next(self.conn)?.max(self.last_drift + 1);
        Ok(self.last_drift)
    }

    fn record(&mut self, decided: &Transitions) -> Result<()> {
        decided.forgotten.iter().try_for_each(|id| drifts::forget(self.conn, *id))?;
        decided.drifts.iter().try_for_each(|drift| drifts::save(self.conn, drift))?;
        decided.alerts.iter().try_for_each(|alert| outbox::put(self.conn, alert))
    }

    fn approve(&mut self, host: &HostId, what: &Approval<'_>) -> Result<()> {
        let cached = self.cache.get(self.conn, host)?;
        self.changed.insert(*host);
        let view = Arc::make_mut(&mut cached.view);
        let changes = match what {
            Approval::Host => view.approve(None, None, None),
            Approval::Table(table) => view.approve(Some(table), None, None),
            Approval::Field(table, key, field) => view.approve(Some(table), Some(key), *field),
        };
        facts::write(self.conn, cached.no, view, &changes)
    }

    fn begin_receiver(&mut self, receiver: &str) -> Result<()> {
        outbox::begin(self.conn, receiver)
    }

    fn outbox(&mut self, receiver: &str, limit: usize) -> Result<Vec<Alert>> {
        outbox::waiting_alerts(self.conn, receiver, limit)
    }

    fn pass_over(&mut self, receiver: &str, alerts: &[(u64, u32)]) -> Result<()> {
        outbox::pass_over(self.conn, receiver, alerts)
    }

    fn waiting(&mut self, receiver: &str) -> Result<Vec<Message>> {
        outbox::waiting(self.conn, receiver)
    }

    fn alerts_of(&mut self, message: &Message) -> Result<Vec<Alert>> {
        outbox::alerts_of(self.conn, message)
    }

    fn save_message(&mut self, message: &Message) -> Result<()> {
        outbox::save(self.conn, message)
    }

    fn tidy(&mut self, now: Timestamp, keep: &Keep) -> Result<bool> {
        tidy::step(self.conn, now, keep)
    }

    fn touch(&mut self) -> Result<()> {
        // the number of the schema stands on the first page, which is written even though it stays the same
        let version: i64 = self.conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok(self.conn.pragma_update(None, "user_version", version)?)
    }

    fn audit(&mut self, entry: &AuditEntry) -> Result<()> {
        audit::append(self.conn, entry)
    }
}

impl SqliteTx<'_> {
    fn epoch(&self, host: &HostId, epoch: &Epoch) -> Result<Option<(i64, Head)>> {
        ledger::epoch(self.conn, hosts::number(self.conn, host)?, epoch)
    }
}
