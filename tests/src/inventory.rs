//! What must be seen of a host, as text: a row a line, `table key column=value ...`. A line names the columns that it judges; a
//! row judged by no line, a line without its row, and a column that nobody could read are differences.
//!
//! In a value, `*` stands for anything, `{nginx}` for the version that dpkg has of that package, `{nginx.upstream}` for the
//! upstream part of it. Lists are joined by commas. What holds a blank stands in quotes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One row: its table and key, and its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `table key`.
    name: String,
    columns: BTreeMap<String, String>,
}

impl Row {
    /// As `plumb facts --json` prints it. What is unknown is `?` and the reason.
    #[must_use]
    pub fn told(row: &Value) -> Self {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let none = serde_json::Map::new();
        let pairs = |name: &str| row[name].as_object().unwrap_or(&none).iter();
        let known = pairs("fields").map(|(name, value)| (name.clone(), plain(value)));
        let unknown = pairs("unknown").map(|(name, reason)| (name.clone(), format!("?({})", plain(reason))));
        let name = format!("{} {}", quoted(&word(&row["table"])), quoted(&word(&row["key"])));
        Self { name, columns: known.chain(unknown).collect() }
    }

    /// As `plumb-agent once` and its tests print it: `fact table key column=value ... from source`, values with blanks as they are.
    #[must_use]
    pub fn looked(line: &str) -> Option<Self> {
        let line = line.strip_prefix("fact ")?;
        let line = line.rsplit_once(" from ").map_or(line, |(row, _)| row);
        let is_column = |word: &str| {
            let name = word.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(is_name))
        };
        let mut words = line.split(' ');
        let name = format!("{} {}", words.next()?, words.next()?);
        let mut columns: Vec<(String, String)> = Vec::new();
        for word in words {
            match (word.split_once('='), columns.last_mut()) {
                (Some((name, value)), _) if is_column(word) => columns.push((name.to_owned(), value.to_owned())),
                (_, Some((_, value))) => *value = format!("{value} {word}"),
                (_, None) => {}
            }
        }
        Some(Self { name, columns: columns.into_iter().collect() })
    }

    /// The table that it belongs to.
    #[must_use]
    pub fn table(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }

    /// Itself without these columns.
    #[must_use]
    pub fn without(mut self, columns: &[&str]) -> Self {
        self.columns.retain(|name, _| !columns.contains(&name.as_str()));
        self
    }

    fn parse(line: &str) -> Self {
        let words = words(line);
        let (name, columns) = words.split_at(2.min(words.len()));
        let pair = |word: &String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let name = name.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        Self { name, columns: columns.iter().filter_map(pair).collect() }
    }

    fn line(&self, only: impl Fn(&str, &str) -> bool) -> String {
        let shown = self.columns.iter().filter(|(name, value)| only(name, value));
        let shown = shown.map(|(name, value)| format!(" {name}={}", quoted(value)));
        format!("{}{}", self.name, shown.collect::<String>())
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line(|_, _| true))
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() }
}

/// The words of a line; blanks between quotes do not part them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut within) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '"' => within = !within,
            ' ' if !within => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text is as a pattern with `*` has it.
#[must_use]
pub fn like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts.any(|at| like(rest, &text[at..]))
}

/// The lines of an expectation that say something: without what follows a `#`, with the versions that `dpkg` knows put in.
#[must_use]
pub fn lines(text: &str, dpkg: &BTreeMap<String, String>) -> Vec<String> {
    let bare = |line: &str| line.split(" #").next().unwrap_or_default().trim().to_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(bare).filter(|line| !line.is_empty());
    lines.map(|line| versions(line, dpkg)).collect()
}

fn versions(mut line: String, dpkg: &BTreeMap<String, String>) -> String {
    for (package, version) in dpkg {
        let upstream = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
        let upstream = upstream.rsplit_once('-').map_or(upstream, |(upstream, _)| upstream);
        let upstream = upstream.split('+').next().unwrap_or_default();
        line = line.replace(&format!("{{{package}}}"), version).replace(&format!("{{{package}.upstream}}"), upstream);
    }
    line
}

/// Where what is told differs from what is expected: `-` what should be, `+` what is. Nothing if it is the same.
#[must_use]
pub fn differences(expected: &[String], told: &[Row]) -> Vec<String> {
    let expected: Vec<Row> = expected.iter().map(|line| Row::parse(line)).collect();
    let names: BTreeSet<&String> = expected.iter().chain(told).map(|row| &row.name).collect();
    let find = |rows: &[Row], name: &String| rows.iter().find(|row| row.name == *name).cloned();
    let mut all = Vec::new();
    for name in names {
        match (find(&expected, name), find(told, name)) {
            (Some(wanted), Some(row)) => all.extend(difference(&wanted, &row)),
            (Some(wanted), None) => all.push(format!("- {wanted}")),
            (None, Some(row)) => all.push(format!("+ {row}")),
            (None, None) => {}
        }
    }
    all
}

fn difference(wanted: &Row, row: &Row) -> Vec<String> {
    let same = |name: &str, value: &str| row.columns.get(name).is_some_and(|is| like(value, is));
    let missed = |name: &str, value: &str| !same(name, value);
    let wrong = |name: &str, value: &str| match wanted.columns.get(name) {
        Some(pattern) => !like(pattern, value),
        None => value.starts_with("?("),
    };
    let (minus, plus) = (wanted.line(missed), row.line(wrong));
    if minus == row.name && plus == row.name {
        return Vec::new();
    }
    vec![format!("- {minus}"), format!("+ {plus}")]
}

#[test]
fn a_row_of_a_look_may_have_blanks_in_its_values() {
    let line = "fact cms_extension /srv/wp/a cms=/srv/wp name=Yoast SEO version=26.5 requires_php=?(not said) from /srv/wp/a/a.php";
    let row = Row::looked(line).expect("a row");
    assert_eq!(
        (row.table(), row.to_string().as_str()),
        (
            "cms_extension",
            "cms_extension /srv/wp/a cms=/srv/wp name=\"Yoast SEO\" requires_php=\"?(not said)\" version=26.5"
        )
    );
}

#[test]
fn a_difference_shows_the_columns_that_differ_and_no_others() {
    let told = |text: &str| vec![Row::told(&serde_json::from_str(text).expect("JSON"))];
    let dpkg = BTreeMap::from([("nginx".to_owned(), "1:1.22.1-9+deb12u9".to_owned())]);
    let expected = lines(
        "# all of it\nweb_server nginx version={nginx.upstream} package_version={nginx} modules=a,* # why\n",
        &dpkg,
    );
    let row = r#"{"table":"web_server","key":"nginx","fields":{"version":"1.22.1","package_version":"1:1.22.1-9+deb12u9","modules":["a","b c"],"running":true}}"#;
    assert_eq!(differences(&expected, &told(row)), Vec::<String>::new());
    let other = r#"{"table":"web_server","key":"nginx","fields":{"version":"1.22.2","modules":["a"]},"unknown":{"config":"denied"}}"#;
    assert_eq!(
        differences(&expected, &told(other)),
        [
            "- web_server nginx modules=a,* package_version=1:1.22.1-9+deb12u9 version=1.22.1",
            "+ web_server nginx config=?(denied) modules=a version=1.22.2",
        ]
    );
    assert_eq!(differences(&[], &told(row)).len(), 1, "a row that nobody expects");
    assert_eq!(differences(&expected, &[]).len(), 1, "a row that is not there");
}
