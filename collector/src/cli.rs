//! The commands of `plumb`. They know the collector by its questions only, so they work from any machine that reaches it.

mod alerts;
mod approve;
mod calendar;
mod changes;
mod chart;
pub mod connect;
pub mod drift;
mod events;
mod facts;
mod history;
mod host;
mod hosts;
pub mod printer;
mod rules;
mod schema;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use plumb_proto::generated::query::{Host, HostState, Label};
use plumb_proto::time::Clock;

use connect::Query;
use printer::{Printer, Style};

/// The job was done.
const DONE: u8 = 0;
/// It could not be done.
const FAILED: u8 = 1;
/// The command was not understood.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  plumb hosts                      every host on one line
  plumb host web-1                 one host on one screen
  plumb drift                      what has drifted, worst first
  plumb drift --exit-code          ... and fail if there is any, for scripts
  plumb facts php                  which PHP runs where
  plumb calendar                   what ends its support or expires in the next months
  plumb changes --since 2h         what has changed of late, on all hosts
  plumb approve 12 --note 'moved'  today's state is as it should be

With --json every command prints one JSON document. Exit codes: 0 done, 1 could not, 2 wrong usage.";

#[derive(Parser)]
#[command(
    name = "plumb",
    version = plumb_proto::VERSION,
    about = "What has drifted on your web hosts, since when, and why",
    after_help = EXAMPLES,
    max_term_width = 120
)]
struct Cli {
    /// Where the collector is: unix:PATH or https://HOST:7445 [default: $PLUMB_COLLECTOR or unix:/run/plumb/collector.sock]
    #[arg(long, global = true, value_name = "ADDRESS")]
    collector: Option<String>,
    /// Who asks, for https: [default: $PLUMB_IDENTITY or ~/.config/plumb/identity.pem]
    #[arg(long, global = true, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Hosts(hosts::Arguments),
    Host(host::Arguments),
    Drift(drift::Arguments),
    Approve(approve::Arguments),
    Facts(facts::Arguments),
    Calendar(calendar::Arguments),
    Changes(changes::Arguments),
    Events(events::Arguments),
    History(history::Arguments),
    Schema(schema::Arguments),
    Rules(rules::Arguments),
    Alerts(alerts::Arguments),
}

/// Which hosts.
#[derive(Args)]
struct Only {
    /// Of this host only
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Of hosts with this label only; may be given more than once
    #[arg(long, value_name = "K=V", value_parser = label)]
    group: Vec<Label>,
}

/// The definition of the command line, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command of these arguments and says how the program should end.
pub async fn run(arguments: impl IntoIterator<Item = OsString>, clock: &dyn Clock) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { DONE };
            let _ = error.print();
            return code;
        }
    };
    let mut printer = Printer::stdio(cli.json, clock.now());
    let answer = execute(cli, &mut printer).await.and_then(|code| printer.finish().map(|()| code));
    match answer {
        Ok(code) => code,
        // Whoever read along has seen enough, such as `head`.
        Err(error) if is_closed_pipe(&error) => DONE,
        Err(error) => {
            let _ = printer.note(format!("plumb: {error:#}"));
            FAILED
        }
    }
}

async fn execute(cli: Cli, printer: &mut Printer) -> anyhow::Result<u8> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let collector = cli.collector.or_else(|| environment("PLUMB_COLLECTOR"));
    let identity = cli.identity.or_else(|| environment("PLUMB_IDENTITY").map(PathBuf::from));
    let mut query = Query::to(collector.as_deref(), identity.as_deref(), printer.now()).await?;
    match cli.command {
        Command::Hosts(arguments) => hosts::run(arguments, &mut query, printer).await?,
        Command::Host(arguments) => host::run(arguments, &mut query, printer).await?,
        Command::Drift(arguments) => return drift::run(arguments, &mut query, printer).await,
        Command::Approve(arguments) => approve::run(arguments, &mut query, printer).await?,
        Command::Facts(arguments) => facts::run(arguments, &mut query, printer).await?,
        Command::Calendar(arguments) => calendar::run(arguments, &mut query, printer).await?,
        Command::Changes(arguments) => changes::run(arguments, &mut query, printer).await?,
        Command::Events(arguments) => events::run(arguments, &mut query, printer).await?,
        Command::History(arguments) => history::run(arguments, &mut query, printer).await?,
        Command::Schema(arguments) => schema::run(arguments, &mut query, printer).await?,
        Command::Rules(arguments) => return rules::run(arguments, &mut query, printer).await,
        Command::Alerts(arguments) => return alerts::run(arguments, &mut query, printer).await,
    }
    Ok(DONE)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        io.or_else(|| cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind))
    };
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

/// A label as `name=value`.
fn label(text: &str) -> Result<Label, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok(Label { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err("expected NAME=VALUE, such as client=acme".to_owned()),
    }
}

/// The word for a host's state, and how it is shown.
fn state(host: &Host) -> (&'static str, Style) {
    match host.state() {
        HostState::Ok => ("ok", Style::Good),
        HostState::Drifting if host.critical > 0 => ("drifting", Style::Critical),
        HostState::Drifting => ("drifting", Style::Warning),
        HostState::Silent => ("silent", Style::Critical),
        HostState::Unknown | HostState::Unspecified => ("unknown", Style::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_declared_without_contradiction() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_is_for_and_shows_examples_on_80_columns() {
        let mut cli = <Cli as clap::CommandFactory>::command().term_width(80);
        cli.build();
        let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(
            names,
            [
                "hosts", "host", "drift", "approve", "facts", "calendar", "changes", "events", "history", "schema",
                "rules", "alerts", "help"
            ]
        );
        for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let help = command.render_long_help().to_string();
            assert!(help.contains("\nExamples:\n  plumb ") && help.contains("--json"), "{help}");
            assert!(command.get_about().is_some());
            let examples = help.find("\nExamples:").unwrap();
            assert!(help[..examples].lines().all(|line| line.chars().count() <= 80), "{help}");
            for part in command.get_subcommands_mut().filter(|part| part.get_name() != "help") {
                let help = part.render_long_help().to_string();
                assert!(help.contains("\nExamples:\n  plumb "), "{help}");
            }
        }
    }

    #[test]
    fn a_label_has_a_name_and_a_value() {
        assert_eq!(label("client=acme"), Ok(Label { name: "client".to_owned(), value: "acme".to_owned() }));
        assert!(label("client").is_err() && label("=acme").is_err() && label("client=").is_err());
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&anyhow::Error::from(closed()).context("print")));
        assert!(is_closed_pipe(&serde_json::Error::io(closed()).into()));
        assert!(!is_closed_pipe(&anyhow::anyhow!("no")));
    }
}
