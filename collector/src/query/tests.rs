mod changes;
mod groups;
mod rules;
mod scene;

use std::sync::atomic::{AtomicUsize, Ordering};

use hyper_util::rt::TokioIo;
use plumb_proto::generated::query::query_client::QueryClient;
use plumb_proto::model::Payload;
use plumb_proto::record::Epoch;
use plumb_proto::time::ManualClock;
use plumb_proto::wire;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use super::*;
use crate::cli::drift::DriftJson;
use crate::drift::detectors::changed::Changed;
use crate::drift::detectors::silent::Silent;
use crate::drift::json::drift_json;
use crate::notify::{Pace, Told};
use crate::store::Incoming;
use crate::stores::contract::bench::{Sender, at, bare, event, fact, full, host_row};
use crate::stores::sqlite::testing::Folder;
use scene::{Scene, rows};

/// Every call that query.proto declares.
fn calls() -> Vec<&'static str> {
    let text = include_str!("../../../proto/query.proto");
    let calls: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next()).collect();
    assert!(calls.len() > 10, "{calls:?}");
    calls
}

#[tokio::test]
async fn every_call_has_its_least_role_and_nobody_below_it_gets_through() {
    use calls::CALLS;
    use denied::Audited;
    use guard::{Guard, Role};
    let scene = Scene::new().await;
    let mut questions = scene.questions;
    let denied = Arc::new(AtomicUsize::new(0));
    let known: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
    assert_eq!(known, calls(), "the table of guard.rs and query.proto differ");
    let who: [fn(&http::Extensions) -> Who; 4] = [
        |_| Who::new("nobody", None),
        |_| Who::new("viewer", Some(Role::Viewer)),
        |_| Who::new("operator", Some(Role::Operator)),
        |_| Who::new("admin", Some(Role::Admin)),
    ];
    let roles = [None, Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin)];
    for (identify, role) in who.into_iter().zip(roles) {
        for (call, least) in CALLS.iter().copied().chain([("Unheard", Role::Viewer)]) {
            let inner = tower::service_fn(|request: http::Request<()>| async move {
                assert!(request.extensions().get::<Who>().is_some());
                Ok::<_, std::convert::Infallible>(http::Response::new(()))
            });
            let audited = Audited::new(scene.parts.writer.clone(), scene.parts.clock.clone());
            let mut guard = Guard::new(inner, audited, Arc::new(identify));
            let request =
                http::Request::builder().uri(format!("http://x/plumb.query.v1.Query/{call}")).body(()).unwrap();
            let response = tower::Service::call(&mut guard, request).await.unwrap();
            let passed = response.headers().get("grpc-status").is_none();
            let may = call != "Unheard" && role.is_some_and(|role| role >= least);
            assert_eq!(passed, may, "{role:?} calls {call}");
            denied.fetch_add(usize::from(!passed), Ordering::Relaxed);
        }
    }
    // each denied call is a link of the audit's chain
    let (links, faults) = questions.verify().unwrap();
    assert_eq!((usize::try_from(links).unwrap(), faults), (denied.load(Ordering::Relaxed), Vec::new()));
}

#[tokio::test]
async fn questions_are_answered_with_what_the_store_knows() {
    let mut scene = Scene::drifting().await;
    let hosts = rows(scene.client.hosts(pb::HostsRequest::default()).await, |page| page.hosts).await;
    let host = &hosts[0];
    assert_eq!((hosts.len(), host.name.as_str(), host.state()), (1, "web-1", pb::HostState::Drifting));
    assert_eq!(host.critical + host.warning + host.info, 1);
    assert_eq!(host.reason, "1 open drift, 1 thing could not be read");
    assert_eq!(host.vitals.clone().unwrap().php, [b"8.2.30".to_vec()]);

    let drifts = scene.drifts().await;
    let known = scene.questions.drifts(&DriftFilter::default()).unwrap();
    assert_eq!(serde_json::to_value(DriftJson::from(&drifts[0])).unwrap(), drift_json(&known[0], "web-1"));

    let asked = pb::FactsRequest { table: "php".to_owned(), ..Default::default() };
    let facts = rows(scene.client.facts(asked).await, |page| page.rows).await;
    assert_eq!((facts[0].key.as_slice(), facts[0].unknown[0].column.as_str()), (&b"fpm/8.2"[..], "binary"));

    let tables = rows(scene.client.schema(pb::SchemaRequest::default()).await, |page| page.tables).await;
    assert!(tables.iter().any(|table| table.name == "php" && table.doc != "No host has told of it yet."));

    let parts = rows(scene.client.host(pb::HostRequest { name: "web-1".to_owned() }).await, |part| vec![part]).await;
    assert_eq!(parts.iter().map(|part| part.rows.len()).sum::<usize>(), 1);
    assert_eq!(parts.iter().map(|part| part.drifts.len()).sum::<usize>(), 1);
    assert_eq!(parts[0].watchers[0].name, "php");
}

