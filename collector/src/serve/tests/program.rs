//! The whole program, as a service manager sees it: each run is a process of its own, which is this test binary again. What
//! is locked stays locked, and signals and the environment are a process's own.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid};
use plumb_proto::time::SystemClock;

use super::*;
use crate::store::Tx;
use crate::stores::contract::bench::host_row;

/// Names what the child process does, and where.
const DOES: &str = "PLUMB_TEST_DOES";
const FOLDER: &str = "PLUMB_TEST_FOLDER";
const CHILD: &str = "serve::tests::program::works_in_a_process_of_its_own";
/// A group that has no name here.
const GROUP: u32 = 4242;

#[allow(clippy::disallowed_methods)] // a test may run programs: this one runs itself
fn child(folder: &Path, does: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CHILD, "--nocapture"]).env(DOES, does).env(FOLDER, folder);
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
    command
}

fn ended(folder: &Path, does: &str) -> Output {
    child(folder, does).output().unwrap()
}

#[test]
fn works_in_a_process_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Folder(PathBuf::from(folder));
    match std::env::var(DOES).unwrap().as_str() {
        "serve" => {
            let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false);
            log.init();
            let config = folder.0.join("collector.toml");
            let arguments = ["plumb-collector", "serve", "--config", config.to_str().unwrap()];
            assert_eq!(crate::admin::run(arguments.map(Into::into)), 0);
        }
        "hang" => hang(&folder.0),
        "member" => {
            // in this order: whoever is not root any more may change neither
            nix::unistd::setgroups(&[Gid::from_raw(GROUP)]).unwrap();
            nix::unistd::setgid(Gid::from_raw(65_534)).unwrap();
            nix::unistd::setuid(Uid::from_raw(65_534)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                query::listen_for(&folder.0.join("sock"), Some(Gid::from_raw(GROUP))).map(drop).unwrap();
            });
        }
        attempt => planted(&folder, attempt),
    }
    std::mem::forget(folder); // it is the other process's
}

/// What an intruder in the collector's own process tries.
fn planted(folder: &Folder, attempt: &str) {
    let config = folder.config();
    let locked = lock_up(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (dir, attempt) = (folder.0.clone(), attempt.to_owned());
    runtime.block_on(async {
        let collector = Collector::start(config, Arc::new(SystemClock::new())).await.unwrap();
        // whoever has come in by the network is on one of these threads
        let tries = tokio::task::spawn_blocking(move || if attempt == "exec" { exec() } else { tries(&dir) });
        let mut said = tries.await.unwrap();
        said += &format!("seccomp {}, landlock {}\n", locked.seccomp, locked.landlock);
        let at = collector.addresses().health;
        let health = tokio::task::spawn_blocking(move || http(at, "/healthz")).await.unwrap();
        said += health.lines().last().unwrap();
        std::io::stdout().write_all(said.as_bytes()).unwrap();
        collector.stop().await.unwrap();
    });
}

fn exec() -> String {
    let _ = nix::unistd::execv(c"/bin/true", &[c"true"]);
    String::new()
}

#[allow(clippy::disallowed_methods)]
fn tries(dir: &Path) -> String {
    use rusqlite::Connection;
    let number = |error: std::io::Error| error.raw_os_error();
    let outside = dir.join("outside");
    let inside = dir.join("state/inside");
    std::fs::write(&inside, "1").and_then(|()| std::fs::rename(&inside, dir.join("state/moved"))).unwrap();
    // more than fits into SQLite's memory: it needs a file, and may have one only where the collector's own are
    let spill = "PRAGMA temp_store = file; PRAGMA cache_size = 10; CREATE TEMP TABLE big (x); \
                 WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO big SELECT randomblob(4000) FROM n";
    format!(
        "spawn {:?}\nmount {:?}\nread {:?}\nwrite {:?}\nremove {:?}\nspill {:?}\n",
        Command::new("/bin/true").spawn().map(drop).map_err(number),
        nix::mount::mount(None::<&str>, dir, Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>),
        std::fs::read_to_string(&outside).unwrap(),
        std::fs::write(&outside, "after").map_err(number),
        std::fs::remove_file(&outside).map_err(number),
        Connection::open_in_memory().unwrap().execute_batch(spill),
    )
}

#[test]
fn whoever_is_in_the_collectors_process_writes_nowhere_else_and_starts_nothing() {
    let folder = Folder::new("planted");
    // beside the two folders that it may write to
    std::fs::create_dir_all(folder.0.join("run")).unwrap();
    std::fs::write(folder.0.join("outside"), "before").unwrap();
    let output = ended(&folder.0, "tries");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["spawn Err(Some(1))\n", "mount Err(EPERM)\n", "read \"before\"\n", "spill Ok(())\n", "seccomp on, "] {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
    if said.contains("landlock on") {
        for line in ["write Err(Some(13))\n", "remove Err(Some(13))\n"] {
            assert!(said.contains(line), "{line:?} is not in {said}");
        }
        assert!(std::fs::read(folder.0.join("outside")).is_ok_and(|left| left == b"before"));
    } else {
        eprintln!("skipped: that writing outside is refused needs a kernel with Landlock");
    }
    let output = ended(&folder.0, "exec");
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
}

#[test]
fn a_member_of_the_group_who_is_not_root_gives_it_the_socket() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: becoming somebody else needs root");
        return;
    }
    let folder = Folder::new("member");
    nix::unistd::chown(&folder.0, Some(Uid::from_raw(65_534)), None).unwrap();
    let output = ended(&folder.0, "member");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let socket = std::fs::metadata(folder.0.join("sock")).unwrap();
    assert_eq!((socket.uid(), socket.gid(), socket.permissions().mode() & 0o777), (65_534, GROUP, 0o660));
}

