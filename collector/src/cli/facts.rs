//! `plumb facts TABLE`: one table over all hosts.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use plumb_proto::generated::query::{FactsRequest, Row, SchemaRequest};
use plumb_proto::model::TableDecl;
use plumb_proto::nearest::nearest;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Only;
use super::connect::Query;
use super::printer::table::{Cell, Column, Table, column};
use super::printer::values::{at, field, object, said, shown};
use super::printer::words::{ago, count};
use super::printer::{Printer, Style};

/// What names a row is kept in one piece up to this width.
const KEY: usize = 48;

/// One table over all hosts: which host has what
///
/// `plumb schema` lists the tables. A `?` stands for what could not be read; the reason is in --json and in `plumb host`.
#[derive(Args)]
#[command(after_help = "Examples:\n  plumb facts php\n  plumb facts mount --host web-1\n  plumb facts php --where \
                        \"php.version.startsWith('8.1.')\"\n  plumb facts php --json | jq '.[].host'")]
pub(super) struct Arguments {
    /// Name of the table
    table: String,
    /// Rows for which this holds only: CEL, as the `where` of a rule has it
    #[arg(long = "where", value_name = "CEL")]
    condition: Option<String>,
    #[command(flatten)]
    only: Only,
}

/// A row as `facts --json` prints it.
#[derive(Serialize)]
pub(super) struct RowJson {
    host: String,
    table: String,
    key: String,
    fields: Map<String, Value>,
    unknown: BTreeMap<String, String>,
    source: String,
    since: String,
    confirmed: String,
}

impl From<&Row> for RowJson {
    fn from(row: &Row) -> Self {
        Self {
            host: row.host.clone(),
            table: row.table.clone(),
            key: said(&row.key),
            fields: object(&row.fields),
            unknown: row.unknown.iter().map(|each| (each.column.clone(), said(each.reason.as_bytes()))).collect(),
            source: said(&row.source),
            since: at(row.since_ms).to_string(),
            confirmed: at(row.confirmed_ms).to_string(),
        }
    }
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let tables = query.schema(SchemaRequest::default()).await?.tables;
    let Some(table) = tables.iter().find(|table| table.name == arguments.table) else {
        let meant = nearest(&arguments.table, tables.iter().map(|table| table.name.as_str()));
        let hint =
            meant.map_or_else(|| "`plumb schema` lists them".to_owned(), |meant| format!("did you mean {meant}?"));
        anyhow::bail!("there is no table \"{}\": {hint}", arguments.table);
    };
    let request = FactsRequest {
        table: arguments.table,
        host: arguments.only.host.unwrap_or_default(),
        groups: arguments.only.group,
        r#where: arguments.condition.unwrap_or_default(),
    };
    let (rows, unknown) = query.facts(request).await?;
    print(table, &rows, printer)?;
    match unknown {
        0 => Ok(()),
        unknown => printer.note(format!(
            "{} left out: --where cannot be told of what could not be read.",
            count(unknown as usize, "row is", "rows are")
        )),
    }
}

fn print(decl: &TableDecl, rows: &[Row], printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(rows.iter().map(RowJson::from));
    }
    if rows.is_empty() {
        return printer.note(format!("No row of {} matches.", decl.name));
    }
    let table = table(decl, rows, printer);
    printer.table(&table)?;
    match table.left_out(printer.width()) {
        0 => Ok(()),
        left_out => printer.note(format!(
            "{} left out: a wider terminal, a pipe or --json shows all.",
            count(left_out, "column is", "columns are")
        )),
    }
}

fn table(decl: &TableDecl, rows: &[Row], printer: &Printer) -> Table {
    let told = |name: &str| {
        let is_known = |row: &Row| row.fields.iter().any(|field| field.name == name);
        let is_unknown = |row: &Row| row.unknown.iter().any(|each| each.column == name);
        rows.iter().any(|row| is_known(row) || is_unknown(row))
    };
    let all = decl.columns.iter().map(|column| column.name.as_str()).filter(|name| told(name));
    let names: Vec<&str> = all.collect();
    // Titles are names of columns, which only this answer knows; a table's titles are fixed. So they are its first row.
    let mut columns: Vec<Column> = vec![column(""), column("").wraps().least(KEY)];
    for position in 0..names.len() {
        columns.push(column("").wraps().spare(u8::try_from(position).unwrap_or(u8::MAX)));
    }
    columns.push(column("").spare(u8::MAX));
    let mut table = Table::new(&columns).bare();
    let title = |name: &str| Cell::new(name.to_uppercase(), Style::Dim);
    let mut titles = vec![title("host"), title("key")];
    titles.extend(names.iter().map(|name| title(name)));
    titles.push(title("since"));
    table.cells(titles);
    for row in rows {
        let whole = row.unknown.iter().any(|each| each.column.is_empty());
        let mut cells = vec![Cell::new(row.host.clone(), Style::Bold), said(&row.key).into()];
        for name in &names {
            cells.push(match field(&row.fields, name) {
                _ if row.unknown.iter().any(|each| each.column == *name) => Cell::new("?", Style::Unknown),
                Some(value) if whole => Cell::new(format!("{}?", shown(name, &value)), Style::Unknown),
                Some(value) => shown(name, &value).into(),
                None if whole => Cell::new("?", Style::Unknown),
                None => Cell::new("-", Style::Dim),
            });
        }
        let since = at(row.since_ms);
        let since = if printer.width().is_some() { ago(since, printer.now()) } else { since.to_string() };
        cells.push(Cell::new(since, Style::Dim));
        table.cells(cells);
    }
    table
}

