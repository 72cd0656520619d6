//! Times, spans and sizes for people.

use std::time::Duration;

use plumb_proto::time::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A span in its two largest units, such as `3 min`, `2 h 5 min` or `12 d 4 h`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let two = |large: u64, large_name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {large_name}"),
        small => format!("{large} {large_name} {small} {small_name}"),
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        _ if seconds < 10 * DAY => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        _ => format!("{} d", seconds / DAY),
    }
}

/// When something was, seen from now: `just now`, `3 min ago`, `in 5 s`.
#[must_use]
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    // A host's clock may run ahead by a little; that is no future.
    if then > now + Duration::from_secs(5) {
        return format!("in {}", span(then.since(now)));
    }
    match now.since(then) {
        passed if passed < Duration::from_secs(2) => "just now".to_owned(),
        passed => format!("{} ago", largest(passed)),
    }
}

/// A span in its largest unit, rounded down.
fn largest(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} d", seconds / DAY),
    }
}

/// A moment to the second, such as `2026-11-21 10:01:02 UTC`.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let text = Timestamp::from_secs(at.millis().div_euclid(1000)).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// The day of a moment (UTC), such as `2026-11-21`.
#[must_use]
pub fn day(at: Timestamp) -> String {
    let (year, month, day) = at.date();
    format!("{year:04}-{month:02}-{day:02}")
}

/// Bytes in the largest binary unit that leaves a number above one, such as `1.2 GiB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes.abs() < 1024.0 {
        return format!("{bytes:.0} B");
    }
    let mut size = bytes / 1024.0;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0.
    while size.abs() >= 1023.95 && unit < UNITS.len() - 1 {
        size /= 1024.0;
        unit += 1;
    }
    if size.abs() >= 100.0 { format!("{size:.0} {}", UNITS[unit]) } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// A number of things, such as `1 host` or `3 hosts`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_two_units_at_most() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
            (12 * 86_400 + 3600, "12 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn moments_are_seen_from_now() {
        let now = Timestamp::from_secs(1_795_255_262);
        assert_eq!(ago(now, now), "just now");
        assert_eq!(ago(now - Duration::from_secs(200), now), "3 min ago");
        assert_eq!(ago(now + Duration::from_secs(3), now), "just now");
        assert_eq!(ago(now + Duration::from_secs(90), now), "in 1 min");
        assert_eq!(moment(now + Duration::from_millis(5)), "2026-11-21 10:01:02 UTC");
    }

    #[test]
    fn bytes_are_told_in_binary_units() {
        for (size, expected) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1024.0, "1.0 KiB"),
            (1_288_490_188.0, "1.2 GiB"),
            (1_073_741_823.0, "1.0 GiB"),
            (16.0 * 1_073_741_824.0, "16.0 GiB"),
            (512.0 * 1_073_741_824.0, "512 GiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }
}
