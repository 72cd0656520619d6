//! The query port: who gets in, who may do what, and how fast a revocation works. Real sockets, the real commands.

mod roles;
mod stories;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plumb_agent::deliver::channel::channel;
use plumb_agent::deliver::identity::Identity;
use plumb_agent::deliver::identity::enroll::{EnrollOptions, enroll};
use plumb_agent::deliver::tls::{connect, ingest_config};
use plumb_agent::deliver::trusted_time::TrustedTime;
use plumb_collector::config::Config;
use plumb_collector::enroll::ca::Authority;
use plumb_collector::enroll::token::TokenSpec;
use plumb_collector::serve::{Collector, open_store};
use plumb_collector::store::rows::{HostRow, HostState};
use plumb_proto::record::HostId;
use plumb_proto::time::{Clock, SystemClock, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use crate::Folder;

/// A collector with its query port switched on, and two hosts: `acme-1` of client=acme, `bravo-1` of client=bravo.
struct Scene {
    runtime: Runtime,
    collector: Option<Collector>,
    clock: Arc<dyn Clock>,
    folder: Folder,
    port: u16,
}

impl Scene {
    fn start() -> Self {
        let folder = Folder::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut scene = Self { runtime, collector: None, clock, folder, port: 0 };
        std::fs::create_dir_all(scene.state()).unwrap();
        open_store(&scene.state())
            .unwrap()
            .commit(&mut |tx| {
                tx.save_host(&host(1, "acme-1", "acme"))?;
                tx.save_host(&host(2, "bravo-1", "bravo"))
            })
            .unwrap();
        scene.start_collector();
        scene
    }

    fn start_collector(&mut self) {
        let at = self.folder.0.display();
        let text = format!(
            "state_dir = \"{at}/state\"\nsocket = \"{at}/plumb.sock\"\nadvertise = \"127.0.0.1\"\npolicy_dirs = []\n\
             [listen]\ningest = \"127.0.0.1:0\"\nenroll = \"127.0.0.1:0\"\nhealth = \"127.0.0.1:0\"\n\
             [query]\nlisten = \"127.0.0.1:{}\"\n",
            self.port
        );
        std::fs::write(self.config(), &text).unwrap();
        let config = Config::load(Some(&self.config())).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let collector = self.runtime.block_on(Collector::start(config, self.clock.clone())).unwrap();
        self.port = collector.addresses().query.unwrap().port();
        // the commands tell the port that is configured
        let told = text
            .replace("[query]\nlisten = \"127.0.0.1:0\"", &format!("[query]\nlisten = \"127.0.0.1:{}\"", self.port));
        std::fs::write(self.config(), told).unwrap();
        self.collector = Some(collector);
    }

    fn stop_collector(&mut self) {
        if let Some(collector) = self.collector.take() {
            self.runtime.block_on(collector.stop()).unwrap();
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.0.join("state")
    }

    fn config(&self) -> PathBuf {
        self.folder.0.join("collector.toml")
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A command of `plumb-collector`.
    fn admin(&self, arguments: &[&str]) -> u8 {
        let config = self.config();
        let all = ["plumb-collector", "--config", config.to_str().unwrap()];
        plumb_collector::admin::run(all.iter().chain(arguments).map(Into::into))
    }

    /// Makes a user, as an administrator does; the file of their identity.
    fn user(&self, name: &str, role: &str, more: &[&str]) -> PathBuf {
        let file = self.folder.0.join(format!("{name}.pem"));
        let fixed = ["user", "create", name, "--role", role, "--out", file.to_str().unwrap()];
        assert_eq!(self.admin(&[&fixed, more].concat()), 0);
        file
    }

    /// A command of `plumb`, asked over the query port.
    fn plumb(&self, identity: &Path, arguments: &[&str]) -> u8 {
        let url = self.url();
        let fixed = ["plumb", "--collector", &url, "--identity", identity.to_str().unwrap()];
        let all = fixed.iter().chain(arguments).map(Into::into).collect::<Vec<std::ffi::OsString>>();
        self.runtime.block_on(plumb_collector::cli::run(all, self.clock.as_ref()))
    }

    /// Why somebody is not let in, in the words of `plumb`.
    fn refusal(&self, identity: &Path) -> String {
        use plumb_collector::cli::connect::Query;
        let url = self.url();
        let asked = Query::to(Some(&url), Some(identity), self.clock.now());
        let error = self.runtime.block_on(asked).err().expect("nobody is let in");
        format!("{error:#}")
    }

    fn authority(&self) -> Authority {
        Authority::open(&self.state().join("ca"), self.clock.now()).unwrap().0
    }

    fn root(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.authority().root_pem().as_bytes()).unwrap()
    }

    /// Connects with any certificate; an error if the handshake or the first words fail.
    async fn channel(&self, shown: Shown) -> anyhow::Result<Channel> {
        let time = Arc::new(TrustedTime::new(self.clock.clone()));
        let config = ingest_config(&self.root(), shown.chain, shown.key, time)?;
        let tls = connect("127.0.0.1", self.port, "127.0.0.1", config).await?;
        Ok(channel(tls).await?.0)
    }

    /// Enrols a host, for its certificate.
    fn host_certificate(&self) -> Shown {
        let collector = self.collector.as_ref().unwrap();
        let spec = TokenSpec {
            name: Some("enrolled".into()),
            groups: Default::default(),
            uses: 1,
            ttl: Duration::from_secs(600),
        };
        let token = self.runtime.block_on(collector.token(&spec)).unwrap();
        let dir = self.folder.sub("identity");
        let options = EnrollOptions {
            collector: format!("https://127.0.0.1:{}", collector.addresses().enroll.port()),
            token,
            dir: dir.clone(),
            hostname: "enrolled".into(),
        };
        enroll(&options, self.clock.clone()).unwrap();
        let identity = Identity::load(&dir).unwrap().0.unwrap();
        Shown { chain: identity.chain.clone(), key: identity.key().unwrap() }
    }

    /// A user's certificate that ran out yesterday, as a file.
    fn expired(&self) -> PathBuf {
        let life = Duration::from_secs(86_400);
        let made = self.authority().issue_user("old", life, self.clock.now() - life * 2).unwrap();
        let file = self.folder.0.join("old.pem");
        let text = [made.key.expose(), &made.chain, self.authority().root_pem().as_bytes()].concat();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// The audit, as `who action subject allowed`.
    fn audit(&self) -> Vec<String> {
        let store = rusqlite::Connection::open(self.state().join("collector.db")).unwrap();
        let mut rows =
            store.prepare("SELECT who, action, CAST(subject AS TEXT), allowed FROM audit ORDER BY no").unwrap();
        let line = |row: &rusqlite::Row<'_>| {
            let [who, action, subject]: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            Ok(format!("{who} {action} {subject} {}", row.get::<_, i64>(3)?))
        };
        rows.query_map([], line).unwrap().map(Result::unwrap).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(collector) = self.collector.take() {
            let _ = self.runtime.block_on(collector.stop());
        }
    }
}

/// A certificate and its key.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Shown {
    fn read(file: &Path) -> Self {
        let text = std::fs::read(file).unwrap();
        let mut chain: Vec<_> = CertificateDer::pem_slice_iter(&text).map(Result::unwrap).collect();
        chain.pop(); // the pinned root
        Self { chain, key: PrivateKeyDer::from_pem_slice(&text).unwrap() }
    }
}

fn host(number: u8, name: &str, client: &str) -> HostRow {
    HostRow {
        id: HostId([number; 16]),
        name: name.to_owned(),
        state: HostState::Active,
        groups: [("client".to_owned(), client.to_owned())].into(),
        enrolled: Timestamp::from_secs(1_800_000_000),
        last_seen: None,
        skew_ms: 0,
        build: String::new(),
        generation: 1,
    }
}
