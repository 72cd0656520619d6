//! What has changed, asked and approved.

use plumb_proto::model::{Event, Severity, Value};

use super::*;

async fn changes(scene: &mut Scene, since: i64) -> Vec<pb::ChangeSet> {
    let asked = pb::ChangesRequest { since_ms: Some(at(since).millis()), ..Default::default() };
    rows(scene.client.changes(asked).await, |page| page.sets).await
}

/// 8.2.29 to 8.2.30 after a minute, and ten minutes later to 8.2.31.
async fn changed_twice() -> Scene {
    let mut scene = Scene::drifting().await;
    scene.clock.advance(Duration::from_secs(600));
    scene.send(&full(12, vec![fact("fpm/8.2", "8.2.31")])).await;
    scene
}

#[tokio::test]
async fn what_changed_is_told_in_sets_newest_last() {
    let mut scene = changed_twice().await;
    let sets = changes(&mut scene, 0).await;
    let told: Vec<_> = sets.iter().map(|set| (set.host.as_str(), set.actor.as_str(), set.summary.as_str())).collect();
    assert_eq!(
        told,
        [
            ("web-1", "unknown", "version of php fpm/8.2: 8.2.29 -> 8.2.30"),
            ("web-1", "unknown", "version of php fpm/8.2: 8.2.30 -> 8.2.31"),
        ]
    );
    assert_eq!((sets[0].counts[0].kind.as_str(), sets[0].counts[0].number, sets[0].items.len()), ("php_changed", 1, 1));
    let asked = pb::ChangesRequest { since_ms: Some(0), limit: 1, ..Default::default() };
    let mut pages = scene.client.changes(asked).await.unwrap().into_inner();
    let page = pages.message().await.unwrap().unwrap();
    assert_eq!((page.sets, page.cut), (sets[1..].to_vec(), true));
}

#[tokio::test]
async fn a_set_that_began_before_is_told_whole_and_one_that_had_ended_is_not() {
    let mut scene = Scene::new().await;
    let mut payload = full(1, vec![fact("fpm/8.2", "8.2.29")]);
    // a file every 50 s for an hour
    payload.reports[0].events = (0..72).map(|number| file(at(100 + number * 50), number)).collect();
    scene.send(&payload).await;
    let all = changes(&mut scene, 0).await;
    assert_eq!((all.len(), all[0].items.len()), (1, 72));
    assert_eq!(changes(&mut scene, 3_000).await, all);
    assert_eq!(changes(&mut scene, 100 + 71 * 50).await, all);
    assert_eq!(changes(&mut scene, 100 + 71 * 50 + 1).await, []);
}

fn file(at: Timestamp, number: i64) -> Event {
    let path = format!("/srv/{number}.php");
    let mut event = Event::new("file_changed", Severity::Info, path.as_str(), at);
    event.fields = [("path", path.as_str()), ("tree", "/srv")].map(|(n, v)| (n.to_owned(), Value::from(v))).into();
    event
}

#[tokio::test]
async fn who_did_it_is_known_where_the_collector_said_so_and_a_host_cannot_say_it() {
    let mut scene = Scene::drifting().await;
    let when = Timestamp::from_millis(changes(&mut scene, 0).await[0].start_ms);
    let mut lie = bare(3);
    lie.reports[0].events = vec![Event::new("explained_change", Severity::Info, "trust me", when)];
    scene.send(&lie).await;
    assert_eq!(changes(&mut scene, 0).await[0].actor, "unknown");
    let host = scene.sender.host;
    let event = Event::new("explained_change", Severity::Info, "by apt", when + Duration::from_secs(1));
    scene.parts.writer.call(Default::default(), move |tx| tx.collector_event(&host, &event)).await.unwrap();
    assert_eq!(changes(&mut scene, 0).await[0].actor, "package manager");
}

#[tokio::test]
async fn approving_a_set_ends_the_drifts_of_what_it_touched() {
    let mut scene = Scene::drifting().await;
    let id = changes(&mut scene, 0).await[0].id.clone();
    let before = scene.links();
    let request = pb::ApproveRequest { change_set: id, note: "release".to_owned(), ..Default::default() };
    let reply = scene.client.approve(request.clone()).await.unwrap().into_inner();
    assert_eq!((reply.taken, reply.left, reply.approved.len()), (1, 0, 1));
    assert_eq!((reply.approved[0].state.as_str(), reply.approved[0].note()), ("approved", "release"));
    assert_eq!(scene.links(), before + 1);
    let none = pb::ApproveRequest { change_set: "0123456789ab".to_owned(), ..Default::default() };
    let none = scene.client.approve(none).await.unwrap_err();
    assert_eq!(
        none.message(),
        "there is no change set \"0123456789ab\" within the last 7 days: `plumb changes` shows their numbers"
    );
    let both = pb::ApproveRequest { ids: vec![1], ..request };
    assert_eq!(scene.client.approve(both).await.unwrap_err().message(), "name either drifts, a host or a change set");
}

#[tokio::test]
async fn what_has_changed_again_since_is_not_approved_with_a_set() {
    let mut scene = changed_twice().await;
    let first = changes(&mut scene, 0).await[0].id.clone();
    let request = pb::ApproveRequest { change_set: first, ..Default::default() };
    let reply = scene.client.approve(request).await.unwrap().into_inner();
    assert_eq!((reply.taken, reply.left, reply.approved.len()), (0, 1, 0));
    let open = scene.drifts().await;
    assert_eq!(open.iter().map(|drift| drift.state.as_str()).collect::<Vec<_>>(), ["open"]);
}
