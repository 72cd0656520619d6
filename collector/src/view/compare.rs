//! Where a row stands against its baseline.

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::{Row, TableView};

/// How one row, or one column of it, stands against the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison<'a> {
    /// The column; `None`: whether the row is there at all.
    pub field: Option<&'a str>,
    /// What came out.
    pub standing: Standing<'a>,
}

/// What a comparison with the baseline says.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing<'a> {
    /// As approved.
    Same,
    /// Other than approved; `None`: null.
    Differs {
        /// What was approved.
        was: Option<&'a Value>,
        /// What is.
        is: Option<&'a Value>,
    },
    /// A row that was never approved.
    Appeared,
    /// An approved row that a complete look no longer has.
    Gone,
    /// It cannot be told, and why.
    Unknown(&'a str),
}

impl TableView {
    /// How a row and its state columns stand. Empty where there is no baseline yet, and where every column moves by
    /// itself: rows of such a table come and go (failures of late, files that differ), and rules judge them.
    #[must_use]
    pub fn compare(&self, key: &Untrusted) -> Vec<Comparison<'_>> {
        if self.decl.is_some() && self.state_columns().next().is_none() {
            return Vec::new();
        }
        let whole = |standing| vec![Comparison { field: None, standing }];
        match (self.rows.get(key), self.baseline.get(key)) {
            (None, None) => whole(Standing::Same), // it had appeared, and is gone again
            (None, Some(_)) => whole(Standing::Gone),
            (Some(row), _) if !self.baselined.contains_key(&row.owner) => Vec::new(),
            (Some(row), None) => whole(row.stale.as_deref().map_or(Standing::Appeared, Standing::Unknown)),
            (Some(row), Some(approved)) => {
                let mut all = whole(row.stale.as_deref().map_or(Standing::Same, Standing::Unknown));
                all.extend(self.state_columns().filter_map(|column| {
                    let was = approved.get(column)?.as_ref();
                    Some(Comparison { field: Some(column), standing: compare_field(row, column, was) })
                }));
                all
            }
        }
    }
}

fn compare_field<'a>(row: &'a Row, column: &str, was: Option<&'a Value>) -> Standing<'a> {
    if let Some(reason) = row.unknown(column) {
        return Standing::Unknown(reason);
    }
    let is = row.fact.fields.get(column);
    if is == was { Standing::Same } else { Standing::Differs { was, is } }
}
