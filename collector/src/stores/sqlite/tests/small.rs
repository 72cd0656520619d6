//! History that was made smaller is the same history.

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::model::{Block, MetricType, Payload, Series};
use plumb_proto::time::Timestamp;
use proptest::prelude::*;

use super::{Bench, KEEP, number};
use crate::history::{Asked, History};
use crate::store::Store;
use crate::store::rows::HostRow;
use crate::stores::contract::bench::{NOON, Sender, at, bare, block, commit, full, host_row};

fn tidy(bench: &mut Bench, now: Timestamp) {
    while commit(&mut bench.store, |tx| tx.tidy(now, &KEEP)).unwrap() {}
}

fn ask(bench: &Bench, sender: &Sender, metric: &str, step: u64, (since, until): (i64, i64)) -> History {
    let (since, until, step) = (at(since), at(until), Some(Duration::from_secs(step)));
    let asked = Asked { metric: metric.to_owned(), labels: BTreeMap::new(), since, until, step, raw: true };
    bench.store.questions().unwrap().history(&sender.host, &asked).unwrap()
}

/// Every sample there is of a metric, each second for itself.
fn samples(bench: &Bench, sender: &Sender, metric: &str, until: i64) -> Vec<(i64, u64)> {
    let mut found = Vec::new();
    for begin in (0..until).step_by(9_000) {
        for line in ask(bench, sender, metric, 1, (begin, begin + 8_999)).lines {
            let some =
                |(at, span): (Timestamp, Option<crate::history::Span>)| Some((at.millis(), span?.mean.to_bits()));
            found.extend(line.points.into_iter().filter_map(some));
        }
    }
    found.sort_unstable();
    found
}

fn minutes(bench: &mut Bench, sender: &mut Sender, from: i64, count: i64) {
    for minute in from..from + count {
        sender.received = at(minute * 60 + 60);
        let values: Vec<f64> = (0..6).map(|tick| (minute * 6 + tick) as f64 * 1.5).collect();
        bench.send(sender, &Payload { blocks: vec![block(minute * 60, &values)], ..Payload::default() });
    }
}

#[test]
fn hours_and_days_hold_the_very_samples_and_what_comes_late_joins_them() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    minutes(&mut bench, &mut web, 0, 130);
    let before = samples(&bench, &web, "disk_errors_total", 9_000);
    assert_eq!(before.len(), 130 * 6);
    tidy(&mut bench, at(135 * 60));
    let conn = bench.by_hand();
    assert_eq!(number(&conn, "SELECT count(*) FROM chunks WHERE span = 1"), 2);
    assert_eq!(number(&conn, "SELECT count(*) FROM chunks WHERE span = 0"), 10);
    assert_eq!(samples(&bench, &web, "disk_errors_total", 9_000), before);
    tidy(&mut bench, at(13 * 3_600));
    assert_eq!(number(&conn, "SELECT CAST(group_concat(span) AS INTEGER) FROM chunks"), 2);
    assert_eq!(samples(&bench, &web, "disk_errors_total", 9_000), before);
    // an hour that a host kept to itself until now
    web.received = at(14 * 3_600);
    let late = Payload { blocks: vec![block(150 * 60, &[7.25, 8.5])], ..Payload::default() };
    bench.send(&mut web, &late);
    tidy(&mut bench, at(15 * 3_600));
    assert_eq!(number(&conn, "SELECT CAST(group_concat(span) AS INTEGER) FROM chunks"), 2);
    let after = samples(&bench, &web, "disk_errors_total", 9_100);
    assert_eq!((after.len(), &after[..before.len()]), (before.len() + 2, before.as_slice()));
    assert_eq!(bench.verify(), (131, String::new()));
}

#[test]
fn a_host_that_was_merged_whole_is_known_after_a_restart() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    minutes(&mut bench, &mut web, 0, 20);
    let cached = bench.view(&web);
    tidy(&mut bench, at(13 * 3_600));
    assert_eq!(number(&bench.by_hand(), "SELECT count(*) FROM chunks WHERE span = 0"), 0);
    let loaded = bench.store.questions().unwrap().view(&web.host).unwrap();
    let newest = |view: &crate::view::HostView| {
        let (_, sampled) = view.series["disk_errors_total"].first_key_value().unwrap();
        (sampled.at, sampled.value)
    };
    assert_eq!(newest(&loaded), newest(&cached));
}

