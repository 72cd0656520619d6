//! A condition on the rows of a table that somebody asks for, with all that the `where` of a rule may say.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::Env;
use plumb_proto::model::TableDecl;
use plumb_proto::untrusted::Untrusted;

use super::catalogue::Catalogue;
use super::rule::{self, Rule};
use super::scope::{Finding, Subjects};
use super::source::{Field, Place, Raw};

/// A condition, as somebody types it.
const CONDITION: usize = 4 << 10;

/// A condition on the rows of one table: a rule that tells nobody.
pub struct Filter {
    rule: Rule,
    env: Arc<Env>,
}

impl Filter {
    /// Compiles and checks a condition in CEL.
    ///
    /// # Errors
    /// Every mistake: what is wrong, what is near.
    pub fn compile(table: &str, condition: &str, declared: &[TableDecl]) -> Result<Self, Vec<String>> {
        if condition.len() > CONDITION {
            return Err(vec![format!("a condition of {} bytes, at most {CONDITION}", condition.len())]);
        }
        let catalogue = Catalogue::with(declared).map_err(|error| vec![error])?;
        let env = Arc::new(Env::stdlib());
        let place = Place { file: String::new(), line: 1 };
        let field = |text: &str| Field { value: toml::Value::String(text.to_owned()), place: place.clone() };
        let fields = [("on", table), ("ok", condition), ("severity", "info"), ("title", "row")];
        let fields: BTreeMap<String, Field> =
            fields.into_iter().map(|(name, text)| (name.to_owned(), field(text))).collect();
        let mut errors = Vec::new();
        let compiled = rule::compile(&env, "", &Raw { place, fields }, &catalogue, &mut errors);
        match compiled {
            Some((rule, _)) if rule.uses.nests => {
                Err(vec!["one all(), exists(), filter() or map() within another is left to rules".to_owned()])
            }
            Some((rule, _)) if errors.is_empty() => Ok(Self { rule, env }),
            _ => Err(errors
                .iter()
                .map(|error| error.split_once(": ").map_or(error.as_str(), plain).to_owned())
                .collect()),
        }
    }

    /// What the expressions are evaluated in.
    #[must_use]
    pub fn env(&self) -> &Arc<Env> {
        &self.env
    }

    /// Whether the condition holds for a row; `None`: that cannot be told.
    #[must_use]
    pub fn holds(&self, subjects: &Subjects<'_>, key: &Untrusted) -> Option<bool> {
        match subjects.row(&self.rule, key) {
            Finding::Holds | Finding::Between => Some(true),
            Finding::Broken { .. } | Finding::Moot => Some(false),
            Finding::Unknown(_) => None,
        }
    }
}

/// A message without the file, line and name of the rule that there is not: what stands behind "rule ``, ok: ".
fn plain<'a>((_, rest): (&'a str, &'a str)) -> &'a str {
    rest.split_once(": ").map_or(rest, |(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(condition: &str) -> Vec<String> {
        Filter::compile("php", condition, &[]).err().unwrap()
    }

    #[test]
    fn a_condition_that_cannot_be_is_told_with_the_nearest_name() {
        assert!(Filter::compile("php", "php.version == '8.2.29' && key.startsWith('fpm/')", &[]).is_ok());
        assert_eq!(wrong("php.versoin == '8'"), ["table `php` has no column `versoin`; do you mean `version`?"]);
        assert_eq!(wrong("php.version < '8.2'"), ["versions do not compare as text: use version_at_least(..)"]);
        assert!(wrong("php.version")[0].starts_with("must be true or false"), "{:?}", wrong("php.version"));
        assert!(!wrong("php.version ==").is_empty());
    }

    #[test]
    fn a_condition_that_could_take_for_ever_is_refused() {
        assert!(Filter::compile("php", "php.ini.exists(file, file.endsWith('x.ini'))", &[]).is_ok());
        let nested = wrong("php.ini.exists(one, php.ini.all(other, one == other))");
        assert_eq!(nested, ["one all(), exists(), filter() or map() within another is left to rules"]);
        assert_eq!(wrong(&" ".repeat(5_000)), ["a condition of 5000 bytes, at most 4096"]);
    }
}
