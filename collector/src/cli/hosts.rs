//! `plumb hosts`: one line a host.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use plumb_proto::generated::query::{Host, HostsRequest, Label};
use serde::Serialize;

use super::connect::Query;
use super::printer::bar::percent;
use super::printer::table::{Cell, Table, column};
use super::printer::values::{at, said};
use super::printer::words::{ago, moment};
use super::printer::{Printer, Style};
use super::{label, state};

/// Every host on one line: state, last seen, drifts, and what stands on it
///
/// A host is `silent` when nothing was heard of it for too long, `drifting` when it has open drifts, `unknown` when
/// something on it could not be read, and `ok` when none of that is so.
#[derive(Args)]
#[command(after_help = "Examples:\n  plumb hosts\n  plumb hosts --group client=acme --json | jq -r '.[].name'")]
pub(super) struct Arguments {
    /// Of hosts with this label only; may be given more than once
    #[arg(long, value_name = "K=V", value_parser = label)]
    group: Vec<Label>,
}

/// A host as `hosts --json` prints it.
#[derive(Serialize)]
pub(super) struct HostJson {
    name: String,
    id: String,
    state: &'static str,
    last_seen: Option<String>,
    groups: BTreeMap<String, String>,
    drifts: Counts,
}

#[derive(Serialize)]
struct Counts {
    critical: u32,
    warning: u32,
    info: u32,
}

impl From<&Host> for HostJson {
    fn from(host: &Host) -> Self {
        Self {
            name: host.name.clone(),
            id: id(host),
            state: state(host).0,
            last_seen: host.last_seen_ms.map(|millis| at(millis).to_string()),
            groups: host.groups.iter().map(|label| (label.name.clone(), label.value.clone())).collect(),
            drifts: Counts { critical: host.critical, warning: host.warning, info: host.info },
        }
    }
}

/// A host's identity, in hexadecimal.
pub(super) fn id(host: &Host) -> String {
    host.id.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let narrowed = !arguments.group.is_empty();
    let hosts = query.hosts(HostsRequest { groups: arguments.group }).await?;
    if narrowed && hosts.is_empty() && !printer.is_json() {
        return printer.note("No host has these labels. `plumb hosts` shows those there are.");
    }
    print(&hosts, printer)
}

fn print(hosts: &[Host], printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(hosts.iter().map(HostJson::from));
    }
    if hosts.is_empty() {
        return printer
            .note("No host has enrolled yet. `plumb-collector token create` prints the line to paste on one.");
    }
    let mut table = Table::new(&[
        column("HOST"),
        column("STATE"),
        column("SEEN"),
        column("CRIT").right(),
        column("WARN").right(),
        column("INFO").right(),
        column("OS").spare(2),
        column("PHP").wraps().spare(1),
        column("DATABASE").wraps().spare(4),
        column("DISK").spare(1),
        column("BACKUP").spare(5),
        column("GROUPS").wraps().spare(6),
    ]);
    for host in hosts {
        table.row(row(host, printer));
    }
    printer.table(&table)
}

fn row(host: &Host, printer: &Printer) -> [Cell; 12] {
    let vitals = host.vitals.clone().unwrap_or_default();
    let (word, style) = state(host);
    let seen = host.last_seen_ms.map(at);
    let seen = match seen {
        None => Cell::new("never", Style::Unknown),
        Some(seen) if printer.width().is_none() => moment(seen).into(),
        Some(seen) => ago(seen, printer.now()).into(),
    };
    let number = |number: u32, style| match number {
        0 => Cell::new("-", Style::Dim),
        number => Cell::new(number.to_string(), style),
    };
    let list = |items: &[Vec<u8>]| items.iter().map(|item| said(item)).collect::<Vec<_>>().join(", ");
    let disk = match (vitals.disk_used, &vitals.disk) {
        (Some(share), Some(mount)) => Cell::new(format!("{} {}", percent(share), said(mount)), fullness(share)),
        _ => Cell::default(),
    };
    let labels: Vec<String> = host.groups.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
    [
        Cell::new(host.name.clone(), Style::Bold),
        Cell::new(word, style),
        seen,
        number(host.critical, Style::Critical),
        number(host.warning, Style::Warning),
        number(host.info, Style::Plain),
        vitals.os.as_deref().map(said).unwrap_or_default().into(),
        list(&vitals.php).into(),
        list(&vitals.databases).into(),
        disk,
        vitals.backup_ms.map(|newest| ago(at(newest), printer.now())).unwrap_or_default().into(),
        labels.join(" ").into(),
    ]
}

