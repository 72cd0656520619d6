//! Real database servers of Debian, started by the test on folders and sockets of their own: what the watchers tell of
//! them is what dpkg and the servers themselves say, and a server hears nothing of our looks.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plumb_agent::host::Host;
use plumb_agent::watcher::{Look, Watcher};
use plumb_agent::watchers::ALL;
use plumb_proto::model::{Fact, Value};
use plumb_proto::time::{Clock as _, SystemClock};
use plumb_tests::eventually::eventually;
use plumb_tests::needs;

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

/// The watcher, which looks as in the agent.
struct Watching(Box<dyn Watcher>, Host, Arc<SystemClock>);

impl Watching {
    fn new(name: &str) -> Self {
        let spec = ALL.iter().find(|spec| spec.name == name).expect("a watcher");
        let clock = Arc::new(SystemClock::new());
        let watcher = spec.make(spec.sample.parse().expect("TOML")).expect("settings");
        Self(watcher, Host::new("/", clock.clone()), clock)
    }

    /// The row of the server with its data there.
    fn look(&mut self, folder: &str) -> Option<Fact> {
        let mut look = Look::new(&self.1, self.2.now(), &[], &|_: &str| None);
        self.0.poll(&mut look).expect("a look");
        let folder = Value::Text(folder.into());
        let mut facts = look.into_told().facts.into_iter().map(|(_, fact)| fact);
        facts.find(|fact| fact.fields.get("datadir") == Some(&folder))
    }
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

fn mariadb(place: &Place, program: &str) -> Running {
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
    let server = Running::start(&[
        program,
        "--no-defaults",
        "--skip-networking",
        "--user=mysql",
        "--log-warnings=9",
        &format!("--datadir={data}"),
        &format!("--socket={}", place.at("s.sock")),
        &format!("--pid-file={}", place.at("pid")),
        &format!("--log-error={}", place.at("error.log")),
    ]);
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
    let mut server = mariadb(&place, "/usr/sbin/mariadbd");
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
    let mut server = mariadb(&place, &program);
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

#[test]
fn postgresql_is_told_as_it_tells_itself() {
    let Some(bin) = std::fs::read_dir("/usr/lib/postgresql").ok().and_then(|mut all| all.next()) else {
        eprintln!("skipped: PostgreSQL needs postgres");
        return;
    };
    let bin = bin.expect("a folder").path().join("bin");
    if !needs::has("PostgreSQL", &["runuser", "psql", "dpkg-query"], true) {
        return;
    }
    let place = Place::new("postgresql", "postgres");
    let (data, sockets) = (place.at("15/own"), place.at(""));
    let program = |name: &str| Path::new(&bin).join(name).display().to_string();
    let as_postgres = |words: &[&str]| said(&[&["runuser", "-u", "postgres", "--"], words].concat());
    as_postgres(&[&program("initdb"), "-D", &data]);
    let options = format!("-k {sockets} -c listen_addresses=''");
    let log = place.at("log");
    as_postgres(&[&program("pg_ctl"), "-D", &data, "-w", "-l", &log, "-o", &options, "start"]);
    let version = as_postgres(&["psql", "-h", &sockets, "-Atc", "SHOW server_version"]);
    let mut watching = Watching::new("postgresql");
    judge(&mut watching, &data, version.split(' ').next().expect("a version"));
    as_postgres(&[&program("pg_ctl"), "-D", &data, "-w", "-m", "fast", "stop"]);
    stopped(&mut watching, &data);
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
