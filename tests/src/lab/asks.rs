//! What a lab can be asked: commands of its programs, and what they answer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};

use serde_json::Value;

use super::{Lab, program};

impl Lab {
    /// Runs another command of the agent, with its configuration.
    ///
    /// # Panics
    /// The program does not start.
    #[must_use]
    pub fn agent(&self, arguments: &[&str]) -> Output {
        let config = self.path("agent.toml");
        let mut command = self.enter("-a", &self.agent_program);
        command.args(arguments).args(["--config", &config]).output().expect("the agent's program")
    }

    /// Runs another command of the collector, with its configuration.
    ///
    /// # Panics
    /// The program does not start.
    #[must_use]
    pub fn collector(&self, arguments: &[&str]) -> Output {
        let config = self.path("collector.toml");
        let mut command = Command::new(program("PLUMB_COLLECTOR"));
        command.args(arguments).args(["--config", &config]).output().expect("the collector's program")
    }

    /// What the running agent says of itself; `Null` if nothing can be read.
    #[must_use]
    pub fn agent_status(&self) -> Value {
        serde_json::from_slice(&self.agent(&["status", "--json"]).stdout).unwrap_or(Value::Null)
    }

    /// What the collector's health page answers; empty if nobody does.
    #[must_use]
    pub fn health(&self) -> String {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", self.ports[2])).and_then(|mut stream| {
            stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        });
        asked.map_or_else(|_| String::new(), |_| answer)
    }

    /// Runs the command line against this collector.
    ///
    /// # Panics
    /// The program does not start.
    #[must_use]
    pub fn plumb(&self, arguments: &[&str]) -> Output {
        let socket = format!("unix:{}", self.path("plumb.sock"));
        let mut command = Command::new(program("PLUMB_CLI"));
        command.arg("--collector").arg(socket).args(arguments).output().expect("the command line")
    }

    /// The JSON that a command prints; `Null` while it fails.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.plumb(&[arguments, &["--json"]].concat());
        if !output.status.success() {
            return Value::Null;
        }
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// What `plumb-collector check` says, and whether it is content.
    ///
    /// # Panics
    /// The program does not start.
    #[must_use]
    pub fn check(&self) -> (bool, String) {
        let output = self.collector(&["check"]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The last lines of a log, for messages.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
