mod program;

use std::io::{Read, Write};

use plumb_proto::time::{ManualClock, Timestamp};

use super::*;
use crate::cli::connect::Query;
use crate::config::Mistakes;

/// A folder that is gone at the end of its test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("plumb-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn text(&self) -> String {
        format!(
            "state_dir = {0:?}\nsocket = {1:?}\npolicy_dirs = []\nadvertise = \"127.0.0.1\"\n[listen]\n\
             ingest = \"127.0.0.1:0\"\nenroll = \"127.0.0.1:0\"\nhealth = \"127.0.0.1:0\"\n",
            self.0.join("state"),
            self.0.join("run/collector.sock"),
        )
    }

    fn config(&self) -> Config {
        Config::parse(Path::new("test.toml"), &self.text()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_795_255_262)))
}

fn http(address: SocketAddr, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_starts_answers_and_stops_and_starts_again_with_what_it_had() {
    let folder = Folder::new("serve");
    let collector = Collector::start(folder.config(), clock()).await.unwrap();
    assert!(collector.is_new());
    let spec = TokenSpec { name: None, groups: Default::default(), uses: 1, ttl: Duration::from_secs(60) };
    let token = collector.token(&spec).await.unwrap();
    assert!(token.expose().starts_with(b"v1."));
    let socket = format!("unix:{}", collector.addresses().socket.display());
    Query::connect(Some(&socket)).await.unwrap();
    let health = collector.addresses().health;
    let (healthz, metrics) =
        tokio::task::spawn_blocking(move || (http(health, "/healthz"), http(health, "/metrics"))).await.unwrap();
    assert!(healthz.starts_with("HTTP/1.1 200 OK") && healthz.ends_with("ok\n"), "{healthz}");
    assert!(metrics.contains("\nplumb_hosts{state=\"active\"} 0\n"), "{metrics}");
    collector.stop().await.unwrap();
    assert!(!folder.0.join("run/collector.sock").exists());

    let again = Collector::start(folder.config(), clock()).await.unwrap();
    assert!(!again.is_new());
    again.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_collector_on_the_same_state_is_refused() {
    let folder = Folder::new("second");
    let collector = Collector::start(folder.config(), clock()).await.unwrap();
    let error = Collector::start(folder.config(), clock()).await.err().unwrap();
    assert!(error.to_string().starts_with("another collector runs on "), "{error:#}");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_told_at_once() {
    let folder = Folder::new("taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config { ingest: taken.local_addr().unwrap(), ..folder.config() };
    let error = Collector::start(config, clock()).await.err().unwrap();
    assert!(format!("{error:#}").starts_with("ingest: listen on 127.0.0.1:"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_support_dates_are_taken_over_by_a_reload_and_broken_ones_are_not() {
    let folder = Folder::new("dates");
    let dates = folder.0.join("support.d");
    std::fs::create_dir(&dates).unwrap();
    let config = || Config { support_dir: dates.clone(), ..folder.config() };
    let collector = Collector::start(config(), clock()).await.unwrap();
    let as_of = || collector.settings.rules.get().dates().as_of().to_owned();
    let shipped = as_of();
    let write = |row: &str| {
        let head = "product,cycle,release,active_support_end,security_support_end,latest,lts";
        std::fs::write(dates.join("facts.csv"), format!("# as of 2099-01-15\n{head}\n{row}\n")).unwrap();
        let head = "product,cycle,codename,extended_support_end,latest_release_date,discontinued,lts,extra";
        std::fs::write(dates.join("facts-extended.csv"), format!("{head}\nphp,9.0,,,,,false,\n")).unwrap();
    };
    write("php,9.0,2027-01-01,,some day,9.0.1,false");
    let new = config();
    let Mistakes(mistakes) = collector.reload(move || Ok(new)).await.unwrap_err();
    assert!(mistakes[0].contains("facts.csv:3: security_support_end is \"some day\""), "{mistakes:?}");
    assert_eq!(as_of(), shipped, "what was in force stays");
    write("php,9.0,2027-01-01,,2101-12-31,9.0.1,false");
    let new = config();
    collector.reload(move || Ok(new)).await.unwrap();
    assert_eq!(as_of(), "2099-01-15");
    collector.stop().await.unwrap();
}
