//! `plumb-collector serve`: locks itself up, runs the collector, and does what signals and the service manager ask for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use plumb_proto::time::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::serve::{Collector, advertised, authority_dir, lock_up, systemd, take_state};

/// What still runs at the end has this long.
const LINGER: Duration = Duration::from_secs(1);

pub(super) fn run(file: Option<PathBuf>, config: Config, clock: Arc<dyn Clock>) -> Result<()> {
    let state = take_state(&config.state_dir, clock.now())?;
    let locked = lock_up(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let advertise = config.advertise.clone();
    let state_dir = config.state_dir.clone();
    let served = runtime.block_on(async move {
        let mut end = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        // A task of its own: opening the store may take long, and hears no signal.
        let start = tokio::spawn(Collector::start_on(state, config, clock));
        let mut collector = tokio::select! {
            started = start => started.context("the start broke")??,
            () = asked(&mut end) => {
                tracing::info!("stopping before the start was complete");
                systemd::stopping().await;
                return Ok(());
            }
        };
        collector.condition().locked(locked);
        if collector.is_new() {
            eprintln!(
                "This is the first start: a certificate authority was made in {}. Keep a copy: plumb-collector backup FILE\n\
                 Next: `plumb-collector token create` prints the one line to paste on a host.\n\
                 Hosts reach this machine as {}; set `advertise` in collector.toml if they do not.",
                authority_dir(&state_dir).display(),
                advertised(advertise.as_deref()),
            );
        }
        let at = collector.addresses();
        let query = at.query.map_or_else(|| "off".to_owned(), |at| format!("on {at}"));
        tracing::info!("ingest on {}, enrolment on {}, health on {}, query {query}", at.ingest, at.enroll, at.health);
        systemd::ready(collector.line()).await;
        let outcome = loop {
            tokio::select! {
                failed = collector.failed() => break failed,
                () = asked(&mut end) => break Ok(()),
                _ = hangup.recv() => {
                    systemd::reloading().await;
                    let file = file.clone();
                    // what came of it is in the log, in the status line and on the health page
                    tokio::select! {
                        _ = collector.reload(move || Config::load(file.as_deref())) => {}
                        () = asked(&mut end) => break Ok(()),
                    }
                    systemd::ready(collector.line()).await;
                }
            }
        };
        tracing::info!("stopping");
        systemd::stopping().await;
        let stopped = collector.stop().await;
        outcome.and(stopped)
    });
    // a file or a service manager that never answers must not keep the process
    runtime.shutdown_timeout(LINGER);
    served
}

/// Waits until somebody wants it to end.
async fn asked((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
