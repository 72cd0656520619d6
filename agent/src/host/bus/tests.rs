use std::fmt::Write as _;
use std::thread;

use plumb_proto::time::SystemClock;
use proptest::prelude::*;

use super::message::{decode, size};
use super::*;

/// As many zeros as it takes to the next multiple of `to`.
fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

/// An answer as a bus sends it: header fields REPLY_SERIAL, DESTINATION, SENDER and SIGNATURE.
fn answer(kind: u8, serial: u32, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(serial.to_le_bytes());
    fields.extend([6, 1, b's', 0]);
    text(&mut fields, ":1.7");
    pad(&mut fields, 8);
    if kind == 3 {
        fields.extend([4, 1, b's', 0]);
        text(&mut fields, "org.freedesktop.DBus.Error.AccessDenied");
        pad(&mut fields, 8);
    }
    fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap()]);
    fields.extend(signature.as_bytes());
    fields.push(0);
    let mut message = vec![b'l', kind, 1, 1];
    message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    message.extend(9_u32.to_le_bytes());
    message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

/// Two units as `ListUnits` answers them.
fn two_units() -> Vec<u8> {
    let mut list = Vec::new();
    for (name, active, sub, job) in
        [("nginx.service", "active", "running", ""), ("logrotate.service", "failed", "failed", "start")]
    {
        pad(&mut list, 8);
        for each in [name, "What it is", "loaded", active, sub, "", "/org/freedesktop/systemd1/unit/x"] {
            text(&mut list, each);
        }
        pad(&mut list, 4);
        list.extend(u32::from(!job.is_empty()).to_le_bytes());
        text(&mut list, job);
        text(&mut list, "/");
    }
    let mut body = u32::try_from(list.len()).unwrap().to_le_bytes().to_vec();
    pad(&mut body, 8);
    body.extend(list);
    body
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// A bus that lets us in, answers `Hello`, and then sends `bytes`.
fn peer(bytes: Vec<u8>) -> Result<Bus, BusError> {
    let (own, mut other) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut got = [0; 1_024];
        let count = other.read(&mut got).unwrap();
        assert!(got[..count].starts_with(b"\0AUTH EXTERNAL 3"), "the digits of the uid are 30 to 39");
        other.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        let count = other.read(&mut got).unwrap();
        assert!(got[..count].starts_with(b"BEGIN\r\n"));
        let mut name = Vec::new();
        text(&mut name, ":1.7");
        other.write_all(&answer(2, 1, "s", &name)).unwrap();
        // A signal comes in between, as a bus sends NameAcquired.
        other.write_all(&answer(4, 0, "s", &name)).unwrap();
        let _ = other.write_all(&bytes);
        while other.read(&mut got).is_ok_and(|count| count > 0) {}
    });
    Bus::over(own, false, &clock())
}

fn listed(bytes: Vec<u8>) -> String {
    let mut lines = String::new();
    let told = peer(bytes).unwrap().units(&mut |unit| {
        let words = [unit.name, unit.load, unit.active, unit.sub, unit.job].map(String::from_utf8_lossy);
        writeln!(lines, "{}", words.join(" ")).unwrap();
    });
    told.map_or_else(|error| error.to_string(), |()| lines)
}

#[test]
fn units_are_read_from_an_answer_between_signals() {
    assert_eq!(
        listed(answer(2, 2, "a(ssssssouso)", &two_units())),
        "nginx.service loaded active running \nlogrotate.service loaded failed failed start\n"
    );
}

