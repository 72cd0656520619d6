use super::*;
use crate::state::testing::Folder;
use plumb_proto::time::{ManualClock, Timestamp};
use std::fs;
use std::sync::Arc;

struct Scene {
    folder: Folder,
    host: Host,
    wake: Wake,
}

impl Scene {
    fn new(folders: &[&str], asked: &[&str]) -> Self {
        let folder = Folder::new();
        folders.iter().for_each(|each| fs::create_dir_all(folder.path().join(each)).unwrap());
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let mut wake = Wake::new().unwrap();
        asked.iter().enumerate().for_each(|(number, path)| wake.ask(&host, number, vec![path.into()]));
        assert_eq!(wake.degraded(), None);
        Self { folder, host, wake }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn changed(&mut self) -> Vec<usize> {
        self.wake.take(&self.host).into_iter().map(|(watcher, _)| watcher).collect()
    }
}

#[test]
fn a_file_that_is_written_or_replaced_wakes_who_asked_for_it_and_nobody_else() {
    let mut scene = Scene::new(&["etc"], &["/etc/a", "/etc/b"]);
    fs::write(scene.at("etc/a"), "1").unwrap();
    assert_eq!(scene.changed(), [0]);
    assert!(scene.changed().is_empty());
    for _ in 0..3 {
        fs::write(scene.at("etc/new"), "2").unwrap();
        assert!(scene.changed().is_empty());
        fs::rename(scene.at("etc/new"), scene.at("etc/b")).unwrap();
        assert_eq!(scene.changed(), [1]);
    }
    fs::remove_file(scene.at("etc/a")).unwrap();
    assert_eq!(scene.changed(), [0]);
}

#[test]
fn everything_in_a_folder_that_was_asked_for_matters() {
    let mut scene = Scene::new(&["etc/php"], &["/etc/php"]);
    fs::write(scene.at("etc/php/any.ini"), "1").unwrap();
    assert_eq!(scene.changed(), [0]);
    fs::write(scene.at("etc/other"), "1").unwrap();
    assert!(scene.changed().is_empty());
}

#[test]
fn a_path_that_is_not_there_is_found_when_it_appears_step_by_step() {
    let mut scene = Scene::new(&["var"], &["/var/lib/dpkg/status"]);
    fs::create_dir(scene.at("var/lib")).unwrap();
    assert_eq!(scene.changed(), [0]);
    fs::create_dir(scene.at("var/lib/dpkg")).unwrap();
    assert_eq!(scene.changed(), [0]);
    fs::write(scene.at("var/lib/dpkg/status"), "x").unwrap();
    assert_eq!(scene.changed(), [0]);
}

#[test]
fn a_folder_that_is_replaced_is_watched_again() {
    let mut scene = Scene::new(&["srv/site"], &["/srv/site/version"]);
    fs::rename(scene.at("srv/site"), scene.at("srv/old")).unwrap();
    fs::create_dir(scene.at("srv/site")).unwrap();
    scene.changed();
    fs::write(scene.at("srv/old/version"), "1").unwrap();
    assert!(scene.changed().is_empty());
    fs::write(scene.at("srv/site/version"), "2").unwrap();
    assert_eq!(scene.changed(), [0]);
}

#[test]
fn only_what_is_on_a_path_makes_it_lead_elsewhere() {
    let scene = Scene::new(&["run/units", "etc"], &["/run/units", "/etc/a", "/etc/later/b"]);
    let moves = || scene.wake.inotify.read_events().unwrap().iter().any(|event| scene.wake.may_lead_elsewhere(event));
    fs::write(scene.at("run/units/one"), "1").unwrap();
    fs::remove_file(scene.at("run/units/one")).unwrap();
    fs::write(scene.at("etc/other"), "1").unwrap();
    assert!(!moves());
    fs::create_dir(scene.at("etc/later")).unwrap();
    assert!(moves());
    fs::rename(scene.at("etc/other"), scene.at("etc/a")).unwrap();
    assert!(moves());
    fs::remove_dir(scene.at("run/units")).unwrap();
    assert!(moves());
}

#[test]
fn what_is_asked_for_no_more_wakes_nobody() {
    let mut scene = Scene::new(&["etc"], &["/etc/a"]);
    scene.wake.ask(&scene.host, 0, vec!["/etc/b".into()]);
    fs::write(scene.at("etc/a"), "1").unwrap();
    assert!(scene.changed().is_empty());
    fs::write(scene.at("etc/b"), "1").unwrap();
    assert_eq!(scene.changed(), [0]);
}

#[test]
fn a_trusted_link_is_watched_at_both_ends() {
    let mut scene = Scene::new(&["etc", "usr/lib"], &[]);
    fs::write(scene.at("usr/lib/os-release"), "1").unwrap();
    std::os::unix::fs::symlink("../usr/lib/os-release", scene.at("etc/os-release")).unwrap();
    scene.wake.ask(&scene.host, 0, vec!["/etc/os-release".into()]);
    fs::write(scene.at("usr/lib/os-release"), "2").unwrap();
    assert_eq!(scene.changed(), [0]);
    fs::remove_file(scene.at("etc/os-release")).unwrap();
    assert_eq!(scene.changed(), [0]);
}

#[test]
fn the_table_of_mounts_of_this_machine_is_polled() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
    let host = Host::new("/", clock);
    let mut wake = Wake::new().unwrap();
    wake.ask(&host, 4, vec!["/proc/self/mountinfo".into()]);
    assert!(wake.mounts().is_some());
    assert_eq!(wake.mounts_changed(), Changed::from([(4, "/proc/self/mountinfo".into())]));
}
