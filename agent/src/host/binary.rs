//! The version that is compiled into a program, found by reading it once through one buffer.

use std::io::{self, Read};
use std::path::Path;

use plumb_proto::untrusted::Untrusted;

use super::{ErrorKind, Host, HostError};

/// Bytes of a binary that are searched.
pub const LIMIT: u64 = 64 << 20;
/// Bytes of a version.
const VERSION: usize = 32;
const BUFFER: usize = 64 << 10;

/// What stands beside the version in a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Right before it.
    Before(&'static [u8]),
    /// Right behind it; before it stands NUL, as at the beginning of a text in C.
    Behind(&'static [u8]),
}

/// What a binary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// This version.
    Version(Untrusted),
    /// Nothing: it is a script, or another program that goes by the name.
    Nothing,
    /// It cannot be read to its end: why, and what can be done about it, if anything.
    Unreadable(String, &'static str),
}

impl Host {
    /// Searches a binary for the version beside a mark; also says how many bytes were read, 64 MiB at most. Keep the
    /// answer with the file's [`super::Identity`].
    #[must_use]
    pub fn version_in(&self, path: &Path, mark: Mark) -> (Finding, u64) {
        let mut read = 0;
        let finding = match self.open(path) {
            Ok(file) => {
                let size = file.meta().size;
                match find(&mut file.take(LIMIT), mark, &mut read) {
                    Ok(Some(version)) => Finding::Version(version),
                    Ok(None) if size > LIMIT => {
                        Finding::Unreadable(format!("no version in its first {LIMIT} bytes"), "")
                    }
                    Ok(None) => Finding::Nothing,
                    Err(error) => unreadable(&ErrorKind::from_io(&error).at(path)),
                }
            }
            Err(error) => unreadable(&error),
        };
        (finding, read)
    }
}

fn unreadable(error: &HostError) -> Finding {
    Finding::Unreadable(error.to_string(), error.hint())
}

/// Streams through one buffer; what may be the beginning of the mark, or of the version, is kept for the next round.
fn find(from: &mut impl Read, mark: Mark, total: &mut u64) -> io::Result<Option<Untrusted>> {
    let (Mark::Before(text) | Mark::Behind(text)) = mark;
    let mut buffer = vec![0; BUFFER];
    let mut kept = 0;
    loop {
        let read = match from.read(&mut buffer[kept..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        *total += u64::try_from(read).unwrap_or(0);
        let filled = &buffer[..kept + read];
        let mut start = 0;
        while let Some(at) = position(&filled[start..], text) {
            let at = start + at;
            let version = match mark {
                Mark::Before(_) => {
                    let rest = &filled[at + text.len()..];
                    let end = rest.iter().position(|byte| !is_part(*byte)).unwrap_or(rest.len());
                    if end == rest.len() && read > 0 && end < VERSION {
                        break; // its end is not here yet
                    }
                    &rest[..end]
                }
                Mark::Behind(_) => {
                    let begin = filled[..at].iter().rposition(|byte| !is_part(*byte));
                    let whole = begin.is_some_and(|begin| filled[begin] == 0);
                    if whole { &filled[begin.unwrap_or(0) + 1..at] } else { &[] }
                }
            };
            if version.first().is_some_and(u8::is_ascii_digit) && version.len() <= VERSION {
                return Ok(Some(version.into()));
            }
            start = at + text.len();
        }
        if read == 0 {
            return Ok(None);
        }
        let keep = (text.len() + 2 * VERSION).min(filled.len());
        let from = filled.len() - keep;
        buffer.copy_within(from..from + keep, 0);
        kept = keep;
    }
}

fn position(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let mut start = 0;
    // Comparing the first byte first makes the loop as fast as memory.
    while let Some(at) = bytes[start..].iter().position(|byte| *byte == mark[0]) {
        start += at;
        if bytes[start..].starts_with(mark) {
            return Some(start);
        }
        start += 1;
    }
    None
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'~' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len()).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    const HEADER: &[u8] = b"X-Powered-By: PHP/";

    fn told(bytes: &[u8], drop: usize) -> Option<String> {
        found(bytes, drop, Mark::Before(HEADER))
    }

    fn found(bytes: &[u8], drop: usize, mark: Mark) -> Option<String> {
        find(&mut Drops(bytes, drop), mark, &mut 0).unwrap().map(|version| version.to_string())
    }

    #[test]
    fn the_version_is_found_wherever_a_read_ends() {
        for before in [0, 1, BUFFER - 40, BUFFER - 10, BUFFER, 2 * BUFFER + 7] {
            let mut binary = vec![b'X'; before];
            binary.extend_from_slice(b"X-Powered-By: PHP/8.3.14\0 and more");
            for drop in [1, 7, BUFFER] {
                if drop > 1 || before < 2 {
                    assert_eq!(told(&binary, drop).as_deref(), Some("8.3.14"), "{before} {drop}");
                }
            }
        }
    }

    #[test]
    fn a_header_without_a_version_is_none() {
        assert_eq!(told(b"X-Powered-By: PHP/%s\0", 64), None);
        assert_eq!(told(b"X-Powered-By: PHP/\0X-Powered-By: PHP/8.1.2-dev\0", 64).as_deref(), Some("8.1.2-dev"));
        assert_eq!(told(b"X-Powered-By: PHP/8.2", 64).as_deref(), Some("8.2"));
        assert_eq!(told(b"#!/bin/sh\nexec php\n", 64), None);
        let endless = [HEADER, &[b'8'; 200]].concat();
        assert_eq!(told(&endless, 64), None);
    }

    #[test]
    fn a_version_before_its_mark_is_a_text_of_its_own() {
        let mark = Mark::Behind(b"-MariaDB");
        let text = b"such as 10.1.1-MariaDB-log\0MariaDB 10.5\0\x0010.11.14-MariaDB\0";
        for before in [0, 1, BUFFER - 40, BUFFER - 10, BUFFER, 2 * BUFFER + 7] {
            let binary = [&vec![b'-'; before], text.as_slice()].concat();
            for drop in [7, BUFFER] {
                assert_eq!(found(&binary, drop, mark).as_deref(), Some("10.11.14"), "{before} {drop}");
            }
        }
        assert_eq!(found(b"see 10.1.1-MariaDB-log\0", 64, mark), None);
    }
}
