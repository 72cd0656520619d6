//! What may be asked from beside the writer.

use plumb_proto::model::{
    Block, ColumnDecl, ColumnType, Event, MetricType, Outcome, Payload, Role, Series, Severity, TableDecl,
};
use plumb_proto::record::{Epoch, HostId};

use super::bench::{Sender, at, bare, each_engine, event, fact, full, host_row, php, report};
use crate::store::rows::{Groups, HostState, Quarantined};
use crate::store::{EventFilter, FactFilter};

#[test]
fn a_reader_sees_what_is_committed_and_nothing_else() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        let mut reader = bench.ask();
        let record = web.seal(&full(1, vec![fact("fpm/8.2", "8.2.29")]));
        bench.tx(|tx| {
            web.take(tx, &record)?;
            assert!(reader.view(&web.host)?.tables.is_empty());
            Ok(())
        });
        assert_eq!(reader.view(&web.host).unwrap().tables["php"].rows.len(), 1);
        assert!(reader.view(&HostId([9; 16])).is_err());
    });
}

#[test]
fn facts_are_told_over_hosts_with_when_they_were_last_confirmed() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.29"), fact("cli/8.2", "8.2.29")]));
        web.send(bench, &bare(2));
        let mut other = host_row(2, "web2");
        other.groups = [("client".to_owned(), "bravo".to_owned())].into();
        bench.tx(|tx| tx.save_host(&other));
        Sender::new(other.id, Epoch([2; 16])).send(bench, &full(1, vec![fact("fpm/7.4", "7.4.33")]));
        let told = |bench: &mut super::bench::Bench, filter: &FactFilter| -> Vec<String> {
            let rows = bench.ask().facts("php", filter).unwrap();
            rows.iter().map(|(host, row)| format!("{} {} {}", host.name, row.fact.key, row.confirmed)).collect()
        };
        let (first, second) = (at(60).to_string(), at(120).to_string());
        let all = [format!("web1 cli/8.2 {second}"), format!("web1 fpm/8.2 {second}"), format!("web2 fpm/7.4 {first}")];
        assert_eq!(told(bench, &FactFilter::default()), all);
        let bravo = FactFilter { groups: other.groups.clone(), ..FactFilter::default() };
        assert_eq!(told(bench, &bravo), all[2..]);
        assert_eq!(told(bench, &FactFilter { host: Some(web.host), ..FactFilter::default() }), all[..2]);
        other.state = HostState::Retired;
        bench.tx(|tx| tx.save_host(&other));
        assert_eq!(told(bench, &FactFilter::default()), all[..2]);
        assert_eq!(bench.ask().facts("database", &FactFilter::default()).unwrap(), []);
    });
}

#[test]
fn an_outline_is_the_view_without_declarations_baselines_and_rates() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        let series = |name: &str, path: &str| Series {
            name: name.to_owned(),
            labels: [("mount".to_owned(), path.into())].into(),
        };
        let minute = |watcher: &str, start: i64, columns: Vec<(Series, MetricType, Vec<Option<f64>>)>| Block {
            watcher: watcher.to_owned(),
            times: vec![at(start), at(start + 10)],
            columns,
        };
        for number in 0..30_u8 {
            let value = |step: u8| Some(f64::from(number) * 10.0 + f64::from(step));
            let root = (series("disk_used_bytes", "/"), MetricType::Gauge, vec![value(0), value(1)]);
            let reads = (series("disk_reads_total", "/"), MetricType::Counter, vec![value(0), value(5)]);
            // not readable now and then; gone for long; gone a short time ago
            let odd = (series("disk_used_bytes", "/odd"), MetricType::Gauge, vec![value(0), None]);
            let mut columns = vec![root, reads, odd];
            columns.extend(
                (number < 3).then(|| (series("disk_used_bytes", "/long"), MetricType::Gauge, vec![value(0); 2])),
            );
            columns.extend(
                (number < 20).then(|| (series("disk_used_bytes", "/short"), MetricType::Gauge, vec![value(0); 2])),
            );
            let start = i64::from(number) * 60;
            let other =
                minute("system", start, vec![(series("load1", "-"), MetricType::Gauge, vec![value(0), value(2)])]);
            let mut told = full(u64::from(number) + 1, vec![fact("fpm/8.2", &format!("8.2.{number}"))]);
            told.blocks = vec![minute("disk", start, columns), other];
            web.send(bench, &told);
        }
        web.send(bench, &Payload { reports: vec![report(31, Outcome::Failed, Vec::new())], ..Payload::default() });
        let mut view = bench.ask().view(&web.host).unwrap();
        assert!(view.series["disk_reads_total"].values().all(|each| each.rate.is_some()));
        assert!(view.tables["php"].decl.is_some() && !view.tables["php"].baseline.is_empty());
        for table in view.tables.values_mut() {
            (table.decl, table.baseline, table.baselined) = Default::default();
        }
        for sampled in view.series.values_mut().flat_map(|of_name| of_name.values_mut()) {
            (sampled.risen, sampled.rate) = (None, None);
        }
        assert_eq!(bench.ask().outline(&web.host).unwrap(), view);
    });
}

