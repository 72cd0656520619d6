//! A store of one host, for tests of the pipeline.

use plumb_proto::frame::Tombstone;
use plumb_proto::record::Epoch;

use super::super::*;
use crate::alert::Transitions;
use crate::store::Keep;
use crate::store::rows::*;

/// As much of a store as the pipeline needs: it forgets records, and keeps the view, drifts and alerts.
pub struct Desk {
    pub view: HostView,
    pub drifts: Vec<KnownDrift>,
    pub alerts: Vec<String>,
    pub events: Vec<String>,
    pub critical: Vec<plumb_proto::model::Event>,
    pub seen: Vec<u64>,
    pub viewed: usize,
    pub next: u64,
}

impl Tx for Desk {
    fn append(&mut self, incoming: &Incoming<'_>) -> Result<Option<Touched>> {
        if self.seen.contains(&incoming.record.header.seq) {
            return Ok(None);
        }
        self.seen.push(incoming.record.header.seq);
        let mut touched = Touched::default();
        for report in incoming.payload.into_iter().flat_map(|payload| &payload.reports) {
            let at = Timestamp::from_millis(report.at.millis() - incoming.skew_ms);
            self.view.apply(report, at, &mut touched);
        }
        self.view.host.last_seen = Some(incoming.received);
        Ok(Some(touched))
    }
    fn view(&mut self, _: &HostId) -> Result<Arc<HostView>> {
        self.viewed += 1;
        Ok(Arc::new(self.view.clone()))
    }
    fn known_drifts(&mut self, _: &HostId) -> Result<Vec<KnownDrift>> {
        Ok(self.drifts.iter().filter(|each| each.state.is_live()).cloned().collect())
    }
    fn next_drift(&mut self) -> Result<u64> {
        self.next += 1;
        Ok(self.next)
    }
    fn record(&mut self, decided: &Transitions) -> Result<()> {
        self.drifts.retain(|each| !decided.forgotten.contains(&each.id));
        for drift in &decided.drifts {
            self.drifts.retain(|each| each.id != drift.id);
            self.drifts.push(drift.clone());
        }
        let line = |alert: &Alert| {
            let body: serde_json::Value = serde_json::from_str(&alert.body).unwrap();
            format!("{} {}", alert.kind.as_str(), body["title"].as_str().unwrap())
        };
        self.alerts.extend(decided.alerts.iter().map(line));
        Ok(())
    }
    fn approve(&mut self, _: &HostId, what: &Approval<'_>) -> Result<()> {
        match what {
            Approval::Host => self.view.approve(None, None, None),
            Approval::Table(table) => self.view.approve(Some(table), None, None),
            Approval::Field(table, key, field) => self.view.approve(Some(table), Some(key), *field),
        };
        Ok(())
    }
    fn collector_event(&mut self, _: &HostId, event: &Event) -> Result<()> {
        self.events.push(format!("{} {}", event.kind, event.text));
        Ok(())
    }
    fn host(&mut self, _: &HostId) -> Result<Option<HostRow>> {
        unreachable!()
    }
    fn users(&mut self) -> Result<Vec<crate::store::users::UserRow>> {
        unreachable!()
    }
    fn save_user(&mut self, _: &crate::store::users::UserRow) -> Result<()> {
        unreachable!()
    }
    fn log_user_issuance(&mut self, _: &crate::store::users::UserIssuance) -> Result<()> {
        unreachable!()
    }
    fn host_named(&mut self, _: &str) -> Result<Option<HostRow>> {
        unreachable!()
    }
    fn hosts(&mut self) -> Result<Vec<HostRow>> {
        unreachable!()
    }
    fn save_host(&mut self, _: &HostRow) -> Result<()> {
        unreachable!()
    }
    fn token(&mut self, _: &[u8; 16]) -> Result<Option<TokenRow>> {
        unreachable!()
    }
    fn save_token(&mut self, _: &TokenRow) -> Result<()> {
        unreachable!()
    }
    fn log_issuance(&mut self, _: &Issuance) -> Result<()> {
        unreachable!()
    }
    fn issuances(&mut self, _: &HostId) -> Result<Vec<Issuance>> {
        unreachable!()
    }
    fn issuances_by_token(&mut self, _: &[u8; 16]) -> Result<Vec<Issuance>> {
        unreachable!()
    }
    fn head(&mut self, _: &HostId, _: &Epoch) -> Result<Option<Head>> {
        unreachable!()
    }
    fn record_hash(&mut self, _: &HostId, _: &Epoch, _: u64) -> Result<Option<plumb_proto::record::Hash>> {
        unreachable!()
    }
    fn dictionary(&mut self, _: &HostId, _: &Epoch) -> Result<plumb_proto::dictionary::Dictionary> {
        unreachable!()
    }
    fn append_gap(&mut self, _: &HostId, _: &Epoch, _: &Tombstone, _: Timestamp) -> Result<()> {
        unreachable!()
    }
    fn quarantine(&mut self, _: &Quarantined, _: Timestamp) -> Result<()> {
        unreachable!()
    }
    fn critical_events(&mut self, _: &HostId, since: Timestamp) -> Result<Vec<plumb_proto::model::Event>> {
        Ok(self.critical.iter().filter(|event| event.at >= since).cloned().collect())
    }
    fn begin_receiver(&mut self, _: &str) -> Result<()> {
        unreachable!()
    }
    fn pass_over(&mut self, _: &str, _: &[(u64, u32)]) -> Result<()> {
        unreachable!()
    }
    fn tidy(&mut self, _: Timestamp, _: &Keep) -> Result<bool> {
        unreachable!()
    }
    fn outbox(&mut self, _: &str, _: usize) -> Result<Vec<Alert>> {
        unreachable!()
    }
    fn waiting(&mut self, _: &str) -> Result<Vec<Message>> {
        unreachable!()
    }
    fn alerts_of(&mut self, _: &Message) -> Result<Vec<Alert>> {
        unreachable!()
    }
    fn save_message(&mut self, _: &Message) -> Result<()> {
        unreachable!()
    }
    fn touch(&mut self) -> Result<()> {
        unreachable!()
    }
    fn audit(&mut self, _: &AuditEntry) -> Result<()> {
        unreachable!()
    }
}
