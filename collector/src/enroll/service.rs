//! The door for hosts that have no valid certificate: TLS tells them who the collector is, a token or an old key tells the
//! collector who they are. What is answered to a refused one is a code; the reason is in the log and in the audit.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use plumb_proto::generated::enroll as pb;
use plumb_proto::generated::enroll::enroll_server::{Enroll, EnrollServer};
use plumb_proto::limits;
use plumb_proto::record::{HostId, sha256};
use plumb_proto::time::Clock;
use plumb_proto::untrusted::Untrusted;
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

use super::ca::{request, verify_expired, verify_signature};
use super::challenge::Challenges;
use super::token::{self, Tries};
use super::{Issuer, Presented, Refusal, RenewRefusal};
use crate::listen::connection::Admission;
use crate::listen::{Admit, Gate, accept, tls, with_port};
use crate::worker::Writer;

/// Nobody stays longer on this listener.
const STAY: Duration = Duration::from_secs(60);
/// A certificate that ran out longer ago than this is not renewed.
const RENEWABLE: Duration = Duration::from_secs(90 * 86_400);
/// What the signature of a renewal is for.
const PURPOSE: &[u8] = b"plumb.renew.1\0";

/// All that enrolment needs.
#[derive(Clone)]
pub struct Parts {
    /// The way to the store.
    pub writer: Writer,
    /// Issues certificates.
    pub issuer: Arc<Issuer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Port of the ingest listener.
    pub ingest: u16,
    /// Names of the collector's certificate; the first one is how hosts reach it, and what they check.
    pub names: tls::Names,
}

/// Who is at the door.
#[derive(Clone)]
struct Guest {
    address: SocketAddr,
    exporter: [u8; 32],
}

struct Guests {
    stop: watch::Receiver<bool>,
}

impl Admit for Guests {
    type Info = Guest;

    fn admit(&self, tls: &ServerConnection, address: SocketAddr) -> anyhow::Result<Admission<Guest>> {
        let info = Guest { address, exporter: tls::exporter(tls)? };
        let mut stop = self.stop.clone();
        let cut = Box::pin(async move {
            // in the end it is cut in either case: its time is over, or the collector stops
            let _ = tokio::time::timeout(STAY, stop.wait_for(|stop| *stop)).await;
        });
        Ok(Admission { info, cut, kept: Box::new(()) })
    }
}

struct Service {
    parts: Parts,
    tries: Mutex<Tries>,
    challenges: Challenges,
}

