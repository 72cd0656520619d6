//! `status`: what the running agent says of itself.

use std::path::Path;
use std::time::Duration;

use plumb_proto::time::{Clock, SystemClock};
use serde::Serialize;

use super::table::{Table, pair};
use super::terminal::{Style, Terminal};
use super::{Done, Printed, json, once, units};
use crate::host::grant::{Right, Rights};
use crate::status::Status;
use crate::watcher::Spec;

/// A status that is older was left behind: it is written every ten seconds.
const FRESH: Duration = Duration::from_secs(45);

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    known: &'a Known,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    configuration: Vec<json::Wrong>,
}

/// What is known of the agent that belongs to a state folder.
#[derive(Serialize)]
pub(super) struct Known {
    /// Whether it is at work.
    pub(super) running: bool,
    /// What it said last.
    #[serde(flatten)]
    pub(super) status: Option<Status>,
}

impl Known {
    /// Reads it.
    pub(super) fn of(folder: &Path) -> anyhow::Result<Self> {
        let read =
            Status::read(folder).map_err(|error| anyhow::anyhow!("read the status in {}: {error}", folder.display()));
        let Some((status, written)) = read? else { return Ok(Self { running: false, status: None }) };
        let running = !status.stopped && SystemClock::new().now().since(written) <= FRESH;
        Ok(Self { running, status: Some(status) })
    }
}

pub(super) fn run(args: &Printed, specs: &[Spec], terminal: &Terminal) -> anyhow::Result<Done> {
    // An agent at work goes on with the settings it has, so mistakes in the files hide nothing of it.
    let (folder, mistakes) = args.configured.state_dir(specs)?;
    let known = Known::of(&folder)?;
    if args.json {
        let configuration = json::Wrong::all(&mistakes);
        terminal.print(&json::document(&Document { known: &known, configuration })?)?;
    } else {
        let mut text = match &known.status {
            Some(status) => page(status, known.running, terminal),
            None => format!("no agent has run with its state in {}\n", folder.display()),
        };
        if !mistakes.0.is_empty() {
            let heading = "mistakes in the configuration, with which no agent starts";
            text += &format!("\n{}\n", terminal.paint(heading, Style::Bad));
            mistakes.to_string().lines().for_each(|line| text += &pair("", line, 0, terminal));
        }
        terminal.print(&text)?;
    }
    Ok(if known.running { Done::Well } else { Done::NotWell })
}

/// All of it for people.
fn page(status: &Status, running: bool, terminal: &Terminal) -> String {
    let (word, style) = match (running, status.stopped) {
        (true, _) => (format!("running since {}", to_the_second(&status.started)), Style::Good),
        (false, true) => (format!("stopped at {}", to_the_second(&status.written)), Style::Warning),
        (false, false) => {
            (format!("not running: it said nothing since {}", to_the_second(&status.written)), Style::Bad)
        }
    };
    let mut text = format!(
        "{} {}\n",
        terminal.paint(&format!("plumb-agent {}", status.version), Style::Heading),
        terminal.paint(&word, style)
    );
    for (label, value) in lines(status) {
        text += &pair(label, &value, 10, terminal);
    }
    let mut table = Table::new(["watcher", ">every", "looked", "outcome", ">cpu", ">facts", ">problems"]);
    for watched in &status.watchers {
        table.row(vec![
            watched.name.clone(),
            format!("{} s", watched.every_seconds),
            watched.looked.as_deref().map_or_else(|| "not yet".to_owned(), to_the_second),
            watched.outcome.clone().unwrap_or_default(),
            units::seconds(watched.cpu_seconds),
            watched.facts.to_string(),
            watched.problems.len().to_string(),
        ]);
    }
    text += &format!("\n{}", table.render(terminal));
    let all: Vec<_> = status.watchers.iter().flat_map(|watched| watched.problems.clone()).collect();
    text + &once::problems(&all, terminal)
}

/// An RFC 3339 time of the status for people, such as `2026-11-21 10:01:02 UTC`.
fn to_the_second(time: &str) -> String {
    let second = time.split(['.', 'Z']).next().unwrap_or(time);
    format!("{} UTC", second.replace('T', " "))
}

