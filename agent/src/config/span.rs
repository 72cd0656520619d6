//! Spans of time as people write them: `10s`, `5m`, `1h`, `1d`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// A span of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
        let count: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(Self(Duration::from_secs(count.checked_mul(*seconds)?)))
    }

    /// Checks its bounds.
    pub(super) fn within(self, key: &str, least: Duration, most: Duration) -> Result<(), String> {
        if (least..=most).contains(&self.0) {
            return Ok(());
        }
        Err(format!("{key} is not between \"{}\" and \"{}\"", Span(least), Span(most)))
    }
}

/// In the biggest unit that leaves no rest; minutes stay minutes up to two hours.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let whole = |(_, unit): &&(&str, u64)| seconds >= *unit && seconds.is_multiple_of(*unit) && seconds != 60;
        let (name, unit) = UNITS.iter().find(whole).unwrap_or(&("s", 1));
        write!(f, "{}{name}", seconds / unit)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse =
            || serde::de::Error::custom(format!("\"{text}\" is no span of time such as \"10s\", \"5m\" or \"1h\""));
        Self::parse(&text).ok_or_else(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_as_they_are_written() {
        for text in ["1s", "10s", "60s", "90s", "10m", "1h", "36h", "1d", "7d"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::parse("120s").unwrap().to_string(), "2m");
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "s", "10", "-1s", "1.5h", "10 minutes", "99999999999999999999s", "9999999999999999999d"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }
}
