use super::*;

#[test]
fn the_collectors_wants_are_met_but_not_more_than_once_a_minute() {
    let mut scene = Scene::new();
    scene.pass(Duration::from_secs(70));
    let full = |scene: &Scene| {
        let slices = scene.probe_reports().into_iter().flat_map(|report| report.slices);
        slices.filter(|slice| slice.tell == Tell::FullOnly).count()
    };
    let declared = |scene: &Scene| scene.records().iter().filter(|(class, _)| *class == Class::Declarations).count();
    assert_eq!((full(&scene), declared(&scene)), (1, 1));
    scene.say(ToObserve::Want(WANT_STATE | WANT_DICTIONARY));
    scene.pass(SECOND);
    assert_eq!((full(&scene), declared(&scene)), (2, 2));
    for _ in 0..5 {
        scene.say(ToObserve::Want(WANT_STATE));
        scene.pass(5 * SECOND);
    }
    assert_eq!(full(&scene), 2);
    scene.pass(Duration::from_secs(40));
    assert_eq!((full(&scene), declared(&scene)), (3, 2));
}

#[test]
fn deliver_gets_committed_records_and_a_hint_when_there_are_more() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    scene.say(ToObserve::Position);
    scene.say(ToObserve::Fetch { from: 1, records: 10, bytes: 100_000 });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut frames = Vec::new();
    for _ in 0..3 {
        frames.push(runtime.block_on(scene.deliver.recv()).unwrap());
    }
    assert_eq!(frames[0], ToDeliver::Available(2));
    assert!(matches!(&frames[1], ToDeliver::Position(position) if position.next_seq == 2 && position.first_seq == 1));
    assert!(matches!(&frames[2], ToDeliver::Items(items) if items.len() == 1));
}

#[test]
fn an_ack_with_a_foreign_hash_changes_nothing_and_is_counted() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    let time = scene.clock.now();
    let (epoch, head_hash) = (Epoch([5; 16]), Hash([6; 32]));
    scene.say(ToObserve::Acked(Ack { epoch, through: 1, head_hash, window_records: 1, window_bytes: 1, time }));
    let spool = scene.observer.status().spool;
    assert_eq!((spool.acknowledged, spool.refused_acks), (0, 1));
    scene.ack_all();
    assert_eq!(scene.observer.status().spool.acknowledged, 1);
}

#[test]
fn a_fork_begins_a_new_epoch_and_tells_everything_whole() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    let epoch = |scene: &Scene| scene.observer.state.as_ref().unwrap().position().unwrap().epoch;
    let before = epoch(&scene);
    scene.say(ToObserve::Fork);
    scene.pass(SECOND);
    assert_ne!(epoch(&scene), before);
    assert_eq!(scene.events("epoch_forked").len(), 1);
    assert_eq!(scene.last().slices[0].tell, Tell::FullOnly);
    let after = epoch(&scene);
    scene.say(ToObserve::Fork);
    assert_eq!(epoch(&scene), after, "once an hour");
}
