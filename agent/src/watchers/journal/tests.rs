mod which;

use std::path::Path;
use std::time::Duration;

use plumb_proto::time::Timestamp;

use super::SPEC;
use crate::watcher::testing::{Stage, stage};

const FOLDER: &str = "/var/log/journal/fedcba9876543210fedcba9876543210";
const MACHINE: &str = "fedcba9876543210fedcba9876543210\n";
/// When the first entry of the fixtures was written; one follows each second.
const BEGAN: u64 = 1_795_254_000;

/// Files made by systemd-journal-remote 252 from a known export.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/journal/{name}.journal.zst", env!("CARGO_MANIFEST_DIR"));
    zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap()
}

/// The file as it was when it had so many entries.
fn with(file: &[u8], entries: u64) -> Vec<u8> {
    let mut file = file.to_vec();
    for (at, value) in [(152, entries), (160, entries), (192, (BEGAN + entries - u64::from(entries > 0)) * 1_000_000)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file
}

/// Rotated: never written to again.
fn archived(mut file: Vec<u8>) -> Vec<u8> {
    file[16] = 2;
    file
}

/// Another file that counts on, or counts anew.
fn other(mut file: Vec<u8>, number: u8, counts_on: bool) -> Vec<u8> {
    file[24] = number;
    if !counts_on {
        file[72] = number;
    }
    file
}

/// As if its first entry had another number, and followed so many seconds after the first of all.
fn from(mut file: Vec<u8>, number: u64, seconds: u64) -> Vec<u8> {
    file[168..176].copy_from_slice(&number.to_le_bytes());
    file[184..192].copy_from_slice(&((BEGAN + seconds) * 1_000_000).to_le_bytes());
    file
}

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn live() -> String {
    path("system.journal")
}

fn staged(content: &[u8]) -> Stage {
    let stage = stage(&SPEC).file("/etc/machine-id", MACHINE).file(&live(), content);
    stage.clock().jump_to(Timestamp::from_secs(i64::try_from(BEGAN).unwrap() + 60));
    stage
}

fn lines(said: &str) -> &str {
    let after = said.split("log_lines_total{log_source=\"journal\"} ").last().unwrap();
    after.lines().next().unwrap()
}

#[test]
fn a_host_without_a_journal_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
    assert_eq!(stage(&SPEC).folder("/var/log/journal/x").look(), "absent");
    assert_eq!(stage(&SPEC).file("/etc/machine-id", MACHINE).folder(FOLDER).look(), "absent");
}

#[test]
fn what_was_before_the_first_look_is_nobodys_news() {
    let stage = staged(&fixture("compact"));
    let row = format!(
        "fact log_source journal format=journal size_bytes=8388608 written=2026-11-21T09:40:09Z from {}\n",
        live()
    );
    assert_eq!(stage.look(), format!("{row}sample log_lines_total{{log_source=\"journal\"}} 0\n"));
}

#[test]
fn each_entry_is_judged_by_who_wrote_it() {
    for name in ["regular", "compact"] {
        let whole = fixture(name);
        let stage = staged(&with(&whole, 0));
        assert_eq!(lines(&stage.look()), "0");
        stage.write(&live(), &whole);
        let said = stage.look();
        let facts: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("fact log_failure ")).collect();
        let keys: Vec<&str> = facts.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "fpm_children@journal/php8.2-fpm.service",
                "no_space@journal/cut.service",
                "php_fatal@journal/app.service",
                "table_crashed@journal/mariadb.service",
            ]
        );
        // A session of a user may say what it likes; the kill has a drift of its own, here it is only told who it was.
        assert!(!said.contains("bob") && !said.contains("session-3"));
        assert!(
            said.contains("event oom_kill info Out of memory: Killed process 4321 (php-fpm8.2) total-vm:812345kB,")
        );
        assert!(
            said.contains(
                "event php_fatal warning PHP Fatal error:  Uncaught Exception: no in /srv/app/index.php:3 x1\n"
            )
        );
        for sample in [
            "log_failures_total{kind=\"oom_kill\",log_source=\"journal\"} 1",
            "log_lines_total{log_source=\"journal\"} 10",
            "journal_entries_total{priority=\"err\"} 4",
            "journal_entries_total{priority=\"warning\"} 2",
            "journal_entries_total{priority=\"info\"} 4",
        ] {
            assert!(said.contains(&format!("sample {sample}\n")), "{sample}\n{said}");
        }
        stage.clock().advance(Duration::from_secs(900));
        assert!(!stage.look().contains("fact log_failure"));
    }
}

