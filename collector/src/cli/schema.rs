//! `plumb schema`: the tables that hosts have told of, from their own declarations.

use anyhow::{Result, bail};
use clap::Args;
use plumb_proto::generated::query::SchemaRequest;
use plumb_proto::model::{ColumnType, Role, TableDecl};
use plumb_proto::nearest::nearest;
use serde::Serialize;

use super::connect::Query;
use super::printer::table::{Cell, Table, column};
use super::printer::{Printer, Style};

/// The tables and columns of facts, as hosts declare them
#[derive(Args)]
#[command(after_help = "Examples:\n  plumb schema\n  plumb schema php")]
pub(super) struct Arguments {
    /// One table with its columns
    table: Option<String>,
}

#[derive(Serialize)]
struct TableJson<'a> {
    table: &'a str,
    doc: &'a str,
    columns: Vec<ColumnJson<'a>>,
}

#[derive(Serialize)]
struct ColumnJson<'a> {
    name: &'a str,
    r#type: &'static str,
    role: &'static str,
    doc: &'a str,
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let tables = query.schema(SchemaRequest::default()).await?;
    match arguments.table {
        None => print(&tables, printer),
        Some(name) => match tables.iter().find(|table| table.name == name) {
            Some(table) => one(table, printer),
            None => {
                let meant = nearest(&name, tables.iter().map(|table| table.name.as_str()));
                let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
                bail!("no host has told of a table \"{name}\"{hint}")
            }
        },
    }
}

fn print(tables: &[TableDecl], printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(tables.iter().map(json));
    }
    if tables.is_empty() {
        return printer.note("No host has reported yet, so no table is known.");
    }
    let mut list = Table::new(&[column("TABLE"), column("COLUMNS").right(), column("WHAT IT HOLDS").wraps()]);
    for table in tables {
        let name = Cell::new(table.name.clone(), Style::Bold);
        list.row([name, table.columns.len().to_string().into(), table.doc.clone().into()]);
    }
    printer.table(&list)
}

fn one(table: &TableDecl, printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows([json(table)]);
    }
    let mut head = Table::new(&[column("").wraps()]).bare();
    head.row([format!("{}: {}", table.name, table.doc).into()]);
    printer.table(&head)?;
    let mut list = Table::new(&[column("COLUMN"), column("TYPE"), column("ROLE"), column("MEANING").wraps()]).indent(2);
    for each in &table.columns {
        let name = Cell::new(each.name.clone(), Style::Bold);
        list.row([name, kind(each.kind).into(), role(each.role).into(), each.doc.clone().into()]);
    }
    printer.table(&list)?;
    printer.note("Columns of role `state` are compared with the baseline;\n`moving` ones never drift by changing.")
}

fn json(table: &TableDecl) -> TableJson<'_> {
    let columns = table.columns.iter().map(|column| ColumnJson {
        name: &column.name,
        r#type: kind(column.kind),
        role: role(column.role),
        doc: &column.doc,
    });
    TableJson { table: &table.name, doc: &table.doc, columns: columns.collect() }
}

fn kind(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Text => "text",
        ColumnType::Int => "int",
        ColumnType::Real => "real",
        ColumnType::Bool => "bool",
        ColumnType::Time => "time",
        ColumnType::Version => "version",
        ColumnType::List => "list",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::State => "state",
        Role::Moving => "moving",
    }
}

#[cfg(test)]
mod tests {
    use plumb_proto::model::ColumnDecl;

    use super::*;
    use crate::cli::printer::testing::{printed, screen};

    fn mount() -> TableDecl {
        let column =
            |name: &str, kind, role, doc: &str| ColumnDecl { name: name.to_owned(), kind, role, doc: doc.to_owned() };
        TableDecl {
            name: "mount".to_owned(),
            doc: "Mounted file systems. Key: path.".to_owned(),
            columns: vec![
                column("fstype", ColumnType::Text, Role::State, "Type of the file system."),
                column("size_bytes", ColumnType::Int, Role::Moving, "Its size."),
            ],
        }
    }

    #[test]
    fn a_table_is_shown_with_its_columns() {
        assert_eq!(
            screen(80, |printer| one(&mount(), printer).unwrap()),
            "\
mount: Mounted file systems. Key: path.
  COLUMN      TYPE  ROLE    MEANING
  fstype      text  state   Type of the file system.
  size_bytes  int   moving  Its size.
"
        );
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let (out, _) = printed(true, None, |printer| print(&[mount()], printer).unwrap());
        assert!(out.starts_with("[\n{\"table\":\"mount\",\"doc\":\"Mounted file systems. Key: path.\",\"columns\":[{\"name\":\"fstype\",\"type\":\"text\",\"role\":\"state\",\"doc\":"), "{out}");
    }
}
