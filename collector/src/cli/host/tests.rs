use plumb_proto::generated::model::{Label as SeriesLabel, Outcome};
use plumb_proto::generated::query::{HostState, Problem, Row, Sample, Support, Unknown, Watcher};
use plumb_proto::model::Value;

use super::*;
use crate::cli::drift::tests::drift;
use crate::cli::events::tests::event;
use crate::cli::facts::tests::row;
use crate::cli::hosts::tests::host;
use crate::cli::printer::testing::{NOW, printed, screen};

fn sample(name: &str, mount: Option<&str>, value: f64) -> Sample {
    let label = |mount: &str| SeriesLabel { name: "mount".to_owned(), value: mount.as_bytes().to_vec() };
    Sample {
        name: name.to_owned(),
        labels: mount.map(label).into_iter().collect(),
        value: Some(value),
        at_ms: NOW.millis() - 5_000,
        rate: None,
    }
}

fn watcher(name: &str, outcome: Outcome) -> Watcher {
    Watcher { name: name.to_owned(), at_ms: NOW.millis() - 12_000, outcome: outcome.into(), ..Watcher::default() }
}

fn whole() -> HostPart {
    const GIB: f64 = 1_073_741_824.0;
    let text = |text: &str| Value::Text(text.into());
    let version = |text: &str| Value::Version(text.into());
    let os = row(
        "os",
        "os",
        &[
            ("name", text("Debian GNU/Linux 12 (bookworm)")),
            ("version", version("12")),
            ("kernel", version("6.1.0-37-amd64")),
            ("arch", text("x86_64")),
            ("virtualization", text("kvm")),
            ("cpus", Value::Int(4)),
            ("boot_time", Value::Time(plumb_proto::time::Timestamp::from_millis(NOW.millis() - 1_000_000_000))),
        ],
    );
    let support = |by: &str, last_day: &str, left| Support {
        by: by.to_owned(),
        last_day: last_day.to_owned(),
        days_left: Some(left),
        ..Support::default()
    };
    let os = Row { support: Some(support("Debian LTS", "2028-06-30", 587)), ..os };
    let root = row("mount", "/", &[("device", text("/dev/vda1")), ("fstype", text("ext4"))]);
    let mut nfs = row("mount", "/srv/nfs", &[("device", text("nas:/export")), ("fstype", text("nfs4"))]);
    nfs.unknown.push(Unknown { column: "size_bytes".to_owned(), reason: "does not answer".to_owned() });
    let fpm = row(
        "php",
        "fpm/8.2",
        &[
            ("version", version("8.2.29")),
            ("package", text("php8.2-fpm")),
            ("package_version", version("8.2.29-1~deb12u1")),
            ("provenance", text("debian")),
            ("running", Value::Bool(true)),
        ],
    );
    let fpm = Row { support: Some(support("Debian LTS", "2028-06-30", 587)), ..fpm };
    let mut own = row("php", "cli/8.1@/usr/local", &[("provenance", text("self-built"))]);
    own.unknown.push(Unknown { column: "version".to_owned(), reason: "permission denied".to_owned() });
    own.support = Some(Support { unknown: "the version of php is not known".to_owned(), ..Support::default() });
    let mut php = watcher("php", Outcome::Done);
    php.problems.push(Problem {
        table: "php".to_owned(),
        path: b"/opt/x".to_vec(),
        error: "permission denied".to_owned(),
        hint: "run the agent as root or grant it CAP_DAC_READ_SEARCH".to_owned(),
        ..Problem::default()
    });
    HostPart {
        host: Some(Host {
            critical: 1,
            reason: "1 critical drift; 3 things could not be read".to_owned(),
            ..host("web-1.example.org", HostState::Drifting)
        }),
        rows: vec![os, root, nfs, fpm, own, row("backup", "nightly", &[])],
        samples: vec![
            sample("load1", None, 0.5),
            sample("load5", None, 1.25),
            sample("load15", None, 2.0),
            sample("memory_total_bytes", None, 16.0 * GIB),
            sample("memory_available_bytes", None, 6.5 * GIB),
            sample("swap_total_bytes", None, 0.0),
            sample("disk_size_bytes", Some("/"), 50.0 * GIB),
            sample("disk_used_bytes", Some("/"), 45.6 * GIB),
            sample("disk_available_bytes", Some("/"), 1.4 * GIB),
            sample("disk_inodes", Some("/"), 1000.0),
            sample("disk_inodes_used", Some("/"), 120.0),
        ],
        watchers: vec![watcher("disk", Outcome::Done), php, watcher("system", Outcome::Failed)],
        drifts: vec![drift(12)],
        events: vec![event("php-fpm8.2 was killed")],
    }
}

