//! `plumb approve`: today's state becomes the baseline.

use anyhow::Result;
use clap::{ArgGroup, Args};
use plumb_proto::generated::query::{ApproveRequest, Drift};

use super::connect::Query;
use super::drift::DriftJson;
use super::printer::Printer;
use super::printer::words::count;

/// Make today's state the baseline: of single drifts, or of a whole host
///
/// Only drifts of kind `changed` are over by this. What a rule does not allow stays a drift until it is mended, and a silent
/// host until it speaks.
#[derive(Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["ids", "host"]),
    after_help = "Examples:\n  plumb approve 12 13 --note 'upgrade to PHP 8.3'\n  plumb approve --host web-1 --table php"
)]
pub(super) struct Arguments {
    /// Numbers of drifts, as `plumb drift` shows them
    #[arg(value_name = "ID", value_parser = id)]
    ids: Vec<u64>,
    /// All of this host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// ... in this table only
    #[arg(long, value_name = "TABLE", requires = "host")]
    table: Option<String>,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// A drift's number, with or without the `#` that screens show.
fn id(text: &str) -> Result<u64, String> {
    text.trim_start_matches('#').parse().map_err(|_| "expected the number of a drift, such as 12".to_owned())
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let host = arguments.host.clone();
    let request = ApproveRequest {
        ids: arguments.ids,
        host: arguments.host.unwrap_or_default(),
        table: arguments.table.unwrap_or_default(),
        note: arguments.note.unwrap_or_default(),
    };
    let approved = query.approve(request).await?.approved;
    print(&approved, host.as_deref(), printer)
}

fn print(approved: &[Drift], host: Option<&str>, printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(approved.iter().map(DriftJson::from));
    }
    for drift in approved {
        printer.line(format!("approved #{} {}: {}", drift.id, drift.host, drift.title))?;
    }
    match host {
        Some(host) => printer.note(format!(
            "Today's state of {host} is the baseline; {} over by it.",
            match approved.len() {
                0 => "no drift is".to_owned(),
                1 => "1 drift is".to_owned(),
                many => format!("{} are", count(many, "drift", "drifts")),
            }
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::drift::tests::drift;
    use crate::cli::printer::testing::printed;

    #[test]
    fn what_was_approved_is_told_by_number_and_title() {
        let (out, talk) = printed(false, Some(80), |printer| print(&[drift(12)], Some("web-1"), printer).unwrap());
        assert_eq!(out, "approved #12 web-1.example.org: /var is 97 % full\n");
        assert_eq!(talk, "Today's state of web-1 is the baseline; 1 drift is over by it.\n");
    }

    #[test]
    fn a_number_may_carry_the_sign_that_screens_show() {
        assert_eq!((id("12"), id("#12")), (Ok(12), Ok(12)));
        assert!(id("twelve").is_err());
    }
}
