//! Reads a TOML file section by section and keeps every mistake with its line, instead of stopping at the first.

use std::path::Path;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use plumb_proto::nearest::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file, and what is wrong in it.
pub(super) struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    mistakes: Vec<(usize, String)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, mistakes: Vec::new() }
    }

    /// The file as a table; as far as it can be read.
    pub(super) fn parse(&mut self) -> DeTable<'a> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        // The first: those behind it mostly follow from it.
        if let Some(error) = errors.first() {
            self.wrong(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        table.into_inner()
    }

    pub(super) fn is_wrong(&self) -> bool {
        !self.mistakes.is_empty()
    }

    /// Notes a mistake at a byte of the file.
    pub(super) fn wrong(&mut self, at: usize, what: String) {
        self.mistakes.push((at, what));
    }

    /// Every mistake, in the order of the file, each as `file:line: what`.
    pub(super) fn mistakes(mut self) -> Vec<String> {
        self.mistakes.sort();
        let line = |at: usize| self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        self.mistakes.iter().map(|(at, what)| format!("{}:{}: {what}", self.file.display(), line(*at))).collect()
    }

    /// A section by name; all its settings stand at their defaults where the file has none.
    pub(super) fn section<'t>(
        &mut self,
        name: &'static str,
        table: &'t DeTable<'a>,
        defaults: &'t DeTable<'a>,
    ) -> Section<'t, 'a> {
        let own = match table.get(name) {
            None => None,
            Some(value) => match value.get_ref() {
                DeValue::Table(own) => Some(own),
                other => {
                    self.wrong(
                        value.span().start,
                        format!("`{name}` is a section, write [{name}], not {}", a(other.type_str())),
                    );
                    None
                }
            },
        };
        let defaults = defaults.get(name).and_then(|value| value.get_ref().as_table());
        Section { name, table: own, defaults, known: Vec::new(), at: 0 }
    }

    /// All sections of a name that may come more than once.
    pub(super) fn sections<'t>(
        &mut self,
        name: &'static str,
        table: &'t DeTable<'a>,
        defaults: Option<&'t DeTable<'a>>,
    ) -> Vec<Section<'t, 'a>> {
        let Some(value) = table.get(name) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(value.span().start, format!("`{name}` may come more than once, write [[{name}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(own) => sections.push(Section {
                    name,
                    table: Some(own),
                    defaults,
                    known: Vec::new(),
                    at: item.span().start,
                }),
                other => {
                    self.wrong(item.span().start, format!("`{name}` is a section, not {}", a(other.type_str())));
                }
            }
        }
        sections
    }
}

/// One section, and the settings that it was asked for.
pub(super) struct Section<'t, 'a> {
    name: &'static str,
    table: Option<&'t DeTable<'a>>,
    defaults: Option<&'t DeTable<'a>>,
    known: Vec<&'static str>,
    /// Where it begins.
    pub(super) at: usize,
}

impl<'t, 'a> Section<'t, 'a> {
    /// The top of the file. `sections` are the names of what else is in it.
    pub(super) fn top(table: &'t DeTable<'a>, defaults: &'t DeTable<'a>, sections: &[&'static str]) -> Self {
        Self { name: "", table: Some(table), defaults: Some(defaults), known: sections.to_vec(), at: 0 }
    }

    /// A setting read by `read`, which says what is wrong with it. `None`: not set, or wrong.
    pub(super) fn get<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let own = self.table.and_then(|table| table.get(key));
        let value: &Spanned<DeValue<'a>> = own.or_else(|| self.defaults.and_then(|table| table.get(key)))?;
        match read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(what) => {
                reader.wrong(value.span().start, format!("{key}: {what}"));
                None
            }
        }
    }

    /// Like [`Section::get`], but it has no default and must be there.
    pub(super) fn need<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            reader.wrong(self.at, format!("[[{}]] needs `{key}`", self.name));
            return None;
        }
        self.get(reader, key, read)
    }

    /// Whether the file itself has the setting.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Notes what nobody asked for.
    pub(super) fn end(self, reader: &mut Reader<'_>) {
        let Some(table) = self.table else { return };
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place = if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
            let meant = nearest(name, self.known.iter().copied()).map_or_else(
                || format!("; it knows {}", self.known.join(", ")),
                |known| format!(", did you mean `{known}`?"),
            );
            reader.wrong(key.span().start, format!("unknown key `{name}`{place}{meant}"));
        }
    }
}

/// A type's name with its article.
fn a(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value.as_str() {
        Some("") => Err("must not be empty".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("expected a text, found {}", a(value.type_str()))),
    }
}

pub(super) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or_else(|| format!("expected a list, found {}", a(value.type_str())))?;
    items.iter().map(|item| text(item.get_ref())).collect()
}

pub(super) fn labels(value: &DeValue<'_>) -> Result<std::collections::BTreeMap<String, String>, String> {
    let table =
        value.as_table().ok_or_else(|| format!("expected {{ name = \"value\" }}, found {}", a(value.type_str())))?;
    table.iter().map(|(key, item)| Ok((key.get_ref().to_string(), text(item.get_ref())?))).collect()
}

pub(super) fn yes(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("expected true or false, found {}", a(value.type_str())))
}

pub(super) fn number(value: &DeValue<'_>) -> Result<u32, String> {
    let number = value.as_integer().ok_or_else(|| format!("expected a number, found {}", a(value.type_str())))?;
    u32::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| "expected a number from 0 to 4294967295".to_owned())
}

/// A time span such as `30s`, `10m`, `1h 30m` or `7d`.
pub(super) fn span(value: &DeValue<'_>) -> Result<Duration, String> {
    const HELP: &str = "expected a time span such as \"30s\", \"10m\" or \"7d\"";
    let text = value.as_str().ok_or_else(|| format!("{HELP}, found {}", a(value.type_str())))?;
    let span: Span = text.parse().map_err(|_| format!("{HELP}, found \"{text}\""))?;
    let long = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| HELP.to_owned())?;
    Duration::try_from(long).map_err(|_| "a time span cannot be negative".to_owned())
}

/// A value that parses from a text, such as an address.
pub(super) fn parsed<T: std::str::FromStr>(what: &str) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| {
        text(value)?.parse().map_err(|_| format!("expected {what}, found \"{}\"", value.as_str().unwrap_or("")))
    }
}
