use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use plumb_agent::deliver::tls::{connect, enroll_config, key_hash};
use plumb_agent::deliver::trusted_time::TrustedTime;
use plumb_proto::frame::{Hello, Item, RetryCode, ToAgent, ToCollector};
use plumb_proto::generated::ingest as pb;
use plumb_proto::record::{Class, Epoch, Hash, Record};
use tokio::io::AsyncReadExt;

use crate::agent::{Host, Spool};
use crate::collector::Collector;
use crate::raw::{Raw, bytes, hello, raw_with, runtime};
use crate::{DAY, Folder, NOW, clock, eventually};

fn record(item: &Item) -> Record {
    match item {
        Item::Record(record) => record.clone(),
        Item::Tombstone(_) => unreachable!(),
    }
}

fn retry(frame: Option<ToAgent>) -> RetryCode {
    match frame {
        Some(ToAgent::Retry(retry)) => retry.code,
        other => panic!("{other:?} is no retry"),
    }
}

fn through(frame: Option<ToAgent>) -> u64 {
    match frame {
        Some(ToAgent::Ack(ack)) => ack.through,
        other => panic!("{other:?} is no ack"),
    }
}

/// Events of the host itself that were kept.
fn kept(collector: &mut Collector, host: &Host) -> usize {
    collector.events(host.enrolled.host).iter().filter(|row| row.watcher == "test").count()
}

/// A spool with one good record.
fn spool() -> Spool {
    let mut spool = Spool::new(Epoch([5; 16]));
    spool.event("good", NOW);
    spool
}

#[test]
fn a_record_that_cannot_be_read_is_kept_apart_told_and_acknowledged() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.spool().raw(Class::Facts, b"\xff\xff garbage");
    let mut bomb = host.spool().raw(Class::Facts, &[0; 100_000]);
    bomb.header.raw_len = 10; // what it opens to is ten thousand times as big
    host.spool().items.pop();
    host.spool().push(bomb);
    host.event("good");
    host.run();
    eventually("all is acknowledged", || host.spool().acked.0 == 3);
    let told = collector.events(host.enrolled.host).into_iter().filter(|row| row.watcher == "collector");
    let told: Vec<(String, u64)> = told.map(|row| (row.event.kind, row.event.count)).collect();
    assert_eq!(told, [("undecodable_record".to_owned(), 2)]);
    assert_eq!(kept(&mut collector, &host), 1);
    assert_eq!(collector.verify().1, Vec::<String>::new());
}

#[test]
fn a_record_that_does_not_follow_is_refused_kept_apart_and_told() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.event("good");
    let mut forged = host.spool().raw(Class::Facts, b"");
    forged.prev = Hash([9; 32]);
    host.spool().items.pop();
    host.spool().push(forged);
    host.event("behind it");
    host.run();
    eventually("observe is told to begin anew", || host.spool().forks > 0);
    host.stop();
    assert_eq!(collector.head(host.enrolled.host, host.spool().epoch).0, 2);
    assert!(collector.told(host.enrolled.host).contains(&"chain_break".to_owned()));
    assert_eq!(kept(&mut collector, &host), 1);
}

#[test]
fn a_replayed_record_is_acknowledged_and_changes_nothing() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let spool = spool();
    let mut raw = Raw::connect(&collector, &host);
    assert_eq!(raw.greet(hello(&collector, spool.epoch, 2)), 1);
    for _ in 0..3 {
        raw.batch(&spool.items);
        assert_eq!(through(raw.hear()), 1);
    }
    raw.batch(&[spool.items.clone(), spool.items.clone()].concat());
    assert_eq!(through(raw.hear()), 1);
    assert_eq!(kept(&mut collector, &host), 1);
    assert_eq!(collector.told(host.enrolled.host), [""; 0]);
}

#[test]
fn another_record_under_a_known_number_is_a_fork() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let (ours, mut theirs) = (spool(), Spool::new(Epoch([5; 16])));
    theirs.event("rewritten", NOW);
    let mut raw = Raw::connect(&collector, &host);
    raw.greet(hello(&collector, ours.epoch, 2));
    raw.batch(&ours.items);
    assert_eq!(through(raw.hear()), 1);
    raw.batch(&theirs.items);
    assert_eq!(retry(raw.hear()), RetryCode::Fork);
    assert_eq!(raw.hear(), None);
    assert_eq!(collector.told(host.enrolled.host), ["fork"]);
    assert_eq!(kept(&mut collector, &host), 1);
}

