//! Dumps in SQL: mysqldump, mariadb-dump, pg_dump, pg_dumpall. Each writes a comment as its last line, which is missing
//! when it was killed, ran out of disk, or was cut.

use super::Verdict;

/// The program that wrote a dump that begins like this.
pub(super) fn program(head: &[u8]) -> Option<&'static str> {
    let marks: [(&[u8], &str); 5] = [
        (b"-- MySQL dump", "mysqldump"),
        (b"-- MariaDB dump", "mariadb-dump"),
        // Since 10.5.25 and 10.11.8 the first line forbids commands of the client.
        (b"/*M!999999\\- enable the sandbox mode */", "mariadb-dump"),
        (b"--\n-- PostgreSQL database cluster dump", "pg_dumpall"),
        (b"--\n-- PostgreSQL database dump", "pg_dump"),
    ];
    marks.iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, program)| *program)
}

/// Judges a dump by its beginning and its last bytes.
pub(super) fn judge(head: &[u8], tail: &[u8]) -> Verdict {
    match program(head) {
        Some("pg_dump") => postgresql(head, tail, b"-- PostgreSQL database dump complete\n"),
        Some("pg_dumpall") => postgresql(head, tail, b"-- PostgreSQL database cluster dump complete\n"),
        Some(_) => mysql(tail),
        None => super::NOT_KNOWN,
    }
}

/// The line is `-- Dump completed on 2026-11-21  2:00:07`, with --skip-dump-date without the time (mysqldump.cc,
/// write_footer). --skip-comments leaves out beginning and end alike: such a dump is not recognised here at all.
fn mysql(tail: &[u8]) -> Verdict {
    let Some(at) = last(tail, b"-- Dump completed") else {
        return Verdict::Incomplete("the line `-- Dump completed` is missing at the end");
    };
    let rest = tail.get(at..).unwrap_or_default();
    let begins_anew = last(rest, b"-- MySQL dump").or_else(|| last(rest, b"-- MariaDB dump")).is_some();
    if begins_anew || !rest.contains(&b'\n') {
        return Verdict::Incomplete("the line `-- Dump completed` is missing at the end");
    }
    Verdict::Complete
}

/// Since the releases of August 2025 (CVE-2025-8714) a dump that begins with `\restrict KEY` ends with `\unrestrict KEY`.
fn postgresql(head: &[u8], tail: &[u8], mark: &[u8]) -> Verdict {
    let Some(at) = last(tail, mark) else {
        return Verdict::Incomplete("the comment that says it is complete is missing at the end");
    };
    let rest = tail.get(at..).unwrap_or_default();
    let restricted = last(head, b"\n\\restrict ").is_some();
    let released = last(rest, b"\n\\unrestrict ").and_then(|at| rest.get(at + 1..)).is_some_and(|l| l.contains(&b'\n'));
    if restricted && !released {
        return Verdict::Incomplete("`\\unrestrict` is missing at the end");
    }
    Verdict::Complete
}

/// Where something is found last.
fn last(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).rposition(|part| part == what)
}