#[test]
fn old_samples_become_rollups_and_go_in_the_end() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    minutes(&mut bench, &mut web, 0, 10);
    tidy(&mut bench, at(4 * 86_400));
    let conn = bench.by_hand();
    assert_eq!(number(&conn, "SELECT CAST(group_concat(span) AS INTEGER) FROM chunks"), 3);
    let history = ask(&bench, &web, "disk_used_ratio", 300, (0, 600));
    let spans: Vec<_> = history.lines[0].points.iter().filter_map(|(_, span)| *span).collect();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| (span.mean, span.least, span.greatest) == (0.5, 0.5, 0.5)));
    tidy(&mut bench, at(10 * 86_400));
    assert_eq!(number(&conn, "SELECT count(*) FROM chunks"), 0);
    assert_eq!(bench.verify(), (10, String::new()));
}

#[test]
fn records_that_were_packed_still_answer_and_hold_and_a_payload_beside_them_is_checked() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let mut hashes = Vec::new();
    for look in 1..=40 {
        web.received = at(look * 60);
        bench.send(
            &mut web,
            &if look % 10 == 0 { full(look.unsigned_abs(), vec![]) } else { bare(look.unsigned_abs()) },
        );
        hashes.push(web.prev);
    }
    tidy(&mut bench, at(9 * 3_600));
    let conn = bench.by_hand();
    assert_eq!(number(&conn, "SELECT count(*) FROM ledger"), 1, "the newest stays");
    assert_eq!(number(&conn, "SELECT last - first + 1 FROM segments"), 39);
    for (seq, hash) in (1..).zip(&hashes) {
        let kept = commit(&mut bench.store, |tx| tx.record_hash(&web.host, &web.epoch, seq)).unwrap();
        assert_eq!(kept.as_ref(), Some(hash), "record {seq}");
    }
    assert_eq!(bench.verify(), (40, String::new()));
    conn.execute("UPDATE payloads SET payload = x'00' WHERE seq = 10", []).unwrap();
    assert!(bench.verify().1.ends_with("record 10: its payload was changed"));
    for (sql, why) in [
        ("DELETE FROM ledger", "records are never deleted"),
        ("DELETE FROM segments", "records are never deleted"),
        ("UPDATE segments SET records = zeroblob(9)", "records are never changed"),
    ] {
        assert_eq!(conn.execute(sql, []).unwrap_err().to_string(), why);
    }
    conn.execute_batch(
        "DROP TRIGGER segments_keep; DROP TRIGGER segments_stay; DELETE FROM payloads;
         CREATE TABLE kept AS SELECT * FROM segments",
    )
    .unwrap();
    for sql in [
        "UPDATE segments SET records = CAST(substr(records, 1, length(records) - 1) || x'00' AS BLOB)",
        "UPDATE segments SET records = x'01'",
        "UPDATE segments SET hash = zeroblob(32)",
        "UPDATE segments SET prev = zeroblob(32)",
        "UPDATE segments SET last = 38",
        "DELETE FROM segments",
    ] {
        conn.execute(sql, []).unwrap();
        let (_, faults) = super::super::verify::ledger(&conn).unwrap();
        assert!(faults.iter().any(|fault| fault.contains("record")), "{sql}: {faults:?}");
        conn.execute_batch("DELETE FROM segments; INSERT INTO segments SELECT * FROM kept").unwrap();
    }
    assert_eq!(bench.verify(), (40, String::new()));
}

#[test]
fn a_record_that_was_edited_before_it_is_packed_stays_and_is_named() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    (1..=5).for_each(|look| bench.send(&mut web, &bare(look)));
    let conn = bench.by_hand();
    conn.execute_batch("DROP TRIGGER ledger_stays; UPDATE ledger SET payload_hash = zeroblob(32) WHERE seq = 3")
        .unwrap();
    tidy(&mut bench, at(9 * 3_600));
    assert!(bench.verify().1.contains("record 3: its header, its hash or the record before it was changed"));
    assert_eq!(number(&conn, "SELECT count(*) FROM ledger WHERE seq = 3"), 1);
}

