//! Versions as people and packages write them, compared as people read them.

use std::cmp::Ordering;

/// Compares two versions part by part: runs of digits as numbers, other runs as text of
/// either case; a part that is missing comes
/// before one that is there, but after a pre-release (`8.4.0RC1` < `8.4.0` < `8.4.0.1`).
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (parts(one), parts(other));
    loop {
        let ordering = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (Some(part), None) => against_end(&part),
            (None, Some(part)) => against_end(&part).reverse(),
            (Some(Part::Number(one)), Some(Part::Number(other))) => number(one).cmp(&number(other)),
            (Some(Part::Word(one)), Some(Part::Word(other))) => {
                one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase())
            }
            (Some(Part::Number(_)), Some(Part::Word(_))) => Ordering::Greater,
            (Some(Part::Word(_)), Some(Part::Number(_))) => Ordering::Less,
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// The upstream part of a package's version: without epoch and without the distribution's revision, as
/// deb-version(7) and rpm's EVR have it (`1:8.2.30-1~deb12u1` is 8.2.30).
#[must_use]
pub fn upstream(package: &str) -> &str {
    let without_epoch = package.split_once(':').map_or(package, |(_, rest)| rest);
    let upstream = without_epoch.rsplit_once('-').map_or(without_epoch, |(upstream, _)| upstream);
    // A version that was taken back goes by a higher number (`3.1.7+really3.1.2` is 3.1.2: Debian's developers' reference).
    let upstream = upstream.split_once("+really").map_or(upstream, |(_, really)| really);
    upstream.split(['+', '~']).next().unwrap_or(upstream)
}

/// The first `count` numbers of a version (`8.2.30` with two is `8.2`); `None` if it does not begin with so many.
#[must_use]
pub fn branch(version: &str, count: usize) -> Option<&str> {
    let mut end = 0;
    for position in 0..count {
        if position > 0 {
            if !version[end..].starts_with('.') {
                return None;
            }
            end += 1;
        }
        let digits = version[end..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        end += digits;
    }
    Some(&version[..end])
}

enum Part<'a> {
    Number(&'a str),
    Word(&'a str),
}

fn parts(version: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = version;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let is_number = rest.starts_with(|c: char| c.is_ascii_digit());
        let same = |c: char| if is_number { c.is_ascii_digit() } else { c.is_alphanumeric() && !c.is_ascii_digit() };
        let end = rest.find(|c: char| !same(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        (!part.is_empty()).then_some(if is_number { Part::Number(part) } else { Part::Word(part) })
    })
}

/// What is longer is greater; among equals in length the text decides. So numbers of any length compare.
fn number(digits: &str) -> (usize, &str) {
    let digits = digits.trim_start_matches('0');
    (digits.len(), digits)
}

/// How a part stands against nothing: a number adds, a word (`rc`, `beta`) comes before.
fn against_end(part: &Part<'_>) -> Ordering {
    match part {
        Part::Number(_) => Ordering::Greater,
        Part::Word(_) => Ordering::Less,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_people_read_them() {
        let ascending = ["7.4.33", "8.0.0alpha1", "8.0.0RC1", "8.0.0", "8.0.0.1", "8.2.9", "8.2.30", "8.10.0", "10"];
        for (position, one) in ascending.iter().enumerate() {
            for (at, other) in ascending.iter().enumerate() {
                assert_eq!(compare(one, other), position.cmp(&at), "{one} {other}");
            }
        }
        assert_eq!(compare("6.1.0-40-amd64", "6.1.0-41-amd64"), Ordering::Less);
        assert_eq!(compare("1.02", "1.2"), Ordering::Equal);
        assert_eq!(compare("99999999999999999999999", "1"), Ordering::Greater);
    }

    #[test]
    fn the_upstream_part_of_a_package_version_is_found() {
        assert_eq!(upstream("3.1.7+really3.1.2-0+deb12u1"), "3.1.2");
        for (package, expected) in [
            ("8.2.30-1~deb12u1", "8.2.30"),
            ("2:8.2+93", "8.2"),
            ("8.3.14-1+0~20241121.38+debian12~1.gbp5c2d5e", "8.3.14"),
            ("8.3.6-0ubuntu0.24.04.5", "8.3.6"),
            ("8.0.30-1.el9_2", "8.0.30"),
            ("8.4.0~RC1-1", "8.4.0"),
        ] {
            assert_eq!(upstream(package), expected);
        }
    }

    #[test]
    fn a_branch_is_the_first_numbers() {
        assert_eq!(branch("8.2.30", 2), Some("8.2"));
        assert_eq!(branch("22.04", 1), Some("22"));
        assert_eq!(branch("8", 2), None);
        assert_eq!(branch("x8.2", 1), None);
    }
}
