//! The commands of `plumb-collector`: serve, make tokens and users, save and restore, check. Those that change something do
//! it on this machine, in the store itself: whoever may write there is the administrator.

mod backup;
mod ca;
mod dates;
mod owner;
mod passphrase;
mod restore;
mod serve;
#[cfg(test)]
mod testing;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use jiff::{Span, SpanRelativeTo};
use plumb_proto::time::{Clock, SystemClock, Timestamp};
use plumb_proto::untrusted::Untrusted;
use serde::Serialize;

use crate::cli::printer::words::{ago, bytes, count, moment};
use crate::config::Config;
use crate::drift::policy::Policy;
use crate::enroll::ca::Authority;
use crate::enroll::token::{TokenSpec, create};
use crate::restore::is_interrupted;
use crate::serve::{advertised, authority_dir, database, open_store, policy_sources, with_port};
use crate::store::rows::{AuditEntry, Groups};
use dates::SupportDates;

const EXAMPLES: &str = "\
Examples:
  plumb-collector serve
  plumb-collector token create                      the line to paste on a new host
  plumb-collector token create --name web-1 --group client=acme --ttl 30m
  plumb-collector backup plumb.db                   database and keys in one file, while the collector runs
  plumb-collector check                             is everything as it should be?";

const CREATE_EXAMPLES: &str = "\
Examples:
  plumb-collector token create
  plumb-collector token create --name web-1 --group client=acme --ttl 30m
  plumb-collector token create --uses 20 --ttl 4h --json | jq -r .line";

#[derive(Parser)]
#[command(
    name = "plumb-collector",
    version = plumb_proto::VERSION,
    about = "Keeps the history of many hosts and says what has drifted",
    after_help = EXAMPLES,
    max_term_width = 120
)]
struct Cli {
    /// The configuration [default: /etc/plumb/collector.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the collector
    #[command(after_help = "Examples:\n  plumb-collector serve\n  plumb-collector serve --config collector.toml")]
    Serve,
    /// Tokens, with which hosts enrol
    #[command(after_help = CREATE_EXAMPLES)]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Users, who ask from other machines through the query port
    #[command(after_help = user::EXAMPLES)]
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Save database and certificate authority in one file, while the collector runs
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Backup),
    /// Put a backup in the place of what is in the state folder; the collector must not run
    #[command(after_help = restore::EXAMPLES)]
    Restore(restore::Restore),
    /// The certificate authority's root key: off this machine, and back
    #[command(after_help = ca::EXAMPLES)]
    Ca {
        #[command(subcommand)]
        command: ca::CaCommand,
    },
    /// Check configuration, rules, store and the chains of the history
    #[command(after_help = "Examples:\n  plumb-collector check\n  plumb-collector check --json | jq .history")]
    Check(CheckArguments),
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token, and print the one line to paste on the host
    #[command(after_help = CREATE_EXAMPLES)]
    Create(TokenArguments),
}

#[derive(Args)]
struct TokenArguments {
    /// Name that the host gets [default: its own host name]
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// How long it is good for, 24h at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span)]
    ttl: Duration,
    /// How many hosts may enrol with it
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// A label that the host gets; may be given more than once
    #[arg(long, value_name = "K=V", value_parser = label)]
    group: Vec<(String, String)>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct CheckArguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    span.and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "expected a time span such as 30m or 1h".to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as client=acme".to_owned()),
    }
}

/// The definition of the command line, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command of these arguments and says how the program should end: 0 done, 1 could not, 2 wrong usage.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return code;
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let done = match Config::load(cli.config.as_deref()) {
        Err(mistakes) => Err(anyhow::Error::new(mistakes)),
        Ok(config) => obey(cli.command, cli.config, config, clock),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("plumb-collector: {error:#}");
            1
        }
    }
}

fn obey(command: Command, file: Option<PathBuf>, config: Config, clock: Arc<dyn Clock>) -> Result<()> {
    // Then some of both states may be in place. These two finish it first, and nothing else may touch that.
    let finishes = matches!(command, Command::Serve | Command::Restore(_));
    if !finishes && is_interrupted(&config.state_dir) {
        bail!("a restore was interrupted: start the collector, or run restore again, to finish it");
    }
    let at = clock.as_ref();
    match command {
        Command::Serve => serve::run(file, config, clock),
        Command::Token { command: TokenCommand::Create(arguments) } => token(&config, arguments, at),
        Command::User { command } => user::run(&config, command, at),
        Command::Backup(arguments) => backup::run(&config, &arguments, at),
        Command::Restore(arguments) => restore::run(&config, &arguments, at),
        Command::Ca { command } => ca::run(&config, command, at),
        Command::Check(arguments) => check(&config, arguments.json, at.now()),
    }
}

