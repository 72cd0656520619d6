//! A collector's network half on real sockets: the store is the real one, judging is left out.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use plumb_collector::access::Connections;
use plumb_collector::current::Current;
use plumb_collector::enroll::ca::Authority;
use plumb_collector::enroll::token::{self, TokenSpec};
use plumb_collector::enroll::{self, Issuer};
use plumb_collector::ingest::{self, Take};
use plumb_collector::listen::Gate;
use plumb_collector::store::rows::{EventRow, Groups, HostRow, HostState};
use plumb_collector::store::{EventFilter, Incoming, Questions, Tx};
use plumb_collector::stores;
use plumb_collector::worker::Writer;
use plumb_proto::record::{Epoch, Hash, HostId};
use plumb_proto::secret::Secret;
use plumb_proto::time::{Clock, ManualClock};
use tokio::sync::watch;

/// Appends and no more.
struct Append;

impl Take for Append {
    fn take(&self, tx: &mut dyn Tx, incoming: &Incoming<'_>, _caught_up: bool) -> anyhow::Result<()> {
        tx.append(incoming).map(|_| ())
    }
}

pub struct Collector {
    pub dir: PathBuf,
    pub clock: Arc<ManualClock>,
    pub ingest: SocketAddr,
    pub enroll: SocketAddr,
    pub connections: Arc<Connections>,
    writer: Option<Writer>,
    authority: Arc<Authority>,
    questions: Box<dyn Questions>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Collector {
    pub fn start(dir: &Path, clock: &Arc<ManualClock>) -> Self {
        Self::start_at(dir, clock, (free(), free()))
    }

    pub fn start_at(dir: &Path, clock: &Arc<ManualClock>, (ingest, enroll): (SocketAddr, SocketAddr)) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let now = clock.now();
        let authority = Arc::new(Authority::open(&dir.join("ca"), now).unwrap().0);
        let store = stores::open(dir.join("plumb.db").to_str().unwrap()).unwrap();
        let questions = store.questions().unwrap();
        let (writer, thread) = Writer::start(store).unwrap();
        let connections = Connections::new(clock.clone());
        let issuer = Issuer::new(authority.clone(), clock.clone());
        let (stop, stopped) = watch::channel(false);
        let names = Arc::new(Current::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]));
        let records = ingest::Parts {
            writer: writer.clone(),
            pipeline: Arc::new(Append),
            connections: connections.clone(),
            issuer: issuer.clone(),
            clock: clock.clone(),
        };
        let hosts = enroll::Parts {
            writer: writer.clone(),
            issuer,
            clock: clock.clone(),
            ingest: ingest.port(),
            names: names.clone(),
        };
        let bind = |address| {
            let listener = TcpListener::bind(address).unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        let (ingest_door, enroll_door) = (bind(ingest), bind(enroll));
        let network = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let door = |listener| tokio::net::TcpListener::from_std(listener).unwrap();
                let gate = Gate::new().unwrap();
                let records = ingest::serve(door(ingest_door), names, gate.clone(), records, stopped.clone());
                let hosts = enroll::serve(door(enroll_door), gate, hosts, stopped);
                let (records, hosts) = tokio::join!(records, hosts);
                records.and(hosts).unwrap();
            });
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
        let (dir, clock) = (dir.to_owned(), clock.clone());
        let threads = vec![network, thread];
        Self { dir, clock, ingest, enroll, connections, writer: Some(writer), authority, questions, stop, threads }
    }

    pub fn ports(&self) -> (SocketAddr, SocketAddr) {
        (self.ingest, self.enroll)
    }

    pub fn write<T: Send + 'static>(&self, work: impl FnMut(&mut dyn Tx) -> anyhow::Result<T> + Send + 'static) -> T {
        self.writer.as_ref().unwrap().call_blocking(work).unwrap()
    }

    pub fn token(&self, uses: u32) -> Secret {
        let spec = TokenSpec { name: None, groups: Groups::new(), uses, ttl: token::TTL };
        let (token, row) = token::create(&spec, self.authority.pin().unwrap(), self.clock.now()).unwrap();
        self.write(move |tx| tx.save_token(&row));
        token.line()
    }

    pub fn host(&self, id: HostId) -> HostRow {
        self.write(move |tx| tx.host(&id)).unwrap()
    }

    /// As `plumb host revoke` does.
    pub fn set_state(&self, id: HostId, state: HostState) {
        self.write(move |tx| {
            let mut host = tx.host(&id)?.unwrap();
            host.state = state;
            tx.save_host(&host)
        });
        self.connections.refuse(&id);
    }

    /// The number behind the last record, and the hash of that.
    pub fn head(&self, id: HostId, epoch: Epoch) -> (u64, Hash) {
        let head = self.write(move |tx| tx.head(&id, &epoch));
        head.map_or((1, Hash::default()), |head| (head.next_seq, head.hash))
    }

    pub fn events(&mut self, id: HostId) -> Vec<EventRow> {
        let filter = EventFilter { limit: 1000, ..EventFilter::default() };
        self.questions.events(&id, &filter).unwrap().into_iter().map(|(_, event)| event).collect()
    }

    /// Kinds of the events that the collector itself has told of a host.
    pub fn told(&mut self, id: HostId) -> Vec<String> {
        self.events(id).into_iter().filter(|row| row.watcher == "collector").map(|row| row.event.kind).collect()
    }

    pub fn verify(&mut self) -> (u64, Vec<String>) {
        self.questions.verify().unwrap()
    }

    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.stop.send_replace(true);
        self.writer = None;
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.halt();
    }
}