#[cfg(test)]
pub(super) mod tests {
    use plumb_proto::generated::query::Unknown;
    use plumb_proto::model::{ColumnDecl, ColumnType, Role, Value};

    use super::*;
    use crate::cli::printer::testing::{NOW, printed, screen};

    pub(in crate::cli) fn row(table: &str, key: &str, fields: &[(&str, Value)]) -> Row {
        let named = |(name, value): &(&str, Value)| plumb_proto::generated::model::NamedValue {
            name: (*name).to_owned(),
            value: Some(plumb_proto::wire::value_to_wire(value)),
        };
        Row {
            host: "web-1".to_owned(),
            table: table.to_owned(),
            key: key.as_bytes().to_vec(),
            fields: fields.iter().map(named).collect(),
            source: b"/etc/x".to_vec(),
            since_ms: NOW.millis() - 3_600_000,
            confirmed_ms: NOW.millis() - 5_000,
            watcher: "php".to_owned(),
            ..Row::default()
        }
    }

    fn php() -> (TableDecl, Vec<Row>) {
        let decl = |name: &str, kind| ColumnDecl { name: name.to_owned(), kind, role: Role::State, doc: String::new() };
        let columns = vec![
            decl("version", ColumnType::Version),
            decl("binary", ColumnType::Text),
            decl("package", ColumnType::Text),
            decl("running", ColumnType::Bool),
        ];
        let version = |text: &str| ("version", Value::Version(text.into()));
        let mut cli = row("php", "cli/8.3", &[("binary", "/usr/bin/php8.3".into())]);
        cli.unknown.push(Unknown { column: "version".to_owned(), reason: "permission denied".to_owned() });
        let fpm = row(
            "php",
            "fpm/8.2",
            &[version("8.2.29"), ("binary", "/usr/sbin/php-fpm8.2".into()), ("running", true.into())],
        );
        (TableDecl { name: "php".to_owned(), doc: String::new(), columns }, vec![cli, fpm])
    }

    #[test]
    fn what_could_not_be_read_is_a_question_mark_and_what_does_not_apply_a_dash() {
        let (decl, rows) = php();
        assert_eq!(
            screen(80, |printer| print(&decl, &rows, printer).unwrap()),
            "\
HOST   KEY      VERSION  BINARY                RUNNING  SINCE
web-1  cli/8.3  ?        /usr/bin/php8.3       -        1 h ago
web-1  fpm/8.2  8.2.29   /usr/sbin/php-fpm8.2  yes      1 h ago
"
        );
    }

    #[test]
    fn a_row_that_the_last_look_could_not_see_is_not_shown_as_known() {
        let (decl, mut rows) = php();
        rows.remove(0);
        rows[0].unknown.push(Unknown { column: String::new(), reason: "timed out".to_owned() });
        let (out, _) = printed(false, None, |printer| print(&decl, &rows, printer).unwrap());
        assert_eq!(
            out.lines().nth(1).unwrap(),
            "web-1  fpm/8.2  8.2.29?  /usr/sbin/php-fpm8.2?  yes?     2026-11-21T09:01:02Z"
        );
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let (decl, rows) = php();
        let (out, _) = printed(true, None, |printer| print(&decl, &rows[..1], printer).unwrap());
        assert_eq!(
            out,
            "[\n{\"host\":\"web-1\",\"table\":\"php\",\"key\":\"cli/8.3\",\"fields\":{\"binary\":\"/usr/bin/php8.3\"},\
             \"unknown\":{\"version\":\"permission denied\"},\"source\":\"/etc/x\",\"since\":\"2026-11-21T09:01:02Z\",\
             \"confirmed\":\"2026-11-21T10:00:57Z\"}\n]\n"
        );
    }
}
