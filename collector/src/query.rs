//! The door for operators: questions are answered from readers of their own and never wait for the writer; decisions are
//! taken in the writer's transaction, together with their entry in the audit.

mod answers;
mod calls;
mod changes;
mod decide;
mod denied;
mod door;
mod guard;
mod history;
mod limited;
mod readers;
mod remote;
mod rows;
mod rules;
mod schema;
mod summary;
mod support;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::generated::query as pb;
use plumb_proto::generated::query::query_server::Query;
use plumb_proto::limits;
use plumb_proto::time::{Clock, Timestamp};
use tonic::{Request, Response, Status};

use crate::access::Connections;
use crate::current::Current;
use crate::drift::policy::Policy;
use crate::notify::Notifier;
use crate::pipeline::Pipeline;
use crate::store::{DriftFilter, EventFilter, FactFilter, Questions};
use crate::worker::Writer;
use answers::{Pages, filter_labels, host_named, paged};
#[cfg(test)]
pub(crate) use door::listen_for;
pub use door::{listen, make_folder, serve};
use guard::Who;
pub use readers::READERS;
use readers::Readers;
pub use remote::Remote;
use summary::Hearing;

/// Deliveries that are shown if nobody asks for a number.
const DELIVERIES: usize = 100;
/// Events on the screen of one host.
const LAST_EVENTS: usize = 10;

/// All that questions and decisions need. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// The way to the store.
    pub writer: Writer,
    /// Judges what is approved.
    pub pipeline: Arc<Pipeline>,
    /// Who is connected: a host that is revoked is hung up on.
    pub connections: Arc<Connections>,
    /// Who is told.
    pub notifier: Arc<Notifier>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The rules in force.
    pub rules: Arc<Current<Policy>>,
}

struct Service {
    parts: Parts,
    readers: Readers,
    /// Monotonic time at which we began to listen.
    started: Duration,
}

/// An error for people: what went wrong, without the names of our types.
fn failed(error: &anyhow::Error) -> Status {
    tracing::error!("question: {error:#}");
    Status::internal(format!("the collector could not answer: {error:#}"))
}

fn invalid(what: impl Into<String>) -> Status {
    Status::invalid_argument(what.into())
}

impl Service {
    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn hearing(&self) -> Hearing {
        let up = self.parts.clock.monotonic().saturating_sub(self.started);
        Hearing { now: self.now(), up, silent_after: self.parts.pipeline.silent_after() }
    }

    async fn ask<R, T, F>(&self, request: &Request<R>, question: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Questions) -> Result<T, Status> + Send + 'static,
    {
        self.readers.ask(who(request)?, question).await
    }
}

fn who<R>(request: &Request<R>) -> Result<Who, Status> {
    request.extensions().get::<Who>().cloned().ok_or_else(|| Status::internal("nobody asks"))
}

type Answer<P> = Result<Response<Pages<P>>, Status>;

#[tonic::async_trait]
impl Query for Service {
    type HostsStream = Pages<pb::HostsPage>;
    type HostStream = Pages<pb::HostPart>;
    type DriftsStream = Pages<pb::DriftsPage>;
    type FactsStream = Pages<pb::FactsPage>;
    type EventsStream = Pages<pb::EventsPage>;
    type SchemaStream = Pages<pb::SchemaPage>;
    type AlertsStream = Pages<pb::AlertsPage>;
    type RulesStream = Pages<pb::RulesPage>;
    type TestPolicyStream = Pages<pb::TestPolicyPage>;
    type HistoryStream = Pages<pb::HistoryPage>;
    type ChangesStream = Pages<pb::ChangesPage>;

    async fn hosts(&self, request: Request<pb::HostsRequest>) -> Answer<pb::HostsPage> {
        let hearing = self.hearing();
        let groups = filter_labels(&request.get_ref().groups);
        let hosts = self.ask(&request, move |questions| summary::hosts(questions, &groups, hearing)).await?;
        Ok(paged(hosts, |hosts| pb::HostsPage { hosts }))
    }

