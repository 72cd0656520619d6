//! `plumb alerts`: what was told to whom, and whether it arrived.

use anyhow::Result;
use clap::{Args, Subcommand};
use plumb_proto::generated::query::{AlertsRequest, Delivery, TestReceiverReply};
use serde::Serialize;

use super::connect::Query;
use super::drift::severity;
use super::printer::table::{Cell, Table, column};
use super::printer::values::at;
use super::printer::words::{ago, span};
use super::printer::{Printer, Style};
use super::{DONE, FAILED};

/// Messages to receivers, newest first: delivered, waiting for another try, failed
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = "Examples:\n  plumb alerts\n  plumb alerts test ops")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// The newest N only
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Subcommand)]
enum What {
    /// Send a receiver a test message now, and say what it answered
    #[command(after_help = "Examples:\n  plumb alerts test ops")]
    Test {
        /// Name of the receiver, as collector.toml has it
        receiver: String,
    },
}

/// A message as `alerts --json` prints it.
#[derive(Serialize)]
struct DeliveryJson {
    receiver: String,
    key: String,
    state: String,
    created: String,
    tries: u32,
    next_try: Option<String>,
    last_error: Option<String>,
    alerts: Vec<AlertJson>,
}

#[derive(Serialize)]
struct AlertJson {
    drift: String,
    transition: u32,
    kind: String,
    at: String,
    host: String,
    severity: &'static str,
    title: String,
}

#[derive(Serialize)]
struct TestJson {
    receiver: String,
    delivered: bool,
    answer: String,
    took_ms: u32,
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<u8> {
    if let Some(What::Test { receiver }) = arguments.what {
        let reply = query.test_receiver(receiver.clone()).await?;
        return tested(receiver, reply, printer);
    }
    let page = query.alerts(AlertsRequest { limit: arguments.limit }).await?;
    print(&page.deliveries, &page.receivers, printer)?;
    Ok(DONE)
}

fn tested(receiver: String, reply: TestReceiverReply, printer: &mut Printer) -> Result<u8> {
    let TestReceiverReply { delivered, answer, took_ms } = reply;
    if printer.is_json() {
        printer.json(&TestJson { receiver, delivered, answer, took_ms })?;
    } else if delivered {
        printer.line(format!("{receiver} took it after {took_ms} ms: {answer}"))?;
    } else {
        printer.note(format!("plumb: {receiver} did not take it: {answer}"))?;
    }
    Ok(if delivered { DONE } else { FAILED })
}

fn print(deliveries: &[Delivery], receivers: &[String], printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(deliveries.iter().map(json));
    }
    if deliveries.is_empty() {
        return printer.note(match receivers {
            [] => "Nobody is told: collector.toml has no [[receiver]].".to_owned(),
            some => format!("Nothing was sent yet. Receivers: {}.", some.join(", ")),
        });
    }
    let mut table = Table::new(&[
        column("WHEN"),
        column("RECEIVER"),
        column("STATE"),
        column("TRIES").right().spare(2),
        column("HOST").spare(1),
        column("WHAT").wraps(),
    ]);
    for delivery in deliveries {
        table.row(row(delivery, printer));
    }
    printer.table(&table)
}

fn row(delivery: &Delivery, printer: &Printer) -> [Cell; 6] {
    let style = match delivery.state.as_str() {
        "delivered" => Style::Good,
        "failed" => Style::Critical,
        "waiting" => Style::Warning,
        _ => Style::Dim,
    };
    let first = delivery.alerts.first();
    let mut what = first.map_or_else(String::new, |alert| format!("{}: {}", alert.kind, alert.title));
    if delivery.alerts.len() > 1 {
        what = format!("{what} (and {} more)", delivery.alerts.len() - 1);
    }
    if let Some(error) = &delivery.last_error {
        let next = delivery.next_try_ms.map(|next| format!(", next try in {}", span(at(next).since(printer.now()))));
        what = format!("{what} [{error}{}]", next.unwrap_or_default());
    }
    let created = at(delivery.created_ms);
    let when = if printer.width().is_some() { ago(created, printer.now()) } else { created.to_string() };
    [
        Cell::new(when, Style::Dim),
        Cell::new(delivery.receiver.clone(), Style::Bold),
        Cell::new(delivery.state.clone(), style),
        delivery.tries.to_string().into(),
        first.map(|alert| alert.host.clone()).unwrap_or_default().into(),
        what.into(),
    ]
}

