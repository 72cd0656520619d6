use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use plumb_proto::time::SystemClock;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, Stream};

use super::*;

/// Somebody who listens, and does one thing with each of so many visitors.
fn listener(visitors: usize, serve: impl Fn(TcpStream) + Send + 'static) -> (Endpoint, Vec<Socket>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Ipv4Addr::LOCALHOST.into();
    let socket = Socket { protocol: "tcp", address, port, uid: 0, inode: 1, waiting: 0 };
    let thread = std::thread::spawn(move || (0..visitors).for_each(|_| serve(listener.accept().unwrap().0)));
    (Endpoint { address: None, port }, vec![socket], thread)
}

fn ask((endpoint, listening): (Endpoint, &[Socket])) -> Result<Vec<Vec<u8>>, ErrorKind> {
    let host = Host::new("/", Arc::new(SystemClock::new()));
    host.presented(endpoint, listening, Some("shop.example")).map_err(|error| error.kind)
}

/// What the hostile do is told within the time that a listener has.
fn answer_of(visitors: usize, serve: impl Fn(TcpStream) + Send + 'static) -> ErrorKind {
    let (endpoint, listening, _thread) = listener(visitors, serve);
    let begun = Instant::now();
    let answer = ask((endpoint, &listening));
    assert!(begun.elapsed() < 2 * PATIENCE + Duration::from_millis(500), "{:?}", begun.elapsed());
    answer.unwrap_err()
}

#[test]
fn a_server_of_tls_1_3_presents_its_chain_and_is_left_properly() {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let chain = vec![leaf.der().clone(), leaf.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let config = Arc::new(config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap());
    let (endpoint, listening, thread) = listener(1, move |mut socket| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut said = Vec::new();
        // An end without `close_notify` would be an error.
        assert_eq!(Stream::new(&mut tls, &mut socket).read_to_end(&mut said).unwrap(), 0);
        assert_eq!(tls.server_name(), Some("shop.example"));
    });
    let presented = ask((endpoint, &listening)).unwrap();
    assert_eq!(presented, [leaf.der().to_vec(), leaf.der().to_vec()]);
    thread.join().unwrap();
}

#[test]
fn a_server_that_wants_a_certificate_of_its_visitors_presents_its_own_first() {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(leaf.der().clone()).unwrap();
    let asks = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let config = config.unwrap().with_client_cert_verifier(asks.build().unwrap());
    let config = Arc::new(config.with_single_cert(vec![leaf.der().clone()], key).unwrap());
    let (endpoint, listening, thread) = listener(1, move |mut socket| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let _ = Stream::new(&mut tls, &mut socket).read_to_end(&mut Vec::new()); // it wants one, and there is none
    });
    assert_eq!(ask((endpoint, &listening)).unwrap(), [leaf.der().to_vec()]);
    thread.join().unwrap();
}

/// A server that speaks TLS 1.2 only, as far as its certificates; in records of so many bytes.
fn old_server(size: usize) -> impl Fn(TcpStream) {
    move |mut socket| {
        let mut hello = [0; 4_096];
        let read = socket.read(&mut hello).unwrap();
        // supported_versions, which TLS 1.3 is asked for by (RFC 8446, 4.2.1), is not understood: an alert, protocol_version.
        if hello[..read].windows(5).any(|each| each == [0x00, 0x2b, 0x00, 0x03, 0x02]) {
            return socket.write_all(&[21, 3, 1, 0, 2, 2, 70]).unwrap();
        }
        assert!(hello[..read].windows(12).any(|each| each == b"shop.example"));
        let message = |kind: u8, body: &[u8]| [&[kind, 0, 0, body.len() as u8][..], body].concat();
        let certificates = message(11, &[0, 0, 9, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0]);
        for part in [message(2, &[0; 40]), certificates, message(14, &[])].concat().chunks(size) {
            socket.write_all(&[22, 3, 3, 0, part.len() as u8]).unwrap();
            socket.write_all(part).unwrap();
        }
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, old::CLOSE);
    }
}

#[test]
fn an_older_server_is_asked_again_and_broken_off_after_its_certificates() {
    for size in [7, 200] {
        let (endpoint, listening, thread) = listener(2, old_server(size));
        assert_eq!(ask((endpoint, &listening)).unwrap(), [b"abc".to_vec(), vec![]]);
        thread.join().unwrap();
    }
}

