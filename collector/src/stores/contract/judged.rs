//! Drifts, approvals, alerts, messages, audit.

use std::time::Duration;

use plumb_proto::model::{Series, Severity};
use plumb_proto::record::{Hash, HostId};
use plumb_proto::time::Timestamp;

use super::bench::{Bench, at, bare, each_engine, fact, full, host_row};
use crate::alert::Transitions;
use crate::drift::{Drift, DriftState, Kind, KnownDrift, Subject, identity};
use crate::store::rows::{Alert, AuditEntry, Delivery, Message, TransitionKind};
use crate::store::{Approval, DriftFilter, Keep};

fn drift(id: u64, host: u8, severity: Severity, since: i64, subject: Subject) -> KnownDrift {
    let host = HostId([host; 16]);
    KnownDrift {
        id,
        drift: Drift {
            identity: identity(&host, Kind::Policy, "disk_full", &subject),
            host,
            kind: Kind::Policy,
            severity,
            subject,
            rule: "disk_full".to_owned(),
            title: format!("drift {id}"),
            expected: Some("< 90 %".to_owned()),
            actual: None,
            cause: None,
            hint: Some("delete something".to_owned()),
            hold: Duration::from_secs(60),
            calm: Duration::from_millis(1),
            since: id.is_multiple_of(2).then(|| at(since)),
        },
        state: DriftState::Open,
        since: at(since),
        opened: Some(at(since + 60)),
        closed: None,
        calm_since: None,
        unknown: None,
        transition: 1,
        alerted: Some(at(since + 60)),
        silenced: false,
        note: None,
    }
}

fn alert(drift: u64, transition: u32) -> Alert {
    Alert {
        drift,
        transition,
        kind: TransitionKind::Opened,
        at: at(60),
        host: "web1".to_owned(),
        groups: [("client".to_owned(), "acme".to_owned())].into(),
        severity: Severity::Critical,
        body: "{\"id\":1}".to_owned(),
    }
}

fn keep(bench: &mut Bench, drifts: &[KnownDrift], alerts: &[Alert]) {
    let decided = Transitions { drifts: drifts.to_vec(), alerts: alerts.to_vec(), ..Transitions::default() };
    bench.tx(|tx| tx.record(&decided));
}

fn ids(drifts: &[KnownDrift]) -> Vec<u64> {
    drifts.iter().map(|each| each.id).collect()
}

fn row(field: Option<&str>) -> Subject {
    let key = b"fpm/\xff".as_slice().into();
    Subject::Row { table: "php".to_owned(), key, field: field.map(str::to_owned) }
}

#[test]
fn a_drift_is_kept_whole_whatever_it_is_about() {
    each_engine(|bench| {
        bench.tx(|tx| tx.save_host(&host_row(1, "web1")));
        let series = Series { name: "disk_used_ratio".to_owned(), labels: [("mount".to_owned(), "/".into())].into() };
        let subjects = [
            row(None),
            row(Some("version")),
            Subject::Series(series),
            Subject::Watcher("php".to_owned()),
            Subject::Host,
        ];
        let mut kept: Vec<KnownDrift> =
            (1..).zip(subjects).map(|(id, subject)| drift(id, 1, Severity::Info, 0, subject)).collect();
        kept[1].state = DriftState::Pending;
        (kept[1].opened, kept[1].alerted, kept[1].transition) = (None, None, 0);
        (kept[2].unknown, kept[2].calm_since) = (Some("no sample".to_owned()), Some(at(9)));
        (kept[3].silenced, kept[3].note) = (true, Some("known".to_owned()));
        keep(bench, &kept, &[]);
        bench.reopen();
        assert_eq!(bench.tx(|tx| tx.known_drifts(&HostId([1; 16]))), kept);
    });
}

#[test]
fn a_drift_that_is_over_is_not_live_and_one_that_came_to_nothing_is_gone() {
    each_engine(|bench| {
        bench.tx(|tx| tx.save_host(&host_row(1, "web1")));
        let mut over = drift(1, 1, Severity::Critical, 0, Subject::Host);
        let mut pending = drift(2, 1, Severity::Critical, 0, row(None));
        (pending.state, pending.transition) = (DriftState::Pending, 0);
        keep(bench, &[over.clone(), pending], &[]);
        (over.state, over.closed, over.transition) = (DriftState::Resolved, Some(at(99)), 2);
        let decided = Transitions { drifts: vec![over.clone()], forgotten: vec![2], ..Transitions::default() };
        bench.tx(|tx| tx.record(&decided));
        assert_eq!(bench.tx(|tx| tx.known_drifts(&HostId([1; 16]))), []);
        let every = DriftFilter { all: true, ..DriftFilter::default() };
        assert_eq!(bench.ask().drifts(&every).unwrap(), [over]);
    });
}

