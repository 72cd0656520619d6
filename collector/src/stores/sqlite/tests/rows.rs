//! Rows as somebody with a shell sees them, and what comes of it when he changes them.

use plumb_proto::model::{Block, Event, Outcome, Payload, Severity, Tell};
use plumb_proto::record::Hash;
use plumb_proto::time::Timestamp;

use super::super::{expire, samples};
use super::{Bench, KEEP, number};
use crate::retention;
use crate::store::rows::Quarantined;
use crate::store::{Questions, Store};
use crate::stores::contract::bench::{at, bare, block, commit, event, fact, full, report, say, slice};
use crate::view::HostView;

#[test]
fn rows_that_change_or_go_are_history_with_from_and_to() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    bench.send(&mut web, &full(1, vec![fact("fpm/8.2", "8.2.28"), fact("cli/8.2", "8.2.28")]));
    bench.send(&mut web, &bare(2));
    bench.send(&mut web, &full(3, vec![fact("fpm/8.2", "8.2.29")]));
    bench.send(&mut web, &full(4, vec![fact("fpm/8.2", "8.2.29"), fact("cli/8.2", "8.2.28")]));
    let start = full(0, vec![]).reports[0].at.millis();
    let conn = bench.by_hand();
    let mut statement = conn
        .prepare(
            "SELECT CAST(key AS TEXT), (since_ms - ?1) / 60000, (until_ms - ?1) / 60000 FROM fact_history
             UNION ALL SELECT CAST(key AS TEXT), (since_ms - ?1) / 60000, NULL FROM facts ORDER BY 1, 2",
        )
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows = statement.query_map([start], row).unwrap().collect::<Result<Vec<(String, i64, Option<i64>)>, _>>();
    let told = |key: &str, since, until| (key.to_owned(), since, until);
    assert_eq!(
        rows.unwrap(),
        [told("cli/8.2", 1, Some(3)), told("cli/8.2", 4, None), told("fpm/8.2", 1, Some(3)), told("fpm/8.2", 3, None)]
    );
}

#[test]
fn what_is_done_again_and_again_finds_its_rows_by_an_index() {
    let bench = Bench::new();
    let conn = bench.by_hand();
    for sql in [&[expire::OVER, expire::MESSAGES, samples::WATCHERS], expire::OF_A_DRIFT.as_slice()].concat() {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            let whole = ["drifts", "messages", "message_alerts", "chunks"].map(|table| format!("SCAN {table}"));
            assert!(!whole.contains(&step), "{sql}: {step}");
        }
    }
}

#[test]
fn the_watchers_of_a_host_are_found_without_reading_all_its_chunks() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    bench.send(&mut web, &Payload { blocks: vec![block(0, &[1.0])], ..bare(1) });
    let conn = bench.by_hand();
    conn.execute_batch(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
         INSERT INTO chunks SELECT host, iif(n % 2, 'disk', 'php'), span, 9 + n, position, start_ms, end_ms, received_ms, block
         FROM chunks, n",
    )
    .unwrap();
    let mut statement = conn.prepare(samples::WATCHERS).unwrap();
    let found = statement.query_map([1], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
    assert_eq!(found, ["disk", "php"]);
    let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
    assert!(steps < 300, "{steps}");
}

#[test]
fn critical_events_of_other_watchers_are_not_walked_through() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let mut told = report(1, Outcome::Done, vec![]);
    told.events = (0..500).map(|_| Event { severity: Severity::Critical, ..event("oom_kill", "php") }).collect();
    bench.send(&mut web, &say(told));
    let own = Event::new("fork", Severity::Critical, "record 7", at(0));
    bench.store.commit(&mut |tx| tx.collector_event(&web.host, &own)).unwrap();
    let told = commit(&mut bench.store, |tx| tx.critical_events(&web.host, at(-60))).unwrap();
    assert_eq!(told.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["fork"]);
    let all = "SELECT no FROM events INDEXED BY events_critical WHERE severity = 3";
    assert!(bench.by_hand().prepare(all).unwrap_err().to_string().starts_with("no query solution"));
}

#[test]
fn watchers_without_number_leave_no_samples_behind() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let blocks = (0..200).map(|number| Block { watcher: format!("w{number}"), ..block(0, &[1.0]) }).collect();
    bench.send(&mut web, &Payload { blocks, ..Payload::default() });
    bench.send(&mut web, &Payload { blocks: vec![block(60, &[1.0])], ..bare(2) });
    assert_eq!(number(&bench.by_hand(), "SELECT count(DISTINCT watcher) FROM chunks"), 64);
}

