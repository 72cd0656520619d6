mod kinds;

use plumb_proto::time::{Clock, Timestamp};
use std::time::Duration;

use super::SPEC;
use crate::watcher::testing::{NOW, Stage, stage};

const DAY: u64 = 86_400;
const DUMP: &str = "-- MariaDB dump 10.19  Distrib 10.11.14-MariaDB\n--\n-- Host: localhost\nCREATE TABLE `a` (x int);\n\
                    INSERT INTO `a` VALUES (1),(2),(3);\n-- Dump completed on 2026-11-21  2:00:07\n";

fn ago(seconds: u64) -> Timestamp {
    NOW - Duration::from_secs(seconds)
}

/// A file, written so many seconds ago.
fn put(stage: &Stage, path: &str, content: impl AsRef<[u8]>, at: Timestamp) {
    stage.write(path, content);
    stage.touch(path, at);
}

/// A host with a dump each night, at 2:00 o'clock: it is 10:00 now.
fn nightly(days: u64) -> Stage {
    let stage = stage(&SPEC).folder("/var/backups");
    for day in 0..days {
        let path = format!("/var/backups/db-2026-11-{:02}.sql", 21 - day);
        put(&stage, &path, DUMP, ago(8 * 3_600 + day * DAY));
    }
    stage
}

fn facts(told: &str) -> Vec<&str> {
    told.lines().filter_map(|line| line.strip_prefix("fact backup ")).collect()
}

/// The one fact.
fn fact(told: &str) -> &str {
    let facts = facts(told);
    assert_eq!(facts.len(), 1, "{told}");
    facts[0]
}

fn has(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "{word} is missing in {told}");
    }
}

#[test]
fn dumps_of_many_nights_are_one_series_with_a_rhythm() {
    let told = nightly(7).look();
    let size = DUMP.len();
    assert_eq!(
        told,
        format!(
            "fact backup /var/backups/db-*.sql kind=sql location=/var/backups newest=2026-11-21T02:00:00Z size={size} files=7 \
             program=mariadb-dump valid=true verdict=complete verified_at=2026-11-21T10:00:00Z encrypted=false \
             interval_seconds=86400 late_after_seconds=133200 typical_size={size} declared=false \
             from /var/backups/db-2026-11-21.sql\n\
             sample backup_age_seconds{{backup=\"/var/backups/db-*.sql\"}} 28800\n\
             sample backup_size_bytes{{backup=\"/var/backups/db-*.sql\"}} {size}\n"
        )
    );
}

#[test]
fn a_host_without_backups_is_no_error_and_debians_own_files_are_none() {
    assert_eq!(stage(&SPEC).look(), "absent");
    let debian = stage(&SPEC)
        .file("/var/backups/dpkg.status.0", "x")
        .file("/var/backups/apt.extended_states.1.gz", "x")
        .file("/var/backups/alternatives.tar.0", "x")
        .file("/srv/www/backup-notes.sql", "x");
    assert_eq!(debian.look(), "absent");
}

#[test]
fn a_file_that_is_overwritten_each_night_learns_its_rhythm_over_days() {
    let stage = stage(&SPEC);
    for night in 0..4_u64 {
        put(&stage, "/backup/all.sql", DUMP, stage.clock().now() - Duration::from_secs(3_600));
        let told = stage.look();
        assert_eq!(fact(&told).contains("interval_seconds=86400"), night >= 2, "{told}");
        stage.restart(); // what was learnt survives
        stage.clock().advance(Duration::from_secs(DAY));
    }
}

#[test]
fn a_truncated_dump_is_not_whole_and_is_whole_again_when_written_anew() {
    let stage = nightly(4);
    has(fact(&stage.look()), &["valid=true"]);
    put(&stage, "/var/backups/db-2026-11-21.sql", &DUMP[..100], ago(120));
    stage.clock().advance(Duration::from_secs(600));
    has(
        fact(&stage.look()),
        &[
            "valid=false verdict=incomplete reason=the line `-- Dump completed` is missing",
            "typical_size=",
            "interval_seconds=86400",
        ],
    );
    put(&stage, "/var/backups/db-2026-11-21.sql", DUMP, ago(60));
    stage.clock().advance(Duration::from_secs(600));
    has(fact(&stage.look()), &["valid=true verdict=complete verified_at"]);
}