#[test]
fn one_host_fits_on_one_screen_of_80_columns() {
    assert_eq!(
        screen(80, |printer| print(&whole(), printer).unwrap()),
        "\
web-1.example.org  drifting                                        seen 12 s ago
  1 critical drift; 3 things could not be read
  system   Debian GNU/Linux 12 (bookworm)
  support  patched until 2028-06-30 (Debian LTS)
  kernel   6.1.0-37-amd64, x86_64, kvm
  up       11 d, since 2026-11-09 20:14:22 UTC
  groups   client=acme
  agent    0.1.0, enrolled 2026-11-20 10:01:02 UTC

  load    ██░░░░░░░░░░░░  13 %  0.50 1.25 2.00 on 4 processors
  memory  ████████░░░░░░  59 %  9.5 GiB of 16.0 GiB used, 6.5 GiB available

Disks
  /         █████████████░  97 %  1.4 GiB free of 50.0 GiB  inodes 12 %  ext4
  /srv/nfs                     ?  not known, see below                   nfs4

PHP
  fpm/8.2             8.2.29  php8.2-fpm        patched until 2028-06-30 (Debian
                              8.2.29-1~deb12u1  LTS)
  cli/8.1@/usr/local  ?       no package        ? the version of php is not
                                                known

Backups
  nightly  none yet  no rhythm yet  not judged

Watchers
  disk    ok       looked 12 s ago
  php     partial  looked 12 s ago, 1 problem
  system  failed   looked 12 s ago, last saw everything: never

Not known
  ? php /opt/x                      permission denied; run the agent as root or
                                    grant it CAP_DAC_READ_SEARCH
  ? mount /srv/nfs size_bytes       does not answer
  ? php cli/8.1@/usr/local version  permission denied

Open drifts (1)
CRITICAL                                                              policy #12
  /var is 97 % full
  expected  less than 95 %
  actual    97 % (45.6 of 47.0 GiB)
  since     2 h 5 min (2026-11-21 07:56:02 UTC)
  hint      Find what grew: du -xh /var | sort -h | tail. Logs that nobody
            rotates and old releases of a deploy are the usual ones.

Last events
  1 min ago  critical  oom_kill  2x  php-fpm8.2 was killed
"
    );
}

#[test]
fn a_wide_screen_shows_absolute_times_and_longer_bars() {
    assert_eq!(
        screen(140, |printer| print(&whole(), printer).unwrap()),
        "\
web-1.example.org  drifting                                                                          seen 12 s ago (2026-11-21 10:00:50 UTC)
  1 critical drift; 3 things could not be read
  system   Debian GNU/Linux 12 (bookworm)
  support  patched until 2028-06-30 (Debian LTS)
  kernel   6.1.0-37-amd64, x86_64, kvm
  up       11 d, since 2026-11-09 20:14:22 UTC
  groups   client=acme
  agent    0.1.0, enrolled 2026-11-20 10:01:02 UTC
  id       abababababababababababababababab

  load    ████░░░░░░░░░░░░░░░░░░░░░░░░░░  13 %  0.50 1.25 2.00 on 4 processors
  memory  ██████████████████░░░░░░░░░░░░  59 %  9.5 GiB of 16.0 GiB used, 6.5 GiB available

Disks
  /         █████████████████████████████░  97 %  1.4 GiB free of 50.0 GiB  inodes 12 %  ext4  /dev/vda1
  /srv/nfs                                     ?  not known, see below                   nfs4  nas:/export

PHP
  fpm/8.2             8.2.29  php8.2-fpm 8.2.29-1~deb12u1  patched until 2028-06-30 (Debian LTS)  running
  cli/8.1@/usr/local  ?       no package                   ? the version of php is not known

Backups
  nightly  none yet  no rhythm yet  not judged

Watchers
  disk    ok       looked 12 s ago
  php     partial  looked 12 s ago, 1 problem
  system  failed   looked 12 s ago, last saw everything: never

Not known
  ? php /opt/x                      permission denied; run the agent as root or grant it CAP_DAC_READ_SEARCH
  ? mount /srv/nfs size_bytes       does not answer
  ? php cli/8.1@/usr/local version  permission denied

Open drifts (1)
CRITICAL                                                                                                                          policy #12
  /var is 97 % full
  expected  less than 95 %
  actual    97 % (45.6 of 47.0 GiB)
  since     2 h 5 min, from 2026-11-21 07:56:02 UTC on
  hint      Find what grew: du -xh /var | sort -h | tail. Logs that nobody rotates and old releases of a deploy are the usual ones.

Last events
  2026-11-21 10:00:02 UTC  critical  oom_kill  2x  php-fpm8.2 was killed
"
    );
}

#[test]
fn a_pipe_gets_it_whole() {
    let (out, _) = printed(false, None, |printer| print(&whole(), printer).unwrap());
    assert!(
        out.contains("run the agent as root or grant it CAP_DAC_READ_SEARCH\n") && out.contains("abababab"),
        "{out}"
    );
}

#[test]
fn json_holds_everything() {
    let (out, _) = printed(true, None, |printer| print(&whole(), printer).unwrap());
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["host"]["state"], "drifting");
    assert_eq!(json["facts"][2]["unknown"]["size_bytes"], "does not answer");
    assert_eq!(json["samples"][6]["labels"]["mount"], "/");
    assert_eq!(json["watchers"][1]["problems"][0]["subject"], "/opt/x");
    assert_eq!(json["watchers"][2]["outcome"], "failed");
    assert_eq!(json["drifts"][0]["id"], "12");
    assert_eq!(json["events"][0]["count"], 2);
}

#[test]
fn labels_are_set_and_taken_away() {
    let labels = |labels: &[&str]| {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        labels_of("web-1".to_owned(), &labels)
    };
    let request = labels(&["client=acme", "role="]).unwrap();
    assert_eq!((request.set.len(), request.remove), (1, vec!["role".to_owned()]));
    assert!(labels(&["client"]).is_err() && labels(&["=x"]).is_err());
}
