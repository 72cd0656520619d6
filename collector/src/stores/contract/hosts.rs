//! Hosts, tokens, certificates.

use plumb_proto::record::{Hash, HostId};

use super::bench::{at, each_engine, fail, host_row};
use crate::store::rows::{HostRow, HostState, Issuance, TokenRow};

#[test]
fn a_host_is_found_by_identity_and_by_name() {
    each_engine(|bench| {
        let saved = HostRow { last_seen: Some(at(3)), skew_ms: -250, ..host_row(1, "web1") };
        bench.tx(|tx| tx.save_host(&saved));
        bench.reopen();
        bench.tx(|tx| {
            assert_eq!(tx.host(&saved.id)?, Some(saved.clone()));
            assert_eq!(tx.host_named("web1")?, Some(saved.clone()));
            assert_eq!((tx.host(&HostId([9; 16]))?, tx.host_named("web9")?), (None, None));
            Ok(())
        });
    });
}

#[test]
fn a_name_belongs_to_one_host_until_that_is_retired() {
    each_engine(|bench| {
        let mut first = host_row(1, "web1");
        bench.tx(|tx| tx.save_host(&first));
        let error = bench.commit(|tx| tx.save_host(&host_row(2, "web1"))).unwrap_err();
        assert!(format!("{error:#}").starts_with("keep host web1: "), "{error:#}");
        first.state = HostState::Retired;
        bench.tx(|tx| tx.save_host(&first));
        bench.tx(|tx| tx.save_host(&host_row(2, "web1")));
        assert_eq!(bench.tx(|tx| tx.host_named("web1")).unwrap().id, HostId([2; 16]));
        assert_eq!(bench.tx(|tx| tx.hosts()).len(), 2);
        let listed: Vec<HostId> = bench.ask().hosts().unwrap().into_iter().map(|host| host.id).collect();
        assert_eq!(listed, [HostId([2; 16])]);
    });
}

#[test]
fn the_cached_view_follows_its_host_and_forgets_a_change_that_failed() {
    each_engine(|bench| {
        let mut host = host_row(1, "web1");
        bench.tx(|tx| tx.save_host(&host));
        assert_eq!(bench.view(&host.id).host, host);
        host.name = "web2".to_owned();
        bench.tx(|tx| tx.save_host(&host));
        assert_eq!(bench.view(&host.id).host, host);
        let other = HostRow { name: "web3".to_owned(), ..host.clone() };
        bench.commit(|tx| tx.save_host(&other).and_then(|()| fail::<()>())).unwrap_err();
        assert_eq!(bench.view(&host.id).host, host);
    });
}

#[test]
fn a_token_is_kept_and_used_up() {
    each_engine(|bench| {
        let mut token = TokenRow {
            id: [3; 16],
            secret_hash: Hash([4; 32]),
            name: Some("web1".to_owned()),
            groups: [("role".to_owned(), "web".to_owned())].into(),
            uses_left: 1,
            failures: 0,
            expires: at(3600),
            created: at(0),
        };
        bench.tx(|tx| tx.save_token(&token));
        (token.uses_left, token.failures) = (0, 2);
        bench.tx(|tx| tx.save_token(&token));
        bench.reopen();
        assert_eq!(bench.tx(|tx| tx.token(&[3; 16])), Some(token.clone()));
        assert_eq!(bench.tx(|tx| tx.token(&[5; 16])), None);
    });
}

#[test]
fn issued_certificates_are_told_newest_first() {
    each_engine(|bench| {
        let issuance = |host: u8, generation: u32, token: Option<[u8; 16]>| Issuance {
            host: HostId([host; 16]),
            serial: vec![0, 255, u8::try_from(generation).unwrap()],
            generation,
            key_hash: Hash([6; 32]),
            not_after: at(86_400),
            issued: at(i64::from(generation)),
            token,
            chain: b"-----BEGIN".to_vec(),
        };
        let (first, renewed, other) =
            (issuance(1, 1, Some([3; 16])), issuance(1, 2, None), issuance(2, 1, Some([3; 16])));
        bench.tx(|tx| {
            tx.save_host(&host_row(1, "web1"))?;
            tx.save_host(&host_row(2, "web2"))?;
            [&first, &renewed, &other].into_iter().try_for_each(|each| tx.log_issuance(each))
        });
        assert_eq!(bench.tx(|tx| tx.issuances(&HostId([1; 16]))), [renewed.clone(), first.clone()]);
        assert_eq!(bench.tx(|tx| tx.issuances_by_token(&[3; 16])), [other.clone(), first.clone()]);
        assert_eq!(bench.tx(|tx| tx.issuances_by_token(&[4; 16])), []);
    });
}
