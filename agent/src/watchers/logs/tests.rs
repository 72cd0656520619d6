//! The watcher on a staged host.

mod follow;
mod model;
mod places;

use std::fs;
use std::path::Path;

use std::time::Duration;

use super::SPEC;
use crate::watcher::testing::{Stage, stage};

const LOG: &str = "/var/log/nginx/access.log";
const MINUTE: Duration = Duration::from_secs(60);

/// A request whose answer had so many bytes.
fn request(bytes: u64) -> String {
    format!("192.0.2.1 - - [21/Nov/2026:10:01:02 +0000] \"GET / HTTP/2.0\" 200 {bytes} \"-\" \"curl\"\n")
}

/// What is told a minute later, when numbers are told again.
fn later(stage: &Stage) -> String {
    stage.clock().advance(MINUTE);
    stage.look()
}

fn samples(told: &str) -> Vec<String> {
    told.lines().filter_map(|line| line.strip_prefix("sample ")).map(str::to_owned).collect()
}

#[test]
fn a_host_without_logs_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
}

#[test]
fn what_was_written_before_the_first_look_is_nobodys_news_and_then_each_line_counts() {
    let stage = stage(&SPEC).file(LOG, request(1).repeat(1_000));
    let told = stage.look();
    assert!(
        told.starts_with("fact log_source /var/log/nginx/access.log format=nginx-access size_bytes=77000 written="),
        "{told}"
    );
    assert_eq!(samples(&told), ["log_lines_total{log_source=\"/var/log/nginx/access.log\"} 0"]);
    stage.append(LOG, [request(5), request(7), "no request\n".to_owned()].concat());
    assert_eq!(
        samples(&later(&stage)),
        [
            "log_lines_total{log_source=\"/var/log/nginx/access.log\"} 3",
            "log_lines_unknown_total{log_source=\"/var/log/nginx/access.log\"} 1",
            "requests_total{site=\"_\",status=\"2xx\"} 2",
            "response_bytes_total{site=\"_\"} 12",
        ]
    );
}

#[test]
fn configuration_tells_sites_and_formats_and_times() {
    let stage = stage(&SPEC)
        .file(
            "/etc/nginx/nginx.conf",
            "http { log_format t '$remote_addr [$time_local] \"$request\" $status $body_bytes_sent $request_time';\n\
             server { server_name shop.example; access_log /srv/shop.log t; }\n\
             server { server_name old.example; access_log /srv/old.log nowhere; } }",
        )
        .file("/srv/shop.log", "")
        .file("/srv/old.log", "");
    stage.look();
    stage.append("/srv/shop.log", "::1 [x] \"GET /\" 200 10 0.100\n::1 [x] \"GET /\" 503 20 2.000\n");
    stage.append("/srv/old.log", "whatever\n");
    let told = later(&stage);
    assert!(told.contains("fact log_source /srv/shop.log format=nginx-access site=shop.example"), "{told}");
    assert!(told.contains("format=?(its lines are of a format that is not understood)"), "{told}");
    let numbers = samples(&told);
    for line in [
        "log_lines_total{log_source=\"/srv/old.log\"} 1",
        "requests_total{site=\"shop.example\",status=\"2xx\"} 1",
        "requests_total{site=\"shop.example\",status=\"5xx\"} 1",
        "response_bytes_total{site=\"shop.example\"} 30",
    ] {
        assert!(numbers.iter().any(|each| each == line), "{line}\n{told}");
    }
    assert_eq!(numbers.iter().filter(|line| line.starts_with("request_seconds{")).count(), 3, "{told}");
    assert!(!later(&stage).contains("request_seconds"), "no request, no time");
}

#[test]
fn a_line_names_a_site_only_in_a_log_that_belongs_to_none() {
    let line = "other.example:443 192.0.2.1 - - [21/Nov/2026:10:01:02 +0000] \"GET / HTTP/2.0\" 500 7 \"-\" \"curl\"\n";
    let (own, all) = ("/var/log/nginx/domains/a.example.log", "/var/log/apache2/other_vhosts_access.log");
    let stage = stage(&SPEC).file(own, "").file(all, "");
    stage.look();
    stage.append(own, line);
    stage.append(all, line.repeat(2));
    let told = later(&stage);
    assert!(told.contains("requests_total{site=\"a.example\",status=\"5xx\"} 1\n"), "{told}");
    assert!(told.contains("requests_total{site=\"other.example\",status=\"5xx\"} 2\n"), "{told}");
}

