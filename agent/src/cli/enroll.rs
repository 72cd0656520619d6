//! `enroll`: makes this host known to a collector, and says what was found here and what comes next.
//!
//! It is run by root while the service runs as a user of its own: what it makes belongs to the owner of the state folder
//! from the start, and a service that runs already takes it up by itself.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use plumb_proto::limits;
use plumb_proto::secret::Secret;
use plumb_proto::time::{Clock, SystemClock, Timestamp};
use plumb_proto::untrusted::Untrusted;
use serde::Serialize;

use super::found::{self, Found};
use super::gather::Seen;
use super::grants::{self, Grant};
use super::own::{self, acting_as, identity, keep_to_ourselves, state_folder};
use super::status::Known;
use super::terminal::Terminal;
use super::{Configured, Done, json};
use crate::config::Config;
use crate::deliver::identity::enroll::{EnrollOptions, Enrolled, enroll};
use crate::host::Host;
use crate::status::Status;
use crate::watcher::Spec;

/// The service looks for an identity every five seconds, and says within a second that it is connected.
const PATIENCE: Duration = Duration::from_secs(12);
/// Its status is looked at this often.
const STEP: Duration = Duration::from_millis(250);
/// Bytes of /etc/passwd.
const PASSWD: u64 = 4 << 20;

/// Where to enrol.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The collector's enrolment listener, such as https://collector.example.com:7444.
    #[arg(long, value_name = "URL")]
    collector: String,
    /// A file with the token, or - for standard input: never an argument, since others could read that.
    #[arg(long, value_name = "FILE|-")]
    token_file: PathBuf,
    #[command(flatten)]
    configured: Configured,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    host: &'a str,
    id: String,
    ingest: &'a str,
    /// It was enrolled with this token before.
    before: bool,
    found: &'a Found,
    /// What could not be looked at, by the service if it runs.
    problems: usize,
    grants: &'a [Grant],
    connected: bool,
}

/// How the service stands a while after the enrolment.
enum Service {
    Connected,
    /// It runs, and is not connected; why, if it says.
    Runs(Option<String>),
    Away,
}

pub(super) fn run(args: &Args, root: &Path, specs: &[Spec], terminal: &Terminal) -> anyhow::Result<Done> {
    crate::log::start();
    keep_to_ourselves();
    let config = args.configured.load(specs)?;
    let state = &config.state_dir;
    let token = token(&args.token_file)?;
    let clock = Arc::new(SystemClock::new());
    let host = Host::new(root, clock.clone()).without(state);
    let hostname = host.name().context("this host has no name")?;
    let owner = state_folder(state, own::user(&passwd(), own::USER))?;
    let options = EnrollOptions { collector: args.collector.clone(), token, dir: identity(state), hostname };
    let begun = clock.now();
    let enrolled = acting_as(owner, || enroll(&options, clock.clone()))?;
    let (name, ingest) = (Untrusted::from(enrolled.name.as_str()), Untrusted::from(enrolled.ingest.as_str()));
    if !args.json {
        let word = if enrolled.before { "is enrolled already, with this very token," } else { "is enrolled" };
        terminal.print(&format!("This host {word} as {name} ({}); records go to {ingest}\n", enrolled.host))?;
    }
    let (found, seen) = found::look(&host, &config)?;
    let before = running(state);
    let (problems, grants) = unseen(before.as_ref(), &seen);
    if !args.json {
        terminal.print(&discovered(&found, problems, &grants, terminal))?;
        if before.is_some() {
            terminal.print("The service is running: it reports within seconds ...\n")?;
        }
    }
    // With a token that was used before nothing has changed, so any connection is the one that is meant.
    let since = if enrolled.before { Timestamp::from_millis(0) } else { begun };
    let service = if before.is_some() { wait(state, since) } else { Service::Away };
    let text = match args.json {
        true => json::document(&Document {
            host: &enrolled.name,
            id: enrolled.host.to_string(),
            ingest: &enrolled.ingest,
            before: enrolled.before,
            found: &found,
            problems,
            grants: &grants,
            connected: matches!(service, Service::Connected),
        })?,
        false => next(&service, &enrolled, args, &config),
    };
    terminal.print(&text)?;
    Ok(Done::Well)
}

