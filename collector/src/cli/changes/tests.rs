use plumb_proto::generated::query::Count;
use plumb_proto::wire::value_to_wire;

use super::*;
use crate::cli::printer::testing::{NOW, printed, screen};

fn set(id: &str, host: &str, seconds: i64, summary: &str) -> ChangeSet {
    ChangeSet {
        id: id.to_owned(),
        host: host.to_owned(),
        start_ms: NOW.millis() - seconds * 1000 - 40_000,
        end_ms: NOW.millis() - seconds * 1000,
        actor: "unknown".to_owned(),
        summary: summary.to_owned(),
        ..ChangeSet::default()
    }
}

fn sets() -> Vec<ChangeSet> {
    let mut upgrade = set("3f2a90c14be7", "web-1.example.org", 7_300, "version of php fpm/8.2: 8.2.29 -> 8.2.30");
    upgrade.actor = "package manager".to_owned();
    upgrade.counts = vec![Count { kind: "php_changed".to_owned(), number: 1 }];
    let version = |text: &str| Some(value_to_wire(&plumb_proto::model::Value::Version(text.into())));
    upgrade.items.push(Change {
        at_ms: upgrade.start_ms,
        table: "php".to_owned(),
        key: b"fpm/8.2".to_vec(),
        field: Some("version".to_owned()),
        how: "changed".to_owned(),
        was: version("8.2.29"),
        is: version("8.2.30"),
        tree: Vec::new(),
        count: 1,
    });
    let summary = "service smtp added; files in /var/www/shop.example.org/current: 12 added, 5000 changed";
    let mut deploy = set("9b01d2e3f4a5", "web-2", 60, summary);
    let file = |key: &[u8], how: &str, count| Change {
        at_ms: deploy.end_ms,
        table: "file".to_owned(),
        key: key.to_vec(),
        how: how.to_owned(),
        tree: b"/var/www/shop.example.org/current".to_vec(),
        count,
        ..Change::default()
    };
    deploy.items = vec![file(b"/var/www/a\x1b[2J.php", "added", 1), file(b"/var/www/lib", "changed", 4_000)];
    deploy.left_out = 1_012;
    vec![upgrade, deploy]
}

#[test]
fn a_terminal_of_80_columns_shows_a_set_on_a_line_or_two() {
    assert_eq!(
        screen(80, |printer| print(&sets(), None, false, printer).unwrap()),
        "\
WHEN       HOST               ACTOR            WHAT
2 h ago    web-1.example.org  package manager  version of php fpm/8.2: 8.2.29 ->
                                               8.2.30
1 min ago  web-2              ?                service smtp added; files in /var
                                               /www/shop.example.org/current: 12
                                               added, 5000 changed
"
    );
}

#[test]
fn a_wide_terminal_shows_from_when_to_when_and_the_number() {
    assert_eq!(
            screen(140, |printer| print(&sets(), Some("web-1"), false, printer).unwrap()),
            "\
WHEN                                 ACTOR            WHAT                                                                ID
2026-11-21 07:58:42 to 07:59:22 UTC  package manager  version of php fpm/8.2: 8.2.29 -> 8.2.30                            3f2a90c14be7
2026-11-21 09:59:22 to 10:00:02 UTC  ?                service smtp added; files in /var/www/shop.example.org/current: 12  9b01d2e3f4a5
                                                      added, 5000 changed
"
        );
}

#[test]
fn what_is_in_a_set_is_shown_escaped() {
    assert_eq!(
        screen(80, |printer| print(&sets(), None, true, printer).unwrap()),
        "\
web-1.example.org  2 h ago  package manager                         3f2a90c14be7
  php fpm/8.2 version  8.2.29 -> 8.2.30

web-2  1 min ago  by: not known                                     9b01d2e3f4a5
  /var/www/a\\x1b[2J.php  added
  /var/www/lib           4000 changed
  and 1012 more
"
    );
}

#[test]
fn a_pipe_gets_whole_lines() {
    let (out, _) = printed(false, None, |printer| print(&sets(), None, false, printer).unwrap());
    assert_eq!(
            out,
            "\
WHEN                  HOST               ACTOR            WHAT                                                                                    ID
2026-11-21T07:59:22Z  web-1.example.org  package manager  version of php fpm/8.2: 8.2.29 -> 8.2.30                                                3f2a90c14be7
2026-11-21T10:00:02Z  web-2              ?                service smtp added; files in /var/www/shop.example.org/current: 12 added, 5000 changed  9b01d2e3f4a5
"
        );
}

#[test]
fn json_has_the_keys_that_scripts_rely_on() {
    let (out, _) = printed(true, None, |printer| print(&sets()[..1], None, false, printer).unwrap());
    assert_eq!(
        out,
        "[\n{\"id\":\"3f2a90c14be7\",\"host\":\"web-1.example.org\",\"start\":\"2026-11-21T07:58:42Z\",\
             \"end\":\"2026-11-21T07:59:22Z\",\"actor\":\"package manager\",\
             \"summary\":\"version of php fpm/8.2: 8.2.29 -> 8.2.30\",\"counts\":{\"php_changed\":1},\
             \"items\":[{\"time\":\"2026-11-21T07:58:42Z\",\"table\":\"php\",\"key\":\"fpm/8.2\",\"field\":\"version\",\
             \"how\":\"changed\",\"was\":\"8.2.29\",\"is\":\"8.2.30\",\"tree\":null,\"count\":1}],\"left_out\":0}\n]\n"
    );
    assert_eq!(printed(true, None, |printer| print(&[], None, false, printer).unwrap()).0, "[]\n");
}

#[test]
fn that_nothing_has_changed_is_told() {
    let (out, talk) = printed(false, Some(80), |printer| print(&[], None, false, printer).unwrap());
    assert_eq!((out.as_str(), talk.as_str()), ("", "Nothing has changed in this time.\n"));
}
