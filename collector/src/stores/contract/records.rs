//! Records: the chain, what they say, and that none counts twice.

use plumb_proto::frame::Tombstone;
use plumb_proto::model::{Outcome, Payload, Problem, Tell};
use plumb_proto::record::{Epoch, Hash, genesis};
use plumb_proto::time::Timestamp;

use super::bench::{Sender, at, bare, block, each_engine, event, fact, fail, full, report, say, slice};
use crate::store::EventFilter;
use crate::store::rows::Head;

fn all() -> EventFilter {
    EventFilter { limit: 100, ..EventFilter::default() }
}

#[test]
fn a_record_moves_the_head_and_is_seen_at_once() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        assert_eq!(bench.tx(|tx| tx.head(&web.host, &web.epoch)), None);
        web.received = at(7);
        let touched = web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.29")]));
        assert!(touched.rows["php"].contains(b"fpm/8.2".as_slice()) && touched.watchers.contains("php"));
        let head = Head { epoch: web.epoch, next_seq: 2, hash: web.prev, superseded: false };
        assert_eq!(bench.tx(|tx| tx.head(&web.host, &web.epoch)), Some(head));
        assert_eq!(bench.tx(|tx| tx.record_hash(&web.host, &web.epoch, 1)), Some(web.prev));
        assert_eq!(bench.tx(|tx| tx.record_hash(&web.host, &web.epoch, 2)), None);
        assert_eq!(bench.tx(|tx| tx.record_hash(&web.host, &web.epoch, u64::MAX)), None);
        let view = bench.view(&web.host);
        assert_eq!(view.row("php", &"fpm/8.2".into()).unwrap().fact, fact("fpm/8.2", "8.2.29"));
        assert_eq!(view.host.last_seen, Some(at(7)));
        assert_eq!(bench.tx(|tx| tx.host(&web.host)).unwrap().last_seen, Some(at(7)));
    });
}

#[test]
fn a_record_that_is_there_already_changes_nothing() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        let mut told = report(1, Outcome::Done, vec![slice(Tell::FullOnly, vec![fact("fpm/8.2", "8.2.29")])]);
        told.events = vec![event("oom_kill", "php-fpm")];
        let first = web.seal(&Payload { blocks: vec![block(0, &[1.0, 2.0])], ..say(told) });
        bench.tx(|tx| web.take(tx, &first)).unwrap();
        let (view, events) = (bench.view(&web.host), bench.ask().events(&web.host, &all()).unwrap());
        for _ in 0..2 {
            assert_eq!(bench.tx(|tx| web.take(tx, &first)), None);
            bench.reopen();
        }
        assert_eq!((bench.view(&web.host), bench.ask().events(&web.host, &all()).unwrap()), (view, events));
        assert_eq!(bench.ask().verify().unwrap(), (1, vec![]));
        web.send(bench, &bare(2));
    });
}

#[test]
fn what_does_not_continue_the_chain_is_refused() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![]));
        let mut clone = Sender::new(web.host, web.epoch);
        let forked = clone.seal(&full(1, vec![fact("fpm/8.2", "8.2.29")]));
        let error = bench.commit(|tx| web.take(tx, &forked)).unwrap_err().to_string();
        assert!(error.ends_with("is there already, with another hash"), "{error}");
        let mut skipped = Sender { prev: web.prev, next: 3, ..Sender::new(web.host, web.epoch) };
        let skipped = skipped.seal(&Payload::default());
        let error = bench.commit(|tx| web.take(tx, &skipped)).unwrap_err().to_string();
        assert!(error.ends_with("does not follow what is there, up to 1"), "{error}");
        let mut broken = Sender { prev: Hash([1; 32]), next: 2, ..Sender::new(web.host, web.epoch) };
        let broken = broken.seal(&Payload::default());
        let error = bench.commit(|tx| web.take(tx, &broken)).unwrap_err().to_string();
        assert!(error.ends_with("does not follow what is there, up to 1"), "{error}");
        web.send(bench, &bare(2));
    });
}

