//! `plumb events HOST`: what happened on a host, and what happens.

mod follow;

use anyhow::{Result, bail};
use clap::Args;
use jiff::{Span, SpanRelativeTo};
use plumb_proto::generated::query::{Event, EventsRequest};
use plumb_proto::limits;
use plumb_proto::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::connect::Query;
use super::drift::severity;
use super::printer::table::{Cell, Table, column};
use super::printer::values::{at, object, said};
use super::printer::words::{ago, moment};
use super::printer::{Printer, Style};

/// How many events people are shown if they do not ask for a number.
const SHOWN: u32 = 200;
/// How many of those that happened before are shown ahead of what happens.
const FOLLOWED: u32 = 10;

/// What happened on a host, oldest first
#[derive(Args)]
#[command(
    after_help = "Examples:\n  plumb events web-1\n  plumb events web-1 --since 24h --kind oom_kill\n  plumb events web-1 \
                  --since 2026-11-21T10:00:00Z --json\n  plumb events web-1 --follow"
)]
pub(super) struct Arguments {
    /// Name of the host
    host: String,
    /// Of this kind only
    #[arg(long)]
    kind: Option<String>,
    /// Not before: a time span such as 2h or 7d, or a moment such as 2026-11-21T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The newest N only [default: 200; with --json as many as there are, 100000 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: Option<u32>,
    /// Behind this one: the `number` that --json shows
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// Go on with what happens from now, until Ctrl-C; with --json one JSON document a line
    #[arg(long, short)]
    follow: bool,
}

/// An event as `events --json` prints it.
#[derive(Serialize)]
pub(super) struct EventJson {
    number: u64,
    time: String,
    kind: String,
    severity: &'static str,
    text: String,
    fields: Map<String, Value>,
    count: u64,
    watcher: String,
}

impl From<&Event> for EventJson {
    fn from(row: &Event) -> Self {
        let event = row.event.clone().unwrap_or_default();
        Self {
            number: row.number,
            time: at(event.at_ms).to_string(),
            severity: severity(event.severity()).0,
            text: said(&event.text),
            fields: object(&event.fields),
            count: event.count,
            kind: event.kind,
            watcher: row.watcher.clone(),
        }
    }
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let since = arguments.since.as_deref().map(|text| since(text, printer.now())).transpose()?;
    let all = u32::try_from(limits::QUERY_ROWS).unwrap_or(u32::MAX);
    let limit = arguments.limit.unwrap_or(match (printer.is_json(), arguments.follow) {
        (_, true) => FOLLOWED,
        (true, false) => all,
        (false, false) => SHOWN,
    });
    let request = EventsRequest {
        host: arguments.host.clone(),
        kind: arguments.kind.unwrap_or_default(),
        since_ms: since.map(Timestamp::millis),
        after: arguments.after,
        limit,
    };
    if arguments.follow {
        return follow::run(request, query, printer).await;
    }
    let events = query.events(request).await?;
    if printer.is_json() {
        printer.json_rows(events.iter().map(EventJson::from))?;
    } else if events.is_empty() {
        printer.note(format!("No event of {} matches.", arguments.host))?;
    } else {
        printer.table(&table(&events, printer))?;
    }
    if events.len() == limit as usize && arguments.limit.is_none() {
        printer.note(format!("These are the newest {limit}; there may be older ones: --limit N or --since TIME."))?;
    }
    Ok(())
}

/// The events as a table; whose they are is known.
pub(super) fn table(events: &[Event], printer: &Printer) -> Table {
    let mut table = Table::new(&[
        column("WHEN"),
        column("SEVERITY").spare(1),
        column("KIND"),
        column("COUNT").right().spare(2),
        column("WHAT").wraps(),
    ]);
    for row in events {
        let event = row.event.clone().unwrap_or_default();
        let (word, style) = severity(event.severity());
        let when = at(event.at_ms);
        let when = match printer.width() {
            None => when.to_string(),
            Some(_) if printer.is_wide() => moment(when),
            Some(_) => ago(when, printer.now()),
        };
        table.row([
            Cell::new(when, Style::Dim),
            Cell::new(word, style),
            event.kind.clone().into(),
            if event.count > 1 { format!("{}x", event.count).into() } else { Cell::default() },
            said(&event.text).into(),
        ]);
    }
    table
}

/// A moment, or a span before now.
pub(super) fn since(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_millis(moment.as_millisecond()));
    }
    let span = text.parse::<Span>().ok().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    match span.and_then(|span| std::time::Duration::try_from(span).ok()) {
        Some(span) => Ok(now - span),
        None => bail!("--since {text}: expected a time span such as 2h, or a moment such as 2026-11-21T10:00:00Z"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use plumb_proto::generated::model::Severity;

    use super::*;
    use crate::cli::printer::testing::{NOW, printed, screen};

    pub(in crate::cli) fn event(text: &str) -> Event {
        Event {
            number: 41,
            watcher: "system".to_owned(),
            event: Some(plumb_proto::generated::model::Event {
                at_ms: NOW.millis() - 60_000,
                kind: "oom_kill".to_owned(),
                severity: Severity::Critical.into(),
                text: text.as_bytes().to_vec(),
                fields: Vec::new(),
                count: 2,
            }),
            ..Event::default()
        }
    }

    #[test]
    fn an_event_that_would_draw_on_the_terminal_is_shown_escaped() {
        let events = [event("killed \x1b[2Jphp-fpm\nok")];
        assert_eq!(
            screen(80, |printer| printer.table(&table(&events, printer)).unwrap()),
            "WHEN       SEVERITY  KIND      COUNT  WHAT\n\
             1 min ago  critical  oom_kill     2x  killed \\x1b[2Jphp-fpm\\nok\n"
        );
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let (out, _) = printed(true, None, |printer| printer.json_rows([EventJson::from(&event("x"))]).unwrap());
        assert_eq!(
            out,
            "[\n{\"number\":41,\"time\":\"2026-11-21T10:00:02Z\",\"kind\":\"oom_kill\",\"severity\":\"critical\",\"text\":\"x\",\
             \"fields\":{},\"count\":2,\"watcher\":\"system\"}\n]\n"
        );
    }

    #[test]
    fn a_begin_is_a_moment_or_a_span() {
        assert_eq!(since("2h", NOW).unwrap(), NOW - std::time::Duration::from_secs(7200));
        assert_eq!(since("7d", NOW).unwrap(), NOW - std::time::Duration::from_secs(7 * 86_400));
        assert_eq!(since("2026-11-21T10:01:02Z", NOW).unwrap(), NOW);
        assert!(since("yesterday", NOW).is_err());
    }
}
