//! Configuration files as they were written: which setting stands where.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use plumb_proto::limits;
use toml::de::{DeTable, DeValue};

use super::{Mistake, Mistakes};

/// What was written in all files, in the order in which it counts: later settings replace earlier ones.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<Setting>);

/// One key and its value.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// `None` above all sections.
    section: Option<String>,
    key: String,
    value: toml::Value,
    file: PathBuf,
    line: usize,
}

impl Setting {
    fn mistake(&self, what: String) -> Mistake {
        Mistake { file: self.file.clone(), line: self.line, what }
    }
}

impl Settings {
    /// Reads a file and the folder `agent.d` beside it.
    pub(super) fn load(file: &Path, required: bool) -> Result<Self, Mistakes> {
        let (mut settings, mut mistakes) = (Self::default(), Vec::new());
        for file in files(file, required, &mut mistakes) {
            match read(&file) {
                Ok(text) => settings.take_up(&file, &text, &mut mistakes),
                Err(what) => mistakes.push(Mistake { file, line: 0, what }),
            }
        }
        if mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(mistakes)) }
    }

    fn take_up(&mut self, file: &Path, text: &str, mistakes: &mut Vec<Mistake>) {
        let line = |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        let (spans, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(0, |span| line(span.start));
            mistakes.push(Mistake { file: file.to_owned(), line, what: error.message().to_owned() });
        }
        if !errors.is_empty() {
            return;
        }
        // Once more for the values, which then have their places known.
        let values: toml::Table = match text.parse() {
            Ok(values) => values,
            Err(error) => {
                let what = toml::de::Error::message(&error).to_owned();
                return mistakes.push(Mistake { file: file.to_owned(), line: 0, what });
            }
        };
        for (name, value) in spans.get_ref() {
            let here = |section: Option<&str>, key: &str, at: usize, value: Option<&toml::Value>| {
                let (section, key, file) = (section.map(str::to_owned), key.to_owned(), file.to_owned());
                value.map(|value| Setting { section, key, value: value.clone(), file, line: line(at) })
            };
            let plain = values.get(name.get_ref().as_ref());
            let DeValue::Table(section) = value.get_ref() else {
                self.0.extend(here(None, name.get_ref(), name.span().start, plain));
                continue;
            };
            // A section without a key is still a name that may be wrong.
            if section.is_empty() {
                self.0.extend(here(None, name.get_ref(), name.span().start, plain));
            }
            for (key, _) in section {
                let value = plain.and_then(|plain| plain.get(key.get_ref().as_ref()));
                self.0.extend(here(Some(name.get_ref()), key.get_ref(), key.span().start, value));
            }
        }
    }

    /// Reads a sample.
    pub(super) fn sample(&self, sample: &str, mistakes: &mut Vec<Mistake>) -> toml::Table {
        sample.parse().unwrap_or_else(|error: toml::de::Error| {
            mistakes.push(Mistake { file: "sample".into(), line: 0, what: error.message().to_owned() });
            toml::Table::new()
        })
    }

    /// Finds sections and keys above all sections that are none.
    pub(super) fn check_names(&self, own: &toml::Table, sections: &[&str], mistakes: &mut Vec<Mistake>) {
        let mut said: Vec<(&Path, &str)> = Vec::new();
        let known: Vec<&str> = own.keys().map(String::as_str).chain(sections.iter().copied()).collect();
        for setting in &self.0 {
            let Setting { section, key, value, file, .. } = setting;
            let what = if let Some(section) = section {
                let once = (file.as_path(), section.as_str());
                if sections.contains(&once.1) || said.contains(&once) {
                    continue;
                }
                said.push(once);
                format!("unknown section [{section}]; the nearest known is [{}]", nearest(section, sections))
            } else if sections.contains(&key.as_str()) {
                if value.as_table().is_some_and(toml::Table::is_empty) {
                    continue;
                }
                format!("{key} is a section: write [{key}]")
            } else if own.contains_key(key) {
                continue;
            } else {
                format!("unknown key {key}; the nearest known is {}", nearest(key, &known))
            };
            mistakes.push(setting.mistake(what));
        }
    }

    /// A sample with what was written laid over it. Keys that the sample of a section does not have, and values of
    /// another kind, are mistakes.
    pub(super) fn overlay(
        &self,
        section: Option<&str>,
        sample: &toml::Table,
        mistakes: &mut Vec<Mistake>,
    ) -> toml::Table {
        let mut table = sample.clone();
        for setting in self.of(section) {
            let Setting { key, value, .. } = setting;
            match sample.get(key) {
                None if section.is_none() => {} // told by `check_names`
                None => {
                    let known: Vec<&str> = sample.keys().map(String::as_str).collect();
                    mistakes.push(
                        setting.mistake(format!("unknown key {key}; the nearest known is {}", nearest(key, &known))),
                    );
                }
                Some(default) if fits(value, default) => {
                    table.insert(key.clone(), value.clone());
                }
                Some(default) => {
                    let (is, wants) = (value.type_str(), default.type_str());
                    mistakes.push(setting.mistake(format!("{key} is of type {is}, where {wants} is expected")));
                }
            }
        }
        table
    }

    /// Hands a table to who reads it. A refusal is laid at the door of the setting that causes it.
    pub(super) fn take<T>(
        &self,
        section: Option<&str>,
        sample: &toml::Table,
        table: toml::Table,
        mistakes: &mut Vec<Mistake>,
        read: impl Fn(toml::Table) -> Result<T, String>,
    ) -> Option<T> {
        let why = match read(table) {
            Ok(read) => return Some(read),
            Err(why) => why,
        };
        let before = mistakes.len();
        for setting in self
            .of(section)
            .filter(|setting| sample.get(&setting.key).is_some_and(|default| fits(&setting.value, default)))
        {
            let mut alone = sample.clone();
            alone.insert(setting.key.clone(), setting.value.clone());
            if let Err(why) = read(alone) {
                mistakes.push(setting.mistake(why));
            }
        }
        if mistakes.len() == before {
            // No single one: they do not go together.
            let last = self.of(section).last();
            let (file, line) = last.map_or(("sample".into(), 0), |last| (last.file.clone(), last.line));
            mistakes.push(Mistake { file, line, what: why });
        }
        None
    }

    fn of(&self, section: Option<&str>) -> impl Iterator<Item = &Setting> {
        self.0.iter().filter(move |setting| setting.section.as_deref() == section)
    }
}

