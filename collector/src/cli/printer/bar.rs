//! A bar: how full something is.

/// `share` (0 to 1) of `width` characters, filled. A little is never nothing, and not quite all is never all.
#[must_use]
pub fn bar(share: f64, width: usize) -> String {
    let share = share.clamp(0.0, 1.0);
    let most = if share < 1.0 { width.saturating_sub(1) } else { width };
    // Not negative, and no wider than a terminal.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let filled = ((share * width as f64).round() as usize).clamp(usize::from(share > 0.0), most.max(1));
    let filled = if share > 0.0 { filled } else { 0 };
    format!("{}{}", "█".repeat(filled), "░".repeat(width.saturating_sub(filled)))
}

/// A share as `81 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 {
        return "<1 %".to_owned();
    }
    // 99.6 is not 100: rounding up would say full.
    format!("{} %", if percent < 100.0 { percent.round().min(99.0) } else { percent.round() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_not_nothing_and_almost_all_is_not_all() {
        for (share, expected) in [
            (0.0, "░░░░"),
            (0.001, "█░░░"),
            (0.5, "██░░"),
            (0.99, "███░"),
            (1.0, "████"),
            (7.0, "████"),
            (-1.0, "░░░░"),
        ] {
            assert_eq!(bar(share, 4), expected, "{share}");
        }
        for (share, expected) in [(0.0, "0 %"), (0.001, "<1 %"), (0.814, "81 %"), (0.996, "99 %"), (1.0, "100 %")] {
            assert_eq!(percent(share), expected);
        }
    }
}
