//! Approving: single drifts, a host, a table, or what a change set left behind.

use plumb_proto::generated::query as pb;
use plumb_proto::limits;
use tonic::{Request, Status};

use crate::change_set::{Change, How};
use crate::drift::{DriftState, Kind, KnownDrift, Subject};
use crate::query::answers::{self, drift, host_named};
use crate::query::guard::Who;
use crate::query::{Service, changes, failed, invalid, who};
use crate::store::{Approval, DriftFilter};
use crate::view::HostView;

/// Drifts that one call may approve.
const IDS: usize = 1_000;

impl Service {
    pub(in crate::query) async fn approved(
        &self,
        request: Request<pb::ApproveRequest>,
    ) -> Result<pb::ApproveReply, Status> {
        let asked = request.get_ref().clone();
        let named = [!asked.ids.is_empty(), !asked.host.is_empty(), !asked.change_set.is_empty()];
        if named.iter().filter(|is_named| **is_named).count() != 1 {
            return Err(invalid("name either drifts, a host or a change set"));
        }
        if asked.note.len() > limits::FIELD {
            return Err(invalid(format!("the note is longer than {} bytes", limits::FIELD)));
        }
        let who = who(&request)?;
        let mut reply = pb::ApproveReply::default();
        let approved = match named {
            [true, ..] => self.approve_drifts(&request, &who, asked).await?,
            [_, true, _] => self.approve_host(&request, &who, asked).await?,
            _ => self.approve_change_set(&request, &who, asked, &mut reply).await?,
        };
        reply.approved = self.ask(&request, move |questions| answers::named(questions, &approved)).await?;
        Ok(reply)
    }

    async fn approve_host(
        &self,
        request: &Request<pb::ApproveRequest>,
        who: &Who,
        asked: pb::ApproveRequest,
    ) -> Result<Vec<KnownDrift>, Status> {
        let name = asked.host.clone();
        let host = self.ask(request, move |questions| host_named(questions, &name)).await?;
        let pipeline = self.parts.pipeline.clone();
        let subject = [asked.host.as_str(), asked.table.as_str()].join(" ").trim().to_owned();
        self.decide("approve", who, subject, move |tx, now| {
            let view = tx.view(&host.id)?;
            if !asked.table.is_empty() && !view.tables.contains_key(&asked.table) {
                let meant = plumb_proto::nearest::nearest(&asked.table, view.tables.keys().map(String::as_str));
                let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
                return Ok(Err(invalid(format!("{} has no table \"{}\"{hint}", host.name, asked.table))));
            }
            drop(view);
            let what = if asked.table.is_empty() { Approval::Host } else { Approval::Table(&asked.table) };
            let approved = pipeline.approve(tx, &host.id, &what, note(&asked.note), now)?;
            let detail = format!("{} drifts; {}", approved.len(), asked.note);
            Ok(Ok((approved, detail)))
        })
        .await
    }

    async fn approve_drifts(
        &self,
        request: &Request<pb::ApproveRequest>,
        who: &Who,
        asked: pb::ApproveRequest,
    ) -> Result<Vec<KnownDrift>, Status> {
        if asked.ids.len() > IDS {
            return Err(invalid(format!("at most {IDS} drifts at once")));
        }
        let filter = DriftFilter { all: true, ids: asked.ids.clone(), ..DriftFilter::default() };
        let found =
            self.ask(request, move |questions| questions.drifts(&filter).map_err(|error| failed(&error))).await?;
        for id in &asked.ids {
            let Some(known) = found.iter().find(|each| each.id == *id && each.state != DriftState::Pending) else {
                return Err(Status::not_found(format!("there is no drift {id}: `plumb drift` shows their numbers")));
            };
            may_be_approved(known)?;
        }
        let pipeline = self.parts.pipeline.clone();
        let ids: Vec<String> = asked.ids.iter().map(u64::to_string).collect();
        self.decide("approve", who, ids.join(" "), move |tx, now| {
            let mut approved: Vec<KnownDrift> = Vec::new();
            for known in &found {
                let Subject::Row { table, key, field } = &known.drift.subject else { continue };
                let what = Approval::Field(table, key, field.as_deref());
                approved.extend(pipeline.approve(tx, &known.drift.host, &what, note(&asked.note), now)?);
            }
            Ok(Ok((approved, asked.note.clone())))
        })
        .await
    }

    /// Approves what a change set left behind, where it still stands so.
    async fn approve_change_set(
        &self,
        request: &Request<pb::ApproveRequest>,
        who: &Who,
        asked: pb::ApproveRequest,
        reply: &mut pb::ApproveReply,
    ) -> Result<Vec<KnownDrift>, Status> {
        let (id, now) = (asked.change_set.clone(), self.now());
        let found = self.ask(request, move |questions| changes::find(questions, &id, now)).await?;
        let pipeline = self.parts.pipeline.clone();
        let subject = format!("{} change set {}", found.host.name, asked.change_set);
        let decided = self.decide("approve", who, subject, move |tx, now| {
            let view = tx.view(&found.host.id)?;
            let (mut approved, mut taken) = (Vec::new(), 0);
            for ((table, key, field), change) in &found.touched {
                if !stands(&view, change) {
                    continue;
                }
                let what = Approval::Field(table, key, field.as_deref());
                approved.extend(pipeline.approve(tx, &found.host.id, &what, note(&asked.note), now)?);
                taken += 1;
            }
            let left = found.changed_again + found.touched.len() - taken;
            let detail = format!("{taken} taken, {left} left; {} drifts; {}", approved.len(), asked.note);
            Ok(Ok(((approved, taken, left), detail)))
        });
        let (approved, taken, left) = decided.await?;
        reply.taken = u32::try_from(taken).unwrap_or(u32::MAX);
        reply.left = u32::try_from(left).unwrap_or(u32::MAX);
        Ok(approved)
    }
}

/// Whether a row or a column is as a change left it.
fn stands(view: &HostView, change: &Change) -> bool {
    let row = view.row(&change.table, &change.key);
    match (&change.field, row) {
        (Some(field), Some(row)) => row.unknown(field).is_none() && row.fact.fields.get(field) == change.is.as_ref(),
        (Some(_), None) => false,
        (None, Some(row)) => change.how == How::Added && row.unknown("").is_none(),
        (None, None) => change.how == How::Removed,
    }
}

fn note(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Approving moves the baseline. What does not rest on it is not mended by that.
fn may_be_approved(known: &KnownDrift) -> Result<(), Status> {
    let about = drift("", known);
    let refuse = |why: &str| Err(Status::failed_precondition(format!("drift {} ({}): {why}", known.id, about.title)));
    match known.drift.kind {
        _ if known.state != DriftState::Open => refuse(&format!("it is over already: {}", known.state.as_str())),
        Kind::Changed => Ok(()),
        Kind::Policy => refuse(
            "a rule does not hold. Mend it on the host, or change the rule in /etc/plumb/policy.d; there is nothing to approve",
        ),
        Kind::Silent => {
            refuse("somebody has stopped reporting. It is over when they speak again; there is nothing to approve")
        }
    }
}
