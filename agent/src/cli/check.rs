//! `check`: what is discovered, what cannot be read and how to grant it, and mistakes in the configuration. It shows what
//! this user may read, and beside it what the running service says.

use std::path::Path;
use std::sync::Arc;

use plumb_proto::time::SystemClock;
use serde::Serialize;

use super::gather::{End, Seen, gather};
use super::grants::{self, Grant};
use super::status::{Known, lines};
use super::table::{Table, pair};
use super::terminal::{Style, Terminal};
use super::{Done, Printed, json, once};
use crate::config::{Config, Mistakes};
use crate::host::Host;
use crate::host::grant::{Right, Rights};
use crate::status::{Problem, Status};
use crate::watcher::Spec;

#[derive(Serialize)]
struct Document<'a> {
    configuration: Vec<json::Wrong>,
    watchers: Vec<Found>,
    problems: &'a [Problem],
    /// Rights that the service lacks, or this user where the service says nothing; none for a host in a folder.
    grants: &'a [Grant],
    /// Of this machine, not of a host in a folder unless its settings were named.
    service: &'a Option<Known>,
}

#[derive(Serialize)]
struct Found {
    name: String,
    state: &'static str,
    facts: usize,
    problems: usize,
}

pub(super) fn run(args: &Printed, root: &Path, specs: &[Spec], terminal: &Terminal) -> anyhow::Result<Done> {
    let (config, mistakes) = match args.configured.load(specs) {
        Ok(config) => (config, Mistakes(Vec::new())),
        Err(mistakes) => {
            let state_dir = Config::state_dir(&args.configured.config)?;
            (Config { state_dir, ..Config::defaults(specs)? }, mistakes)
        }
    };
    let host = Host::new(root, Arc::new(SystemClock::new())).without(&config.state_dir);
    host.check()?;
    let seen = gather(&host, config.assigned()?);
    // The service of this machine says nothing of a host in a folder; one whose settings were named is meant.
    let is_meant = host.is_live() || args.configured.is_named();
    // What cannot be read is told; it keeps nothing else from being shown.
    let (service, unread) = match is_meant.then(|| Known::of(&config.state_dir)).transpose() {
        Ok(known) => (known, None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let watchers = found(&config, &seen);
    let grants = match service.as_ref().and_then(|known| known.status.as_ref()) {
        Some(status) => grants::of_service(status),
        None if host.is_live() => grants::of_seen(&seen),
        None => Vec::new(),
    };
    let text = if args.json {
        json::document(&Document {
            configuration: json::Wrong::all(&mistakes),
            watchers,
            problems: &seen.problems,
            grants: &grants,
            service: &service,
        })?
    } else {
        page(&mistakes, watchers, &seen, (service.as_ref(), unread.as_deref()), terminal)
            + &grants::page(&grants, terminal)
    };
    terminal.print(&text)?;
    Ok(if mistakes.0.is_empty() { Done::Well } else { Done::NotWell })
}

fn found(config: &Config, seen: &Seen) -> Vec<Found> {
    let state = |name: &str| match seen.ends.iter().find(|(watcher, ..)| *watcher == name) {
        Some((_, End::Found, facts)) => ("found", *facts),
        Some((_, End::Absent, _)) => ("absent", 0),
        Some((_, End::Failed, facts)) => ("failed", *facts),
        None => ("disabled", 0),
    };
    let found = |name: &str| {
        let (state, facts) = state(name);
        let problems = seen.problems.iter().filter(|problem| problem.watcher == name).count();
        Found { name: name.to_owned(), state, facts, problems }
    };
    config.watchers.iter().map(|each| found(each.spec.name)).collect()
}

fn page(
    mistakes: &Mistakes,
    watchers: Vec<Found>,
    seen: &Seen,
    (service, unread): (Option<&Known>, Option<&str>),
    terminal: &Terminal,
) -> String {
    let heading = |text: &str| format!("{}\n", terminal.paint(text, Style::Heading));
    let mut text = heading("configuration");
    if mistakes.0.is_empty() {
        text += &format!("    {}\n", terminal.paint("no mistakes", Style::Good));
    }
    for line in mistakes.to_string().lines() {
        text += &pair("", line, 0, terminal);
    }
    text += &format!("\n{}", heading("watchers"));
    if !Rights::own().has(Right::Files) {
        let user = nix::unistd::geteuid();
        let who = format!("this is what user {user} may read; root and the service see more");
        text += &format!("    {}\n", terminal.paint(&who, Style::Warning));
    }
    let mut table = Table::new(["watcher", "state", ">facts", ">problems"]);
    for Found { name, state, facts, problems } in watchers {
        table.row(vec![name, state.to_owned(), facts.to_string(), problems.to_string()]);
    }
    text += &table.render(terminal);
    text += &once::problems(&seen.problems, terminal);
    let said = match (service, unread) {
        (Some(Known { status: Some(status), running }), _) => of_service(status, *running, terminal),
        (Some(_), _) => pair("", "no agent has run here yet", 0, terminal),
        (None, Some(why)) => pair("", why, 0, terminal),
        (None, None) => return text,
    };
    text + &format!("\n{}{said}", heading("service"))
}

fn of_service(status: &Status, running: bool, terminal: &Terminal) -> String {
    let state = if running { "running" } else { "not running" };
    let mut text = pair("state", state, 10, terminal);
    for (label, value) in lines(status) {
        text += &pair(label, &value, 10, terminal);
    }
    for problem in status.watchers.iter().flat_map(|watched| &watched.problems) {
        let said = format!("{}: {}: {}", problem.watcher, problem.subject, problem.error);
        text += &pair("cannot see", &said, 10, terminal);
        if !problem.hint.is_empty() {
            text += &pair("", &format!("-> {}", problem.hint), 10, terminal);
        }
    }
    text
}