#[test]
fn whoever_says_nothing_too_little_or_something_else_costs_two_seconds_at_most() {
    assert_eq!(
        answer_of(1, |socket| {
            std::thread::sleep(2 * PATIENCE);
            drop(socket)
        }),
        SILENT
    );
    let trickle = |mut socket: TcpStream| {
        let _ = socket.write_all(&[22, 3, 3, 0x3f, 0xff]);
        while socket.write_all(&[0]).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(answer_of(1, trickle), SILENT);
    let web = |mut socket: TcpStream| {
        let _ = socket.read(&mut [0; 1_024]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    };
    assert_eq!(answer_of(1, web), NOT_TLS);
    assert_eq!(answer_of(2, drop), BROKEN_OFF);
}

#[test]
fn of_a_server_without_an_end_a_bounded_part_is_taken() {
    let flood = |mut socket: TcpStream| {
        let _ = socket.read(&mut [0; 4_096]);
        // A message of 16 MiB in records of 16 KiB, as an older server would begin it.
        let mut record = vec![22, 3, 3, 0x40, 0, 11, 0xff, 0xff, 0xff];
        record.resize(5 + (16 << 10), 0);
        let _ = socket.write_all(&record);
        record[5..9].fill(0);
        for _ in 0..64 {
            let _ = socket.write_all(&record);
        }
    };
    let kind = answer_of(2, flood);
    assert!([TOO_MUCH, NOT_TLS, BROKEN_OFF].contains(&kind), "{kind:?}");
}

#[test]
fn messages_are_looked_at_once_however_many_records_bring_them() {
    let began = Instant::now();
    let hello = [22, 3, 3, 0, 4, 2, 0, 0, 0]; // an empty one
    assert_eq!(old::answer(&mut hello.repeat(300_000).as_slice()), Err(BROKEN_OFF));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn nobody_is_visited_where_nobody_listens_off_this_machine_and_below_a_root() {
    let (endpoint, listening, _thread) = listener(0, drop);
    let away = Socket { address: "192.0.2.7".parse().unwrap(), ..listening[0].clone() };
    let kind = ask((Endpoint::parse("192.0.2.7:443").unwrap(), &[Socket { port: 443, ..away }])).unwrap_err();
    assert_eq!(kind, ErrorKind::Io("not an address of this machine, so it is not visited"));
    assert_eq!(ask((endpoint, &[])), Err(ErrorKind::Io("nobody listens there")));
    assert_eq!(ask((endpoint, &listening)), Err(ErrorKind::Io("nobody listens there")), "it has gone since");
    let staged = Host::new("/tmp", Arc::new(SystemClock::new()));
    assert!(staged.presented(endpoint, &listening, None).is_err());
}

#[test]
fn listeners_are_found_as_servers_name_them() {
    let at = |text: &str| Endpoint::parse(text).map(|each| each.to_string());
    for (text, told) in [
        ("443", Some("port 443")),
        ("*:443", Some("port 443")),
        ("[::]:443", Some("port 443")),
        ("0.0.0.0:8443", Some("port 8443")),
        ("192.0.2.7:443", Some("192.0.2.7:443")),
        ("[2001:db8::7]:443", Some("[2001:db8::7]:443")),
        ("shop.example:443", Some("port 443")),
        ("unix:/run/x.sock", None),
        ("*:0", None),
        ("", None),
    ] {
        assert_eq!(at(text).as_deref(), told, "{text}");
    }
    let socket = |address: &str| Socket {
        protocol: "tcp",
        address: address.parse().unwrap(),
        port: 443,
        uid: 0,
        inode: 1,
        waiting: 0,
    };
    let pick = |text: &str, there: &[&str]| {
        let there: Vec<_> = there.iter().map(|each| socket(each)).collect();
        Endpoint::parse(text).unwrap().pick(&there).map(|each| each.to_string())
    };
    assert_eq!(pick("443", &["192.0.2.7", "::", "0.0.0.0"]).as_deref(), Some("127.0.0.1"));
    assert_eq!(pick("443", &["192.0.2.7", "::"]).as_deref(), Some("::1"));
    assert_eq!(pick("443", &["192.0.2.7"]).as_deref(), Some("192.0.2.7"));
    assert_eq!(pick("192.0.2.7:443", &["0.0.0.0"]).as_deref(), Some("192.0.2.7"));
    assert_eq!(pick("192.0.2.7:443", &["::"]).as_deref(), Some("192.0.2.7"));
    assert_eq!(pick("[2001:db8::7]:443", &["0.0.0.0"]), None);
    assert_eq!(pick("8443", &["0.0.0.0"]), None);
}