/// Serves the enrolment listener until `stop` becomes true.
///
/// # Errors
/// The authority is damaged, or the server fails.
pub async fn serve(
    listener: TcpListener,
    gate: Arc<Gate>,
    parts: Parts,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let config = tls::enroll_config(parts.issuer.authority.clone(), parts.names.clone(), parts.clock.clone())?;
    let incoming = accept(listener, config, gate, Arc::new(Guests { stop: stop.clone() }), stop.clone());
    let service = Service { parts, tries: Mutex::default(), challenges: Challenges::default() };
    let most = limits::SMALL_MESSAGE + limits::CERTIFICATE_CHAIN;
    Server::builder()
        .max_concurrent_streams(4)
        .timeout(STAY)
        .http2_max_header_list_size(u32::try_from(limits::SMALL_MESSAGE).unwrap_or(u32::MAX))
        .add_service(EnrollServer::new(service).max_decoding_message_size(most).max_encoding_message_size(most * 2))
        .serve_with_incoming_shutdown(incoming, async move {
            // an error means that whoever could stop us has gone
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
        .context("enrolment")
}

fn guest<T>(request: &Request<T>) -> Result<Guest, Status> {
    request.extensions().get::<Guest>().cloned().ok_or_else(|| Status::internal("no guest"))
}

fn refuse(code: Code) -> Status {
    Status::new(code, "")
}

impl Service {
    fn may_try(&self, address: IpAddr) -> Result<(), Status> {
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.allowed(address, self.parts.clock.now()) {
            return Ok(());
        }
        tracing::warn!("{address}: too many failed tries, it must wait a minute");
        Err(refuse(Code::ResourceExhausted))
    }

    fn failed(&self, address: IpAddr) {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).failed(address, self.parts.clock.now());
    }

    fn code(refusal: &Refusal) -> Code {
        match refusal {
            Refusal::Token(token::Refusal::Unknown) => Code::Unauthenticated,
            Refusal::Token(token::Refusal::Expired | token::Refusal::Burned) => Code::FailedPrecondition,
            Refusal::Used | Refusal::Revoked => Code::PermissionDenied,
            Refusal::HostName => Code::InvalidArgument,
            Refusal::NameTaken(_) => Code::AlreadyExists,
            Refusal::Busy => Code::ResourceExhausted,
        }
    }
}

#[tonic::async_trait]
impl Enroll for Service {
    async fn enroll(&self, asked: Request<pb::EnrollRequest>) -> Result<Response<pb::EnrollReply>, Status> {
        let address = guest(&asked)?.address;
        self.may_try(address.ip())?;
        let asked = asked.into_inner();
        let malformed = |why: &str| {
            tracing::warn!("{address}: enrolment refused: {why}");
            self.failed(address.ip());
            refuse(Code::InvalidArgument)
        };
        let token = asked.token_id.try_into().map_err(|_| malformed("the token's id is not of 16 bytes"))?;
        let key = request(&asked.csr).map_err(|error| malformed(&format!("{error:#}")))?;
        let hostname = Untrusted::from(asked.hostname.clone());
        let (secret, from) = (asked.token_secret, address.to_string());
        let presented = Presented { token, secret, key, hostname: asked.hostname, from };
        let granted = self.parts.issuer.enroll(&self.parts.writer, presented, self.parts.clock.now()).await;
        match granted {
            Ok(Ok(granted)) => {
                tracing::info!("{address}: host {} is enrolled as {}", granted.host, granted.name);
                let server_name = self.parts.names.get().first().cloned().unwrap_or_default();
                Ok(Response::new(pb::EnrollReply {
                    host_id: granted.host.0.to_vec(),
                    name: granted.name,
                    chain: granted.chain,
                    root: self.parts.issuer.authority.root_pem().as_bytes().to_vec(),
                    ingest: with_port(&server_name, self.parts.ingest),
                    server_name,
                    not_before_ms: granted.not_before.millis(),
                    not_after_ms: granted.not_after.millis(),
                }))
            }
            Ok(Err(refusal)) => {
                tracing::warn!("{address}, which calls itself {hostname}: enrolment refused: {refusal:?}");
                if matches!(refusal, Refusal::Token(_) | Refusal::Used) {
                    self.failed(address.ip());
                }
                Err(refuse(Self::code(&refusal)))
            }
            Err(error) => {
                tracing::error!("{address}: enrolment failed: {error:#}");
                Err(refuse(Code::Unavailable))
            }
        }
    }

    async fn challenge(&self, asked: Request<pb::ChallengeRequest>) -> Result<Response<pb::ChallengeReply>, Status> {
        self.may_try(guest(&asked)?.address.ip())?;
        let host = HostId::from_slice(&asked.into_inner().host_id).ok_or_else(|| refuse(Code::InvalidArgument))?;
        match self.challenges.give(host, self.parts.clock.monotonic()) {
            Ok(Some(nonce)) => Ok(Response::new(pb::ChallengeReply { nonce: nonce.to_vec() })),
            Ok(None) => Err(refuse(Code::ResourceExhausted)),
            Err(_) => Err(refuse(Code::Unavailable)),
        }
    }

    async fn renew(&self, asked: Request<pb::RenewRequest>) -> Result<Response<pb::RenewReply>, Status> {
        let guest = guest(&asked)?;
        let address = guest.address;
        self.may_try(address.ip())?;
        let asked = asked.into_inner();
        let old = self.old_certificate(&guest, &asked).map_err(|error| {
            tracing::warn!("{address}: renewal refused: {error:#}");
            self.failed(address.ip());
            refuse(Code::Unauthenticated)
        })?;
        let now = self.parts.clock.now();
        if now.since(old.not_after) > RENEWABLE {
            tracing::warn!("host {}: its certificate ran out on {}, too long ago", old.host, old.not_after);
            return Err(refuse(Code::FailedPrecondition));
        }
        match self.parts.issuer.renew(&self.parts.writer, &old, asked.csr, now).await {
            Ok(Ok(issued)) => {
                tracing::info!("host {}: its certificate had run out on {} and is renewed", old.host, old.not_after);
                Ok(Response::new(pb::RenewReply {
                    chain: issued.chain,
                    not_before_ms: issued.not_before.millis(),
                    not_after_ms: issued.not_after.millis(),
                }))
            }
            Ok(Err(refusal)) => {
                tracing::warn!("host {}: no new certificate: {refusal:?}", old.host);
                Err(refuse(match refusal {
                    RenewRefusal::Unknown => Code::NotFound,
                    RenewRefusal::State(crate::store::rows::HostState::Suspended) => Code::Unavailable,
                    RenewRefusal::State(_) => Code::PermissionDenied,
                    RenewRefusal::Conflict => Code::Aborted,
                    RenewRefusal::Busy => Code::ResourceExhausted,
                    RenewRefusal::Request(_) => Code::InvalidArgument,
                }))
            }
            Err(error) => {
                tracing::error!("host {}: renewal failed: {error:#}", old.host);
                Err(refuse(Code::Unavailable))
            }
        }
    }
}

impl Service {
    /// The old certificate, once it is clear that its holder asks, now, on this connection.
    fn old_certificate(&self, guest: &Guest, asked: &pb::RenewRequest) -> anyhow::Result<super::HostCertificate> {
        let host = HostId::from_slice(&asked.host_id).context("no host id")?;
        if !self.challenges.redeem(&asked.nonce, host, self.parts.clock.monotonic()) {
            anyhow::bail!("the nonce is not one of ours, or was used");
        }
        let certificate = CertificateDer::from(asked.certificate.as_slice());
        let old = verify_expired(&self.parts.issuer.authority, &certificate)?;
        if old.host != host {
            anyhow::bail!("the certificate is of another host");
        }
        let message = [PURPOSE, &asked.nonce, &guest.exporter, &sha256(&[&asked.csr]).0].concat();
        verify_signature(&old, &message, &asked.signature)?;
        Ok(old)
    }
}