#[test]
fn a_dump_that_is_being_written_is_not_judged_yet() {
    let stage = nightly(4);
    let half = &DUMP[..DUMP.len() - 20];
    put(&stage, "/var/backups/db-2026-11-22.sql", half, ago(5));
    has(fact(&stage.look()), &["newest=2026-11-21T02:00:00Z", "valid=true", "files=5"]);
    // The next look comes soon, although nothing has said that something changed.
    stage.clock().advance(Duration::from_secs(60));
    has(fact(&stage.look()), &["newest=2026-11-21T09:59:55Z", "valid=false"]);
}

#[test]
fn a_dump_that_waits_for_a_lock_is_not_truncated_as_long_as_its_process_has_it_open() {
    let stage = nightly(4).link("/proc/77/fd/1", "/var/backups/db-2026-11-22.sql");
    let stage = stage.file("/proc/77/fdinfo/1", "pos:\t100\nflags:\t0100001\nmnt_id:\t29\n");
    put(&stage, "/var/backups/db-2026-11-22.sql", &DUMP[..100], ago(600));
    has(fact(&stage.look()), &["newest=2026-11-21T02:00:00Z", "valid=true"]);
    stage.write("/proc/77/fdinfo/1", "pos:\t100\nflags:\t0100000\n"); // it only reads
    stage.clock().advance(Duration::from_secs(60));
    has(fact(&stage.look()), &["newest=2026-11-21T09:50:00Z", "valid=false"]);
}

#[test]
fn a_finished_dump_is_seen_at_once_by_its_end() {
    let stage = nightly(4);
    put(&stage, "/var/backups/db-2026-11-22.sql", DUMP, ago(1));
    has(fact(&stage.look()), &["newest=2026-11-21T09:59:59Z", "valid=true", "files=5"]);
}

#[test]
fn while_the_only_file_is_overwritten_it_is_unknown_what_it_is_worth() {
    let stage = stage(&SPEC);
    put(&stage, "/backup/all.sql", DUMP, ago(DAY));
    has(fact(&stage.look()), &["newest=2026-11-20T10:00:00Z", "valid=true"]);
    stage.clock().advance(Duration::from_secs(600));
    put(&stage, "/backup/all.sql", "-- MariaDB dump 10.19\n", stage.clock().now());
    has(fact(&stage.look()), &["newest=2026-11-20T10:00:00Z", "valid=?(it is being written)", "verdict=unknown"]);
    // It was cut, and is what it is told until the next one is done.
    stage.clock().advance(Duration::from_secs(600));
    has(fact(&stage.look()), &["newest=2026-11-21T10:10:00Z size=22", "valid=false"]);
    put(&stage, "/backup/all.sql", "-- MariaDB dump 10.20\n", stage.clock().now());
    stage.clock().advance(Duration::from_secs(10));
    let told = stage.look();
    has(fact(&told), &["newest=2026-11-21T10:10:00Z size=22"]);
    stage.clock().advance(Duration::from_secs(600));
    stage.look();
    stage.restart();
    put(&stage, "/backup/all.sql", "-- MariaDB dump 10.21\n", stage.clock().now());
    has(fact(&stage.look()), &["newest=2026-11-20T10:00:00Z"]); // the last that was whole
}

#[test]
fn what_did_not_change_is_not_read_again() {
    let stage = nightly(3);
    let first = stage.look();
    stage.clock().advance(Duration::from_secs(3_600));
    let second = stage.look();
    assert_eq!(facts(&first), facts(&second)); // with the same verified_at
    assert!(second.contains("sample backup_age_seconds"));
    stage.clock().advance(Duration::from_secs(60));
    assert!(!stage.look().contains("sample")); // not with each look
}

