//! The door for operators: questions are answered from readers of their own and never wait for the writer; decisions are
//! taken in the writer's transaction, together with their entry in the audit.

mod answers;
mod decide;
mod guard;
mod history;
mod readers;
mod summary;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use plumb_proto::generated::query as pb;
use plumb_proto::generated::query::query_server::{Query, QueryServer};
use plumb_proto::limits;
use plumb_proto::time::{Clock, Timestamp};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::access::Connections;
use crate::notify::Notifier;
use crate::pipeline::Pipeline;
use crate::store::{DriftFilter, EventFilter, FactFilter, Questions};
use crate::worker::Writer;
use answers::{Pages, filter_labels, host_named, paged};
use guard::{Audited, Guard, Who};
pub use readers::READERS;
use readers::Readers;
use summary::Hearing;

/// A question or a decision, as it arrives.
const REQUEST: usize = limits::SMALL_MESSAGE;
/// Streams of one connection of the command line.
const STREAMS: u32 = 8;
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
    /// A host that was not heard of for this long is silent.
    pub silent_after: Duration,
}

struct Service {
    parts: Parts,
    readers: Readers,
    /// Monotonic time at which we began to listen.
    started: Duration,
}

/// Serves the local socket until `stop` becomes true. `readers`: doors for reading, one a question at a time.
///
/// # Errors
/// The server fails.
pub async fn serve(
    listener: UnixListener,
    parts: Parts,
    readers: Vec<Box<dyn Questions>>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let audited = Audited { writer: parts.writer.clone(), clock: parts.clock.clone() };
    let started = parts.clock.monotonic();
    let service = Service { parts, readers: Readers::new(readers), started };
    let server = QueryServer::new(service).max_decoding_message_size(REQUEST);
    Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(u32::try_from(limits::SMALL_MESSAGE).unwrap_or(u32::MAX))
        .layer(tower::layer::layer_fn(move |inner| Guard::new(inner, audited.clone(), guard::local)))
        .add_service(server)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async move {
            // an error means that whoever could stop us has gone
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
        .context("local socket")
}

/// Makes the local socket. One that a collector before us left is replaced; one that somebody still answers on is not.
///
/// # Errors
/// Another collector runs, or the folder cannot be written to.
pub fn listen(path: &Path) -> Result<UnixListener> {
    let what = || format!("socket {}", path.display());
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        anyhow::bail!("{}: another collector answers there", what());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(what),
        _ => {}
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        std::fs::create_dir_all(folder).with_context(what)?;
        // The socket says for itself whom it lets in; they have to get to it.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).with_context(what)?;
    }
    let listener = UnixListener::bind(path).with_context(what)?;
    // Members of the group may ask; without the group nobody but root and ourselves.
    let group = nix::unistd::Group::from_name(guard::GROUP).ok().flatten();
    let given = group.is_some_and(|group| nix::unistd::chown(path, None, Some(group.gid)).is_ok());
    let mode = if given { 0o660 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).with_context(what)?;
    Ok(listener)
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
        Hearing { now: self.now(), up, silent_after: self.parts.silent_after }
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
    type HistoryStream = Pages<pb::HistoryPage>;

    async fn hosts(&self, request: Request<pb::HostsRequest>) -> Answer<pb::HostsPage> {
        let hearing = self.hearing();
        let groups = filter_labels(&request.get_ref().groups);
        let hosts = self.ask(&request, move |questions| summary::hosts(questions, &groups, hearing)).await?;
        Ok(paged(hosts, |hosts| pb::HostsPage { hosts }))
    }

    async fn host(&self, request: Request<pb::HostRequest>) -> Answer<pb::HostPart> {
        let hearing = self.hearing();
        let name = request.get_ref().name.clone();
        let whole = self.ask(&request, move |questions| {
            let host = host_named(questions, &name)?;
            let view = questions.view(&host.id).map_err(|error| failed(&error))?;
            let filter = DriftFilter { host: Some(host.id), ..DriftFilter::default() };
            let drifts = questions.drifts(&filter).map_err(|error| failed(&error))?;
            let filter = EventFilter { limit: LAST_EVENTS, ..EventFilter::default() };
            let events = questions.events(&host.id, &filter).map_err(|error| failed(&error))?;
            let summary = summary::host(&view, &drifts, hearing);
            Ok(answers::whole(&view, summary, &drifts, events, hearing.now))
        });
        Ok(answers::parts(whole.await?))
    }

    async fn drifts(&self, request: Request<pb::DriftsRequest>) -> Answer<pb::DriftsPage> {
        let asked = request.get_ref().clone();
        let drifts = self.ask(&request, move |questions| answers::drifts(questions, &asked)).await?;
        Ok(paged(drifts, |drifts| pb::DriftsPage { drifts }))
    }

    async fn facts(&self, request: Request<pb::FactsRequest>) -> Answer<pb::FactsPage> {
        let asked = request.get_ref().clone();
        let rows = self.ask(&request, move |questions| {
            let host = answers::optional_host(questions, &asked.host)?;
            let filter = FactFilter { host: host.map(|host| host.id), groups: filter_labels(&asked.groups) };
            let rows = questions.facts(&asked.table, &filter).map_err(|error| failed(&error))?;
            Ok(rows.iter().map(|(host, row)| answers::row(&host.name, row)).collect::<Vec<_>>())
        });
        Ok(paged(rows.await?, |rows| pb::FactsPage { rows }))
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
        let table = request.get_ref().table.clone();
        let tables = self.ask(&request, move |questions| {
            let mut tables = questions.schema().map_err(|error| failed(&error))?;
            tables.retain(|each| table.is_empty() || each.name == table);
            Ok(tables.iter().map(|table| plumb_proto::wire::table_to_wire(0, table)).collect::<Vec<_>>())
        });
        Ok(paged(tables.await?, |tables| pb::SchemaPage { tables }))
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
        let receivers: Vec<String> = self.parts.notifier.receivers().map(str::to_owned).collect();
        let mut pages = vec![pb::AlertsPage { deliveries: Vec::new(), receivers }];
        pages.extend(answers::chunks(deliveries.await?, |deliveries| pb::AlertsPage {
            deliveries,
            receivers: Vec::new(),
        }));
        Ok(answers::pages(pages))
    }

    async fn history(&self, request: Request<pb::HistoryRequest>) -> Answer<pb::HistoryPage> {
        let asked = request.get_ref().clone();
        let answer = self.ask(&request, move |questions| history::pages(questions, &asked)).await?;
        Ok(answers::pages(answer))
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
