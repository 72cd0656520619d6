use plumb_proto::generated::query::Unknown;
use plumb_proto::model::Value;

use super::*;
use crate::cli::facts::tests::row;
use crate::cli::printer::testing::{NOW, printed, screen};

fn end_of(year: i64, month: u32, day: u32) -> Timestamp {
    Timestamp::from_millis(Timestamp::from_date(year, month, day).unwrap().millis() + 86_399_000)
}

fn program(host: &str, key: &str, fields: &[(&str, &str)], until: Option<Timestamp>) -> Row {
    let mut fields: Vec<(&str, Value)> = fields.iter().map(|(name, text)| (*name, Value::from(*text))).collect();
    fields.extend(until.map(|until| ("until", Value::Time(until))));
    Row { host: host.to_owned(), ..row("support", key, &fields) }
}

fn php(host: &str, cycle: &str, verdict: &str, until: Timestamp) -> Row {
    let fields = [
        ("product", "PHP"),
        ("cycle", cycle),
        ("provenance", "self-built"),
        ("patched_by", "PHP upstream"),
        ("verdict", verdict),
    ];
    program(host, &format!("php/fpm/{cycle}"), &fields, Some(until))
}

fn certificate(host: &str, key: &str, names: &[&str], days: (i64, i64), renewed_by: Option<&str>) -> Row {
    let at = |days: i64| Value::Time(Timestamp::from_millis(NOW.millis() + days * 86_400_000));
    let mut fields = vec![
        ("names", Value::from(names.iter().map(|name| (*name).into()).collect::<Vec<_>>())),
        ("not_before", at(days.0)),
        ("not_after", at(days.1)),
    ];
    fields.extend(renewed_by.map(|by| ("renewed_by", Value::from(by))));
    Row { host: host.to_owned(), ..row("certificate", key, &fields) }
}

fn renewal(host: &str, key: &str, missed: i64) -> Row {
    Row {
        host: host.to_owned(),
        ..row("certificate_renewal", key, &[("missed", Value::Int(missed)), ("enabled", true.into())])
    }
}

fn fleet() -> Calendar {
    let debian =
        [("product", "Debian GNU/Linux"), ("cycle", "11"), ("patched_by", "Debian 11 LTS"), ("verdict", "ended")];
    let mysql = [
        ("product", "MySQL"),
        ("cycle", "8.0"),
        ("provenance", "mysql"),
        ("patched_by", "MySQL upstream"),
        ("verdict", "ended"),
    ];
    let node = [
        ("product", "Node.js"),
        ("cycle", "22"),
        ("provenance", "nodesource"),
        ("patched_by", "Node.js upstream by way of NodeSource"),
        ("verdict", "ends soon"),
    ];
    let shopware =
        [("product", "Shopware"), ("cycle", "6.3"), ("patched_by", "Shopware upstream"), ("verdict", "ended")];
    let word_press =
        [("product", "WordPress"), ("cycle", "6.8"), ("patched_by", "WordPress upstream"), ("verdict", "courtesy")];
    let percona = [("product", "Percona Server"), ("verdict", "not judged")];
    let mut hidden = program("web-9", "php/fpm/8.2", &[("product", "PHP")], None);
    hidden.unknown.push(Unknown { column: "verdict".to_owned(), reason: "permission denied".to_owned() });
    let mut support: Vec<Row> =
        (1..=5).map(|number| php(&format!("web-{number}"), "8.2", "ends soon", end_of(2026, 12, 31))).collect();
    support.extend([
        php("web-1", "8.3", "supported", end_of(2027, 12, 31)),
        program("web-7", "runtime/node/22", &node, Some(end_of(2027, 4, 30))),
        program("db-1", "os/os", &debian, Some(end_of(2026, 8, 31))),
        program("db-1", "database/mysql/main", &mysql, Some(end_of(2026, 4, 30))),
        program("shop-1", "cms//srv/shop", &shopware, None),
        program("web-1", "cms//srv/blog", &word_press, None),
        program("db-2", "database/percona/main", &percona, None),
        hidden,
    ]);
    let certificates = [
        certificate("web-1", "/etc/ssl/shop.pem", &["shop.example", "www.shop.example"], (-340, 25), None),
        certificate("web-1", "shop.example:443", &["shop.example", "www.shop.example"], (-340, 25), None),
        certificate("web-2", "/etc/letsencrypt/live/a/cert.pem", &["a.example"], (-30, 60), Some("certbot")),
        certificate("web-2", "/etc/letsencrypt/live/b/cert.pem", &["b.example"], (-70, 20), Some("certbot")),
        certificate("web-3", "/etc/letsencrypt/live/c/cert.pem", &["c.example"], (-30, 60), Some("certbot")),
    ];
    let renewals = [renewal("web-2", "certbot", 0), renewal("web-3", "certbot", 2)];
    Calendar::of(&support, &certificates, &renewals, NOW, 12)
}

