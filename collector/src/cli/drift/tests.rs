use plumb_proto::generated::query::{HostState, RowSubject};

use super::*;
use crate::cli::hosts::tests::host;
use crate::cli::printer::testing::{NOW, printed, screen};

pub(in crate::cli) fn drift(id: u64) -> Drift {
    Drift {
        id,
        host: "web-1.example.org".to_owned(),
        kind: "policy".to_owned(),
        severity: Severity::Critical.into(),
        subject: Some(Subject {
            kind: Some(Of::Row(RowSubject { table: "mount".to_owned(), key: b"/var\x1b".to_vec(), field: None })),
        }),
        title: "/var is 97 % full".to_owned(),
        expected: Some("less than 95 %".to_owned()),
        actual: Some("97 % (45.6 of 47.0 GiB)".to_owned()),
        since_ms: NOW.millis() - 7_500_000,
        state: "open".to_owned(),
        rule: "disk-full".to_owned(),
        hint: Some(
            "Find what grew: du -xh /var | sort -h | tail. Logs that nobody rotates and old releases of a deploy are the \
             usual ones."
                .to_owned(),
        ),
        ..Drift::default()
    }
}

fn changed() -> Drift {
    Drift {
        kind: "changed".to_owned(),
        severity: Severity::Warning.into(),
        title: "version of php fpm/8.2 changed from 8.2.29 to 8.2.30".to_owned(),
        expected: Some("8.2.29".to_owned()),
        actual: Some("8.2.30".to_owned()),
        hint: None,
        unknown: Some("permission denied".to_owned()),
        ..drift(13)
    }
}

#[test]
fn a_terminal_of_80_columns_shows_a_block_a_drift() {
    assert_eq!(
        screen(80, |printer| print(&[drift(12), changed()], printer).unwrap()),
        "\
CRITICAL  web-1.example.org                                           policy #12
  /var is 97 % full
  expected  less than 95 %
  actual    97 % (45.6 of 47.0 GiB)
  since     2 h 5 min (2026-11-21 07:56:02 UTC)
  hint      Find what grew: du -xh /var | sort -h | tail. Logs that nobody
            rotates and old releases of a deploy are the usual ones.

WARNING   web-1.example.org                                          changed #13
  version of php fpm/8.2 changed from 8.2.29 to 8.2.30
  expected  8.2.29
  actual    8.2.30
  since     2 h 5 min (2026-11-21 07:56:02 UTC)
  unknown   ? permission denied
"
    );
}

#[test]
fn a_drift_that_is_over_says_how_and_when() {
    let over = Drift {
        state: "approved".to_owned(),
        closed_ms: Some(NOW.millis() - 300_000),
        note: Some("moved on purpose".to_owned()),
        ..drift(12)
    };
    assert_eq!(
        screen(140, |printer| print(&[over], printer).unwrap()).lines().skip(4).collect::<Vec<_>>(),
        [
            "  since     2 h, from 2026-11-21 07:56:02 UTC to 2026-11-21 09:56:02 UTC",
            "  state     approved, 5 min ago",
            "  note      moved on purpose",
        ]
    );
}

#[test]
fn a_pipe_gets_a_line_a_drift() {
    let (out, _) = printed(false, None, |printer| print(&[drift(12), changed()], printer).unwrap());
    assert_eq!(
        out,
        "\
ID  SEVERITY  STATE          HOST               KIND     SINCE                 WHAT                                                  EXPECTED        ACTUAL
12  critical  open           web-1.example.org  policy   2026-11-21T07:56:02Z  /var is 97 % full                                     less than 95 %  97 % (45.6 of 47.0 GiB)
13  warning   open, unknown  web-1.example.org  changed  2026-11-21T07:56:02Z  version of php fpm/8.2 changed from 8.2.29 to 8.2.30  8.2.29          8.2.30
"
    );
}

#[test]
fn json_has_the_keys_that_scripts_rely_on() {
    let (out, _) = printed(true, None, |printer| print(&[changed()], printer).unwrap());
    assert_eq!(
        out,
        concat!(
            "[\n",
            r#"{"id":"13","host":"web-1.example.org","kind":"changed","severity":"warning","#,
            r#""subject":{"table":"mount","key":"/var\\x1b","field":null},"#,
            r#""title":"version of php fpm/8.2 changed from 8.2.29 to 8.2.30","expected":"8.2.29","actual":"8.2.30","#,
            r#""since":"2026-11-21T07:56:02Z","state":"open","silenced":false,"unknown":"permission denied","#,
            r#""rule":"disk-full","cause":null,"hint":null,"change_set":null}"#,
            "\n]\n"
        )
    );
}

#[test]
fn no_drift_is_good_news_only_where_everything_could_be_seen() {
    let told = |hosts: &[Host]| printed(false, Some(80), |printer| nothing(hosts, printer).unwrap()).1;
    let ok = || host("web-1", HostState::Ok);
    let unknown = || Host { reason: "1 thing could not be read".to_owned(), ..host("web-2", HostState::Unknown) };
    assert_eq!(told(&[ok(), ok()]), "No open drift on 2 hosts.\n");
    assert_eq!(
        told(&[ok(), unknown()]),
        "No open drift on 2 hosts, but not everything is known: web-2 is unknown (1 thing could not be read). \
         See: plumb host web-2\n"
    );
    assert!(told(&[]).starts_with("No host has enrolled yet."));
}