#[test]
fn a_newer_epoch_supersedes_the_one_before_and_knows_its_rows() {
    each_engine(|bench| {
        let mut old = bench.enrol(1, "web1");
        old.send(bench, &full(9, vec![fact("fpm/8.2", "8.2.29")]));
        let mut new = Sender::new(old.host, Epoch([8; 16]));
        new.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.29")]));
        assert!(bench.tx(|tx| tx.head(&old.host, &old.epoch)).unwrap().superseded);
        assert!(!bench.tx(|tx| tx.head(&new.host, &new.epoch)).unwrap().superseded);
        let late = old.seal(&bare(10));
        let error = bench.commit(|tx| old.take(tx, &late)).unwrap_err().to_string();
        assert!(error.ends_with("a newer epoch has begun"), "{error}");
        assert_eq!(bench.view(&new.host).tables["php"].rows.len(), 1);
        assert_eq!(bench.ask().verify().unwrap(), (2, vec![]));
    });
}

#[test]
fn a_transaction_that_fails_leaves_view_and_database_as_they_were() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.29")]));
        let before = bench.view(&web.host);
        let mut told = report(2, Outcome::Done, vec![slice(Tell::FullOnly, vec![fact("cli/8.3", "8.3.1")])]);
        told.events = vec![event("oom_kill", "php-fpm")];
        let record = web.seal(&Payload { blocks: vec![block(0, &[1.0, 2.0])], ..say(told) });
        let failed = bench.commit(|tx| {
            web.take(tx, &record)?;
            assert_ne!(*tx.view(&web.host)?, before);
            fail::<()>()
        });
        assert_eq!(failed.unwrap_err().to_string(), "as if the disk were full");
        assert_eq!((bench.view(&web.host), bench.kept_view(&web.host)), (before.clone(), before));
        assert_eq!(bench.tx(|tx| tx.head(&web.host, &web.epoch)).unwrap().next_seq, 2);
        assert!(bench.ask().events(&web.host, &all()).unwrap().is_empty());
        bench.tx(|tx| web.take(tx, &record)).expect("it is new still");
        assert_eq!(bench.view(&web.host), bench.kept_view(&web.host));
    });
}

#[test]
fn a_transaction_that_panics_leaves_nothing_and_the_next_one_goes_well() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.29")]));
        let (before, record) = (bench.view(&web.host), web.seal(&full(2, vec![])));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            bench.tx(|tx| {
                web.take(tx, &record)?;
                if tx.view(&web.host)?.tables["php"].rows.is_empty() {
                    std::panic::resume_unwind(Box::new(()));
                }
                Ok(())
            });
        }));
        assert!(panicked.is_err());
        assert_eq!((bench.view(&web.host), bench.kept_view(&web.host)), (before.clone(), before));
    });
}

/// A host that has seen a bit of everything.
fn lived(bench: &mut super::bench::Bench) -> Sender {
    let mut web = bench.enrol(1, "web1");
    web.skew_ms = 1500;
    web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.28"), fact("cli/8.2", "8.2.28"), fact("fpm/7.4", "7.4.33")]));
    web.send(bench, &Payload { blocks: vec![block(0, &[1.0, 2.0, 2.0])], ..bare(2) });
    web.send(bench, &full(3, vec![fact("fpm/8.2", "8.2.29"), fact("cli/8.2", "8.2.28")]));
    let mut blind = report(4, Outcome::Done, Vec::new());
    blind.problems = vec![Problem {
        table: "php".to_owned(),
        key_prefix: "cli/".into(),
        path: b"/usr/\xff".as_slice().into(),
        error: "permission denied".to_owned(),
        hint: "grant CAP_DAC_READ_SEARCH".to_owned(),
    }];
    web.send(bench, &say(blind));
    let begun = report(5, Outcome::More, vec![slice(Tell::FullFirst, vec![fact("fpm/8.2", "8.2.29")])]);
    web.send(bench, &Payload { blocks: vec![block(60, &[2.0, 2.0, 3.0])], ..say(begun) });
    web
}

#[test]
fn a_view_that_is_loaded_anew_equals_the_one_in_memory() {
    each_engine(|bench| {
        let web = lived(bench);
        let cached = bench.view(&web.host);
        assert_eq!(bench.kept_view(&web.host), cached);
        assert_eq!(cached.tables["php"].rows.len(), 2);
        assert_eq!(
            cached.row("php", &"fpm/8.2".into()).unwrap().since,
            Timestamp::from_millis(at(180).millis() - 1500)
        );
        assert!(cached.row("php", &"cli/8.2".into()).unwrap().stale.is_some());
        assert_eq!(cached.series.len(), 2);
    });
}

