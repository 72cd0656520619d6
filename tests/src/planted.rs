//! A watcher that has been taken over: it tries what an intruder would, and writes down what the kernel answered. In
//! `plumb-agent-planted run` it is behind the agent's own locks; `check`, which a person runs, has none, and there the same
//! tries succeed.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::ptrace;
use plumb_agent::watcher::{Look, Progress, Spec, Watcher, seconds};

/// On the list of the taken-over agent only.
pub const SPEC: Spec = Spec::new::<Planted>(
    "planted",
    seconds(1),
    &[],
    r#"
# What is tried: exec, spawn, ptrace, mount, write, read, listen, module, thread.
attempt = "exec"
# The file that the answer is written to.
answer = "/nowhere"
# What an attempt works on: the file that is written or read, the folder that is mounted on, the file that a program makes.
target = "/nowhere"
"#,
);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Planted {
    attempt: String,
    answer: PathBuf,
    target: PathBuf,
}

impl Watcher for Planted {
    fn poll(&mut self, _: &mut Look<'_>) -> anyhow::Result<Progress> {
        // before and after: an attempt may end the process, or replace it
        std::fs::write(&self.answer, "tries")?;
        let answer = match attempt(&self.attempt, &self.target) {
            Ok(()) => "done".to_owned(),
            Err(error) => match error.raw_os_error() {
                Some(number) => nix::errno::Errno::from_raw(number).to_string(),
                None => error.to_string(),
            },
        };
        std::fs::write(&self.answer, answer)?;
        Ok(Progress::Done)
    }
}

fn attempt(what: &str, target: &Path) -> std::io::Result<()> {
    match what {
        "exec" => {
            let text = CString::new(format!("touch {}.made", target.display()))?;
            match nix::unistd::execv(c"/bin/sh", &[c"sh", c"-c", &text])? {}
        }
        "spawn" => std::process::Command::new("touch").arg(target.with_extension("made")).status().map(drop),
        // this process, so that there is nobody to let go of
        "ptrace" => Ok(ptrace::traceme()?),
        "mount" => {
            mount(Some("planted"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
            Ok(umount2(target, MntFlags::MNT_DETACH)?)
        }
        "write" => std::fs::write(target, "planted"),
        "read" => match std::fs::read(target)?.is_empty() {
            true => Err(std::io::Error::other("it is empty")),
            false => Ok(()),
        },
        "listen" => std::net::TcpListener::bind("127.0.0.1:0").map(drop),
        // no module at all: who may load one is told that it is none
        "module" => Ok(nix::kmod::init_module(b"none", c"")?),
        "thread" => std::thread::Builder::new().spawn(|| ())?.join().map_err(|_| std::io::Error::other("it panicked")),
        other => Err(std::io::Error::other(format!("nobody knows how to {other}"))),
    }
}