/// The manager's end of the notify socket.
fn manager(folder: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(folder.join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// The next message that holds `wanted`; those before it are passed over, and counted if they feed the watchdog.
fn next(socket: &UnixDatagram, wanted: &str) -> (String, usize) {
    let (mut buffer, mut fed, mut others) = ([0; 4096], 0, Vec::new());
    for _ in 0..50 {
        let count = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {wanted}: {error}; {others:?}"));
        let message = String::from_utf8_lossy(&buffer[..count]).into_owned();
        if message.contains(wanted) {
            return (message, fed);
        }
        fed += usize::from(message == "WATCHDOG=1\n");
        others.push(message);
    }
    panic!("no {wanted}: {others:?}");
}

/// `serve`, and the lines of its log as they come.
struct Service {
    child: Child,
    log: Receiver<String>,
    socket: UnixDatagram,
}

impl Service {
    fn start(folder: &Folder) -> Self {
        std::fs::write(folder.0.join("collector.toml"), folder.text()).unwrap();
        let socket = manager(&folder.0);
        let mut child = child(&folder.0, "serve");
        child.env("NOTIFY_SOCKET", folder.0.join("notify")).env("WATCHDOG_USEC", "8000000");
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (told, log) = sync_channel(1000);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
        Self { child, log, socket }
    }

    fn logged(&self, wanted: &str) -> String {
        let mut others = Vec::new();
        while let Ok(line) = self.log.recv_timeout(Duration::from_secs(20)) {
            if line.contains(wanted) {
                return line;
            }
            others.push(line);
        }
        panic!("{wanted:?} is not in {others:#?}");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// The status line after a reload.
    fn reload(&self) -> String {
        self.signal(Signal::SIGHUP);
        let (message, _) = next(&self.socket, "RELOADING=1\n");
        let at = message.split_once("MONOTONIC_USEC=").unwrap().1.trim();
        assert!(at.parse::<u64>().is_ok_and(|at| at > 0), "{message}");
        next(&self.socket, "READY=1\n").0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_service_manager_is_told_of_every_step_and_a_mistake_changes_nothing() {
    let folder = Folder::new("manager");
    let mut service = Service::start(&folder);
    let log = service.logged("health on ");
    let health: SocketAddr = log.split_once("health on ").unwrap().1.split(',').next().unwrap().parse().unwrap();
    assert_eq!(next(&service.socket, "READY=1\n").0, "READY=1\nSTATUS=0 hosts connected\n");
    next(&service.socket, "WATCHDOG=1\n");
    // whatever runs in the process runs behind the locks; the first thread is the test harness
    let tasks = std::fs::read_dir(format!("/proc/{}/task", service.child.id())).unwrap();
    let status = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default());
    let open: Vec<String> = status.filter(|text| text.contains("\nSeccomp:\t0\n")).collect();
    assert!(open.len() <= 1, "{open:#?}");

    std::fs::write(folder.0.join("collector.toml"), format!("{}[drift]\nsilent_after = \"soon\"\n", folder.text()))
        .unwrap();
    let told = "the last reload found 1 mistake, see the log: the earlier settings are in force";
    assert_eq!(service.reload(), format!("READY=1\nSTATUS=0 hosts connected; {told}\n"));
    let mistake = service.logged("reload: ");
    assert!(mistake.contains("ERROR") && mistake.contains("collector.toml:"), "{mistake}");
    assert!(http(health, "/metrics").contains("\nplumb_config_last_reload_successful 0\n"));
    assert!(http(health, "/healthz").ends_with(&format!("ok\nwarning: {told}\n")) || !has_landlock(health));

    std::fs::write(folder.0.join("collector.toml"), folder.text()).unwrap();
    assert_eq!(service.reload(), "READY=1\nSTATUS=0 hosts connected\n");
    let metrics = http(health, "/metrics");
    assert!(metrics.contains("\nplumb_config_last_reload_successful 1\n"), "{metrics}");
    assert!(metrics.contains("\nplumb_config_last_reload_success_timestamp_seconds 1"), "{metrics}");
    assert!(metrics.contains("\nplumb_sandbox{lock=\"seccomp\"} 1\n"), "{metrics}");

    service.signal(Signal::SIGTERM);
    next(&service.socket, "STOPPING=1\n");
    assert!(service.child.wait().unwrap().success());
    assert!(!folder.0.join("run/collector.sock").exists(), "it may still remove its socket");
}

#[test]
fn a_restore_that_was_interrupted_is_finished_ahead_of_the_locks() {
    let folder = Folder::new("finishes");
    std::fs::create_dir_all(folder.0.join("state/restore.ready/aside")).unwrap();
    std::fs::create_dir_all(folder.0.join("state/restore.part")).unwrap();
    let service = Service::start(&folder);
    service.logged("a restore that had been interrupted is finished");
    service.logged("sandbox: seccomp ");
    assert!(!folder.0.join("state/restore.ready").exists() && !folder.0.join("state/restore.part").exists());
}

#[test]
fn a_start_that_takes_long_ends_when_asked() {
    let folder = Folder::new("deaf");
    std::fs::create_dir_all(folder.0.join("state")).unwrap();
    let holds = rusqlite::Connection::open(folder.0.join("state/collector.db")).unwrap();
    holds.execute_batch("CREATE TABLE t (n); BEGIN EXCLUSIVE").unwrap(); // opening it waits for 5 s
    let mut service = Service::start(&folder);
    let hears = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
        caught.is_some_and(|set| u64::from_str_radix(set, 16).unwrap() >> (libc::SIGHUP - 1) & 1 == 1)
    };
    for _ in 0..1000 {
        if hears() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    service.signal(Signal::SIGTERM);
    service.logged("stopping before the start was complete");
    assert!(service.child.wait().unwrap().success());
}

/// Where the kernel lacks a lock, that is a second warning.
fn has_landlock(health: SocketAddr) -> bool {
    http(health, "/metrics").contains("\nplumb_sandbox{lock=\"landlock\"} 1\n")
}

/// A store that takes nothing any more after some commits, and says nothing either.
struct Hangs(Box<dyn Store>, usize);

impl Store for Hangs {
    fn commit(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<()>) -> Result<()> {
        self.1 = self.1.checked_sub(1).unwrap_or_else(|| {
            loop {
                std::thread::park();
            }
        });
        // an error is an answer
        let _ = self.0.commit(work);
        bail!("database or disk is full")
    }

    fn questions(&self) -> Result<Box<dyn Questions>> {
        self.0.questions()
    }
}

fn hang(folder: &Path) {
    let mut store = crate::stores::open(folder.join("db").to_str().unwrap()).unwrap();
    store.commit(&mut |tx| tx.save_host(&host_row(1, "web-1"))).unwrap();
    let (writer, _) = Writer::start(Box::new(Hangs(store, 3))).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (beat, condition) = (watchdog::Beat::default(), Arc::new(Condition::new(clock.now())));
    let connections = Connections::new(clock.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let parts = systemd::Parts { writer, beat: beat.clone(), connections, condition, clock };
    let (_stop, stopped) = watch::channel(false);
    runtime.block_on(async {
        tokio::spawn(systemd::attend(parts, stopped));
        for _ in 0..600 {
            beat.beat();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn a_store_that_answers_with_errors_feeds_the_watchdog_and_one_that_hangs_does_not() {
    let folder = Folder::new("hangs");
    let socket = manager(&folder.0);
    let mut child = child(&folder.0, "hang");
    child.env("NOTIFY_SOCKET", folder.0.join("notify")).env("WATCHDOG_USEC", "4000000");
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (_, fed) = next(&socket, "STATUS=the store takes nothing: database or disk is full\n");
    let (_, more) = next(&socket, "STATUS=the writer does not answer (for ");
    assert!(fed + more >= 2, "{fed} and {more}");
    // and so it stays: the manager's patience is over by now
    let fed: usize = (0..3).map(|_| next(&socket, "STATUS=the writer does not answer (for ").1).sum();
    assert_eq!(fed, 0);
    child.kill().unwrap();
    child.wait().unwrap();
}