#[tokio::test]
async fn a_host_that_cannot_be_seen_whole_is_unknown_and_one_that_says_nothing_is_silent() {
    let mut scene = Scene::new().await;
    let state = async |scene: &mut Scene| {
        let hosts = rows(scene.client.hosts(pb::HostsRequest::default()).await, |page| page.hosts).await;
        (hosts[0].state(), hosts[0].reason.clone())
    };
    assert_eq!(state(&mut scene).await, (pb::HostState::Unknown, "it has not reported yet".to_owned()));
    scene.send(&full(1, vec![fact("fpm/8.2", "8.2.29")])).await;
    assert_eq!(state(&mut scene).await, (pb::HostState::Unknown, "1 thing could not be read".to_owned()));
    let mut known = fact("fpm/8.2", "8.2.29");
    known.unknown.clear();
    scene.send(&full(2, vec![known])).await;
    assert_eq!(state(&mut scene).await, (pb::HostState::Ok, String::new()));
    scene.clock.advance(Duration::from_secs(121));
    assert_eq!(state(&mut scene).await, (pb::HostState::Silent, "nothing was heard of it".to_owned()));
}

#[tokio::test]
async fn a_collector_that_has_just_started_calls_nobody_silent() {
    let hosts = |up: u64| {
        let mut view = crate::testing::host();
        view.host.last_seen = Some(at(0));
        let up = Duration::from_secs(up);
        let hearing = Hearing { now: at(1_000), up, silent_after: Duration::from_secs(120) };
        let host = summary::host(&view, &[], hearing);
        (host.state(), host.reason)
    };
    assert_eq!(hosts(119), (pb::HostState::Unknown, "not heard of since the collector started".to_owned()));
    assert_eq!(hosts(120), (pb::HostState::Silent, "nothing was heard of it".to_owned()));
}

#[test]
fn what_is_told_of_something_that_is_gone_is_not_unknown() {
    use crate::testing::{apply, fact, full, series};
    let mut view = crate::testing::host();
    apply(&mut view, &full("disk", 1, "mount", &[fact("/", &[])]), at(1));
    assert!(view.stands(&series("disk_used_bytes", &[("mount", "/")])));
    assert!(!view.stands(&series("disk_used_bytes", &[("mount", "/gone")])));
    assert!(view.stands(&series("cpu_seconds_total", &[("mode", "idle")])));
}

#[tokio::test]
async fn events_come_in_order_and_can_be_followed() {
    let mut scene = Scene::new().await;
    let mut payload = full(1, Vec::new());
    payload.reports[0].events = (0..2_500).map(|number| event("line", &format!("{number}"))).collect();
    scene.send(&payload).await;
    let asked = pb::EventsRequest { host: "web-1".to_owned(), ..Default::default() };
    let mut pages = scene.client.events(asked.clone()).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        assert!(page.events.len() <= limits::QUERY_PAGE);
        told.extend(page.events);
    }
    let texts = told.iter().map(|each| String::from_utf8(each.event.clone().unwrap().text).unwrap());
    assert!(texts.eq((0..2_500).map(|number| number.to_string())));
    let asked = pb::EventsRequest { after: Some(told[2_497].number), ..asked };
    assert_eq!(rows(scene.client.events(asked).await, |page| page.events).await, told[2_498..]);
}

#[tokio::test]
async fn what_is_approved_is_over_and_stays_so() {
    let mut scene = Scene::drifting().await;
    let before = scene.links();
    let request = pb::ApproveRequest { ids: vec![1], note: "upgrade".to_owned(), ..Default::default() };
    let approved = scene.client.approve(request.clone()).await.unwrap().into_inner().approved;
    assert_eq!((approved.len(), approved[0].state.as_str(), approved[0].note()), (1, "approved", "upgrade"));
    assert_eq!(scene.links(), before + 1);
    scene.clock.advance(Duration::from_secs(60));
    scene.send(&bare(3)).await;
    let drifts = scene.drifts().await;
    assert_eq!(drifts.iter().map(|drift| drift.state.as_str()).collect::<Vec<_>>(), ["approved"]);

    let again = scene.client.approve(request).await.unwrap_err();
    assert_eq!(again.code(), tonic::Code::FailedPrecondition);
    assert!(again.message().contains("it is over already: approved"), "{}", again.message());
    let none = pb::ApproveRequest { ids: vec![99], ..Default::default() };
    let none = scene.client.approve(none).await.unwrap_err();
    assert_eq!(none.message(), "there is no drift 99: `plumb drift` shows their numbers");
}

