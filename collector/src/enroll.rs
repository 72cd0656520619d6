//! How hosts get their certificates: the first one with a token, the next ones with the one before. It is decided in the
//! writer's transaction, so that a token is used and a host is made in one step or not at all.

pub mod ca;
mod challenge;
mod service;
pub mod token;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use plumb_proto::model::{Event, Severity};
use plumb_proto::record::HostId;
use plumb_proto::time::{Clock, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};

pub use service::{Parts, serve};

use crate::store::Tx;
use crate::store::rows::{AuditEntry, HostRow, HostState, Issuance};
use crate::worker::{Weight, Writer};
use ca::{Authority, HostCertificate, Issued, Requested};
use token::{FAILURES, check, host_name};

/// Certificates issued within a second, at most.
const ISSUED_PER_SECOND: u32 = 10;

/// Issues certificates, not too many at a time.
pub struct Issuer {
    /// Keys and certificates.
    pub authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
    issued: Mutex<(Duration, u32)>,
}

/// What a host presents.
pub struct Presented {
    /// Public part of the token.
    pub token: [u8; 16],
    /// Secret part.
    pub secret: Vec<u8>,
    /// The key that it has.
    pub key: Requested,
    /// How it calls itself.
    pub hostname: Vec<u8>,
    /// From where, for the audit.
    pub from: String,
}

/// What an enrolled host gets.
pub struct Granted {
    /// Its identity.
    pub host: HostId,
    /// Its name.
    pub name: String,
    /// Its certificate and intermediate, PEM.
    pub chain: Vec<u8>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// Why a host is not enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// See [`token::Refusal`].
    Token(token::Refusal),
    /// All its uses are used up, by other keys.
    Used,
    /// The host calls itself what is no host name.
    HostName,
    /// A host of this name is there already.
    NameTaken(String),
    /// The host that it had enrolled may not report any more.
    Revoked,
    /// Too many certificates at once.
    Busy,
}

/// Why a certificate is not renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewRefusal {
    /// There is no such host.
    Unknown,
    /// The host may not report.
    State(HostState),
    /// A newer certificate of this host was used before.
    Conflict,
    /// Too many certificates at once.
    Busy,
    /// The request is none.
    Request(String),
}

impl Issuer {
    /// Issues with this authority.
    #[must_use]
    pub fn new(authority: Arc<Authority>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { authority, clock, issued: Mutex::default() })
    }

    /// Takes a place among the certificates of this second.
    fn may_issue(&self) -> bool {
        let now = self.clock.monotonic();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(issued.0) >= Duration::from_secs(1) {
            *issued = (now, 0);
        }
        issued.1 += 1;
        issued.1 <= ISSUED_PER_SECOND
    }

    /// Enrols a host, or says why not.
    ///
    /// # Errors
    /// The store's.
    pub async fn enroll(
        self: &Arc<Self>,
        writer: &Writer,
        presented: Presented,
        now: Timestamp,
    ) -> Result<Result<Granted, Refusal>> {
        if !self.may_issue() {
            return Ok(Err(Refusal::Busy));
        }
        let authority = self.authority.clone();
        writer.call(Weight { records: 1, bytes: 0 }, move |tx| admit(tx, &authority, &presented, now)).await
    }

    /// Issues the next certificate to the holder of `old`, or says why not.
    ///
    /// # Errors
    /// The store's.
    pub async fn renew(
        self: &Arc<Self>,
        writer: &Writer,
        old: &HostCertificate,
        csr: Vec<u8>,
        now: Timestamp,
    ) -> Result<Result<Issued, RenewRefusal>> {
        let key = match ca::request(&csr) {
            Ok(key) => key,
            Err(error) => return Ok(Err(RenewRefusal::Request(format!("{error:#}")))),
        };
        if !self.may_issue() {
            return Ok(Err(RenewRefusal::Busy));
        }
        let (authority, host, generation) = (self.authority.clone(), old.host, old.generation);
        let work = move |tx: &mut dyn Tx| renew(tx, &authority, &host, generation, &key, now);
        writer.call(Weight { records: 1, bytes: 0 }, work).await
    }
}

fn admit(
    tx: &mut dyn Tx,
    authority: &Authority,
    presented: &Presented,
    now: Timestamp,
) -> Result<Result<Granted, Refusal>> {
    let outcome = decide(tx, authority, presented, now)?;
    tx.audit(&AuditEntry {
        at: now,
        who: presented.from.clone(),
        action: "enroll".into(),
        subject: presented.hostname[..presented.hostname.len().min(253)].into(),
        allowed: outcome.is_ok(),
        detail: match &outcome {
            Ok(granted) => format!("host {} named {}", granted.host, granted.name),
            Err(refusal) => format!("{refusal:?}"),
        },
    })?;
    Ok(outcome)
}