#[test]
fn more_sites_than_are_counted_apart_are_counted_together() {
    let all = "/var/log/apache2/other_vhosts_access.log";
    let stage = stage(&SPEC).file(all, "");
    stage.look();
    for number in 0..102 {
        stage.append(all, format!("s{number}.example:80 ::1 - - [x] \"GET / HTTP/2.0\" 200 7 \"-\" \"curl\"\n"));
    }
    let told = later(&stage);
    assert!(told.contains("requests_total{site=\"(other)\",status=\"2xx\"} 2\n"), "{told}");
    assert!(!told.contains("problem "), "{told}");
}

#[test]
fn known_failures_become_rows_and_events() {
    let log = "/var/log/php8.2-fpm.log";
    let stage = stage(&SPEC).file(log, "");
    stage.look();
    stage.append(
        log,
        "[21-Nov-2026 10:01:02] WARNING: [pool shop] server reached pm.max_children setting (5), consider raising it\n",
    );
    let told = later(&stage);
    assert!(told.contains("fact log_failure ") && told.contains(&format!("@{log} ")), "{told}");
    assert!(told.lines().any(|line| line.starts_with("event ")), "{told}");
    assert!(told.contains("log_failures_total{"), "{told}");
    stage.restart();
    let again = later(&stage);
    assert!(again.contains("fact log_failure ") && !again.contains("event "), "{again}");
}

#[test]
fn a_failure_is_not_over_while_its_log_or_what_names_it_cannot_be_read() {
    let (log, conf) = ("/srv/e.log", "/etc/nginx/nginx.conf");
    let text = "http { error_log /srv/e.log; }";
    let stage = stage(&SPEC).file(conf, text).file(log, "");
    stage.look();
    stage.append(log, "2026/11/21 10:01:02 [crit] 7#7: *1 open() \"/srv/x\" failed (24: Too many open files)\n");
    let row = |told: &str| told.lines().find(|line| line.starts_with("fact log_failure ")).map(str::to_owned);
    let told = later(&stage);
    let key = row(&told).unwrap_or_default().split(' ').nth(2).unwrap_or_default().to_owned();
    assert!(key.ends_with("@/srv/e.log"), "{told}");
    let quiet = || stage.clock().advance(Duration::from_secs(9_000));
    // A folder lies there now.
    fs::rename(stage.host().full_path(Path::new(log)), stage.host().full_path(Path::new("/srv/away"))).unwrap();
    fs::create_dir(stage.host().full_path(Path::new(log))).unwrap();
    quiet();
    let told = stage.look();
    assert!(row(&told).is_some() && told.contains(&format!("problem log_failure {key}* {log}: ")), "{told}");
    fs::remove_dir(stage.host().full_path(Path::new(log))).unwrap();
    fs::rename(stage.host().full_path(Path::new("/srv/away")), stage.host().full_path(Path::new(log))).unwrap();
    // Nobody can tell whether it is still named.
    stage.remove(conf);
    fs::create_dir(stage.host().full_path(Path::new(conf))).unwrap();
    quiet();
    let told = stage.look();
    assert!(row(&told).is_some() && told.contains(&format!("problem log_failure {key}* {conf}: ")), "{told}");
    fs::remove_dir(stage.host().full_path(Path::new(conf))).unwrap();
    stage.write(conf, text);
    quiet();
    let told = stage.look();
    assert!(row(&told).is_none() && !told.contains("problem"), "{told}");
}

#[test]
fn a_log_that_cannot_be_trusted_is_unknown_and_is_not_read() {
    let stage = stage(&SPEC)
        .file("/etc/nginx/nginx.conf", "http { access_log /tmp/a/fifo; access_log /var/log/nginx/link.log; }")
        .folder("/tmp/a/fifo")
        .file("/etc/secret", "")
        .link("/var/log/nginx/link.log", "/nowhere");
    let told = stage.look();
    assert!(
        told.contains("fact log_source /tmp/a/fifo format=nginx-access size_bytes=?(not a regular file)"),
        "{told}"
    );
}

#[test]
fn names_of_one_file_are_one_log() {
    let stage = stage(&SPEC)
        .file("/etc/httpd/conf/httpd.conf", "ErrorLog logs/error_log\nCustomLog logs/access_log combined\n")
        .link("/etc/httpd/logs", "/var/log/httpd")
        .file("/var/log/httpd/access_log", "")
        .file("/var/log/httpd/error_log", "");
    let told = stage.look();
    let rows: Vec<&str> = told.lines().filter(|line| line.starts_with("fact ")).collect();
    assert_eq!(rows.len(), 2, "{told}");
    assert!(rows[0].contains(" /var/log/httpd/access_log format=apache-access"), "{told}");
}

