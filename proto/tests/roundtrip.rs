//! Any payload survives the way onto the wire and back; any bytes are refused politely.

use std::collections::BTreeMap;

use plumb_proto::dictionary::Dictionary;
use plumb_proto::frame::{ToAgent, ToCollector};
use plumb_proto::generated::ingest as pb;
use plumb_proto::model::{
    Begin, Block, ColumnDecl, ColumnType, Event, Fact, MetricType, Outcome, Payload, Problem, Report, Role, Series,
    Severity, Slice, TableDecl, Tell, Value,
};
use plumb_proto::record::Class;
use plumb_proto::time::Timestamp;
use plumb_proto::wire::{decode, encode, encode_dictionary};
use proptest::prelude::*;
use prost::Message;

const KINDS: [ColumnType; 7] = [
    ColumnType::Text,
    ColumnType::Int,
    ColumnType::Real,
    ColumnType::Bool,
    ColumnType::Time,
    ColumnType::Version,
    ColumnType::List,
];

fn table() -> TableDecl {
    let column = |(position, kind): (usize, &ColumnType)| ColumnDecl {
        name: format!("column_{position}"),
        kind: *kind,
        role: if position % 2 == 0 { Role::State } else { Role::Moving },
        doc: "A column.".into(),
    };
    TableDecl { name: "things".into(), doc: "A thing.".into(), columns: KINDS.iter().enumerate().map(column).collect() }
}

fn value(kind: ColumnType) -> BoxedStrategy<Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    match kind {
        ColumnType::Text => bytes().prop_map(|b| Value::Text(b.into())).boxed(),
        ColumnType::Int => any::<i64>().prop_map(Value::Int).boxed(),
        ColumnType::Real => (-1e9..1e9f64).prop_map(Value::Real).boxed(),
        ColumnType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ColumnType::Time => any::<i64>().prop_map(|ms| Value::Time(Timestamp::from_millis(ms))).boxed(),
        ColumnType::Version => "[0-9.]{1,9}".prop_map(|v| Value::Version(v.into())).boxed(),
        ColumnType::List => prop::collection::vec(bytes(), 0..4)
            .prop_map(|l| Value::List(l.into_iter().map(Into::into).collect()))
            .boxed(),
    }
}

fn fact() -> impl Strategy<Value = Fact> {
    let cells: Vec<_> =
        KINDS.iter().map(|kind| prop::option::of(prop::result::maybe_ok(value(*kind), "[a-z ]{1,9}"))).collect();
    (prop::collection::vec(any::<u8>(), 1..9), cells).prop_map(|(key, cells)| {
        let mut fact = Fact { key: key.into(), source: "/proc/x".into(), ..Fact::default() };
        for (position, cell) in cells.into_iter().enumerate() {
            match cell {
                Some(Ok(value)) => drop(fact.fields.insert(format!("column_{position}"), value)),
                Some(Err(reason)) => drop(fact.unknown.insert(format!("column_{position}"), reason)),
                None => {}
            }
        }
        fact
    })
}

fn report() -> impl Strategy<Value = Report> {
    let slice = (
        prop::sample::select(vec![Tell::Delta, Tell::FullFirst, Tell::Full, Tell::FullLast, Tell::FullOnly]),
        prop::collection::vec(fact(), 0..5),
    )
        .prop_map(|(tell, facts)| Slice {
            table: "things".into(),
            tell,
            facts,
            gone: if tell == Tell::Delta { vec!["gone".into()] } else { Vec::new() },
        });
    let event = (any::<i32>(), any::<u64>()).prop_map(|(ms, count)| Event {
        at: Timestamp::from_millis(ms.into()),
        kind: "oom_kill".into(),
        severity: Severity::Critical,
        text: b"\x1b[2Jhostile\xff".as_slice().into(),
        fields: BTreeMap::from([("pid".to_owned(), Value::Int(7))]),
        count,
    });
    let outcome = prop::sample::select(vec![Outcome::Done, Outcome::More, Outcome::Absent, Outcome::Failed]);
    (outcome, any::<u64>(), prop::collection::vec(slice, 0..3), prop::collection::vec(event, 0..3)).prop_map(
        |(outcome, look, slices, events)| Report {
            watcher: "php".into(),
            look,
            at: Timestamp::from_secs(1_795_255_262),
            outcome,
            slices,
            events,
            problems: vec![Problem {
                table: "things".into(),
                key_prefix: "a".into(),
                path: "/a".into(),
                error: "permission denied".into(),
                hint: "grant it".into(),
            }],
        },
    )
}