#[test]
fn a_clock_that_went_back_makes_no_row_that_ends_before_it_began() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    bench.send(&mut web, &full(9, vec![fact("fpm/8.2", "8.2.28")]));
    web.skew_ms = 3_600_000;
    bench.send(&mut web, &full(10, vec![fact("fpm/8.2", "8.2.29")]));
    assert_eq!(number(&bench.by_hand(), "SELECT count(*) FROM fact_history WHERE until_ms = since_ms"), 1);
}

#[test]
fn a_look_that_confirms_a_thousand_facts_writes_three_rows_and_its_samples_one_more() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let facts = (0..1000).map(|i| fact(&format!("fpm/{i}"), "8.2.29")).collect();
    bench.send(&mut web, &full(1, facts));
    bench.send(&mut web, &Payload { blocks: vec![block(0, &[1.0, 2.0])], ..bare(2) });
    let mut cost = |payload: &Payload| {
        let before = bench.store.conn.total_changes();
        bench.send(&mut web, payload);
        bench.store.conn.total_changes() - before
    };
    // ledger, payload, head, look
    assert_eq!(cost(&bare(3)), 4);
    // ... and chunk; a counter that goes on growing is not written down each time
    assert_eq!(cost(&Payload { blocks: vec![block(60, &[3.0, 4.0])], ..bare(4) }), 5);
}

#[test]
fn history_cannot_be_changed_by_a_statement_gone_astray() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    bench.send(&mut web, &full(1, vec![]));
    let gap = web.drop_run(2);
    bench.store.commit(&mut |tx| tx.append_gap(&web.host, &web.epoch, &gap, Timestamp::from_secs(9))).unwrap();
    let conn = bench.by_hand();
    for (sql, why) in [
        ("DELETE FROM ledger", "records are never deleted"),
        ("UPDATE ledger SET hash = zeroblob(32)", "records are never changed"),
        ("DELETE FROM gaps", "gaps are never deleted"),
        ("UPDATE gaps SET last = 9", "gaps are never changed"),
    ] {
        assert_eq!(conn.execute(sql, []).unwrap_err().to_string(), why);
    }
    conn.execute_batch("DELETE FROM payloads; DELETE FROM sample_payloads").unwrap();
    assert_eq!(bench.verify(), (2, String::new()));
}

#[test]
fn verify_names_whatever_was_edited_by_hand() {
    let entry = crate::store::rows::AuditEntry {
        at: Timestamp::from_secs(1),
        who: "uid 0".to_owned(),
        action: "approve".to_owned(),
        subject: "web1".into(),
        allowed: true,
        detail: String::new(),
    };
    let edited = |sql: &str| {
        let mut bench = Bench::new();
        let mut web = bench.enrol(1);
        (1..=3).for_each(|look| bench.send(&mut web, &full(look, vec![])));
        let gap = web.drop_run(2);
        bench.store.commit(&mut |tx| tx.append_gap(&web.host, &web.epoch, &gap, Timestamp::from_secs(9))).unwrap();
        bench.send(&mut web, &bare(4));
        (0..3).for_each(|_| bench.store.commit(&mut |tx| tx.audit(&entry)).unwrap());
        let conn = bench.by_hand();
        for trigger in ["ledger_keeps", "ledger_stays", "gaps_keep", "gaps_stay", "audit_keeps", "audit_stays"] {
            conn.execute(&format!("DROP TRIGGER {trigger}"), []).unwrap();
        }
        conn.execute_batch(sql).unwrap();
        let (links, faults) = bench.verify();
        (links, faults.replace(&format!("host web1, epoch {}: ", web.epoch), ""))
    };
    let record = "its header, its hash or the record before it was changed";
    let audit = "it, its hash or the entry before it was changed";
    let cases = [
        ("SELECT 1", 8, String::new()),
        ("UPDATE payloads SET payload = x'00' WHERE seq = 2", 7, "record 2: its payload was cut".to_owned()),
        (
            "UPDATE payloads SET payload = zeroblob(length(payload)) WHERE seq = 2",
            7,
            "record 2: its payload was changed".to_owned(),
        ),
        ("DELETE FROM ledger WHERE seq = 2", 6, format!("record 2 is missing\nrecord 3: {record}")),
        ("DELETE FROM ledger WHERE seq = 6", 7, "it ends at 5, its head says 6".to_owned()),
        ("DELETE FROM gaps", 6, format!("record 4 to 5 is missing\nrecord 6: {record}")),
        ("UPDATE gaps SET last = 4", 8, "record 5 is missing".to_owned()),
        ("UPDATE epochs SET next_seq = 3", 5, "its head has another hash than its last record".to_owned()),
        ("UPDATE audit SET who = 'nobody' WHERE no = 2", 7, format!("audit: entry 2: {audit}")),
        ("DELETE FROM audit WHERE no = 2", 6, format!("audit: entry 2 is missing\naudit: entry 3: {audit}")),
        ("DELETE FROM audit WHERE no = 3", 7, "audit: it ends at entry 2, its head says 3".to_owned()),
    ];
    for (sql, links, faults) in cases {
        assert_eq!(edited(sql), (links, faults), "{sql}");
    }
}

