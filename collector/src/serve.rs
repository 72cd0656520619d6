//! Opens, wires, ticks, stops: the only file that knows all parts.

mod outbox;
mod parts;
mod tick;

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use plumb_proto::secret::Secret;
use plumb_proto::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::Connections;
use crate::access::users::Users;
use crate::config::Config;
use crate::drift::detectors;
use crate::drift::detectors::silent::Silent;
use crate::drift::policy::Policy;
use crate::enroll::ca::Authority;
use crate::enroll::token::{self, TokenSpec};
use crate::enroll::{self, Issuer};
use crate::listen::Gate;
use crate::notify::{Bell, Notifier, Outbox};
use crate::pipeline::Pipeline;
use crate::store::Store;
use crate::worker::{Weight, Writer};
use crate::{health, ingest, query, restore, stores};
pub(crate) use parts::with_port;
pub use parts::{advertised, policy_sources};

/// Time to finish what is in progress when the collector stops.
const STOP_TIME: Duration = Duration::from_secs(15);

/// Where a collector listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Agents.
    pub ingest: SocketAddr,
    /// Hosts without a certificate.
    pub enroll: SocketAddr,
    /// Metrics and health.
    pub health: SocketAddr,
    /// Users elsewhere, where it is switched on.
    pub query: Option<SocketAddr>,
    /// The command line.
    pub socket: PathBuf,
}

/// A collector that runs.
pub struct Collector {
    addresses: Addresses,
    new_authority: bool,
    authority: Arc<Authority>,
    writer: Writer,
    notifier: Arc<Notifier>,
    clock: Arc<dyn Clock>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<()>>,
    thread: JoinHandle<()>,
    _lock: File,
}

/// The database of a collector.
#[must_use]
pub fn database(state_dir: &Path) -> PathBuf {
    state_dir.join("collector.db")
}

/// The folder of its certificate authority.
#[must_use]
pub fn authority_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("ca")
}

/// Opens the store of a collector.
///
/// # Errors
/// It is damaged, newer than this program, or cannot be read.
pub fn open_store(state_dir: &Path) -> Result<Box<dyn Store>> {
    let path = database(state_dir);
    stores::open(&format!("sqlite:{}", path.display()))
}

/// Makes the state folder, for nobody but the collector.
///
/// # Errors
/// It cannot be made.
pub fn make_state_dir(path: &Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("make the state folder {}", path.display()))
}

/// Two collectors on one store would judge past each other.
fn lock(state_dir: &Path) -> Result<File> {
    lock_if_free(state_dir)?.with_context(|| format!("another collector runs on {}", state_dir.display()))
}

/// The right to the state folder, for as long as the file is open; `None` while a collector has it.
///
/// # Errors
/// The file cannot be opened or locked.
pub(crate) fn lock_if_free(state_dir: &Path) -> Result<Option<File>> {
    let path = state_dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Listens. Where this machine has no IPv6, `[::]` means all of IPv4.
async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    let fallback = || SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), address.port());
    let bound = match TcpListener::bind(address).await {
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() && !parts::has_ipv6() => {
            TcpListener::bind(fallback()).await
        }
        bound => bound,
    };
    bound.with_context(|| format!("{what}: listen on {address}"))
}

impl Collector {
    /// Starts a collector. It needs a runtime with more than one thread, time and network.
    ///
    /// # Errors
    /// Something it needs cannot be opened: each with what it was.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        make_state_dir(&config.state_dir)?;
        let lock = lock(&config.state_dir)?;
        if restore::finish(&config.state_dir, clock.now())?.is_some() {
            tracing::warn!("a restore that had been interrupted is finished");
        }
        let (authority, new_authority) = Authority::open(&authority_dir(&config.state_dir), clock.now())?;
        let authority = Arc::new(authority);
        let store = open_store(&config.state_dir)?;
        let mut readers = Vec::new();
        for _ in 0..query::READERS {
            readers.push(store.questions()?);
        }
        let mut reader = store.questions()?;
        let users = Users::new(store.questions()?, clock.clone());
        let declared = reader.schema()?;
        let policy = Policy::load(&policy_sources(&config.policy_dirs)?, &declared)
            .map_err(|mistakes| anyhow::anyhow!("policy:\n{}", mistakes.join("\n")))?;
        let policy = Arc::new(policy);

        // Bound before anything runs: a port that is taken is told at once.
        let names = parts::names(config.advertise.as_deref());
        let ingest_listener = bind(config.ingest, "ingest").await?;
        let enroll_listener = bind(config.enroll, "enrolment").await?;
        let health_listener = bind(config.health, "health").await?;
        let query_listener = match config.query {
            Some(address) => Some(bind(address, "query").await?),
            None => None,
        };
        let socket = query::listen(&config.socket)?;
        let addresses = Addresses {
            ingest: ingest_listener.local_addr()?,
            enroll: enroll_listener.local_addr()?,
            health: health_listener.local_addr()?,
            query: query_listener.as_ref().map(TcpListener::local_addr).transpose()?,
            socket: config.socket.clone(),
        };