/// Prints one line that hands the token over without putting it into anybody's arguments or environment: `printf` is a
/// built-in of every shell.
fn token(config: &Config, arguments: TokenArguments, clock: &dyn Clock) -> Result<()> {
    let authority = authority_dir(&config.state_dir);
    if !authority.exists() {
        // Made by the user that the service runs as, or it could not read its own keys.
        bail!("there is no certificate authority in {}: start the collector once, it makes one", authority.display());
    }
    let (authority, _) = Authority::open(&authority, clock.now())?;
    let groups: Groups = arguments.group.into_iter().collect();
    let spec = TokenSpec { name: arguments.name, groups, uses: arguments.uses, ttl: arguments.ttl };
    let (token, row) = create(&spec, authority.pin()?, clock.now())?;
    let mut store = open_store(&config.state_dir)?;
    store.commit(&mut |tx| {
        if let Some(name) = &row.name
            && tx.host_named(name)?.is_some()
        {
            bail!("there is a host \"{name}\" already: `plumb host retire {name}` makes room for a new one");
        }
        tx.save_token(&row)?;
        tx.audit(&AuditEntry {
            at: row.created,
            who: who(),
            action: "token create".to_owned(),
            subject: Untrusted::from(row.name.as_deref().unwrap_or("")),
            allowed: true,
            detail: format!("{} uses until {}", row.uses_left, row.expires),
        })
    })?;
    let url = format!("https://{}", with_port(&advertised(config.advertise.as_deref()), config.enroll.port()));
    let line = token.line();
    let line = String::from_utf8_lossy(line.expose());
    let line = format!("printf %s {line} | plumb-agent enroll --collector {url} --token-file -");
    let expires = Timestamp::from_secs(row.expires.millis() / 1000);
    if arguments.json {
        return print_line(&serde_json::to_string(&TokenJson {
            line,
            expires: expires.to_string(),
            uses: row.uses_left,
        })?);
    }
    print_line(&line)?;
    let hosts = if row.uses_left == 1 { "the host".to_owned() } else { format!("up to {} hosts", row.uses_left) };
    eprintln!("Paste this line on {hosts}, as root. It is good until {expires}.");
    Ok(())
}

/// A token as `token create --json` prints it.
#[derive(Serialize)]
struct TokenJson {
    /// The line to paste, with the token in it.
    line: String,
    expires: String,
    uses: u32,
}

/// Who runs a command, for the audit.
fn who() -> String {
    format!("uid {}", nix::unistd::Uid::effective())
}

fn print_line(line: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("print")
}

/// What was checked, as `check --json` prints it. The configuration is in order, or nothing else is looked at.
#[derive(Serialize)]
struct Checked {
    configuration: &'static str,
    /// Rules in force.
    rules: usize,
    support_dates: SupportDates,
    /// Hosts in the store; none: there is no store yet.
    hosts: Option<usize>,
    /// Bytes on the disk by kind, about, largest first.
    sizes: Vec<(String, u64)>,
    /// When the last backup was made, as far as this store knows; none: never.
    last_backup: Option<String>,
    history: Option<History>,
}

#[derive(Serialize)]
struct History {
    links: u64,
    faults: Vec<String>,
}

fn check(config: &Config, json: bool, now: Timestamp) -> Result<()> {
    let path = database(&config.state_dir);
    let mut last_backup = None;
    let support_dates = SupportDates::of(config)?;
    let checked = if path.exists() {
        let store = open_store(&config.state_dir)?;
        let mut questions = store.questions()?;
        let rules = load_policy(config, &questions.schema()?)?.rules().len();
        let hosts = questions.hosts()?.len();
        let sizes = questions.sizes()?;
        let (links, faults) = questions.verify()?;
        last_backup = questions.last_done(backup::ACTION)?;
        Checked {
            configuration: "ok",
            rules,
            support_dates,
            hosts: Some(hosts),
            sizes,
            last_backup: last_backup.map(backup::seconds),
            history: Some(History { links, faults }),
        }
    } else {
        Checked {
            configuration: "ok",
            rules: load_policy(config, &[])?.rules().len(),
            support_dates,
            hosts: None,
            sizes: Vec::new(),
            last_backup: None,
            history: None,
        }
    };
    if json {
        print_line(&serde_json::to_string(&checked)?)?;
    } else {
        print_line("configuration  ok")?;
        print_line(&format!("rules          ok, {} in force", checked.rules))?;
        checked.support_dates.print()?;
        match checked.hosts {
            Some(hosts) => print_line(&format!("store          ok, {}", count(hosts, "host", "hosts")))?,
            None => print_line(&format!("store          none yet: {} is made at the first start", path.display()))?,
        }
    }
    #[allow(clippy::cast_precision_loss)] // one decimal is shown
    for (kind, size) in checked.sizes.iter().filter(|(_, size)| !json && *size > 0) {
        print_line(&format!("  {kind:<20} {:>10}", bytes(*size as f64)))?;
    }
    if !json && checked.hosts.is_some() {
        print_line(&match last_backup {
            Some(at) => format!("last backup    {} ({})", ago(at, now), moment(at)),
            None => "last backup    never: `plumb-collector backup FILE` makes one".to_owned(),
        })?;
    }
    let Some(History { links, faults }) = checked.history else { return Ok(()) };
    if !json && faults.is_empty() {
        print_line(&format!("history        ok, every link of its chains holds ({links})"))?;
    }
    for fault in faults.iter().filter(|_| !json) {
        print_line(&format!("history        BROKEN: {fault}"))?;
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("the history is not what was received: {}", count(faults.len(), "fault", "faults"))
}

fn load_policy(config: &Config, declared: &[plumb_proto::model::TableDecl]) -> Result<Policy> {
    let sources = policy_sources(&config.policy_dirs)?;
    Policy::load(&sources, declared).map_err(|mistakes| anyhow::anyhow!("rules:\n{}", mistakes.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_declared_without_contradiction() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn spans_and_labels_are_understood_or_told() {
        assert_eq!(span("30m"), Ok(Duration::from_secs(1800)));
        assert!(span("soon").is_err() && span("-1h").is_err());
        assert_eq!(label("client=acme"), Ok(("client".to_owned(), "acme".to_owned())));
        assert!(label("client").is_err());
    }
}
