//! What the name of a file says: whether it is a backup, of which kind, and which series it belongs to.

/// Extensions of dumps, archives and copies of databases.
const PLAIN: [&str; 17] = [
    "sql", "dump", "pgdump", "dmp", "tar", "zip", "7z", "rdb", "sqlite", "sqlite3", "db", "wpress", "jpa", "daf",
    "archive", "backup", "bak",
];
/// Extensions of compressed files, which may stand behind one of the others.
const PACKED: [&str; 13] = ["gz", "bz2", "xz", "zst", "lz4", "lzo", "lzma", "tgz", "tbz", "tbz2", "txz", "tzst", "z"];
/// Extensions of encrypted files, which stand last.
const ENCRYPTED: [&str; 7] = ["gpg", "pgp", "age", "enc", "aes", "crypt", "jps"];
/// What Debian itself keeps in /var/backups (dpkg, apt and passwd have timers for it): state of the system, no backup.
const DEBIAN: [&str; 10] = [
    "dpkg.",
    "apt.extended_states",
    "alternatives.tar",
    "gshadow.",
    "passwd.",
    "group.",
    "shadow.",
    "aptitude.pkgstates",
    "infodir.bak",
    "opasswd.",
];

/// The kind of backup that a name stands for (`sql.gz`, `tar`, `zip.gpg`), and whether it says that it is encrypted.
/// `None` if it is the name of no backup.
pub(super) fn kind(name: &[u8]) -> Option<(String, bool)> {
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let mut found: Vec<&str> = Vec::new();
    let mut encrypted = false;
    for (position, part) in name.rsplit('.').enumerate() {
        let counter = part == "*" || (!part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit()));
        if found.is_empty() && !encrypted && counter && position < 2 {
            continue; // dump.sql.1
        }
        if position == 0 && ENCRYPTED.contains(&part) {
            encrypted = true;
            found.push(part);
        } else if PACKED.contains(&part) && found.iter().all(|each| ENCRYPTED.contains(each)) {
            found.push(part);
        } else if PLAIN.contains(&part) {
            found.push(part);
            break;
        } else if counter && position > 0 {
            // dump.sql.1.gz
        } else {
            break;
        }
    }
    // A name without any dot is all "extension".
    let whole = !name.contains('.');
    if found.is_empty() || whole {
        return None;
    }
    found.reverse();
    Some((found.join("."), encrypted))
}