/// How the fullness of a disk is shown. The words stay the judge's: this is colour only.
pub(super) fn fullness(share: f64) -> Style {
    match share {
        share if share >= 0.95 => Style::Critical,
        share if share >= 0.85 => Style::Warning,
        _ => Style::Plain,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use plumb_proto::generated::query::{HostState, Vitals};

    use super::*;
    use crate::cli::printer::testing::{NOW, printed, screen};

    pub(in crate::cli) fn host(name: &str, state: HostState) -> Host {
        Host {
            id: vec![0xab; 16],
            name: name.to_owned(),
            state: state.into(),
            last_seen_ms: Some(NOW.millis() - 12_000),
            groups: vec![Label { name: "client".to_owned(), value: "acme".to_owned() }],
            admission: "active".to_owned(),
            enrolled_ms: NOW.millis() - 86_400_000,
            build: "0.1.0".to_owned(),
            vitals: Some(Vitals {
                os: Some(b"debian 12".to_vec()),
                php: vec![b"8.2.29".to_vec()],
                disk_used: Some(0.814),
                disk: Some(b"/var/www".to_vec()),
                ..Vitals::default()
            }),
            ..Host::default()
        }
    }

    fn fleet() -> Vec<Host> {
        let never = Host { last_seen_ms: None, vitals: None, groups: Vec::new(), ..host("new", HostState::Unknown) };
        vec![
            host("web-1.example.org", HostState::Ok),
            Host { critical: 2, info: 1, ..host("web-2.example.org", HostState::Drifting) },
            never,
        ]
    }

    #[test]
    fn a_terminal_of_80_columns_shows_a_host_on_a_line() {
        assert_eq!(
            screen(80, |printer| print(&fleet(), printer).unwrap()),
            "\
HOST               STATE     SEEN      CRIT  WARN  INFO  PHP     DISK
web-1.example.org  ok        12 s ago     -     -     -  8.2.29  81 % /var/www
web-2.example.org  drifting  12 s ago     2     -     1  8.2.29  81 % /var/www
new                unknown   never        -     -     -
"
        );
    }

    #[test]
    fn a_terminal_of_140_columns_shows_more_of_it() {
        assert_eq!(
            screen(140, |printer| print(&fleet(), printer).unwrap()),
            "\
HOST               STATE     SEEN      CRIT  WARN  INFO  OS         PHP     DISK           GROUPS
web-1.example.org  ok        12 s ago     -     -     -  debian 12  8.2.29  81 % /var/www  client=acme
web-2.example.org  drifting  12 s ago     2     -     1  debian 12  8.2.29  81 % /var/www  client=acme
new                unknown   never        -     -     -
"
        );
    }

    #[test]
    fn database_and_age_of_the_newest_backup_appear_where_there_is_room() {
        let vitals = Vitals {
            databases: vec![b"mariadb 10.11.14".to_vec(), b"redis ?".to_vec()],
            backup_ms: Some(NOW.millis() - 9 * 3_600_000),
            ..host("web-1", HostState::Ok).vitals.unwrap()
        };
        let with = Host { vitals: Some(vitals), ..host("web-1", HostState::Ok) };
        let hosts = [with, host("web-2", HostState::Ok)];
        assert_eq!(
            screen(140, |printer| print(&hosts, printer).unwrap()),
            "\
HOST   STATE  SEEN      CRIT  WARN  INFO  OS         PHP     DATABASE                   DISK           BACKUP   GROUPS
web-1  ok     12 s ago     -     -     -  debian 12  8.2.29  mariadb 10.11.14, redis ?  81 % /var/www  9 h ago  client=acme
web-2  ok     12 s ago     -     -     -  debian 12  8.2.29                             81 % /var/www           client=acme
"
        );
        assert_eq!(
            screen(100, |printer| print(&hosts, printer).unwrap()),
            "\
HOST   STATE  SEEN      CRIT  WARN  INFO  OS         PHP     DATABASE                  DISK
web-1  ok     12 s ago     -     -     -  debian 12  8.2.29  mariadb 10.11.14, redis   81 % /var/www
                                                             ?
web-2  ok     12 s ago     -     -     -  debian 12  8.2.29                            81 % /var/www
"
        );
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let (out, _) = printed(true, None, |printer| print(&fleet()[1..2], printer).unwrap());
        assert_eq!(
            out,
            "[\n{\"name\":\"web-2.example.org\",\"id\":\"abababababababababababababababab\",\"state\":\"drifting\",\
             \"last_seen\":\"2026-11-21T10:00:50Z\",\"groups\":{\"client\":\"acme\"},\
             \"drifts\":{\"critical\":2,\"warning\":0,\"info\":1}}\n]\n"
        );
        assert_eq!(printed(true, None, |printer| print(&[], printer).unwrap()).0, "[]\n");
    }

    #[test]
    fn no_host_at_all_is_told_with_what_to_do_next() {
        let (out, talk) = printed(false, Some(80), |printer| print(&[], printer).unwrap());
        assert!(out.is_empty() && talk.starts_with("No host has enrolled yet."));
    }
}
