//! Real database servers of Debian, started by the test on folders and sockets of their own: what the watchers tell of
//! them is what dpkg and the servers themselves say, and a server hears nothing of our looks.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plumb_agent::host::Host;
use plumb_agent::watcher::{Look, Progress, Told, Watcher};
use plumb_agent::watchers::ALL;
use plumb_proto::model::{Fact, Series, Value};
use plumb_proto::time::{Clock, SystemClock, Timestamp};
use plumb_tests::eventually::eventually;
use plumb_tests::needs;

mod login;

/// A watcher sees the servers of all tests, and its visits are counted: one test of MariaDB at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MINUTE: Duration = Duration::from_secs(60);

/// A folder that everybody may enter; it goes with the test, after its server.
struct Place(PathBuf);

impl Place {
    fn new(name: &str, owner: &str) -> Self {
        let place = Self(std::env::temp_dir().join(format!("plumb-{name}-{}", std::process::id())));
        said(&["install", "-d", "-m", "755", "-o", owner, &place.at("")]);
        place
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(&self.0).status();
    }
}

/// A server in the foreground.
struct Running(Child);

impl Running {
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(words[0]);
        Self(command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect(words[0]))
    }

    fn stop(&mut self) {
        said(&["kill", &self.0.id().to_string()]);
        self.0.wait().expect("its end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(words: &[&str]) -> Option<String> {
    let output = Command::new(words[0]).args(&words[1..]).env("LC_ALL", "C").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn said(words: &[&str]) -> String {
    run(words).unwrap_or_else(|| panic!("{words:?} failed"))
}

fn is_up(words: &[&str]) {
    eventually(words[0], MINUTE, || run(words), Option::is_some);
}

/// The machine's clock, and what a test lets pass at once.
struct Ahead(SystemClock, AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let ahead = i64::try_from(self.1.load(Ordering::SeqCst)).expect("seconds");
        Timestamp::from_millis(self.0.now().millis() + 1_000 * ahead)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic() + Duration::from_secs(self.1.load(Ordering::SeqCst))
    }
}

/// The watcher, which looks as in the agent.
struct Watching(Box<dyn Watcher>, Host, Arc<Ahead>);

impl Watching {
    fn new(name: &str) -> Self {
        Self::set(name, "")
    }

    /// With settings over those of the sample.
    fn set(name: &str, settings: &str) -> Self {
        let spec = ALL.iter().find(|spec| spec.name == name).expect("a watcher");
        let clock = Arc::new(Ahead(SystemClock::new(), AtomicU64::new(0)));
        let mut table: toml::Table = spec.sample.parse().expect("TOML");
        table.extend(settings.parse::<toml::Table>().expect("TOML"));
        let watcher = spec.make(table).expect("settings");
        Self(watcher, Host::new("/", clock.clone()), clock)
    }

    /// Lets seconds pass.
    fn later(&self, seconds: u64) {
        self.2.1.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Looks to the end of the look.
    fn whole(&mut self) -> Told {
        let mut told = Told::default();
        loop {
            let mut look = Look::new(&self.1, self.2.now(), &[], &|_: &str| None);
            let progress = self.0.poll(&mut look).expect("a look");
            let slice = look.into_told();
            told.facts.extend(slice.facts);
            told.samples.extend(slice.samples);
            told.events.extend(slice.events);
            told.problems.extend(slice.problems);
            if progress != Progress::More {
                return told;
            }
        }
    }

    /// The row of the server with its data there.
    fn look(&mut self, folder: &str) -> Option<Fact> {
        row_of(self.whole(), folder)
    }
}

fn row_of(told: Told, folder: &str) -> Option<Fact> {
    let folder = Value::Text(folder.into());
    told.facts.into_iter().map(|(_, fact)| fact).find(|fact| fact.fields.get("datadir") == Some(&folder))
}

/// The value of a series of the only server that has such a one.
fn sample(told: &Told, name: &str, label: Option<(&str, &str)>) -> Option<f64> {
    let fits = |series: &Series| {
        let label =
            label.is_none_or(|(label, value)| series.labels.iter().any(|(l, v)| l == label && *v == value.into()));
        series.name == name && label
    };
    told.samples.iter().find(|(series, ..)| fits(series)).map(|(.., value)| *value)
}

fn number(fact: &Fact, column: &str) -> f64 {
    told(fact, column).parse().expect("a number")
}

fn told(fact: &Fact, column: &str) -> String {
    fact.fields.get(column).map_or_else(|| format!("{:?}", fact.unknown.get(column)), Value::to_string)
}

/// Looks while it runs, and says what was told of version, running version, package and its version.
fn judge(watching: &mut Watching, folder: &str, version: &str) {
    for _ in 0..3 {
        let fact = watching.look(folder).expect("a row");
        assert_eq!(told(&fact, "version"), version);
        assert_eq!(told(&fact, "running_version"), version);
        assert_eq!((told(&fact, "running"), told(&fact, "restart_needed")), ("true".to_owned(), "false".to_owned()));
        let package = told(&fact, "package");
        assert_eq!(told(&fact, "package_version"), said(&["dpkg-query", "-W", "-f=${Version}", &package]));
        assert_eq!(told(&fact, "provenance"), "debian");
    }
}

fn stopped(watching: &mut Watching, folder: &str) {
    let running = || watching.look(folder).map(|fact| told(&fact, "running")).unwrap_or_default();
    eventually("the stop", Duration::from_secs(10), running, |running| running == "false");
}

fn mariadb(place: &Place, program: &str, more: &[&str]) -> Running {
    let data = place.at("data");
    said(&["install", "-d", "-o", "mysql", &data]);
    let skip = "--auth-root-authentication-method=normal";
    said(&[
        "mariadb-install-db",
        "--no-defaults",
        "--user=mysql",
        skip,
        "--skip-test-db",
        &format!("--datadir={data}"),
    ]);
    let own = [
        format!("--datadir={data}"),
        format!("--socket={}", place.at("s.sock")),
        format!("--pid-file={}", place.at("pid")),
        format!("--log-error={}", place.at("error.log")),
    ];
    let usual = [program, "--no-defaults", "--skip-networking", "--user=mysql", "--log-warnings=9"];
    let words: Vec<&str> =
        usual.into_iter().chain(own.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    let server = Running::start(&words);
    is_up(&["mariadb-admin", "--no-defaults", "-uroot", "-S", &place.at("s.sock"), "ping"]);
    server
}

fn query(place: &Place, text: &str) -> String {
    said(&["mariadb", "--no-defaults", "-uroot", "-S", &place.at("s.sock"), "-BNe", text])
}

fn aborted(place: &Place) -> u32 {
    let said = query(place, "SHOW GLOBAL STATUS LIKE 'Aborted_connects'");
    said.split('\t').nth(1).and_then(|count| count.parse().ok()).expect("a count")
}

#[test]
fn mariadb_is_told_as_it_tells_itself_and_its_log_has_not_one_line_of_ours() {
    if !needs::has("MariaDB", &["mariadbd", "mariadb-install-db", "mariadb", "dpkg-query"], true) {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new("mariadb", "mysql");
    let mut server = mariadb(&place, "/usr/sbin/mariadbd", &[]);
    let version = query(&place, "SELECT VERSION()");
    let log = || std::fs::read_to_string(place.at("error.log")).expect("its log").lines().count();
    let (lines, visits) = (log(), aborted(&place));
    let mut watching = Watching::new("mysql");
    judge(&mut watching, &place.at("data"), version.split('-').next().expect("a version"));
    assert_eq!((log(), aborted(&place)), (lines, visits), "lines in its log, and visits that it counted");
    server.stop();
    stopped(&mut watching, &place.at("data"));
}

#[test]
fn a_mariadb_of_which_neither_package_nor_binary_tells_is_asked_once() {
    if !needs::has("MariaDB", &["mariadbd", "mariadb-install-db", "mariadb"], true) {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new("mariadb-own", "mysql");
    let program = place.at("mysqld");
    let mut bytes = std::fs::read("/usr/sbin/mariadbd").expect("the program");
    for at in 0..bytes.len() - 8 {
        if bytes[at..].starts_with(b"-MariaDB") {
            bytes[at..at + 8].copy_from_slice(b"-private");
        }
    }
    std::fs::write(&program, bytes).expect("a copy");
    said(&["chmod", "755", &program]);
    let mut server = mariadb(&place, &program, &[]);
    let version = query(&place, "SELECT VERSION()");
    let before = aborted(&place);
    let mut watching = Watching::new("mysql");
    for _ in 0..3 {
        let fact = watching.look(&place.at("data")).expect("a row");
        assert_eq!(told(&fact, "version"), version.split('-').next().expect("a version"));
        assert_eq!(told(&fact, "provenance"), "self-built");
    }
    eventually("the visit", Duration::from_secs(10), || aborted(&place), |after| *after > before);
    assert_eq!(aborted(&place), before + 1);
    server.stop();
}

/// A cluster of Debian's PostgreSQL, which runs in the background.
struct Cluster {
    bin: PathBuf,
    place: Place,
}

impl Cluster {
    /// `None`, and why: this machine has none.
    fn start(name: &str) -> Option<Self> {
        let Some(bin) = std::fs::read_dir("/usr/lib/postgresql").ok().and_then(|mut all| all.next()) else {
            eprintln!("skipped: PostgreSQL needs postgres");
            return None;
        };
        if !needs::has("PostgreSQL", &["runuser", "psql", "dpkg-query"], true) {
            return None;
        }
        let cluster = Self { bin: bin.expect("a folder").path().join("bin"), place: Place::new(name, "postgres") };
        cluster.run("initdb", &["-D", &cluster.data()]);
        let options = format!("-k {} -c listen_addresses=''", cluster.place.at(""));
        let log = cluster.place.at("log");
        cluster.run("pg_ctl", &["-D", &cluster.data(), "-w", "-l", &log, "-o", &options, "start"]);
        Some(cluster)
    }

    fn data(&self) -> String {
        self.place.at("15/own")
    }

    fn run(&self, name: &str, words: &[&str]) -> String {
        let program = self.bin.join(name).display().to_string();
        said(&[&["runuser", "-u", "postgres", "--", &program], words].concat())
    }

    fn query(&self, text: &str) -> String {
        said(&["runuser", "-u", "postgres", "--", "psql", "-h", &self.place.at(""), "-Atc", text])
    }

    fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-m", "fast", "stop"]);
    }
}

#[test]
fn postgresql_is_told_as_it_tells_itself() {
    let Some(cluster) = Cluster::start("postgresql") else { return };
    let version = cluster.query("SHOW server_version");
    let mut watching = Watching::new("postgresql");
    judge(&mut watching, &cluster.data(), version.split(' ').next().expect("a version"));
    cluster.stop();
    stopped(&mut watching, &cluster.data());
}

#[test]
fn redis_is_told_as_it_tells_itself() {
    if !needs::has("Redis", &["redis-server", "redis-cli", "dpkg-query"], true) {
        return;
    }
    let place = Place::new("redis", "root");
    let socket = place.at("own.sock");
    let data = place.at("data");
    said(&["install", "-d", &data]);
    let mut server = Running::start(&["redis-server", "--port", "0", "--unixsocket", &socket, "--dir", &data]);
    is_up(&["redis-cli", "-s", &socket, "ping"]);
    let info = said(&["redis-cli", "-s", &socket, "INFO", "server"]);
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).expect("a version").trim();
    let mut watching = Watching::new("redis");
    judge(&mut watching, &data, version);
    server.stop();
    stopped(&mut watching, &data);
}
