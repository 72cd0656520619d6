//! Lines of a file of any size, through one buffer.

use std::io::{self, Read};

/// Bytes in the buffer, and of a line; what is longer is cut.
const BUFFER: usize = 32 << 10;

/// Reads lines into one buffer that is used for file after file.
pub(super) struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER] }
    }

    /// Hands every line of `from` to `visit`, without its newline, until there are no more or it answers false.
    pub(super) fn each(&mut self, from: &mut impl Read, visit: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        let (mut kept, mut skipping) = (0, false);
        loop {
            let read = match from.read(&mut self.buffer[kept..]) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = kept + read;
            let mut start = 0;
            while let Some(length) = self.buffer[start..end].iter().position(|byte| *byte == b'\n') {
                if !std::mem::take(&mut skipping) && !visit(&self.buffer[start..start + length]) {
                    return Ok(());
                }
                start += length + 1;
            }
            if read == 0 {
                if start < end && !skipping {
                    visit(&self.buffer[start..end]);
                }
                return Ok(());
            }
            self.buffer.copy_within(start..end, 0);
            kept = end - start;
            if kept == self.buffer.len() {
                if !skipping && !visit(&self.buffer) {
                    return Ok(());
                }
                (kept, skipping) = (0, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut from = text;
        Lines::new()
            .each(&mut from, &mut |line| {
                found.push(line.to_vec());
                true
            })
            .unwrap();
        found
    }

    #[test]
    fn the_last_line_needs_no_newline() {
        assert_eq!(lines(b"a\n\nbc"), [b"a".to_vec(), b"".to_vec(), b"bc".to_vec()]);
        assert_eq!(lines(b"a\n"), [b"a".to_vec()]);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_cut_and_the_next_one_is_whole() {
        for length in [BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 5] {
            let mut text = vec![b'x'; length];
            text.extend_from_slice(b"\nnext\n");
            let found = lines(&text);
            assert_eq!((found.len(), found[0].len(), &found[1][..]), (2, length.min(BUFFER), &b"next"[..]), "{length}");
        }
    }
}