#[test]
fn each_new_drift_gets_another_number() {
    each_engine(|bench| {
        bench.tx(|tx| tx.save_host(&host_row(1, "web1")));
        keep(bench, &[drift(7, 1, Severity::Info, 0, Subject::Host)], &[]);
        assert_eq!(bench.tx(|tx| Ok((tx.next_drift()?, tx.next_drift()?))), (8, 9));
    });
}

#[test]
fn drifts_are_told_worst_first_then_oldest_and_as_filtered() {
    each_engine(|bench| {
        bench.tx(|tx| {
            tx.save_host(&host_row(1, "web1"))?;
            let mut other = host_row(2, "web2");
            other.groups = [("client".to_owned(), "bravo".to_owned())].into();
            tx.save_host(&other)
        });
        let mut drifts = [
            drift(1, 1, Severity::Info, 0, Subject::Host),
            drift(2, 2, Severity::Critical, 20, Subject::Host),
            drift(3, 1, Severity::Critical, 10, row(None)),
            drift(4, 1, Severity::Warning, 5, row(Some("version"))),
            drift(5, 1, Severity::Critical, 1, Subject::Watcher("php".to_owned())),
            drift(6, 1, Severity::Critical, 2, Subject::Watcher("disk".to_owned())),
        ];
        (drifts[3].drift.kind, drifts[4].state, drifts[5].state) =
            (Kind::Changed, DriftState::Approved, DriftState::Pending);
        keep(bench, &drifts, &[]);
        let mut ask = |filter: DriftFilter| ids(&bench.ask().drifts(&filter).unwrap());
        let none = DriftFilter::default;
        assert_eq!(ask(none()), [3, 2, 4, 1]);
        assert_eq!(ask(DriftFilter { host: Some(HostId([1; 16])), ..none() }), [3, 4, 1]);
        let bravo = [("client".to_owned(), "bravo".to_owned())];
        assert_eq!(ask(DriftFilter { groups: bravo.clone().into(), ..none() }), [2]);
        assert_eq!(ask(DriftFilter { kind: Some(Kind::Changed), ..none() }), [4]);
        assert_eq!(ask(DriftFilter { severity: Some(Severity::Warning), ..none() }), [3, 2, 4]);
        assert_eq!(ask(DriftFilter { all: true, ..none() }), [5, 3, 2, 4, 1]);
        assert_eq!(ask(DriftFilter { ids: vec![6, 99, u64::MAX, 2], ..none() }), [6, 2]);
        assert_eq!(ask(DriftFilter { ids: vec![6, 2], groups: bravo.into(), ..none() }), [2]);
    });
}

#[test]
fn what_is_approved_is_the_baseline_from_then_on() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.28"), fact("cli/8.2", "8.2.28")]));
        web.send(bench, &full(2, vec![fact("fpm/8.2", "8.2.29"), fact("fpm/8.3", "8.3.1")]));
        let before = bench.view(&web.host).tables["php"].baseline.clone();
        let key = "fpm/8.2".into();
        bench.tx(|tx| tx.approve(&web.host, &Approval::Field("php", &key, Some("version"))));
        let one = bench.view(&web.host);
        assert_ne!(one.tables["php"].baseline, before);
        assert_eq!(one.tables["php"].baseline.len(), 2);
        assert_eq!(bench.kept_view(&web.host), one);
        bench.tx(|tx| tx.approve(&web.host, &Approval::Table("php")));
        let keys: Vec<String> = bench.view(&web.host).tables["php"].baseline.keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["fpm/8.2", "fpm/8.3"]);
        bench.tx(|tx| tx.approve(&web.host, &Approval::Host));
        bench.reopen();
        assert_eq!(bench.view(&web.host), bench.kept_view(&web.host));
        web.send(bench, &bare(3));
    });
}

#[test]
fn an_alert_reaches_its_receivers_also_after_the_ones_before_it_have_expired() {
    each_engine(|bench| {
        bench.tx(|tx| tx.save_host(&host_row(1, "web1")));
        bench.tx(|tx| tx.begin_receiver("ops"));
        let told = KnownDrift {
            state: DriftState::Resolved,
            closed: Some(at(60)),
            ..drift(1, 1, Severity::Info, 0, row(None))
        };
        let quiet = KnownDrift { alerted: None, ..drift(2, 1, Severity::Info, 0, Subject::Host) };
        keep(bench, &[told, quiet], &[alert(1, 1)]);
        bench.tx(|tx| tx.pass_over("ops", &[(1, 1)]));
        assert_eq!(outbox(bench, "ops"), []);
        let day = Duration::from_secs(86_400);
        let kept = Keep { samples: day, rollups: day, events: day, facts: day, drifts: day };
        while bench.tx(|tx| tx.tidy(at(10 * 86_400), &kept)) {}
        keep(bench, &[drift(3, 1, Severity::Info, 864_000, row(None))], &[alert(3, 1)]);
        assert_eq!(outbox(bench, "ops"), [(3, 1)]);
    });
}

