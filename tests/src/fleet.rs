//! A collector and agents in this process: real sockets, real databases, one manual clock. Both sides take time from
//! it, so a month passes in seconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use plumb_agent::deliver;
use plumb_agent::deliver::identity::Identity;
use plumb_agent::deliver::identity::enroll::{EnrollOptions, enroll};
use plumb_agent::host::Host;
use plumb_agent::link::link;
use plumb_agent::observe::{Assigned, Observer, Options};
use plumb_agent::sandbox::Locked;
use plumb_agent::state;
use plumb_agent::watcher::Spec;
use plumb_collector::config::{Config, Mistakes};
use plumb_collector::enroll::token::TokenSpec;
use plumb_collector::serve::{Addresses, Collector, open_store};
use plumb_collector::store::Questions;
use plumb_collector::store::rows::HostRow;
use plumb_proto::secret::Secret;
use plumb_proto::time::{Clock, ManualClock, Timestamp};

use crate::eventually::eventually;

/// One collector, its clock, and the folder that holds everything.
pub struct Fleet {
    /// The clock of all.
    pub clock: Arc<ManualClock>,
    /// The folder.
    pub dir: PathBuf,
    runtime: tokio::runtime::Runtime,
    collector: Option<Collector>,
    addresses: Option<Addresses>,
}

