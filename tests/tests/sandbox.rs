//! What an intruder in the agent's own process may do: nothing. A watcher that was planted tries it in `run`, behind the
//! agent's locks; under `check`, which a person runs, there are none, and the same tries succeed: so each of them means
//! something.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plumb_tests::eventually::eventually;
use plumb_tests::needs;

/// signal(7), x86 and ARM.
const SIGSYS: i32 = 31;
const LIMIT: Duration = Duration::from_secs(20);

/// A folder that the agent may write to, with something beside it that it may not.
struct Place(PathBuf);

impl Place {
    fn new(attempt: &str, target: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let place = Self(std::env::temp_dir().join(format!("plumb-planted-{}-{number}", std::process::id())));
        std::fs::create_dir_all(place.0.join("state")).expect("a folder");
        let at = place.0.display();
        let config = format!(
            "state_dir = \"{at}/state\"\n[planted]\nattempt = \"{attempt}\"\nanswer = \"{at}/state/answer\"\n\
             target = \"{at}/{target}\"\n"
        );
        std::fs::write(place.0.join("agent.toml"), config).expect("a configuration");
        place
    }

    fn start(&self, command: &str) -> Child {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_plumb-agent-planted"));
        agent.args([command, "--config"]).arg(self.0.join("agent.toml"));
        let log = std::fs::File::create(self.path("log")).expect("a log");
        agent.stdout(Stdio::null()).stderr(log).spawn().expect("the agent with a planted watcher")
    }

    fn answer(&self) -> String {
        std::fs::read_to_string(self.0.join("state/answer")).unwrap_or_default()
    }

    /// What the agent says of its locks.
    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn is_decided(answer: &String) -> bool {
    !answer.is_empty() && answer != "tries"
}

/// What the kernel answered to an attempt in this command of the agent, and the agent's log.
fn try_it(command: &str, attempt: &str, target: &str) -> (String, String) {
    let place = Place::new(attempt, target);
    std::fs::create_dir_all(place.path("folder")).expect("a folder");
    let mut child = place.start(command);
    let answer = eventually(attempt, LIMIT, || place.answer(), is_decided);
    child.kill().expect("an end");
    child.wait().expect("an end");
    (answer, place.log())
}

/// The answers without the locks and with them.
fn answers(attempt: &str, target: &str) -> (String, String) {
    let (locked, log) = try_it("run", attempt, target);
    assert!(log.contains("sandbox: seccomp on"), "{log}");
    (try_it("check", attempt, target).0, locked)
}

#[test]
fn a_planted_execve_ends_the_agent_before_anything_runs() {
    let place = Place::new("exec", "it");
    let ended = place.start("check").wait().expect("an end");
    assert!(ended.success() && place.path("it.made").exists(), "without the locks it runs: {ended}");

    let place = Place::new("exec", "it");
    let mut child = place.start("run");
    let ended = eventually("the agent to end", LIMIT, || child.try_wait().expect("its state"), Option::is_some);
    assert_eq!(ended.and_then(|status| status.signal()), Some(SIGSYS), "{}", place.answer());
    assert_eq!(place.answer(), "tries", "it came as far as the attempt, and no further");
    assert!(!place.path("it.made").exists(), "nothing ran");
}

#[test]
fn a_planted_program_is_not_started_beside_the_agent_either() {
    let (free, locked) = answers("spawn", "it");
    assert_eq!((free.as_str(), &locked[..5]), ("done", "EPERM"), "{locked}");
}

#[test]
fn a_planted_ptrace_is_refused() {
    let (free, locked) = answers("ptrace", "made");
    assert_eq!((free.as_str(), &locked[..5]), ("done", "EPERM"), "{locked}");
}

#[test]
fn a_planted_mount_is_refused() {
    if !needs::has("mount", &[], true) {
        return;
    }
    let (free, locked) = answers("mount", "folder");
    assert_eq!((free.as_str(), &locked[..5]), ("done", "EPERM"), "{locked}");
}

#[test]
fn a_file_outside_the_agents_folder_is_not_written_or_the_agent_says_that_it_could_be() {
    let (free, _) = try_it("check", "write", "outside");
    assert_eq!(free, "done");
    let (locked, log) = try_it("run", "write", "outside");
    if log.contains("landlock off") {
        eprintln!("skipped: that writing outside is refused needs a kernel with Landlock");
        assert_eq!(locked, "done");
    } else {
        assert!(locked.starts_with("EACCES"), "{locked}: {log}");
    }
}

#[test]
fn what_the_agent_needs_is_left_to_it() {
    assert_eq!(answers("thread", "made"), ("done".to_owned(), "done".to_owned()));
    let (free, locked) = answers("write", "state/inside");
    assert_eq!((free.as_str(), locked.as_str()), ("done", "done"));
}
