//! The first certificate: a token that somebody pasted, a key that never leaves this host.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plumb_proto::generated::enroll as pb;
use plumb_proto::generated::enroll::enroll_client::EnrollClient;
use plumb_proto::limits;
use plumb_proto::record::HostId;
use plumb_proto::secret::Secret;
use plumb_proto::time::{Clock, Timestamp};
use plumb_proto::token::Token;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateDer;
use tonic::Code;
use tonic::transport::Channel;

use super::{About, Identity, Issued, certificates, file, read_file};
use crate::deliver::channel::channel;
use crate::deliver::tls::{connect, enroll_config, key_hash, split_address, tls_error};
use crate::deliver::trusted_time::TrustedTime;

/// Port of the enrolment listener.
pub const PORT: u16 = 7444;
/// An answer takes no longer.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// What an enrolment needs.
pub struct EnrollOptions {
    /// `https://host[:port]` of the collector's enrolment listener.
    pub collector: String,
    /// What the operator pasted.
    pub token: Secret,
    /// The identity folder; it is made where it is missing.
    pub dir: PathBuf,
    /// How this host calls itself; a token that is bound to a name gives that one.
    pub hostname: String,
}

/// Who this host is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Its identity.
    pub host: HostId,
    /// Its name at the collector.
    pub name: String,
    /// Where it will deliver to, `host:port`.
    pub ingest: String,
    /// It was enrolled with this token before, and nothing was changed.
    pub before: bool,
}