#[tokio::test]
async fn a_whole_host_or_one_table_can_be_approved() {
    let mut scene = Scene::drifting().await;
    let asked =
        |table: &str| pb::ApproveRequest { host: "web-1".to_owned(), table: table.to_owned(), ..Default::default() };
    let wrong = scene.client.approve(asked("phq")).await.unwrap_err();
    assert_eq!(wrong.message(), "web-1 has no table \"phq\"; did you mean php?");
    let approved = scene.client.approve(asked("php")).await.unwrap().into_inner().approved;
    assert_eq!(approved.len(), 1);
    let both = pb::ApproveRequest { ids: vec![1], ..asked("") };
    assert_eq!(scene.client.approve(both).await.unwrap_err().message(), "name either drifts, a host or a change set");
}

#[tokio::test]
async fn a_host_is_renamed_labelled_and_retired() {
    let mut scene = Scene::drifting().await;
    let rename = |name: &str, to: &str| pb::RenameHostRequest { name: name.to_owned(), to: to.to_owned() };
    let host = scene.client.rename_host(rename("web-1", "Shop")).await.unwrap().into_inner().host.unwrap();
    assert_eq!(host.name, "shop");
    let gone = scene.client.rename_host(rename("web-1", "x")).await.unwrap_err();
    assert_eq!(gone.message(), "there is no host \"web-1\": `plumb hosts` lists them");
    let odd = scene.client.rename_host(rename("shop", "a b\x1b")).await.unwrap_err();
    assert_eq!(odd.message(), "\"a b\\x1b\" is no host name: letters, digits, '.', '-', '_'");

    let label = pb::Label { name: "role".to_owned(), value: "web".to_owned() };
    let request =
        pb::GroupHostRequest { name: "shop".to_owned(), set: vec![label.clone()], remove: vec!["client".to_owned()] };
    let host = scene.client.group_host(request).await.unwrap().into_inner().host.unwrap();
    assert_eq!(host.groups, [label]);

    let before = scene.links();
    scene.client.retire_host(pb::RetireHostRequest { name: "shop".to_owned() }).await.unwrap();
    assert_eq!(scene.links(), before + 1);
    let hosts = rows(scene.client.hosts(pb::HostsRequest::default()).await, |page| page.hosts).await;
    assert!(hosts.is_empty());
    assert!(scene.drifts().await.is_empty());
}

#[tokio::test]
async fn a_revoked_host_is_listed_as_what_it_is() {
    let mut scene = Scene::drifting().await;
    let host = scene.client.revoke_host(pb::RevokeHostRequest { name: "web-1".to_owned() }).await.unwrap();
    let host = host.into_inner().host.unwrap();
    assert_eq!((host.state(), host.admission.as_str()), (pb::HostState::Unknown, "revoked"));
    assert_eq!(host.reason, "revoked: it may never report again");
}

#[tokio::test]
async fn a_name_that_is_not_there_is_told_with_the_one_that_may_be_meant() {
    let mut scene = Scene::new().await;
    let error = scene.client.host(pb::HostRequest { name: "web1".to_owned() }).await.unwrap_err();
    assert_eq!(error.message(), "there is no host \"web1\": did you mean web-1?");
    let error = scene.client.test_receiver(pb::TestReceiverRequest { receiver: "ops".to_owned() }).await.unwrap_err();
    assert_eq!(error.message(), "there is no receiver \"ops\": collector.toml names them");
}

#[tokio::test]
async fn a_user_leaves_a_reader_to_the_others() {
    let folder = Folder::empty();
    let store = crate::stores::open(&format!("sqlite:{}", folder.file("db").display())).unwrap();
    let readers = Arc::new(Readers::new((0..READERS).map(|_| store.questions().unwrap()).collect()));
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let who = || Who::new("uid 7", None);
    let mut running = Vec::new();
    for _ in 0..3 {
        let (readers, wait) = (readers.clone(), wait.clone());
        running.push(tokio::spawn(async move {
            readers.ask(who(), move |_| Ok(wait.lock().unwrap().recv().is_ok())).await
        }));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let fourth = readers.ask(who(), |_| Ok(())).await.unwrap_err();
    assert_eq!(fourth.message(), "uid 7 has 3 questions running already: wait for one");
    readers.ask(Who::new("uid 8", None), |_| Ok(())).await.unwrap();
    drop(go);
    for each in running {
        each.await.unwrap().unwrap();
    }
    readers.ask(who(), |_| Ok(())).await.unwrap();
}

#[test]
fn an_answer_that_is_too_long_ends_one_row_behind_what_may_be_asked_for() {
    let rows = vec![pb::Row::default(); limits::QUERY_ROWS + 7];
    let told: usize = answers::chunks(rows, |rows| rows.len()).into_iter().sum();
    assert_eq!(told, limits::QUERY_ROWS + 1, "whoever asked sees that it is not whole");
}