#[test]
fn what_is_asked_is_as_the_specification_has_it() {
    let call = Call { destination: "a.b", path: "/a", interface: "a.b", member: "Get", arguments: &["x", "yz"] };
    let bytes = call.encode(7, false);
    let expected: &[u8] = b"l\x01\x00\x01\x0f\x00\x00\x00\x07\x00\x00\x00\x48\x00\x00\x00\
        \x01\x01o\x00\x02\x00\x00\x00/a\x00\x00\x00\x00\x00\x00\
        \x02\x01s\x00\x03\x00\x00\x00a.b\x00\x00\x00\x00\x00\
        \x03\x01s\x00\x03\x00\x00\x00Get\x00\x00\x00\x00\x00\
        \x06\x01s\x00\x03\x00\x00\x00a.b\x00\x00\x00\x00\x00\
        \x08\x01g\x00\x02ss\x00\
        \x01\x00\x00\x00x\x00\x00\x00\x02\x00\x00\x00yz\x00";
    assert_eq!(bytes, expected);
    assert_eq!(size(bytes.first_chunk().unwrap()).unwrap(), bytes.len());
    let direct = call.encode(7, true);
    assert_eq!(direct.len() + 16, bytes.len(), "a peer without a name is not named");
}

#[test]
fn an_error_and_an_answer_of_another_type_are_errors() {
    assert_eq!(listed(answer(3, 2, "", b"")), "the system bus answers org.freedesktop.DBus.Error.AccessDenied");
    assert!(listed(answer(2, 2, "s", b"")).contains("another type"));
    let mut cut = two_units();
    cut.truncate(cut.len() - 8);
    assert!(listed(answer(2, 2, "a(ssssssouso)", &cut)).contains("beyond the end"));
    assert!(listed(b"B\x02\x00\x01aaaabbbbcccc".to_vec()).contains("not little-endian"));
    let huge = [b"l\x02\x00\x01".as_slice(), &u32::MAX.to_le_bytes(), &[0; 8]].concat();
    assert!(listed(huge).contains("more than is taken"));
}

#[test]
fn a_bus_that_says_nothing_is_given_up_in_time() {
    let (own, _other) = UnixStream::pair().unwrap();
    let clock = clock();
    let before = clock.monotonic();
    assert!(matches!(Bus::over(own, false, &clock), Err(BusError::Broken(_))));
    assert!(clock.monotonic() - before < Duration::from_secs(4));
}

#[test]
fn a_host_in_a_folder_has_no_bus() {
    let folder = std::env::temp_dir();
    let host = Host::new(folder, clock());
    assert!(matches!(host.bus(), Err(BusError::Staged)));
}

#[test]
fn the_bus_of_this_machine_is_asked_if_there_is_one() {
    let host = Host::new("/", clock());
    let there = host.stat(SYSTEM_BUS).is_ok() && host.stat("/run/systemd/system").is_ok();
    let mut count = 0;
    match host.bus() {
        Ok(mut bus) if there => {
            bus.units(&mut |unit| count += usize::from(!unit.name.is_empty())).unwrap();
            assert!(count > 10, "{count} units");
        }
        Ok(_) => {}
        Err(error) => assert!(!there, "{error}"),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = decode(&bytes);
        let _ = units(&bytes, &mut |_| {});
        // Behind a header that is right, too.
        let body = answer(2, 2, "a(ssssssouso)", &bytes);
        prop_assert_eq!(decode(&body).unwrap().outcome.unwrap(), &bytes[..]);
    }

    #[test]
    fn an_answer_with_any_byte_changed_is_survived(at in 0_usize..600, byte: u8) {
        let mut message = answer(2, 2, "a(ssssssouso)", &two_units());
        let at = at % message.len();
        message[at] = byte;
        if let Ok(reply) = decode(&message) && let Ok(body) = reply.outcome {
            let mut names = 0;
            let _ = units(body, &mut |unit| names += unit.name.len());
            prop_assert!(names <= message.len());
        }
    }
}

#[test]
fn who_is_no_root_on_a_host_without_a_bus_is_told_what_to_install() {
    let connect = |kind: io::ErrorKind| BusError::Connect { path: SYSTEM_BUS, source: kind.into() };
    let said = without(connect(io::ErrorKind::NotFound)).to_string();
    assert_eq!(said, "/run/dbus/system_bus_socket: not found; install dbus: systemd's own socket answers root only");
    assert!(matches!(without(connect(io::ErrorKind::PermissionDenied)), BusError::Connect { .. }));
}