#[test]
fn a_chunk_that_cannot_be_read_is_set_aside_and_holds_nothing_up() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    minutes(&mut bench, &mut web, 0, 20);
    let conn = bench.by_hand();
    conn.execute("UPDATE chunks SET block = x'00' WHERE receipt = 3", []).unwrap();
    tidy(&mut bench, at(3 * 3_600));
    assert_eq!(number(&conn, "SELECT count(*) FROM chunks WHERE span = 9"), 1);
    assert_eq!(samples(&bench, &web, "disk_errors_total", 9_000).len(), 19 * 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_samples_are_the_same_to_the_bit_after_merging(
        blocks in prop::collection::vec((0i64..30_000, prop::collection::vec(prop::option::of(any::<i32>()), 1..9), 0u32..3), 1..30),
    ) {
        let mut bench = Bench::new();
        let host: HostRow = host_row(1, "web1");
        let mut web = bench.enrol(1);
        let mut wanted: BTreeMap<i64, f64> = BTreeMap::new();
        for (start, values, which) in blocks {
            // one sample a second, and each second once
            let times: Vec<i64> = (start..).filter(|second| !wanted.contains_key(second)).take(values.len()).collect();
            let values: Vec<Option<f64>> = values.iter().map(|value| value.map(|value| f64::from(value) / 7.0)).collect();
            let series = |name: &str| Series { name: name.to_owned(), labels: BTreeMap::new() };
            wanted.extend(times.iter().zip(&values).filter_map(|(at, value)| Some((*at, (*value)?))));
            let mut columns = vec![(series("one"), MetricType::Gauge, values.clone())];
            columns.extend((0..which).map(|n| (series(&format!("other{n}")), MetricType::Gauge, values.clone())));
            web.received = at(31_000);
            let block = Block { watcher: "w".to_owned(), times: times.iter().map(|second| at(*second)).collect(), columns };
            bench.send(&mut web, &Payload { blocks: vec![block], ..Payload::default() });
        }
        let expected: Vec<(i64, u64)> =
            wanted.iter().map(|(second, value)| (NOON.millis() + second * 1000, value.to_bits())).collect();
        for hours in [4, 13, 40] {
            tidy(&mut bench, at(hours * 3_600));
            prop_assert_eq!(&samples(&bench, &web, "one", 31_000), &expected, "{} after {} h", host.name, hours);
        }
    }
}

#[test]
fn no_time_that_a_host_may_name_stops_retention_or_keeps_samples_for_ever() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    web.received = at(60);
    for far in [i64::MIN, i64::MAX] {
        let mut told = block(0, &[1.0, 2.0]);
        told.times = vec![Timestamp::from_millis(far); 2];
        bench.send(&mut web, &Payload { blocks: vec![told], ..Payload::default() });
    }
    let conn = bench.by_hand();
    assert_eq!(number(&conn, "SELECT min(start_ms) FROM chunks"), 0);
    assert_eq!(number(&conn, "SELECT max(end_ms) FROM chunks"), at(60).millis());
    // as a store may have them that took them before
    conn.execute("UPDATE chunks SET start_ms = -9223372036854775808, end_ms = start_ms WHERE start_ms = 0", [])
        .unwrap();
    tidy(&mut bench, at(4 * 86_400));
    tidy(&mut bench, at(14 * 86_400));
    assert_eq!(number(&conn, "SELECT count(*) FROM chunks"), 0);
}

#[test]
fn what_cannot_be_made_smaller_holds_nothing_else_up() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    minutes(&mut bench, &mut web, 0, 20);
    let conn = bench.by_hand();
    conn.execute_batch(
        "CREATE TRIGGER damaged BEFORE DELETE ON sample_payloads BEGIN SELECT RAISE(ABORT, 'damaged'); END",
    )
    .unwrap();
    tidy(&mut bench, at(4 * 3_600));
    assert_eq!(number(&conn, "SELECT count(*) FROM sample_payloads"), 19);
    assert_eq!(number(&conn, "SELECT count(*) FROM chunks WHERE span = 0"), 0);
}

#[test]
fn a_store_of_before_is_brought_here_with_its_payloads_and_samples() {
    let folder = super::Folder::empty();
    let path = folder.file("db");
    let mut conn = rusqlite::Connection::open(&path).unwrap();
    crate::stores::migrate::migrate(&mut conn, &path, &crate::stores::migrate::SQLITE[..1]).unwrap();
    conn.execute_batch(
        "INSERT INTO hosts VALUES (1, zeroblob(16), 'web1', 'active', '{}', 0, NULL, 0, '', 1);
         INSERT INTO epochs VALUES (1, 1, zeroblob(16), 3, zeroblob(32), 0, 0, 0);
         INSERT INTO ledger SELECT 1, 1, 1, CAST(zeroblob(58) || x'01' || zeroblob(9) AS BLOB), zeroblob(32), zeroblob(32), 77, 0, NULL, x'aa';
         INSERT INTO ledger SELECT 2, 1, 2, CAST(zeroblob(58) || x'02' || zeroblob(9) AS BLOB), zeroblob(32), zeroblob(32), 78, 0, NULL, x'bb';
         INSERT INTO chunks VALUES (1, 'disk', 0, 1, 0, 5, 6, x'00');",
    )
    .unwrap();
    drop(conn);
    drop(super::Sqlite::open(&path).unwrap());
    let conn = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM sample_payloads WHERE payload = x'aa' AND received_ms = 77"), 1);
    assert_eq!(number(&conn, "SELECT count(*) FROM payloads WHERE payload = x'bb' AND seq = 2"), 1);
    assert_eq!(number(&conn, "SELECT received_ms FROM chunks"), 77);
    assert_eq!(number(&conn, "SELECT count(payload) FROM ledger"), 0);
    assert_eq!(number(&conn, "PRAGMA auto_vacuum"), 2);
}
