//! Samples that should not wait.

use super::*;

#[test]
fn a_sample_near_a_limit_is_written_at_once_and_others_wait() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(5));
    let before = scene.items().len();
    scene.pass(Duration::from_secs(20));
    assert_eq!(scene.items().len(), before, "samples wait until the record is a minute old");
    scene.write("near", "");
    scene.pass(Duration::from_secs(12));
    assert!(scene.items().len() > before);
    let (_, last) = scene.records().pop().unwrap();
    assert!(last.blocks.iter().any(|block| block.watcher == "probe"), "{last:?}");
    scene.remove("near");
    scene.pass(Duration::from_secs(12));
    let calm = scene.items().len();
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.items().len(), calm);
}