#[test]
fn a_state_that_was_set_back_is_a_fork_told_once() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let mut spool = spool();
    spool.event("more", NOW);
    let mut raw = Raw::connect(&collector, &host);
    raw.greet(hello(&collector, spool.epoch, 3));
    raw.batch(&spool.items);
    assert_eq!(through(raw.hear()), 2);
    for _ in 0..3 {
        let mut raw = Raw::connect(&collector, &host);
        raw.say(ToCollector::Hello(hello(&collector, spool.epoch, 2)));
        assert_eq!(retry(raw.hear()), RetryCode::Fork);
    }
    assert_eq!(collector.told(host.enrolled.host), ["fork"]);
}

#[test]
fn a_missing_record_is_asked_for() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let mut spool = spool();
    spool.event("two", NOW);
    spool.event("three", NOW);
    let mut raw = Raw::connect(&collector, &host);
    raw.greet(hello(&collector, spool.epoch, 4));
    raw.batch(&spool.items[1..]);
    assert_eq!(through(raw.hear()), 0);
    match raw.hear() {
        Some(ToAgent::Retry(retry)) => assert_eq!((retry.code, retry.resend_from), (RetryCode::Gap, 1)),
        other => panic!("{other:?}"),
    }
    raw.batch(&spool.items);
    assert_eq!(through(raw.hear()), 3);
}

#[test]
fn a_record_of_another_epoch_than_was_announced_is_not_taken() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let mut raw = Raw::connect(&collector, &host);
    raw.greet(hello(&collector, Epoch([6; 16]), 2));
    raw.batch(&spool().items);
    assert_eq!(retry(raw.hear()), RetryCode::Fork);
    assert_eq!(collector.told(host.enrolled.host), ["chain_break"]);
}

#[test]
fn frames_that_nobody_can_read_end_the_stream() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let good = hello(&collector, Epoch([5; 16]), 2);
    let begin = |frame: pb::ToCollector| {
        let mut raw = Raw::connect(&collector, &host);
        raw.say(frame);
        raw.hear()
    };
    let refused = |frame: pb::ToCollector| assert_eq!(retry(begin(frame)), RetryCode::Limit);
    refused(pb::ToCollector { kind: None });
    refused(ToCollector::Batch(spool().items).into());
    refused(ToCollector::Hello(Hello { first_seq: 0, ..good.clone() }).into());
    refused(ToCollector::Hello(Hello { first_seq: 3, ..good.clone() }).into());
    refused(ToCollector::Hello(Hello { acked_seq: 2, ..good.clone() }).into());
    refused(ToCollector::Hello(Hello { build: "x".repeat(65), ..good.clone() }).into());

    let within = |frame: pb::ToCollector| {
        let mut raw = Raw::connect(&collector, &host);
        raw.greet(good.clone());
        raw.say(frame);
        retry(raw.hear())
    };
    assert_eq!(within(ToCollector::Hello(good.clone()).into()), RetryCode::Limit);
    assert_eq!(within(ToCollector::Renew(vec![0; 9 << 10]).into()), RetryCode::Limit);
    let mut short = record(&spool().items[0]);
    short.payload.pop();
    assert_eq!(within(ToCollector::Batch(vec![Item::Record(short)]).into()), RetryCode::Limit);
    let many = vec![spool().items.remove(0); 65];
    assert_eq!(within(ToCollector::Batch(many).into()), RetryCode::Limit);
    assert_eq!(collector.head(host.enrolled.host, good.epoch).0, 1);
}

#[test]
fn a_message_that_is_too_big_is_not_read() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let mut raw = Raw::connect(&collector, &host);
    raw.greet(hello(&collector, Epoch([5; 16]), 2));
    raw.say(pb::ToCollector { kind: Some(pb::to_collector::Kind::Renew(pb::Renew { csr: vec![0; 2 << 20] })) });
    assert_eq!(raw.hear(), None);
}

