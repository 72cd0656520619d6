use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::*;

const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// An authority made for a test: one root that signs hosts itself.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    fn issue(&self, key: &KeyPair) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(key, &self.issuer).unwrap().pem().into_bytes()
    }
}

fn about() -> About {
    About {
        host_id: "07".repeat(16),
        name: "web1".into(),
        ingest: "collector.example:7443".into(),
        enroll: "collector.example:7444".into(),
        server_name: "collector.example".into(),
        token: String::new(),
        not_before_ms: BEGIN.millis(),
        not_after_ms: (BEGIN + DAY * 14).millis(),
    }
}

fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("plumb-identity-{}-{number}/identity", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Stages a new certificate of `authority`; its key.
fn stage(dir: &Path, authority: &Authority) -> String {
    let key = KeyPair::generate().unwrap();
    let chain = authority.issue(&key);
    let pem = key.serialize_pem();
    Issued { key: &pem, chain: &chain, root: &authority.root, about: about() }.stage(dir).unwrap();
    pem
}

fn used(dir: &Path) -> Option<String> {
    Identity::load(dir).unwrap().0.map(|identity| identity.key_pem().unwrap().to_owned())
}

fn switch(dir: &Path) {
    Identity::load(dir).unwrap().1.unwrap().switch(dir).unwrap();
}

#[test]
fn a_host_that_was_never_enrolled_has_no_identity() {
    let (current, next) = Identity::load(&folder()).unwrap();
    assert!(current.is_none() && next.is_none());
}

#[test]
fn a_certificate_is_used_once_it_has_proven_itself() {
    let (dir, authority) = (folder(), Authority::new());
    let first = stage(&dir, &authority);
    assert_eq!(used(&dir), None);
    switch(&dir);
    assert_eq!(used(&dir), Some(first.clone()));
    let second = stage(&dir, &authority);
    assert_eq!(used(&dir), Some(first));
    switch(&dir);
    assert_eq!(used(&dir), Some(second));
    assert!(Identity::load(&dir).unwrap().1.is_none());
    let folders = fs::read_dir(&dir).unwrap().flatten().filter(|entry| entry.file_type().unwrap().is_dir()).count();
    assert_eq!(folders, 1); // what was used before has gone
}

#[test]
fn a_certificate_for_another_key_or_of_another_root_is_not_even_staged() {
    let (dir, authority, other) = (folder(), Authority::new(), Authority::new());
    let first = stage(&dir, &authority);
    switch(&dir);
    let (ours, theirs) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let refused = |key: &KeyPair, chain: &[u8]| {
        let issued = Issued { key: &key.serialize_pem(), chain, root: &authority.root, about: about() };
        format!("{:#}", issued.stage(&dir).unwrap_err())
    };
    assert!(refused(&ours, &authority.issue(&theirs)).contains("not for our key"));
    assert!(refused(&ours, &other.issue(&ours)).contains("does not come from the root"));
    assert!(refused(&ours, b"garbage").contains("certificate"));
    assert_eq!(used(&dir), Some(first));
}

#[test]
fn a_damaged_candidate_keeps_nobody_from_using_what_works() {
    let (dir, authority) = (folder(), Authority::new());
    let first = stage(&dir, &authority);
    switch(&dir);
    stage(&dir, &authority);
    fs::write(dir.join(NEXT).join("identity.json"), "{").unwrap();
    let (current, next) = Identity::load(&dir).unwrap();
    assert_eq!(current.unwrap().key_pem().unwrap(), first);
    assert!(next.is_none());
    let third = stage(&dir, &authority); // and makes room for the next one
    switch(&dir);
    assert_eq!(used(&dir), Some(third));
}

#[test]
fn a_crash_before_the_link_leaves_what_was_used() {
    let (dir, authority) = (folder(), Authority::new());
    let first = stage(&dir, &authority);
    switch(&dir);
    fs::create_dir(dir.join("2")).unwrap(); // half a folder
    symlink("2", dir.join("next.new")).unwrap(); // and a link that was not renamed
    assert_eq!(used(&dir), Some(first));
    let second = stage(&dir, &authority);
    switch(&dir);
    assert_eq!(used(&dir), Some(second));
}

#[test]
fn keys_are_nobody_elses() {
    let (dir, authority) = (folder(), Authority::new());
    stage(&dir, &authority);
    let mode = |name: &str| fs::metadata(dir.join(NEXT).join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key.pem"), mode("identity.json"), mode("")), (0o600, 0o600, 0o700));
}

#[test]
fn renewal_is_due_around_half_of_the_life_and_always_at_the_same_moment() {
    let (dir, authority) = (folder(), Authority::new());
    let mut moments = std::collections::BTreeSet::new();
    for _ in 0..20 {
        stage(&dir, &authority);
        let (_, next) = Identity::load(&dir).unwrap();
        let due = next.unwrap().renew_at();
        assert_eq!(Identity::load(&dir).unwrap().1.unwrap().renew_at(), due);
        let after = due.since(BEGIN);
        assert!(after >= DAY * 14 * 2 / 5 && after <= DAY * 14 * 3 / 5, "{after:?}");
        moments.insert(due);
    }
    assert!(moments.len() > 1);
}
