//! Rules in CEL: loaded from TOML, compiled, checked and tried before the first host is judged by them.
//!
//! A rule names what it judges (`on`: each row of a table, or each series of a metric), which of these (`where`), what
//! must hold (`ok`), and what to say when it does not. `{..}` in a text holds an expression. What is not known makes the
//! rule unknown, not true and not false: a column that could not be read, one that is not set and was not asked for
//! with `has(..)`, a metric without a recent value, a support window that is not in the table.

mod catalogue;
mod check;
mod expression;
mod filter;
mod functions;
mod names;
mod rule;
mod scope;
mod source;
mod trial;
pub mod units;

use std::sync::Arc;

use cel::Env;
use plumb_proto::model::TableDecl;

use super::incident::is_incident;
use super::support::Dates;
use super::{Drift, FLOOD, Kind};
pub use catalogue::Catalogue;
pub use filter::Filter;
pub use rule::{On, Rule};
pub use scope::{Finding, Subjects};
pub use source::Source;

/// The rules that ship, by file name: the policy of a collector that was given no other.
pub const SHIPPED: &[(&str, &str)] = &[
    ("backups.toml", include_str!("../../../packaging/policy/backups.toml")),
    ("certificates.toml", include_str!("../../../packaging/policy/certificates.toml")),
    ("cms.toml", include_str!("../../../packaging/policy/cms.toml")),
    ("database.toml", include_str!("../../../packaging/policy/database.toml")),
    ("dependencies.toml", include_str!("../../../packaging/policy/dependencies.toml")),
    ("disk.toml", include_str!("../../../packaging/policy/disk.toml")),
    ("integrity.toml", include_str!("../../../packaging/policy/integrity.toml")),
    ("logs.toml", include_str!("../../../packaging/policy/logs.toml")),
    ("memory.toml", include_str!("../../../packaging/policy/memory.toml")),
    ("network.toml", include_str!("../../../packaging/policy/network.toml")),
    ("os.toml", include_str!("../../../packaging/policy/os.toml")),
    ("php.toml", include_str!("../../../packaging/policy/php.toml")),
    ("pressure.toml", include_str!("../../../packaging/policy/pressure.toml")),
    ("runtimes.toml", include_str!("../../../packaging/policy/runtimes.toml")),
    ("services.toml", include_str!("../../../packaging/policy/services.toml")),
    ("support.toml", include_str!("../../../packaging/policy/support.toml")),
    ("web.toml", include_str!("../../../packaging/policy/web.toml")),
];

/// The rules in force.
pub struct Policy {
    rules: Vec<Rule>,
    env: Arc<Env>,
    sources: Vec<Source>,
    dates: Arc<Dates>,
}

impl Policy {
    /// Loads the shipped rules, and lays `sources` over them in order: a rule of the same name changes the fields that it
    /// names, `enabled = false` switches it off. `declared`: tables that hosts have declared.
    ///
    /// # Errors
    /// Every mistake, one line each: file, line, rule, what is wrong, what is near.
    pub fn load(sources: &[Source], declared: &[TableDecl]) -> Result<Self, Vec<String>> {
        let shipped = SHIPPED.iter().map(|(name, text)| Source { name: (*name).to_owned(), text: (*text).to_owned() });
        Self::load_only(&shipped.chain(sources.iter().cloned()).collect::<Vec<_>>(), declared)
    }

    /// Loads `sources` alone, as [`Policy::load`] does.
    ///
    /// # Errors
    /// As there.
    pub fn load_only(sources: &[Source], declared: &[TableDecl]) -> Result<Self, Vec<String>> {
        let catalogue = Catalogue::with(declared).map_err(|error| vec![error])?;
        let env = Arc::new(Env::stdlib());
        let mut errors = Vec::new();
        let mut rules = Vec::new();
        for (name, raw) in source::read(sources, &mut errors) {
            if let Some((rule, names)) = rule::compile(&env, &name, &raw, &catalogue, &mut errors) {
                let place = raw.place;
                let tried = trial::run(&rule, &names, &env);
                errors.extend(
                    tried.into_iter().map(|what| format!("{}:{}: rule `{name}`, {what}", place.file, place.line)),
                );
                rules.push(rule);
            }
        }
        if errors.is_empty() {
            Ok(Self { rules, env, sources: sources.to_vec(), dates: Dates::shipped() })
        } else {
            Err(errors)
        }
    }

    /// These rules with one more file laid over them; the rules in force stay as they are.
    ///
    /// # Errors
    /// As [`Policy::load`]: every mistake of the file.
    pub fn with(&self, file: Source, declared: &[TableDecl]) -> Result<Self, Vec<String>> {
        let sources: Vec<Source> = self.sources.iter().cloned().chain([file]).collect();
        Ok(Self::load_only(&sources, declared)?.judging_by(Arc::clone(&self.dates)))
    }

    /// These rules, and support windows by other dates than those that ship.
    #[must_use]
    pub fn judging_by(self, dates: Arc<Dates>) -> Self {
        Self { dates, ..self }
    }

    /// By which dates support windows are judged.
    #[must_use]
    pub fn dates(&self) -> &Arc<Dates> {
        &self.dates
    }

    /// The rules, by name.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// True for a drift whose rule is not in force any more: it expires.
    #[must_use]
    pub fn has_dropped(&self, drift: &Drift) -> bool {
        drift.kind == Kind::Policy
            && drift.rule != FLOOD
            && !is_incident(drift)
            && self.rules.iter().all(|rule| rule.name != drift.rule)
    }

    pub(crate) fn env(&self) -> &Arc<Env> {
        &self.env
    }
}

#[cfg(test)]
mod tests;