#[test]
fn quarantine_keeps_each_record_once_and_the_newest_of_many() {
    let mut bench = Bench::new();
    let web = bench.enrol(1);
    for seq in 0..300u64 {
        let head = vec![0; 9000];
        let (hash, reason) = (Hash([5; 32]), "fork".to_owned());
        let what = Quarantined { host: web.host, epoch: web.epoch, seq, hash, reason, size: 9000, head };
        bench.store.commit(&mut |tx| (0..2).try_for_each(|_| tx.quarantine(&what, Timestamp::from_secs(1)))).unwrap();
    }
    let conn = bench.by_hand();
    assert_eq!(number(&conn, "SELECT count(*) FROM quarantine"), 256);
    assert_eq!(number(&conn, "SELECT count(*) FROM quarantine WHERE seq < x'000000000000002c'"), 0);
    assert_eq!(number(&conn, "SELECT max(length(head)) FROM quarantine"), 4096);
}

#[test]
fn what_cannot_be_opened_is_kept_short_with_its_reason() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let mut record = web.seal(&say(report(1, Outcome::Done, vec![slice(Tell::FullOnly, vec![])])));
    record.payload = (0..90_000u32).flat_map(u32::to_be_bytes).collect();
    record.payload.truncate(200_000);
    record.header.payload_len = 200_000;
    bench
        .store
        .commit(&mut |tx| {
            tx.append(&crate::store::Incoming {
                host: &web.host,
                record: &record,
                payload: Err("no zstd"),
                declared: None,
                received: Timestamp::from_secs(1),
                skew_ms: 0,
            })
            .map(drop)
        })
        .unwrap();
    let conn = bench.by_hand();
    assert_eq!(number(&conn, "SELECT length(payload) FROM ledger WHERE reason = 'no zstd'"), 4096);
    assert_eq!(bench.verify(), (1, String::new()));
}

#[test]
fn no_text_of_a_host_is_ever_a_statement() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let hostile = "x'); DROP TABLE facts; --";
    let mut told = report(1, Outcome::Done, vec![slice(Tell::FullOnly, vec![fact(hostile, hostile)])]);
    told.events = vec![event("login", hostile)];
    bench.send(&mut web, &say(told));
    let mut reader: Box<dyn Questions> = bench.store.questions().unwrap();
    assert_eq!(reader.view(&web.host).unwrap().row("php", &hostile.into()).unwrap().fact, fact(hostile, hostile));
}

#[test]
fn payloads_of_facts_are_dropped_a_day_after_their_receipt_and_the_chain_holds() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    bench.send(&mut web, &full(1, vec![fact("fpm/8.2", "8.2.29")]));
    bench.send(&mut web, &bare(2));
    web.received = at(10);
    bench.send(&mut web, &full(3, vec![]));
    let conn = bench.by_hand();
    let day = 24 * 3600;
    for (now, kept) in [(day, 2), (day + 1, 1), (day + 1, 1), (day + 11, 0)] {
        assert!(!commit(&mut bench.store, |tx| retention::sweep(tx, at(now), &KEEP)).unwrap());
        assert_eq!(
            number(&conn, "SELECT (SELECT count(*) FROM payloads) + (SELECT count(*) FROM sample_payloads)"),
            kept
        );
        assert_eq!(bench.verify(), (3, String::new()));
    }
}

#[test]
fn a_counter_that_grew_long_ago_is_remembered_over_a_restart() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let mut send = |start: i64, values: &[f64]| {
        bench.send(&mut web, &Payload { blocks: vec![block(start, values)], ..Payload::default() });
    };
    send(0, &[1.0, 2.0]);
    (1..40).for_each(|minute| send(minute * 60, &[2.0, 2.0]));
    let risen = |view: &HostView| {
        let (_, errors) = view.series["disk_errors_total"].first_key_value().unwrap();
        errors.risen
    };
    let cached = bench.view(&web);
    let loaded = bench.store.questions().unwrap().view(&web.host).unwrap();
    assert_eq!((risen(&cached), risen(&loaded)), (Some(at(10)), Some(at(10))));
}
