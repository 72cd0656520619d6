//! Copies of databases, and the small files by which backup programs say that they are done.

use std::io;

use super::{Proof, Source, Verdict, piece};

/// Redis: the byte `ff` and eight bytes of checksum end the file (rdb.h, RDB_OPCODE_EOF; since version 5).
pub(super) fn rdb(file: &mut dyn Source, size: u64) -> io::Result<Verdict> {
    let cut = Verdict::Incomplete("its end marker is missing");
    if size < 18 {
        return Ok(cut);
    }
    let end = piece(file, size - 9, 9)?;
    Ok(if end.first() == Some(&0xff) { Verdict::Complete } else { cut })
}

/// SQLite: bytes 16 and 28 of the header are size and number of pages (fileformat2.html, 1.3).
pub(super) fn sqlite(head: &[u8], size: u64) -> Verdict {
    let big = |from: usize, length: usize| {
        let part = head.get(from..from + length)?;
        Some(part.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let (Some(page), Some(pages), Some(changes), Some(valid_for)) = (big(16, 2), big(28, 4), big(24, 4), big(92, 4))
    else {
        return Verdict::Incomplete("its header is cut");
    };
    let page = if page == 1 { 65_536 } else { page };
    if page < 512 {
        return Verdict::Incomplete("its header is damaged");
    }
    if pages > 0 && changes == valid_for {
        return match size < page * pages {
            true => Verdict::Incomplete("it is shorter than its header says"),
            false => Verdict::Complete,
        };
    }
    match size % page {
        0 => Verdict::Unjudged("its header does not say how long it is"),
        _ => Verdict::Incomplete("it ends within a page"),
    }
}

/// The manifest of pg_basebackup ends with its own checksum (backup-manifest-toplevel).
pub(super) fn manifest(end: &[u8]) -> Verdict {
    let found = end.windows(19).rposition(|part| part == b"\"Manifest-Checksum\"");
    let closed = end.trim_ascii_end().last() == Some(&b'}');
    match found {
        Some(_) if closed => Verdict::Complete,
        _ => Verdict::Incomplete("the manifest ends without its checksum"),
    }
}

/// `backup.info` of Barman says how the backup ended; pgBackRest's lists those that ended well.
pub(super) fn backup_info(head: &[u8]) -> Proof {
    let line = |wanted: &[u8]| head.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_end() == wanted);
    if line(b"[backup:current]") || line(b"[backrest]") {
        return Proof::written_by("pgbackrest", Verdict::Unjudged("its files are not compared with their list"));
    }
    let verdict = if line(b"status=DONE") {
        Verdict::Complete
    } else if line(b"status=FAILED") {
        Verdict::Incomplete("Barman says that it failed")
    } else {
        Verdict::Unjudged("Barman does not say that it is done")
    };
    Proof { encrypted: None, ..Proof::written_by("barman", verdict) }
}

/// All-in-One WP Migration: an empty header of 4,377 bytes is the last.
pub(super) fn wpress(end: &[u8]) -> Verdict {
    match end.len() == super::TAIL && end.iter().all(|byte| *byte == 0) {
        true => Verdict::Complete,
        false => Verdict::Incomplete("its last header is missing"),
    }
}