        let (writer, thread) = Writer::start(store).context("start the writer")?;
        let bell = Arc::new(Bell::default());
        let silent = Silent { host: config.silent_after, ..Silent::default() };
        let ring = bell.clone();
        let pipeline = Pipeline::new(detectors::all(&policy), silent, config.repeat_after, clock.clone())
            .waking(move || ring.ring());
        let pipeline = Arc::new(pipeline);
        let names_of: Vec<String> = config.receivers.iter().map(|each| each.name.clone()).collect();
        writer
            .call(Weight::default(), move |tx| names_of.iter().try_for_each(|name| tx.begin_receiver(name)))
            .await
            .context("receivers")?;
        let outbox: Arc<dyn Outbox> = Arc::new(outbox::ThroughWriter(writer.clone()));
        let notifier = Notifier::start(config.receivers, config.routes, config.pace, &outbox, &clock, bell)?;
        let notifier = Arc::new(notifier);

        let connections = Connections::new(clock.clone());
        let issuer = Issuer::new(authority.clone(), clock.clone());
        let gate = Gate::new().context("limits of the system")?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let parts = ingest::Parts {
            writer: writer.clone(),
            pipeline: pipeline.clone(),
            connections: connections.clone(),
            issuer: issuer.clone(),
            clock: clock.clone(),
        };
        tasks.spawn(ingest::serve(ingest_listener, names.clone(), gate.clone(), parts, stopped.clone()));
        let parts = enroll::Parts {
            writer: writer.clone(),
            issuer,
            clock: clock.clone(),
            ingest: parts::with_port(&names[0], addresses.ingest.port()),
            server_name: names[0].clone(),
        };
        tasks.spawn(enroll::serve(enroll_listener, names.clone(), gate.clone(), parts, stopped.clone()));
        let parts = query::Parts {
            writer: writer.clone(),
            pipeline: pipeline.clone(),
            connections: connections.clone(),
            notifier: notifier.clone(),
            clock: clock.clone(),
            silent_after: config.silent_after,
            policy: policy.clone(),
        };
        let remote = query_listener.map(|listener| {
            let (authority, users) = (authority.clone(), users);
            query::Remote { listener, names, gate, authority, users }
        });
        tasks.spawn(query::serve(socket, remote, parts, readers, stopped.clone()));
        let parts = health::Parts { writer: writer.clone(), connections, reader: Arc::new(Mutex::new(reader)) };
        tasks.spawn(health::serve(health_listener, parts, stopped.clone()));
        tasks.spawn(tick::run(writer.clone(), pipeline, (policy, config.keep), clock.clone(), stopped));
        Ok(Self { addresses, new_authority, authority, writer, notifier, clock, stop, tasks, thread, _lock: lock })
    }

    /// Where it listens, with the ports that the system gave where none was asked for.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether this start made the certificate authority.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.new_authority
    }

    /// Makes a token for enrolment.
    ///
    /// # Errors
    /// It would be too good, or the store refuses.
    pub async fn token(&self, spec: &TokenSpec) -> Result<Secret> {
        let (token, row) = token::create(spec, self.authority.pin()?, self.clock.now())?;
        self.writer.call(Weight::default(), move |tx| tx.save_token(&row)).await?;
        Ok(token.line())
    }

    /// Waits until a part fails. Without a failure it does not return.
    ///
    /// # Errors
    /// The failure.
    pub async fn failed(&mut self) -> Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a part broke")??;
        }
        bail!("all parts have ended")
    }

    /// Stops: hangs up on everybody, finishes what was accepted, and commits it.
    ///
    /// # Errors
    /// A part fails while it stops, or does not stop in time.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        let notifier = self.notifier.clone();
        let ended = tokio::time::timeout(STOP_TIME, async {
            let _ = tokio::task::spawn_blocking(move || notifier.stop()).await;
            while let Some(ended) = self.tasks.join_next().await {
                ended.context("a part broke")??;
            }
            Ok(())
        });
        let ended = ended.await;
        self.tasks.abort_all();
        let _ = std::fs::remove_file(&self.addresses.socket);
        // The writer's thread ends with the last way to it; sessions let go of theirs as they end.
        drop((self.writer, self.notifier));
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        let joined = tokio::time::timeout(STOP_TIME, joined).await;
        match (ended, joined) {
            (Ok(ended), Ok(Ok(Ok(())))) => ended,
            (_, Ok(Ok(Err(_)) | Err(_))) => bail!("the writer broke"),
            _ => bail!("not everything has stopped within {} s", STOP_TIME.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests;
