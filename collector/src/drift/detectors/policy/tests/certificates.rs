//! Rules about certificates and who renews them.

use super::*;

const DAY: i64 = 86_400;

/// A certificate of 90 days of which so many are left.
fn of_days(key: &str, left: i64, fields: &[(&str, Value)]) -> Fact {
    let now = at(0).millis() / 1_000;
    let time = |seconds: i64| Value::Time(Timestamp::from_secs(seconds));
    let mut all = vec![
        ("kind", "served".into()),
        ("issuer", "Let's Encrypt".into()),
        ("subject", "shop.example".into()),
        ("names", Value::List(vec!["shop.example".into()])),
        ("self_signed", false.into()),
        ("not_before", time(now - (90 - left) * DAY)),
        ("not_after", time(now + left * DAY)),
    ];
    all.retain(|(name, _)| fields.iter().all(|(other, _)| name != other));
    all.extend(fields.iter().cloned());
    fact(key, &all)
}

fn judged(table: &str, row: Fact) -> Vec<String> {
    let mut view = host();
    apply(&mut view, &full("certificates", 1, table, &[row]), at(0));
    let mut told = told(&shipped(), &view, at(0));
    told.retain(|line| line != "holds");
    told
}

fn of(left: i64, fields: &[(&str, Value)]) -> Vec<String> {
    judged("certificate", of_days("shop.example:443", left, fields))
}

#[test]
fn what_is_left_is_judged_by_its_share_of_the_lifetime_and_by_who_renews_it() {
    let missed = |runs: i64| [("renewed_by", "certbot".into()), ("renewal_missed", runs.into())];
    assert_eq!(of(29, &missed(1)), [""; 0], "it is renewed in time");
    assert_eq!(
        of(29, &missed(2)),
        ["warning certificate_expires: the certificate of shop.example:443 expires in 29 d"]
    );
    assert_eq!(
        of(14, &missed(0)),
        ["warning certificate_expires: the certificate of shop.example:443 expires in 14 d"]
    );
    assert_eq!(of(7, &[]), ["critical certificate_expires: the certificate of shop.example:443 expires in 7 d"]);
    assert_eq!(of(-2, &[]), ["critical certificate_expired: the certificate of shop.example:443 expired 2 d ago"]);
    // Ten years: a sixth of them is no time to be alarmed.
    let begun = Value::Time(Timestamp::from_secs(at(0).millis() / 1_000 - 3_450 * DAY));
    assert_eq!(of(200, &[("not_before", begun.clone())]), [""; 0]);
    let told = of(60, &[("not_before", begun)]);
    assert_eq!(told, ["warning certificate_expires: the certificate of shop.example:443 expires in 60 d"]);
}

#[test]
fn a_file_is_judged_only_where_a_site_uses_it_and_nothing_is_known_of_what_is_presented() {
    let file = |fields: &[(&str, Value)]| {
        let mut all = vec![("kind", Value::from("file"))];
        all.extend(fields.iter().cloned());
        judged("certificate", of_days("/etc/ssl/shop.pem", -1, &all))
    };
    assert_eq!(file(&[]), [""; 0], "nobody uses it");
    assert_eq!(file(&[("served", true.into())]), [""; 0], "what is presented is judged");
    let told = file(&[("served", false.into())]);
    assert_eq!(told, ["critical certificate_expired: the certificate of /etc/ssl/shop.pem expired 24 h ago"]);
}

#[test]
fn the_certificate_that_debian_makes_counts_only_for_a_site_with_a_name() {
    let snakeoil = ("file", Value::from("/etc/ssl/certs/ssl-cert-snakeoil.pem"));
    let of = |key: &str| judged("certificate", of_days(key, -1, &[snakeoil.clone(), ("self_signed", true.into())]));
    assert_eq!(of("_:443"), [""; 0]);
    assert_eq!(
        of("shop.example:443"),
        [
            "critical certificate_expired: the certificate of shop.example:443 expired 24 h ago",
            "info certificate_self_signed: shop.example:443 presents a certificate that only it vouches for",
        ]
    );
    let lan = judged("certificate", of_days("nas.lan:443", 80, &[("self_signed", true.into())]));
    assert_eq!(lan, [""; 0], "no authority issues for such names");
}

#[test]
fn what_visitors_get_is_compared_with_what_they_should() {
    let differs = [
        ("server", "nginx".into()),
        ("differs", true.into()),
        ("reason", "renewed on disk 3h ago, nginx has not reloaded".into()),
        ("intended", "until 2027-02-01, 3f9a0c11...".into()),
        ("on_disk", "until 2027-02-01, 3f9a0c11...".into()),
        ("in_effect", "until 2026-12-01, aabbccdd...".into()),
    ];
    let mut view = host();
    let row = of_days("shop.example:443", 80, &differs);
    apply(&mut view, &full("certificates", 1, "certificate", &[row]), at(0));
    let drifts = shipped().detect(&view, &all(&view), at(0));
    let drift = drifts.iter().find_map(|verdict| match verdict {
        Verdict::Drift(drift) => Some(drift),
        _ => None,
    });
    let drift = drift.unwrap();
    assert_eq!(
        drift.title,
        "visitors of shop.example:443 get another certificate than they should: renewed on disk 3h ago, nginx has not reloaded"
    );
    assert_eq!(drift.expected.as_deref().unwrap(), "intended: until 2027-02-01, 3f9a0c11...");
    assert_eq!(
        drift.actual.as_deref().unwrap(),
        "on disk: until 2027-02-01, 3f9a0c11...; in effect: until 2026-12-01, aabbccdd..."
    );
    let told = of(80, &[("not_covered", Value::List(vec!["www.shop.example".into()]))]);
    assert_eq!(
        told,
        ["warning certificate_name_mismatch: the certificate of shop.example:443 is not for all names of its site"]
    );
}

#[test]
fn whoever_renews_is_missed_when_certificates_depend_on_it() {
    let of = |certificates: i64, fields: &[(&str, Value)]| {
        let mut all = vec![("certificates", Value::from(certificates))];
        all.extend(fields.iter().cloned());
        judged("certificate_renewal", fact("certbot", &all))
    };
    let stopped = ["warning certificate_renewal_stopped: certbot does not renew certificates any more"];
    assert_eq!(of(2, &[("enabled", true.into()), ("missed", 1.into())]), [""; 0]);
    assert_eq!(of(2, &[("enabled", false.into())]), stopped);
    assert_eq!(of(2, &[("enabled", true.into()), ("missed", 2.into())]), stopped);
    assert_eq!(of(0, &[("enabled", false.into())]), [""; 0], "nothing depends on it");
}
