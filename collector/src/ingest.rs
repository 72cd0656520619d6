//! The door for records: gRPC in, acks out, each ack behind the commit of what it acknowledges.

mod batch;
mod greeting;
mod session;
pub mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use plumb_proto::generated::ingest as pb;
use plumb_proto::generated::ingest::ingest_server::{Ingest, IngestServer};
use plumb_proto::limits;
use plumb_proto::time::Clock;
use rustls::ServerConnection;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::access::{Connections, Peer};
use crate::enroll::Issuer;
use crate::enroll::ca::host_of;
use crate::listen::connection::{Admission, until_cut};
use crate::listen::{Admit, Gate, accept, tls};
use crate::store::{Incoming, Tx};
use crate::worker::Writer;

/// Streams of one connection.
const STREAMS: u32 = 4;
/// What may arrive of a stream before it is read: a batch is let in piece by piece.
const STREAM_WINDOW: u32 = 256 << 10;
/// Frames that wait for an agent's socket.
const OUTGOING: usize = 16;
/// Batches that are opened at the same time, each in bounded memory.
const OPENING: usize = 4;

/// What becomes of a record, in the writer's transaction: append, view, detect, alert.
pub trait Take: Send + Sync {
    /// Takes a record that extends its host's chain. `caught_up`: the host has no older records waiting. Errors roll the
    /// transaction back, and the agent sends again.
    ///
    /// # Errors
    /// The store's.
    fn take(&self, tx: &mut dyn Tx, incoming: &Incoming<'_>, caught_up: bool) -> anyhow::Result<()>;
}

impl Take for crate::pipeline::Pipeline {
    fn take(&self, tx: &mut dyn Tx, incoming: &Incoming<'_>, caught_up: bool) -> anyhow::Result<()> {
        self.take(tx, incoming, caught_up).map(|_| ())
    }
}

/// All that ingest needs. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// The way to the store.
    pub writer: Writer,
    /// What becomes of a record.
    pub pipeline: Arc<dyn Take>,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// For renewals.
    pub issuer: Arc<Issuer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The service behind the listener.
struct Service {
    parts: Parts,
    opening: Arc<Semaphore>,
}

#[tonic::async_trait]
impl Ingest for Service {
    type ReportStream = ReceiverStream<Result<pb::ToAgent, Status>>;

    async fn report(
        &self,
        request: Request<Streaming<pb::ToCollector>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let peer = peer.ok_or_else(|| Status::internal("no peer"))?;
        let (out, frames) = mpsc::channel(OUTGOING);
        let session = session::Session::new(self.parts.clone(), self.opening.clone(), peer, out);
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}

/// Knows hosts by their certificates.
struct Hosts {
    connections: Arc<Connections>,
}

impl Admit for Hosts {
    type Info = Peer;

    fn admit(&self, tls: &ServerConnection, address: SocketAddr) -> anyhow::Result<Admission<Peer>> {
        let certificate = tls.peer_certificates().and_then(<[_]>::first).context("no certificate")?;
        let certificate = host_of(certificate).context("the certificate")?;
        let (peer, admitted) = self.connections.admit(certificate, address);
        let cut = Box::pin(until_cut(peer.closed.clone()));
        Ok(Admission { info: peer, cut, kept: Box::new(admitted) })
    }
}

/// Serves the ingest listener until `stop` becomes true. `names` are those of the collector's certificate.
///
/// # Errors
/// The authority is damaged, or the server fails.
pub async fn serve(
    listener: TcpListener,
    names: tls::Names,
    gate: Arc<Gate>,
    parts: Parts,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let config = tls::ingest_config(parts.issuer.authority.clone(), names, parts.clock.clone())?;
    let admit = Arc::new(Hosts { connections: parts.connections.clone() });
    let incoming = accept(listener, config, gate, admit, stop.clone());
    let attendant = tokio::spawn(attend(parts.connections.clone(), stop.clone()));
    let service = IngestServer::new(Service { parts, opening: Arc::new(Semaphore::new(OPENING)) })
        .max_decoding_message_size(limits::MESSAGE)
        .max_encoding_message_size(limits::CERTIFICATE_CHAIN + limits::SMALL_MESSAGE);
    let served = Server::builder()
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW)
        .http2_max_header_list_size(u32::try_from(limits::SMALL_MESSAGE).unwrap_or(u32::MAX))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, async move {
            // an error means that whoever could stop us has gone
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await;
    attendant.abort();
    served.context("ingest")
}

/// Hangs up on those who must go, one by one or, in the end, all.
async fn attend(connections: Arc<Connections>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = tick.tick() => connections.sweep(),
            // an error means that whoever could stop us has gone
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    loop {
        connections.stop(); // those that came through the door meanwhile, too
        tick.tick().await;
    }
}
