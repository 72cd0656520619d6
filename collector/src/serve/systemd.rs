//! What the service manager is told (sd_notify(3)): ready, reloading, stopping, one line on how it stands, and, while there
//! is real progress, that the watchdog may wait on (sd_watchdog_enabled(3)). Without NOTIFY_SOCKET nobody is told anything.
//! Nothing else is ever started, so nobody can inherit the way to the manager.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::time::Clock;
use sd_notify::NotifyState;
use tokio::sync::watch;

use super::watchdog::{Beat, Judged, Progress, Watchdog};
use crate::access::Connections;
use crate::condition::Condition;
use crate::worker::Writer;

/// Without a watchdog, the line is looked at this often.
const GLANCE: Duration = Duration::from_secs(5);
/// The tick comes round once a second: what is shorter than this could not be fed.
const SHORTEST: Duration = Duration::from_secs(4);
/// A manager that takes no message for this long is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything listens, or a reload is over, whatever came of it.
pub async fn ready(line: String) {
    tell(move || sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&line)])).await;
}

/// A reload begins.
pub async fn reloading() {
    tell(|| sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?])).await;
}

/// The collector stops.
pub async fn stopping() {
    tell(|| sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("stopping")])).await;
}

async fn tell(message: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(message)).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!("the service manager cannot be told: {error}"),
        _ => tracing::warn!("the service manager takes no message"),
    }
}

/// What is looked at.
pub(super) struct Parts {
    pub(super) writer: Writer,
    pub(super) beat: Beat,
    pub(super) connections: Arc<Connections>,
    pub(super) condition: Arc<Condition>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Keeps the line up to date and feeds the watchdog, until `stop` becomes true.
///
/// # Errors
/// None: a collector to which nobody listens may go on.
pub(super) async fn attend(parts: Parts, mut stop: watch::Receiver<bool>) -> Result<()> {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        tokio::select! {
            () = look_after(&parts) => {}
            // an error means that whoever could stop us has gone
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    Ok(())
}

async fn look_after(parts: &Parts) {
    let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
    if limit.is_some_and(|limit| limit < SHORTEST) {
        let least = SHORTEST.as_secs();
        tracing::warn!("WatchdogSec is shorter than {least} s: the watchdog may end a collector that works");
    }
    let mut watchdog = limit.map(|limit| Watchdog::new(limit, parts.clock.monotonic()));
    let mut look = tokio::time::interval(watchdog.as_ref().map_or(GLANCE, Watchdog::every));
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let probe = || Box::pin(parts.writer.probe());
    let (mut asked, mut answers, mut said) = (None::<Pin<Box<_>>>, 0, String::new());
    loop {
        tokio::select! {
            Some(answer) = async { Some(asked.as_mut()?.await) } => {
                asked = None;
                // a writer that has ended answers nothing any more
                let Some::<Result<()>>(answer) = answer else { continue };
                answers += 1;
                parts.condition.stuck(answer.err().map(|error| format!("the store takes nothing: {error:#}")));
            }
            _ = look.tick() => {
                let progress = Progress { answers, beats: parts.beat.count() };
                match watchdog.as_mut().map(|watchdog| watchdog.judge(parts.clock.monotonic(), progress)) {
                    Some(Judged::Feed) => tell(|| sd_notify::notify(&[NotifyState::Watchdog])).await,
                    Some(Judged::Stuck(who)) => {
                        tracing::error!("{who}: the watchdog is not fed");
                        parts.condition.stuck(Some(who));
                    }
                    Some(Judged::Wait) | None => {}
                }
                let line = parts.condition.line(parts.connections.streams());
                if line != said {
                    said.clone_from(&line);
                    tell(move || sd_notify::notify(&[NotifyState::Status(&line)])).await;
                }
                // one question at a time: a writer that hangs is not buried under them
                asked.get_or_insert_with(probe);
            }
        }
    }
}
