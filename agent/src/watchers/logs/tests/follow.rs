//! One log, through what may happen to it.

use std::path::PathBuf;

use super::*;

pub(super) struct Scene {
    pub(super) stage: Stage,
    written: u64,
}

impl Scene {
    pub(super) fn new() -> Self {
        let stage = stage(&SPEC).file(LOG, "");
        stage.look();
        let mut scene = Self { stage, written: 0 };
        scene.write(3);
        assert_eq!(scene.look(), (3, String::new()));
        scene
    }

    pub(super) fn at(&self, suffix: &str) -> PathBuf {
        self.stage.host().full_path(Path::new(&format!("{LOG}{suffix}")))
    }

    /// Writes so many more lines.
    pub(super) fn write(&mut self, lines: u64) {
        for _ in 0..lines {
            self.written += 1;
            self.stage.append(LOG, request(self.written));
        }
    }

    /// Lines that were counted; and the events.
    pub(super) fn look(&self) -> (u64, String) {
        let told = later(&self.stage);
        let number = |name: &str| {
            let line = told.lines().find(|line| line.starts_with(&format!("sample {name}")));
            line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
        };
        let (lines, sum) = (number("log_lines_total{"), number("response_bytes_total{"));
        let events: Vec<&str> = told.lines().filter(|line| line.starts_with("event ")).collect();
        if events.is_empty() {
            assert_eq!(sum, lines * (lines + 1) / 2, "each line once\n{told}");
        }
        (lines, events.join("\n"))
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    fn copytruncate(&self) {
        fs::copy(self.at(""), self.at(".1")).unwrap();
        fs::OpenOptions::new().write(true).open(self.at("")).unwrap().set_len(0).unwrap();
    }
}

#[test]
fn a_renamed_log_is_read_to_its_end_and_then_the_new_one() {
    for restart in [false, true] {
        let mut scene = Scene::new();
        scene.write(4);
        scene.rename("", ".1");
        scene.write(5);
        if restart {
            scene.stage.restart();
        }
        assert_eq!(scene.look(), (12, String::new()), "restart {restart}");
        // Its writer has not noticed yet.
        scene.written += 1;
        scene.stage.append(&format!("{LOG}.1"), request(scene.written));
        assert_eq!(scene.look(), (13, String::new()), "restart {restart}");
    }
}

#[test]
fn a_log_that_is_compressed_at_once_is_read_through_its_descriptor() {
    let mut scene = Scene::new();
    scene.write(4);
    scene.rename("", ".1");
    fs::write(scene.at(".1.gz"), "compressed").unwrap();
    fs::remove_file(scene.at(".1")).unwrap();
    scene.write(2);
    assert_eq!(scene.look(), (9, String::new()));
}

#[test]
fn a_log_that_was_compressed_while_nobody_looked_leaves_a_gap_of_known_size() {
    let mut scene = Scene::new();
    scene.write(4);
    let size = u32::try_from(fs::metadata(scene.at("")).unwrap().len()).unwrap();
    let unread = u64::from(size) - 3 * request(1).len() as u64;
    scene.rename("", ".1");
    fs::write(scene.at(".1.gz"), [b"compressed", &size.to_le_bytes()[..]].concat()).unwrap();
    fs::remove_file(scene.at(".1")).unwrap();
    scene.write(2);
    scene.stage.restart();
    let (lines, events) = scene.look();
    assert_eq!(lines, 5);
    assert_eq!(events, format!("event log_gap info {LOG} was replaced: {unread} bytes were not read x1"));
    assert!(!later(&scene.stage).contains("event "), "told once");
}

#[test]
fn a_log_that_was_compressed_after_it_was_read_leaves_no_gap() {
    let mut scene = Scene::new();
    let size = u32::try_from(fs::metadata(scene.at("")).unwrap().len()).unwrap();
    scene.stage.restart();
    fs::write(scene.at(".1.gz"), [b"compressed", &size.to_le_bytes()[..]].concat()).unwrap();
    fs::remove_file(scene.at("")).unwrap();
    scene.write(2);
    assert_eq!(scene.look(), (5, String::new()));
}

#[test]
fn a_copied_and_emptied_log_is_read_on_in_the_copy() {
    for (restart, after) in [(false, 0), (false, 2), (false, 50), (true, 2), (true, 50)] {
        let mut scene = Scene::new();
        scene.write(4);
        scene.copytruncate();
        scene.write(after);
        if restart {
            scene.stage.restart();
        }
        assert_eq!(scene.look(), (7 + after, String::new()), "restart {restart} after {after}");
        scene.write(1);
        assert_eq!(scene.look(), (8 + after, String::new()), "restart {restart} after {after}");
    }
}

#[test]
fn a_log_that_is_emptied_without_a_copy_leaves_a_gap() {
    let mut scene = Scene::new();
    scene.write(4);
    fs::write(scene.at(""), "").unwrap();
    scene.write(1);
    let (lines, events) = scene.look();
    assert_eq!(lines, 4);
    assert_eq!(
        events,
        format!("event log_gap info {LOG} was emptied or written anew: lines may not have been read x1")
    );
}

#[test]
fn a_file_that_is_written_anew_with_the_same_size_is_noticed() {
    let mut scene = Scene::new();
    let other = request(1).replace("curl", "wget").repeat(3);
    fs::write(scene.at(""), other).unwrap();
    scene.written += 3;
    let (lines, events) = scene.look();
    assert_eq!((lines, events.contains("log_gap")), (6, true));
}

#[test]
fn a_deleted_log_is_read_to_its_end() {
    let mut scene = Scene::new();
    scene.write(4);
    fs::remove_file(scene.at("")).unwrap();
    assert_eq!(scene.look(), (7, String::new()));
    scene.write(2);
    assert_eq!(scene.look(), (9, String::new()));
}

#[test]
fn a_log_that_is_gone_after_a_restart_leaves_a_gap_although_nobody_names_it_any_more() {
    let mut scene = Scene::new();
    scene.write(1);
    fs::remove_file(scene.at("")).unwrap();
    scene.stage.restart();
    assert_eq!(scene.look().1, format!("event log_gap info {LOG} was removed: lines may not have been read x1"));
}

#[test]
fn two_rotations_between_two_looks_lose_nothing() {
    for restart in [false, true] {
        let mut scene = Scene::new();
        scene.write(2);
        scene.rename("", ".1");
        scene.write(2);
        scene.rename(".1", ".2");
        scene.rename("", ".1");
        scene.write(2);
        if restart {
            scene.stage.restart();
        }
        assert_eq!(scene.look(), (9, String::new()), "restart {restart}");
        scene.rename(".2", ".3");
        scene.rename(".1", ".2");
        scene.rename("", ".1");
        scene.write(2);
        assert_eq!(scene.look(), (11, String::new()), "restart {restart}");
    }
}

#[test]
fn the_rotated_files_of_the_time_before_are_not_read() {
    let stage = stage(&SPEC).file(&format!("{LOG}.1"), request(9).repeat(9)).file(LOG, "");
    stage.look();
    fs::rename(
        stage.host().full_path(Path::new(&format!("{LOG}.1"))),
        stage.host().full_path(Path::new(&format!("{LOG}.2"))),
    )
    .unwrap();
    fs::rename(stage.host().full_path(Path::new(LOG)), stage.host().full_path(Path::new(&format!("{LOG}.1")))).unwrap();
    stage.append(LOG, request(1));
    assert!(later(&stage).contains("response_bytes_total{site=\"_\"} 1\n"));
}

#[test]
fn a_line_without_an_end_waits_and_is_counted_when_its_file_was_left() {
    let mut scene = Scene::new();
    let line = request(4);
    scene.stage.append(LOG, &line[..20]);
    assert_eq!(scene.look(), (3, String::new()));
    scene.stage.append(LOG, &line[20..]);
    scene.written += 1;
    assert_eq!(scene.look(), (4, String::new()));
    scene.stage.append(LOG, request(5).trim_end());
    scene.written += 1;
    scene.rename("", ".1");
    scene.write(1);
    for _ in 0..12 {
        let _ = later(&scene.stage);
    }
    assert_eq!(scene.look(), (6, String::new()));
}

#[test]
fn what_was_not_committed_is_read_again() {
    let mut scene = Scene::new();
    let before = scene.stage.cursors();
    scene.write(4);
    assert_eq!(scene.look(), (7, String::new()));
    scene.stage.set_cursors(before);
    assert_eq!(scene.look(), (7, String::new()), "memory gives way to what was committed");
    scene.rename("", ".1");
    scene.write(1);
    assert_eq!(scene.look(), (8, String::new()));
}

#[test]
fn a_damaged_cursor_begins_anew() {
    let mut scene = Scene::new();
    let mut cursors = scene.stage.cursors();
    cursors.insert(format!("log:{LOG}"), b"damaged".to_vec());
    scene.stage.set_cursors(cursors);
    scene.stage.restart();
    scene.write(1);
    let told = later(&scene.stage);
    assert!(
        told.contains("event log_gap info") && told.contains("requests_total{site=\"_\",status=\"2xx\"} 3\n"),
        "{told}"
    );
    scene.write(1);
    assert!(later(&scene.stage).contains("requests_total{site=\"_\",status=\"2xx\"} 4\n"));
}
