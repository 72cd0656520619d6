//! `plumb host NAME`: one host on one screen; and what an operator decides about a host.

mod figures;
mod patched;
mod screen;
mod sections;
mod tables;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use plumb_proto::generated::query::{GroupHostRequest, Host, HostPart, HostReply, Label, RenameHostRequest, Row};
use serde::Serialize;

use super::connect::Query;
use super::drift::{DriftJson, series};
use super::events::EventJson;
use super::facts::RowJson;
use super::hosts::HostJson;
use super::printer::Printer;
use super::printer::values::{at, said};

/// One host on one screen; or rename, group, retire, revoke it
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plumb host web-1\n  plumb host rename web-1 shop.example.org\n  plumb host group web-1 \
                  client=acme role=\n  plumb host revoke web-1"
)]
pub(super) struct Arguments {
    /// Name of the host
    name: Option<String>,
    #[command(subcommand)]
    decision: Option<Decision>,
}

#[derive(Subcommand)]
enum Decision {
    /// Give a host another name; its history stays
    #[command(after_help = "Examples:\n  plumb host rename web-1 shop.example.org")]
    Rename {
        /// Its name now
        name: String,
        /// Its new name
        to: String,
    },
    /// Set labels of a host: NAME=VALUE sets one, NAME= takes it away
    #[command(after_help = "Examples:\n  plumb host group web-1 client=acme role=web\n  plumb host group web-1 role=")]
    Group {
        /// Name of the host
        name: String,
        /// Labels
        #[arg(required = true, value_name = "K=V")]
        labels: Vec<String>,
    },
    /// Take a host out of service: it is no longer listed nor judged and may not report; its history stays
    #[command(after_help = "Examples:\n  plumb host retire web-1")]
    Retire {
        /// Name of the host
        name: String,
    },
    /// Never accept this host's certificate again, such as when its key was stolen; its stream is closed at once
    #[command(after_help = "Examples:\n  plumb host revoke web-1")]
    Revoke {
        /// Name of the host
        name: String,
    },
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let Some(decision) = arguments.decision else {
        let whole = query.host(&arguments.name.unwrap_or_default()).await?;
        return print(&whole, printer);
    };
    match decision {
        Decision::Rename { name, to } => {
            let reply = query.rename(RenameHostRequest { name: name.clone(), to: to.clone() }).await?;
            decided(&reply, &format!("{name} is now {to}."), printer)
        }
        Decision::Group { name, labels } => {
            let request = labels_of(name, &labels)?;
            let reply = query.group(request).await?;
            let host = reply.host.clone().unwrap_or_default();
            let text = match groups(&host) {
                labels if labels.is_empty() => format!("{} has no labels now.", host.name),
                labels => format!("{} is labelled {labels}.", host.name),
            };
            decided(&reply, &text, printer)
        }
        Decision::Retire { name } => {
            let reply = query.retire(name.clone()).await?;
            decided(&reply, &format!("{name} is retired: no longer listed nor judged. Its history stays."), printer)
        }
        Decision::Revoke { name } => {
            let reply = query.revoke(name.clone()).await?;
            let text = format!(
                "{name} is revoked: its certificate is not accepted any more. To bring the machine back, enrol it anew."
            );
            decided(&reply, &text, printer)
        }
    }
}

fn labels_of(name: String, labels: &[String]) -> Result<GroupHostRequest> {
    let mut request = GroupHostRequest { name, ..GroupHostRequest::default() };
    for label in labels {
        match label.split_once('=') {
            Some((name, "")) if !name.is_empty() => request.remove.push(name.to_owned()),
            Some((name, value)) if !name.is_empty() => {
                request.set.push(Label { name: name.to_owned(), value: value.to_owned() });
            }
            _ => bail!("{label}: expected NAME=VALUE to set a label, or NAME= to take it away"),
        }
    }
    Ok(request)
}

