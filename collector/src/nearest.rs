//! The known name that a wrong one probably means.

/// The nearest of `known` by edit distance, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = known.into_iter().map(|each| (distance(word, each), each));
    let best = ranked.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= 1 + word.len().min(best.1.len()) / 3).then_some(best.1)
}

/// "; do you mean `x`?", or nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; do you mean `{name}`?"))
}

/// Insertions, deletions and replacements of bytes that make one the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, byte) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, against) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(byte != *against);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        let known = ["version", "binary", "package", "package_version"];
        assert_eq!(nearest("verison", known), Some("version"));
        assert_eq!(nearest("packge", known), Some("package"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
