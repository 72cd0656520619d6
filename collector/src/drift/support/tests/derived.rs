//! The table `support`, derived from the rows of a host.

use plumb_proto::model::{ColumnType, Role, Value};

use super::*;
use crate::testing::{apply, at, delta, fact, full, host, table, unknown, version};
use crate::view::HostView;

fn whole() -> HostView {
    let mut view = host();
    let columns = [
        ("product", ColumnType::Text, Role::State),
        ("version", ColumnType::Version, Role::State),
        ("provenance", ColumnType::Text, Role::State),
    ];
    for name in ["cms", "runtime", "web_server"] {
        view.declare(&table(name, &columns));
    }
    let os = fact("os", &[("id", "debian".into()), ("name", "Debian GNU/Linux".into()), ("version", version("12"))]);
    apply(&mut view, &full("system", 1, "os", &[os]), at(0));
    let rows = [
        ("php", fact("fpm/8.2", &[("version", version("8.2.29")), ("provenance", "debian".into())])),
        ("database", fact("mariadb/main", &[("version", version("10.5.20")), ("provenance", "mariadb".into())])),
        ("database", fact("sqlite//srv/shop.db", &[("version", version("3.40"))])),
        ("runtime", fact("node/20@/opt/node", &[("version", version("20.1.0")), ("provenance", "self-built".into())])),
        ("web_server", fact("nginx", &[("provenance", "nginx".into())])),
        ("cms", fact("/srv/shop", &[("product", "wordpress".into()), ("version", version("6.8.1"))])),
        ("mount", fact("/", &[])),
    ];
    for (number, (table, row)) in rows.into_iter().enumerate() {
        apply(&mut view, &full(&format!("w{number}"), 1, table, &[row]), at(0));
    }
    view
}

fn told(view: &HostView) -> Vec<String> {
    let rows = Dates::keys(view).filter_map(|key| Dates::shipped().row(view, &key, at(0)));
    let mut lines: Vec<String> = rows
        .map(|row| {
            let told = |column: &str| match row.fact.unknown.get(column) {
                Some(why) => format!("? ({why})"),
                None => row.fact.fields.get(column).map_or_else(
                    || "-".to_owned(),
                    |value| match value {
                        Value::Time(at) => at.to_string(),
                        value => value.to_string(),
                    },
                ),
            };
            let columns = ["product", "cycle", "verdict", "until", "days_left", "patched_by"].map(told);
            format!("{}: {}", row.fact.key, columns.join(" | "))
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn every_program_of_a_host_has_a_row() {
    assert_eq!(
        told(&whole()),
        [
            "cms//srv/shop: WordPress | 6.8 | courtesy | - | - | WordPress upstream",
            "database/mariadb/main: MariaDB | 10.5 | ended | 2025-06-24T23:59:59Z | -515 | MariaDB upstream",
            "os/os: Debian GNU/Linux | 12 | supported | 2028-06-30T23:59:59Z | 587 | Debian 12 LTS",
            "php/fpm/8.2: PHP | 8.2 | supported | 2028-06-30T23:59:59Z | 587 | Debian 12 LTS",
            "runtime/node/20@/opt/node: Node.js | 20 | ended | 2026-04-30T23:59:59Z | -205 | Node.js upstream",
            "web_server/nginx: nginx | - | not judged | - | - | -",
        ]
    );
}

#[test]
fn what_could_not_be_read_is_not_known_and_not_merely_not_judged() {
    let mut view = whole();
    let row = fact("fpm/8.2", &[("version", version("8.2.29"))]);
    apply(&mut view, &delta("w0", 2, "php", &[unknown(row, "provenance", "permission denied")]), at(1));
    let line = told(&view).into_iter().find(|line| line.starts_with("php/")).unwrap();
    assert!(line.contains("? (provenance is not known: permission denied)"), "{line}");
    let mut view = whole();
    let row = fact("os", &[("id", "debian".into()), ("name", "Debian".into())]);
    apply(&mut view, &delta("system", 2, "os", &[unknown(row, "version", "permission denied")]), at(1));
    let line = told(&view).into_iter().find(|line| line.starts_with("php/")).unwrap();
    assert!(line.contains("? (it is not known which release of Debian this is)"), "{line}");
}
