//! Names of the files that MySQL and MariaDB keep tables in: `table.ibd` (InnoDB), `.MYD` and `.MYI` (MyISAM), `.MAD` and
//! `.MAI` (Aria), `.CSV`, `.ARZ`; `.frm`, a table's definition, in MariaDB and in MySQL before 8.0; `#p#`, `#P#` before the
//! name of a partition.

/// Ends of files that hold a table's data or its definition.
const ENDS: [&[u8]; 9] = [b".ibd", b".MYD", b".MYI", b".MAD", b".MAI", b".frm", b".CSV", b".ARZ", b".par"];

/// The table, as its files are called, that a file of a schema's folder belongs to. `None`: it belongs to none, or to one
/// that comes and goes by itself (`#sql-...`), or to the search in texts (`FTS_...`), which is named after numbers.
#[must_use]
pub fn table(file: &[u8]) -> Option<&[u8]> {
    let name = ENDS.iter().find_map(|end| file.strip_suffix(*end))?;
    let partition = |mark: &&[u8]| matches!(*mark, b"#p#" | b"#P#");
    let end = name.windows(3).position(|part| partition(&part)).unwrap_or(name.len());
    let name = name.get(..end)?;
    let passing = name.is_empty() || name.starts_with(b"#") || name.starts_with(b"FTS_0");
    (!passing).then_some(name)
}

/// A schema or a table as it is called: `@` and four hexadecimal digits stand for one code unit (MySQL's manual,
/// "Mapping of Identifiers to File Names"). Letters of alphabets that have two signs behind the `@` are left as they are.
#[must_use]
pub fn decoded(name: &[u8]) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(name.len());
    let text = String::from_utf8_lossy(name);
    let mut rest = text.as_ref();
    while let Some(letter) = rest.chars().next() {
        let digits = rest.strip_prefix('@').and_then(|rest| rest.get(..4));
        let unit = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match unit.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                units.push(unit);
                rest = rest.get(5..).unwrap_or_default();
            }
            None => {
                units.extend_from_slice(letter.encode_utf16(&mut [0; 2]));
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            }
        }
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_table() {
        for (file, expected) in [
            ("wp_posts.ibd", Some("wp_posts")),
            ("sales#P#p2026#SP#s1.ibd", Some("sales")),
            ("sales#p#p2026.ibd", Some("sales")),
            ("log.MYD", Some("log")),
            ("db.opt", None),
            ("#sql-ib12.ibd", None),
            ("FTS_0000000000000437_CONFIG.ibd", None),
            (".ibd", None),
            ("", None),
        ] {
            assert_eq!(table(file.as_bytes()), expected.map(str::as_bytes), "{file}");
        }
    }

    #[test]
    fn names_are_decoded_as_the_server_has_encoded_them() {
        for (name, expected) in [
            ("shop", "shop"),
            ("my@002dshop", "my-shop"),
            ("a@0024b@0040", "a$b@"),
            ("@d83d@de00", "😀"),
            ("@00", "@00"),
            ("@zzzz", "@zzzz"),
            ("@", "@"),
            ("é@002d", "é-"),
        ] {
            assert_eq!(decoded(name.as_bytes()), expected);
        }
        assert_eq!(decoded(b"\xff@002d"), "\u{fffd}-");
    }
}
