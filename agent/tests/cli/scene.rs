//! A host in a folder, and the program run on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A folder with a host in it, a state folder and a configuration that names it.
pub struct Scene(pub PathBuf);

impl Scene {
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("plumb-cli-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("host/etc")).unwrap();
        let scene = Self(folder);
        scene.write("agent.toml", &format!("state_dir = \"{}\"\n", scene.state().display()));
        scene
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.0.join(path), text).unwrap();
    }

    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb-agent"));
        command.args(args).arg("--root").arg(self.0.join("host")).env_remove("COLUMNS");
        if args[0] != "once" {
            command.arg("--config").arg(self.0.join("agent.toml"));
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a daemon as systemd does, so that the priorities are there to be seen.
    pub fn spawn(&self, mut command: Command) -> Running {
        let log = self.0.join("log");
        let stderr = fs::File::create(&log).unwrap();
        let stream = stderr.metadata().unwrap();
        command.env("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino()));
        Running(command.stderr(stderr).stdout(Stdio::piped()).spawn().unwrap(), log)
    }

    /// Starts the daemon, and waits until it has said something of itself.
    pub fn start(&self) -> Running {
        let _ = fs::remove_file(self.state().join("status.json"));
        let mut running = self.spawn(self.command(&["run"]));
        let end = Instant::now() + Duration::from_secs(20);
        while !self.state().join("status.json").exists() {
            assert!(Instant::now() < end, "no status after 20 s");
            assert!(running.0.try_wait().unwrap().is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        running
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A daemon, and the file of its log.
pub struct Running(pub Child, PathBuf);

impl Running {
    pub fn stop(mut self) -> Output {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        let status = self.0.wait().unwrap();
        let stderr = fs::read(&self.1).unwrap();
        Output { status, stdout: Vec::new(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}
