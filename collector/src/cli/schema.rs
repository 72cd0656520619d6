//! `plumb schema`: the tables and columns of facts, from the declarations of hosts and what this release knows besides.

use anyhow::{Result, bail};
use clap::Args;
use plumb_proto::generated::query::SchemaRequest;
use plumb_proto::model::{ColumnDecl, ColumnType, Role, TableDecl};
use plumb_proto::nearest::nearest;
use serde::Serialize;

use super::connect::{Query, Schema};
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
    /// Whether some hosts declare it in another way.
    differs: bool,
    columns: Vec<ColumnJson<'a>>,
}

#[derive(Serialize)]
struct ColumnJson<'a> {
    name: &'a str,
    r#type: &'static str,
    role: Option<&'static str>,
    doc: &'a str,
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let schema = query.schema(SchemaRequest::default()).await?;
    match arguments.table {
        None => print(&schema, printer),
        Some(name) => match schema.tables.iter().find(|table| table.name == name) {
            Some(table) => one(&schema, table, printer),
            None => {
                let meant = nearest(&name, schema.tables.iter().map(|table| table.name.as_str()));
                let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
                bail!("there is no table \"{name}\"{hint}")
            }
        },
    }
}

fn print(schema: &Schema, printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(schema.tables.iter().map(|table| json(schema, table)));
    }
    let mut list = Table::new(&[column("TABLE"), column("COLUMNS").right(), column("WHAT IT HOLDS").wraps()]);
    for table in &schema.tables {
        let name = Cell::new(table.name.clone(), Style::Bold);
        list.row([name, table.columns.len().to_string().into(), table.doc.clone().into()]);
    }
    printer.table(&list)?;
    let differing: Vec<&str> = schema.differing.iter().map(String::as_str).collect();
    if differing.is_empty() {
        return Ok(());
    }
    printer.note(format!("Some hosts declare these in another way than most: {}.", differing.join(", ")))
}

fn one(schema: &Schema, table: &TableDecl, printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows([json(schema, table)]);
    }
    let mut head = Table::new(&[column("").wraps()]).bare();
    head.row([format!("{}: {}", table.name, table.doc).into()]);
    printer.table(&head)?;
    let mut list = Table::new(&[column("COLUMN"), column("TYPE"), column("ROLE"), column("MEANING").wraps()]).indent(2);
    for each in &table.columns {
        let name = Cell::new(each.name.clone(), Style::Bold);
        list.row([
            name,
            kind(each.kind).into(),
            role(schema, table, each).unwrap_or("-").into(),
            each.doc.clone().into(),
        ]);
    }
    printer.table(&list)?;
    if schema.differing.contains(&table.name) {
        printer.note("Some hosts declare this table in another way than most do.")?;
    }
    printer.note("Columns of role `state` are compared with the baseline;\n`moving` ones never drift by changing.")
}

fn json<'a>(schema: &Schema, table: &'a TableDecl) -> TableJson<'a> {
    let columns = table.columns.iter().map(|column| ColumnJson {
        name: &column.name,
        r#type: kind(column.kind),
        role: role(schema, table, column),
        doc: &column.doc,
    });
    TableJson {
        table: &table.name,
        doc: &table.doc,
        differs: schema.differing.contains(&table.name),
        columns: columns.collect(),
    }
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

/// `None`: no host has declared the column, and only hosts say what role it has.
fn role(schema: &Schema, table: &TableDecl, column: &ColumnDecl) -> Option<&'static str> {
    if schema.untold.contains(&(table.name.clone(), column.name.clone())) {
        return None;
    }
    Some(match column.role {
        Role::State => "state",
        Role::Moving => "moving",
    })
}

#[cfg(test)]
mod tests {
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
                column("options", ColumnType::List, Role::Moving, ""),
            ],
        }
    }

    fn schema() -> Schema {
        let untold = ("mount".to_owned(), "options".to_owned());
        Schema { tables: vec![mount()], untold: [untold].into(), differing: ["mount".to_owned()].into() }
    }

    #[test]
    fn a_table_is_shown_with_its_columns() {
        assert_eq!(
            screen(80, |printer| one(&schema(), &mount(), printer).unwrap()),
            "\
mount: Mounted file systems. Key: path.
  COLUMN      TYPE  ROLE    MEANING
  fstype      text  state   Type of the file system.
  size_bytes  int   moving  Its size.
  options     list  -
"
        );
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let (out, _) = printed(true, None, |printer| print(&schema(), printer).unwrap());
        assert!(out.starts_with("[\n{\"table\":\"mount\",\"doc\":\"Mounted file systems. Key: path.\",\"differs\":true,\"columns\":[{\"name\":\"fstype\",\"type\":\"text\",\"role\":\"state\",\"doc\":"), "{out}");
    }
}
