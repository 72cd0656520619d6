//! Charts in a terminal: dots of braille, two by four in a character (Unicode 15, block 2800), or stars where there is no
//! Unicode. What is missing stays empty.

/// Draws values into `rows` lines of `columns` characters, `low` at the foot and `high` at the top.
#[must_use]
pub(super) fn draw(
    values: &[Option<f64>],
    (columns, rows): (usize, usize),
    (low, high): (f64, f64),
    unicode: bool,
) -> Vec<String> {
    let (across, down) = if unicode { (2, 4) } else { (1, 1) };
    let (width, height) = (columns * across, rows * down);
    let mut dots = vec![vec![false; width]; height];
    let level = |value: f64| {
        let share = if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 };
        // bounded by the clamp
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let level = (share * (height.saturating_sub(1)) as f64).round() as usize;
        height.saturating_sub(1) - level.min(height.saturating_sub(1))
    };
    let mut before = None;
    for x in 0..width {
        let from = x * values.len() / width;
        let to = ((x + 1) * values.len() / width).max(from + 1).min(values.len());
        let levels: Vec<usize> = values[from.min(to)..to].iter().flatten().map(|value| level(*value)).collect();
        let (Some(&top), Some(&foot)) = (levels.iter().min(), levels.iter().max()) else {
            before = None;
            continue;
        };
        // neighbours are joined, so that a jump is seen as one
        let (mut from, mut to) = (top, foot);
        if let Some((top, foot)) = before {
            (from, to) = (from.min(foot), to.max(top));
        }
        before = Some((top, foot));
        dots[from..=to].iter_mut().for_each(|row| row[x] = true);
    }
    let cell = |row: usize, column: usize| {
        if !unicode {
            return if dots[row][column] { '*' } else { ' ' };
        }
        // dots 1 to 8 of a cell, as the standard numbers them
        const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let mut code = 0;
        for (dy, bits) in BITS.iter().enumerate() {
            for (dx, bit) in bits.iter().enumerate() {
                code |= if dots[row * 4 + dy][column * 2 + dx] { *bit } else { 0 };
            }
        }
        if code == 0 { ' ' } else { char::from_u32(0x2800 + code).unwrap_or(' ') }
    };
    (0..rows).map(|row| (0..columns).map(|column| cell(row, column)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_rises_from_the_foot_to_the_top_and_a_gap_stays_empty() {
        let values = [Some(0.0), Some(1.0), None, None, Some(4.0)];
        assert_eq!(draw(&values, (5, 5), (0.0, 4.0), false), ["    *", "     ", "     ", " *   ", "**   "]);
    }

    #[test]
    fn braille_has_two_columns_and_four_rows_in_a_character() {
        let values: Vec<_> = (0..4).map(|value| Some(f64::from(value))).collect();
        assert_eq!(draw(&values, (2, 1), (0.0, 3.0), true), ["⣠⠞"]);
    }

    #[test]
    fn what_stands_still_is_a_line_in_the_middle_and_nothing_is_nothing() {
        assert_eq!(draw(&[Some(7.0); 3], (3, 3), (7.0, 7.0), false), ["   ", "***", "   "]);
        assert_eq!(draw(&[], (2, 1), (0.0, 1.0), true), ["  "]);
    }
}
