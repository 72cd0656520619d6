//! Decisions of operators. Each is one transaction with its entry in the audit; what is refused changes nothing.

mod approve;

use std::time::Instant;

use anyhow::Result;
use plumb_proto::generated::query as pb;
use plumb_proto::limits;
use plumb_proto::record::sha256;
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use tonic::{Request, Status};

use super::answers::no_host;
use super::guard::Who;
use super::limited::has;
use super::{Service, failed, invalid, summary, who};
use crate::enroll::token::host_name;
use crate::store::rows::{AuditEntry, HostRow, HostState};
use crate::store::{DriftFilter, Tx};
use crate::worker::Weight;

/// What the work in a transaction answers: refusals are no errors of the store.
type Decided<T> = Result<Result<T, Status>>;
/// Labels of a host.
const LABELS: usize = limits::LABELS;
/// A label's name, and its value.
const LABEL: usize = 64;

impl Service {
    /// Does `work` and writes it into the audit, in one transaction. `work` may run more than once.
    async fn decide<T, F>(&self, action: &'static str, who: &Who, subject: String, mut work: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx, Timestamp) -> Decided<(T, String)> + Send + 'static,
    {
        let (now, who) = (self.now(), who.to_string());
        let done = self.parts.writer.call(Weight::default(), move |tx| {
            Ok(match work(tx, now)? {
                Ok((value, detail)) => {
                    let subject = Untrusted::from(subject.as_str());
                    let (who, action) = (who.clone(), action.to_owned());
                    tx.audit(&AuditEntry { at: now, who, action, subject, allowed: true, detail })?;
                    Ok(value)
                }
                Err(refused) => Err(refused),
            })
        });
        done.await.map_err(|error| failed(&error))?
    }

    /// The host's line as it is now.
    async fn reply<R>(&self, request: &Request<R>, host: HostRow) -> Result<pb::HostReply, Status> {
        let hearing = self.hearing();
        let line = self.ask(request, move |questions| {
            let view = questions.view(&host.id).map_err(|error| failed(&error))?;
            let filter = DriftFilter { host: Some(host.id), ..DriftFilter::default() };
            let drifts = questions.drifts(&filter).map_err(|error| failed(&error))?;
            Ok(summary::host(&view, &drifts, hearing))
        });
        Ok(pb::HostReply { host: Some(line.await?) })
    }

    pub(super) async fn renamed(&self, request: Request<pb::RenameHostRequest>) -> Result<pb::HostReply, Status> {
        let pb::RenameHostRequest { name, to } = request.get_ref().clone();
        let to = host_name(to.as_bytes()).ok_or_else(|| {
            invalid(format!("\"{}\" is no host name: letters, digits, '.', '-', '_'", Untrusted::from(to)))
        })?;
        let who = who(&request)?;
        let (subject, caller) = (name.clone(), who.clone());
        let host = self.decide("rename", &who, subject, move |tx, _| {
            let host = match theirs(tx, &caller, &name)? {
                Ok(host) => host,
                Err(refused) => return Ok(Err(refused)),
            };
            if tx.host_named(&to)?.is_some_and(|other| other.id != host.id) {
                return Ok(Err(Status::already_exists(format!("there is a host \"{to}\" already"))));
            }
            let host = HostRow { name: to.clone(), ..host };
            tx.save_host(&host)?;
            Ok(Ok((host, to.clone())))
        });
        let host = host.await?;
        self.reply(&request, host).await
    }

    pub(super) async fn grouped(&self, request: Request<pb::GroupHostRequest>) -> Result<pb::HostReply, Status> {
        let asked = request.get_ref().clone();
        for label in &asked.set {
            if !is_label(&label.name)
                || label.value.is_empty()
                || label.value.len() > LABEL
                || label.value.contains(char::is_control)
            {
                let what = Untrusted::from(format!("{}={}", label.name, label.value));
                return Err(invalid(format!(
                    "{what}: a label is a name of letters, digits, '-', '_' and a value, {LABEL} bytes each at most"
                )));
            }
        }
        let who = who(&request)?;
        // whoever is limited by a label does not hand hosts out of their group
        let changed = asked.set.iter().map(|label| &label.name).chain(&asked.remove);
        if let Some(label) = changed.into_iter().find(|label| who.groups().contains_key(*label)) {
            return Err(Status::permission_denied(format!(
                "{who} is limited by the label {label}: it is not theirs to change"
            )));
        }
        let (subject, caller) = (asked.name.clone(), who.clone());
        let host = self.decide("group", &who, subject, move |tx, _| {
            let mut host = match theirs(tx, &caller, &asked.name)? {
                Ok(host) => host,
                Err(refused) => return Ok(Err(refused)),
            };
            for name in &asked.remove {
                host.groups.remove(name);
            }
            host.groups.extend(asked.set.iter().map(|label| (label.name.clone(), label.value.clone())));
            if host.groups.len() > LABELS {
                return Ok(Err(invalid(format!("a host has {LABELS} labels at most"))));
            }
            tx.save_host(&host)?;
            let detail =
                host.groups.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
            Ok(Ok((host, detail)))
        });
        let host = host.await?;
        self.reply(&request, host).await
    }

    pub(super) async fn retired(&self, request: Request<pb::RetireHostRequest>) -> Result<pb::HostReply, Status> {
        let host = self.close("retire", who(&request)?, &request.get_ref().name, HostState::Retired).await?;
        self.reply(&request, host).await
    }

    pub(super) async fn revoked(&self, request: Request<pb::RevokeHostRequest>) -> Result<pb::HostReply, Status> {
        let host = self.close("revoke", who(&request)?, &request.get_ref().name, HostState::Revoked).await?;
        self.reply(&request, host).await
    }

    /// Never lets a host report again: its state is looked at by every batch, and its connections are closed at once.
    async fn close(&self, action: &'static str, who: Who, name: &str, state: HostState) -> Result<HostRow, Status> {
        let (pipeline, name) = (self.parts.pipeline.clone(), name.to_owned());
        let (subject, caller) = (name.clone(), who.clone());
        let host = self.decide(action, &who, subject, move |tx, now| {
            let host = match theirs(tx, &caller, &name)? {
                Ok(host) => host,
                Err(refused) => return Ok(Err(refused)),
            };
            pipeline.expire(tx, &host.id, now, &|_| true)?;
            let host = HostRow { state, ..host };
            tx.save_host(&host)?;
            Ok(Ok((host.clone(), host.id.to_string())))
        });
        let host = host.await?;
        self.parts.connections.refuse(&host.id);
        Ok(host)
    }

    pub(super) async fn tested(
        &self,
        request: Request<pb::TestReceiverRequest>,
    ) -> Result<pb::TestReceiverReply, Status> {
        let name = request.get_ref().receiver.clone();
        let receivers = self.parts.notifier.receivers();
        if !receivers.contains(&name) {
            let meant = plumb_proto::nearest::nearest(&name, receivers.iter().map(String::as_str));
            let hint =
                meant.map_or_else(|| "collector.toml names them".to_owned(), |meant| format!("did you mean {meant}?"));
            return Err(Status::not_found(format!("there is no receiver \"{name}\": {hint}")));
        }
        let subject = name.clone();
        self.decide("test receiver", &who(&request)?, subject, |_, _| Ok(Ok(((), String::new())))).await?;
        let key = sha256(&[b"plumb.test\0", self.now().to_string().as_bytes()]).to_string();
        let notifier = self.parts.notifier.clone();
        let begun = Instant::now();
        let sent = tokio::task::spawn_blocking(move || notifier.test(&name, &key)).await;
        let sent = sent.map_err(|_| Status::internal("the receiver broke"))?;
        let delivered = sent.is_ok();
        Ok(pb::TestReceiverReply {
            delivered,
            answer: sent.unwrap_or_else(|error| error.to_string()),
            took_ms: u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX),
        })
    }
}

/// A host by name, if it is among those that somebody may see. The answer to others is as if it were not there.
fn theirs(tx: &mut dyn Tx, who: &Who, name: &str) -> Decided<HostRow> {
    match tx.host_named(name)? {
        Some(host) if has(&host.groups, who.groups()) => Ok(Ok(host)),
        _ => {
            let mut hosts = tx.hosts()?;
            hosts.retain(|host| has(&host.groups, who.groups()));
            Ok(Err(no_host(name, &hosts)))
        }
    }
}

fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= LABEL && name.bytes().all(fits)
}
