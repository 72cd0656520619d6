//! Opens, wires, ticks, stops: the only file that knows all parts.

mod locks;
mod outbox;
mod parts;
mod reload;
pub mod systemd;
mod tick;
mod watchdog;

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
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
use crate::condition::Condition;
use crate::config::Config;
use crate::current::Current;
use crate::enroll::ca::Authority;
use crate::enroll::token::{self, TokenSpec};
use crate::enroll::{self, Issuer};
use crate::listen::Gate;
pub(crate) use crate::listen::with_port;
use crate::notify::{Bell, Notifier, Outbox};
use crate::pipeline::{Judging, Pipeline};
use crate::store::{Questions, Store};
use crate::worker::{Weight, Writer};
use crate::{health, ingest, query, stores};
pub use locks::lock_up;
pub(crate) use parts::lock_if_free;
pub use parts::{advertised, policy_sources, take_state};
use reload::{Checked, Settings};

/// Time to finish what is in progress when the collector stops.
const STOP_TIME: Duration = Duration::from_secs(15);

/// A reader of the store for what takes no time.
type Reader = Arc<Mutex<Box<dyn Questions>>>;

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
    pipeline: Arc<Pipeline>,
    notifier: Arc<Notifier>,
    connections: Arc<Connections>,
    condition: Arc<Condition>,
    settings: Settings,
    reader: Reader,
    clock: Arc<dyn Clock>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<()>>,
    thread: JoinHandle<()>,
    _state: File,
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

impl Collector {
    /// Starts a collector. It needs a runtime with more than one thread, time and network.
    ///
    /// # Errors
    /// Something it needs cannot be opened: each with what it was.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let state = take_state(&config.state_dir, clock.now())?;
        Self::start_on(state, config, clock).await
    }

    /// As [`Collector::start`], on a state folder that [`take_state`] has taken.
    ///
    /// # Errors
    /// As there.
    pub async fn start_on(state: File, config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
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
        let Checked { fixed, names, policy, judging, keep, told } = Checked::of(config, &declared)?;

        // Bound before anything runs: a port that is taken is told at once.
        let ingest_listener = parts::bind(fixed.ingest, "ingest").await?;
        let enroll_listener = parts::bind(fixed.enroll, "enrolment").await?;
        let health_listener = parts::bind(fixed.health, "health").await?;
        let query_listener = match fixed.query {
            Some(address) => Some(parts::bind(address, "query").await?),
            None => None,
        };
        query::make_folder(&fixed.socket)?;
        let socket = query::listen(&fixed.socket)?;
        let addresses = Addresses {
            ingest: ingest_listener.local_addr()?,
            enroll: enroll_listener.local_addr()?,
            health: health_listener.local_addr()?,
            query: query_listener.as_ref().map(TcpListener::local_addr).transpose()?,
            socket: fixed.socket.clone(),
        };
        let settings = Settings {
            fixed,
            names: Arc::new(Current::new(names)),
            rules: Arc::new(Current::from(policy)),
            keep: Arc::new(Current::new(keep)),
        };
        let (writer, thread) = Writer::start(store).context("start the writer")?;
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let Judging { detectors, silent, repeat } = judging;
        let pipeline = Pipeline::new(detectors, silent, repeat, clock.clone()).waking(move || ring.ring());
        let pipeline = Arc::new(pipeline);
        let names_of = told.names();
        writer
            .call(Weight::default(), move |tx| names_of.iter().try_for_each(|name| tx.begin_receiver(name)))
            .await
            .context("receivers")?;
        let outbox: Arc<dyn Outbox> = Arc::new(outbox::ThroughWriter(writer.clone()));
        let notifier = Notifier::start(told, &outbox, &clock, bell)?;
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
        tasks.spawn(ingest::serve(ingest_listener, settings.names.clone(), gate.clone(), parts, stopped.clone()));
        let parts = enroll::Parts {
            writer: writer.clone(),
            issuer,
            clock: clock.clone(),
            ingest: addresses.ingest.port(),
            names: settings.names.clone(),
        };
        tasks.spawn(enroll::serve(enroll_listener, gate.clone(), parts, stopped.clone()));
        let parts = query::Parts {
            writer: writer.clone(),
            pipeline: pipeline.clone(),
            connections: connections.clone(),
            notifier: notifier.clone(),
            clock: clock.clone(),
            rules: settings.rules.clone(),
        };
        let remote = query_listener.map(|listener| {
            let (authority, names) = (authority.clone(), settings.names.clone());
            query::Remote { listener, names, gate, authority, users }
        });
        tasks.spawn(query::serve(socket, remote, parts, readers, stopped.clone()));
        let condition = Arc::new(Condition::new(clock.now()));
        let reader: Reader = Arc::new(Mutex::new(reader));
        let parts = health::Parts {
            writer: writer.clone(),
            connections: connections.clone(),
            reader: reader.clone(),
            condition: condition.clone(),
        };
        tasks.spawn(health::serve(health_listener, parts, stopped.clone()));
        let beat = watchdog::Beat::default();
        let parts = tick::Parts {
            writer: writer.clone(),
            pipeline: pipeline.clone(),
            rules: settings.rules.clone(),
            keep: settings.keep.clone(),
            clock: clock.clone(),
            beat: beat.clone(),
        };
        tasks.spawn(tick::run(parts, stopped.clone()));
        let parts = systemd::Parts {
            writer: writer.clone(),
            beat,
            connections: connections.clone(),
            condition: condition.clone(),
            clock: clock.clone(),
        };
        tasks.spawn(systemd::attend(parts, stopped));
        Ok(Self {
            addresses,
            new_authority,
            authority,
            writer,
            pipeline,
            notifier,
            connections,
            condition,
            settings,
            reader,
            clock,
            stop,
            tasks,
            thread,
            _state: state,
        })
    }

    /// How it stands, beside its store.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// How it stands, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        self.condition.line(self.connections.streams())
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