fn message(receiver: &str, key: u8, alerts: &[(u64, u32)]) -> Message {
    Message {
        receiver: receiver.to_owned(),
        key: Hash([key; 32]),
        alerts: alerts.to_vec(),
        created: at(61),
        tries: 0,
        delivery: Delivery::Waiting { next_try: at(61) },
        last_error: None,
    }
}

fn outbox(bench: &mut Bench, receiver: &str) -> Vec<(u64, u32)> {
    bench.tx(|tx| tx.outbox(receiver, 10)).iter().map(|alert| (alert.drift, alert.transition)).collect()
}

#[test]
fn an_alert_leaves_the_outbox_of_a_receiver_with_a_message_or_when_it_is_passed_over() {
    each_engine(|bench| {
        bench.tx(|tx| tx.save_host(&host_row(1, "web1")));
        keep(bench, &[drift(1, 1, Severity::Info, 0, Subject::Host)], &[alert(1, 1), alert(1, 2), alert(1, 3)]);
        keep(bench, &[], &[alert(1, 2)]);
        assert_eq!(bench.tx(|tx| tx.outbox("ops", 2)), [alert(1, 1), alert(1, 2)]);
        let sent = message("ops", 7, &[(1, 1), (1, 3)]);
        bench.tx(|tx| tx.save_message(&sent));
        assert_eq!(outbox(bench, "ops"), [(1, 2)]);
        assert_eq!(outbox(bench, "chat"), [(1, 1), (1, 2), (1, 3)]);
        bench.tx(|tx| tx.pass_over("ops", &[(1, 2)]));
        bench.reopen();
        assert_eq!(outbox(bench, "ops"), []);
        assert_eq!(outbox(bench, "ops"), []);
        keep(bench, &[], &[alert(1, 4)]);
        assert_eq!((outbox(bench, "ops"), outbox(bench, "chat").len()), (vec![(1, 4)], 4));
        assert_eq!(bench.tx(|tx| tx.alerts_of(&sent)), [alert(1, 1), alert(1, 3)]);
    });
}

#[test]
fn a_receiver_that_begins_now_is_not_told_of_before_and_misses_nothing_after() {
    each_engine(|bench| {
        bench.tx(|tx| tx.save_host(&host_row(1, "web1")));
        bench.tx(|tx| tx.begin_receiver("ops"));
        keep(bench, &[drift(1, 1, Severity::Info, 0, Subject::Host)], &[alert(1, 1)]);
        for _ in 0..2 {
            bench.tx(|tx| tx.begin_receiver("ops").and_then(|()| tx.begin_receiver("chat")));
        }
        assert_eq!((outbox(bench, "ops"), outbox(bench, "chat")), (vec![(1, 1)], vec![]));
        keep(bench, &[], &[alert(1, 2)]);
        assert_eq!((outbox(bench, "ops").len(), outbox(bench, "chat")), (2, vec![(1, 2)]));
    });
}

#[test]
fn a_message_waits_until_it_is_delivered_or_given_up() {
    each_engine(|bench| {
        bench.tx(|tx| tx.save_host(&host_row(1, "web1")));
        keep(bench, &[drift(1, 1, Severity::Info, 0, Subject::Host)], &[alert(1, 1), alert(1, 2)]);
        let mut first = message("ops", 7, &[(1, 1)]);
        let second = message("ops", 8, &[(1, 2)]);
        bench.tx(|tx| tx.save_message(&first).and_then(|()| tx.save_message(&second)));
        (first.tries, first.last_error) = (3, Some("status 503".to_owned()));
        first.delivery = Delivery::Waiting { next_try: at(900) };
        bench.tx(|tx| tx.save_message(&first));
        bench.reopen();
        assert_eq!(bench.tx(|tx| tx.waiting("ops")), [first.clone(), second.clone()]);
        assert_eq!(bench.tx(|tx| tx.waiting("chat")), []);
        (first.delivery, first.last_error) = (Delivery::Delivered, None);
        let given_up = Message { delivery: Delivery::Failed, ..second };
        bench.tx(|tx| tx.save_message(&first).and_then(|()| tx.save_message(&given_up)));
        assert_eq!(bench.tx(|tx| tx.waiting("ops")), []);
        let told = bench.ask().messages(10).unwrap();
        assert_eq!(told, [(given_up, vec![alert(1, 2)]), (first, vec![alert(1, 1)])]);
        assert_eq!(bench.ask().messages(1).unwrap().len(), 1);
    });
}

#[test]
fn the_audit_is_a_chain_of_its_own() {
    each_engine(|bench| {
        for secs in 0..3 {
            let entry = AuditEntry {
                at: Timestamp::from_secs(secs),
                who: "uid 0".to_owned(),
                action: "approve".to_owned(),
                subject: b"web\xff".as_slice().into(),
                allowed: secs != 1,
                detail: "note".to_owned(),
            };
            bench.tx(|tx| tx.audit(&entry));
        }
        bench.reopen();
        assert_eq!(bench.ask().verify().unwrap(), (3, vec![]));
    });
}
