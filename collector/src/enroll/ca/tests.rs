use plumb_proto::limits;
use rustls::RootCertStore;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;

use super::*;
use std::os::unix::fs::PermissionsExt;

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOST: HostId = HostId([7; 16]);

pub(super) fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("plumb-ca-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir.join("ca")
}

fn csr(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
    params.serialize_request(key).unwrap().der().to_vec()
}

pub(super) fn requested() -> Requested {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    request(&csr(&CertificateParams::new(vec!["evil.example".into()]).unwrap(), &key)).unwrap()
}

fn leaf_of(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&issued.chain).unwrap()
}

fn accepted(authority: &Authority, leaf: &CertificateDer<'_>, at: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(authority.hosts_anchor().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let secs = u64::try_from(at.millis() / 1000).unwrap();
    verifier.verify_client_cert(leaf, &[], UnixTime::since_unix_epoch(Duration::from_secs(secs))).is_ok()
}

#[test]
fn the_authority_is_made_once_and_its_keys_are_nobody_elses() {
    let dir = folder("once");
    let (first, new) = Authority::open(&dir, NOW).unwrap();
    let (second, again) = Authority::open(&dir, NOW).unwrap();
    assert!(new && !again);
    assert_eq!(first.pin().unwrap(), second.pin().unwrap());
    let mode = |name: &str| std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("root.key"), mode("hosts.key"), mode("")), (0o600, 0o600, 0o700));
}

#[test]
fn a_certificate_that_was_renewed_on_the_disk_is_shown_and_a_damaged_one_is_not() {
    let dir = folder("renewed");
    let (shows, _) = Authority::open(&dir, NOW).unwrap();
    let names = ["plumb.example.org".to_owned()];
    let shown = |authority: &Authority| authority.server(&names, NOW).unwrap().cert[0].clone();
    let first = shown(&shows);
    // somebody else, such as a command of the administrator
    let (renews, _) = Authority::open(&dir, NOW).unwrap();
    std::fs::remove_dir_all(dir.join("server")).unwrap();
    let renewed = shown(&renews);
    assert_ne!(first, renewed);
    assert_eq!(shown(&shows), first, "it is read at a reload");
    shows.reread_server(&names, NOW).unwrap();
    assert_eq!(shown(&shows), renewed);

    std::fs::write(dir.join("server/server.pem"), "nothing").unwrap();
    let error = shows.reread_server(&names, NOW).err().unwrap().to_string();
    assert!(error.contains("server.pem is damaged"), "{error}");
    assert_eq!(shown(&shows), renewed);
}

#[test]
fn a_damaged_authority_is_named_and_never_replaced() {
    let dir = folder("damaged");
    Authority::open(&dir, NOW).unwrap();
    std::fs::remove_file(dir.join("hosts.key")).unwrap();
    assert!(format!("{:#}", Authority::open(&dir, NOW).err().unwrap()).contains("hosts.key"));
}

#[test]
fn a_host_certificate_says_what_the_collector_says_whatever_was_asked_for() {
    let (authority, _) = Authority::open(&folder("host"), NOW).unwrap();
    let issued = authority.issue_host(&HOST, "web1", &requested(), 3, NOW).unwrap();
    let certificate = host_of(&leaf_of(&issued)).unwrap();
    assert_eq!((certificate.host, certificate.generation, certificate.not_after), (HOST, 3, NOW + HOST_LIFE));
    let (_, parsed) =
        X509Certificate::from_der(&leaf_of(&issued)).map(|(rest, p)| (rest.len(), p.subject().to_string())).unwrap();
    assert_eq!(parsed, "CN=web1");
}

