//! Whether the collector works, and its figures, in plain HTTP for this machine: `/healthz` and `/metrics` (Prometheus'
//! text format, version 0.0.4). Nothing in it comes from a host.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use plumb_proto::model::Severity;
use plumb_sandbox::Lock;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::access::Connections;
use crate::condition::Condition;
use crate::drift::DriftState;
use crate::store::rows::{Delivery, HostState};
use crate::store::{DriftFilter, Questions};
use crate::worker::{Weight, Writer};

/// Requests that are answered at the same time.
const AT_ONCE: usize = 4;
/// Time for an answer.
const TIME: Duration = Duration::from_secs(5);
/// The newest deliveries that are counted.
const DELIVERIES: usize = 1_000;

/// What health needs.
pub struct Parts {
    /// To see whether the store still takes something.
    pub writer: Writer,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// A reader that questions do not wait for.
    pub reader: Arc<Mutex<Box<dyn Questions>>>,
    /// What people should look at.
    pub condition: Arc<Condition>,
}

struct Shared {
    /// Taken away when the collector stops: a client that keeps its line open must not keep the store open.
    writer: Mutex<Option<Writer>>,
    connections: Arc<Connections>,
    reader: Arc<Mutex<Box<dyn Questions>>>,
    condition: Arc<Condition>,
    places: Semaphore,
}

/// Serves until `stop` becomes true.
///
/// # Errors
/// The server fails.
pub async fn serve(listener: TcpListener, parts: Parts, mut stop: watch::Receiver<bool>) -> Result<()> {
    let Parts { writer, connections, reader, condition } = parts;
    let (writer, places) = (Mutex::new(Some(writer)), Semaphore::new(AT_ONCE));
    let shared = Arc::new(Shared { writer, connections, reader, condition, places });
    let router = Router::new().route("/healthz", get(healthz)).route("/metrics", get(metrics));
    let served = tokio::select! {
        served = axum::serve(listener, router.with_state(shared.clone())) => served.context("health"),
        // an error means that whoever could stop us has gone
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    served
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(_place) = shared.places.try_acquire() else { return busy() };
    let writer = shared.writer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(writer) = writer else { return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response() };
    let written = tokio::time::timeout(TIME, writer.call(Weight::default(), |tx| tx.touch())).await;
    match written {
        Ok(Ok(())) => {
            let warnings = shared.condition.warnings().into_iter().map(|warning| format!("warning: {warning}\n"));
            format!("ok\n{}", warnings.collect::<String>()).into_response()
        }
        Ok(Err(error)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the store takes nothing: {error:#}\n")).into_response()
        }
        Err(_) => {
            let text = format!("the store has not answered within {} s\n", TIME.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(_place) = shared.places.try_acquire() else { return busy() };
    let reader = shared.reader.clone();
    let counted = tokio::task::spawn_blocking(move || {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        count(reader.as_mut())
    });
    match tokio::time::timeout(TIME, counted).await {
        Ok(Ok(Ok(mut text))) => {
            let streams = shared.connections.streams();
            gauge(&mut text, "plumb_streams", "Hosts that have a stream.", &[("", streams)]);
            settings(&mut text, &shared.condition);
            ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Ok(Ok(Err(error))) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store has not answered in time\n").into_response(),
    }
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "too many requests at once\n").into_response()
}

/// One metric with a value for each set of labels, as they are written between the braces.
fn gauge(text: &mut String, name: &str, help: &str, values: &[(&str, usize)]) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n"); // a String takes everything
    for (labels, value) in values {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

/// As Prometheus and Alertmanager name theirs.
fn settings(text: &mut String, condition: &Condition) {
    let (taken_over, at) = condition.last_reload();
    let help = "Whether the last reload of the settings was taken over.";
    gauge(text, "plumb_config_last_reload_successful", help, &[("", usize::from(taken_over))]);
    let help = "When settings were last taken over, by a reload or the start.";
    let at = usize::try_from(at.millis() / 1000).unwrap_or_default();
    gauge(text, "plumb_config_last_reload_success_timestamp_seconds", help, &[("", at)]);
    if let Some(locked) = condition.locks() {
        let on = |lock: &Lock| usize::from(*lock == Lock::On);
        let values = [("lock=\"seccomp\"", on(&locked.seccomp)), ("lock=\"landlock\"", on(&locked.landlock))];
        gauge(text, "plumb_sandbox", "Whether a lock of the collector's own process holds in full.", &values);
    }
}

fn count(reader: &mut dyn Questions) -> Result<String> {
    let mut text = String::new();
    let build = format!("version=\"{}\"", plumb_proto::VERSION);
    gauge(&mut text, "plumb_build_info", "Version of the collector.", &[(&build, 1)]);
    let hosts = reader.hosts()?;
    let of = |state| hosts.iter().filter(|host| host.state == state).count();
    let values = [
        ("state=\"active\"", of(HostState::Active)),
        ("state=\"suspended\"", of(HostState::Suspended)),
        ("state=\"revoked\"", of(HostState::Revoked)),
    ];
    gauge(&mut text, "plumb_hosts", "Hosts that have enrolled and are not retired.", &values);
    let drifts = reader.drifts(&DriftFilter::default())?;
    let open = drifts.iter().filter(|each| each.state == DriftState::Open);
    let of = |severity| open.clone().filter(|each| each.drift.severity == severity).count();
    let values = [
        ("severity=\"critical\"", of(Severity::Critical)),
        ("severity=\"warning\"", of(Severity::Warning)),
        ("severity=\"info\"", of(Severity::Info)),
    ];
    gauge(&mut text, "plumb_drifts_open", "Drifts that are open.", &values);
    let messages = reader.messages(DELIVERIES)?;
    let of = |is: fn(&Delivery) -> bool| messages.iter().filter(|(message, _)| is(&message.delivery)).count();
    let values = [
        ("state=\"waiting\"", of(|delivery| matches!(delivery, Delivery::Waiting { .. }))),
        ("state=\"failed\"", of(|delivery| *delivery == Delivery::Failed)),
    ];
    gauge(
        &mut text,
        "plumb_deliveries",
        "Of the newest 1,000 messages to receivers, those that did not arrive.",
        &values,
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_written_as_prometheus_reads_it() {
        let mut text = String::new();
        gauge(&mut text, "plumb_hosts", "Hosts.", &[("state=\"active\"", 2), ("", 1)]);
        assert_eq!(
            text,
            "# HELP plumb_hosts Hosts.\n# TYPE plumb_hosts gauge\nplumb_hosts{state=\"active\"} 2\nplumb_hosts 1\n"
        );
    }
}
