//! Tables and columns: as most hosts declare them, and behind that those that only the catalogue of this release knows.

use std::collections::BTreeMap;

use plumb_proto::generated::query as pb;
use plumb_proto::model::{ColumnDecl, Role, TableDecl};
use plumb_proto::wire::table_to_wire;
use tonic::Status;

use super::failed;
use crate::drift::policy::Catalogue;
use crate::drift::support::{self, Dates};
use crate::store::Questions;
use crate::store::rows::Groups;

/// All tables, or one.
pub(super) fn tables(questions: &mut dyn Questions, dates: &Dates, only: &str) -> Result<pb::SchemaPage, Status> {
    let declared = questions.declarations(&Groups::new()).map_err(|error| failed(&error))?;
    let catalogue = Catalogue::with(&[]).map_err(|error| failed(&anyhow::anyhow!(error)))?;
    let mut page = pb::SchemaPage::default();
    let mut tables: BTreeMap<String, TableDecl> = BTreeMap::new();
    let mut others: Vec<TableDecl> = Vec::new();
    let own = support::decl(dates);
    if only.is_empty() || own.name == only {
        tables.insert(own.name.clone(), own);
    }
    for (decl, _) in declared.into_iter().filter(|(decl, _)| only.is_empty() || decl.name == only) {
        if tables.contains_key(&decl.name) {
            page.differing.push(decl.name.clone());
            others.push(decl);
        } else {
            tables.insert(decl.name.clone(), decl);
        }
    }
    page.differing.dedup();
    for (name, columns) in catalogue.tables.into_iter().filter(|(name, _)| only.is_empty() || name == only) {
        let untold =
            || TableDecl { name: name.clone(), doc: "No host has told of it yet.".to_owned(), columns: Vec::new() };
        let table = tables.entry(name.clone()).or_insert_with(untold);
        for (column, kind) in columns {
            if table.columns.iter().any(|known| known.name == column) {
                continue;
            }
            // a few newer hosts may know it already: it counts if it is what this release says it is
            let mut told = others.iter().filter(|other| other.name == name).flat_map(|other| &other.columns);
            match told.find(|other| other.name == column && other.kind == kind) {
                Some(told) => table.columns.push(told.clone()),
                None => {
                    page.untold.push(pb::ColumnName { table: name.clone(), column: column.clone() });
                    table.columns.push(ColumnDecl { name: column, kind, role: Role::Moving, doc: String::new() });
                }
            }
        }
    }
    page.tables = tables.values().map(|table| table_to_wire(0, table)).collect();
    Ok(page)
}