#[test]
fn a_declared_backup_that_is_not_there_is_told() {
    let stage = stage(&SPEC)
        .settings("declared = [{ name = 'shop', pattern = '/srv/dumps/shop-*.sql.gz', every = '12h' }]")
        .file("/srv/dumps/other.sql.gz", "x");
    let told = stage.look();
    assert_eq!(
        fact(&told),
        "shop kind=sql.gz location=/srv/dumps files=0 interval_seconds=43200 late_after_seconds=68400 declared=true from /srv/dumps"
    );
    put(&stage, "/srv/dumps/shop-1.sql.gz", "x", ago(100));
    stage.clock().advance(Duration::from_secs(600));
    has(fact(&stage.look()), &["files=1", "valid=false", "interval_seconds=43200", "from /srv/dumps/shop-1.sql.gz"]);
}

#[test]
fn a_declared_backup_that_cannot_be_looked_at_is_unknown_and_not_missing() {
    let stage = stage(&SPEC)
        .settings("declared = [{ name = 'shop', pattern = '/mnt/nas/shop-*.sql.gz', every = '12h' }]")
        .file("/proc/1/mountinfo", "2 1 0:2 / /mnt/nas rw - nfs4 nas:/x rw\n")
        .file("/mnt/nas/shop-1.sql.gz", "x");
    let why = "?(/mnt/nas: on a network or user-space file system, which is not touched because it may hang)";
    let expected = format!(
        "shop kind=sql.gz location=/mnt/nas newest={why} files={why} valid={why} interval_seconds=43200 \
         late_after_seconds=68400 declared=true from /mnt/nas"
    );
    assert_eq!(fact(&stage.look()), expected);
}

#[test]
fn a_time_that_is_none_is_a_mistake_in_the_configuration() {
    for every in ["", "x", "1y", "5", "0d", "ä"] {
        let text = format!("declared = [{{ name = 'a', pattern = '/b/c', every = '{every}' }}]");
        let mut settings: toml::Table = SPEC.sample.parse().unwrap();
        settings.extend(text.parse::<toml::Table>().unwrap());
        assert!(SPEC.make(settings).is_err(), "{every}");
    }
}

#[test]
fn files_that_a_rotation_put_aside_are_of_the_series_that_they_came_from() {
    let at = |nights: u64| ago(8 * 3_600 + nights * DAY);
    // `compress`, `delaycompress`, and a file that is kept plain and compressed.
    for (names, expected) in [
        (["db.sql.gz", "db.sql.1.gz", "db.sql.2.gz", "db.sql.3.gz"], "/backup/db.sql.gz kind=sql.gz"),
        (["db.sql", "db.sql.1", "db.sql.2.gz", "db.sql.3.gz"], "/backup/db.sql kind=sql"),
    ] {
        let stage = stage(&SPEC);
        for (nights, name) in names.iter().enumerate() {
            put(&stage, &format!("/backup/{name}"), DUMP, at(nights as u64));
        }
        let told = stage.look();
        has(fact(&told), &[expected, "newest=2026-11-21T02:00:00Z", "files=4", "interval_seconds=86400"]);
    }
    let stage = stage(&SPEC);
    ["db.sql", "db.sql.gz"].iter().for_each(|name| put(&stage, &format!("/backup/{name}"), DUMP, at(0)));
    assert_eq!(facts(&stage.look()).len(), 2);
}