    async fn host(&self, request: Request<pb::HostRequest>) -> Answer<pb::HostPart> {
        let hearing = self.hearing();
        let (name, rules) = (request.get_ref().name.clone(), self.parts.rules.get());
        let whole = self.ask(&request, move |questions| {
            let host = host_named(questions, &name)?;
            let view = questions.view(&host.id).map_err(|error| failed(&error))?;
            let filter = DriftFilter { host: Some(host.id), ..DriftFilter::default() };
            let drifts = questions.drifts(&filter).map_err(|error| failed(&error))?;
            let filter = EventFilter { limit: LAST_EVENTS, ..EventFilter::default() };
            let events = questions.events(&host.id, &filter).map_err(|error| failed(&error))?;
            let summary = summary::host(&view, &drifts, hearing);
            Ok(answers::whole(&view, summary, &drifts, events, (rules.dates(), hearing.now)))
        });
        Ok(answers::parts(whole.await?))
    }

    async fn drifts(&self, request: Request<pb::DriftsRequest>) -> Answer<pb::DriftsPage> {
        let asked = request.get_ref().clone();
        let drifts = self.ask(&request, move |questions| answers::drifts(questions, &asked)).await?;
        Ok(paged(drifts, |drifts| pb::DriftsPage { drifts }))
    }

