//! Dumps in SQL: mysqldump, mariadb-dump, pg_dump, pg_dumpall. Each writes a comment as its last line, which is missing
//! when it was killed, ran out of disk, or was cut.

use super::Verdict;

/// Since 10.5.25 and 10.11.8 the first line of mariadb-dump forbids commands of the client; the first releases that had it
/// wrote it without the `M`.
const SANDBOX: [&[u8]; 2] = [b"/*M!999999\\- enable the sandbox mode */", b"/*!999999\\- enable the sandbox mode */"];
/// The comments that mysqldump and mariadb-dump begin with.
const MYSQL: [&[u8]; 2] = [b"-- MySQL dump", b"-- MariaDB dump"];

/// The program that wrote a dump that begins like this.
pub(super) fn program(head: &[u8]) -> Option<&'static str> {
    let marks: [(&[u8], &str); 6] = [
        (MYSQL[0], "mysqldump"),
        (MYSQL[1], "mariadb-dump"),
        (SANDBOX[0], "mariadb-dump"),
        (SANDBOX[1], "mariadb-dump"),
        (b"--\n-- PostgreSQL database cluster dump", "pg_dumpall"),
        (b"--\n-- PostgreSQL database dump", "pg_dump"),
    ];
    marks.iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, program)| *program)
}

/// Judges a dump by its beginning and its last bytes.
pub(super) fn judge(head: &[u8], tail: &[u8]) -> Verdict {
    match program(head) {
        Some("pg_dump") => pg_dump(head, tail),
        Some("pg_dumpall") => match last(tail, b"-- PostgreSQL database cluster dump complete\n") {
            Some(_) => Verdict::Complete,
            None => NOT_COMPLETE,
        },
        Some(_) if has_comments(head) => mysql(tail),
        Some(_) => super::NOT_KNOWN,
        None => super::NOT_KNOWN,
    }
}

/// --skip-comments and --compact leave out beginning and end alike, but not the line of the sandbox (mysqldump.cc,
/// write_header).
fn has_comments(head: &[u8]) -> bool {
    let after = head.iter().position(|byte| *byte == b'\n').and_then(|end| head.get(end + 1..)).unwrap_or_default();
    [head, after].iter().any(|text| MYSQL.iter().any(|mark| text.starts_with(mark)))
}

/// The line is `-- Dump completed on 2026-11-21  2:00:07`, with --skip-dump-date without the time (mysqldump.cc,
/// write_footer).
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

const NOT_COMPLETE: Verdict = Verdict::Incomplete("the comment that says it is complete is missing at the end");

/// Since the releases of August 2025 (CVE-2025-8714) a dump that begins with `\restrict KEY` ends with `\unrestrict KEY`.
/// pg_dumpall lifts its own before the dumps of the databases, so its comment is the end.
fn pg_dump(head: &[u8], tail: &[u8]) -> Verdict {
    let Some(at) = last(tail, b"-- PostgreSQL database dump complete\n") else { return NOT_COMPLETE };
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