#[test]
fn links_and_fifos_are_left_alone() {
    let stage = stage(&SPEC)
        .file("/etc/shadow.sql", "secret")
        .link("/var/backups/evil.sql", "/etc/shadow.sql")
        .link("/var/backups/sub", "/etc")
        .link("/home/alice/backup", "/etc");
    let fifo = stage.host().full_path(std::path::Path::new("/var/backups/pipe.sql"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(stage.look(), "absent");
}

#[test]
fn names_with_control_bytes_are_told_escaped() {
    let stage = stage(&SPEC);
    put(&stage, "/backup/a\u{1b}[2J\n.sql", DUMP, ago(600));
    has(fact(&stage.look()), &["/backup/a\\x1b[2J\\n.sql kind=sql"]);
}

#[test]
fn more_backups_than_are_looked_at_are_a_problem_and_end_in_bounded_slices() {
    let stage = stage(&SPEC).folder("/backup");
    let folder = stage.host().full_path(std::path::Path::new("/backup"));
    for number in 0..10_050 {
        std::fs::write(folder.join(format!("x.{number:05}.2026-11-21.sql")), "").unwrap();
    }
    let (slices, told) = stage.slices();
    has(&told, &["problem backup /backup* /backup: more than 10000 entries"]);
    assert!((2..100).contains(&slices), "{slices}");
}

#[test]
fn a_time_far_ahead_is_not_taken_for_fresh() {
    let stage = stage(&SPEC);
    put(&stage, "/backup/all.sql", DUMP, NOW + Duration::from_secs(30 * DAY));
    has(fact(&stage.look()), &["newest=?(its time lies ahead: 2026-12-21T10:00:00Z; look at the host's clock)"]);
}

#[test]
fn a_big_gzip_is_unpacked_in_slices_and_judged_by_what_it_holds() {
    let mut plain = DUMP.replace("-- Dump completed on 2026-11-21  2:00:07\n", "").into_bytes();
    let mut random = 1_u32;
    for _ in 0..3_000_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        plain.push((random >> 24) as u8 | 0x20);
    }
    let cut = super::proof::tests::gzip(&plain);
    plain.extend_from_slice(b"\n-- Dump completed on 2026-11-21  2:00:07\n");
    let whole = super::proof::tests::gzip(&plain);
    let stage = stage(&SPEC);
    put(&stage, "/backup/all.sql.gz", &whole, ago(600));
    let (slices, told) = stage.slices();
    assert!(slices >= 5, "{slices}");
    has(fact(&told), &["program=mariadb-dump valid=true"]);
    stage.clock().advance(Duration::from_secs(700));
    put(&stage, "/backup/all.sql.gz", &cut, ago(500));
    has(fact(&stage.look()), &["valid=false verdict=incomplete reason=the line"]);
    stage.clock().advance(Duration::from_secs(700));
    put(&stage, "/backup/all.sql.gz", &whole[..whole.len() / 2], ago(400));
    has(fact(&stage.look()), &["valid=false verdict=incomplete reason=the compressed stream ends too early"]);
}

#[test]
fn a_file_that_is_gone_through_comes_to_its_end_while_a_newer_one_is_being_written() {
    let stage = stage(&SPEC);
    let noise: Vec<u8> = (0..3_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    put(&stage, "/backup/db-2026-11-20.gz", super::proof::tests::gzip(&noise), ago(DAY));
    put(&stage, "/backup/db-2026-11-21.gz", [0x1f, 0x8b, 8], ago(5));
    has(fact(&stage.look()), &["newest=2026-11-20T10:00:00Z", "files=2", "valid=true"]);
}

#[test]
fn a_backup_that_may_not_be_read_is_unknown_and_says_what_would_help() {
    let stage = nightly(1).mode("/var/backups/db-2026-11-21.sql", 0o000);
    let told = stage.look();
    if nix::unistd::geteuid().is_root() {
        return has(fact(&told), &["valid=true"]); // root may read everything
    }
    has(fact(&told), &["valid=?(", "permission denied; needs CAP_DAC_READ_SEARCH", "verdict=unknown"]);
}

#[test]
fn a_backup_that_stopped_is_late_for_as_long_as_its_last_file_lies_there() {
    let stage = stage(&SPEC);
    for _ in 0..4 {
        put(&stage, "/backup/all.sql", DUMP, stage.clock().now() - Duration::from_secs(3_600));
        stage.look();
        stage.clock().advance(Duration::from_secs(DAY));
    }
    stage.clock().advance(Duration::from_secs(60 * DAY));
    for _ in 0..2 {
        stage.restart();
        has(fact(&stage.look()), &["interval_seconds=86400 late_after_seconds=133200"]);
    }
    stage.remove("/backup/all.sql");
    stage.clock().advance(Duration::from_secs(600));
    stage.look();
    assert_eq!(stage.cursors()["history"], b"{}");
}
