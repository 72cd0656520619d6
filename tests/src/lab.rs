//! Whole programs in one temporary folder: a collector, an agent, the command line, a webhook sink. They are started,
//! killed and started again as an operating system would; what they keep is all in the folder.

mod asks;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::container::children;
use crate::eventually::eventually;
use crate::small_disk::SmallDisk;

/// Where the programs are. `run-tests` builds the release programs and tells by environment.
///
/// # Panics
/// The variable is not set: a missing program is a failure, not a skip.
#[must_use]
pub fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} names no program: start the tests with ./run-tests"));
    PathBuf::from(path)
}

/// A collector and an agent with all their state in one folder, which goes with it.
pub struct Lab {
    /// The folder.
    pub dir: PathBuf,
    /// The folder that the agent takes for its host's root; the machine's own where there is none.
    pub root: Option<PathBuf>,
    /// First process of the container that the agent lives in; the collector shares its network. See [`Lab::move_into`].
    inside: Option<u32>,
    /// The small file system that one of the two keeps its state on, if any.
    pub disk: Option<SmallDisk>,
    agent_program: PathBuf,
    ports: [u16; 3],
    collector: Option<Child>,
    agent: Option<Child>,
    sink: Option<Child>,
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

impl Lab {
    /// An empty lab for `agent_program`, with `agent_config` and `collector_config` added to what it needs itself.
    #[must_use]
    pub fn new(name: &str, agent_program: &Path, agent_config: &str, collector_config: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let dir = std::env::temp_dir().join(format!("plumb-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("policy")).expect("a folder");
        let ports = free_ports();
        let [ingest, enroll, health] = ports;
        let at = dir.display();
        // tables come last in TOML, so what a test adds follows the top-level keys and stands before [listen]
        let collector = format!(
            "state_dir = \"{at}/collector\"\nsocket = \"{at}/plumb.sock\"\nadvertise = \"127.0.0.1\"\n\
             policy_dirs = [\"{at}/policy\"]\n{collector_config}\n[listen]\ningest = \"127.0.0.1:{ingest}\"\n\
             enroll = \"127.0.0.1:{enroll}\"\nhealth = \"127.0.0.1:{health}\"\n"
        );
        fs::write(dir.join("collector.toml"), collector).expect("a configuration");
        fs::write(dir.join("agent.toml"), format!("state_dir = \"{at}/agent\"\n{agent_config}"))
            .expect("a configuration");
        Self {
            dir,
            root: None,
            inside: None,
            disk: None,
            agent_program: agent_program.to_owned(),
            ports,
            collector: None,
            agent: None,
            sink: None,
        }
    }

    /// A lab whose agent also reads numbered lines, from [`Lab::lines`].
    ///
    /// # Panics
    /// The folder cannot be written.
    #[must_use]
    pub fn with_lines(name: &str, agent_program: &Path) -> Self {
        let lab = Self::new(name, agent_program, "", "");
        fs::write(lab.lines(), "").expect("a file");
        let config = format!("state_dir = \"{}\"\n[lines]\npath = \"{}\"\n", lab.path("agent"), lab.path("lines"));
        fs::write(lab.dir.join("agent.toml"), config).expect("a configuration");
        lab
    }

    /// The file whose lines the agent reads.
    #[must_use]
    pub fn lines(&self) -> PathBuf {
        self.dir.join("lines")
    }

    /// From now on the agent lives in the container with this first process, which sees the lab's folder at its path, and the
    /// collector in its network.
    ///
    /// # Panics
    /// The agent's program cannot be copied into the folder.
    pub fn move_into(&mut self, leader: u32) {
        let copy = self.dir.join("plumb-agent");
        fs::copy(&self.agent_program, &copy).expect("a copy of the program");
        (self.agent_program, self.inside) = (copy, Some(leader));
    }

    /// A command, in all namespaces (`-a`) or some of the container, if there is one.
    fn enter(&self, namespaces: &str, program: &Path) -> Command {
        let Some(leader) = self.inside else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.args(["-t", &leader.to_string(), namespaces, "--"]).arg(program);
        command
    }

    fn spawn(&self, mut command: Command, arguments: &[&str], log: &str) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join(log)).expect("a log");
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"))
    }

    /// Path of a file in the folder, as text.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Starts the collector; does not wait for it.
    pub fn start_collector(&mut self) {
        let config = self.path("collector.toml");
        let program = program("PLUMB_COLLECTOR");
        self.collector = Some(self.spawn(self.enter("-n", &program), &["serve", "--config", &config], "collector.log"));
    }