#[test]
fn critical_events_about_plumb_itself_are_found_by_their_receipt() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        let critical =
            |kind: &str, seconds: i64| Event { severity: Severity::Critical, at: at(seconds), ..event(kind, kind) };
        let mut told = report(1, Outcome::Done, Vec::new());
        told.events = vec![critical("oom_kill", 0)];
        web.send(bench, &Payload { reports: vec![told], ..Payload::default() });
        for (kind, seconds) in [("fork", 10), ("chain_break", 20)] {
            bench.tx(|tx| tx.collector_event(&web.host, &critical(kind, seconds)));
        }
        bench.tx(|tx| tx.collector_event(&web.host, &event("gap", "gap")));
        let mut since = |seconds: i64| {
            let found = bench.tx(|tx| tx.critical_events(&HostId([1; 16]), at(seconds)));
            found.into_iter().map(|event| event.kind).collect::<Vec<_>>().join(" ")
        };
        assert_eq!([since(0), since(11), since(21)], ["fork chain_break", "chain_break", ""]);
    });
}

#[test]
fn events_are_told_once_in_order_of_receipt_and_can_be_followed() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.skew_ms = 5000;
        let mut told = report(1, Outcome::Done, Vec::new());
        told.events = vec![event("oom_kill", "one"), event("login", "two")];
        let mut again = report(2, Outcome::Done, Vec::new());
        again.events = vec![event("oom_kill", "three")];
        web.send(bench, &Payload { reports: vec![told, again], ..Payload::default() });
        bench.tx(|tx| tx.collector_event(&web.host, &event("gap", "four")));
        bench.tx(|tx| tx.collector_event(&web.host, &event("gap", "five")));
        let mut asked = |filter: EventFilter| {
            let events = bench.ask().events(&HostId([1; 16]), &filter).unwrap();
            events.iter().map(|(_, row)| row.event.text.to_string()).collect::<Vec<_>>().join(" ")
        };
        let all = EventFilter { limit: 100, ..EventFilter::default() };
        assert_eq!(asked(all.clone()), "one two three four five");
        assert_eq!(asked(EventFilter { limit: 2, ..all.clone() }), "four five");
        assert_eq!(asked(EventFilter { kind: Some("oom_kill".to_owned()), ..all.clone() }), "one three");
        assert_eq!(asked(EventFilter { since: Some(at(5)), ..all.clone() }), "four five");
        let rows = bench.ask().events(&web.host, &all).unwrap();
        let (number, second) = &rows[1];
        assert_eq!((second.id, second.watcher.as_str()), ((web.epoch, 1, 1), "php"));
        assert_eq!((&second.event.fields, second.event.at), (&event("login", "two").fields, at(0)));
        assert_eq!((rows[4].1.id, rows[4].1.watcher.as_str()), ((Epoch::default(), 2, 0), "collector"));
        let behind = EventFilter { after: Some(*number), limit: 2, ..all };
        let next = bench.ask().events(&web.host, &behind).unwrap();
        assert_eq!(next, rows[2..4]);
    });
}

#[test]
fn the_schema_names_each_table_as_most_hosts_declare_it() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![]));
        let mut other = bench.enrol(2, "web2");
        other.send(bench, &full(1, vec![]));
        assert_eq!(bench.ask().schema().unwrap(), [php()]);
        let column =
            ColumnDecl { name: "ini".to_owned(), kind: ColumnType::List, role: Role::State, doc: "x".to_owned() };
        let grown = TableDecl { columns: [php().columns, vec![column]].concat(), ..php() };
        web.send(bench, &Payload { tables: vec![grown.clone()], ..Payload::default() });
        assert_eq!(bench.ask().schema().unwrap(), [php()], "of two as common, the one known first");
        bench.enrol(3, "web3").send(bench, &Payload { tables: vec![grown.clone()], ..Payload::default() });
        assert_eq!(bench.ask().declarations(&Groups::new()).unwrap(), [(grown.clone(), 2), (php(), 1)]);
        assert_eq!(bench.ask().schema().unwrap(), std::slice::from_ref(&grown));
        let mut liar = host_row(3, "web3");
        liar.state = HostState::Revoked;
        bench.tx(|tx| tx.save_host(&liar));
        assert_eq!(bench.ask().declarations(&Groups::new()).unwrap(), [(php(), 1), (grown, 1)]);
        assert_eq!(bench.view(&other.host).tables["php"].decl, Some(php()));
        assert_eq!(bench.view(&web.host), bench.kept_view(&web.host));
    });
}

#[test]
fn what_belongs_to_no_chain_is_kept_aside_and_the_chain_stays_whole() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![]));
        let strange = Quarantined {
            host: web.host,
            epoch: web.epoch,
            seq: u64::MAX,
            hash: plumb_proto::record::Hash([5; 32]),
            reason: "fork".to_owned(),
            size: u64::MAX,
            head: vec![0; 9000],
        };
        bench.tx(|tx| tx.quarantine(&strange, at(1)).and_then(|()| tx.quarantine(&strange, at(2))));
        assert_eq!(bench.ask().verify().unwrap(), (1, vec![]));
    });
}