/// What the service says of itself, if it runs.
fn running(state: &Path) -> Option<Status> {
    Known::of(state).ok().filter(|known| known.running)?.status
}

/// How much cannot be looked at, and which rights would help: of the service if it has looked already.
fn unseen(service: Option<&Status>, seen: &Seen) -> (usize, Vec<Grant>) {
    match service {
        Some(status) => {
            (status.watchers.iter().map(|watched| watched.problems.len()).sum(), grants::of_service(status))
        }
        // What this user lacks says nothing of a service that has not looked yet.
        None => (seen.problems.len(), Vec::new()),
    }
}

fn discovered(found: &Found, problems: usize, grants: &[Grant], terminal: &Terminal) -> String {
    let mut text = format!("{}\n", found.line());
    match problems {
        0 => {}
        1 => text += "One thing cannot be looked at: `plumb-agent check` shows which, and why.\n",
        many => text += &format!("{many} things cannot be looked at: `plumb-agent check` shows which, and why.\n"),
    }
    if !grants.is_empty() {
        text += &format!("{}\n", grants::page(grants, terminal));
    }
    text
}

/// Waits until the service is connected with what was issued at `since`.
fn wait(state: &Path, since: Timestamp) -> Service {
    let end = Instant::now() + PATIENCE;
    loop {
        let Some(status) = running(state) else { return Service::Away };
        let connection = status.connection;
        let is_new = connection.since.as_deref().is_some_and(|at| second(at) >= second(&since.to_string()));
        if connection.state == "connected" && is_new {
            return Service::Connected;
        }
        if Instant::now() >= end {
            let old = (connection.state == "connected").then(|| "it still uses the identity before".to_owned());
            return Service::Runs(old.or(connection.error));
        }
        std::thread::sleep(STEP);
    }
}

/// An RFC 3339 time in UTC without its fraction, which makes such times comparable as texts.
fn second(time: &str) -> String {
    time.split(['.', 'Z']).next().unwrap_or_default().to_owned()
}

/// What comes next.
fn next(service: &Service, enrolled: &Enrolled, args: &Args, config: &Config) -> String {
    let packaged = args.configured.config.as_os_str() == crate::config::FILE;
    let mut text = match service {
        Service::Connected => "Connected: this host reports to the collector.\n".to_owned(),
        Service::Runs(why) => {
            let why = why.as_deref().unwrap_or("it has not connected yet");
            let more = if packaged { "systemctl restart plumb-agent" } else { "plumb-agent status" };
            format!("The service runs, but is not connected: {}\nnext: {more}\n", Untrusted::from(why))
        }
        Service::Away if packaged => "next: systemctl enable --now plumb-agent\n".to_owned(),
        Service::Away => format!("next: plumb-agent run --config {}\n", args.configured.config.display()),
    };
    if enrolled.before {
        text += &format!(
            "To enrol this host anew, make another token (plumb-collector token create) and run plumb-agent enroll with \
             it; the identity in {} is replaced.\n",
            identity(&config.state_dir).display()
        );
    }
    text
}

/// Users of this machine; none if they cannot be read.
fn passwd() -> String {
    let mut text = Vec::new();
    let file = std::fs::File::open("/etc/passwd");
    // Without it, the folder belongs to whoever makes it.
    let _ = file.and_then(|file| file.take(PASSWD).read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

fn token(file: &Path) -> anyhow::Result<Secret> {
    let limit = u64::try_from(limits::TOKEN_FILE).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(limits::TOKEN_FILE + 1);
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(limit + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)),
    };
    let place = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    read.with_context(|| format!("read the token from {place}"))?;
    let token = Secret::new(bytes.trim_ascii());
    bytes.fill(0);
    if token.expose().is_empty() || token.expose().len() > limits::TOKEN_FILE {
        anyhow::bail!("there is no token in {place}");
    }
    Ok(token)
}