    /// Starts the agent; does not wait for it.
    pub fn start_agent(&mut self) {
        let config = self.path("agent.toml");
        let root = self.root.as_ref().map(|root| root.display().to_string());
        let mut arguments = vec!["run", "--config", &config];
        arguments.extend(root.iter().flat_map(|root| ["--root", root]));
        self.agent = Some(self.spawn(self.enter("-a", &self.agent_program), &arguments, "agent.log"));
    }

    /// Starts something that takes webhooks on the health port plus nothing else; they land in `webhooks`.
    pub fn start_sink(&mut self, program: &Path, address: &str) {
        let file = self.path("webhooks");
        self.sink = Some(self.spawn(self.enter("-n", program), &[address, &file], "sink.log"));
    }

    /// Process number of the agent.
    #[must_use]
    pub fn agent_pid(&self) -> Option<u32> {
        self.agent.as_ref().map(Child::id)
    }

    /// Process number of the collector.
    #[must_use]
    pub fn collector_pid(&self) -> Option<u32> {
        self.collector.as_ref().map(Child::id)
    }

    /// Port of the enrolment listener.
    #[must_use]
    pub fn enroll_port(&self) -> u16 {
        self.ports[1]
    }

    /// Port of the ingest listener.
    #[must_use]
    pub fn ingest_port(&self) -> u16 {
        self.ports[0]
    }

    /// True while the process that was started as agent is there.
    pub fn agent_runs(&mut self) -> bool {
        runs(&mut self.agent)
    }

    /// True while the process that was started as collector is there.
    pub fn collector_runs(&mut self) -> bool {
        runs(&mut self.collector)
    }

    /// Kills the agent with SIGKILL and waits for its end.
    pub fn kill_agent(&mut self) {
        end(&mut self.agent);
    }

    /// Kills the collector with SIGKILL and waits for its end.
    pub fn kill_collector(&mut self) {
        end(&mut self.collector);
    }

    /// Mounts a small disk where the agent or the collector (`agent`, `collector`) keeps its state; it goes with the lab.
    pub fn mount(&mut self, name: &str, mebibytes: u32) {
        self.disk = Some(SmallDisk::mount(&self.dir.join(name), mebibytes));
    }

    /// Waits until the command line gets answers.
    pub fn collector_is_up(&self) {
        eventually(
            "the collector to answer",
            Duration::from_secs(30),
            || self.plumb(&["hosts", "--json"]),
            |out| out.status.success(),
        );
    }

    /// Enrols the agent under `name` as an operator would: token made on the collector, handed over by standard input.
    ///
    /// # Panics
    /// It does not work.
    pub fn enroll(&self, name: &str) {
        let token = self.token(&["--name", name]);
        let output = self.enroll_with(&token);
        assert!(output.status.success(), "enroll: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A fresh token.
    ///
    /// # Panics
    /// `token create` fails, or prints no token.
    #[must_use]
    pub fn token(&self, arguments: &[&str]) -> String {
        let output = self.collector(&[&["token", "create"], arguments].concat());
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        let token = line.split(['\'', '"', ' ', '\n']).find(|word| word.starts_with("v1."));
        token.unwrap_or_else(|| panic!("no token in {line:?}: {}", String::from_utf8_lossy(&output.stderr))).to_owned()
    }

    /// Runs `enroll` with a token.
    ///
    /// # Panics
    /// The program does not start.
    #[must_use]
    pub fn enroll_with(&self, token: &str) -> Output {
        self.enroll_as("agent.toml", token)
    }

    /// Runs `enroll` with a token for the agent of another configuration file in the folder.
    ///
    /// # Panics
    /// The program does not start.
    #[must_use]
    pub fn enroll_as(&self, config: &str, token: &str) -> Output {
        let url = format!("https://127.0.0.1:{}", self.ports[1]);
        let mut child = self
            .enter("-a", &self.agent_program)
            .args(["enroll", "--config", &self.path(config), "--collector", &url, "--token-file", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the agent's program");
        child.stdin.take().expect("a pipe").write_all(token.as_bytes()).expect("a token handed over");
        child.wait_with_output().expect("an end")
    }
}

fn runs(child: &mut Option<Child>) -> bool {
    child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        // what enters a container is the parent of what it started there
        for pid in children(child.id()) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        // it may have ended by itself: then there is nothing to kill
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        end(&mut self.agent);
        end(&mut self.collector);
        end(&mut self.sink);
        self.disk = None; // its processes have ended, so it can go
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