fn block() -> impl Strategy<Value = Block> {
    (1usize..12, prop::collection::vec(prop::collection::vec(prop::option::of(-1e9..1e9f64), 12), 0..6)).prop_map(
        |(ticks, columns)| Block {
            watcher: "disk".into(),
            times: (0..ticks).map(|tick| Timestamp::from_secs(1_795_255_262 + tick as i64 * 10)).collect(),
            columns: columns
                .into_iter()
                .enumerate()
                .map(|(number, mut values)| {
                    values.truncate(ticks);
                    let labels = BTreeMap::from([("mount".to_owned(), format!("/{number}").into())]);
                    (Series { name: "disk_used_bytes".into(), labels }, MetricType::Gauge, values)
                })
                .collect(),
        },
    )
}

fn payload() -> impl Strategy<Value = Payload> {
    (prop::collection::vec(report(), 0..4), prop::collection::vec(block(), 0..3), any::<bool>()).prop_map(
        |(reports, blocks, first)| Payload {
            begin: first.then(|| Begin {
                old_epoch: [1; 16],
                old_seq: 2,
                old_hash: [3; 32],
                reason: "first start".into(),
            }),
            tables: vec![table()],
            reports,
            blocks,
        },
    )
}

proptest! {
    #[test]
    fn any_payload_survives(first in payload(), mut second in payload()) {
        let (mut host, mut collector) = (Dictionary::default(), Dictionary::default());
        let (raw, class) = encode(&first, &mut host).unwrap();
        prop_assert_eq!(class, Class::Declarations);
        prop_assert_eq!(&decode(&raw, &mut collector).unwrap(), &first);
        // the second time the table is known: it is not declared again
        let (raw, _) = encode(&second, &mut host).unwrap();
        second.tables.clear();
        prop_assert_eq!(&decode(&raw, &mut collector).unwrap(), &second);
        prop_assert_eq!(host.digest(), collector.digest());
        // a collector that lost its dictionary gets it in one piece
        let mut anew = Dictionary::default();
        decode(&encode_dictionary(&host), &mut anew).unwrap();
        prop_assert_eq!(anew.digest(), host.digest());
        // and so does an agent from what it kept
        let mut kept = Dictionary::default();
        kept.restore(&host.declared_since(Dictionary::default().mark()).unwrap()).unwrap();
        prop_assert_eq!(kept.digest(), host.digest());
    }

    #[test]
    fn any_bytes_are_refused_politely_and_leave_the_dictionary_alone(good in payload(), at in any::<prop::sample::Index>(), byte in any::<u8>(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut dictionary = Dictionary::default();
        let _ = decode(&noise, &mut dictionary);
        let (mut raw, _) = encode(&good, &mut Dictionary::default()).unwrap();
        *at.get_mut(&mut raw) = byte;
        let mut dictionary = Dictionary::default();
        if decode(&raw, &mut dictionary).is_err() {
            prop_assert_eq!(dictionary.digest(), Dictionary::default().digest());
        }
        let _ = pb::ToCollector::decode(noise.as_slice()).map(ToCollector::try_from);
        let _ = pb::ToAgent::decode(noise.as_slice()).map(ToAgent::try_from);
    }
}

#[test]
fn what_is_taken_back_is_not_declared() {
    let payload = Payload { tables: vec![table()], ..Payload::default() };
    let mut dictionary = Dictionary::default();
    let mark = dictionary.mark();
    encode(&payload, &mut dictionary).unwrap();
    dictionary.roll_back(mark);
    assert_eq!(dictionary.digest(), Dictionary::default().digest());
    assert_eq!(encode(&payload, &mut dictionary).unwrap().1, Class::Declarations);
}

#[test]
fn a_report_that_only_confirms_is_droppable() {
    let bare = Report {
        watcher: "php".into(),
        look: 3,
        at: Timestamp::from_secs(1),
        outcome: Outcome::Done,
        slices: Vec::new(),
        events: Vec::new(),
        problems: Vec::new(),
    };
    let payload = Payload { reports: vec![bare], ..Payload::default() };
    assert_eq!(encode(&payload, &mut Dictionary::default()).unwrap().1, Class::Samples);
}

#[test]
fn a_name_that_could_forge_a_query_or_a_screen_is_refused() {
    let mut table = table();
    table.name = "things; drop".into();
    let (raw, _) = encode(&Payload { tables: vec![table], ..Payload::default() }, &mut Dictionary::default()).unwrap();
    assert!(decode(&raw, &mut Dictionary::default()).is_err());
}
