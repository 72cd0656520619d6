use std::fs;
use std::sync::Arc;

use plumb_proto::time::{ManualClock, Timestamp};

use super::*;
use crate::state::testing::Folder;

struct Scene {
    folder: Folder,
    host: Host,
    events: TreeEvents,
}

impl Scene {
    fn new() -> Self {
        let folder = Folder::new();
        fs::create_dir_all(folder.path().join("www/site/sub")).unwrap();
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let events = TreeEvents::new(&host).unwrap();
        let mut scene = Self { folder, host, events };
        let www = scene.examine("/www", None);
        let site = scene.examine("/www/site", Some(www));
        scene.examine("/www/site/sub", Some(site));
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn examine(&mut self, path: &str, parent: Option<Watch>) -> Watch {
        let folder = self.host.examine(Path::new(path), Some((&mut self.events, parent))).unwrap();
        folder.watch.unwrap()
    }

    fn changed(&mut self) -> Vec<PathBuf> {
        let changes = self.events.take();
        assert!(!changes.lost);
        changes.folders.iter().filter_map(|watch| self.events.path(*watch)).collect()
    }
}

#[test]
fn the_folder_in_which_something_changed_is_told() {
    let mut scene = Scene::new();
    assert!(scene.changed().is_empty());
    fs::write(scene.at("www/site/sub/a"), "1").unwrap();
    assert_eq!(scene.changed(), [Path::new("/www/site/sub")]);
    let path = |watch: Option<Watch>| watch.and_then(|watch| scene.events.path(watch));
    for folder in ["/www", "/www/site/sub"].map(Path::new) {
        assert_eq!(path(scene.events.find(folder)).as_deref(), Some(folder));
    }
    assert_eq!(scene.events.find("/www/other".as_ref()), None);
    fs::remove_file(scene.at("www/site/sub/a")).unwrap();
    fs::write(scene.at("www/b"), "1").unwrap();
    assert_eq!(scene.changed(), [Path::new("/www"), Path::new("/www/site/sub")]);
}

#[test]
fn a_folder_that_moves_takes_those_below_it_along() {
    let mut scene = Scene::new();
    fs::rename(scene.at("www/site"), scene.at("www/new")).unwrap();
    assert_eq!(scene.changed(), [Path::new("/www")]);
    let www = scene.examine("/www", None);
    scene.examine("/www/new", Some(www));
    scene.events.forget(www, OsStr::new("site"));
    fs::write(scene.at("www/new/sub/a"), "1").unwrap();
    assert_eq!(scene.changed(), [Path::new("/www/new/sub")]);
    assert_eq!(scene.events.watched(), 3);
}

#[test]
fn what_is_forgotten_or_gone_is_told_no_more() {
    let mut scene = Scene::new();
    let www = scene.examine("/www", None);
    scene.events.forget(www, OsStr::new("site"));
    fs::write(scene.at("www/site/sub/a"), "1").unwrap();
    assert!(scene.changed().is_empty());
    assert_eq!(scene.events.watched(), 1);
    fs::remove_dir_all(scene.at("www")).unwrap();
    scene.changed();
    assert_eq!(scene.events.watched(), 0);
}

#[test]
fn a_storm_is_told_as_lost() {
    let mut scene = Scene::new();
    let limit: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for number in 0..limit {
        let path = scene.at(&format!("www/{number}"));
        fs::write(&path, "").unwrap();
        fs::remove_file(&path).unwrap();
    }
    assert!(scene.events.take().lost);
}
