//! Users of the query port.

use plumb_proto::record::Hash;

use super::bench::{at, each_engine};
use crate::store::users::{Role, UserIssuance, UserRow};

#[test]
fn a_user_is_kept_changed_and_listed_by_name() {
    each_engine(|bench| {
        let mut bob = UserRow {
            name: "bob".to_owned(),
            role: Role::Operator,
            groups: [("client".to_owned(), "acme".to_owned())].into(),
            key_hash: Hash([1; 32]),
            created: at(1),
            not_after: at(100),
            revoked: None,
        };
        let alice = UserRow { name: "alice".to_owned(), role: Role::Admin, groups: Default::default(), ..bob.clone() };
        bench.tx(|tx| tx.save_user(&bob).and_then(|()| tx.save_user(&alice)));
        bob.revoked = Some(at(7));
        bench.tx(|tx| tx.save_user(&bob));
        bench.reopen();
        assert_eq!(bench.ask().users().unwrap(), [alice.clone(), bob.clone()]);
        assert_eq!(bench.tx(|tx| tx.users()), [alice, bob]);
    });
}

#[test]
fn certificates_of_users_are_logged() {
    each_engine(|bench| {
        let issued = UserIssuance {
            user: "bob".to_owned(),
            serial: vec![2; 16],
            key_hash: Hash([1; 32]),
            not_after: at(100),
            issued: at(1),
            chain: b"PEM".to_vec(),
        };
        bench.tx(|tx| tx.log_user_issuance(&issued));
        let kept = bench.tx(|tx| tx.log_user_issuance(&issued).and_then(|()| tx.users()));
        assert_eq!(kept, [], "the log makes no user");
    });
}