#[test]
fn the_fleet_is_grouped_by_day_and_subject_with_what_is_over_first() {
    assert_eq!(
        screen(80, |printer| print(&fleet(), 12, printer).unwrap()),
        "\
Over since
  not known                 Shopware 6.3: security fixes ended   shop-1
  2026-04-30  205 days ago  MySQL 8.0: security fixes ended      db-1
  2026-08-31   82 days ago  Debian 11 LTS: security fixes ended  db-1

In the next 12 months
  2026-12-11   in 20 days  certificate of b.example: expires   web-2
  2026-12-16   in 25 days  certificate of shop.example (+1):   web-1
                           expires
  2026-12-31   in 40 days  PHP 8.2 self-built: security fixes  web-1, web-2 (+3)
                           end
  2027-01-20   in 60 days  certificate of c.example: expires   web-3
  2027-04-30  in 160 days  Node.js 22 by way of NodeSource:    web-7
                           security fixes end
"
    );
}

#[test]
fn a_wide_screen_names_more_hosts_and_a_pipe_all() {
    let wide = screen(140, |printer| print(&fleet(), 12, printer).unwrap());
    assert!(wide.contains("  2026-12-31   in 40 days  PHP 8.2 self-built: security fixes end"), "{wide}");
    assert!(wide.contains("web-1, web-2, web-3, web-4, web-5\n"), "{wide}");
    let (out, talk) = printed(false, None, |printer| print(&fleet(), 12, printer).unwrap());
    assert!(out.contains("web-1, web-2, web-3, web-4, web-5\n"), "{out}");
    assert_eq!(
        talk,
        "2 programs are not in it: support is not judged or not known.\n`plumb facts support` says why.\n"
    );
}

#[test]
fn a_certificate_that_renews_itself_is_listed_once_it_should_have_been_renewed() {
    let subjects: Vec<String> = fleet().entries.iter().map(|entry| entry.subject.clone()).collect();
    let listed = |name: &str| subjects.iter().any(|subject| subject.contains(name));
    assert!(!listed("a.example"), "two thirds are left");
    assert!(listed("b.example"), "less than a third is left");
    assert!(listed("c.example"), "its renewal has missed runs");
}

#[test]
fn what_ends_after_the_months_that_were_asked_for_is_left_out() {
    let listed = |months| {
        let rows = [php("web-1", "8.3", "supported", end_of(2027, 2, 28))];
        Calendar::of(&rows, &[], &[], end_of(2026, 11, 30), months).entries.len()
    };
    assert_eq!((listed(2), listed(3)), (0, 1), "three months after November 30 is the last of February");
}

#[test]
fn json_has_the_keys_that_scripts_rely_on() {
    let (out, _) = printed(true, None, |printer| print(&fleet(), 12, printer).unwrap());
    let json: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({
            "date": null, "days_left": null, "state": "over", "kind": "support", "subject": "Shopware 6.3",
            "what": "security fixes ended", "hosts": ["shop-1"],
            "items": [{"host": "shop-1", "table": "cms", "key": "/srv/shop"}],
        })
    );
    let php = json.iter().find(|entry| entry["subject"] == "PHP 8.2 self-built").unwrap();
    assert_eq!(
        (&php["date"], &php["days_left"], &php["state"]),
        (&"2026-12-31T23:59:59Z".into(), &40.into(), &"due".into())
    );
    let shop = json.iter().find(|entry| entry["kind"] == "certificate" && entry["hosts"][0] == "web-1").unwrap();
    assert_eq!((shop["items"].as_array().unwrap().len(), &shop["hosts"]), (2, &serde_json::json!(["web-1"])));
}

#[test]
fn a_fleet_with_nothing_ahead_is_told_so() {
    let nothing = Calendar::of(&[], &[], &[], NOW, 12);
    let (out, talk) = printed(false, Some(80), |printer| print(&nothing, 12, printer).unwrap());
    assert_eq!((out.as_str(), talk.as_str()), ("", "Nothing ends its support or expires in the next 12 months.\n"));
}