#[test]
fn a_host_certificate_is_accepted_until_it_expires_and_under_its_own_authority_only() {
    let (authority, _) = Authority::open(&folder("mine"), NOW).unwrap();
    let (other, _) = Authority::open(&folder("other"), NOW).unwrap();
    let leaf = leaf_of(&authority.issue_host(&HOST, "web1", &requested(), 1, NOW).unwrap());
    assert!(accepted(&authority, &leaf, NOW));
    assert!(!accepted(&authority, &leaf, NOW + HOST_LIFE + Duration::from_secs(1)));
    assert!(!accepted(&other, &leaf, NOW));
}

#[test]
fn the_certificate_of_a_collector_cannot_report_as_a_host() {
    let (authority, _) = Authority::open(&folder("server"), NOW).unwrap();
    let server = authority.server(&["localhost".into(), "127.0.0.1".into()], NOW).unwrap();
    assert!(!accepted(&authority, &server.cert[0], NOW));
    assert!(host_of(&server.cert[0]).is_err());
}

#[test]
fn the_servers_certificate_stays_until_its_names_change_or_it_grows_old() {
    let dir = folder("stays");
    let names = |name: &str| vec![name.to_owned()];
    let made = |names: &[String], at| Authority::open(&dir, NOW).unwrap().0.server(names, at).unwrap().cert[0].clone();
    let first = made(&names("a.example"), NOW);
    assert_eq!(made(&names("a.example"), NOW + DAY), first);
    let (authority, _) = Authority::open(&dir, NOW).unwrap();
    assert_ne!(authority.server(&names("a.example"), NOW + DAY * 300).unwrap().cert[0], first);
    assert_ne!(made(&names("b.example"), NOW), first);
}

#[test]
fn hosts_that_know_the_collector_by_an_earlier_name_still_trust_its_certificate() {
    let dir = folder("renamed");
    let shown = |name: &str| {
        let (authority, _) = Authority::open(&dir, NOW).unwrap();
        let leaf = authority.server(&[name.to_owned(), "127.0.0.1".to_owned()], NOW).unwrap().cert[0].clone();
        let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
        let names = format!("{:?}", parsed.subject_alternative_name().unwrap().unwrap().value);
        ["a.example", "b.example", "c.example"].map(|name| names.contains(name))
    };
    assert_eq!(shown("a.example"), [true, false, false]);
    assert_eq!(shown("b.example"), [true, true, false]);
    // a backup carries them along
    let carried = dir.with_file_name("renamed-again");
    copy::write_all(&carried, &copy::read_all(&dir).unwrap()).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::rename(&carried, &dir).unwrap();
    assert_eq!(shown("c.example"), [true, true, true]);
    for number in 0..40 {
        shown(&format!("n{number}.example"));
    }
    assert_eq!(shown("c.example"), [false, false, true], "the oldest are let go");
}

#[test]
fn a_name_that_no_certificate_can_carry_is_an_error_of_that_name_alone() {
    let dir = folder("umlaut");
    let (authority, _) = Authority::open(&dir, NOW).unwrap();
    let made = |name: &str| authority.server(&[name.to_owned()], NOW).map(drop);
    let error = made("überwachung.example.de").unwrap_err().to_string();
    assert_eq!(error, "\"überwachung.example.de\" cannot be the name in a certificate");
    made("a.example").unwrap();
    // where it has been noted as an earlier name all the same
    std::fs::write(dir.join("known-as"), "überwachung.example.de\na.example").unwrap();
    made("b.example").unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("known-as")).unwrap(), "a.example\nb.example");
}

#[test]
fn requests_that_prove_no_key_on_p256_are_refused() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let good = csr(&CertificateParams::default(), &key);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let refused = |csr: &[u8]| format!("{:#}", request(csr).err().unwrap());
    assert_eq!(refused(&forged), "the request is not signed by its key");
    assert!(refused(b"x").contains("PKCS #10"));
    assert!(refused(&vec![0; limits::CSR + 1]).contains("at most"));
    assert_eq!(refused(&[&good[..], b"x"].concat()), "something follows the request");
    let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert!(request(&csr(&CertificateParams::default(), &other)).is_err());
}
