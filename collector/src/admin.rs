//! The commands of `plumb-collector`: serve, make tokens, check. Those that change something do it on this machine, in the
//! store itself: whoever may write there is the administrator.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use jiff::{Span, SpanRelativeTo};
use plumb_proto::time::{Clock, SystemClock, Timestamp};
use plumb_proto::untrusted::Untrusted;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::drift::policy::Policy;
use crate::enroll::ca::Authority;
use crate::enroll::token::{TokenSpec, create};
use crate::serve::{self, Collector, advertised, authority_dir, database, open_store, policy_sources};
use crate::store::rows::{AuditEntry, Groups};

const EXAMPLES: &str = "\
Examples:
  plumb-collector serve
  plumb-collector token create                      the line to paste on a new host
  plumb-collector token create --name web-1 --group client=acme --ttl 30m
  plumb-collector check                             is everything as it should be?";

#[derive(Parser)]
#[command(
    name = "plumb-collector",
    version,
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
    Serve,
    /// Tokens, with which hosts enrol
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Check configuration, rules, store and the chains of the history
    Check,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token, and print the one line to paste on the host
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
        Ok(config) => match cli.command {
            Command::Serve => serve(config, clock),
            Command::Token { command: TokenCommand::Create(arguments) } => token(&config, arguments, clock.as_ref()),
            Command::Check => check(&config),
        },
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("plumb-collector: {error:#}");
            1
        }
    }
}

fn serve(config: Config, clock: Arc<dyn Clock>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let advertise = config.advertise.clone();
    let state_dir = config.state_dir.clone();
    runtime.block_on(async move {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut collector = Collector::start(config, clock).await?;
        if collector.is_new() {
            eprintln!(
                "This is the first start: a certificate authority was made in {}. Keep a copy of it.\n\
                 Next: `plumb-collector token create` prints the one line to paste on a host.\n\
                 Hosts reach this machine as {}; set `advertise` in collector.toml if they do not.",
                authority_dir(&state_dir).display(),
                advertised(advertise.as_deref()),
            );
        }
        let at = collector.addresses();
        tracing::info!("ingest on {}, enrolment on {}, health on {}", at.ingest, at.enroll, at.health);
        let outcome = tokio::select! {
            failed = collector.failed() => failed,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        };
        tracing::info!("stopping");
        let stopped = collector.stop().await;
        outcome.and(stopped)
    })
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
            who: format!("uid {}", nix::unistd::Uid::effective()),
            action: "token create".to_owned(),
            subject: Untrusted::from(row.name.as_deref().unwrap_or("")),
            allowed: true,
            detail: format!("{} uses until {}", row.uses_left, row.expires),
        })
    })?;
    let url = format!("https://{}", serve::with_port(&advertised(config.advertise.as_deref()), config.enroll.port()));
    let line = token.line();
    let line = String::from_utf8_lossy(line.expose());
    print_line(&format!("printf %s {line} | plumb-agent enroll --collector {url} --token-file -"))?;
    eprintln!(
        "Paste this line on the host, as root. It is good until {}.",
        Timestamp::from_secs(row.expires.millis() / 1000)
    );
    Ok(())
}

fn print_line(line: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("print")
}

fn check(config: &Config) -> Result<()> {
    print_line("configuration  ok")?;
    let path = database(&config.state_dir);
    if !path.exists() {
        let policy = load_policy(config, &[])?;
        print_line(&format!("rules          ok, {} in force", policy.rules().len()))?;
        return print_line(&format!("store          none yet: {} is made at the first start", path.display()));
    }
    let store = open_store(&config.state_dir)?;
    let mut questions = store.questions()?;
    let policy = load_policy(config, &questions.schema()?)?;
    print_line(&format!("rules          ok, {} in force", policy.rules().len()))?;
    print_line(&format!("store          ok, {} hosts", questions.hosts()?.len()))?;
    let (links, faults) = questions.verify()?;
    if faults.is_empty() {
        return print_line(&format!("history        ok, {links} links of its chains hold"));
    }
    for fault in &faults {
        print_line(&format!("history        BROKEN: {fault}"))?;
    }
    bail!("the history is not what was received: {} faults", faults.len())
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
