//! A real PHP-FPM of Debian, started by the test on a configuration, a socket and a pid file of its own: what is told of its
//! pool while all workers are busy, and of what is in effect, on disk, and not the same.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plumb_agent::host::Host;
use plumb_agent::host::sys::thread_cpu_time;
use plumb_agent::kept::{Kept, Row};
use plumb_agent::watcher::{Look, Stored, Told, Watcher};
use plumb_agent::watchers::ALL;
use plumb_proto::model::{Fact, Value};
use plumb_proto::time::{Clock as _, SystemClock};
use plumb_tests::eventually::eventually;
use plumb_tests::needs;

const PROGRAM: &str = "php-fpm8.2";

/// FPM in the foreground, in a folder of its own; both go with the test.
struct Fpm {
    folder: PathBuf,
    master: Child,
}

impl Fpm {
    fn start(name: &str, pool: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plumb-fpm-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let me = |file: &str| folder.join(file).display().to_string();
        std::fs::write(folder.join("wait.php"), "<?php usleep(1000 * (int) $_GET['ms']); echo 'done';")
            .expect("a script");
        let text = format!(
            "[global]\npid = {}\nerror_log = {}\n[own]\nuser = www-data\ngroup = www-data\nlisten = {}\n{pool}",
            me("fpm.pid"),
            me("log"),
            me("own.sock"),
        );
        std::fs::write(folder.join("fpm.conf"), text).expect("a configuration");
        let chmod = Command::new("chmod").args(["-R", "a+rX"]).arg(&folder).status().expect("chmod");
        assert!(chmod.success());
        let mut command = Command::new(PROGRAM);
        command.args(["-F", "-y", &me("fpm.conf")]).stdout(Stdio::null()).stderr(Stdio::null());
        let fpm = Self { master: command.spawn().expect(PROGRAM), folder };
        fpm.has_loaded();
        fpm
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Waits until it takes requests.
    fn has_loaded(&self) {
        let ask = || UnixStream::connect(self.at("own.sock")).is_ok() && self.at("fpm.pid").exists();
        eventually("FPM", Duration::from_secs(20), ask, |up| *up);
    }

    fn reload(&self) {
        let pid_file = || std::fs::metadata(self.at("fpm.pid")).and_then(|meta| meta.modified()).ok();
        let before = pid_file();
        let sent = Command::new("kill").args(["-USR2", &self.master.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        eventually("the reload", Duration::from_secs(20), pid_file, |now| now.is_some() && *now != before);
    }

    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.at("fpm.conf")).expect("its configuration");
        assert!(text.contains(from));
        std::fs::write(self.at("fpm.conf"), text.replace(from, to)).expect("its configuration");
    }

    /// Begins a request that takes so long; it ends with the connection.
    fn request(&self, ms: u32) -> UnixStream {
        let mut socket = UnixStream::connect(self.at("own.sock")).expect("a connection");
        let script = self.at("wait.php").display().to_string();
        let pairs =
            [("SCRIPT_FILENAME", script), ("REQUEST_METHOD", "GET".to_owned()), ("QUERY_STRING", format!("ms={ms}"))];
        let mut words = Vec::new();
        for (name, value) in pairs {
            words.extend([name.len(), value.len()].map(|length| u8::try_from(length).expect("short")));
            words.extend([name.as_bytes(), value.as_bytes()].concat());
        }
        // FastCGI 1.0: begin (role 1, close at the end), parameters, the end of both streams
        let parts = [record(1, &[0, 1, 0, 0, 0, 0, 0, 0]), record(4, &words), record(4, &[]), record(5, &[])];
        socket.write_all(&parts.concat()).expect("a request");
        socket
    }
}

impl Drop for Fpm {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.master.id().to_string()).status();
        let _ = self.master.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&[1, kind, 0, 1, high, low, 0, 0], content].concat()
}

/// The watcher, which looks as in the agent, and what it keeps.
struct Watching {
    watcher: Box<dyn Watcher>,
    host: Host,
    clock: Arc<SystemClock>,
    kept: Kept,
}

struct Held<'a>(&'a Kept);

