//! Sizes and durations as people write them.

use std::time::Duration;

const SIZES: [(&str, f64); 10] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("PiB", 1_125_899_906_842_624.0),
];
const SPANS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];

/// Bytes of a size such as `5 GiB` or `500 MB`.
///
/// # Errors
/// It is none.
pub fn size(text: &str) -> Result<f64, String> {
    let (number, unit) = split(text);
    let units = || SIZES.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
    let factor = SIZES.iter().find(|(each, _)| *each == unit).map(|(_, factor)| *factor);
    match (number.parse::<f64>(), factor) {
        (Ok(number), Some(factor)) => Ok(number * factor),
        _ => Err(format!("{text:?} is no size: write a number and one of {}", units())),
    }
}

/// A duration such as `90 d`, `15m` or `1h 30m`.
///
/// # Errors
/// It is none.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write numbers with s, m, h, d or w, such as 90d or 1h 30m");
    let mut rest = text.trim();
    let mut seconds = 0u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let factor = SPANS.iter().find(|(each, _)| *each == unit).map(|(_, factor)| *factor).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        seconds = number.checked_mul(factor).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_secs(seconds))
}

/// Bytes for people: `4.2 GiB`.
#[must_use]
pub fn human_size(bytes: f64) -> String {
    let binary =
        [("PiB", SIZES[9].1), ("TiB", SIZES[8].1), ("GiB", SIZES[7].1), ("MiB", SIZES[6].1), ("KiB", SIZES[5].1)];
    let fitting = binary.iter().find(|(_, factor)| bytes.abs() >= *factor);
    fitting.map_or_else(|| format!("{bytes:.0} B"), |(unit, factor)| format!("{:.1} {unit}", bytes / factor))
}

/// Seconds for people, in the largest unit of which there are at least two: `90 s` is `90 s`, `7200 s` is `2 h`.
#[must_use]
#[allow(clippy::cast_precision_loss)] // small constants
pub fn human_span(seconds: f64) -> String {
    let fitting = SPANS[..4].iter().rev().find(|(_, factor)| seconds.abs() >= 2.0 * *factor as f64);
    fitting.map_or_else(
        || format!("{seconds:.0} s"),
        |(unit, factor)| {
            let unit = if *unit == "m" { "min" } else { unit };
            format!("{:.0} {unit}", (seconds / *factor as f64).floor())
        },
    )
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_as_people_write_them() {
        assert_eq!(size("5 GiB"), Ok(5_368_709_120.0));
        assert_eq!(size("1.5MB"), Ok(1_500_000.0));
        assert_eq!(span("1h 30m").map(|span| span.as_secs()), Ok(5400));
        assert_eq!(span("90 d").map(|span| span.as_secs()), Ok(7_776_000));
        assert_eq!(span("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_neither_says_how_to_write_it() {
        for wrong in ["", "5", "m", "5 x", "-5 m", "99999999999999999999 w", "5 m 3"] {
            assert!(span(wrong).is_err_and(|error| error.contains("such as 90d")), "{wrong}");
        }
        for wrong in ["", "5", "5 gib", "GiB", "-5 GiB"] {
            assert!(size(wrong).is_err_and(|error| error.contains("MiB")), "{wrong}");
        }
    }

    #[test]
    fn people_are_told_in_the_unit_that_fits() {
        assert_eq!([human_size(0.0), human_size(1023.0), human_size(4.5e9)], ["0 B", "1023 B", "4.2 GiB"]);
        assert_eq!([human_span(90.0), human_span(600.0), human_span(200_000.0)], ["90 s", "10 min", "2 d"]);
    }
}
