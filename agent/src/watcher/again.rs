//! What a look has told, to be told once more: whoever looks often, and seldom at everything, tells of the rest what it told.

use std::sync::Arc;

use plumb_proto::model::{Fact, Problem};

use super::{Look, Table};

/// Rows, and what could not be seen.
#[derive(Debug, Default)]
pub struct Again {
    facts: Vec<(&'static Table, Fact)>,
    problems: Vec<Problem>,
}

impl Again {
    /// Adds what a slice of a look has told so far.
    pub fn add(&mut self, look: &Look<'_>) {
        self.facts.extend(look.told.facts.iter().map(|(table, fact)| (*table, fact.clone())));
        self.problems.extend_from_slice(&look.told.problems);
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Rows that stand as they are, from look to look, until they are made anew. Told again they cost next to nothing: as one
/// they are known to be what they were.
#[derive(Clone, Debug, Default)]
pub struct Same(Arc<Vec<(&'static Table, Fact)>>);

impl Same {
    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[(&'static Table, Fact)] {
        &self.0
    }

    /// Whether both are one: equal rows that were made apart are not.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Look<'_> {
    /// Takes the rows of a table that this look has told for such that stand. They are told with it; nothing can be added
    /// to them in this look.
    pub fn same(&mut self, table: &'static Table) -> Same {
        let facts = std::mem::take(&mut self.told.facts).into_iter();
        let (of_table, rest) = facts.partition(|(each, _)| each.name == table.name);
        self.told.facts = rest;
        let places = self.told.facts.iter().enumerate();
        self.index = places.map(|(place, (table, fact))| ((table.name, fact.key.clone()), place)).collect();
        let same = Same(Arc::new(of_table));
        self.told.same.push(same.clone());
        same
    }

    /// Tells rows that stand as they are. Nothing else may be told of them in this look.
    pub fn tell_same(&mut self, same: &Same) {
        self.told.same.push(same.clone());
    }

    /// Tells rows and problems as another look has told them.
    pub fn tell_again(&mut self, again: &Again) {
        for (table, fact) in &again.facts {
            *self.row(table, fact.key.clone()) = fact.clone();
        }
        self.told.problems.extend_from_slice(&again.problems);
    }
}