    async fn facts(&self, request: Request<pb::FactsRequest>) -> Answer<pb::FactsPage> {
        let (asked, now, policy) = (request.get_ref().clone(), self.now(), self.parts.rules.get());
        if !asked.r#where.is_empty() {
            let question = move |questions: &mut dyn Questions| rules::filtered(questions, &asked, policy.dates(), now);
            let (rows, unknown) = self.ask(&request, question).await?;
            let mut pages = vec![pb::FactsPage { rows: Vec::new(), unknown }];
            pages.extend(answers::chunks(rows, |rows| pb::FactsPage { rows, unknown: 0 }));
            return Ok(answers::pages(pages));
        }
        let rows = self.ask(&request, move |questions| {
            let host = answers::optional_host(questions, &asked.host)?;
            let filter = FactFilter { host: host.map(|host| host.id), groups: filter_labels(&asked.groups) };
            if asked.table == crate::drift::support::TABLE {
                return support::table(questions, policy.dates(), &filter, now);
            }
            let rows = questions.facts(&asked.table, &filter).map_err(|error| failed(&error))?;
            Ok(rows.iter().map(|(host, row)| rows::row(&host.name, row)).collect::<Vec<_>>())
        });
        Ok(paged(rows.await?, |rows| pb::FactsPage { rows, unknown: 0 }))
    }

    async fn events(&self, request: Request<pb::EventsRequest>) -> Answer<pb::EventsPage> {
        let asked = request.get_ref().clone();
        let events = self.ask(&request, move |questions| {
            let host = host_named(questions, &asked.host)?;
            let filter = EventFilter {
                kind: Some(asked.kind).filter(|kind| !kind.is_empty()),
                since: asked.since_ms.map(Timestamp::from_millis),
                after: asked.after,
                limit: match asked.limit as usize {
                    0 => limits::QUERY_ROWS,
                    limit => limit.min(limits::QUERY_ROWS),
                },
            };
            let events = questions.events(&host.id, &filter).map_err(|error| failed(&error))?;
            Ok(events.into_iter().map(answers::event).collect::<Vec<_>>())
        });
        Ok(paged(events.await?, |events| pb::EventsPage { events }))
    }

    async fn schema(&self, request: Request<pb::SchemaRequest>) -> Answer<pb::SchemaPage> {
        let (table, policy) = (request.get_ref().table.clone(), self.parts.rules.get());
        let whole = self.ask(&request, move |questions| schema::tables(questions, policy.dates(), &table)).await?;
        let mut pages = vec![pb::SchemaPage { tables: Vec::new(), ..whole }];
        pages.extend(answers::chunks(whole.tables, |tables| pb::SchemaPage { tables, ..Default::default() }));
        Ok(answers::pages(pages))
    }

    async fn alerts(&self, request: Request<pb::AlertsRequest>) -> Answer<pb::AlertsPage> {
        let limit = match request.get_ref().limit as usize {
            0 => DELIVERIES,
            limit => limit.min(limits::QUERY_ROWS),
        };
        let deliveries = self.ask(&request, move |questions| {
            let messages = questions.messages(limit).map_err(|error| failed(&error))?;
            Ok(messages.iter().map(|(message, alerts)| answers::delivery(message, alerts)).collect::<Vec<_>>())
        });
        let deliveries = deliveries.await?;
        // who else is told is the business of those who see every host
        let is_limited = !who(&request)?.groups().is_empty();
        let shown = |receiver: &String| !is_limited || deliveries.iter().any(|each| each.receiver == *receiver);
        let receivers: Vec<String> = self.parts.notifier.receivers().into_iter().filter(shown).collect();
        let mut pages = vec![pb::AlertsPage { deliveries: Vec::new(), receivers }];
        pages.extend(answers::chunks(deliveries, |deliveries| pb::AlertsPage { deliveries, receivers: Vec::new() }));
        Ok(answers::pages(pages))
    }

    async fn rules(&self, request: Request<pb::RulesRequest>) -> Answer<pb::RulesPage> {
        let policy = self.parts.rules.get();
        let found = self.ask(&request, move |_| Ok(rules::all(&policy))).await?;
        Ok(paged(found, |rules| pb::RulesPage { rules }))
    }

    async fn test_policy(&self, request: Request<pb::TestPolicyRequest>) -> Answer<pb::TestPolicyPage> {
        let (asked, policy, clock) = (request.get_ref().clone(), self.parts.rules.get(), self.parts.clock.clone());
        let answer =
            self.ask(&request, move |questions| rules::test(questions, &policy, asked, clock.as_ref())).await?;
        let mut pages = vec![pb::TestPolicyPage { findings: Vec::new(), ..answer.clone() }];
        pages
            .extend(answers::chunks(answer.findings, |findings| pb::TestPolicyPage { findings, ..Default::default() }));
        Ok(answers::pages(pages))
    }

    async fn history(&self, request: Request<pb::HistoryRequest>) -> Answer<pb::HistoryPage> {
        let asked = request.get_ref().clone();
        let answer = self.ask(&request, move |questions| history::pages(questions, &asked)).await?;
        Ok(answers::pages(answer))
    }

    async fn changes(&self, request: Request<pb::ChangesRequest>) -> Answer<pb::ChangesPage> {
        let (asked, now) = (request.get_ref().clone(), self.now());
        let (sets, cut) = self.ask(&request, move |questions| changes::answer(questions, &asked, now)).await?;
        Ok(paged(sets, |sets| pb::ChangesPage { sets, cut }))
    }

    async fn approve(&self, request: Request<pb::ApproveRequest>) -> Result<Response<pb::ApproveReply>, Status> {
        self.approved(request).await.map(Response::new)
    }

    async fn rename_host(&self, request: Request<pb::RenameHostRequest>) -> Result<Response<pb::HostReply>, Status> {
        self.renamed(request).await.map(Response::new)
    }

    async fn group_host(&self, request: Request<pb::GroupHostRequest>) -> Result<Response<pb::HostReply>, Status> {
        self.grouped(request).await.map(Response::new)
    }

    async fn retire_host(&self, request: Request<pb::RetireHostRequest>) -> Result<Response<pb::HostReply>, Status> {
        self.retired(request).await.map(Response::new)
    }

    async fn revoke_host(&self, request: Request<pb::RevokeHostRequest>) -> Result<Response<pb::HostReply>, Status> {
        self.revoked(request).await.map(Response::new)
    }

    async fn test_receiver(
        &self,
        request: Request<pb::TestReceiverRequest>,
    ) -> Result<Response<pb::TestReceiverReply>, Status> {
        self.tested(request).await.map(Response::new)
    }
}

#[cfg(test)]
mod tests;
