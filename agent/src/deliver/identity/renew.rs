//! The next certificate. While the old one is valid it is asked for on the stream; behind that, on the enrolment listener,
//! with a signature by the old key over what only the two ends of this connection know. Nobody needs to come to a host that
//! was away for a month.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plumb_proto::frame::Renewed;
use plumb_proto::generated::enroll as pb;
use plumb_proto::record::sha256;
use plumb_proto::time::Timestamp;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use rustls::pki_types::CertificateDer;
use tonic::Code;

use super::enroll::{PORT, client, csr, validity};
use super::{Identity, Issued};
use crate::deliver::channel::channel;
use crate::deliver::tls::{connect, enroll_config, exporter, key_hash, split_address};
use crate::deliver::trusted_time::TrustedTime;

/// An answer takes no longer.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// What the signature is for.
const PURPOSE: &[u8] = b"plumb.renew.1\0";

/// A renewal that has been asked for.
pub struct Pending {
    key: KeyPair,
    /// What to send: PKCS #10, DER.
    pub csr: Vec<u8>,
}

impl Pending {
    /// Makes a new key.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let csr = csr(&key)?;
        Ok(Self { key, csr })
    }

    /// Keeps the answer as the certificate to be tried next.
    ///
    /// # Errors
    /// It is for another key or from another root, or the disk refuses. What is used is untouched.
    pub fn keep(&self, dir: &Path, old: &Identity, renewed: &Renewed) -> anyhow::Result<()> {
        let about = validity(&old.about, renewed.not_before.millis(), renewed.not_after.millis())?;
        let key = self.key.serialize_pem();
        Issued { key: &key, chain: &renewed.chain, root: &old.root, about }.stage(dir)
    }
}

/// Why there is no new certificate.
#[derive(Debug)]
pub enum Refused {
    /// This host is revoked, or its identity was used by another one: a person must act.
    ForGood(&'static str),
    /// It may work next time.
    ForNow(anyhow::Error),
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::ForNow(error)
    }
}

/// Renews on the enrolment listener.
///
/// # Errors
/// See [`Refused`].
pub async fn renew_expired(dir: &Path, old: &Identity, time: Arc<TrustedTime>) -> Result<(), Refused> {
    let pin = key_hash(&old.root).context("the pinned root")?;
    let (host, port) = split_address(&old.about.enroll, PORT)?;
    let tls = connect(&host, port, &host, enroll_config(pin, time)?).await?;
    let exporter = exporter(&tls)?;
    let (channel, _) = channel(tls).await?;
    let mut client = client(channel);
    let answer = |code: Code| match code {
        Code::PermissionDenied => Refused::ForGood("it is revoked there"),
        Code::Aborted => Refused::ForGood("another machine uses a newer certificate of this host (a clone?)"),
        Code::FailedPrecondition => Refused::ForGood("its certificate expired too long ago"),
        Code::NotFound => Refused::ForGood("the collector does not know it"),
        code => Refused::ForNow(anyhow!("the collector does not renew the certificate: {code:?}")),
    };
    let late = |_| Refused::ForNow(anyhow!("renew the certificate: no answer"));

    let host_id = old.host()?.0.to_vec();
    let challenge = client.challenge(pb::ChallengeRequest { host_id: host_id.clone() });
    let challenge = tokio::time::timeout(ANSWER_TIME, challenge).await.map_err(late)?;
    let nonce = challenge.map_err(|status| answer(status.code()))?.into_inner().nonce;
    let pending = Pending::new()?;
    let request = sign(old, host_id, nonce, &exporter, &pending.csr)?;
    let reply = tokio::time::timeout(ANSWER_TIME, client.renew(request)).await.map_err(late)?;
    let reply = reply.map_err(|status| answer(status.code()))?.into_inner();
    let renewed = Renewed {
        chain: reply.chain,
        not_before: Timestamp::from_millis(reply.not_before_ms),
        not_after: Timestamp::from_millis(reply.not_after_ms),
    };
    Ok(pending.keep(dir, old, &renewed)?)
}

fn sign(
    old: &Identity,
    host_id: Vec<u8>,
    nonce: Vec<u8>,
    exporter: &[u8; 32],
    csr: &[u8],
) -> anyhow::Result<pb::RenewRequest> {
    if nonce.len() != 32 {
        bail!("the collector's nonce is not of 32 bytes");
    }
    let key = KeyPair::from_pem(old.key_pem()?).context("the old key")?;
    let signature = key.sign(&[PURPOSE, &nonce, exporter, &sha256(&[csr]).0].concat())?;
    let certificate = old.chain.first().map(|each: &CertificateDer<'_>| each.to_vec()).unwrap_or_default();
    Ok(pb::RenewRequest { host_id, nonce, csr: csr.to_vec(), certificate, signature })
}