impl Fleet {
    /// Starts a collector at noon of 2026-11-21.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(name: &str) -> Self {
        Self::start_at(name, Timestamp::from_secs(1_795_262_400))
    }

    /// Starts a collector at some other moment: no earlier than the files that its agents see.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_at(name: &str, start: Timestamp) -> Self {
        // in memory where there is such a place: these stories write tens of thousands of records
        let base = Path::new("/dev/shm");
        let base = if base.is_dir() { base.to_owned() } else { std::env::temp_dir() };
        let dir = base.join(format!("plumb-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a folder");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let mut fleet =
            Self { clock: Arc::new(ManualClock::at(start)), dir, runtime, collector: None, addresses: None };
        fleet.start_collector();
        fleet
    }

    /// Starts the collector, on the ports that it had before.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_collector(&mut self) {
        let at = self.dir.display();
        let port = |of: fn(&Addresses) -> u16| self.addresses.as_ref().map_or(0, of);
        let (ingest, enroll) = (port(|at| at.ingest.port()), port(|at| at.enroll.port()));
        let text = format!(
            "state_dir = \"{at}/collector\"\nsocket = \"{at}/plumb.sock\"\nadvertise = \"127.0.0.1\"\npolicy_dirs = []\n\
             [listen]\ningest = \"127.0.0.1:{ingest}\"\nenroll = \"127.0.0.1:{enroll}\"\nhealth = \"127.0.0.1:0\"\n"
        );
        let file = self.config();
        std::fs::write(&file, text).expect("a configuration");
        let config = Config::load(Some(&file)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let collector = self.runtime.block_on(Collector::start(config, self.clock.clone())).expect("a collector");
        self.addresses = Some(collector.addresses().clone());
        self.collector = Some(collector);
    }

    /// The file of its settings.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.join("collector.toml")
    }

    /// Has the collector read its settings again.
    ///
    /// # Errors
    /// Every mistake in them.
    ///
    /// # Panics
    /// It does not run.
    pub fn reload(&self) -> Result<(), Mistakes> {
        let (collector, file) = (self.collector.as_ref().expect("a collector that runs"), self.config());
        self.runtime.block_on(collector.reload(move || Config::load(Some(&file))))
    }

    /// Port of its ingest listener.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn ingest_port(&self) -> u16 {
        self.addresses.as_ref().expect("a collector that runs").ingest.port()
    }

    /// Stops the collector.
    ///
    /// # Panics
    /// It does not stop in order.
    pub fn stop_collector(&mut self) {
        if let Some(collector) = self.collector.take() {
            self.runtime.block_on(collector.stop()).expect("an orderly stop");
        }
    }

    /// Runs a command of `plumb-collector` with this collector's configuration, as its operator would; answers its exit code.
    #[must_use]
    pub fn operator(&self, arguments: &[&str]) -> u8 {
        let config = self.dir.join("collector.toml").into_os_string();
        let arguments = ["plumb-collector"].iter().chain(arguments).map(Into::into);
        plumb_collector::admin::run(arguments.chain(["--config".into(), config]))
    }

    /// What is in the store, as a reader beside the collector sees it.
    ///
    /// # Panics
    /// The store does not open.
    #[must_use]
    pub fn questions(&self) -> Box<dyn Questions> {
        let store = open_store(&self.dir.join("collector")).expect("the store");
        store.questions().expect("a reader")
    }

    /// Enrols an agent with these watchers and settings and opens it; nothing of it runs yet.
    ///
    /// # Panics
    /// It cannot be enrolled.
    #[must_use]
    pub fn agent(&self, name: &str, watchers: &[(Spec, &str)]) -> Agent {
        let collector = self.collector.as_ref().expect("a collector that runs");
        let spec =
            TokenSpec { name: Some(name.into()), groups: Default::default(), uses: 1, ttl: Duration::from_secs(3600) };
        let token = self.runtime.block_on(collector.token(&spec)).expect("a token");
        let dir = self.dir.join(name);
        let identity = dir.join("identity");
        std::fs::create_dir_all(dir.join("root")).expect("a root folder");
        let options = EnrollOptions {
            collector: format!("https://127.0.0.1:{}", collector.addresses().enroll.port()),
            token: Secret::new(token.expose()),
            dir: identity,
            hostname: name.into(),
        };
        enroll(&options, self.clock.clone()).unwrap_or_else(|error| panic!("enrol {name}: {error:#}"));
        let watchers = watchers.iter().map(|(spec, settings)| (*spec, (*settings).to_owned())).collect();
        let root = dir.join("root");
        Agent { name: name.into(), dir, root, clock: self.clock.clone(), watchers, running: None }
    }

    /// A host as the collector knows it.
    ///
    /// # Panics
    /// It is not known.
    #[must_use]
    pub fn host(&self, name: &str) -> HostRow {
        let hosts = self.questions().hosts().expect("hosts");
        hosts.into_iter().find(|host| host.name == name).unwrap_or_else(|| panic!("{name} is not known"))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(collector) = self.collector.take() {
            let _ = self.runtime.block_on(collector.stop());
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// An agent: observe is stepped by the test, deliver runs on a thread of its own while it is connected.
pub struct Agent {
    name: String,
    dir: PathBuf,
    root: PathBuf,
    clock: Arc<ManualClock>,
    watchers: Vec<(Spec, String)>,
    running: Option<Running>,
}

struct Running {
    observer: Observer,
    stop: tokio::sync::watch::Sender<bool>,
    deliver: Option<JoinHandle<()>>,
}

impl Agent {
    /// The folder that it takes for its host's root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// Lets it take another folder for its host's root.
    #[must_use]
    pub fn at(mut self, root: PathBuf) -> Self {
        self.root = root;
        self
    }

    /// Starts both halves; `online` says whether deliver is among them.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(&mut self, online: bool) {
        self.stop();
        let (observe_end, deliver_end) = link().expect("a link");
        let assign = |(spec, settings): &(Spec, String)| {
            let mut table: toml::Table = spec.sample.parse().expect("a sample");
            table.extend(settings.parse::<toml::Table>().expect("settings"));
            Assigned { spec: *spec, every: spec.every, watcher: spec.make(table).expect("a watcher") }
        };
        let observer = Observer::open(Options {
            host: Host::new(&self.root, self.clock.clone()),
            watchers: self.watchers.iter().map(assign).collect(),
            state: state::Options {
                folder: self.dir.join("state"),
                bound: 64 << 20,
                ask: Arc::new(state::disk::ask_system),
            },
            record_every: Duration::from_secs(60),
            cpu_share: 1.0,
            clock: self.clock.clone(),
            meter: || Duration::ZERO,
            link: observe_end,
            locked: Locked::nothing(),
        });
        let observer = observer.unwrap_or_else(|error| panic!("{}: {error:#}", self.name));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let deliver = online.then(|| {
            let (identity, clock) = (self.dir.join("identity"), self.clock.clone());
            std::thread::spawn(move || deliver::run(deliver_end, identity, clock, stopped).expect("deliver runs"))
        });
        self.running = Some(Running { observer, stop, deliver });
    }

    /// Stops both halves in order.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.observer.end();
            running.stop.send_replace(true);
            drop(running.observer);
            if let Some(deliver) = running.deliver {
                let _ = deliver.join();
            }
        }
    }

    /// Does all that is due now.
    ///
    /// # Panics
    /// It is not started.
    pub fn work(&mut self) {
        let running = self.running.as_mut().expect("a started agent");
        for _ in 0..1000 {
            if running.observer.step() > self.clock.monotonic() {
                return;
            }
        }
    }

    /// Since when it is connected, if it is.
    ///
    /// # Panics
    /// It is not started.
    #[must_use]
    pub fn connected_since(&self) -> Option<String> {
        self.running.as_ref().expect("a started agent").observer.status().connection.since
    }

    /// The name that it looks for in the collector's certificate.
    ///
    /// # Panics
    /// It is not enrolled.
    #[must_use]
    pub fn collector(&self) -> String {
        let (current, _) = Identity::load(&self.dir.join("identity")).expect("an identity");
        current.expect("an identity").about.server_name
    }

    /// Lets time pass in steps of a second, working in each.
    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.work();
        }
    }

    /// Works in real time, without the clock moving, until `done`: what travels needs time that is real.
    ///
    /// # Panics
    /// It takes longer than `limit`.
    pub fn until(&mut self, what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
        eventually(
            what,
            limit,
            || {
                self.work();
                done()
            },
            |done| *done,
        );
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}
