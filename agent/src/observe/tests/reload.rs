//! New settings for an agent at work.

use super::*;
use crate::observe::reload::{Change, Changes};

fn changes(watchers: Vec<Change>) -> Result<Changes, String> {
    let record_every = Duration::from_mins(1);
    Ok(Changes { watchers, record_every, cpu_share: 0.1, bound: 8 << 20, later: None })
}

fn anew(every: u64) -> Change {
    let watcher = SPEC.make(toml::Table::new()).unwrap();
    Change::Take(Assigned { spec: SPEC, every: Duration::from_secs(every), watcher })
}

/// How often the probe has looked within a time.
fn looks(scene: &mut Scene, span: Duration) -> usize {
    let looked = |scene: &Scene| scene.observer.status().watchers[0].looked.clone();
    let (mut count, mut last) = (0, looked(scene));
    for _ in 0..span.as_secs() {
        scene.pass(Duration::from_secs(1));
        let now = looked(scene);
        count += usize::from(now != last);
        last = now;
    }
    count
}

#[test]
fn a_watcher_with_the_same_settings_goes_on_where_it_was() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(65));
    let epoch = scene.observer.state().unwrap().position().unwrap().epoch;
    scene.observer.reload(changes(vec![Change::Keep("probe")]));
    scene.pass(Duration::from_secs(65));
    assert_eq!(scene.observer.state().unwrap().position().unwrap().epoch, epoch);
    assert_eq!(scene.events("configuration_reloaded"), ["the configuration was read again"]);
    assert_eq!(scene.last().slices, [], "nothing is told twice");
    // Files that it asked for still bring its look forward.
    scene.write("thing/b", "2\n");
    std::thread::sleep(Duration::from_millis(50));
    scene.pass(Duration::from_millis(1_500));
    assert_eq!(scene.last().slices[0].facts[0].key.to_string(), "b");
}

#[test]
fn a_watcher_with_other_settings_begins_anew_in_its_new_rhythm() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(5));
    assert_eq!(looks(&mut scene, Duration::from_secs(60)), 6);
    scene.observer.reload(changes(vec![anew(30)]));
    assert_eq!(looks(&mut scene, Duration::from_secs(60)), 3, "at once, and then every 30 s");
    scene.pass(Duration::from_secs(60));
    let full = scene.probe_reports().into_iter().flat_map(|report| report.slices).map(|slice| slice.tell);
    assert_eq!(full.filter(|tell| *tell == Tell::FullOnly).count(), 2, "its rows are told whole again");
}

#[test]
fn a_watcher_that_is_switched_off_looks_no_more_and_one_that_is_switched_on_does() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(15));
    scene.observer.reload(changes(Vec::new()));
    scene.pass(Duration::from_secs(60));
    let names = |scene: &Scene| scene.observer.status().watchers.into_iter().map(|each| each.name).collect::<Vec<_>>();
    assert_eq!(names(&scene), ["agent"]);
    let last = scene.last();
    assert_eq!((last.outcome, last.problems[0].table.as_str()), (Outcome::Failed, "thing"));
    assert_eq!(last.problems[0].error, "switched off in the configuration");
    scene.observer.reload(changes(vec![anew(10)]));
    assert_eq!(names(&scene), ["probe", "agent"]);
    assert!(looks(&mut scene, Duration::from_secs(30)) >= 3);
    scene.crash();
    scene.pass(Duration::from_secs(65)); // and the tables of all are declared
    assert_eq!(scene.events("state_replaced"), [] as [&str; 0]);
}

#[test]
fn a_mistake_changes_nothing_and_is_told_until_it_is_mended() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(15));
    scene.observer.reload(Err("agent.toml:3: no".to_owned()));
    assert_eq!(looks(&mut scene, Duration::from_secs(60)), 6);
    let status = scene.observer.status();
    assert_eq!(status.refused.as_deref(), Some("agent.toml:3: no"));
    let told = scene.events("configuration_refused");
    assert_eq!(told, ["the configuration is not taken over, the one before holds: agent.toml:3: no"]);
    scene.observer.reload(changes(vec![Change::Keep("probe")]));
    assert_eq!(scene.observer.status().refused, None);
}

#[test]
fn a_disk_that_was_full_at_the_start_is_told_once_and_not_at_each_reload() {
    let mut scene = Scene::new();
    scene.observer.state.as_mut().unwrap().open_on_reserve();
    for _ in 0..3 {
        scene.observer.reload(changes(vec![Change::Keep("probe")]));
        scene.pass(Duration::from_secs(65));
    }
    assert_eq!(scene.events("disk_full").len(), 1);
}
