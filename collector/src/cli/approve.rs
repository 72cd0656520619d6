//! `plumb approve`: today's state becomes the baseline.

use anyhow::Result;
use clap::{ArgGroup, Args};
use plumb_proto::generated::query::{ApproveReply, ApproveRequest, Drift};

use super::connect::Query;
use super::drift::DriftJson;
use super::printer::Printer;
use super::printer::words::count;

/// Make today's state the baseline: of single drifts, of a whole host, or of what a change set touched
///
/// Only drifts of kind `changed` are over by this. What a rule does not allow stays a drift until it is mended, and a silent
/// host until it speaks.
#[derive(Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["ids", "host", "change_set"]),
    after_help = "Examples:\n  plumb approve 12 13 --note 'upgrade to PHP 8.3'\n  plumb approve --host web-1 --table php\n  \
                  plumb approve --change-set 3f2a90c14be7 --note 'release 4.2'"
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
    /// All that this change set touched, as `plumb changes` shows it; what has changed again since is left as it was
    #[arg(long, value_name = "ID")]
    change_set: Option<String>,
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
    let is_set = arguments.change_set.is_some();
    let request = ApproveRequest {
        ids: arguments.ids,
        host: arguments.host.unwrap_or_default(),
        table: arguments.table.unwrap_or_default(),
        note: arguments.note.unwrap_or_default(),
        change_set: arguments.change_set.unwrap_or_default(),
    };
    let reply = query.approve(request).await?;
    print(&reply.approved, host.as_deref(), printer)?;
    if is_set { printer.note(taken(&reply)) } else { Ok(()) }
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

/// What became of a change set.
fn taken(reply: &ApproveReply) -> String {
    let things = |number: u32, one: &str, many: &str| count(number as usize, one, many);
    let left = match reply.left {
        0 => String::new(),
        left => format!("; {} left: changed again since, or not known now", things(left, "was", "were")),
    };
    match reply.taken {
        0 if reply.left == 0 => "The change set touched files only: they have no baseline.".to_owned(),
        taken => format!("{} in the baseline now{left}.", things(taken, "row or field is", "rows and fields are")),
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

    #[test]
    fn of_a_change_set_it_is_told_what_was_taken_and_what_was_left() {
        let reply = |taken, left| taken_of(taken, left);
        assert_eq!(reply(1, 0), "1 row or field is in the baseline now.");
        assert_eq!(
            reply(3, 2),
            "3 rows and fields are in the baseline now; 2 were left: changed again since, or not known now."
        );
        assert_eq!(reply(0, 0), "The change set touched files only: they have no baseline.");
    }

    fn taken_of(rows: u32, left: u32) -> String {
        taken(&ApproveReply { approved: Vec::new(), taken: rows, left })
    }
}
