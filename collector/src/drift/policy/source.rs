//! Policy files as written: rules by name, each field with its place, a later file laid over an earlier one.

use std::collections::BTreeMap;

use toml::{Spanned, Value};

use plumb_proto::nearest::hint;

/// A policy file: its name, for messages, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As people know it: a path.
    pub name: String,
    /// TOML.
    pub text: String,
}

/// Where something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

/// A field of a rule as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A rule as written: where it begins in the last file that speaks of it, and its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Raw {
    pub(super) place: Place,
    pub(super) fields: BTreeMap<String, Field>,
}

/// Fields that a rule may have.
pub(super) const FIELDS: [&str; 14] = [
    "actual", "calm", "clear", "critical", "enabled", "expected", "for", "hint", "let", "ok", "on", "severity",
    "title", "where",
];

type Parsed = BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<Value>>>;

/// Reads files in order. A rule of a later one changes the fields that it names of the rule before it.
pub(super) fn read(sources: &[Source], errors: &mut Vec<String>) -> BTreeMap<String, Raw> {
    let mut rules: BTreeMap<String, Raw> = BTreeMap::new();
    for source in sources {
        let parsed: Parsed = match toml::from_str(&source.text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(&source.text, span.start));
                errors.push(format!("{}:{line}: {}", source.name, error.message()));
                continue;
            }
        };
        for (name, fields) in parsed {
            let place = |at: usize| Place { file: source.name.clone(), line: line_of(&source.text, at) };
            let rule = rules.entry(name.get_ref().clone()).or_default();
            rule.place = place(name.span().start);
            for (field, value) in fields {
                let known = field.get_ref().as_str();
                if !FIELDS.contains(&known) {
                    let Place { file, line } = place(field.span().start);
                    let near = hint(known, FIELDS);
                    errors.push(format!("{file}:{line}: rule `{}`: there is no field `{known}`{near}", name.get_ref()));
                    continue;
                }
                let span = value.span();
                let mut place = place(span.start);
                if source.text[span.clone()].starts_with("'''\n") || source.text[span].starts_with("\"\"\"\n") {
                    place.line += 1; // the text begins behind the line break
                }
                let key = known.to_owned();
                rule.fields.insert(key, Field { value: value.into_inner(), place });
            }
        }
    }
    rules
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}
