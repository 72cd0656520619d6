//! Which tables, columns and metrics there are: those that this release's agent tells, and those that hosts declared.

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::model::{ColumnType, TableDecl};

use crate::drift::support;

const SHIPPED: &str = include_str!("../../../data/catalogue.toml");

/// Names that rules may speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Columns of each table.
    pub tables: BTreeMap<String, BTreeMap<String, ColumnType>>,
    /// Labels of each metric. A label that is called like a table carries the key of a row in it.
    pub metrics: BTreeMap<String, BTreeSet<String>>,
}

#[derive(serde::Deserialize)]
struct File {
    table: BTreeMap<String, BTreeMap<String, Word>>,
    metric: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Text,
    Int,
    Real,
    Bool,
    Time,
    Version,
    List,
}

impl Catalogue {
    /// The shipped names, and those of `declared`.
    ///
    /// # Errors
    /// The shipped catalogue does not read; a test holds that it does.
    pub fn with(declared: &[TableDecl]) -> Result<Self, String> {
        let file: File = toml::from_str(SHIPPED).map_err(|error| format!("catalogue: {error}"))?;
        let kinds =
            |columns: BTreeMap<String, Word>| columns.into_iter().map(|(name, word)| (name, kind(word))).collect();
        let tables = file.table.into_iter().map(|(name, columns)| (name, kinds(columns))).collect();
        let mut catalogue = Self { tables, metrics: file.metric };
        // the collector's own table, whatever hosts say
        let own = support::decl(&support::Dates::shipped());
        for decl in std::iter::once(&own).chain(declared) {
            let columns = catalogue.tables.entry(decl.name.clone()).or_default();
            for column in &decl.columns {
                columns.entry(column.name.clone()).or_insert(column.kind);
            }
        }
        Ok(catalogue)
    }
}

fn kind(word: Word) -> ColumnType {
    match word {
        Word::Text => ColumnType::Text,
        Word::Int => ColumnType::Int,
        Word::Real => ColumnType::Real,
        Word::Bool => ColumnType::Bool,
        Word::Time => ColumnType::Time,
        Word::Version => ColumnType::Version,
        Word::List => ColumnType::List,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_reads_and_no_metric_is_called_like_a_table() {
        let catalogue = Catalogue::with(&[]).unwrap();
        assert_eq!(catalogue.tables["php"]["version"], ColumnType::Version);
        assert!(catalogue.metrics["disk_size_bytes"].contains("mount"));
        assert!(catalogue.metrics.keys().all(|metric| !catalogue.tables.contains_key(metric)));
    }
}
