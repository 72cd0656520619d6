//! The version that is compiled into a binary: every PHP carries the header that it sends, `X-Powered-By: PHP/8.3.14`
//! (SAPI_PHP_VERSION_HEADER in main/SAPI.h of its source).

use std::io::{self, Read};
use std::path::Path;

use plumb_proto::untrusted::Untrusted;

use crate::host::{ErrorKind, Host, HostError};

const HEADER: &[u8] = b"X-Powered-By: PHP/";
/// Bytes of a binary that are searched.
const LIMIT: u64 = 64 << 20;
/// Bytes of a version.
const VERSION: usize = 32;
const BUFFER: usize = 64 << 10;

/// What a binary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// This version.
    Version(Untrusted),
    /// Nothing: it is a script or program that goes by the name of PHP.
    NotPhp,
    /// It cannot be read to its end.
    Unreadable(String),
}

/// Searches a binary; also says how many bytes were read.
pub(super) fn scan(host: &Host, path: &Path) -> (Finding, u64) {
    let mut read = 0;
    let finding = match host.open(path) {
        Ok(file) => {
            let size = file.meta().size;
            match find(&mut file.take(LIMIT), &mut read) {
                Ok(Some(version)) => Finding::Version(version),
                Ok(None) if size > LIMIT => Finding::Unreadable(format!("no version in its first {LIMIT} bytes")),
                Ok(None) => Finding::NotPhp,
                Err(error) => Finding::Unreadable(words(&ErrorKind::from_io(&error).at(path))),
            }
        }
        Err(error) => Finding::Unreadable(words(&error)),
    };
    (finding, read)
}

fn words(error: &HostError) -> String {
    error.to_string()
}

/// Streams through one buffer; what may be the beginning of the header, or of its version, is kept for the next round.
fn find(from: &mut impl Read, total: &mut u64) -> io::Result<Option<Untrusted>> {
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
        while let Some(at) = position(&filled[start..]) {
            let text = &filled[start + at + HEADER.len()..];
            let end = text.iter().position(|byte| !is_part(*byte)).unwrap_or(text.len());
            if end == text.len() && read > 0 && end < VERSION {
                break; // its end is not here yet
            }
            if text.first().is_some_and(u8::is_ascii_digit) && end <= VERSION {
                return Ok(Some(text[..end].into()));
            }
            start += at + HEADER.len();
        }
        if read == 0 {
            return Ok(None);
        }
        let keep = (HEADER.len() + VERSION).min(filled.len());
        let from = filled.len() - keep;
        buffer.copy_within(from..from + keep, 0);
        kept = keep;
    }
}

fn position(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    // Comparing the rarest byte first makes the loop as fast as memory.
    while let Some(at) = bytes[start..].iter().position(|byte| *byte == HEADER[0]) {
        start += at;
        if bytes[start..].starts_with(HEADER) {
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

    fn told(bytes: &[u8], drop: usize) -> Option<String> {
        find(&mut Drops(bytes, drop), &mut 0).unwrap().map(|version| version.to_string())
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
}