fn json(delivery: &Delivery) -> DeliveryJson {
    let alerts = delivery.alerts.iter().map(|alert| AlertJson {
        drift: alert.drift.to_string(),
        transition: alert.transition,
        kind: alert.kind.clone(),
        at: at(alert.at_ms).to_string(),
        host: alert.host.clone(),
        severity: severity(alert.severity()).0,
        title: alert.title.clone(),
    });
    DeliveryJson {
        receiver: delivery.receiver.clone(),
        key: delivery.key.iter().map(|byte| format!("{byte:02x}")).collect(),
        state: delivery.state.clone(),
        created: at(delivery.created_ms).to_string(),
        tries: delivery.tries,
        next_try: delivery.next_try_ms.map(|next| at(next).to_string()),
        last_error: delivery.last_error.clone(),
        alerts: alerts.collect(),
    }
}

#[cfg(test)]
mod tests {
    use plumb_proto::generated::model::Severity;
    use plumb_proto::generated::query::Alert;

    use super::*;
    use crate::cli::printer::testing::{NOW, printed, screen};

    fn delivery(state: &str) -> Delivery {
        let alert = Alert {
            drift: 12,
            transition: 1,
            kind: "opened".to_owned(),
            at_ms: NOW.millis() - 61_000,
            host: "web-1".to_owned(),
            severity: Severity::Critical.into(),
            title: "/var is 97 % full".to_owned(),
        };
        Delivery {
            receiver: "ops".to_owned(),
            key: vec![0x0f; 2],
            created_ms: NOW.millis() - 60_000,
            tries: 1,
            state: state.to_owned(),
            alerts: vec![alert.clone(), alert],
            ..Delivery::default()
        }
    }

    #[test]
    fn a_message_that_waits_says_why_and_until_when() {
        let waiting = Delivery {
            next_try_ms: Some(NOW.millis() + 5_000),
            last_error: Some("connection refused".to_owned()),
            ..delivery("waiting")
        };
        assert_eq!(
            screen(80, |printer| print(&[waiting, delivery("delivered")], &[], printer).unwrap()),
            "\
WHEN       RECEIVER  STATE      TRIES  HOST   WHAT
1 min ago  ops       waiting        1  web-1  opened: /var is 97 % full (and 1
                                              more) [connection refused, next
                                              try in 5 s]
1 min ago  ops       delivered      1  web-1  opened: /var is 97 % full (and 1
                                              more)
"
        );
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let (out, _) = printed(true, None, |printer| print(&[delivery("failed")], &[], printer).unwrap());
        assert!(
            out.starts_with(
                "[\n{\"receiver\":\"ops\",\"key\":\"0f0f\",\"state\":\"failed\",\"created\":\"2026-11-21T10:00:02Z\",\"tries\":1,\
                 \"next_try\":null,\"last_error\":null,\"alerts\":[{\"drift\":\"12\",\"transition\":1,\"kind\":\"opened\","
            ),
            "{out}"
        );
    }

    #[test]
    fn a_test_that_did_not_arrive_fails() {
        let reply = |delivered| TestReceiverReply { delivered, answer: "status 404".to_owned(), took_ms: 7 };
        let (_, talk) = printed(false, Some(80), |printer| {
            assert_eq!(tested("ops".to_owned(), reply(false), printer).unwrap(), FAILED);
        });
        assert_eq!(talk, "plumb: ops did not take it: status 404\n");
        let (out, _) = printed(false, Some(80), |printer| {
            assert_eq!(tested("ops".to_owned(), reply(true), printer).unwrap(), DONE);
        });
        assert_eq!(out, "ops took it after 7 ms: status 404\n");
    }
}