impl Stored for Held<'_> {
    fn cursor(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    fn kept(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)?.map(<[u8]>::to_vec)
    }

    fn kept_after(&self, key: &[u8]) -> Option<Row> {
        self.0.after(key, &mut |_| None)
    }

    fn keeps(&self) -> bool {
        true
    }
}

impl Watching {
    fn new() -> Self {
        let clock = Arc::new(SystemClock::new());
        Self { watcher: watcher(), host: Host::new("/", clock.clone()), clock, kept: Kept::default() }
    }

    /// Looks to the end, because of what changed at these paths.
    fn look(&mut self, trigger: &[PathBuf]) -> Told {
        loop {
            let held = Held(&self.kept);
            let mut look = Look::new(&self.host, self.clock.now(), trigger, &held);
            let progress = self.watcher.poll(&mut look).expect("a look");
            let mut told = look.into_told();
            self.kept.extend(std::mem::take(&mut told.kept));
            if progress != plumb_agent::watcher::Progress::More {
                return told;
            }
        }
    }

    fn row(&mut self, fpm: &Fpm, trigger: &[PathBuf]) -> Fact {
        let config = Value::Text(fpm.at("fpm.conf").display().to_string().into());
        let facts = self.look(trigger).facts;
        let mut rows = facts.into_iter().filter(|(table, _)| table.name == "php_pool").map(|(_, fact)| fact);
        rows.find(|fact| fact.fields.get("config") == Some(&config)).expect("a row")
    }
}

fn watcher() -> Box<dyn Watcher> {
    let spec = ALL.iter().find(|spec| spec.name == "php").expect("the watcher");
    spec.make(spec.sample.parse().expect("TOML")).expect("settings")
}

fn told(fact: &Fact, column: &str) -> String {
    match fact.unknown.get(column) {
        Some(why) => format!("?{why}"),
        None => fact.fields.get(column).map_or_else(|| "-".to_owned(), Value::to_string),
    }
}

fn numbers(fact: &Fact) -> String {
    ["saturated", "queue", "workers"].map(|column| told(fact, column)).join(" ")
}

/// Looks in the agent's rhythm until that is told; answers after how long.
fn until(watching: &mut Watching, fpm: &Fpm, expected: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let fact = watching.row(fpm, &[]);
        if numbers(&fact) == expected {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "told {}, expected {expected}", numbers(&fact));
        std::thread::sleep(watching.watcher.again().unwrap_or(Duration::from_secs(5)));
    }
}

#[test]
fn a_pool_whose_workers_are_all_busy_is_told_with_its_queue_within_seconds_and_recovers() {
    if !needs::has("PHP-FPM", &[PROGRAM, "kill", "chmod"], true) {
        return;
    }
    let fpm = Fpm::start("full", "pm = static\npm.max_children = 5\n");
    let mut watching = Watching::new();
    assert_eq!(numbers(&watching.row(&fpm, &[])), "false - -");
    let mut requests: Vec<UnixStream> = (0..8).map(|_| fpm.request(12_000)).collect();
    let took = until(&mut watching, &fpm, "true 3 5");
    assert!(took < Duration::from_secs(15), "{took:?}");
    requests.truncate(5);
    for mut request in requests {
        let mut answer = Vec::new();
        request.read_to_end(&mut answer).expect("an answer");
        assert!(answer.windows(4).any(|part| part == b"done"));
    }
    until(&mut watching, &fpm, "false - -");
}

#[test]
fn a_pool_whose_workers_all_serve_somebody_while_nobody_waits_yet_is_full_too_and_idle_ones_are_not() {
    if !needs::has("PHP-FPM", &[PROGRAM, "kill", "chmod"], true) {
        return;
    }
    let spare = "pm.start_servers = 2\npm.min_spare_servers = 1\npm.max_spare_servers = 2\n";
    let fpm = Fpm::start("busy", &format!("pm = dynamic\npm.max_children = 2\n{spare}"));
    let mut watching = Watching::new();
    for _ in 0..3 {
        assert_eq!(numbers(&watching.row(&fpm, &[])), "false - -", "all workers are there, and idle");
        std::thread::sleep(Duration::from_secs(3));
    }
    let requests: Vec<UnixStream> = (0..2).map(|_| fpm.request(12_000)).collect();
    let took = until(&mut watching, &fpm, "true 0 2");
    assert!(took < Duration::from_secs(15), "{took:?}");
    for mut request in requests {
        request.read_to_end(&mut Vec::new()).expect("an answer");
    }
    until(&mut watching, &fpm, "false - -");
}

