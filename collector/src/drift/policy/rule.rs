//! A rule: what it judges, when it holds, what it says. Compiled from what is written; every mistake at once.

use std::collections::BTreeMap;
use std::time::Duration;

use cel::Env;
use plumb_proto::model::Severity;

use super::catalogue::Catalogue;
use super::expression::{Expression, Template};
use super::names::{Names, Ty, Uses};
use super::source::{Field, Raw};
use super::units;
use plumb_proto::nearest::hint;

/// What a rule judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// Each row of a table.
    Table(String),
    /// Each series of a metric.
    Metric(String),
}

/// A named condition. Built by [`super::Policy::load`].
#[derive(Debug)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub name: String,
    /// The last file that speaks of it.
    pub file: String,
    /// The line where it does, from 1.
    pub line: usize,
    /// Its texts as written, by field.
    pub texts: BTreeMap<String, String>,
    /// What it judges.
    pub on: On,
    /// How bad it is when it does not hold.
    pub severity: Severity,
    /// It opens once it has not held for so long.
    pub hold: Duration,
    /// It closes once it has held again for so long.
    pub calm: Duration,
    pub(super) filter: Option<Expression>,
    pub(super) ok: Expression,
    pub(super) clear: Option<Expression>,
    pub(super) critical: Option<Expression>,
    pub(super) lets: BTreeMap<String, Expression>,
    pub(super) title: Template,
    pub(super) expected: Option<Template>,
    pub(super) actual: Option<Template>,
    pub(super) hint: Option<Template>,
    pub(super) uses: Uses,
}

impl Rule {
    /// True if time alone, or what is known of the operating system, may break it.
    #[must_use]
    pub fn uses_support(&self) -> bool {
        self.uses.support
    }

    /// True if it reads this metric.
    #[must_use]
    pub fn reads(&self, metric: &str) -> bool {
        self.uses.metrics.contains(metric)
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = (&'static str, &Expression)> {
        let optional = [("where", &self.filter), ("clear", &self.clear), ("critical", &self.critical)];
        let optional = optional.into_iter().filter_map(|(field, expression)| Some((field, expression.as_ref()?)));
        std::iter::once(("ok", &self.ok)).chain(optional)
    }
}

/// Compiles a rule; `None` if it is switched off or wrong. Messages name file, line, rule and field.
pub(super) fn compile(
    env: &Env,
    name: &str,
    raw: &Raw,
    catalogue: &Catalogue,
    errors: &mut Vec<String>,
) -> Option<(Rule, Names)> {
    let before = errors.len();
    let mut reader = Reader { env, rule: name, raw, errors, names: Names::default() };
    if reader.flag("enabled") == Some(false) {
        return None;
    }
    let on = reader.on(catalogue)?;
    reader.names = names_for(&on, catalogue);
    let lets = reader.lets();
    for (name, expression) in &lets {
        reader.names.variables.insert(name.clone(), expression.ty);
    }
    let mut uses = Uses::default();
    lets.values().for_each(|each| uses.join(&each.uses));
    let severity = reader.required("severity").and_then(|word| reader.severity(&word));
    let ok = reader.required("ok").and_then(|_| reader.condition("ok"));
    let (filter, clear, critical) =
        (reader.condition("where"), reader.condition("clear"), reader.condition("critical"));
    let title = reader.required("title").and_then(|_| reader.template("title"));
    let [expected, actual, hint] = ["expected", "actual", "hint"].map(|field| reader.template(field));
    let (hold, calm) = (reader.span("for"), reader.span("calm"));
    let names = reader.names;
    if errors.len() > before {
        return None;
    }
    let (severity, ok, title) = (severity?, ok?, title?);
    let conditions = [Some(&ok), filter.as_ref(), clear.as_ref(), critical.as_ref()].into_iter().flatten();
    let templates = [Some(&title), expected.as_ref(), actual.as_ref(), hint.as_ref()].into_iter().flatten();
    conditions.chain(templates.flat_map(Template::expressions)).for_each(|each| uses.join(&each.uses));
    let texts = raw.fields.iter().filter_map(|(field, Field { value, .. })| Some((field, value.as_str()?)));
    let rule = Rule {
        name: name.to_owned(),
        file: raw.place.file.clone(),
        line: raw.place.line,
        texts: texts.map(|(field, text)| (field.clone(), text.to_owned())).collect(),
        on,
        severity,
        hold,
        calm,
        filter,
        ok,
        clear,
        critical,
        lets,
        title,
        expected,
        actual,
        hint,
        uses,
    };
    Some((rule, names))
}

/// What the expressions of a rule may name.
fn names_for(on: &On, catalogue: &Catalogue) -> Names {
    let mut names = Names::default();
    names.variables.extend([("host".to_owned(), Ty::Text), ("group".to_owned(), Ty::Map)]);
    match on {
        On::Table(table) => {
            let columns = catalogue.tables.get(table).cloned().unwrap_or_default();
            let columns = columns.into_iter().map(|(column, kind)| (column, Ty::of(kind))).collect();
            names.row = Some((table.clone(), columns));
            names.variables.insert("key".to_owned(), Ty::Text);
            let readable = catalogue.metrics.iter().filter(|(_, labels)| labels.iter().all(|label| label == table));
            names.metrics = readable.map(|(metric, _)| metric.clone()).collect();
        }
        On::Metric(metric) => {
            let labels = catalogue.metrics.get(metric).cloned().unwrap_or_default();
            names.variables.insert("value".to_owned(), Ty::Num);
            let readable = catalogue.metrics.iter().filter(|(_, other)| other.is_empty() || **other == labels);
            names.metrics = readable.map(|(metric, _)| metric.clone()).collect();
            names.labels = Some(labels);
        }
    }
    names
}

struct Reader<'a> {
    env: &'a Env,
    rule: &'a str,
    raw: &'a Raw,
    errors: &'a mut Vec<String>,
    names: Names,
}

