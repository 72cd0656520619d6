//! A file cut into lines, a chunk at a time, in one buffer that is used again and again.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::{memchr, memrchr};

/// Bytes of the buffer.
pub(super) const BUFFER: usize = 64 << 10;
/// Bytes of a line; what is longer is counted once it has grown so long, and its rest is passed over.
pub(super) const LINE: usize = 16 << 10;

/// Where reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Where the first line begins that was not handed out.
    pub(super) offset: u64,
    /// The line there was handed out already, cut.
    pub(super) skipping: bool,
    /// The end of the file was met.
    pub(super) ended: bool,
}

/// Hands out whole lines from `at` on, until the file ends or `budget` bytes were read. The second argument of `line`
/// says whether it was cut.
pub(super) fn read_on(
    file: &mut (impl Read + Seek),
    at: &mut At,
    buffer: &mut Vec<u8>,
    budget: &mut u64,
    line: &mut impl FnMut(&[u8], bool),
) -> io::Result<()> {
    buffer.resize(BUFFER, 0);
    file.seek(SeekFrom::Start(at.offset))?;
    at.ended = false;
    let mut kept = 0;
    while *budget > 0 {
        let Some(room) = buffer.get_mut(kept..) else { break };
        let read = match file.read(room) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if read == 0 {
            at.ended = true;
            break;
        }
        *budget = budget.saturating_sub(read as u64);
        let filled = kept + read;
        let taken = take(buffer.get(..filled).unwrap_or_default(), at, line);
        at.offset += taken as u64;
        buffer.copy_within(taken..filled, 0);
        kept = filled - taken;
    }
    Ok(())
}

/// Hands out the lines of a chunk that begins at a line; answers how many bytes are done with.
fn take(chunk: &[u8], at: &mut At, line: &mut impl FnMut(&[u8], bool)) -> usize {
    let mut done = 0;
    if at.skipping {
        let Some(end) = memchr(b'\n', chunk) else { return chunk.len() };
        (at.skipping, done) = (false, end + 1);
    }
    let whole = memrchr(b'\n', chunk.get(done..).unwrap_or_default()).map_or(done, |end| done + end + 1);
    while done < whole {
        let rest = chunk.get(done..whole).unwrap_or_default();
        let Some(end) = memchr(b'\n', rest) else { break };
        let text = rest.get(..end).unwrap_or_default();
        line(text.get(..LINE).unwrap_or(text), end > LINE);
        done += end + 1;
    }
    let rest = chunk.get(done..).unwrap_or_default();
    if let Some(begin) = rest.get(..LINE).filter(|_| rest.len() > LINE) {
        line(begin, true);
        at.skipping = true;
        return chunk.len();
    }
    done
}

/// The line that a file ends with and that will get no newline any more; nothing if there is none.
pub(super) fn last_line(
    file: &mut (impl Read + Seek),
    at: &At,
    buffer: &mut Vec<u8>,
    line: &mut impl FnMut(&[u8], bool),
) -> io::Result<u64> {
    if at.skipping {
        return Ok(0);
    }
    buffer.clear();
    file.seek(SeekFrom::Start(at.offset))?;
    let read = file.by_ref().take(LINE as u64).read_to_end(buffer)?;
    if read > 0 {
        line(buffer, false);
    }
    Ok(read as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    const START: At = At { offset: 0, skipping: false, ended: false };

    fn read(bytes: &[u8], at: &mut At, budget: u64) -> Vec<(usize, bool)> {
        let (mut found, mut budget) = (Vec::new(), budget);
        let mut keep = |line: &[u8], cut: bool| found.push((line.len(), cut));
        read_on(&mut Cursor::new(bytes), at, &mut Vec::new(), &mut budget, &mut keep).unwrap();
        found
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let mut at = START;
        assert_eq!(read(b"one\ntw", &mut at, 99), [(3, false)]);
        assert_eq!((at.offset, at.ended), (4, true));
        assert_eq!(read(b"one\ntwo\n\n", &mut at, 99), [(3, false), (0, false)]);
        assert_eq!(at.offset, 9);
    }

    #[test]
    fn a_line_that_never_ends_is_cut_and_counted_once() {
        let mut bytes = vec![b'x'; 1 << 20];
        let mut at = START;
        assert_eq!(read(&bytes, &mut at, u64::MAX), [(LINE, true)]);
        assert_eq!((at.offset, at.skipping), (1 << 20, true));
        bytes.extend(b"end\nnext\n");
        assert_eq!(read(&bytes, &mut at, u64::MAX), [(4, false)]);
        assert!(!at.skipping);
    }

    #[test]
    fn the_end_of_a_file_that_is_not_written_to_any_more_is_a_line_too() {
        let mut found = Vec::new();
        let at = At { offset: 4, ..START };
        let read = last_line(&mut Cursor::new(b"one\ntwo"), &at, &mut Vec::new(), &mut |line, _| found.extend(line));
        assert_eq!((read.unwrap(), found), (3, b"two".to_vec()));
    }

    proptest! {
        #[test]
        fn however_it_is_read_each_line_comes_once(lengths in proptest::collection::vec(0_usize..40_000, 1..40), steps in proptest::collection::vec(1_u64..200_000, 1..20)) {
            let mut bytes = Vec::new();
            for length in &lengths {
                bytes.extend(std::iter::repeat_n(b'x', *length));
                bytes.push(b'\n');
            }
            let (mut at, mut found, mut steps) = (START, Vec::new(), steps.into_iter().cycle());
            while !at.ended {
                found.extend(read(&bytes, &mut at, steps.next().unwrap()));
            }
            let expected: Vec<_> = lengths.iter().map(|length| ((*length).min(LINE), *length > LINE)).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(at.offset, bytes.len() as u64);
        }
    }
}
