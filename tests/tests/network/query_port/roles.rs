//! Every call of query.proto by everybody who could come.

use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::*;

/// What the least role for a call is, written down here once more: a change of the collector's table is a decision.
const LEAST: [(&str, usize); 17] = [
    ("Hosts", 1),
    ("Host", 1),
    ("Drifts", 1),
    ("Facts", 1),
    ("Events", 1),
    ("Schema", 1),
    ("Alerts", 1),
    ("Approve", 2),
    ("RenameHost", 3),
    ("GroupHost", 3),
    ("RetireHost", 3),
    ("RevokeHost", 3),
    ("TestReceiver", 3),
    ("Rules", 1),
    ("TestPolicy", 2),
    ("History", 1),
    ("Changes", 1),
];

/// Makes a call with an empty question and says how it ended.
async fn call(channel: Channel, name: &str) -> Code {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::try_from(format!("/plumb.query.v1.Query/{name}")).unwrap();
    let answer = client.server_streaming(Request::new(()), path, ProstCodec::<(), ()>::default()).await;
    match answer {
        Ok(stream) => stream.into_inner().message().await.map_or_else(|status| status.code(), |_| Code::Ok),
        Err(status) => status.code(),
    }
}

#[test]
fn every_call_is_in_the_table_of_this_test() {
    let proto = include_str!("../../../../proto/query.proto");
    let calls: Vec<_> = proto.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next()).collect();
    let known: Vec<_> = LEAST.iter().map(|(call, _)| *call).collect();
    assert_eq!(calls, known);
}

#[test]
fn every_call_by_every_role_goes_as_far_as_the_role_does() {
    let scene = Scene::start();
    let revoked = scene.user("revoked", "admin", &[]);
    assert_eq!(scene.admin(&["user", "revoke", "revoked"]), 0);
    let who = [
        ("revoked", revoked, 0),
        ("viewer", scene.user("viewer", "viewer", &[]), 1),
        ("operator", scene.user("operator", "operator", &[]), 2),
        ("admin", scene.user("admin", "admin", &[]), 3),
        ("of-a-group", scene.user("of-a-group", "admin", &["--group", "client=acme"]), 3),
    ];
    let mut denied = 0;
    for (name, file, role) in who {
        for (rpc, least) in LEAST.iter().copied().chain([("Unheard", 4)]) {
            let code = scene.runtime.block_on(async {
                let channel = scene.channel(Shown::read(&file)).await.unwrap();
                call(channel, rpc).await
            });
            // it is about who is told what, on every host
            let is_of_all = name == "of-a-group" && rpc == "TestReceiver";
            let may = role >= least && !is_of_all;
            assert_eq!(code != Code::PermissionDenied, may, "{name} calls {rpc}: {code:?}");
            denied += usize::from(!may);
        }
    }
    let audit = scene.audit();
    assert_eq!(audit.iter().filter(|line| line.contains(" denied /plumb.query.v1.Query/")).count(), denied);
    assert!(audit.contains(&"user viewer denied /plumb.query.v1.Query/Approve 0".to_owned()), "{audit:#?}");
}

#[test]
fn whoever_has_no_certificate_of_a_user_gets_to_no_call() {
    let scene = Scene::start();
    let other = Scene::start();
    let foreign = Shown::read(&other.user("alice", "admin", &[]));
    let expired = Shown::read(&scene.expired());
    for (what, shown) in [("foreign", foreign), ("host", scene.host_certificate()), ("expired", expired)] {
        let error = scene.runtime.block_on(scene.channel(shown)).err().unwrap_or_else(|| panic!("{what} gets in"));
        assert!(format!("{error:#}").contains("refuses the connection"), "{what}: {error:#}");
    }
    let without = scene.runtime.block_on(async {
        use plumb_agent::deliver::tls::enroll_config;
        let time = Arc::new(TrustedTime::new(scene.clock.clone()));
        let config = enroll_config(scene.authority().pin().unwrap(), time).unwrap();
        let tls = connect("127.0.0.1", scene.port, "127.0.0.1", config).await?;
        channel(tls).await.map(drop)
    });
    assert!(format!("{:#}", without.unwrap_err()).contains("refuses the connection"));
    assert!(scene.audit().iter().all(|line| !line.contains("denied")), "they were not even heard");
}

#[test]
fn a_user_s_certificate_is_no_host_s() {
    let scene = Scene::start();
    let user = Shown::read(&scene.user("alice", "admin", &[]));
    let ingest = scene.collector.as_ref().unwrap().addresses().ingest.port();
    let error = scene.runtime.block_on(async {
        let time = Arc::new(TrustedTime::new(scene.clock.clone()));
        let config = ingest_config(&scene.root(), user.chain, user.key, time).unwrap();
        let tls = connect("127.0.0.1", ingest, "127.0.0.1", config).await?;
        channel(tls).await.map(drop)
    });
    assert!(format!("{:#}", error.unwrap_err()).contains("refuses the connection"));
}