impl Reader<'_> {
    fn wrong(&mut self, field: &str, line: usize, what: &str) {
        let place = self.raw.fields.get(field).map_or(&self.raw.place, |field| &field.place);
        let at = if self.raw.fields.contains_key(field) { format!(", {field}") } else { String::new() };
        self.errors.push(format!("{}:{}: rule `{}`{at}: {what}", place.file, place.line + line, self.rule));
    }

    fn text(&mut self, field: &str) -> Option<String> {
        match self.raw.fields.get(field).map(|field| &field.value) {
            None => None,
            Some(toml::Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.wrong(field, 0, "must be a text");
                None
            }
        }
    }

    fn flag(&mut self, field: &str) -> Option<bool> {
        let Field { value, .. } = self.raw.fields.get(field)?;
        if value.as_bool().is_none() {
            self.wrong(field, 0, "must be true or false");
        }
        value.as_bool()
    }

    fn required(&mut self, field: &str) -> Option<String> {
        if !self.raw.fields.contains_key(field) {
            self.wrong(field, 0, &format!("`{field}` is missing"));
        }
        self.text(field)
    }

    fn on(&mut self, catalogue: &Catalogue) -> Option<On> {
        let name = self.required("on")?;
        if catalogue.tables.contains_key(&name) {
            return Some(On::Table(name));
        }
        if catalogue.metrics.contains_key(&name) {
            return Some(On::Metric(name));
        }
        let near = hint(&name, catalogue.tables.keys().chain(catalogue.metrics.keys()).map(String::as_str));
        self.wrong("on", 0, &format!("there is no table or metric `{name}`{near}"));
        None
    }

    fn severity(&mut self, word: &str) -> Option<Severity> {
        let severity = Severity::parse(word);
        if severity.is_none() {
            self.wrong("severity", 0, &format!("`{word}` is not one of info, warning, critical"));
        }
        severity
    }

    fn span(&mut self, field: &str) -> Duration {
        let Some(text) = self.text(field) else { return Duration::ZERO };
        units::span(&text).unwrap_or_else(|why| {
            self.wrong(field, 0, &why);
            Duration::ZERO
        })
    }

    fn expression(&mut self, field: &str, text: &str) -> Option<Expression> {
        match Expression::compile(self.env, text, &self.names) {
            Ok(expression) => Some(expression),
            Err(mistakes) => {
                mistakes.iter().for_each(|(line, what)| self.wrong(field, *line, what));
                None
            }
        }
    }

    fn condition(&mut self, field: &str) -> Option<Expression> {
        let text = self.text(field)?;
        let expression = self.expression(field, &text)?;
        if !matches!(expression.ty, Ty::Bool | Ty::Any) {
            self.wrong(field, 0, "must be true or false, such as `php.version == '8.2.29'`");
            return None;
        }
        Some(expression)
    }

    fn template(&mut self, field: &str) -> Option<Template> {
        let text = self.text(field)?;
        match Template::compile(self.env, &text, &self.names) {
            Ok(template) => Some(template),
            Err(mistakes) => {
                mistakes.iter().for_each(|(line, what)| self.wrong(field, *line, what));
                None
            }
        }
    }

    /// Names for what several fields need.
    fn lets(&mut self) -> BTreeMap<String, Expression> {
        let Some(field) = self.raw.fields.get("let") else { return BTreeMap::new() };
        let Some(table) = field.value.as_table() else {
            self.wrong("let", 0, "must be a table of names and expressions");
            return BTreeMap::new();
        };
        let mut lets = BTreeMap::new();
        for (name, value) in table {
            let Some(text) = value.as_str() else {
                self.wrong("let", 0, &format!("`{name}` must be a text"));
                continue;
            };
            if let Some(expression) = self.expression("let", text) {
                lets.insert(name.clone(), expression);
            }
        }
        lets
    }
}
