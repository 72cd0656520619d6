//! Which files are the system's journal.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn memory() -> String {
    live().replace("/var/", "/run/")
}

fn later(stage: &Stage) -> String {
    stage.clock().advance(MINUTE);
    stage.look()
}

#[test]
fn an_old_journal_on_disk_does_not_hide_the_one_that_is_written_in_memory() {
    let whole = fixture("many");
    let stage = staged(&with(&whole, 10));
    stage.write(&memory(), other(with(&whole, 20), 7, false));
    assert!(stage.look().contains(&format!(" from {}\n", memory())));
    stage.write(&memory(), other(with(&whole, 25), 7, false));
    assert_eq!(lines(&stage.look()), "5");
}

#[test]
fn a_journal_that_moves_from_disk_to_memory_is_followed_within_a_minute() {
    let whole = fixture("many");
    let stage = staged(&with(&whole, 50));
    let _ = stage.look();
    stage.write(&live(), with(&whole, 60));
    stage.write(&memory(), from(other(with(&whole, 80), 9, false), 61, 60));
    assert_eq!(lines(&stage.look()), "10");
    let _ = later(&stage);
    let said = later(&stage);
    assert_eq!(lines(&said), "30", "{said}");
    assert!(!said.contains("log_gap") && !said.contains("problem"), "{said}");
}

#[test]
fn journals_of_containers_and_namespaces_are_not_the_systems() {
    let whole = fixture("many");
    let stage = staged(&with(&whole, 50));
    let beside = |name: &str| format!("/var/log/journal/{name}/system.journal");
    let foreign =
        [beside("0123456789abcdef0123456789abcdef"), beside("fedcba9876543210fedcba9876543210.shop"), beside("remote")];
    for (path, number) in foreign.iter().zip(20..) {
        stage.write(path, other(with(&whole, 300), number, false));
    }
    assert!(stage.look().contains(&format!(" from {}\n", live())));
    // The host's own rotates: its new file begins later than all of theirs.
    let full = |path: String| stage.host().full_path(Path::new(&path));
    stage.write(&live(), archived(with(&whole, 60)));
    std::fs::rename(full(live()), full(path("system@1.journal"))).unwrap();
    stage.write(&live(), from(other(with(&whole, 70), 7, true), 61, 60));
    let said = stage.look();
    assert_eq!(lines(&said), "20", "{said}");
    assert!(said.contains(&format!(" from {}\n", live())), "{said}");
}

#[test]
fn a_machine_whose_id_names_no_journal_is_a_problem_while_others_have_one() {
    let stage = staged(&with(&fixture("many"), 10));
    stage.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let why = "this machine has no journal, but /etc/machine-id does not name this folder";
    assert!(stage.look().contains(&format!("problem log_source journal* {}: {why}\n", live())));
}

#[test]
fn the_new_folder_is_followed_when_the_machine_gets_another_id() {
    let whole = fixture("many");
    let stage = staged(&with(&whole, 50));
    let _ = stage.look();
    let id = "0123456789abcdef0123456789abcdef";
    stage.write("/etc/machine-id", id);
    stage.write(&format!("/var/log/journal/{id}/system.journal"), from(other(with(&whole, 70), 9, false), 51, 50));
    let _ = later(&stage);
    assert_eq!(lines(&later(&stage)), "20");
}

/// A machine whose journal was read up to entry 50 and then put aside.
fn rotated(whole: &[u8]) -> Stage {
    let stage = staged(&with(whole, 50));
    let _ = stage.look();
    let full = |path: String| stage.host().full_path(Path::new(&path));
    stage.write(&live(), archived(with(whole, 50)));
    std::fs::rename(full(live()), full(path("system@1.journal"))).unwrap();
    stage
}

#[test]
fn files_that_can_not_be_read_are_left_behind_for_good() {
    let whole = fixture("many");
    let stage = rotated(&whole);
    // Their headers are whole, the first array of entries is not.
    let damaged = |mut file: Vec<u8>| {
        file[176..184].copy_from_slice(&8_u64.to_le_bytes());
        file
    };
    stage.write(&path("system@2.journal"), damaged(archived(from(other(with(&whole, 60), 2, true), 51, 50))));
    stage.write(&path("system@3.journal"), damaged(archived(from(other(with(&whole, 70), 3, true), 61, 60))));
    stage.write(&live(), from(other(with(&whole, 0), 4, true), 0, 0));
    let (slices, said) = stage.slices();
    assert_eq!((slices, lines(&said)), (1, "0"), "{said}");
    assert!(!stage.look().contains("log_gap"));
    stage.write(&live(), from(other(with(&whole, 80), 4, true), 71, 70));
    let said = stage.look();
    assert_eq!(lines(&said), "10", "{said}");
}

#[test]
fn numbers_that_cannot_be_hide_nothing_of_what_comes_after() {
    let whole = fixture("many");
    let stage = rotated(&whole);
    let mut wild = archived(from(other(with(&whole, 60), 2, true), 51, 50));
    wild[160..168].copy_from_slice(&u64::MAX.to_le_bytes());
    stage.write(&path("system@2.journal"), wild);
    stage.write(&live(), from(other(with(&whole, 70), 4, true), 61, 60));
    // It holds what the damaged one should have, too.
    assert_eq!(lines(&stage.look()), "20");
}
