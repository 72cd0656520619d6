//! The status page of a pool, asked with FastCGI (its specification, version 1.0) and answered in JSON.

/// Kinds of records.
const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMETERS: u8 = 4;
const INPUT: u8 = 5;
const OUTPUT: u8 = 6;
/// Bytes of a record's head, and what it begins with.
const HEAD: usize = 8;
const VERSION: u8 = 1;

/// What a pool says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Workers that serve somebody: also the one that answers, if it is a worker of the pool.
    pub active: u32,
    /// Workers that wait.
    pub idle: u32,
    /// Requests that took longer than request_slowlog_timeout.
    pub slow: u64,
}

/// The request for the page at a path. `None`: the path is longer than any that is asked for.
#[must_use]
pub fn request(path: &str) -> Option<Vec<u8>> {
    let mut pairs = Vec::new();
    for (name, value) in
        [("REQUEST_METHOD", "GET"), ("SCRIPT_NAME", path), ("SCRIPT_FILENAME", path), ("QUERY_STRING", "json")]
    {
        // Lengths below 128 take one byte.
        let length = u8::try_from(value.len()).ok().filter(|length| *length < 128)?;
        pairs.extend([u8::try_from(name.len()).ok()?, length]);
        pairs.extend([name, value].concat().bytes());
    }
    let responder = [0, 1, 0, 0, 0, 0, 0, 0]; // and the connection is closed after the answer
    let records = [(BEGIN, &responder[..]), (PARAMETERS, &pairs), (PARAMETERS, &[]), (INPUT, &[])];
    records.into_iter().try_fold(Vec::new(), |mut bytes, (kind, content)| {
        let [high, low] = u16::try_from(content.len()).ok()?.to_be_bytes();
        bytes.extend([VERSION, kind, 0, 1, high, low, 0, 0]);
        bytes.extend(content);
        Some(bytes)
    })
}

/// Whether all of an answer has come, or it makes no sense.
#[must_use]
pub fn is_whole(bytes: &[u8]) -> bool {
    output(bytes).is_none_or(|(_, ended)| ended)
}

/// What an answer says. `None`: it is no status page.
#[must_use]
pub fn answer(bytes: &[u8]) -> Option<Status> {
    let (text, _) = output(bytes)?;
    let text = String::from_utf8(text).ok()?;
    let number = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        let rest = rest.strip_prefix("\":")?;
        rest.get(..rest.find(|c: char| !c.is_ascii_digit())?)?.parse::<u64>().ok()
    };
    let small = |name| u32::try_from(number(name)?).ok();
    // "active processes" stands before "max active processes" in it.
    Some(Status { active: small("active processes")?, idle: small("idle processes")?, slow: number("slow requests")? })
}

/// What was written so far, and whether it has ended. `None`: these are no records.
fn output(mut bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut text = Vec::new();
    while let Some(head) = bytes.first_chunk::<HEAD>() {
        let [version, kind, _, _, high, low, padding, _] = *head;
        if version != VERSION {
            return None;
        }
        if kind == END {
            return Some((text, true));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(content) = bytes.get(HEAD..HEAD + length) else { break };
        if kind == OUTPUT {
            text.extend_from_slice(content);
        }
        bytes = bytes.get(HEAD + length + usize::from(padding)..).unwrap_or_default();
    }
    Some((text, false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[1, kind, 0, 1, 0, length, 0, 0], content].concat()
    }

    #[test]
    fn a_page_in_parts_is_read_to_its_end() {
        let first = record(
            OUTPUT,
            b"Content-type: application/json\r\n\r\n{\"pool\":\"www\",\"idle processes\":3,\"active pro",
        );
        let second =
            record(OUTPUT, b"cesses\":2,\"total processes\":5,\"max active processes\":4,\"slow requests\":17}");
        let end = record(END, &[0; 8]);
        let whole = [first, second, end].concat();
        assert!(is_whole(&whole) && !is_whole(&whole[..150]) && is_whole(b"HTTP/1.1"));
        assert_eq!(answer(&whole), Some(Status { active: 2, idle: 3, slow: 17 }));
        assert_eq!(answer(&[record(OUTPUT, b"File not found.\n"), record(END, &[0; 8])].concat()), None);
    }

    #[test]
    fn a_path_longer_than_any_is_not_asked_for() {
        assert!(request(&"/".repeat(200)).is_none());
        let asked = request("/status").unwrap();
        assert!(
            asked.windows(18).any(|part| part == b"SCRIPT_NAME/status")
                && asked.ends_with(&[1, INPUT, 0, 1, 0, 0, 0, 0])
        );
    }

    proptest! {
        #[test]
        fn an_answer_of_any_bytes_is_survived(bytes: Vec<u8>) {
            let _ = (is_whole(&bytes), answer(&bytes), answer(&[&[1, OUTPUT, 0, 1, 0, 30, 0, 0][..], &bytes].concat()));
        }
    }
}
