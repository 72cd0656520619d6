mod combinations;
mod derived;
mod limits;

use super::*;

fn on(os: &'static str, release: &'static str, version: &'static str, provenance: &'static str) -> Program<'static> {
    Program {
        product: "php",
        version: Some(version),
        provenance: Some(provenance),
        os: Some(os),
        os_version: Some(release),
        ..Program::default()
    }
}

fn day(year: i64, month: u32, day: u32) -> Timestamp {
    Timestamp::from_date(year, month, day).unwrap()
}

fn told(asked: &Program<'_>) -> String {
    let now = day(2027, 1, 10);
    match Dates::shipped().program(asked, now) {
        Ok(window) => {
            format!("{} by {}, upstream {}; {:?}", window.last_day(), window.by, window.upstream, window.days_left(now))
        }
        Err(reason) => reason.told(),
    }
}

#[test]
fn php_is_judged_by_who_patches_the_binary() {
    let debian = on("debian", "12", "8.2.29", "debian");
    assert_eq!(told(&debian), "2028-06-30 by Debian 12 LTS, upstream 2026-12-31; Some(537)");
    let by_hand = Program { provenance: Some("self-built"), ..debian };
    assert_eq!(told(&by_hand), "2026-12-31 by PHP upstream, upstream 2026-12-31; Some(-10)");
    for (maker, way) in [("sury", "deb.sury.org"), ("remi", "remi"), ("cpanel", "cPanel"), ("plesk", "Plesk")] {
        let expected = format!("2026-12-31 by PHP upstream by way of {way}, upstream 2026-12-31; Some(-10)");
        assert_eq!(told(&Program { provenance: Some(maker), ..debian }), expected);
    }
}

#[test]
fn builds_of_nginx_with_releases_of_their_own_are_not_called_ended_when_nginx_ends_a_line() {
    for (maker, why) in [
        ("openresty", "until when OpenResty patches it"),
        ("cpanel", "how long cPanel patches it"),
        ("plesk", "how long Plesk patches it"),
    ] {
        let asked = Program { product: "nginx", ..on("debian", "12", "1.27.1", maker) };
        let told = told(&asked);
        assert!(told.starts_with("not judged") && told.contains(why), "{told}");
    }
    let upstream = Program { product: "nginx", ..on("debian", "12", "1.27.1", "nginx") };
    assert_eq!(told(&upstream), "2025-06-24 by nginx upstream, upstream 2025-06-24; Some(-565)");
}

#[test]
fn ubuntu_main_is_patched_until_its_standard_support_ends() {
    let asked = on("ubuntu", "22.04", "8.1.2", "ubuntu");
    assert_eq!(told(&asked), "2027-04-01 by Ubuntu 22.04, upstream 2025-12-31; Some(81)");
    assert_eq!(Dates::shipped().program(&asked, day(2027, 1, 1)).unwrap().note, "with Ubuntu Pro until 2032-04-09");
}

#[test]
fn a_package_that_stayed_behind_gets_what_its_own_release_gets() {
    let asked = on("debian", "12", "7.4.33", "debian");
    let window = Dates::shipped().program(&asked, day(2027, 1, 10)).unwrap();
    assert_eq!(window.last_day(), "2026-08-31");
    assert_eq!(window.note, "it is a package of Debian 11 that stayed behind on Debian 12");
}

#[test]
fn who_patches_longer_by_dates_that_are_not_known_is_not_judged_near_the_end() {
    let stream = Program { module: Some("php:8.2"), ..on("rocky", "9.4", "8.2.28", "redhat") };
    assert_eq!(
        told(&stream),
        "not judged: upstream's last day is 2026-12-31, until when Red Hat's stream php:8.2 patches it is not in the table"
    );
    let hardened = Program { package: Some("alt-php74"), ..on("cloudlinux", "8.10", "7.4.33", "cloudlinux") };
    assert_eq!(
        told(&hardened),
        "not judged: upstream's last day is 2022-11-28, how long CloudLinux patches it is not in the table"
    );
    assert!(told(&on("cloudlinux", "8.10", "8.1.30", "cpanel")).contains("how long cPanel or CloudLinux patches it"));
}

#[test]
fn what_is_not_in_the_table_is_never_unsupported() {
    assert_eq!(told(&on("debian", "14", "8.9.0", "debian")), "PHP 8.9.0 is newer than the table (2026-08-22)");
    assert_eq!(
        told(&on("debian", "12", "8.3.1", "debian")),
        "not judged: that Debian 12 ships PHP 8.3 is not in the table"
    );
    assert_eq!(
        told(&on("debian", "12", "8.2.1", "somebody")),
        r#"not judged: nothing is known of provenance "somebody""#
    );
    let unknown = Program { version: None, ..on("debian", "12", "", "debian") };
    assert_eq!(told(&unknown), "not judged: the version of this PHP is not known");
    assert_eq!(
        told(&Program { provenance: None, ..on("debian", "12", "8.2.1", "") }),
        "not judged: who patches this PHP is not known"
    );
    assert_eq!(
        told(&Program { os_version: None, ..on("debian", "", "8.2.1", "debian") }),
        "it is not known which release of Debian this is"
    );
}

#[test]
fn support_ends_at_the_end_of_the_last_day() {
    let window = Dates::shipped().program(&on("debian", "12", "8.2.29", "self-built"), day(2026, 1, 1)).unwrap();
    assert_eq!(window.days_left(day(2026, 12, 31)), Some(0));
    assert_eq!(window.days_left(Timestamp::from_millis(day(2027, 1, 1).millis() - 1)), Some(0));
    assert_eq!(window.days_left(day(2027, 1, 1)), Some(-1));
}

#[test]
fn operating_systems_are_judged_by_what_everybody_gets() {
    let told = |id, version| match Dates::shipped().system(id, version) {
        Ok(window) => format!("{} by {}", window.last_day(), window.by),
        Err(reason) => reason.told(),
    };
    assert_eq!(told(Some("debian"), Some("12")), "2028-06-30 by Debian 12 LTS");
    assert_eq!(told(Some("ubuntu"), Some("20.04")), "2025-05-31 by Ubuntu 20.04");
    assert_eq!(told(Some("rocky"), Some("9.4")), "2032-05-31 by Rocky Linux 9");
    assert_eq!(told(Some("centos"), Some("7")), "2024-06-30 by CentOS 7");
    assert_eq!(told(Some("debian"), None), "not judged: this debian has no version (a rolling or testing release)");
    assert_eq!(told(Some("arch"), None), r#"not judged: the system "arch" is not in the table"#);
    assert_eq!(told(Some("debian"), Some("14")), "Debian 14 is newer than the table (2026-08-22)");
}
