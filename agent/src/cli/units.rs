//! Values as people read them, by the unit that a name carries.

use std::fmt::Write as _;

use plumb_proto::model::Value;

/// A value of a column.
pub(super) fn value(column: &str, value: &Value) -> String {
    match value {
        Value::Int(count) if column.ends_with("_bytes") => bytes(u64::try_from(*count).unwrap_or(0)),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::List(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A sample of a series.
// Only what is small enough is shown as a whole number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn sample(name: &str, value: f64) -> String {
    let base = name.strip_suffix("_total").unwrap_or(name);
    if base.ends_with("_bytes") && value >= 0.0 {
        bytes(value as u64)
    } else if base.ends_with("_seconds") && value >= 0.0 {
        seconds(value)
    } else if base.ends_with("_ratio") {
        format!("{:.1} %", value * 100.0)
    } else if value.fract() == 0.0 && value.abs() < 1e15 {
        grouped(value as i64)
    } else {
        format!("{value:.2}")
    }
}

/// With binary prefixes (IEC 80000-13), rounded as the collector rounds.
#[allow(clippy::cast_precision_loss)] // four digits of it are shown
pub(super) fn bytes(count: u64) -> String {
    let (mut size, mut unit) = (count as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        // 1023.95 would be shown as 1024.0.
        if size < if unit == "B" { 1024.0 } else { 1023.95 } {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    match unit {
        "B" => format!("{size:.0} B"),
        _ if size < 100.0 => format!("{size:.1} {unit}"),
        _ => format!("{size:.0} {unit}"),
    }
}

/// In the two biggest units that matter.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn seconds(span: f64) -> String {
    if span < 60.0 {
        return format!("{span:.2} s");
    }
    let whole = span as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", whole % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `1,234,567`.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        let _ = write!(text, "{digit}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_the_unit_of_their_name() {
        assert_eq!(sample("memory_available_bytes", 1_649_267_441.0), "1.5 GiB");
        assert_eq!(sample("disk_used_bytes", 512.0), "512 B");
        assert_eq!(sample("disk_size_bytes", 500_107_862_016.0), "466 GiB");
        assert_eq!(sample("cpu_seconds_total", 93_784.5), "1 d 2 h");
        assert_eq!(sample("uptime_seconds", 59.5), "59.50 s");
        assert_eq!(sample("load_ratio", 0.123), "12.3 %");
        assert_eq!(sample("oom_kills_total", 1_234_567.0), "1,234,567");
        assert_eq!(sample("load1", 0.256), "0.26");
        assert_eq!(grouped(-1000), "-1,000");
        assert_eq!(seconds(3725.0), "1 h 2 min");
        assert_eq!(seconds(125.0), "2 min 5 s");
    }

    #[test]
    fn values_are_shown_as_people_say_them() {
        assert_eq!(value("size_bytes", &Value::Int(1 << 40)), "1.0 TiB");
        assert_eq!(value("read_only", &Value::Bool(false)), "no");
        assert_eq!(value("extensions", &Value::List(vec!["a".into(), "b\n".into()])), "a, b\\n");
    }
}
