//! `plumb events --follow`: asks every second for what is behind the last event, through restarts of the collector.

use std::time::Duration;

use anyhow::{Result, anyhow};
use plumb_proto::generated::query::{Event, EventsRequest};
use plumb_proto::limits;
use tokio::signal::unix::{SignalKind, signal};
use tonic::{Code, Status};

use super::EventJson;
use crate::cli::connect::Query;
use crate::cli::drift::severity;
use crate::cli::printer::values::{at, said};
use crate::cli::printer::words::moment;
use crate::cli::printer::{Printer, Style};

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints events as they come, until the user has seen enough.
pub(super) async fn run(request: EventsRequest, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        ended = go_on(request, query, printer) => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

async fn go_on(mut request: EventsRequest, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let mut is_lost = false;
    loop {
        match query.follow(request.clone()).await {
            Ok(events) => {
                if std::mem::take(&mut is_lost) {
                    printer.note("The collector answers again.")?;
                }
                for event in &events {
                    print(event, printer)?;
                }
                printer.finish()?;
                let last = events.last().map(|event| event.number).or(request.after).unwrap_or(0);
                // from here on everything, in order, so that none is skipped however many come at once
                request.after = Some(last);
                request.limit = u32::try_from(limits::QUERY_PAGE).unwrap_or(u32::MAX);
            }
            Err(status) if may_pass(status.code()) => {
                if !std::mem::replace(&mut is_lost, true) {
                    printer.note(format!("The collector does not answer ({}); trying on.", reason(&status)))?;
                }
            }
            Err(status) => return Err(anyhow!("{}", status.message())),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether asking again may help: the collector is being restarted, or is busy.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
    )
}

/// In one line: what to do about it is told where a command fails.
fn reason(status: &Status) -> &str {
    status.message().lines().next().unwrap_or_default()
}

fn print(row: &Event, printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json(&EventJson::from(row));
    }
    let event = row.event.clone().unwrap_or_default();
    let (word, style) = severity(event.severity());
    let when = printer.styled(moment(at(event.at_ms)), Style::Dim);
    let word = printer.styled(format!("{word:<8}"), style);
    let times = if event.count > 1 { format!("  {}x", event.count) } else { String::new() };
    printer.line(format!("{when}  {word}  {}{times}  {}", event.kind, said(&event.text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::printer::testing::printed;

    #[test]
    fn each_event_is_one_line() {
        let event = crate::cli::events::tests::event("php\x1b[2J killed");
        let (out, _) = printed(false, None, |printer| print(&event, printer).unwrap());
        assert_eq!(out, "2026-11-21 10:00:02 UTC  critical  oom_kill  2x  php\\x1b[2J killed\n");
        let (out, _) = printed(true, None, |printer| {
            print(&event, printer).unwrap();
            print(&event, printer).unwrap();
        });
        let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[1]["kind"]), (2, &serde_json::json!("oom_kill")));
    }

    #[test]
    fn a_restart_is_waited_for_and_a_denial_is_not() {
        assert!(may_pass(Code::Unavailable) && may_pass(Code::Unknown));
        assert!(!may_pass(Code::PermissionDenied) && !may_pass(Code::NotFound) && !may_pass(Code::Internal));
    }
}
