//! Which known word was probably meant: for unknown keys of configuration and unknown names on the command line.

/// The known word that is nearest to `word`, if one is near enough to be meant: at most a third of its letters differ.
/// Of equally near ones the first.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|each| (distance(word, each), each))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, each)| each)
}

/// "; do you mean `x`?", or nothing.
#[must_use]
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; do you mean `{name}`?"))
}

/// How many letters must be put in, taken out, changed, or swapped with their neighbour (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=from.len() {
        for j in 1..=to.len() {
            let same = from[i - 1] == to[j - 1];
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + usize::from(!same));
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood() {
        let known = ["state_dir", "silent_after", "socket", "advertise"];
        assert_eq!(nearest("state-dir", known), Some("state_dir"));
        assert_eq!(nearest("sokcet", known), Some("socket"));
        assert_eq!(nearest("advertize", known), Some("advertise"));
    }

    #[test]
    fn a_word_that_resembles_none_is_not_guessed_at() {
        assert_eq!(nearest("colour", ["state_dir", "socket"]), None);
        assert_eq!(nearest("", ["socket"]), None);
    }
}