/// The text that counts for a key above all sections, as far as the files can be understood.
pub(super) fn text_of(key: &str, file: &Path) -> Option<String> {
    let text = |file: PathBuf| {
        let text = read(&file).ok()?;
        let (table, _) = DeTable::parse_recoverable(&text);
        table.get_ref().get(key)?.get_ref().as_str().map(str::to_owned)
    };
    files(file, false, &mut Vec::new()).into_iter().filter_map(text).next_back()
}

/// A file, and those in the folder `agent.d` beside it by their names.
fn files(file: &Path, required: bool, mistakes: &mut Vec<Mistake>) -> Vec<PathBuf> {
    let mut files = vec![file.to_owned()];
    if !required && !file.exists() {
        files.clear();
    }
    let folder = file.with_file_name("agent.d");
    match fs::read_dir(&folder) {
        Ok(entries) => {
            let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
            let mut more: Vec<PathBuf> =
                paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
            more.sort_unstable();
            files.extend(more);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => mistakes.push(Mistake { file: folder, line: 0, what: error.to_string() }),
    }
    files
}

fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limits::CONFIG_FILE).unwrap_or(u64::MAX);
    let opened = fs::File::open(file).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    opened.map_err(|error| error.to_string())?;
    if bytes.len() > limits::CONFIG_FILE {
        return Err(format!("it is bigger than {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// A whole number is fine where a real one is expected.
fn fits(value: &toml::Value, default: &toml::Value) -> bool {
    value.same_type(default) || (value.is_integer() && default.is_float())
}

/// The name that differs least, by insertions, deletions, replacements and swaps of neighbours.
fn nearest<'a>(name: &str, known: &[&'a str]) -> &'a str {
    known.iter().copied().min_by_key(|known| distance(name, known)).unwrap_or_default()
}

/// Optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swap)
            };
        }
    }
    rows[a.len()][b.len()]
}