/// Enrols this host. Safe to repeat with the same token after any failure: the key is kept, and the same key gets the
/// same certificate. What it makes belongs to the user that runs it.
///
/// # Errors
/// With what is wrong and what to do.
pub fn enroll(options: &EnrollOptions, clock: Arc<dyn Clock>) -> anyhow::Result<Enrolled> {
    let token = Token::parse(options.token.expose())
        .ok_or_else(|| anyhow!("this is no token: paste the whole line that `plumb-collector token create` printed"))?;
    let address = options.collector.strip_prefix("https://").unwrap_or(&options.collector).trim_end_matches('/');
    let (host, port) = split_address(address, PORT).context("--collector")?;
    if let Some(done) = enrolled_before(&options.dir, &token)? {
        return Ok(done);
    }
    let key = prepare(&options.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let reply = runtime.block_on(ask(options, &token, (&host, port), &key, clock));
    runtime.shutdown_background(); // a name look-up may still hang
    let reply = reply?;
    let enrolled = keep(options, &token, &reply, &key, &format!("{}:{port}", bracket(&host)))?;
    let pending = options.dir.join("enroll.key");
    fs::remove_file(&pending).with_context(|| format!("remove {}", pending.display()))?;
    Ok(enrolled)
}

/// The command was run once more although it had worked.
fn enrolled_before(dir: &Path, token: &Token) -> anyhow::Result<Option<Enrolled>> {
    let Ok((Some(identity), _)) = Identity::load(dir) else { return Ok(None) };
    if identity.about.token != HostId(token.id).to_string() {
        return Ok(None);
    }
    let About { name, ingest, .. } = identity.about.clone();
    Ok(Some(Enrolled { host: identity.host()?, name, ingest, before: true }))
}

/// The folder, and the key of the first try.
fn prepare(dir: &Path) -> anyhow::Result<KeyPair> {
    if !dir.is_dir() {
        let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(dir);
        made.with_context(|| format!("create {}", dir.display()))?;
    }
    let pending = dir.join("enroll.key");
    if pending.exists() {
        let text = read_file(&pending, limits::CERTIFICATE_CHAIN)?;
        if let Ok(key) = KeyPair::from_pem(&String::from_utf8_lossy(&text)) {
            return Ok(key);
        }
        tracing::warn!("{} is damaged: a new key is made", pending.display());
        fs::remove_file(&pending)?;
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    file(&pending, key.serialize_pem().as_bytes())?;
    fs::File::open(dir)?.sync_all()?;
    Ok(key)
}

async fn ask(
    options: &EnrollOptions,
    token: &Token,
    (host, port): (&str, u16),
    key: &KeyPair,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<pb::EnrollReply> {
    let config = enroll_config(token.pin, Arc::new(TrustedTime::new(clock)))?;
    let tls = connect(host, port, host, config).await;
    let tls = tls.map_err(|error| match tls_error(&error) {
        Some(why) => anyhow!("{error}: this is not the collector that made the token ({why})"),
        None => error,
    })?;
    let (channel, _) = channel(tls).await?;
    let request = pb::EnrollRequest {
        token_id: token.id.to_vec(),
        token_secret: token.secret.expose().to_vec(),
        csr: csr(key)?,
        hostname: options.hostname.clone().into_bytes(),
    };
    let mut client = client(channel);
    let answer = tokio::time::timeout(ANSWER_TIME, client.enroll(request));
    let answer = answer.await.map_err(|_| anyhow!("the collector does not answer: try again"))?;
    answer.map(tonic::Response::into_inner).map_err(|status| anyhow!("{}", refusal(status.code())))
}

/// A client whose messages are bounded.
pub(super) fn client(channel: Channel) -> EnrollClient<Channel> {
    let most = limits::CERTIFICATE_CHAIN + limits::SMALL_MESSAGE;
    EnrollClient::new(channel).max_decoding_message_size(most).max_encoding_message_size(most)
}

/// A request for a certificate: proof that the key is at hand, and no names, as none would be believed.
pub(in crate::deliver) fn csr(key: &KeyPair) -> anyhow::Result<Vec<u8>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// What a refusal means. The collector's own words are not shown: they come from outside.
fn refusal(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => "the collector does not know this token: is it whole, and from this collector?",
        Code::FailedPrecondition => "the token has expired or was burned by wrong guesses: create a new one",
        Code::PermissionDenied => {
            "the token was used by another key already; if that was not you, look at the collector's events"
        }
        Code::AlreadyExists => {
            "a host of this name is enrolled: rename or retire it first (`plumb host retire NAME`), or bind the token to another name"
        }
        Code::InvalidArgument => {
            "the collector cannot read the request: is it older than this agent, is the host name odd?"
        }
        Code::ResourceExhausted => "too many tries: wait a minute",
        Code::Unavailable => "the collector cannot do it right now: try again",
        _ => "the collector refuses: its log says why",
    }
}

fn keep(
    options: &EnrollOptions,
    token: &Token,
    reply: &pb::EnrollReply,
    key: &KeyPair,
    enroll: &str,
) -> anyhow::Result<Enrolled> {
    let host = HostId::from_slice(&reply.host_id).ok_or_else(|| anyhow!("the collector answers without a host id"))?;
    let root: CertificateDer<'static> = certificates(&reply.root)?.swap_remove(0);
    if key_hash(&root).ok() != Some(token.pin) {
        bail!("the collector sends another root than the token pins");
    }
    split_address(&reply.ingest, 0).context("the collector's ingest address")?;
    let about = About {
        host_id: host.to_string(),
        name: reply.name.chars().filter(|c| c.is_ascii_graphic()).take(255).collect(),
        ingest: reply.ingest.clone(),
        enroll: enroll.to_owned(),
        server_name: reply.server_name.clone(),
        token: HostId(token.id).to_string(),
        not_before_ms: reply.not_before_ms,
        not_after_ms: reply.not_after_ms,
    };
    let issued = Issued { key: &key.serialize_pem(), chain: &reply.chain, root: &root, about: about.clone() };
    issued.stage(&options.dir)?;
    let (_, next) = Identity::load(&options.dir)?;
    // Nothing was in use that could be lost, or the operator has decided to replace it.
    next.ok_or_else(|| anyhow!("the new certificate does not read back"))?.switch(&options.dir)?;
    Ok(Enrolled { host, name: about.name, ingest: about.ingest, before: false })
}

/// An address as it stands before a port.
fn bracket(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// When a certificate is valid, as the collector said.
pub(super) fn validity(about: &About, not_before_ms: i64, not_after_ms: i64) -> anyhow::Result<About> {
    if Timestamp::from_millis(not_after_ms).since(Timestamp::from_millis(not_before_ms)) < Duration::from_secs(60) {
        bail!("the new certificate is valid for less than a minute");
    }
    Ok(About { not_before_ms, not_after_ms, ..about.clone() })
}
