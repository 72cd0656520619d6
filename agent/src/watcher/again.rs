//! What a look has told, to be told once more: whoever looks often, and seldom at everything, tells of the rest what it told.

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

impl Look<'_> {
    /// Tells rows and problems as another look has told them.
    pub fn tell_again(&mut self, again: &Again) {
        for (table, fact) in &again.facts {
            *self.row(table, fact.key.clone()) = fact.clone();
        }
        self.told.problems.extend_from_slice(&again.problems);
    }
}
