//! What a look could not see: which of it may be sent, and what it covers.

use plumb_proto::model::Problem;

use super::own::AGENT;
use crate::watcher::Spec;

/// Problems of one look that are told; the rest is counted.
const PROBLEMS: usize = 200;

/// True if a problem still stands. What it says may change: what matters is what it covers.
pub(super) fn covered(before: &Problem, now: &[Problem]) -> bool {
    now.iter()
        .any(|each| each.table == before.table && before.key_prefix.as_bytes().starts_with(each.key_prefix.as_bytes()))
}

/// A look that broke covers all tables of its watcher.
pub(super) fn failed(spec: &Spec, error: &str, hint: &str) -> Vec<Problem> {
    let tables: Vec<&str> = spec.tables.iter().map(|table| table.name).collect();
    // Without a table of its own it has no rows that could be unknown, but what went wrong must be seen.
    let tables = if tables.is_empty() { vec![AGENT.name] } else { tables };
    let problem = |table: &str| Problem {
        table: table.to_owned(),
        key_prefix: if table == AGENT.name { format!("watcher/{}", spec.name).into() } else { "".into() },
        path: "".into(),
        error: short(error),
        hint: short(hint),
    };
    tables.into_iter().map(problem).collect()
}

/// Problems as they may be sent: each once, not too many, none too long, and none on a table that is not declared.
pub(super) fn bounded(problems: Vec<Problem>, spec: &Spec) -> Vec<Problem> {
    let mut kept: Vec<Problem> = Vec::new();
    let mut left_out: Vec<(String, usize)> = Vec::new();
    for mut problem in problems {
        debug_assert!(
            spec.tables.iter().any(|table| table.name == problem.table),
            "{} is not in the Spec",
            problem.table
        );
        (problem.error, problem.hint) = (short(&problem.error), short(&problem.hint));
        if kept.contains(&problem) {
            continue;
        }
        if kept.len() < PROBLEMS {
            kept.push(problem);
        } else if let Some((_, count)) = left_out.iter_mut().find(|(table, _)| *table == problem.table) {
            *count += 1;
        } else {
            left_out.push((problem.table, 1));
        }
    }
    kept.extend(left_out.into_iter().map(|(table, count)| Problem {
        table,
        key_prefix: "".into(),
        path: "".into(),
        error: format!("and {count} more problems"),
        hint: String::new(),
    }));
    kept
}

fn short(text: &str) -> String {
    let end = (0..=text.len().min(1_000)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}