/// The name without the counter that a rotation put behind its extensions (`db.sql.1`, `db.sql.2.gz`), and whether there
/// was one: what was rotated away is the same backup, as it was some days ago.
fn without_counter(name: &[u8]) -> (Vec<u8>, bool) {
    let mut parts: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
    let is_any = |part: &[u8], of: &[&str]| of.iter().any(|each| part.eq_ignore_ascii_case(each.as_bytes()));
    let packed = |part: &&&[u8]| is_any(part, &PACKED) || is_any(part, &ENCRYPTED);
    let behind = parts.iter().rev().take_while(packed).count();
    let at = parts.len().checked_sub(behind + 1).filter(|at| *at > 1);
    let counter = |part: &[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    let before = |at: usize| at.checked_sub(1).and_then(|at| parts.get(at)).copied().unwrap_or_default();
    let found = at.filter(|at| parts.get(*at).is_some_and(|part| counter(part)));
    match found.filter(|at| is_any(before(*at), &PLAIN) || is_any(before(*at), &PACKED)) {
        Some(at) => {
            parts.remove(at);
            (parts.join(&b'.'), true)
        }
        None => (name.to_vec(), false),
    }
}

/// Whether a rotation put a counter behind the extensions of a name.
pub(super) fn is_rotated(name: &[u8]) -> bool {
    without_counter(name).1
}

/// A series without the last extension, if that is one of a compressed file.
pub(super) fn unpacked(series: &[u8]) -> Option<&[u8]> {
    let dot = series.iter().rposition(|byte| *byte == b'.')?;
    let (name, extension) = series.split_at_checked(dot)?;
    let packed = |each: &&str| extension.get(1..).is_some_and(|e| e.eq_ignore_ascii_case(each.as_bytes()));
    PACKED.iter().any(packed).then_some(name)
}

/// Whether Debian keeps such a file in /var/backups by itself.
pub(super) fn is_debians_own(name: &[u8]) -> bool {
    DEBIAN.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// The name of the series: dates, times, counters, hashes and names of days give way to `*`, counters of rotated files to
/// nothing. Other numbers stay, since `web1` and `web2` are two.
pub(super) fn series(name: &[u8]) -> Vec<u8> {
    let name = without_counter(name).0;
    let mut out: Vec<u8> = Vec::with_capacity(name.len());
    let mut at = 0;
    while let Some(byte) = name.get(at) {
        let before = at.checked_sub(1).and_then(|before| name.get(before)).copied().unwrap_or(b'.');
        let rest = name.get(at..).unwrap_or_default();
        let length = if before.is_ascii_alphanumeric() && !(before.is_ascii_alphabetic() && byte.is_ascii_digit()) {
            0
        } else {
            variable(rest, before)
        };
        if length == 0 {
            out.push(*byte);
            at += 1;
        } else {
            if out.last() != Some(&b'*') {
                out.push(b'*');
            }
            at += length;
        }
    }
    out
}

/// How many bytes at the beginning of `rest` differ from one backup to the next.
fn variable(rest: &[u8], before: u8) -> usize {
    let date = date(rest);
    if date > 0 {
        return date + time(rest.get(date..).unwrap_or_default());
    }
    let hash = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let ends = |length: usize| rest.get(length).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let has = |length: usize, test: fn(&u8) -> bool| rest.iter().take(length).any(test);
    if !before.is_ascii_alphanumeric() && hash >= 12 && ends(hash) && has(hash, u8::is_ascii_digit) {
        return hash;
    }
    let digits = digits(rest);
    if before == b'.' && (1..=3).contains(&digits) && rest.get(digits).is_none_or(|byte| *byte == b'.') {
        return digits; // counter of a rotation
    }
    if before.is_ascii_alphanumeric() {
        return 0;
    }
    let word = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = rest.get(..word).unwrap_or_default().to_ascii_lowercase();
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let day =
        DAYS.iter().any(|day| word == day.as_bytes() || word.as_slice() == day.as_bytes().get(..3).unwrap_or(&[]));
    let month = MONTHS.iter().any(|month| word == month.as_bytes());
    if (day || month) && ends(word.len()) { word.len() } else { 0 }
}

/// Length of a date at the beginning, 0 if there is none.
fn date(text: &[u8]) -> usize {
    let run = digits(text);
    let number = |from: usize, length: usize| number(text, from, length);
    let year = |from: usize| (1990..2100).contains(&number(from, 4));
    let month = |from: usize| (1..=12).contains(&number(from, 2));
    let day = |from: usize| (1..=31).contains(&number(from, 2));
    let separator = |at: usize| text.get(at).copied().filter(|byte| b"-_.".contains(byte));
    match run {
        8 if (year(0) && month(4) && day(6)) || (day(0) && month(2) && year(4)) => 8,
        12 | 14 if year(0) && month(4) && day(6) => run,
        10 if text.first() == Some(&b'1') => 10, // seconds since 1970
        10 if year(0) && month(4) && day(6) || month(2) && day(4) => 10, // with the hour; YYMMDDHHMM (Plesk)
        6 if month(2) && day(4) && number(0, 2) >= 10 => 6, // YYMMDD
        4 if year(0) && separator(4).is_some() && digits(text.get(5..).unwrap_or_default()) == 2 && month(5) => {
            let more = separator(7).is_some() && separator(7) == separator(4);
            if more && digits(text.get(8..).unwrap_or_default()) >= 2 && day(8) { 10 } else { 7 }
        }
        2 if day(0) && separator(2).is_some() && separator(2) == separator(5) && month(3) && year(6) => 10,
        _ => 0,
    }
}

/// Length of a time of day behind a date, with what separates them; 0 if there is none.
fn time(text: &[u8]) -> usize {
    let mut length = usize::from(text.first().is_some_and(|byte| b"T_-. @".contains(byte)));
    let start = text.get(length..).unwrap_or_default();
    let run = digits(start);
    if run == 4 || run == 6 {
        length += run;
    } else if run == 2 {
        let mut parts = 0;
        while digits(text.get(length..).unwrap_or_default()) == 2 && parts < 3 {
            length += 2;
            parts += 1;
            match text.get(length) {
                Some(byte) if b":-_.hm".contains(byte) => {
                    let next = digits(text.get(length + 1..).unwrap_or_default());
                    if next == 2 && parts < 3 || b"hm".contains(byte) {
                        length += 1;
                    }
                }
                _ => {}
            }
        }
        if text.get(length).is_some_and(|byte| b"ms".contains(byte)) {
            length += 1;
        }
    } else {
        return 0;
    }
    if text.get(length) == Some(&b'Z') { length + 1 } else { length }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The number in these digits; 0 where there are none.
fn number(text: &[u8], from: usize, length: usize) -> u32 {
    let part = text.get(from..from + length).unwrap_or_default();
    if part.is_empty() || digits(part) != part.len() {
        return 0;
    }
    part.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> String {
        String::from_utf8(series(name.as_bytes())).unwrap()
    }

    #[test]
    fn files_of_one_series_have_one_name() {
        for (name, expected) in [
            ("db-2026-11-21.sql.gz", "db-*.sql.gz"),
            ("db_20261121.sql", "db_*.sql"),
            ("db20261121.sql", "db*.sql"),
            ("db-2026-11-21_02-00-07.sql.gz", "db-*.sql.gz"),
            ("db-2026-11-21T02:00:07Z.dump", "db-*.dump"),
            ("db-20261121-020007.tar.gz", "db-*.tar.gz"),
            ("wordpress_2026-11-21_02h00m.Saturday.sql.gz", "wordpress_*.*.sql.gz"),
            ("db.sql.1.gz", "db.sql.gz"),
            ("db.sql.12.gz", "db.sql.gz"),
            ("db.sql.gz", "db.sql.gz"),
            ("db.sql.gz.3", "db.sql.gz"),
            ("db.sql.1", "db.sql"),
            ("db.tar.3.gz.gpg", "db.tar.gz.gpg"),
            ("db.1.sql", "db.*.sql"),
            ("site.12", "site.*"),
            ("weekly.0", "weekly.*"),
            ("backup_2026-11-21-0200_My_Site_0a1b2c3d4e5f-db.gz", "backup_*_My_Site_*-db.gz"),
            ("backup_info_2611210200.xml", "backup_info_*.xml"),
            ("2026-11-21", "*"),
            ("site-1763690400.zip", "site-*.zip"),
            ("21-11-2026.zip", "*.zip"),
            ("db-mon.sql.gz", "db-*.sql.gz"),
            ("web1.sql.gz", "web1.sql.gz"),
            ("web2.sql.gz", "web2.sql.gz"),
            ("user-17.tar", "user-17.tar"),
            ("monitoring.sql", "monitoring.sql"),
            ("20261121-020000F", "*F"),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
    }

    #[test]
    fn the_end_of_a_name_tells_the_kind() {
        for (name, expected) in [
            ("db.sql", Some("sql")),
            ("db.sql.gz", Some("sql.gz")),
            ("db.sql.1.gz", Some("sql.gz")),
            ("db.sql.1", Some("sql")),
            ("db.sql.*.gz", Some("sql.gz")),
            ("x.TAR.GZ", Some("tar.gz")),
            ("x.tgz", Some("tgz")),
            ("x.zip.gpg", Some("zip.gpg")),
            ("etc.gz", Some("gz")),
            ("README", None),
            ("notes.txt", None),
            ("sql", None),
            ("backup.log", None),
            ("x.sql.md5", None),
            ("x.sql.gz.part", None),
        ] {
            assert_eq!(kind(name.as_bytes()).map(|(kind, _)| kind).as_deref(), expected, "{name}");
        }
        assert_eq!(kind(b"\xff\xfe.sql"), None);
    }

    #[test]
    fn what_debian_keeps_by_itself_is_no_backup() {
        for name in
            ["dpkg.status.0", "dpkg.status.1.gz", "apt.extended_states.1.gz", "alternatives.tar.0", "passwd.bak"]
        {
            assert!(is_debians_own(name.as_bytes()), "{name}");
        }
        assert!(!is_debians_own(b"wordpress.sql.gz"));
    }

    proptest::proptest! {
        #[test]
        fn any_name_has_a_series(name in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let once = series(&name);
            proptest::prop_assert!(once.len() <= name.len());
            let _ = kind(&name);
        }
    }
}