#[test]
fn a_full_tell_that_a_restart_divides_closes_what_it_did_not_tell_and_no_more() {
    each_engine(|bench| {
        let mut web = lived(bench);
        bench.reopen();
        web.send(bench, &say(report(5, Outcome::Done, vec![slice(Tell::FullLast, vec![fact("cli/8.3", "8.3.1")])])));
        let keys: Vec<String> = bench.view(&web.host).tables["php"].rows.keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["cli/8.3", "fpm/8.2"]);
        assert_eq!(bench.view(&web.host), bench.kept_view(&web.host));
    });
}

#[test]
fn a_dictionary_is_there_again_after_a_restart() {
    each_engine(|bench| {
        let mut web = lived(bench);
        let before = bench.tx(|tx| tx.dictionary(&web.host, &web.epoch)).digest();
        bench.reopen();
        let after = bench.tx(|tx| tx.dictionary(&web.host, &web.epoch));
        assert_eq!((after.digest(), after.tables().len(), after.series_count()), (before, 1, 2));
        web.send(bench, &Payload { blocks: vec![block(120, &[4.0])], ..bare(6) });
        assert_eq!(bench.tx(|tx| tx.dictionary(&web.host, &Epoch([9; 16]))).series_count(), 0);
    });
}

#[test]
fn a_declared_gap_moves_the_head_once_and_the_chain_goes_on_behind_it() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![]));
        let gap = web.drop_run(5);
        let early = Tombstone { first: gap.first + 1, ..gap.clone() };
        bench.commit(|tx| tx.append_gap(&web.host, &web.epoch, &early, at(1))).unwrap_err();
        let overlapping = Tombstone { first: 1, ..gap.clone() };
        for _ in 0..2 {
            bench.tx(|tx| tx.append_gap(&web.host, &web.epoch, &overlapping, at(1)));
            assert_eq!(bench.tx(|tx| tx.head(&web.host, &web.epoch)).unwrap().next_seq, 7);
        }
        assert_eq!(bench.tx(|tx| tx.record_hash(&web.host, &web.epoch, 4)), None);
        web.send(bench, &bare(2));
        assert_eq!(bench.ask().verify().unwrap(), (3, vec![]));
        let endless = Tombstone { first: web.next, last: u64::MAX, ..gap.clone() };
        bench.commit(|tx| tx.append_gap(&web.host, &web.epoch, &endless, at(1))).unwrap_err();
    });
}

#[test]
fn an_epoch_may_begin_with_a_gap() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        let gap = web.drop_run(3);
        bench.tx(|tx| tx.append_gap(&web.host, &web.epoch, &gap, at(1)));
        web.send(bench, &full(1, vec![]));
        assert_eq!(bench.ask().verify().unwrap(), (2, vec![]));
        assert_ne!(gap.last_hash, genesis(web.epoch));
    });
}

#[test]
fn a_record_that_cannot_be_opened_keeps_its_place_in_the_chain() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.29")]));
        let before = bench.view(&web.host);
        web.send_garbage(bench, 100_000);
        assert_eq!(bench.view(&web.host), before);
        web.send_garbage(bench, 10);
        web.send(bench, &bare(2));
        assert_eq!(bench.ask().verify().unwrap(), (4, vec![]));
    });
}

#[test]
fn two_blocks_of_one_watcher_in_one_record_are_both_kept() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &Payload { blocks: vec![block(0, &[1.0]), block(0, &[2.0])], ..Payload::default() });
        assert_eq!(bench.view(&web.host), bench.kept_view(&web.host));
    });
}

#[test]
fn a_record_that_is_refused_supersedes_nothing() {
    each_engine(|bench| {
        let mut old = bench.enrol(1, "web1");
        old.send(bench, &full(1, vec![]));
        let mut stray = Sender { next: 2, ..Sender::new(old.host, Epoch([8; 16])) };
        let record = stray.seal(&bare(1));
        let refused = bench.tx(|tx| Ok(old.take(tx, &record).is_err()));
        assert!(refused);
        assert_eq!(bench.tx(|tx| tx.head(&old.host, &stray.epoch)), None);
        old.send(bench, &bare(2));
    });
}