#[test]
fn a_log_that_appears_is_read_from_its_beginning_and_a_big_one_from_its_end() {
    let stage = stage(&SPEC).file(LOG, "");
    stage.look();
    stage.write("/var/log/php8.2-fpm.log", "one\ntwo\n");
    stage.write("/var/log/kern.log", "x\n".repeat(1 << 20));
    let told = later(&stage);
    assert!(told.contains("log_lines_total{log_source=\"/var/log/php8.2-fpm.log\"} 2"), "{told}");
    assert!(told.contains("log_lines_total{log_source=\"/var/log/kern.log\"} 0"), "{told}");
    let gap = "event log_gap info /var/log/kern.log was met when it was long already: 2097152 bytes were not read x1\n";
    assert!(told.contains(gap), "{told}");
}

#[test]
fn logs_with_a_number_in_their_name_are_no_copies_and_copies_are_no_logs() {
    let stage =
        stage(&SPEC).file("/var/log/redis/redis-server.log", "").file("/var/log/redis/redis-server-6380.log", "");
    stage.look();
    let place = |name: &str| stage.host().full_path(Path::new(&format!("/var/log/redis/{name}")));
    stage.append("/var/log/redis/redis-server-6380.log", "one\n");
    stage.append("/var/log/redis/redis-server.log", "one\ntwo\n");
    fs::rename(place("redis-server.log"), place("redis-server-20261121.log")).unwrap();
    stage.append("/var/log/redis/redis-server.log", "three\n");
    let _ = later(&stage);
    let told = later(&stage);
    assert_eq!(
        samples(&told),
        [
            "log_lines_total{log_source=\"/var/log/redis/redis-server-6380.log\"} 1",
            "log_lines_total{log_source=\"/var/log/redis/redis-server.log\"} 3",
        ]
    );
}

#[test]
fn a_log_of_errors_is_not_taken_for_the_requests_of_a_site() {
    let stage = stage(&SPEC)
        .file("/var/log/apache2/domains/a.example.log", "")
        .file("/var/log/apache2/domains/a.example.error.log", "");
    let told = stage.look();
    for row in [
        "fact log_source /var/log/apache2/domains/a.example.error.log format=apache-error site=a.example ",
        "fact log_source /var/log/apache2/domains/a.example.log format=apache-access site=a.example ",
    ] {
        assert!(told.contains(row), "{told}");
    }
}

#[test]
fn a_look_reads_in_slices() {
    let stage = stage(&SPEC).file(LOG, "");
    stage.look();
    stage.append(LOG, request(1).repeat(150_000)); // 12 MB
    stage.clock().advance(MINUTE);
    let (slices, told) = stage.slices();
    assert!((3..=5).contains(&slices), "{slices}");
    assert!(told.contains("requests_total{site=\"_\",status=\"2xx\"} 150000\n"), "{told}");
}

#[test]
fn many_logs_that_are_rotated_at_once_are_looked_for_in_slices() {
    let names = || (0..100).map(|number| format!("/var/log/redis/r{number}.log"));
    let mut stage = stage(&SPEC);
    for name in names() {
        stage = stage.file(&name, "one\n");
    }
    stage.look();
    stage.restart();
    for name in names() {
        stage.remove(&name);
        stage.write(&format!("{name}.gz"), "gone");
        stage.write(&name, "");
    }
    // Each is looked for among 200 files.
    stage.clock().advance(MINUTE);
    assert!(stage.slices().0 > 3);
}

#[test]
fn a_change_where_logs_lie_may_come_or_are_named_wakes_a_look_and_data_does_not() {
    let stage = stage(&SPEC).file(LOG, "").file("/var/log/syslog", "");
    stage.look();
    let wakes = stage.wakes();
    for path in ["/var/log", "/var/log/nginx", "/var/log/php", "/etc/nginx/nginx.conf"] {
        assert!(wakes.iter().any(|wake| wake == Path::new(path)), "{path} is not among {wakes:?}");
    }
    assert!(!wakes.iter().any(|wake| wake.starts_with("/var/lib")), "{wakes:?}");
}

#[test]
fn nothing_of_a_log_is_lost_that_is_damaged() {
    let stage = stage(&SPEC).file(LOG, "");
    stage.look();
    stage.append(LOG, b"\0\xff\xfe\n\r\n\n");
    let long = [vec![b'y'; 100_000], b"\n".to_vec()].concat();
    stage.append(LOG, long);
    stage.append(LOG, request(3));
    let told = samples(&later(&stage)).join("\n");
    assert!(told.contains("log_lines_total{log_source=\"/var/log/nginx/access.log\"} 5\n"), "{told}");
    assert!(told.contains("log_lines_cut_total{log_source=\"/var/log/nginx/access.log\"} 1\n"), "{told}");
    assert!(told.contains("requests_total{site=\"_\",status=\"2xx\"} 1\n"), "{told}");
}