/// The lines above the watchers.
pub(super) fn lines(status: &Status) -> Vec<(&'static str, String)> {
    let connection = &status.connection;
    let said = match connection.state.as_str() {
        "connected" => {
            let since = connection.since.as_deref().map_or_else(|| "a while".to_owned(), to_the_second);
            format!(
                "connected since {since}; its clock and ours differ by {} ms",
                connection.skew_ms.unwrap_or(0).unsigned_abs()
            )
        }
        "not_enrolled" => "this host is not enrolled: run plumb-agent enroll".to_owned(),
        _ => match &connection.error {
            Some(why) => format!("trying to connect: {why}"),
            None => "trying to connect".to_owned(),
        },
    };
    let mut lines = vec![("connection", said)];
    if let Some(why) = &status.refused {
        lines.push(("settings", format!("the configuration has mistakes, the one before holds: {why}")));
    }
    let spool = &status.spool;
    let waits = format!(
        "{} records, {} of {} wait; acknowledged up to {} of {}",
        spool.records,
        units::bytes(spool.bytes),
        units::bytes(spool.allowed_bytes),
        spool.acknowledged,
        spool.written
    );
    let cost = &status.cost;
    lines.push(("spool", waits));
    if let Some(why) = &spool.waits {
        lines.push(("paused", format!("nothing is observed: {why}")));
    }
    if !spool.reserve {
        lines.push(("reserve", "used up: the disk of the state folder is or was full".to_owned()));
    }
    if spool.refused_acks > 0 {
        lines.push(("acks", format!("{} named records that are not ours and were not believed", spool.refused_acks)));
    }
    lines.push((
        "cost",
        format!(
            "{} resident, {} of it anonymous; {} of processor time",
            units::bytes(cost.rss_bytes),
            units::bytes(cost.rss_anon_bytes),
            units::seconds(cost.cpu_seconds)
        ),
    ));
    lines.push(("sandbox", format!("seccomp {}, landlock {}", status.sandbox.seccomp, status.sandbox.landlock)));
    lines.push(("rights", rights(status.rights)));
    if let Some(why) = &status.file_events {
        lines.push(("events", format!("some files are only looked at by time: {why}")));
    }
    lines
}

fn rights(rights: Rights) -> String {
    let (has, lacks): (Vec<Right>, Vec<Right>) = Right::ALL.into_iter().partition(|right| rights.has(*right));
    let means = |rights: &[Right]| rights.iter().map(|right| right.means()).collect::<Vec<_>>().join(" and ");
    match (has.is_empty(), lacks.is_empty()) {
        (_, true) => means(&has),
        (true, _) => "those of its user only: plumb-agent check says what that keeps from it".to_owned(),
        (false, false) => format!("{}, lacks {}", means(&has), lacks[0].capability()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_the_second() {
        assert_eq!(to_the_second("2026-11-21T10:01:02.345Z"), "2026-11-21 10:01:02 UTC");
        assert_eq!(to_the_second("2026-11-21T10:01:02Z"), "2026-11-21 10:01:02 UTC");
    }

    #[test]
    fn what_is_wrong_is_said_and_what_is_not_is_not() {
        let mut status = crate::status::testing::status();
        assert_eq!(lines(&status)[0].1, "this host is not enrolled: run plumb-agent enroll");
        status.spool.reserve = true;
        let labels = |status: &Status| lines(status).into_iter().map(|(label, _)| label).collect::<Vec<_>>();
        assert_eq!(labels(&status), ["connection", "spool", "cost", "sandbox", "rights"]);
        status.spool.reserve = false;
        status.spool.waits = Some("the disk is full".to_owned());
        status.spool.refused_acks = 2;
        status.file_events = Some("no watches left".to_owned());
        status.refused = Some("agent.toml:3: no".to_owned());
        let wrong =
            ["connection", "settings", "spool", "paused", "reserve", "acks", "cost", "sandbox", "rights", "events"];
        assert_eq!(labels(&status), wrong);
    }
}
