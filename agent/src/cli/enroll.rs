//! `enroll`: makes this host known to a collector.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use plumb_proto::limits;
use plumb_proto::secret::Secret;
use plumb_proto::time::SystemClock;

use super::own::{identity, keep_to_ourselves};
use super::terminal::Terminal;
use super::{Configured, Done};
use crate::deliver::identity::enroll::{EnrollOptions, enroll};
use crate::host::Host;
use crate::watcher::Spec;

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
}

pub(super) fn run(args: &Args, root: &Path, specs: &[Spec], terminal: &Terminal) -> anyhow::Result<Done> {
    crate::log::start();
    keep_to_ourselves();
    let dir = identity(&args.configured.load(specs)?.state_dir);
    let token = token(&args.token_file)?;
    let clock = Arc::new(SystemClock::new());
    let hostname = Host::new(root, clock.clone()).name().context("this host has no name")?;
    let enrolled = enroll(&EnrollOptions { collector: args.collector.clone(), token, dir, hostname }, clock)?;
    let next = match args.configured.config.as_os_str() == crate::config::FILE {
        true => "systemctl enable --now plumb-agent".to_owned(),
        false => format!("plumb-agent run --config {}", args.configured.config.display()),
    };
    terminal.print(&format!(
        "enrolled as {} ({}); records go to {}\nnext: {next}\n",
        plumb_proto::untrusted::Untrusted::from(enrolled.name.as_str()),
        enrolled.host,
        plumb_proto::untrusted::Untrusted::from(enrolled.ingest.as_str()),
    ))?;
    Ok(Done::Well)
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