fn decide(
    tx: &mut dyn Tx,
    authority: &Authority,
    presented: &Presented,
    now: Timestamp,
) -> Result<Result<Granted, Refusal>> {
    let Some(mut row) = tx.token(&presented.token)? else {
        return Ok(Err(Refusal::Token(token::Refusal::Unknown)));
    };
    if let Err(refusal) = check(&row, &presented.secret, now) {
        if refusal == token::Refusal::Unknown {
            row.failures += 1;
            if row.failures == FAILURES {
                tracing::warn!("a token is burned: {FAILURES} wrong secrets were presented for it");
            }
            tx.save_token(&row)?;
        }
        return Ok(Err(Refusal::Token(refusal)));
    }
    let before = tx.issuances_by_token(&presented.token)?;
    if let Some(same) = before.iter().find(|issuance| issuance.key_hash == presented.key.hash) {
        // the answer was lost: the same key gets the same certificate
        return Ok(match tx.host(&same.host)? {
            Some(host) if host.state == HostState::Active => {
                let (not_before, not_after) = (same.issued - ca::BACKDATED, same.not_after);
                Ok(Granted { host: host.id, name: host.name, chain: same.chain.clone(), not_before, not_after })
            }
            _ => Err(Refusal::Revoked),
        });
    }
    if row.uses_left == 0 {
        if let Some(last) = before.first() {
            let text = "the token that this host was enrolled with was presented again, with another key".to_owned();
            tx.collector_event(&last.host, &Event::new("token_reused", Severity::Critical, text, now))?;
        }
        return Ok(Err(Refusal::Used));
    }
    let Some(name) = row.name.clone().or_else(|| host_name(&presented.hostname)) else {
        return Ok(Err(Refusal::HostName));
    };
    if tx.host_named(&name)?.is_some() {
        return Ok(Err(Refusal::NameTaken(name)));
    }
    let mut id = [0; 16];
    SystemRandom::new().fill(&mut id).map_err(|_| anyhow!("no randomness"))?;
    let host = HostRow {
        id: HostId(id),
        name: name.clone(),
        state: HostState::Active,
        groups: row.groups.clone(),
        enrolled: now,
        last_seen: None,
        skew_ms: 0,
        build: String::new(),
        generation: 1,
    };
    let issued = authority.issue_host(&host.id, &name, &presented.key, 1, now)?;
    row.uses_left -= 1;
    tx.save_host(&host)?;
    tx.save_token(&row)?;
    tx.log_issuance(&log(&host.id, &issued, 1, &presented.key, now, Some(presented.token)))?;
    let Issued { chain, not_before, not_after, .. } = issued;
    Ok(Ok(Granted { host: host.id, name, chain, not_before, not_after }))
}

fn renew(
    tx: &mut dyn Tx,
    authority: &Authority,
    host: &HostId,
    generation: u32,
    key: &Requested,
    now: Timestamp,
) -> Result<Result<Issued, RenewRefusal>> {
    let Some(row) = tx.host(host)? else { return Ok(Err(RenewRefusal::Unknown)) };
    if row.state != HostState::Active {
        return Ok(Err(RenewRefusal::State(row.state)));
    }
    if generation < row.generation {
        let text = format!(
            "certificate {generation} asks for a new one although {} was used before: is there a copy of this host?",
            row.generation
        );
        tx.collector_event(host, &Event::new("identity_conflict", Severity::Critical, text, now))?;
        return Ok(Err(RenewRefusal::Conflict));
    }
    let newest = tx.issuances(host)?.first().map_or(row.generation, |issuance| issuance.generation);
    let next = newest.max(row.generation).saturating_add(1);
    let issued = authority.issue_host(host, &row.name, key, next, now)?;
    tx.log_issuance(&log(host, &issued, next, key, now, None))?;
    Ok(Ok(issued))
}

fn log(
    host: &HostId,
    issued: &Issued,
    generation: u32,
    key: &Requested,
    now: Timestamp,
    token: Option<[u8; 16]>,
) -> Issuance {
    Issuance {
        host: *host,
        serial: issued.serial.clone(),
        generation,
        key_hash: key.hash,
        not_after: issued.not_after,
        issued: now,
        token,
        chain: issued.chain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::time::ManualClock;

    #[test]
    fn ten_certificates_a_second_are_enough() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let dir = std::env::temp_dir().join(format!("plumb-issuer-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let authority = Arc::new(Authority::open(&dir, clock.now()).unwrap().0);
        let issuer = Issuer::new(authority, clock.clone());
        clock.advance(Duration::from_secs(5));
        let issued = |count: u32| (0..count).filter(|_| issuer.may_issue()).count();
        assert_eq!(issued(25), 10);
        clock.advance(Duration::from_secs(1));
        assert_eq!(issued(25), 10);
    }
}
