//! Rows that a watcher keeps, through slices, records and crashes.

use super::*;
use crate::watcher::seconds;

/// Counts the lines of /lines, a slice each, in a row of its own for each; tells an event where a row was not as it left
/// it. A line that says `big` keeps 300 KB.
#[derive(serde::Deserialize)]
struct Keeper {}

impl Watcher for Keeper {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        assert!(look.keeps());
        let text = look.host.read_text("/lines", 1 << 20).unwrap_or_default();
        let (mut last, mut count) = (Vec::new(), 0);
        while let Some((key, _)) = look.kept_after(&last) {
            (last, count) = (key, count + 1);
        }
        let Some(line) = text.lines().nth(count) else { return Ok(Progress::Done) };
        let value = if line == "big" { vec![7; 300_000] } else { line.as_bytes().to_vec() };
        let key = u32::try_from(count)?.to_be_bytes().to_vec();
        assert_eq!(look.kept(&key), None);
        look.keep(key.clone(), value.clone());
        assert_eq!(look.kept(&key), Some(value));
        if line == "tell" {
            look.event(look.now, "told", Severity::Info, format!("{count}"));
        }
        Ok(Progress::More)
    }
}

const KEEPER: Spec = Spec::new::<Keeper>("keeper", seconds(10), &[], "");

fn scene(lines: &str) -> Scene {
    let mut scene = Scene::new();
    scene.write("lines", lines);
    scene.observer = observer(&scene);
    scene
}

fn observer(scene: &Scene) -> Observer {
    let (end, _deliver) = link().unwrap();
    let folder = scene.root.path().join("state");
    let mut options = options(scene.root.path(), &folder, &scene.clock, end, &scene.ask);
    let watcher = KEEPER.make(toml::Table::new()).unwrap();
    options.watchers = vec![Assigned { spec: KEEPER, every: KEEPER.every, watcher }];
    Observer::open(options).unwrap()
}

fn written(scene: &Scene) -> usize {
    let (state, mut last, mut count) = (scene.observer.state.as_ref().unwrap(), Vec::new(), 0);
    while let Some((key, _)) = state.kept_after("keeper", &last).unwrap() {
        (last, count) = (key, count + 1);
    }
    count
}

#[test]
fn rows_wait_for_the_record_with_their_events_and_are_gone_with_it_in_a_crash() {
    let mut scene = scene("a\nb\nc\n");
    scene.pass(SECOND / 2);
    assert_eq!(written(&scene), 3, "the first record took them along");
    scene.write("lines", "a\nb\nc\nd\ne\n");
    scene.pass(20 * SECOND);
    assert_eq!(written(&scene), 3, "nothing is in a hurry");
    let crashed = observer_after_crash(&mut scene);
    scene.observer = crashed;
    scene.write("lines", "a\nb\nc\nd\ntell\n");
    scene.pass(15 * SECOND);
    assert_eq!((written(&scene), scene.events("told")), (5, vec!["4".to_owned()]));
}

/// The process dies: what is pending is lost.
fn observer_after_crash(scene: &mut Scene) -> Observer {
    let (end, _deliver) = link().unwrap();
    let placeholder = Folder::new();
    let spare = Observer::open(options(scene.root.path(), placeholder.path(), &scene.clock, end, &scene.ask)).unwrap();
    drop(std::mem::replace(&mut scene.observer, spare));
    observer(scene)
}

#[test]
fn many_rows_are_written_early_and_make_no_record_of_their_own() {
    let mut scene = scene("a\n");
    scene.pass(SECOND);
    let before = scene.items().len();
    scene.write("lines", &format!("a\n{}", "big\n".repeat(9)));
    scene.pass(12 * SECOND);
    assert!(written(&scene) >= 9, "{} are written", written(&scene));
    assert_eq!(scene.items().len(), before);
}
