use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SerialNumber, date_time_ymd,
};

use super::*;

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("nobody"));
    (params.not_before, params.not_after) = (date_time_ymd(2026, 9, 1), date_time_ymd(2026, 11, 30));
    params
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(&[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Let's Encrypt");
    params.distinguished_name.push(DnType::CommonName, "R11");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn a_certificate_says_whose_it_is_for_which_names_and_until_when() {
    let authority = authority();
    let mut params = params(&["shop.example", "*.shop.example"]);
    params.subject_alt_names.push(SanType::IpAddress("192.0.2.7".parse().unwrap()));
    params.subject_alt_names.push(SanType::IpAddress("2001:db8::7".parse().unwrap()));
    params.serial_number = Some(SerialNumber::from(vec![0x12, 0xab, 0xff]));
    let made = params.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap();
    let read = parse(made.der()).unwrap();
    assert_eq!(read.subject, "shop.example");
    assert_eq!(read.issuer, "Let's Encrypt");
    assert_eq!(read.names, ["shop.example", "*.shop.example", "192.0.2.7", "2001:db8::7"]);
    assert_eq!(read.not_before, Timestamp::from_date(2026, 9, 1).unwrap());
    assert_eq!(read.not_after, Timestamp::from_date(2026, 11, 30).unwrap());
    assert_eq!((read.key.as_str(), read.serial.as_str(), read.self_signed), ("ecdsa p-256", "12abff", false));
    assert_eq!(read.fingerprint, hexadecimal(&sha256(&[made.der()]).0));
    let above = parse(authority.der()).unwrap();
    assert!(above.self_signed && read.is_issued_by(&above) && !above.is_issued_by(&read));
    assert!(is_complete(&[read.clone(), above.clone()]) && is_complete(std::slice::from_ref(&above)));
    assert!(!is_complete(std::slice::from_ref(&read)) && !is_complete(&[above, read]) && !is_complete(&[]));
}

#[test]
fn kinds_of_keys_have_their_words() {
    let of = |key: &KeyPair| parse(params(&["a.example"]).self_signed(key).unwrap().der()).unwrap().key;
    assert_eq!(of(&KeyPair::generate_for(&PKCS_ED25519).unwrap()), "ed25519");
    assert_eq!(of(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()), "ecdsa p-384");
}

/// Made by `openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/O=Old \xc3\x9cber/CN=legacy.example"`, which has no
/// list of names: an RSA key, a time after 2049.
const RSA: &str = include_str!("testdata/rsa.pem");

#[test]
fn an_old_certificate_without_a_list_of_names_is_for_its_common_name() {
    let der = certificates(RSA.as_bytes()).next().unwrap().unwrap();
    let read = parse(&der).unwrap();
    assert_eq!(
        (read.key.as_str(), read.subject.as_str(), read.issuer.as_str()),
        ("rsa 2048", "legacy.example", "Old Über")
    );
    assert_eq!(read.names, ["legacy.example"]);
    assert!(read.self_signed && read.not_after > Timestamp::from_date(2100, 1, 1).unwrap());
}

#[test]
fn a_star_stands_for_one_label_and_letters_have_no_size() {
    let read =
        parse(params(&["*.shop.example", "Blog.example"]).self_signed(&KeyPair::generate().unwrap()).unwrap().der());
    let read = read.unwrap();
    for (name, covered) in [
        ("www.shop.example", true),
        ("WWW.SHOP.EXAMPLE", true),
        ("shop.example", false),
        ("a.b.shop.example", false),
        ("blog.example", true),
        ("*.shop.example", true),
        ("", false),
    ] {
        assert_eq!(read.covers(name), covered, "{name}");
    }
}

#[test]
fn of_a_file_with_a_key_only_certificates_are_taken() {
    let key = KeyPair::generate().unwrap();
    let pem = params(&["a.example"]).self_signed(&key).unwrap().pem();
    let text = format!(
        "Bag Attributes\n{}{pem}-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{pem}",
        key.serialize_pem()
    );
    let found: Vec<_> = certificates(text.as_bytes()).collect();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|each| parse(each.as_ref().unwrap()).unwrap().subject == "a.example"));
    assert!(certificates(key.serialize_pem().as_bytes()).next().is_none());
}

#[test]
fn what_is_cut_off_or_no_certificate_is_told_as_such() {
    let pem = params(&["a.example"]).self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    assert_eq!(certificates(&pem.as_bytes()[..200]).next(), Some(Err(Broken::Base64)));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let der = certificates(garbage.as_bytes()).next().unwrap().unwrap();
    assert_eq!(parse(&der), Err(Broken::Structure("the certificate")));
    assert!(parse(b"").is_err() && parse(&[0x30, 0x84, 255, 255, 255, 255]).is_err() && parse(&[0x30; 4_096]).is_err());
}

#[test]
fn times_are_those_of_rfc_5280() {
    let of = |tag, text: &str| der::time(tag, text.as_bytes()).map(Timestamp::millis);
    assert_eq!(of(0x17, "700101000001Z"), Some(1_000));
    assert_eq!(of(0x17, "491231235959Z"), Some(2_524_607_999_000));
    assert_eq!(of(0x17, "500101000000Z"), Some(-631_152_000_000));
    assert_eq!(of(0x18, "99991231235959Z"), Some(253_402_300_799_000)); // no end (RFC 5280, 4.1.2.5)
    for wrong in
        ["20260101000000Z", "260101000000", "261301000000Z", "260101240000Z", "2601010000Z", "26010100000xZ", "Z"]
    {
        assert_eq!(of(0x17, wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = parse(&bytes);
        prop_assert!(certificates(&bytes).count() <= bytes.len());
    }

    #[test]
    fn a_certificate_with_any_bytes_changed_is_survived(changes in proptest::collection::vec((0..600_usize, any::<u8>()), 1..8)) {
        let pem = certificates(RSA.as_bytes()).next().unwrap().unwrap();
        let mut der = pem;
        for (at, byte) in changes {
            let at = at % der.len();
            der[at] = byte;
        }
        if let Ok(read) = parse(&der) {
            prop_assert!(read.names.len() <= NAMES && read.subject.len() <= TEXT && read.issuer.len() <= TEXT);
        }
    }
}