#[test]
fn what_is_on_disk_and_not_in_effect_is_told_until_a_reload_and_a_touch_is_nothing() {
    if !needs::has("PHP-FPM", &[PROGRAM, "kill", "chmod"], true) {
        return;
    }
    let pool = "pm = static\npm.max_children = 1\nphp_admin_value[memory_limit] = 128M\n";
    let fpm = Fpm::start("loaded", pool);
    let config = [fpm.at("fpm.conf")];
    let mut watching = Watching::new();
    let state = |fact: &Fact| format!("{} {}", told(fact, "reload_needed"), told(fact, "pending"));
    let first = watching.row(&fpm, &[]);
    assert_eq!(state(&first), "false -");

    fpm.edit("[own]", "; a word\n[own]");
    assert_eq!(state(&watching.row(&fpm, &config)), "false -", "nothing but a comment");
    fpm.edit("= 128M", "= 256M");
    let expected = "true memory_limit: 128M in effect, 256M on disk";
    assert_eq!(state(&watching.row(&fpm, &config)), expected);
    assert_eq!(told(&watching.row(&fpm, &[]), "memory_limit_bytes"), (256 << 20).to_string());
    watching.watcher = watcher();
    assert_eq!(state(&watching.row(&fpm, &[])), expected, "after a restart of the agent");

    let mut later = Watching::new();
    let blind = "true fpm.conf was changed after it was loaded; what is in effect cannot be seen";
    assert_eq!(state(&later.row(&fpm, &[])), blind, "by an agent that came later");

    fpm.reload();
    let loaded = watching.row(&fpm, &[fpm.at("fpm.pid")]);
    assert_eq!(state(&loaded), "false -");
    assert_ne!(told(&loaded, "config_loaded"), told(&first, "config_loaded"));
    fpm.edit("= 256M", "= 128M");
    assert_eq!(state(&watching.row(&fpm, &config)), "true memory_limit: 256M in effect, 128M on disk");
}

#[test]
fn a_status_page_tells_how_many_workers_serve_somebody() {
    if !needs::has("PHP-FPM", &[PROGRAM, "kill", "chmod"], true) {
        return;
    }
    let fpm = Fpm::start("page", "pm = static\npm.max_children = 3\npm.status_path = /fpm-status\n");
    let _request = fpm.request(5_000);
    std::thread::sleep(Duration::from_millis(500));
    let told = Watching::new().look(&[]);
    let ours = fpm.at("fpm.conf").display().to_string();
    let mut lines: Vec<String> = told
        .samples
        .iter()
        .filter(|(series, ..)| series.to_string().contains(&ours))
        .map(|(series, _, value)| format!("{} {value}", series.name))
        .filter(|line| !line.contains("memory"))
        .collect();
    lines.sort();
    let expected = [
        "php_pool_listen_queue 0",
        "php_pool_slow_requests_total 0",
        "php_pool_workers 3",
        "php_pool_workers_active 1",
        "php_pool_workers_idle 2",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_look_in_between_costs_less_than_a_millisecond() {
    if !needs::has("PHP-FPM", &[PROGRAM, "kill", "chmod"], true) {
        return;
    }
    let fpm = Fpm::start("cheap", "pm = static\npm.max_children = 5\n");
    let mut watching = Watching::new();
    watching.row(&fpm, &[]);
    let before = thread_cpu_time();
    for _ in 0..100 {
        watching.look(&[]);
    }
    let each = (thread_cpu_time() - before) / 100;
    // Built without optimizations it takes some times as long.
    let limit = if cfg!(debug_assertions) { 5_000 } else { 1_000 };
    assert!(each < Duration::from_micros(limit), "{each:?}");
    eprintln!("a look in between costs {each:?}");
}