#[test]
fn every_entry_counts_once_whenever_the_agent_is_killed() {
    let whole = fixture("many");
    let stage = staged(&with(&whole, 0));
    let mut said = stage.look();
    for step in 1..=30_u64 {
        stage.write(&live(), with(&whole, step * 10));
        let committed = stage.cursors();
        let _ = stage.look();
        match step % 3 {
            0 => {
                stage.set_cursors(committed); // killed before the commit
                stage.restart();
            }
            1 => stage.restart(),              // killed after it
            _ => stage.set_cursors(committed), // the commit failed, the agent lives on
        }
        said = stage.look();
        assert_eq!(lines(&said), (step * 10).to_string());
    }
    assert!(!said.contains("problem"));
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_then_the_one_that_follows() {
    let whole = fixture("many");
    for restart in [false, true] {
        let stage = staged(&with(&whole, 50));
        assert_eq!(lines(&stage.look()), "0");
        // It grew once more, was renamed, and another one began, which is still empty.
        stage.write(&live(), archived(with(&whole, 100)));
        let full = |path: String| stage.host().full_path(Path::new(&path));
        std::fs::rename(full(live()), full(path("system@1.journal"))).unwrap();
        stage.write(&live(), other(with(&whole, 0), 7, true));
        if restart {
            stage.restart();
        }
        assert_eq!(lines(&stage.look()), "50");
        stage.write(&live(), other(with(&whole, 300), 7, true));
        let said = stage.look();
        assert_eq!(lines(&said), "250");
        assert!(!said.contains("log_gap") && !said.contains("problem"), "{said}");
    }
}

#[test]
fn what_was_deleted_before_it_was_read_is_told_as_a_gap() {
    let whole = fixture("many");
    let stage = staged(&with(&whole, 50));
    let _ = stage.look();
    stage.restart();
    stage.write(&live(), from(other(with(&whole, 300), 7, true), 150, 149));
    let said = stage.look();
    assert!(
        said.contains(
            "event log_gap warning The journal was deleted before it was read: what was written from \
             2026-11-21T09:40:49Z to 2026-11-21T09:42:29Z is not known x1\n"
        ),
        "{said}"
    );
    assert!(!stage.look().contains("log_gap"));
}

#[test]
fn a_journal_that_moves_from_memory_to_disk_is_not_read_twice() {
    let whole = fixture("many");
    let memory = live().replace("/var/", "/run/");
    let stage = stage(&SPEC).file("/etc/machine-id", MACHINE).file(&memory, with(&whole, 50));
    let _ = stage.look();
    stage.write(&memory, with(&whole, 60));
    assert_eq!(lines(&stage.look()), "10");
    stage.remove(&memory);
    stage.write(&live(), other(with(&whole, 80), 9, false));
    let said = stage.look();
    assert_eq!(lines(&said), "30");
    assert!(!said.contains("log_gap"), "{said}");
}

#[test]
fn a_journal_that_cannot_be_read_is_a_problem_and_not_the_end() {
    let stage = staged(b"no journal at all");
    assert_eq!(
        stage.look(),
        format!(
            "sample log_lines_total{{log_source=\"journal\"}} 0\nproblem log_source journal* {}: not a file of the journal\n",
            live()
        )
    );
    stage.write(&live(), with(&fixture("many"), 10));
    assert_eq!(lines(&stage.look()), "0");
    stage.write(&live(), with(&fixture("many"), 20));
    assert_eq!(lines(&stage.look()), "10");
}

#[test]
fn a_failure_is_not_over_while_the_journal_cannot_be_read() {
    let whole = fixture("compact");
    let stage = staged(&with(&whole, 0));
    let _ = stage.look();
    stage.write(&live(), &whole);
    assert!(stage.look().contains("fact log_failure php_fatal@journal/app.service "));
    stage.write(&live(), vec![0; whole.len()]);
    stage.clock().advance(Duration::from_secs(9_000));
    let said = stage.look();
    assert!(said.contains("fact log_failure php_fatal@journal/app.service "), "{said}");
    let why = format!("problem log_failure php_fatal@journal/app.service* {}: not a file of the journal\n", live());
    assert!(said.contains(&why), "{said}");
    stage.write(&live(), &whole);
    assert!(!stage.look().contains("log_failure "));
}

#[test]
fn a_damaged_entry_is_counted_and_the_others_are_read() {
    let mut whole = fixture("many");
    let stage = staged(&with(&whole, 0));
    let _ = stage.look();
    // The type of every fifth entry or so: objects begin at multiples of eight, type 3, no flags.
    let entries: Vec<usize> = (272..whole.len() - 16)
        .step_by(8)
        .filter(|at| whole[*at..at + 8] == [3, 0, 0, 0, 0, 0, 0, 0] && whole[at + 9] == 0)
        .collect();
    let damaged = entries.iter().step_by(5).count();
    entries.iter().step_by(5).for_each(|at| whole[*at] = 1);
    stage.write(&live(), &whole);
    let said = stage.look();
    let read: usize = lines(&said).parse().unwrap();
    assert!(damaged > 10 && (200..300).contains(&read), "{read}");
    assert!(said.contains(&format!("sample journal_unreadable_total {}\n", 300 - read)), "{said}");
    assert!(said.contains("damaged: no entry where one should be\n"), "{said}");
}

#[test]
fn a_long_backlog_is_read_in_slices() {
    let whole = fixture("many");
    let stage = staged(&with(&whole, 0));
    let _ = stage.look();
    // As after many rotations: each file follows the one before, and all but one are read to their ends.
    stage.write(&path("system@0.journal"), archived(with(&whole, 1)));
    for number in 1..40_u8 {
        let content = archived(other(with(&whole, u64::from(number) * 7 + 1), number, true));
        stage.write(&path(&format!("system@{number}.journal")), content);
    }
    stage.remove(&live());
    stage.write(&live(), other(with(&whole, 300), 99, true));
    stage.restart();
    let (slices, said) = stage.slices();
    assert!(slices <= 4, "{slices}");
    assert_eq!(lines(&said), "300");
}
