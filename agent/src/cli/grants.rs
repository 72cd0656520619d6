//! Rights that are missing, how much each of them would unlock, and the line that grants it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::gather::Seen;
use super::terminal::{Style, Terminal};
use crate::host::grant::{Right, count};
use crate::status::Status;

/// A right that is missing.
#[derive(Serialize)]
pub(super) struct Grant {
    capability: &'static str,
    /// Rows, columns and folders that cannot be seen without it.
    unlocks: usize,
    /// To be pasted as root.
    line: String,
}

/// What the service lacks, as its status says.
pub(super) fn of_service(status: &Status) -> Vec<Grant> {
    let mut all = BTreeMap::new();
    for (capability, more) in status.watchers.iter().flat_map(|watched| &watched.withheld) {
        *all.entry(capability.clone()).or_default() += more;
    }
    grants(&all)
}

/// What this process lacked.
pub(super) fn of_seen(seen: &Seen) -> Vec<Grant> {
    let reasons = seen.facts.iter().flat_map(|(_, fact)| fact.unknown.values());
    let hints = seen.problems.iter().map(|problem| &problem.hint);
    let mut all = BTreeMap::new();
    count(&mut all, reasons.chain(hints).map(String::as_str));
    grants(&all)
}

fn grants(withheld: &BTreeMap<String, usize>) -> Vec<Grant> {
    let grant = |right: Right| {
        let capability = right.capability();
        withheld.get(capability).map(|unlocks| Grant { capability, unlocks: *unlocks, line: right.line() })
    };
    Right::ALL.into_iter().filter_map(grant).collect()
}

/// For people. The lines are not broken: they are to be pasted.
pub(super) fn page(grants: &[Grant], terminal: &Terminal) -> String {
    let mut text = String::new();
    for Grant { capability, unlocks, line } in grants {
        let things = if *unlocks == 1 { "one thing" } else { &format!("{unlocks} things") };
        let heading = format!("to let the service see {things} more ({capability}), paste this as root");
        text += &format!("\n{}\n{line}\n", terminal.paint(&heading, Style::Heading));
    }
    text
}