#[test]
fn a_certificate_of_another_authority_does_not_get_through_the_handshake() {
    let (folder, clock) = (Folder::new(), clock());
    let ours = Collector::start(&folder.sub("ours"), &clock);
    let theirs = Collector::start(&folder.sub("theirs"), &clock);
    let native = Host::enroll(&ours, &folder.sub("native"));
    let foreign = Host::enroll(&theirs, &folder.sub("foreign"));
    let root = native.identity();
    let refused = |host: &Host| format!("{:#}", raw_with(&ours, &root, &host.identity()).err().unwrap());
    let said = refused(&foreign);
    assert!(said.contains("UnknownCA") || said.contains("DecryptError"), "{said}");
    clock.advance(DAY * 15);
    let said = refused(&native);
    assert!(said.contains("CertificateExpired"), "{said}");
}

#[test]
fn a_collector_of_another_authority_is_not_talked_to() {
    let (folder, clock) = (Folder::new(), clock());
    let ours = Collector::start(&folder.sub("ours"), &clock);
    let theirs = Collector::start(&folder.sub("theirs"), &clock);
    let host = Host::enroll(&ours, &folder.sub("host"));
    let said = format!("{:#}", raw_with(&theirs, &host.identity(), &host.identity()).err().unwrap());
    assert!(said.contains("invalid peer certificate"), "{said}");
}

#[test]
fn nobody_reports_without_a_certificate() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let pin = key_hash(&host.identity().root).unwrap();
    let config = enroll_config(pin, Arc::new(TrustedTime::new(clock))).unwrap();
    let error = runtime().block_on(async {
        let mut tls = connect("127.0.0.1", collector.ingest.port(), "localhost", config).await.unwrap();
        tls.read_u8().await.unwrap_err()
    });
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

/// The ClientHello of a client that knows nothing newer than TLS 1.2 (RFC 5246 section 7.4.1.2).
pub fn client_hello_of_tls_1_2() -> Vec<u8> {
    let mut hello = vec![3, 3]; // client_version
    hello.extend([7; 32]); // random
    hello.push(0); // session_id
    hello.extend([0, 2, 0xc0, 0x2b]); // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    hello.extend([1, 0]); // no compression
    let groups = [0, 10, 0, 4, 0, 2, 0, 23]; // secp256r1
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3]; // ecdsa_secp256r1_sha256
    hello.extend([0, 16]);
    hello.extend(groups);
    hello.extend(signatures);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[test]
fn tls_1_2_is_refused_by_name_on_both_listeners() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    for address in [collector.ingest, collector.enroll] {
        // a fatal alert, 70: protocol_version
        assert_eq!(bytes(address, &client_hello_of_tls_1_2()), [21, 3, 3, 0, 2, 2, 70]);
    }
}

#[test]
fn what_is_not_tls_is_closed() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    for address in [collector.ingest, collector.enroll] {
        let answer = bytes(address, b"GET / HTTP/1.1\r\nhost: collector\r\n\r\n");
        assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
    }
}

#[test]
fn an_address_has_sixteen_handshakes_at_a_time_and_the_next_is_let_go() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let silent: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(collector.enroll).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(bytes(collector.enroll, b""), b""); // closed at once, not after the time for a handshake
    drop(silent);
    eventually("a host can enrol again", || {
        let dir = folder.sub("host");
        let options = crate::agent::options(&collector, &dir, &collector.token(1));
        plumb_agent::deliver::identity::enroll::enroll(&options, clock.clone()).is_ok()
    });
}

#[test]
fn a_host_that_connects_and_says_nothing_is_hung_up_on() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let host = Host::enroll(&collector, &folder.sub("host"));
    let identity = host.identity();
    let time = Arc::new(TrustedTime::new(clock.clone()));
    let config =
        plumb_agent::deliver::tls::ingest_config(&identity.root, identity.chain.clone(), identity.key().unwrap(), time);
    runtime().block_on(async {
        let mut tls = connect("127.0.0.1", collector.ingest.port(), "localhost", config.unwrap()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await; // the collector lists it
        clock.advance(Duration::from_secs(11));
        let mut all = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(8), tls.read_to_end(&mut all)).await;
        assert!(ended.is_ok(), "it is still open");
    });
}
