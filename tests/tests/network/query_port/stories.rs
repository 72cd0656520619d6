//! What happens at the query port, one story each.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use plumb_proto::generated::query as pb;
use plumb_proto::generated::query::query_client::QueryClient;
use tokio::io::AsyncReadExt;
use tonic::{Code, Response, Status, Streaming};

use super::*;
use crate::hostile::client_hello_of_tls_1_2;
use crate::raw::bytes;

async fn first<P>(answer: Result<Response<Streaming<P>>, Status>) -> Result<Option<P>, Status> {
    answer?.into_inner().message().await
}

#[test]
fn a_user_is_made_asks_from_elsewhere_and_is_listed() {
    let scene = Scene::start();
    let file = scene.user("alice", "viewer", &[]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&format!("\ncollector: {}\n", scene.url())), "{text}");
    for command in [
        ["hosts"].as_slice(),
        &["host", "acme-1"],
        &["rules"],
        &["schema", "php"],
        &["events", "acme-1"],
        &["changes", "acme-1", "--since", "2h"],
        &["changes", "--items", "--json"],
    ] {
        assert_eq!(scene.plumb(&file, command), 0, "{command:?}");
    }
    assert_eq!(scene.plumb(&file, &["host", "retire", "acme-1"]), 1, "a viewer retires no host");
    assert_eq!(scene.admin(&["user", "list"]), 0);
    let again = ["user", "create", "alice", "--role", "admin", "--out", "/dev/null/x"];
    assert_eq!(scene.admin(&again), 1, "there is an alice");
    let audit = scene.audit();
    assert!(audit[0].ends_with(" user create alice 1"), "{audit:?}");
    assert!(audit.contains(&"user alice denied /plumb.query.v1.Query/RetireHost 0".to_owned()), "{audit:?}");
}

#[test]
fn a_revocation_denies_the_next_call_and_closes_the_connection_within_5_s() {
    let scene = Scene::start();
    let file = scene.user("alice", "operator", &[]);
    scene.runtime.block_on(async {
        let time = Arc::new(TrustedTime::new(scene.clock.clone()));
        let shown = Shown::read(&file);
        let config = ingest_config(&scene.root(), shown.chain, shown.key, time).unwrap();
        let mut idle = connect("127.0.0.1", scene.port, "127.0.0.1", config).await.unwrap();
        let mut client = QueryClient::new(scene.channel(Shown::read(&file)).await.unwrap());
        assert!(first(client.hosts(pb::HostsRequest::default()).await).await.unwrap().is_some());
        let begun = Instant::now();
        assert_eq!(scene.admin(&["user", "revoke", "alice"]), 0);
        let ended = tokio::time::timeout(Duration::from_secs(5), async {
            while matches!(idle.read(&mut [0; 1024]).await, Ok(1..)) {}
        });
        ended.await.expect("closed within 5 s");
        let denied = first(client.hosts(pb::HostsRequest::default()).await).await.unwrap_err();
        assert_ne!(denied.code(), Code::Ok, "after {:?}", begun.elapsed());
        let mut again = QueryClient::new(scene.channel(Shown::read(&file)).await.unwrap());
        let denied = first(again.hosts(pb::HostsRequest::default()).await).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
        assert!(denied.message().starts_with("the certificate of alice was revoked."), "{}", denied.message());
    });
}

#[test]
fn a_certificate_of_before_a_revocation_stays_worthless_when_the_user_is_made_again() {
    let scene = Scene::start();
    let old = scene.user("alice", "viewer", &[]);
    let kept = scene.folder.0.join("kept.pem");
    std::fs::rename(&old, &kept).unwrap();
    assert_eq!(scene.admin(&["user", "revoke", "alice"]), 0);
    let new = scene.user("alice", "viewer", &[]);
    assert_eq!((scene.plumb(&kept, &["hosts"]), scene.plumb(&new, &["hosts"])), (1, 0));
}

