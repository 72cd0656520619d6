//! What was discovered on a host, in one line: what people have, not what is measured.

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::model::{Fact, Value};
use serde::Serialize;

use super::gather::{Seen, gather_within};
use crate::config::Config;
use crate::host::Host;

/// Table and what one and many of its rows are called, in the order in which they are told.
const COUNTED: &[(&str, &str, &str)] = &[
    ("site", "site", "sites"),
    ("cms", "website software", "website softwares"),
    ("backup", "backup series", "backup series"),
    ("log_source", "log", "logs"),
];
/// Products are told one by one, as far as there are few.
const NAMED: usize = 12;
/// A look that has not ended by then shows what it has seen so far.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Default, Serialize)]
pub(super) struct Found {
    /// Such as `PHP 8.2 (fpm)` and `MariaDB 10.11.18`.
    products: Vec<String>,
    /// Rows by table.
    counts: BTreeMap<&'static str, usize>,
}

/// Lets the watchers look that tell it, each for a short time.
pub(super) fn look(host: &Host, config: &Config) -> anyhow::Result<(Found, Seen)> {
    let tells = |table: &str| ["php", "database"].contains(&table) || COUNTED.iter().any(|(name, ..)| *name == table);
    let mut watchers = config.assigned()?;
    // The journal is one log more, and long.
    watchers.retain(|each| each.spec.tables.iter().any(|table| tells(table.name)) && each.spec.name != "journal");
    let seen = gather_within(host, watchers, PATIENCE);
    Ok((Found::of(&seen), seen))
}

impl Found {
    fn of(seen: &Seen) -> Self {
        let mut found = Self::default();
        let mut php: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (table, fact) in &seen.facts {
            let key = fact.key.to_string();
            match table.name {
                "php" => {
                    let (sapi, branch) =
                        key.split('@').next().and_then(|key| key.split_once('/')).unwrap_or(("", &key));
                    let sapis = php.entry(branch.to_owned()).or_default();
                    if !sapi.is_empty() && !sapis.iter().any(|known| known == sapi) {
                        sapis.push(sapi.to_owned());
                    }
                }
                "database" => found.products.push(database(&key, fact)),
                name => {
                    if let Some((name, ..)) = COUNTED.iter().find(|(counted, ..)| *counted == name) {
                        *found.counts.entry(name).or_default() += 1;
                    }
                }
            }
        }
        let php = php.into_iter().map(|(branch, sapis)| match sapis.is_empty() {
            true => format!("PHP {branch}"),
            false => format!("PHP {branch} ({})", sapis.join(", ")),
        });
        found.products.splice(0..0, php);
        found.products.dedup();
        found
    }

    /// `Found: 2 sites, PHP 8.2 (fpm), MariaDB 10.11.18, 3 backup series, 14 logs`.
    pub(super) fn line(&self) -> String {
        let said = |(table, one, many): &(&str, &str, &str)| match self.counts.get(table)? {
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let (before, behind) = COUNTED.split_at(2);
        let mut all: Vec<String> = before.iter().filter_map(said).collect();
        all.extend(self.products.iter().take(NAMED).cloned());
        if let Some(more) = self.products.len().checked_sub(NAMED).filter(|more| *more > 0) {
            all.push(format!("{more} more"));
        }
        all.extend(behind.iter().filter_map(said));
        match all.is_empty() {
            true => "Found: no websites, PHP, databases, backups or logs yet".to_owned(),
            false => format!("Found: {}", all.join(", ")),
        }
    }
}

/// `mariadb/main` with its version, as people call it.
fn database(key: &str, fact: &Fact) -> String {
    let (product, _) = key.split_once('/').unwrap_or((key, ""));
    let name = match product {
        "mysql" => "MySQL",
        "mariadb" => "MariaDB",
        "percona" => "Percona Server",
        "postgresql" => "PostgreSQL",
        "redis" => "Redis",
        "valkey" => "Valkey",
        "keydb" => "KeyDB",
        other => other,
    };
    match fact.fields.get("version") {
        Some(Value::Version(version) | Value::Text(version)) => format!("{name} {version}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{DATABASE, LOG_SOURCE};

    fn fact(key: &str, version: Option<&str>) -> Fact {
        let fields = version.map(|version| ("version".to_owned(), Value::Version(version.into())));
        Fact { key: key.into(), source: "".into(), fields: fields.into_iter().collect(), unknown: [].into() }
    }

    #[test]
    fn what_was_found_is_one_line_in_the_words_of_people() {
        static PHP: crate::watcher::Table = crate::watcher::Table { name: "php", doc: "", columns: &[] };
        static BACKUP: crate::watcher::Table = crate::watcher::Table { name: "backup", doc: "", columns: &[] };
        let seen = Seen {
            facts: vec![
                (&BACKUP, fact("a", None)),
                (&DATABASE, fact("mariadb/main", Some("10.11.18"))),
                (&DATABASE, fact("postgresql/15/main", None)),
                (&LOG_SOURCE, fact("/var/log/a", None)),
                (&LOG_SOURCE, fact("/var/log/b", None)),
                (&PHP, fact("cli/8.2", None)),
                (&PHP, fact("fpm/8.2@/opt/x", None)),
            ],
            ..Seen::default()
        };
        let line = "Found: PHP 8.2 (cli, fpm), MariaDB 10.11.18, PostgreSQL, 1 backup series, 2 logs";
        assert_eq!(Found::of(&seen).line(), line);
        assert!(Found::default().line().starts_with("Found: no websites"));
    }
}