fn decided(reply: &HostReply, text: &str, printer: &mut Printer) -> Result<()> {
    let host = reply.host.clone().unwrap_or_default();
    if printer.is_json() { printer.json(&HostJson::from(&host)) } else { printer.line(text) }
}

/// The labels of a host in one line.
fn groups(host: &Host) -> String {
    let label = |label: &Label| format!("{}={}", label.name, label.value);
    host.groups.iter().map(label).collect::<Vec<_>>().join(" ")
}

/// All about a host as `host NAME --json` prints it.
#[derive(Serialize)]
struct WholeJson {
    host: HostJson,
    reason: String,
    admission: String,
    enrolled: String,
    agent: String,
    clock_skew_ms: i64,
    facts: Vec<RowJson>,
    support: Vec<SupportJson>,
    samples: Vec<SampleJson>,
    watchers: Vec<WatcherJson>,
    drifts: Vec<DriftJson>,
    events: Vec<EventJson>,
}

/// Until when a program is patched.
#[derive(Serialize)]
struct SupportJson {
    table: String,
    key: String,
    last_day: Option<String>,
    by: Option<String>,
    upstream: Option<String>,
    days_left: Option<i64>,
    verdict: Option<String>,
    note: String,
    unknown: Option<String>,
}

#[derive(Serialize)]
struct SampleJson {
    name: String,
    labels: std::collections::BTreeMap<String, String>,
    value: Option<f64>,
    time: String,
}

#[derive(Serialize)]
struct WatcherJson {
    watcher: String,
    outcome: &'static str,
    looked: String,
    complete: Option<String>,
    problems: Vec<ProblemJson>,
}

#[derive(Serialize)]
struct ProblemJson {
    table: String,
    key_prefix: String,
    subject: String,
    error: String,
    hint: String,
}

fn print(whole: &HostPart, printer: &mut Printer) -> Result<()> {
    if !printer.is_json() {
        return screen::print(whole, printer);
    }
    let host = whole.host.clone().unwrap_or_default();
    let samples = whole.samples.iter().map(|sample| {
        let of = series(sample.name.clone(), sample.labels.clone());
        let labels = of.labels.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        SampleJson { name: of.name, labels, value: sample.value, time: at(sample.at_ms).to_string() }
    });
    let watchers = whole.watchers.iter().map(|watcher| WatcherJson {
        watcher: watcher.name.clone(),
        outcome: screen::outcome(watcher).0,
        looked: at(watcher.at_ms).to_string(),
        complete: watcher.complete_ms.map(|complete| at(complete).to_string()),
        problems: watcher
            .problems
            .iter()
            .map(|problem| ProblemJson {
                table: problem.table.clone(),
                key_prefix: said(&problem.key_prefix),
                subject: said(&problem.path),
                error: said(problem.error.as_bytes()),
                hint: said(problem.hint.as_bytes()),
            })
            .collect(),
    });
    printer.json(&WholeJson {
        host: HostJson::from(&host),
        reason: host.reason.clone(),
        admission: host.admission.clone(),
        enrolled: at(host.enrolled_ms).to_string(),
        agent: said(host.build.as_bytes()),
        clock_skew_ms: host.skew_ms,
        facts: whole.rows.iter().map(RowJson::from).collect(),
        support: whole.rows.iter().filter_map(support).collect(),
        samples: samples.collect(),
        watchers: watchers.collect(),
        drifts: whole.drifts.iter().map(DriftJson::from).collect(),
        events: whole.events.iter().map(EventJson::from).collect(),
    })
}

fn support(row: &Row) -> Option<SupportJson> {
    let support = row.support.as_ref()?;
    let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Some(SupportJson {
        table: row.table.clone(),
        key: said(&row.key),
        last_day: told(&support.last_day),
        by: told(&support.by),
        upstream: told(&support.upstream),
        days_left: support.days_left,
        verdict: told(&support.verdict),
        note: support.note.clone(),
        unknown: told(&support.unknown),
    })
}

#[cfg(test)]
mod tests;