#[test]
fn whoever_is_limited_to_a_group_sees_and_changes_its_hosts_alone() {
    let scene = Scene::start();
    let file = scene.user("acme", "admin", &["--group", "client=acme"]);
    scene.runtime.block_on(async {
        let mut client = QueryClient::new(scene.channel(Shown::read(&file)).await.unwrap());
        let page = first(client.hosts(pb::HostsRequest::default()).await).await.unwrap().unwrap();
        assert_eq!(page.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["acme-1"]);
        let bravo = pb::Label { name: "client".into(), value: "bravo".into() };
        let page = first(client.hosts(pb::HostsRequest { groups: vec![bravo.clone()] }).await).await.unwrap();
        assert_eq!(page, None);

        let name = || "bravo-1".to_owned();
        let answers = [
            first(client.host(pb::HostRequest { name: name() }).await).await.map(drop),
            first(client.events(pb::EventsRequest { host: name(), ..Default::default() }).await).await.map(drop),
            first(client.changes(pb::ChangesRequest { host: name(), ..Default::default() }).await).await.map(drop),
            first(client.drifts(pb::DriftsRequest { host: name(), ..Default::default() }).await).await.map(drop),
            first(client.facts(pb::FactsRequest { host: name(), ..Default::default() }).await).await.map(drop),
            client.approve(pb::ApproveRequest { host: name(), ..Default::default() }).await.map(drop),
            client.rename_host(pb::RenameHostRequest { name: name(), to: "mine".into() }).await.map(drop),
            client.group_host(pb::GroupHostRequest { name: name(), ..Default::default() }).await.map(drop),
            client.retire_host(pb::RetireHostRequest { name: name() }).await.map(drop),
            client.revoke_host(pb::RevokeHostRequest { name: name() }).await.map(drop),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            let status = answer.expect_err("a host of somebody else");
            assert_eq!(status.message(), "there is no host \"bravo-1\": `plumb hosts` lists them", "{number}");
        }
        let out = pb::GroupHostRequest { name: "acme-1".into(), set: vec![bravo], remove: Vec::new() };
        let denied = client.group_host(out).await.unwrap_err();
        assert_eq!(denied.message(), "user acme is limited by the label client: it is not theirs to change");
        client.rename_host(pb::RenameHostRequest { name: "acme-1".into(), to: "acme-2".into() }).await.unwrap();
    });
}

#[test]
fn what_cannot_work_is_told_in_words() {
    let scene = Scene::start();
    let other = Scene::start();
    let alice = scene.user("alice", "viewer", &[]);
    let stranger = other.user("stranger", "viewer", &[]);
    let told = scene.refusal(&stranger);
    assert!(told.contains("shows a certificate of another authority than the one in"), "{told}");
    assert!(
        scene.refusal(&scene.expired()).contains("its certificate ran out at 20"),
        "{}",
        scene.refusal(&scene.expired())
    );

    // the right root, and a certificate of another authority
    let mixed = scene.folder.0.join("mixed.pem");
    let text = std::fs::read_to_string(&stranger).unwrap();
    let end = text.rfind("-----BEGIN CERTIFICATE").unwrap();
    std::fs::write(&mixed, format!("{}{}", &text[..end], scene.authority().root_pem())).unwrap();
    let told = scene.refusal(&mixed);
    assert!(told.contains("does not take the certificate in"), "{told}");

    // the certificate is good, and the store knows of no such user
    let made = scene.authority().issue_user("ghost", Duration::from_secs(60), scene.clock.now()).unwrap();
    let ghost = Shown {
        chain: CertificateDer::pem_slice_iter(&made.chain).map(Result::unwrap).collect(),
        key: PrivateKeyDer::from_pem_slice(made.key.expose()).unwrap(),
    };
    let denied = scene.runtime.block_on(async {
        let mut client = QueryClient::new(scene.channel(ghost).await.unwrap());
        first(client.hosts(pb::HostsRequest::default()).await).await.unwrap_err()
    });
    assert!(denied.message().contains("knows no user \"ghost\", so there is no role"), "{}", denied.message());

    let mut scene = scene;
    scene.stop_collector();
    let told = scene.refusal(&alice);
    assert!(told.contains("Is the query port switched on there?"), "{told}");
}

#[test]
fn tls_1_2_is_refused_by_name() {
    let scene = Scene::start();
    // a fatal alert, 70: protocol_version
    let address = ([127, 0, 0, 1], scene.port).into();
    assert_eq!(bytes(address, &client_hello_of_tls_1_2()), [21, 3, 3, 0, 2, 2, 70]);
}

#[test]
fn the_collector_stops_within_a_second_while_somebody_is_connected() {
    let mut scene = Scene::start();
    let file = scene.user("alice", "viewer", &[]);
    let channel = scene.runtime.block_on(scene.channel(Shown::read(&file))).unwrap();
    let begun = Instant::now();
    scene.stop_collector();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(channel);
    scene.start_collector();
    assert_eq!(scene.plumb(&file, &["hosts"]), 0, "the store is as it was");
}
